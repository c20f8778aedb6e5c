//! Case files: one JSON object a line, of three kinds that are told apart by their fields.
//!
//! Evaluation (`policies`, `action`, `resource`, `context`, `expected`), verdict (`policy`, `verdict`, `missing`,
//! `excess`), and raw documents (`document`, `valid`). Other fields are for readers, and of a verdict case `missing`
//! and `excess` are only compared if they are there.

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::context::Context;
use crate::document::{Document, MAX_BYTES};
use crate::evaluate::{Request, evaluate};
use crate::finding::Witness;
use crate::problem::{Level, ParseError};
use crate::subject::Subject;
use crate::verdict::{check, is_excess};

/// What a line of a case file says, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The case's own name.
    pub id: String,
    /// Absent if the case came out as it should.
    pub failure: Option<Failure>,
}

/// A case that did not come out as it should.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What the case says.
    pub expected: String,
    /// What came out.
    pub got: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "expected {}, got {}", self.expected, self.got)
    }
}

#[derive(Deserialize)]
struct Row {
    id: String,
    policies: Option<Vec<Box<RawValue>>>,
    action: Option<String>,
    resource: Option<String>,
    context: Option<Context>,
    expected: Option<String>,
    policy: Option<Box<RawValue>>,
    verdict: Option<String>,
    missing: Option<Vec<String>>,
    excess: Option<Vec<Witness>>,
    document: Option<String>,
    valid: Option<bool>,
}

/// Runs all cases of a file, in order; empty lines are skipped. A line that is no case is a case that fails: one bad
/// line must neither pass unnoticed nor hide the others.
pub fn run_cases(text: &str) -> Vec<CaseOutcome> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    lines.filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| run_line(index + 1, line)).collect()
}

/// The user that verdict cases are about.
pub fn fixture() -> Subject {
    let some = |text: &str| Some(text.to_owned());
    Subject {
        account_id: some("123456789012"),
        user_name: some("mailer"),
        user_path: some("/"),
        region: some("us-east-1"),
        configuration_set: some("mail-cs"),
        identity: some("example.com"),
        source_ip: some("198.51.100.10"),
        now: some("2026-11-23T00:00:00Z"),
    }
}

fn run_line(line: usize, text: &str) -> CaseOutcome {
    let row: Row = match serde_json::from_str(text) {
        Ok(row) => row,
        Err(error) => {
            let failure = Failure { expected: "a case".to_owned(), got: format!("unreadable: {error}") };
            return CaseOutcome { id: format!("line {line}"), failure: Some(failure) };
        }
    };
    let failure = match &row {
        Row {
            policies: Some(policies),
            action: Some(action),
            resource: Some(resource),
            expected: Some(expected),
            ..
        } => run_evaluation(policies, action, resource, row.context.as_ref(), expected),
        Row { policy: Some(policy), verdict: Some(verdict), .. } => {
            run_verdict(policy, verdict, row.missing.as_deref(), row.excess.as_deref())
        }
        Row { document: Some(document), valid: Some(valid), .. } => run_raw(document, *valid),
        _ => Some(Failure { expected: "a case".to_owned(), got: format!("line {line}, of none of the three kinds") }),
    };
    CaseOutcome { id: row.id, failure }
}

fn run_evaluation(
    policies: &[Box<RawValue>],
    action: &str,
    resource: &str,
    context: Option<&Context>,
    expected: &str,
) -> Option<Failure> {
    let nothing = Context::new();
    let context = context.unwrap_or(&nothing);
    let got = match policies.iter().map(|policy| read(policy)).collect::<Result<Vec<_>, _>>() {
        Ok(documents) => evaluate(&documents, &Request { action, resource, context }).outcome.as_str().to_owned(),
        Err(error) => format!("unreadable: {error}"),
    };
    differ(expected, got)
}

/// Compares the verdict, the names of the missing actions as a set, and the witnesses of the case: each must be excess
/// and be covered by a finding. There are countless other witnesses, so only a case with an empty list of them says
/// that there are no more.
fn run_verdict(
    policy: &RawValue,
    verdict: &str,
    missing: Option<&[String]>,
    excess: Option<&[Witness]>,
) -> Option<Failure> {
    let documents = match read(policy) {
        Ok(document) => [document],
        Err(error) => return differ(verdict, format!("unreadable: {error}")),
    };
    let subject = fixture();
    let report = check(&documents, &subject);
    let is_found = |witness: &&Witness| {
        is_excess(&documents, &subject, &witness.action, &witness.resource)
            && report.findings.iter().any(|finding| finding.covers(&witness.action))
    };
    let found: Option<Vec<Witness>> = excess.map(|excess| match excess {
        [] => report.excess().collect(),
        witnesses => witnesses.iter().filter(is_found).cloned().collect(),
    });
    let got = describe(report.verdict.as_str(), missing.map(|_| report.missing.as_slice()), found.as_deref());
    differ(&describe(verdict, missing, excess), got)
}

fn describe(verdict: &str, missing: Option<&[String]>, excess: Option<&[Witness]>) -> String {
    let mut text = verdict.to_owned();
    if let Some(missing) = missing {
        let missing: BTreeSet<&String> = missing.iter().collect();
        text += &format!(", missing {missing:?}");
    }
    if let Some(excess) = excess {
        let excess: BTreeSet<String> =
            excess.iter().map(|witness| format!("{} on {}", witness.action, witness.resource)).collect();
        text += &format!(", excess {excess:?}");
    }
    text
}

/// A document is valid if IAM takes it and Access Analyzer has nothing against it; a suggestion is nothing.
fn run_raw(document: &str, valid: bool) -> Option<Failure> {
    let refusal = match Document::parse(document) {
        Ok(document) => {
            document.warnings().iter().find(|problem| problem.level >= Level::Warning).map(ToString::to_string)
        }
        Err(error) => Some(error.to_string()),
    };
    let got = refusal.is_none();
    let describe = |valid: bool| if valid { "valid" } else { "invalid" };
    let detail = refusal.map(|detail| format!(": {detail}")).unwrap_or_default();
    (got != valid).then(|| Failure { expected: describe(valid).to_owned(), got: describe(got).to_owned() + &detail })
}

/// Cases are about meaning, so their size does not matter.
fn read(policy: &RawValue) -> Result<Document, ParseError> {
    Document::parse_with_limit(policy.get(), MAX_BYTES)
}

fn differ(expected: &str, got: String) -> Option<Failure> {
    (expected != got).then(|| Failure { expected: expected.to_owned(), got })
}
