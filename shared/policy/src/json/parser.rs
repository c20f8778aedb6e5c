//! Lists and objects, on a stack of the parser's own (RFC 8259, sections 4 and 5).

use super::tree::{JsonNode, JsonTree, JsonValue, Member, line_and_column};
use crate::problem::{DocumentProblem, ProblemClass};

/// Values nest this deep at most. A policy needs six levels (document, statements, statement, condition, operator,
/// values).
const MAX_DEPTH: usize = 32;

impl<'t> JsonTree<'t> {
    /// Parses the whole text.
    ///
    /// # Errors
    /// The first problem: bad syntax, or nesting that no policy has. Keys that come twice are kept, so that the caller
    /// can reject them together with all other problems.
    pub(crate) fn parse(text: &'t str) -> Result<Self, DocumentProblem> {
        let mut parser = JsonParser { text, bytes: text.as_bytes(), at: 0, nodes: Vec::new() };
        let root = parser.read_document()?;
        Ok(Self::new(text, parser.nodes, root))
    }
}

/// A container that is not closed yet.
enum OpenContainer {
    Array { offset: usize, items: Vec<usize> },
    Object { offset: usize, members: Vec<Member>, pending: Option<(String, usize)> },
}

/// Holds its own stack of open containers, so the depth of the input never becomes the depth of the program's stack.
pub(super) struct JsonParser<'t> {
    pub(super) text: &'t str,
    pub(super) bytes: &'t [u8],
    pub(super) at: usize,
    nodes: Vec<JsonNode>,
}

impl JsonParser<'_> {
    fn read_document(&mut self) -> Result<usize, DocumentProblem> {
        let mut stack: Vec<OpenContainer> = Vec::new();
        loop {
            let mut done = self.read_value(&mut stack)?;
            // A finished value goes into the container around it, which may finish that container as well.
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

    /// Reads a scalar, an empty container, or the start of a container, which goes onto the stack.
    fn read_value(&mut self, stack: &mut Vec<OpenContainer>) -> Result<Option<usize>, DocumentProblem> {
        self.skip_space();
        let offset = self.at;
        let value = match self.bytes.get(self.at) {
            Some(b'{') => {
                self.at += 1;
                self.check_depth(stack, offset)?;
                let mut open = OpenContainer::Object { offset, members: Vec::new(), pending: None };
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
                let open = OpenContainer::Array { offset, items: Vec::new() };
                self.skip_space();
                if self.bytes.get(self.at) == Some(&b']') {
                    self.at += 1;
                    return Ok(Some(self.close(open)));
                }
                stack.push(open);
                return Ok(None);
            }
            Some(b'"') => JsonValue::String(self.read_string()?),
            Some(b'-' | b'0'..=b'9') => JsonValue::Number(self.read_number()?),
            Some(b't') => self.read_word("true", JsonValue::Bool(true))?,
            Some(b'f') => self.read_word("false", JsonValue::Bool(false))?,
            Some(b'n') => self.read_word("null", JsonValue::Null)?,
            Some(_) => return Err(self.syntax(offset, "Expected a value.")),
            None => return Err(self.syntax(offset, "The document ends where a value is expected.")),
        };
        Ok(Some(self.push(value, offset)))
    }

    /// Puts `node` into `open` and reads what follows; true if that closes the container.
    fn read_separator(&mut self, open: &mut OpenContainer, node: usize) -> Result<bool, DocumentProblem> {
        self.skip_space();
        let next = self.bytes.get(self.at).copied();
        match open {
            OpenContainer::Array { items, .. } => {
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
            OpenContainer::Object { members, pending, .. } => {
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

    fn read_key(&mut self, open: &mut OpenContainer) -> Result<(), DocumentProblem> {
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
        if let OpenContainer::Object { pending, .. } = open {
            *pending = Some((name, start));
        }
        Ok(())
    }

    fn close(&mut self, open: OpenContainer) -> usize {
        match open {
            OpenContainer::Array { offset, items } => self.push(JsonValue::Array(items), offset),
            OpenContainer::Object { offset, members, .. } => self.push(JsonValue::Object(members), offset),
        }
    }

    fn push(&mut self, value: JsonValue, offset: usize) -> usize {
        self.nodes.push(JsonNode { value, offset, end: self.at });
        self.nodes.len() - 1
    }

    fn check_depth(&self, stack: &[OpenContainer], offset: usize) -> Result<(), DocumentProblem> {
        if stack.len() < MAX_DEPTH {
            return Ok(());
        }
        let message = format!("Lists and objects are nested more than {MAX_DEPTH} deep.");
        let remedy = "A policy is an object with a list of statements: remove the nesting.";
        Err(DocumentProblem::at(line_and_column(self.text, offset), ProblemClass::DataType, &message, remedy))
    }

    fn skip_space(&mut self) {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    /// A syntax error at a byte offset.
    pub(super) fn syntax(&self, offset: usize, message: &str) -> DocumentProblem {
        let is_typographic = self.text[self.text.floor_char_boundary(offset)..]
            .starts_with(['\u{201c}', '\u{201d}', '\u{2018}', '\u{2019}']);
        let remedy = if offset == 0 && self.text.starts_with('\u{feff}') {
            "Save the document as UTF-8 without byte order mark."
        } else if is_typographic {
            "Typographic quotes are not JSON: replace them by straight ones (\")."
        } else {
            "Correct the JSON there; a copy from the AWS console is always valid."
        };
        DocumentProblem::at(line_and_column(self.text, offset), ProblemClass::JsonSyntax, message, remedy)
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
            assert_eq!(JsonTree::parse(text).is_ok(), theirs, "{text:?}");
        }
    }

    #[test]
    fn a_string_holds_what_serde_json_reads() {
        for text in [r#""a\u0000\b\f\n\r\t\/\\\"z""#, r#""\u00e9\uD83D\uDe00\u2028x""#, "\"ß\u{1F600}\"", r#""""#] {
            let tree = JsonTree::parse(text).unwrap();
            let JsonValue::String(own) = tree.value(tree.root()) else { panic!("{text} is a string") };
            assert_eq!(*own, serde_json::from_str::<String>(text).unwrap());
        }
    }
}
