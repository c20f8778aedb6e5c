//! Policy documents as IAM reads them.
//!
//! AWS: IAM user guide, "Grammar of the IAM JSON policy language".

mod envelope;
mod parser;
mod pointer;
mod print;
mod statement;

pub use self::envelope::Unwrapped;
pub(crate) use self::statement::PatternSelection;
pub use self::statement::{Effect, Statement};

use crate::problem::DocumentProblem;

/// The most characters of an identity policy, white space not counted: the quota of a managed policy (AWS: "IAM and AWS
/// STS quotas"). All inline policies of a user may have 2,048 characters together, those of a group 5,120.
pub const MAX_CHARACTERS: usize = 6_144;

/// The most bytes that are parsed at all, white space included.
pub const MAX_BYTES: usize = 1 << 18;

/// A policy document that IAM accepts, or once accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyDocument {
    version: Version,
    id: Option<String>,
    statements: Vec<Statement>,
    warnings: Vec<DocumentProblem>,
    unwrapped: Option<Unwrapped>,
}

/// The `Version` element: the version of the policy language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    /// No `Version` element: means the same as [`Version::V2008`].
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

impl PolicyDocument {
    const fn new(version: Version, id: Option<String>, statements: Vec<Statement>) -> Self {
        Self { version, id, statements, warnings: Vec::new(), unwrapped: None }
    }

    /// The `Version` element.
    pub const fn version(&self) -> Version {
        self.version
    }

    /// The statements, at least one, in the order of the text.
    pub fn statements(&self) -> &[Statement] {
        &self.statements
    }

    /// What IAM Access Analyzer would warn about or suggest to change: the document is usable, but does not mean what
    /// it seems to mean.
    pub fn warnings(&self) -> &[DocumentProblem] {
        &self.warnings
    }

    /// What [`PolicyDocument::read`] took the document out of; `None` if it stood by itself.
    pub const fn unwrapped(&self) -> Option<&Unwrapped> {
        self.unwrapped.as_ref()
    }
}
