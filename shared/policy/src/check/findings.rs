//! From excess permissions to findings: one for each pattern at fault, with severity and explanation.

use std::cmp::Reverse;
use std::collections::HashMap;

use crate::document::PolicyDocument;
use crate::evaluate::{LocatedStatement, StatementRef};
use crate::finding::{Finding, FindingKind, FindingSource, FindingSubject, MAX_FINDINGS, Witness, meaning};
use crate::inclusion::{Excess, ExcessKind, InclusionResult};
use crate::severity::Severity;

/// One finding for each pattern and severity, with its actions as witnesses, and how many findings are left out.
pub(super) fn to_findings(documents: &[PolicyDocument], result: &InclusionResult) -> (Vec<Finding>, usize) {
    let mut findings: Vec<Finding> = Vec::new();
    let mut indices: HashMap<_, usize> = HashMap::new();
    for excess in &result.found {
        let severity = severity(excess);
        let kind = match excess.kind {
            ExcessKind::Latent => FindingKind::Latent,
            ExcessKind::Undecided | ExcessKind::Unfinished => FindingKind::Undecided,
            _ => FindingKind::Excess,
        };
        // A sweeping pattern makes one finding, whatever it allows. Any other pattern makes one for each severity.
        let pattern = excess.pattern.as_deref();
        let apart = pattern.is_some_and(|pattern| !is_sweeping(pattern)).then_some(severity);
        let index = *indices
            .entry((excess.document, excess.statement, pattern, kind, excess.conditional, apart))
            .or_insert(findings.len());
        if let Some(finding) = findings.get_mut(index) {
            if let Some(resource) = &excess.resource {
                finding.also.push(Witness { action: excess.action.clone(), resource: resource.clone() });
            }
            finding.severity = finding.severity.max(severity);
            continue;
        }
        let by = &documents[excess.document].statements()[excess.statement];
        let subject = match excess.kind {
            ExcessKind::Unfinished => FindingSubject::Unknown,
            _ if pattern.is_none() => FindingSubject::AllBut(by.actions().map(str::to_owned).collect()),
            _ => FindingSubject::Named,
        };
        let statement =
            StatementRef::from(LocatedStatement { document: excess.document, index: excess.statement, statement: by });
        findings.push(Finding {
            kind,
            severity,
            action: excess.action.clone(),
            resource: excess.resource.clone(),
            conditional: excess.conditional,
            source: FindingSource::Static,
            explanation: explain(excess, &statement),
            statement: Some(statement),
            pattern: excess.pattern.clone(),
            also: Vec::new(),
            subject,
        });
    }
    findings.sort_by_key(|finding| Reverse((finding.severity, finding.is_excess())));
    let omitted = result.omitted + findings.len().saturating_sub(MAX_FINDINGS);
    findings.truncate(MAX_FINDINGS);
    (findings, omitted)
}

/// `*`, `*:*` and `service:*`.
fn is_sweeping(pattern: &str) -> bool {
    pattern == "*" || pattern.ends_with(":*")
}

/// The severity of the action, raised by the pattern's breadth.
fn severity(excess: &Excess) -> Severity {
    if matches!(excess.kind, ExcessKind::Latent | ExcessKind::UnknownService | ExcessKind::NoSuchAction) {
        return Severity::Low;
    }
    match excess.pattern.as_deref() {
        Some("*" | "*:*") => Severity::Critical,
        Some(pattern) if is_sweeping(pattern) => excess.severity.max(Severity::High),
        _ => excess.severity,
    }
}

fn explain(excess: &Excess, statement: &StatementRef) -> String {
    let mut by = statement.to_string();
    by[..1].make_ascii_uppercase();
    let through = match &excess.pattern {
        Some(pattern) if pattern.eq_ignore_ascii_case(&excess.action) => String::new(),
        Some(pattern) => format!(" through the pattern \"{pattern}\""),
        None => " because NotAction covers everything that it does not list".to_owned(),
    };
    let only = if excess.conditional { ", if its conditions hold," } else { "" };
    let (action, on) =
        (&excess.action, excess.resource.as_deref().map(|resource| format!(" on {resource}")).unwrap_or_default());
    match excess.kind {
        ExcessKind::Listed | ExcessKind::Unlisted => {
            format!("{by} allows{only} {action}{on}{through}: {} Remove it.", meaning(action))
        }
        ExcessKind::UnknownService => {
            format!(
                "{by} allows{only} {action}{on}{through}. No service with this prefix is known (SES v2 uses \"ses:\"): a typo, or newer than our list. Remove it."
            )
        }
        ExcessKind::NoSuchAction => format!(
            "{by} allows{only} {action}{on}{through}. The service has no such action: a typo, or newer than our list. Remove it."
        ),
        ExcessKind::Latent => format!(
            "{by} would allow{only} future actions such as {action}{through}. It matches nothing else today; write the action out."
        ),
        ExcessKind::Undecided => format!(
            "{by} is too intricate to decide what it allows{through}, so it counts as too much. Write it with fewer wildcards."
        ),
        ExcessKind::Unfinished => {
            "The policies are too many or too intricate to decide all that they allow, so they count as too much. Write fewer statements, with \
             fewer wildcards."
                .to_owned()
        }
    }
}
