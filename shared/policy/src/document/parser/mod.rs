//! Parses policy documents: JSON first, then the grammar, element by element. Every problem gets its position.

mod condition;
mod elements;
mod statement;

use std::collections::BTreeSet;

use self::elements::{DocumentParser, Parsed, find};
use super::pointer::JsonPointer;
use super::{MAX_BYTES, MAX_CHARACTERS, PolicyDocument, Statement, Version};
use crate::json::{JsonTree, JsonValue, line_and_column};
use crate::problem::{DocumentProblem, ParseError, ProblemClass, ProblemLevel};

const DOCUMENT_ELEMENTS: [&str; 3] = ["Version", "Id", "Statement"];

impl PolicyDocument {
    /// Reads a policy document of at most [`MAX_CHARACTERS`].
    ///
    /// # Errors
    /// Every problem that makes the text unusable, with position and remedy. What IAM accepts although the author can
    /// hardly mean it is in [`PolicyDocument::warnings`] instead.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        Self::parse_with_limit(text, MAX_CHARACTERS)
    }

    /// Like [`PolicyDocument::parse`], with another limit: AWS's own managed policies (`ReadOnlyAccess`) are longer
    /// than a customer's may be.
    ///
    /// # Errors
    /// As [`PolicyDocument::parse`]. Texts of more than [`MAX_BYTES`] are rejected whatever the limit.
    pub fn parse_with_limit(text: impl AsRef<[u8]>, max_characters: usize) -> Result<Self, ParseError> {
        let bytes = text.as_ref();
        if bytes.len() > MAX_BYTES {
            return Err(ParseError::new(over_size(&format!("more than {MAX_BYTES} bytes"), max_characters), None));
        }
        let text =
            str::from_utf8(bytes).map_err(|error| ParseError::new(not_utf8(bytes, error.valid_up_to()), None))?;
        let tree = JsonTree::parse(text).map_err(|problem| ParseError::new(problem, None))?;
        let characters = text.chars().filter(|character| !character.is_ascii_whitespace()).count();
        if characters > max_characters {
            return Err(ParseError::new(
                over_size(&format!("{characters} characters (white space not counted)"), max_characters),
                None,
            ));
        }
        parse_tree(&tree)
    }
}

fn parse_tree(tree: &JsonTree<'_>) -> Result<PolicyDocument, ParseError> {
    let mut parser = DocumentParser::new(tree);
    let document = parser.document();
    let mut problems = parser.into_problems();
    match (document, problems.iter().position(|problem| problem.level == ProblemLevel::Error)) {
        (Some(document), None) => Ok(PolicyDocument { warnings: problems, ..document }),
        (_, Some(first)) => {
            let first = problems.remove(first);
            Err(ParseError::new(first, problems))
        }
        // Cannot happen: an element that does not parse leaves an error. If it ever did, the document is rejected.
        (None, None) => Err(ParseError::new(
            DocumentProblem::of_document(
                ProblemClass::DataType,
                "The document is not a policy.",
                "Compare it with AWS's grammar.",
            ),
            problems,
        )),
    }
}

impl DocumentParser<'_> {
    fn document(&mut self) -> Parsed<PolicyDocument> {
        let pointer = JsonPointer::ROOT;
        let root = self.tree.root();
        let members = self.object(root, &pointer, "A policy")?;
        self.check_names(members, &pointer, &DOCUMENT_ELEMENTS);
        if let Some(version) = find(members, "Version") {
            self.version = self.version(version, &pointer.key("Version"))?;
        }
        let id = match find(members, "Id") {
            Some(id) => Some(self.string(id, &pointer.key("Id"), "Id")?.to_owned()),
            None => None,
        };
        let Some(node) = find(members, "Statement") else {
            return self.fail(
                root,
                &pointer,
                (ProblemClass::MissingStatement, "The policy has no Statement.", "Add \"Statement\": [ … ]."),
            );
        };
        let statements = self.statements(node, &pointer.key("Statement"))?;
        Some(PolicyDocument { version: self.version, id, statements, warnings: Vec::new() })
    }

    fn version(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<Version> {
        match self.string(node, pointer, "Version")? {
            "2008-10-17" => Some(Version::V2008),
            "2012-10-17" => Some(Version::V2012),
            other => self.fail(
                node,
                pointer,
                (ProblemClass::InvalidVersion, &format!("There is no Version {other:?}."), "Write \"2012-10-17\"."),
            ),
        }
    }

    fn statements(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<Vec<Statement>> {
        let single = [node];
        let (nodes, listed) = match self.tree.value(node) {
            JsonValue::Array(items) if items.is_empty() => {
                return self.fail(
                    node,
                    pointer,
                    (ProblemClass::MissingStatement, "The list of statements is empty.", "Add a statement."),
                );
            }
            JsonValue::Array(items) => (items.as_slice(), true),
            _ => (single.as_slice(), false),
        };
        let mut statements = Vec::with_capacity(nodes.len());
        let mut sids = BTreeSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let pointer = if listed { pointer.index(index) } else { *pointer };
            let statement = self.statement(*node, &pointer);
            if let Some(sid) = statement.as_ref().and_then(Statement::sid)
                && !sids.insert(sid.to_owned())
            {
                let message = format!("The Sid {sid:?} is used twice.");
                self.note(
                    *node,
                    &pointer.key("Sid"),
                    ProblemLevel::Error,
                    (ProblemClass::SidNotUnique, &message, "Give each statement its own Sid, or none."),
                );
            }
            statements.push(statement);
        }
        statements.into_iter().collect()
    }
}

fn over_size(found: &str, limit: usize) -> DocumentProblem {
    let message = format!("The document has {found}; at most {limit} characters are allowed.");
    DocumentProblem::of_document(
        ProblemClass::OverSize,
        &message,
        "Shorten it with wildcards, or split it into several policies.",
    )
}

fn not_utf8(bytes: &[u8], offset: usize) -> DocumentProblem {
    let before = str::from_utf8(&bytes[..offset]).unwrap_or_default();
    DocumentProblem::at(
        line_and_column(before, offset),
        ProblemClass::JsonSyntax,
        "The text is not UTF-8.",
        "Save the document as UTF-8, without byte order mark.",
    )
}
