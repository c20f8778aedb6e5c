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

/// What a document is measured against.
#[derive(Clone, Copy, Debug)]
pub(super) struct DocumentRules {
    /// White space is not counted.
    pub(super) max_characters: usize,
    /// Whether IAM has the document already. What it holds may be older than today's rules.
    pub(super) is_stored: bool,
}

impl DocumentRules {
    /// For a document that somebody wants to write.
    pub(super) const NEW: Self = Self { max_characters: MAX_CHARACTERS, is_stored: false };

    /// For a document that IAM has. AWS's own managed policies (`ReadOnlyAccess`) are longer than a customer's may be.
    pub(super) const STORED: Self = Self { max_characters: MAX_BYTES, is_stored: true };
}

/// The most characters that IAM does not take that are reported one by one.
const MAX_FOREIGN_CHARACTERS: usize = 10;

impl PolicyDocument {
    /// Reads a policy document of at most [`MAX_CHARACTERS`].
    ///
    /// # Errors
    /// Every problem that makes the text unusable, with position and remedy. What IAM accepts although the author can
    /// hardly mean it is in [`PolicyDocument::warnings`] instead.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        parse_text(text.as_ref(), DocumentRules::NEW)
    }

    /// Reads a policy document that IAM has, as one of its calls returned it: it may be longer than a customer's, and
    /// an `Id` is only a warning.
    ///
    /// # Errors
    /// As [`PolicyDocument::parse`].
    pub fn parse_stored(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        parse_text(text.as_ref(), DocumentRules::STORED)
    }

    /// Like [`PolicyDocument::parse`], with another limit.
    ///
    /// # Errors
    /// As [`PolicyDocument::parse`]. Texts of more than [`MAX_BYTES`] are rejected whatever the limit.
    pub fn parse_with_limit(text: impl AsRef<[u8]>, max_characters: usize) -> Result<Self, ParseError> {
        parse_text(text.as_ref(), DocumentRules { max_characters, ..DocumentRules::NEW })
    }
}

fn parse_text(bytes: &[u8], rules: DocumentRules) -> Result<PolicyDocument, ParseError> {
    let text = check_text(bytes, rules)?;
    let tree = JsonTree::parse(text).map_err(|problem| ParseError::new(problem, None))?;
    parse_document(&tree, tree.root(), &JsonPointer::ROOT, rules)
}

/// The bytes as text, if they are few enough and UTF-8.
pub(super) fn check_text(bytes: &[u8], rules: DocumentRules) -> Result<&str, ParseError> {
    if bytes.len() > MAX_BYTES {
        let (message, remedy) = over_size(&format!("more than {MAX_BYTES} bytes"), rules.max_characters);
        return Err(ParseError::new(DocumentProblem::of_document(ProblemClass::OverSize, &message, remedy), None));
    }
    str::from_utf8(bytes).map_err(|error| ParseError::new(not_utf8(bytes, error.valid_up_to()), None))
}

/// Parses a value of a JSON text as policy document.
pub(super) fn parse_document(
    tree: &JsonTree<'_>,
    node: usize,
    pointer: &JsonPointer<'_>,
    rules: DocumentRules,
) -> Result<PolicyDocument, ParseError> {
    let mut parser = DocumentParser::new(tree, rules);
    parser.check_characters(node, pointer);
    let document = parser.document(node, pointer);
    finish(document, parser)
}

/// Parses a statement or a list of statements as if they stood in a document of the current version.
pub(super) fn parse_statements(tree: &JsonTree<'_>, node: usize) -> Result<PolicyDocument, ParseError> {
    let mut parser = DocumentParser::new(tree, DocumentRules::NEW);
    parser.version = Version::V2012;
    parser.check_characters(node, &JsonPointer::ROOT);
    let statements = parser.statements(node, &JsonPointer::ROOT);
    finish(statements.map(|statements| PolicyDocument::new(Version::V2012, None, statements)), parser)
}

