//! What is wrong with a policy document: where, why, and what to write instead.

use std::fmt;

use serde::Serialize;

/// Why a text is not a policy that IAM accepts: all problems that were found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}{}", .problems[0], more(.problems.len() - 1))]
pub struct ParseError {
    problems: Vec<DocumentProblem>,
}

impl ParseError {
    /// Joins the problems found; `Display` shows `first`.
    pub(crate) fn new(first: DocumentProblem, rest: impl IntoIterator<Item = DocumentProblem>) -> Self {
        let mut problems = vec![first];
        problems.extend(rest);
        Self { problems }
    }

    /// All problems, at least one. The one to repair first comes first.
    pub fn problems(&self) -> &[DocumentProblem] {
        &self.problems
    }
}

/// One thing wrong in a document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DocumentProblem {
    /// The kind of mistake.
    pub class: ProblemClass,
    /// Whether the document is still usable.
    pub level: ProblemLevel,
    /// Where it is, as a JSON pointer (RFC 6901); empty is the whole document.
    pub pointer: String,
    /// The line, counted from 1.
    pub line: usize,
    /// The column in characters, counted from 1.
    pub column: usize,
    /// What is wrong there, in a sentence.
    pub message: String,
    /// What to do about it, in a sentence.
    pub remedy: String,
}

impl DocumentProblem {
    /// An error about the document as a whole.
    pub(crate) fn of_document(class: ProblemClass, message: &str, remedy: &str) -> Self {
        Self::at((1, 1), class, message, remedy)
    }

    /// An error at a line and column, both counted from 1.
    pub(crate) fn at((line, column): (usize, usize), class: ProblemClass, message: &str, remedy: &str) -> Self {
        Self {
            class,
            level: ProblemLevel::Error,
            pointer: String::new(),
            line,
            column,
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        }
    }
}

impl fmt::Display for DocumentProblem {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "line {}, column {}", self.line, self.column)?;
        if !self.pointer.is_empty() {
            write!(out, " ({})", self.pointer)?;
        }
        write!(out, ": {} {}", self.message, self.remedy)
    }
}

/// How serious a problem is, in the words of IAM Access Analyzer's policy checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemLevel {
    /// The document means what AWS documents, but the author can hardly mean that.
    Suggestion,
    /// IAM accepts the document or its meaning is clear, but it does not mean what it seems to mean.
    Warning,
    /// The document has no reliable meaning. [`PolicyDocument::parse`](crate::PolicyDocument::parse) rejects it.
    Error,
}

/// The kinds of mistakes. The names follow the checks in AWS's "IAM policy validation check reference" where one
/// exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ProblemClass {
    /// Not JSON, or not UTF-8.
    JsonSyntax,
    /// A value of another type than the grammar requires.
    DataType,
    /// Something about policies that holds no document, such as a list of their names.
    NoDocument,
    /// Larger than any identity policy can be.
    OverSize,
    /// The same key twice in one object. Condition keys are compared without case.
    DuplicateKey,
    /// An element that the grammar does not have, or has in another case.
    UnknownElement,
    /// A character that IAM does not take.
    InvalidCharacter,
    /// `Id`, which only resource policies have.
    IdInIdentityPolicy,
    /// A `Version` that does not exist.
    InvalidVersion,
    /// No `Statement`, or an empty list of them.
    MissingStatement,
    /// A statement without `Effect`.
    MissingEffect,
    /// An `Effect` other than `Allow` and `Deny`.
    InvalidEffect,
    /// A statement without `Action` and `NotAction`.
    MissingAction,
    /// A statement without `Resource` and `NotResource`.
    MissingResource,
    /// Both an element and its `Not` form.
    ElementCombination,
    /// `Principal` or `NotPrincipal`, which only resource policies have.
    PrincipalInIdentityPolicy,
    /// A `Sid` with characters other than letters and digits.
    SidFormat,
    /// Two statements with one `Sid`.
    SidNotUnique,
    /// An action that is not `service:Name`.
    ActionFormat,
    /// A resource that is neither `*` nor an ARN.
    ResourceFormat,
    /// An empty list of actions or resources.
    EmptyArray,
    /// A policy variable in `Action` or `NotAction`.
    VariableInAction,
    /// A policy variable that is not closed, empty, or has a default without quotes.
    VariableSyntax,
    /// A policy variable in a document without `Version` 2012-10-17, where it is plain text.
    #[serde(rename = "variable-in-2008")]
    VariableIn2008,
    /// A condition operator that does not exist.
    InvalidOperator,
    /// A condition value that its operator can never match.
    ConditionValue,
}

impl ProblemClass {
    /// The name used in reports and case files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::JsonSyntax => "json-syntax",
            Self::DataType => "data-type",
            Self::NoDocument => "no-document",
            Self::OverSize => "over-size",
            Self::DuplicateKey => "duplicate-key",
            Self::UnknownElement => "unknown-element",
            Self::InvalidCharacter => "invalid-character",
            Self::IdInIdentityPolicy => "id-in-identity-policy",
            Self::InvalidVersion => "invalid-version",
            Self::MissingStatement => "missing-statement",
            Self::MissingEffect => "missing-effect",
            Self::InvalidEffect => "invalid-effect",
            Self::MissingAction => "missing-action",
            Self::MissingResource => "missing-resource",
            Self::ElementCombination => "element-combination",
            Self::PrincipalInIdentityPolicy => "principal-in-identity-policy",
            Self::SidFormat => "sid-format",
            Self::SidNotUnique => "sid-not-unique",
            Self::ActionFormat => "action-format",
            Self::ResourceFormat => "resource-format",
            Self::EmptyArray => "empty-array",
            Self::VariableInAction => "variable-in-action",
            Self::VariableSyntax => "variable-syntax",
            Self::VariableIn2008 => "variable-in-2008",
            Self::InvalidOperator => "invalid-operator",
            Self::ConditionValue => "condition-value",
        }
    }
}

/// How `Display` counts the other problems.
fn more(count: usize) -> String {
    if count == 0 { String::new() } else { format!(" (and {count} more)") }
}
