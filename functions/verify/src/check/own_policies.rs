//! What a key's own policies say of it, where it may read them.
//!
//! Identity-based policies only. A permissions boundary or a service control policy takes away from what they allow and
//! never adds to it, so the verdict on what is too much can only be too strict for that; what is needed was seen by calls.

use serde::Serialize;
use shared::policy::{
    Finding, FindingKind, FindingSource, MAX_BYTES, PolicyDocument, Principal, StatementRef, Verdict, check,
};

use crate::examination::own_policies::Read;

/// The part of a report that is about the policies that were read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct OwnPolicies {
    /// What follows from them and from the calls that read them.
    verdict: Verdict,
    /// Whether all were read. If not, the key may be allowed more than this.
    complete: bool,
    /// Names of those that were read; a finding's `statement.document` counts here.
    documents: Vec<String>,
    /// What could not be read, and why.
    unread: Vec<String>,
    /// Needed actions that they do not allow; absent where an unread policy might.
    #[serde(skip_serializing_if = "Option::is_none")]
    missing: Option<Vec<String>>,
    /// What is within bounds and still worth knowing.
    notices: Vec<Finding>,
    /// How many more findings there are than the report lists.
    findings_omitted: usize,
}

impl OwnPolicies {
    /// Checks what was read. The calls that read it are excess themselves; those that no finding of the policies
    /// explains are findings of their own, as a probe's would be.
    pub(crate) fn judge(read: Read, subject: &Principal) -> (Self, Vec<Finding>) {
        let Read { documents, mut unread, allowed } = read;
        let mut names = Vec::with_capacity(documents.len());
        let mut parsed = Vec::with_capacity(documents.len());
        for (name, text) in documents {
            // AWS's own managed policies may be longer than a customer's.
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
        let own_policies = Self {
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

    /// Whether all were read.
    pub(crate) fn is_complete(&self) -> bool {
        self.complete
    }

    /// What was read and what is too much in it: actions and the policies that allow them.
    pub(crate) fn evidence(&self, findings: &[Finding]) -> String {
        let excess: Vec<_> = findings.iter().filter(|finding| finding.is_excess()).collect();
        let mut listed: Vec<_> = excess.iter().take(LISTED).map(|finding| self.place(finding)).collect();
        if excess.len() > LISTED {
            listed.push(format!("and {} more", excess.len() - LISTED + self.findings_omitted));
        }
        let mut evidence = format!(
            "iam:ListUserPolicies: answered; policies read: {}, {}: {}",
            self.documents.len(),
            self.verdict.as_str(),
            listed.join(", ")
        );
        if !self.complete {
            let unread: Vec<_> = self.unread.iter().take(LISTED).map(String::as_str).collect();
            evidence.push_str(&format!("; at least that, because not read: {}", unread.join(", ")));
        }
        evidence
    }

    /// What is too much, and which policy allows it.
    fn place(&self, finding: &Finding) -> String {
        let what = finding.pattern.as_deref().unwrap_or(&finding.action);
        let undecided = if finding.kind == FindingKind::Undecided { ", undecided" } else { "" };
        match &finding.statement {
            Some(StatementRef { document, statement, sid, .. }) => {
                let policy = self.documents.get(*document).map_or("a policy", String::as_str);
                let statement = sid.clone().unwrap_or_else(|| format!("{}", statement + 1));
                format!("{what} (statement {statement} of {policy}{undecided})")
            }
            None if finding.source == FindingSource::Observed => format!("{what} (observed)"),
            None => what.to_owned(),
        }
    }
}

/// Findings named in one line of evidence; the report has them all.
const LISTED: usize = 12;

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

    fn read(documents: &[&str], unread: &[&str]) -> Read {
        let name = |index: usize| format!("inline policy {index}");
        Read {
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
            let (own, findings) = OwnPolicies::judge(read(documents, unread), &subject());
            assert_eq!(own.verdict, Verdict::Overprivileged, "{documents:?}");
            let observed = findings.iter().filter(|finding| finding.source == FindingSource::Observed).count();
            assert_eq!(observed, if explained { 0 } else { 2 }, "{documents:?} {findings:?}");
        }
    }

    /// A deny under the same condition as the allow takes everything away on paper. A call that got through all the same
    /// shows that the condition did not hold for the deny, whatever the policies say.
    #[test]
    fn a_call_that_the_policies_deny_and_aws_allowed_is_a_finding() {
        let statement = |effect: &str| {
            json!({"Effect": effect, "Action": "iam:*UserPolic*", "Resource": "*",
                   "Condition": {"StringEquals": {"aws:PrincipalTag/team": "mail"}}})
        };
        let text = json!({"Version": "2012-10-17", "Statement": [statement("Allow"), statement("Deny")]}).to_string();
        let (_, findings) = OwnPolicies::judge(read(&[shared::policy::classic(), &text], &[]), &subject());
        let observed: Vec<_> = findings.iter().map(|finding| (finding.action.as_str(), finding.source)).collect();
        let expected = ["iam:ListUserPolicies", "iam:GetUserPolicy"].map(|action| (action, FindingSource::Observed));
        assert_eq!(observed, expected);
    }

    #[test]
    fn a_policy_that_was_not_read_or_understood_makes_the_verdict_a_lower_bound() {
        let (own, findings) = OwnPolicies::judge(read(&[shared::policy::classic()], &[]), &subject());
        assert!(own.is_complete() && own.missing.as_ref().is_some_and(Vec::is_empty));
        assert!(!own.evidence(&findings).contains("at least"));
        for broken in [read(&["{"], &[]), read(&[], &["the user's groups"])] {
            let (own, findings) = OwnPolicies::judge(broken, &subject());
            assert!(!own.is_complete() && own.missing.is_none(), "{own:?}");
            assert!(own.evidence(&findings).contains("at least that"), "{own:?}");
        }
    }

    #[test]
    fn the_evidence_names_each_excess_and_its_policy() {
        let excess = allowing(&json!(["s3:GetObject", "iam:*UserPolic*"]));
        let (own, findings) = OwnPolicies::judge(read(&[shared::policy::classic(), &excess], &[]), &subject());
        let evidence = own.evidence(&findings);
        assert!(evidence.contains("policies read: 2, overprivileged: "), "{evidence}");
        assert!(evidence.contains("s3:GetObject (statement 1 of inline policy 1)"), "{evidence}");
        assert!(evidence.contains("iam:*UserPolic* (statement 1 of inline policy 1)"), "{evidence}");
        let many: Vec<_> = ["s3", "ec2", "sqs", "sns", "kms", "rds", "ssm", "logs", "glue", "ecs", "eks", "ecr", "dax"]
            .map(|service| format!("{service}:*"))
            .to_vec();
        let (own, findings) = OwnPolicies::judge(read(&[&allowing(&json!(many))], &[]), &subject());
        assert!(own.evidence(&findings).contains("more"), "{}", own.evidence(&findings));
    }
}
