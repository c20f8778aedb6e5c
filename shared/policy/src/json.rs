//! A JSON reader that keeps what policies need and `serde_json` drops: where every value stands, keys that come twice,
//! and the text of numbers. It holds its own stack, so the depth of the input never becomes the depth of the program's
//! stack.

mod scalar;

use std::ops::Range;

use crate::problem::{Class, Level, Problem};

/// Values nest this deep at most. A policy needs six levels (document, statements, statement, condition, operator,
/// values).
const DEPTH: usize = 32;

/// A text read as JSON: a flat list of nodes that refer to each other by index, so that dropping it does not recurse
/// either.
#[derive(Debug)]
pub(crate) struct Tree<'t> {
    text: &'t str,
    nodes: Vec<Node>,
    root: usize,
}

#[derive(Debug)]
struct Node {
    value: Value,
    offset: usize,
}

/// A value; lists and objects hold the indices of their members.
#[derive(Debug)]
pub(crate) enum Value {
    Null,
    Bool(bool),
    /// As written.
    Number(Range<usize>),
    String(String),
    Array(Vec<usize>),
    Object(Vec<Member>),
}

/// A key and its value's index.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) name: String,
    pub(crate) offset: usize,
    pub(crate) node: usize,
}

impl Value {
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

/// A container that is not closed yet.
enum Open {
    Array { offset: usize, items: Vec<usize> },
    Object { offset: usize, members: Vec<Member>, pending: Option<(String, usize)> },
}

impl<'t> Tree<'t> {
    /// Reads the whole text.
    ///
    /// # Errors
    /// The first problem: bad syntax, or nesting that no policy has. A key that comes twice is kept for the reader to refuse.
    pub(crate) fn read(text: &'t str) -> Result<Self, Problem> {
        let mut reader = Reader { text, bytes: text.as_bytes(), at: 0, nodes: Vec::new() };
        let root = reader.read_document()?;
        Ok(Self { text, nodes: reader.nodes, root })
    }

    pub(crate) const fn root(&self) -> usize {
        self.root
    }

    pub(crate) fn value(&self, node: usize) -> &Value {
        &self.nodes[node].value
    }

    pub(crate) fn offset(&self, node: usize) -> usize {
        self.nodes[node].offset
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

struct Reader<'t> {
    text: &'t str,
    bytes: &'t [u8],
    at: usize,
    nodes: Vec<Node>,
}

impl Reader<'_> {
    fn read_document(&mut self) -> Result<usize, Problem> {
        let mut stack: Vec<Open> = Vec::new();
        loop {
            let mut done = self.read_value(&mut stack)?;
            // A finished value goes into the container around it, which may thereby be finished itself.
            while let Some(node) = done {
                let Some(open) = stack.last_mut() else {
                    self.skip_space();
                    if self.at < self.bytes.len() {
                        return Err(self.syntax(self.at, "There is text after the end of the document."));
                    }
                    return Ok(node);
                };
                done = if self.read_separator(open, node)? { stack.pop().map(|open| self.close(open)) } else { None };
            }
        }
    }

    /// Reads a scalar, or the opening of a container, which goes on the stack (and an empty one off again).
    fn read_value(&mut self, stack: &mut Vec<Open>) -> Result<Option<usize>, Problem> {
        self.skip_space();
        let offset = self.at;
        let value = match self.bytes.get(self.at) {
            Some(b'{') => {
                self.at += 1;
                self.check_depth(stack, offset)?;
                let mut open = Open::Object { offset, members: Vec::new(), pending: None };
                self.skip_space();
                if self.bytes.get(self.at) == Some(&b'}') {
                    self.at += 1;
                    return Ok(Some(self.close(open)));
                }
                self.read_key(&mut open)?;
                stack.push(open);
                return Ok(None);
            }
            Some(b'[') => {
                self.at += 1;
                self.check_depth(stack, offset)?;
                let open = Open::Array { offset, items: Vec::new() };
                self.skip_space();
                if self.bytes.get(self.at) == Some(&b']') {
                    self.at += 1;
                    return Ok(Some(self.close(open)));
                }
                stack.push(open);
                return Ok(None);
            }
            Some(b'"') => Value::String(self.read_string()?),
            Some(b'-' | b'0'..=b'9') => Value::Number(self.read_number()?),
            Some(b't') => self.read_word("true", Value::Bool(true))?,
            Some(b'f') => self.read_word("false", Value::Bool(false))?,
            Some(b'n') => self.read_word("null", Value::Null)?,
            Some(_) => return Err(self.syntax(offset, "Expected a value.")),
            None => return Err(self.syntax(offset, "The document ends where a value should stand.")),
        };
        Ok(Some(self.push(value, offset)))
    }

