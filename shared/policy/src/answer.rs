//! What a check says to a machine: the report, and what is odd in the documents.

use serde::Serialize;

use crate::document::Document;
use crate::problem::Problem;
use crate::verdict::Report;

/// Problems in one answer; a person repairs the first few and asks again.
pub const MAX_PROBLEMS: usize = 100;

/// A report and the warnings of the documents that it is about, as one JSON object.
#[derive(Debug, Serialize)]
pub struct Answer<'a> {
    #[serde(flatten)]
    report: &'a Report,
    /// What IAM takes although it is surely not meant so; at most [`MAX_PROBLEMS`].
    warnings: Vec<Placed<'a>>,
}

/// A problem of one of several documents. Line and column count from the document's own beginning.
#[derive(Debug, Serialize)]
pub struct Placed<'a> {
    /// Index of the document, counted from 0.
    pub document: usize,
    /// What is wrong in it.
    #[serde(flatten)]
    pub problem: &'a Problem,
}

impl<'a> Answer<'a> {
    /// The answer on these documents.
    pub fn new(report: &'a Report, documents: &'a [Document]) -> Self {
        let warnings = documents
            .iter()
            .enumerate()
            .flat_map(|(document, read)| read.warnings().iter().map(move |problem| Placed { document, problem }))
            .take(MAX_PROBLEMS)
            .collect();
        Self { report, warnings }
    }
}
