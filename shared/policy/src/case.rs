//! Case files: one JSON object per line, of three kinds with different fields.
//!
//! Evaluation (`policies`, `action`, `resource`, `context`, `expected`), verdict (`policy` or `policies`, `principal`,
//! `verdict`, `missing`, `excess`, `denied_by`, `conditions`), and raw documents (`document`, `valid`). Other fields are
//! for people. What a verdict case does not name is not compared. Its policies are read as people hand them over, and
//! without `principal` it is about [`case_principal`].

use std::collections::BTreeSet;
use std::fmt;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::check::{check, is_excess};
use crate::context::RequestContext;
use crate::document::{MAX_BYTES, PolicyDocument};
use crate::evaluate::{AuthorizationRequest, evaluate};
use crate::finding::Witness;
use crate::principal::Principal;
use crate::problem::{ParseError, ProblemLevel};

/// The outcome of one line of a case file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseOutcome {
    /// The case's own name.
    pub id: String,
    /// Absent if the case passed.
    pub failure: Option<CaseFailure>,
}

/// Why a case failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFailure {
    /// What the case expects.
    pub expected: String,
    /// What the crate answers.
    pub got: String,
}

impl fmt::Display for CaseFailure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "expected {}, got {}", self.expected, self.got)
    }
}

#[derive(Deserialize)]
struct Case {
    id: String,
    policies: Option<Vec<Box<RawValue>>>,
    action: Option<String>,
    resource: Option<String>,
    context: Option<RequestContext>,
    expected: Option<String>,
    policy: Option<Box<RawValue>>,
    verdict: Option<String>,
    missing: Option<Vec<String>>,
    excess: Option<Vec<Witness>>,
    principal: Option<Principal>,
    /// The `Sid` of each statement that denies what is missing.
    denied_by: Option<BTreeSet<String>>,
    /// The key of each condition in the way of what is missing.
    conditions: Option<BTreeSet<String>>,
    document: Option<String>,
    valid: Option<bool>,
}

/// Runs all cases of a file, in order, and skips empty lines. A line that is not a case fails: one bad line must
/// neither pass unnoticed nor hide the others.
pub fn run_cases(text: &str) -> Vec<CaseOutcome> {
    let lines = text.trim_start_matches('\u{feff}').lines().enumerate();
    lines.filter(|(_, line)| !line.trim().is_empty()).map(|(index, line)| run_line(index + 1, line)).collect()
}

/// The user that verdict cases are about.
pub fn case_principal() -> Principal {
    let some = |text: &str| Some(text.to_owned());
    Principal {
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
    let case: Case = match serde_json::from_str(text) {
        Ok(case) => case,
        Err(error) => {
            let failure = CaseFailure { expected: "a case".to_owned(), got: format!("unreadable: {error}") };
            return CaseOutcome { id: format!("line {line}"), failure: Some(failure) };
        }
    };
    let failure = match &case {
        Case {
            policies: Some(policies),
            action: Some(action),
            resource: Some(resource),
            expected: Some(expected),
            ..
        } => run_evaluation(policies, action, resource, case.context.as_ref(), expected),
        Case { policy: Some(policy), verdict: Some(verdict), .. } => {
            run_verdict(std::slice::from_ref(policy), verdict, &case)
        }
        Case { policies: Some(policies), verdict: Some(verdict), .. } => run_verdict(policies, verdict, &case),
        Case { document: Some(document), valid: Some(valid), .. } => run_document(document, *valid),
        _ => {
            Some(CaseFailure { expected: "a case".to_owned(), got: format!("line {line}, of none of the three kinds") })
        }
    };
    CaseOutcome { id: case.id, failure }
}

fn run_evaluation(
    policies: &[Box<RawValue>],
    action: &str,
    resource: &str,
    context: Option<&RequestContext>,
    expected: &str,
) -> Option<CaseFailure> {
    let empty = RequestContext::new();
    let context = context.unwrap_or(&empty);
    let got = match policies.iter().map(|policy| parse(policy)).collect::<Result<Vec<_>, _>>() {
        Ok(documents) => {
            evaluate(&documents, &AuthorizationRequest { action, resource, context }).decision.as_str().to_owned()
        }
        Err(error) => format!("unreadable: {error}"),
    };
    compare(expected, got)
}

/// Compares the verdict, the missing actions as a set, why they are missing, and the witnesses of the case: each must be
/// excess, and a finding must cover it. There are countless other witnesses, so only an empty list says that there are
/// no more.
fn run_verdict(policies: &[Box<RawValue>], verdict: &str, case: &Case) -> Option<CaseFailure> {
    let read = |policy: &RawValue| parse(policy).or_else(|_| PolicyDocument::read(policy.get()));
    let documents = match policies.iter().map(|policy| read(policy)).collect::<Result<Vec<_>, _>>() {
        Ok(documents) => documents,
        Err(error) => return compare(verdict, format!("unreadable: {error}")),
    };
    let (missing, excess) = (case.missing.as_deref(), case.excess.as_deref());
    let principal = case.principal.clone().unwrap_or_else(case_principal);
    let report = check(&documents, &principal);
    let is_found = |witness: &&Witness| {
        is_excess(&documents, &principal, &witness.action, &witness.resource)
            && report.findings.iter().any(|finding| finding.covers(&witness.action))
    };
    let found: Option<Vec<Witness>> = excess.map(|excess| match excess {
        [] => report.excess().collect(),
        witnesses => witnesses.iter().filter(is_found).cloned().collect(),
    });
    let mut got = describe(report.verdict.as_str(), missing.map(|_| report.missing.as_slice()), found.as_deref());
    let mut expected = describe(verdict, missing, excess);
    if let Some(sids) = &case.denied_by {
        let denies = report.gaps.iter().filter_map(|gap| gap.denied_by.as_ref()?.sid.clone());
        got += &format!(", denied by {:?}", denies.collect::<BTreeSet<_>>());
        expected += &format!(", denied by {sids:?}");
    }
    if let Some(keys) = &case.conditions {
        let conditions = report.gaps.iter().flat_map(|gap| &gap.conditions).map(|condition| condition.key.clone());
        got += &format!(", conditions on {:?}", conditions.collect::<BTreeSet<_>>());
        expected += &format!(", conditions on {keys:?}");
    }
    compare(&expected, got)
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

/// A document is valid if IAM accepts it and Access Analyzer has no objection; a suggestion is not one.
fn run_document(document: &str, valid: bool) -> Option<CaseFailure> {
    let objection = match PolicyDocument::parse(document) {
        Ok(document) => {
            document.warnings().iter().find(|problem| problem.level >= ProblemLevel::Warning).map(ToString::to_string)
        }
        Err(error) => Some(error.to_string()),
    };
    let got = objection.is_none();
    let describe = |valid: bool| if valid { "valid" } else { "invalid" };
    let detail = objection.map(|detail| format!(": {detail}")).unwrap_or_default();
    (got != valid)
        .then(|| CaseFailure { expected: describe(valid).to_owned(), got: describe(got).to_owned() + &detail })
}

/// Cases test meaning, so their size does not matter.
fn parse(policy: &RawValue) -> Result<PolicyDocument, ParseError> {
    PolicyDocument::parse_with_limit(policy.get(), MAX_BYTES)
}

fn compare(expected: &str, got: String) -> Option<CaseFailure> {
    (expected != got).then(|| CaseFailure { expected: expected.to_owned(), got })
}
