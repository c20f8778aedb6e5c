//! A JSON parser that keeps what policies need and `serde_json` drops: the position of every value, keys that come
//! twice, and the text of numbers.

mod parser;
mod scalar;
mod tree;

pub(crate) use self::tree::{JsonTree, JsonValue, Member, line_and_column};
