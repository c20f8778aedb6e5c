//! The parsed text.

use std::ops::Range;

/// A JSON text as a flat list of nodes that refer to each other by index. Like parsing, dropping it does not recurse.
#[derive(Debug)]
pub(crate) struct JsonTree<'t> {
    text: &'t str,
    nodes: Vec<JsonNode>,
    root: usize,
}

#[derive(Debug)]
pub(super) struct JsonNode {
    pub(super) value: JsonValue,
    pub(super) offset: usize,
    /// The offset behind its last byte.
    pub(super) end: usize,
}

/// A value. Lists and objects hold the indices of their members.
#[derive(Debug)]
pub(crate) enum JsonValue {
    Null,
    Bool(bool),
    /// As written.
    Number(Range<usize>),
    String(String),
    Array(Vec<usize>),
    Object(Vec<Member>),
}

/// A key and the index of its value.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) node: usize,
}

impl JsonValue {
    /// What JSON calls this type of value.
    pub(crate) const fn type_name(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "a boolean",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "a list",
            Self::Object(_) => "an object",
        }
    }
}

impl<'t> JsonTree<'t> {
    pub(super) const fn new(text: &'t str, nodes: Vec<JsonNode>, root: usize) -> Self {
        Self { text, nodes, root }
    }

    pub(crate) const fn root(&self) -> usize {
        self.root
    }

    pub(crate) fn value(&self, node: usize) -> &JsonValue {
        &self.nodes[node].value
    }

    pub(crate) fn offset(&self, node: usize) -> usize {
        self.nodes[node].offset
    }

    /// The text of a node, as written.
    pub(crate) fn source(&self, node: usize) -> &'t str {
        &self.text[self.nodes[node].offset..self.nodes[node].end]
    }

    pub(crate) fn slice(&self, range: &Range<usize>) -> &str {
        &self.text[range.clone()]
    }

    pub(crate) const fn text(&self) -> &'t str {
        self.text
    }
}

/// The line and column (in characters) of a byte offset, both counted from 1.
pub(crate) fn line_and_column(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..text.floor_char_boundary(offset)];
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    let column = before[before.rfind('\n').map_or(0, |newline| newline + 1)..].chars().count() + 1;
    (line, column)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_column_counts_characters() {
        assert_eq!(line_and_column("ab\nß“x", "ab\nß“".len()), (2, 3));
    }
}
