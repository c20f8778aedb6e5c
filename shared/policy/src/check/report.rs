//! The result of a check.

use serde::Serialize;

use super::gaps::Gap;
use super::verdict::Verdict;
use crate::finding::{Finding, Witness};
use crate::principal::ResolvedPrincipal;

/// Everything that a check finds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyReport {
    /// The answer.
    pub verdict: Verdict,
    /// Required actions that are not allowed for certain.
    pub missing: Vec<String>,
    /// Why each of them is missing.
    pub gaps: Vec<Gap>,
    /// What is too much or may become so, the most severe first; at most [`MAX_FINDINGS`](crate::MAX_FINDINGS).
    pub findings: Vec<Finding>,
    /// How many more patterns or findings there are than `findings` lists.
    pub findings_omitted: usize,
    /// What is within bounds and still worth knowing, the most severe first.
    pub notices: Vec<Finding>,
    /// What would make the answer more exact.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// The user that the check was made for.
    #[serde(rename = "subject")]
    pub principal: ResolvedPrincipal,
}

/// Something that the policies leave open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Question {
    /// The field of [`Principal`](crate::Principal) that answers it.
    pub field: &'static str,
    /// What the policies name.
    pub choices: Vec<String>,
    /// The question, in sentences.
    pub message: String,
}

impl PolicyReport {
    /// Every action on a resource that is too much and has a witness.
    pub fn excess(&self) -> impl Iterator<Item = Witness> {
        self.findings.iter().filter(|finding| finding.is_excess()).flat_map(Finding::witnesses)
    }
}
