//! What a check prints for a machine: the report, and the warnings of the documents.

use serde::Serialize;

use super::report::PolicyReport;
use crate::document::{PolicyDocument, Unwrapped};
use crate::problem::DocumentProblem;

/// The most problems in one output. A person repairs the first few and checks again.
pub const MAX_PROBLEMS: usize = 100;

/// A report and the warnings of its documents, as one JSON object.
#[derive(Debug, Serialize)]
pub struct CheckOutput<'a> {
    #[serde(flatten)]
    report: &'a PolicyReport,
    /// What IAM accepts although the author can hardly mean it; at most [`MAX_PROBLEMS`].
    warnings: Vec<LocatedProblem<'a>>,
    /// What was read of documents that did not stand by themselves.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unwrapped: Vec<LocatedUnwrapped<'a>>,
}

/// What one of several documents was taken out of.
#[derive(Debug, Serialize)]
struct LocatedUnwrapped<'a> {
    /// Index of the document, counted from 0.
    document: usize,
    #[serde(flatten)]
    unwrapped: &'a Unwrapped,
}

/// A problem in one of several documents. Line and column count from the start of that document.
#[derive(Debug, Serialize)]
pub struct LocatedProblem<'a> {
    /// Index of the document, counted from 0.
    pub document: usize,
    /// The problem.
    #[serde(flatten)]
    pub problem: &'a DocumentProblem,
}

impl<'a> CheckOutput<'a> {
    /// Joins the report on these documents with their warnings.
    pub fn new(report: &'a PolicyReport, documents: &'a [PolicyDocument]) -> Self {
        let warnings = documents
            .iter()
            .enumerate()
            .flat_map(|(document, read)| {
                read.warnings().iter().map(move |problem| LocatedProblem { document, problem })
            })
            .take(MAX_PROBLEMS)
            .collect();
        let unwrapped = documents
            .iter()
            .enumerate()
            .filter_map(|(document, read)| Some(LocatedUnwrapped { document, unwrapped: read.unwrapped()? }))
            .collect();
        Self { report, warnings, unwrapped }
    }
}