    /// Takes `node` into `open` and reads what follows it; true if that closes the container.
    fn read_separator(&mut self, open: &mut Open, node: usize) -> Result<bool, Problem> {
        self.skip_space();
        let next = self.bytes.get(self.at).copied();
        match open {
            Open::Array { items, .. } => {
                items.push(node);
                match next {
                    Some(b',') => self.at += 1,
                    Some(b']') => {
                        self.at += 1;
                        return Ok(true);
                    }
                    _ => return Err(self.syntax(self.at, "Expected \",\" or \"]\" in a list.")),
                }
            }
            Open::Object { members, pending, .. } => {
                if let Some((name, offset)) = pending.take() {
                    members.push(Member { name, offset, node });
                }
                match next {
                    Some(b',') => {
                        self.at += 1;
                        self.read_key(open)?;
                    }
                    Some(b'}') => {
                        self.at += 1;
                        return Ok(true);
                    }
                    _ => return Err(self.syntax(self.at, "Expected \",\" or \"}\" in an object.")),
                }
            }
        }
        Ok(false)
    }

    fn read_key(&mut self, open: &mut Open) -> Result<(), Problem> {
        self.skip_space();
        let start = self.at;
        if self.bytes.get(self.at) != Some(&b'"') {
            return Err(self.syntax(start, "Expected a key in double quotes."));
        }
        let name = self.read_string()?;
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b':') {
            return Err(self.syntax(self.at, "Expected \":\" after a key."));
        }
        self.at += 1;
        if let Open::Object { pending, .. } = open {
            *pending = Some((name, start));
        }
        Ok(())
    }

    fn close(&mut self, open: Open) -> usize {
        match open {
            Open::Array { offset, items } => self.push(Value::Array(items), offset),
            Open::Object { offset, members, .. } => self.push(Value::Object(members), offset),
        }
    }

    fn push(&mut self, value: Value, offset: usize) -> usize {
        self.nodes.push(Node { value, offset });
        self.nodes.len() - 1
    }

    fn check_depth(&self, stack: &[Open], offset: usize) -> Result<(), Problem> {
        if stack.len() < DEPTH {
            return Ok(());
        }
        let (line, column) = line_and_column(self.text, offset);
        Err(Problem {
            class: Class::DataType,
            level: Level::Error,
            pointer: String::new(),
            line,
            column,
            message: format!("Lists and objects are nested more than {DEPTH} deep."),
            remedy: "A policy is an object with a list of statements: remove the nesting.".to_owned(),
        })
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn syntax(&self, offset: usize, message: &str) -> Problem {
        let (line, column) = line_and_column(self.text, offset);
        let smart = self.text[self.text.floor_char_boundary(offset)..]
            .starts_with(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']);
        Problem {
            class: Class::JsonSyntax,
            level: Level::Error,
            pointer: String::new(),
            line,
            column,
            message: message.to_owned(),
            remedy: if offset == 0 && self.text.starts_with('\u{feff}') {
                "Save the document as UTF-8 without byte order mark.".to_owned()
            } else if smart {
                "Typographic quotes are not JSON: replace them by straight ones (\").".to_owned()
            } else {
                "Correct the JSON there; a copy out of the AWS console is always sound.".to_owned()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_serde_json_takes_is_taken_and_nothing_else() {
        for text in [
            "{}",
            "[]",
            "[1,-0,1.5e3,2E-7]",
            "\"\\u00e9\\ud83d\\ude00\\n\"",
            " true ",
            "null",
            "{\"a\":{\"b\":[]},\"c\":[{}]}",
            "[[],[[]]]",
            "",
            "[",
            "]",
            "{",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "01",
            "1.",
            ".5",
            "-",
            "+1",
            "1e",
            "tru",
            "nul",
            "\"\\ud800\"",
            "\"\\ud800\\u0041\"",
            "\"\\udc00\"",
            "\"\\x\"",
            "\"\n\"",
            "\"abc",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "{} {}",
            "\u{feff}{}",
            "\"\\u12\"",
            "{\"a\":1,}",
            "'a'",
            "NaN",
            "[1]]",
            "\u{0}",
        ] {
            let theirs = serde_json::from_str::<serde_json::Value>(text).is_ok();
            assert_eq!(Tree::read(text).is_ok(), theirs, "{text:?}");
        }
    }

    #[test]
    fn a_string_holds_what_serde_json_reads() {
        for text in [r#""a\u0000\b\f\n\r\t\/\\\"z""#, r#""\u00e9\uD83D\uDe00\u2028x""#, "\"ß\u{1F600}\"", r#""""#] {
            let tree = Tree::read(text).unwrap();
            let Value::String(own) = tree.value(tree.root()) else { panic!("{text} is a string") };
            assert_eq!(*own, serde_json::from_str::<String>(text).unwrap());
        }
    }

    #[test]
    fn the_column_counts_characters() {
        assert_eq!(line_and_column("ab\nß“x", "ab\nß“".len()), (2, 3));
    }
}
