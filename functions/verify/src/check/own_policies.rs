//! What a key's own policies allow, if the key may read them.
//!
//! This covers identity-based policies only. A permissions boundary or a service control policy removes permissions and
//! never adds any, so ignoring them can only make the verdict on what is too much too strict. The required permissions
//! were seen in calls.

use shared::policy::{
    Finding, FindingKind, FindingSource, MAX_BYTES, PolicyDocument, Principal, StatementRef, Verdict, check,
};
use shared::record::OwnPolicies;

/// What was read of the policies of a key's own user.
#[derive(Debug, Default)]
pub(crate) struct PolicyTexts {
    /// Each policy's name and text.
    pub(crate) documents: Vec<(String, Vec<u8>)>,
    /// What could not be read, and why: codes and ids, never a text of AWS's.
    pub(crate) unread: Vec<String>,
    /// The actions that AWS allowed while reading, each with the first resource.
    pub(crate) allowed: Vec<(&'static str, String)>,
}

/// How many findings, and how many unread policies, the evidence names. The report has all of them.
const MAX_LISTED: usize = 12;

/// What the policies allow that were read. The calls that read them are excess themselves: a call that no finding of the
/// policies explains is a finding of its own, like an excess probe that AWS allowed.
pub(crate) fn assess(texts: PolicyTexts, subject: &Principal) -> (OwnPolicies, Vec<Finding>) {
    let PolicyTexts { documents, mut unread, allowed } = texts;
    let mut names = Vec::with_capacity(documents.len());
    let mut parsed = Vec::with_capacity(documents.len());
    for (name, text) in documents {
        // AWS's own managed policies may be longer than those of customers.
        match PolicyDocument::parse_with_limit(text, MAX_BYTES) {
            Ok(document) => {
                names.push(name);
                parsed.push(document);
            }
            Err(error) => {
                let problem = &error.problems()[0];
                unread.push(format!("{name}: not understood ({}, line {})", problem.class.as_str(), problem.line));
            }
        }
    }
    let report = check(&parsed, subject);
    let mut findings = report.findings;
    let observed: Vec<_> = allowed
        .iter()
        .filter(|(action, _)| !findings.iter().any(|finding| finding.covers(action)))
        .map(|(action, resource)| Finding::observed(action, Some(resource)))
        .collect();
    findings.extend(observed);
    let complete = unread.is_empty();
    let own_policies = OwnPolicies {
        verdict: if findings.iter().any(Finding::is_excess) { Verdict::Overprivileged } else { report.verdict },
        complete,
        documents: names,
        unread,
        missing: complete.then_some(report.missing),
        notices: report.notices,
        findings_omitted: report.findings_omitted,
    };
    (own_policies, findings)
}

/// The evidence of the excess check: what was read and what is too much in it, with the policies that allow it.
pub(crate) fn evidence_of(own: &OwnPolicies, findings: &[Finding]) -> String {
    let excess: Vec<_> = findings.iter().filter(|finding| finding.is_excess()).collect();
    let mut listed: Vec<_> = excess.iter().take(MAX_LISTED).map(|finding| name_statement(own, finding)).collect();
    if excess.len() > MAX_LISTED {
        listed.push(format!("and {} more", excess.len() - MAX_LISTED + own.findings_omitted));
    }
    let mut evidence = format!(
        "iam:ListUserPolicies: answered; policies read: {}, {}: {}",
        own.documents.len(),
        own.verdict.as_str(),
        listed.join(", ")
    );
    if !own.complete {
        let unread: Vec<_> = own.unread.iter().take(MAX_LISTED).map(String::as_str).collect();
        evidence.push_str(&format!("; at least that, because not read: {}", unread.join(", ")));
    }
    evidence
}

/// What is too much, and which statement of which policy allows it.
fn name_statement(own: &OwnPolicies, finding: &Finding) -> String {
    let what = finding.pattern.as_deref().unwrap_or(&finding.action);
    let undecided = if finding.kind == FindingKind::Undecided { ", undecided" } else { "" };
    match &finding.statement {
        Some(StatementRef { document, statement, sid, .. }) => {
            let policy = own.documents.get(*document).map_or("a policy", String::as_str);
            let statement = sid.clone().unwrap_or_else(|| format!("{}", statement + 1));
            format!("{what} (statement {statement} of {policy}{undecided})")
        }
        None if finding.source == FindingSource::Observed => format!("{what} (observed)"),
        None => what.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const USER: &str = "arn:aws:iam::123456789012:user/mailer";

    fn subject() -> Principal {
        Principal {
            account_id: Some("123456789012".to_owned()),
            user_name: Some("mailer".to_owned()),
            ..Principal::default()
        }
    }

    fn texts(documents: &[&str], unread: &[&str]) -> PolicyTexts {
        let name = |index: usize| format!("inline policy {index}");
        PolicyTexts {
            documents: documents
                .iter()
                .enumerate()
                .map(|(index, text)| (name(index), text.as_bytes().to_vec()))
                .collect(),
            unread: unread.iter().map(|&text| text.to_owned()).collect(),
            allowed: vec![("iam:ListUserPolicies", USER.to_owned()), ("iam:GetUserPolicy", USER.to_owned())],
        }
    }

    fn allowing(actions: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": "*"}]})
        .to_string()
    }

    #[test]
    fn reading_is_excess_whatever_the_policies_say() {
        let classic = shared::policy::classic();
        let reading = allowing(&json!(["iam:ListUserPolicies", "iam:GetUserPolicy"]));
        // The texts, and whether they explain that they could be read.
        let cases: [(&[&str], &[&str], bool); 5] = [
            (&[classic, &reading], &[], true),
            (&[classic], &[], false),
            (&[], &[], false),
            (&[classic], &["the user's groups: denied"], false),
            (&["{"], &[], false),
        ];
        for (documents, unread, explained) in cases {
            let (own, findings) = assess(texts(documents, unread), &subject());
            assert_eq!(own.verdict, Verdict::Overprivileged, "{documents:?}");
            let observed = findings.iter().filter(|finding| finding.source == FindingSource::Observed).count();
            assert_eq!(observed, if explained { 0 } else { 2 }, "{documents:?} {findings:?}");
        }
    }

    /// On paper, a Deny under the same condition as the Allow removes everything. A call that AWS allowed nevertheless shows
    /// that the condition did not hold for the Deny, whatever the policies say.
    #[test]
    fn a_call_that_the_policies_deny_and_aws_allowed_is_a_finding() {
        let statement = |effect: &str| {
            json!({"Effect": effect, "Action": "iam:*UserPolic*", "Resource": "*",
                   "Condition": {"StringEquals": {"aws:PrincipalTag/team": "mail"}}})
        };
        let text = json!({"Version": "2012-10-17", "Statement": [statement("Allow"), statement("Deny")]}).to_string();
        let (_, findings) = assess(texts(&[shared::policy::classic(), &text], &[]), &subject());
        let observed: Vec<_> = findings.iter().map(|finding| (finding.action.as_str(), finding.source)).collect();
        let expected = ["iam:ListUserPolicies", "iam:GetUserPolicy"].map(|action| (action, FindingSource::Observed));
        assert_eq!(observed, expected);
    }

    #[test]
    fn a_policy_that_was_not_read_or_understood_makes_the_verdict_a_lower_bound() {
        let (own, findings) = assess(texts(&[shared::policy::classic()], &[]), &subject());
        assert!(own.complete && own.missing.as_ref().is_some_and(Vec::is_empty));
        assert!(!evidence_of(&own, &findings).contains("at least"));
        for broken in [texts(&["{"], &[]), texts(&[], &["the user's groups"])] {
            let (own, findings) = assess(broken, &subject());
            assert!(!own.complete && own.missing.is_none(), "{own:?}");
            assert!(evidence_of(&own, &findings).contains("at least that"), "{own:?}");
        }
    }

    #[test]
    fn the_evidence_names_each_excess_and_its_policy() {
        let excess = allowing(&json!(["s3:GetObject", "iam:*UserPolic*"]));
        let (own, findings) = assess(texts(&[shared::policy::classic(), &excess], &[]), &subject());
        let evidence = evidence_of(&own, &findings);
        assert!(evidence.contains("policies read: 2, overprivileged: "), "{evidence}");
        assert!(evidence.contains("s3:GetObject (statement 1 of inline policy 1)"), "{evidence}");
        assert!(evidence.contains("iam:*UserPolic* (statement 1 of inline policy 1)"), "{evidence}");
        let many: Vec<_> = ["s3", "ec2", "sqs", "sns", "kms", "rds", "ssm", "logs", "glue", "ecs", "eks", "ecr", "dax"]
            .map(|service| format!("{service}:*"))
            .to_vec();
        let (own, findings) = assess(texts(&[&allowing(&json!(many))], &[]), &subject());
        assert!(evidence_of(&own, &findings).contains("more"), "{}", evidence_of(&own, &findings));
    }
}
