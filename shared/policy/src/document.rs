//! Policy documents as IAM reads them, and printing them back.
//!
//! AWS: IAM user guide, "Grammar of the IAM JSON policy language".

mod grammar;
mod place;
mod print;

use crate::action::ActionPattern;
use crate::arn::ResourcePattern;
use crate::condition::Condition;
use crate::json::{Tree, line_and_column};
use crate::problem::{Class, ParseError, Problem};

/// The most characters of an identity policy, white space not counted: a managed policy's quota (AWS: "IAM and AWS STS
/// quotas"). A user's inline policies have 2,048 together, a group's 5,120.
pub const MAX_CHARACTERS: usize = 6_144;

/// The most bytes that are looked at at all, white space included.
pub const MAX_BYTES: usize = 1 << 18;

/// A policy document that IAM would take, or that it took once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Document {
    version: Version,
    id: Option<String>,
    statements: Vec<Statement>,
    warnings: Vec<Problem>,
}

/// The version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// No `Version`: read as [`Version::V2008`].
    Absent,
    /// `2008-10-17`: no policy variables.
    V2008,
    /// `2012-10-17`.
    V2012,
}

impl Version {
    /// Whether `${…}` is a variable.
    pub const fn has_variables(self) -> bool {
        matches!(self, Self::V2012)
    }
}

/// One statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Statement {
    pub(crate) sid: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) actions: Selection<ActionPattern>,
    pub(crate) resources: Selection<ResourcePattern>,
    pub(crate) conditions: Vec<Condition>,
    pub(crate) line: usize,
    pub(crate) variables: bool,
}

/// What a statement does with the requests it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Allows them, unless another statement denies them.
    Allow,
    /// Denies them, whatever else allows them.
    Deny,
}

/// A list of patterns, or (`NotAction`, `NotResource`) everything that none of them matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Selection<P> {
    pub(crate) inverted: bool,
    pub(crate) patterns: Vec<P>,
}

impl Document {
    /// Reads a policy document of at most [`MAX_CHARACTERS`].
    ///
    /// # Errors
    /// Every problem that makes the text unusable, with place and remedy. What IAM takes although it is surely not
    /// meant so is in [`Document::warnings`] instead.
    pub fn parse(text: impl AsRef<[u8]>) -> Result<Self, ParseError> {
        Self::parse_with_limit(text, MAX_CHARACTERS)
    }

    /// Like [`Document::parse`], with another limit: AWS's own managed policies (`ReadOnlyAccess`) are longer than a
    /// customer's may be.
    ///
    /// # Errors
    /// As [`Document::parse`]; more than [`MAX_BYTES`] are refused whatever the limit.
    pub fn parse_with_limit(text: impl AsRef<[u8]>, max_characters: usize) -> Result<Self, ParseError> {
        let bytes = text.as_ref();
        if bytes.len() > MAX_BYTES {
            return Err(ParseError::new(over_size(&format!("more than {MAX_BYTES} bytes"), max_characters), None));
        }
        let text =
            str::from_utf8(bytes).map_err(|error| ParseError::new(not_utf8(bytes, error.valid_up_to()), None))?;
        let tree = Tree::read(text).map_err(|problem| ParseError::new(problem, None))?;
        let characters = text.chars().filter(|character| !character.is_ascii_whitespace()).count();
        if characters > max_characters {
            return Err(ParseError::new(
                over_size(&format!("{characters} characters (white space not counted)"), max_characters),
                None,
            ));
        }
        grammar::read_document(&tree)
    }

    /// The `Version` element.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The statements, at least one, in the order of the text.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// What IAM Access Analyzer would warn of, or suggest to write otherwise: the document is usable but does not mean
    /// what it seems to.
    pub fn warnings(&self) -> &[Problem] {
        &self.warnings
    }
}

impl Statement {
    /// The `Sid`, if there is one and it is not empty.
    pub fn sid(&self) -> Option<&str> {
        self.sid.as_deref().filter(|sid| !sid.is_empty())
    }

    /// Allow or deny.
    pub const fn effect(&self) -> Effect {
        self.effect
    }

    /// The line on which the statement begins, counted from 1.
    pub const fn line(&self) -> usize {
        self.line
    }

    /// All conditions must hold for the statement to apply.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }

    /// The patterns of `Action`, or of `NotAction` if [`Statement::excludes_actions`].
    pub fn actions(&self) -> impl Iterator<Item = &str> {
        self.actions.patterns.iter().map(ActionPattern::raw)
    }

    /// Whether the statement has `NotAction`.
    pub const fn excludes_actions(&self) -> bool {
        self.actions.inverted
    }

    /// The patterns of `Resource`, or of `NotResource` if [`Statement::excludes_resources`].
    pub fn resources(&self) -> impl Iterator<Item = &str> {
        self.resources.patterns.iter().map(ResourcePattern::raw)
    }

    /// Whether the statement has `NotResource`.
    pub const fn excludes_resources(&self) -> bool {
        self.resources.inverted
    }
}

fn over_size(found: &str, limit: usize) -> Problem {
    let message = format!("The document has {found}; at most {limit} characters are allowed.");
    Problem::at_start(Class::OverSize, &message, "Shorten it with wildcards, or split it into several policies.")
}

fn not_utf8(bytes: &[u8], offset: usize) -> Problem {
    let before = str::from_utf8(&bytes[..offset]).unwrap_or_default();
    let (line, column) = line_and_column(before, offset);
    let problem = Problem::at_start(
        Class::JsonSyntax,
        "The text is not UTF-8.",
        "Save the document as UTF-8, without byte order mark.",
    );
    Problem { line, column, ..problem }
}