fn finish(document: Parsed<PolicyDocument>, parser: DocumentParser<'_>) -> Result<PolicyDocument, ParseError> {
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
    /// Reports a document that is too long, and characters that IAM does not take.
    ///
    /// AWS: IAM API reference, `PutUserPolicy`: `PolicyDocument` has the pattern `[\u0009\u000A\u000D\u0020-\u00FF]+`, and
    /// AWS refuses other characters with that pattern in its message (seen in hashicorp/terraform-provider-aws issue
    /// 32010, with a hyphen from a word processor). Only the text as written counts: a JSON escape is ASCII.
    fn check_characters(&mut self, node: usize, pointer: &JsonPointer<'_>) {
        let source = self.tree.source(node);
        let characters = source.chars().filter(|character| !character.is_ascii_whitespace()).count();
        if characters > self.rules.max_characters {
            let found = format!("{characters} characters (white space not counted)");
            let (message, remedy) = over_size(&found, self.rules.max_characters);
            self.push(0, pointer, ProblemLevel::Error, (ProblemClass::OverSize, &message, remedy));
        }
        let foreign = source.char_indices().filter(|(_, character)| *character > '\u{ff}');
        for (at, character) in foreign.take(MAX_FOREIGN_CHARACTERS) {
            let message = format!(
                "IAM does not take the character {character:?} (U+{:04X}): \"Member must satisfy regular expression pattern: [\\u0009\\u000A\\u000D\\u0020-\\u00FF]+\".",
                u32::from(character)
            );
            let remedy = "Write an ASCII character: word processors make dashes, quotes and spaces that look like one, and \
                          domains with other letters are written in Punycode (xn--…).";
            let offset = self.tree.offset(node) + at;
            self.push(offset, pointer, ProblemLevel::Error, (ProblemClass::InvalidCharacter, &message, remedy));
        }
    }

    fn document(&mut self, root: usize, pointer: &JsonPointer<'_>) -> Parsed<PolicyDocument> {
        let members = self.object(root, pointer, "A policy")?;
        self.check_names(members, pointer, &DOCUMENT_ELEMENTS);
        if let Some(version) = find(members, "Version") {
            // A wrong version is reported. The rest is read as the current version, so that nothing is reported that
            // only a wrong version makes wrong.
            self.version = self.version(version, &pointer.key("Version")).unwrap_or(Version::V2012);
        }
        let id = find(members, "Id").and_then(|id| self.id(id, &pointer.key("Id")));
        let Some(node) = find(members, "Statement") else {
            return self.fail(
                root,
                pointer,
                (ProblemClass::MissingStatement, "The policy has no Statement.", "Add \"Statement\": [ … ]."),
            );
        };
        let statements = self.statements(node, &pointer.key("Statement"))?;
        Some(PolicyDocument::new(self.version, id, statements))
    }

    /// "ID is allowed in resource-based policies, but not in identity-based policies" (AWS: IAM user guide, "IAM JSON
    /// policy elements: Id"), and the console refuses it (dlapiduz/certbot-s3front pull request 27). IAM's answers of
    /// 2018, recorded in moto's test vectors, accept it: a document that IAM has may hold one.
    fn id(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<String> {
        let id = self.string(node, pointer, "Id")?.to_owned();
        let level = if self.rules.is_stored { ProblemLevel::Warning } else { ProblemLevel::Error };
        let message = "An identity policy cannot have an Id.";
        let remedy = "Remove it: only resource policies have one. To name the policy, use its name or a Sid.";
        self.note(node, pointer, level, (ProblemClass::IdInIdentityPolicy, message, remedy));
        Some(id)
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

/// Message and remedy.
fn over_size(found: &str, limit: usize) -> (String, &'static str) {
    let message = format!("The document has {found}; at most {limit} characters are allowed.");
    (message, "Shorten it with wildcards, or split it into several policies.")
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
