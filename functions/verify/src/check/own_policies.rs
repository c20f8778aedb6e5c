//! What a key's own policies allow, if the key may read them.
//!
//! The identity-based policies decide. A permissions boundary or a service control policy removes permissions and never
//! adds any, so ignoring them can only make the verdict on what is too much too strict. The boundary is read all the same:
//! nothing is proven about a user of whom something stays unread. The required permissions were seen in calls.

use shared::policy::{
    Finding, FindingKind, FindingSource, MAX_BYTES, PolicyDocument, Principal, StatementRef, Verdict, check,
    excess_over,
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
    /// The permissions boundary's name and text, if the user has one.
    pub(crate) boundary: Option<(String, Vec<u8>)>,
    /// The ARN of AWS's quarantine policy, if it is attached.
    pub(crate) quarantine: Option<String>,
    /// Whether reading ended because AWS did not answer, so that a later try may read more.
    pub(crate) interrupted: bool,
}

/// What the policies say.
pub(crate) struct Assessment {
    /// For the report.
    pub(crate) own_policies: OwnPolicies,
    /// What is too much, or worth knowing.
    pub(crate) findings: Vec<Finding>,
    /// The identity-based policies that were read and understood.
    pub(crate) documents: Vec<PolicyDocument>,
    /// The ARN of AWS's quarantine policy, if it is attached.
    pub(crate) quarantine: Option<String>,
    /// Whether reading ended because AWS did not answer.
    pub(crate) interrupted: bool,
}

impl Assessment {
    /// Whether every policy and the boundary were read, and nothing in them is too much.
    pub(crate) fn proves(&self) -> bool {
        self.own_policies.complete && !self.findings.iter().any(Finding::is_excess)
    }

    /// A text of the policy checks with the policies' names instead of their numbers.
    pub(crate) fn name_documents(&self, text: &str) -> String {
        let named = |text: String, (index, name): (usize, &String)| {
            let number = index + 1;
            text.replace(&format!("document {number},"), &format!("{name},"))
                .replace(&format!("Document {number},"), &format!("{name},"))
        };
        self.own_policies.documents.iter().enumerate().fold(text.to_owned(), named)
    }

    /// Whether a policy that was read allows too much.
    pub(crate) fn has_static_excess(&self) -> bool {
        self.findings.iter().any(|finding| finding.is_excess() && finding.source == FindingSource::Static)
    }
}

/// How many findings, and how many unread policies, the evidence names. The report has all of them.
const MAX_LISTED: usize = 12;

/// What the policies allow that were read.
///
/// Reading itself is no fault of a key whose policies were all read and allow it: the policy checks judge it with the rest.
/// A key that may read some of its policies only proves nothing by it, and a call that AWS allowed against what the
/// policies say shows that they are not all there is: then each call is a finding of its own.
pub(crate) fn assess(texts: PolicyTexts, subject: &Principal) -> Assessment {
    let PolicyTexts { documents, mut unread, allowed, boundary, quarantine, interrupted } = texts;
    let mut names = Vec::with_capacity(documents.len());
    let mut parsed = Vec::with_capacity(documents.len());
    let not_understood = |name: &str, error: &shared::policy::ParseError| {
        let problem = &error.problems()[0];
        format!("{name}: not understood ({}, line {})", problem.class.as_str(), problem.line)
    };
    for (name, text) in documents {
        // AWS's own managed policies may be longer than those of customers.
        match PolicyDocument::parse_with_limit(text, MAX_BYTES) {
            Ok(document) => {
                names.push(name);
                parsed.push(document);
            }
            Err(error) => unread.push(not_understood(&name, &error)),
        }
    }
    if let Some((name, text)) = boundary {
        match PolicyDocument::parse_with_limit(text, MAX_BYTES) {
            // After all others: findings count the documents.
            Ok(_) => names.push(name),
            Err(error) => unread.push(not_understood(&name, &error)),
        }
    }
    let complete = unread.is_empty();
    let report = check(&parsed, subject);
    let mut findings = report.findings;
    // All that the policies allow, to find out whether they explain what AWS allowed.
    let stated = if complete { excess_over(&parsed, &[], subject) } else { Vec::new() };
    let observed: Vec<_> = allowed
        .iter()
        .filter(|(action, _)| !findings.iter().chain(&stated).any(|finding| finding.covers(action)))
        .map(|(action, resource)| Finding::observed(action, Some(resource)))
        .collect();
    findings.extend(observed);
    let own_policies = OwnPolicies {
        verdict: if findings.iter().any(Finding::is_excess) { Verdict::Overprivileged } else { report.verdict },
        complete,
        documents: names,
        unread,
        missing: complete.then_some(report.missing),
        notices: report.notices,
        findings_omitted: report.findings_omitted,
    };
    Assessment { own_policies, findings, documents: parsed, quarantine, interrupted }
}

/// The evidence of the excess check: what was read and what is too much in it, with the policies that allow it.
pub(crate) fn evidence_of(own: &OwnPolicies, findings: &[Finding]) -> String {
    let excess: Vec<_> = findings.iter().filter(|finding| finding.is_excess()).collect();
    let mut listed: Vec<_> = excess.iter().take(MAX_LISTED).map(|finding| name_statement(own, finding)).collect();
    if excess.len() > MAX_LISTED {
        listed.push(format!("and {} more", excess.len() - MAX_LISTED + own.findings_omitted));
    }
    let mut evidence =
        format!("iam:ListUserPolicies: answered; policies read: {}, {}", own.documents.len(), own.verdict.as_str(),);
    if !listed.is_empty() {
        evidence.push_str(&format!(": {}", listed.join(", ")));
    }
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
    use shared::policy::explain_missing;

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
        let name = |index: usize| format!("inline policy {index} of the user");
        PolicyTexts {
            documents: documents
                .iter()
                .enumerate()
                .map(|(index, text)| (name(index), text.as_bytes().to_vec()))
                .collect(),
            unread: unread.iter().map(|&text| text.to_owned()).collect(),
            allowed: vec![("iam:ListUserPolicies", USER.to_owned()), ("iam:GetUserPolicy", USER.to_owned())],
            ..PolicyTexts::default()
        }
    }

    fn allowing(actions: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": actions, "Resource": "*"}]})
        .to_string()
    }

    #[test]
    fn reading_is_no_fault_where_all_was_read_and_the_policies_allow_it() {
        let hardened = shared::policy::hardened("123456789012").unwrap();
        let classic = shared::policy::classic();
        let reading = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Resource": "arn:aws:iam::*:user/${aws:username}", "Action": [
                "iam:ListUserPolicies", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies", "iam:ListGroupsForUser"]},
            {"Effect": "Allow", "Resource": "arn:aws:iam::123456789012:group/*", "Action": [
                "iam:ListGroupPolicies", "iam:GetGroupPolicy", "iam:ListAttachedGroupPolicies"]},
            {"Effect": "Allow", "Resource": "*", "Action": ["iam:GetPolicy", "iam:GetPolicyVersion"]}]})
        .to_string();
        // The texts, what is unread, whether they prove that the key is harmless, and observed findings.
        let cases: [(&[&str], &[&str], bool, usize); 6] = [
            (&[&hardened], &[], true, 0),
            (&[classic, &reading], &[], true, 0),
            (&[&hardened], &["the user's groups: denied"], false, 2),
            (&[classic], &[], false, 2),
            (&[], &[], false, 2),
            (&["{"], &[], false, 2),
        ];
        for (documents, unread, proves, observed) in cases {
            let assessment = assess(texts(documents, unread), &subject());
            assert_eq!(assessment.proves(), proves, "{documents:?} {:?}", assessment.findings);
            let seen = assessment.findings.iter().filter(|finding| finding.source == FindingSource::Observed).count();
            assert_eq!(seen, observed, "{documents:?}");
        }
    }

    #[test]
    fn one_excess_in_policies_that_were_all_read_proves_nothing() {
        let hardened = shared::policy::hardened("123456789012").unwrap();
        // The hardened policy denies it, so that it takes another condition to get around that.
        let assessment =
            assess(texts(&[shared::policy::classic(), &allowing(&json!("s3:GetObject"))], &[]), &subject());
        assert!(!assessment.proves() && assessment.has_static_excess());
        let assessment = assess(texts(&[&hardened, &allowing(&json!("s3:GetObject"))], &[]), &subject());
        assert!(assessment.proves(), "its Deny takes away what another policy allows: {:?}", assessment.findings);
    }

    #[test]
    fn a_boundary_must_be_read_as_well_and_allows_nothing_itself() {
        let hardened = shared::policy::hardened("123456789012").unwrap();
        let name = "permissions boundary arn:aws:iam::123456789012:policy/b".to_owned();
        let with = |boundary: &str| {
            let boundary = Some((name.clone(), boundary.as_bytes().to_vec()));
            assess(PolicyTexts { boundary, ..texts(&[&hardened], &[]) }, &subject())
        };
        let assessment = with(&allowing(&json!("*")));
        assert!(assessment.proves(), "{:?}", assessment.findings);
        assert_eq!(assessment.own_policies.documents, ["inline policy 0 of the user".to_owned(), name.clone()]);
        assert!(!with("{").proves());
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
        let Assessment { findings, .. } = assess(texts(&[shared::policy::classic(), &text], &[]), &subject());
        let observed: Vec<_> = findings.iter().map(|finding| (finding.action.as_str(), finding.source)).collect();
        let expected = ["iam:ListUserPolicies", "iam:GetUserPolicy"].map(|action| (action, FindingSource::Observed));
        assert_eq!(observed, expected);
    }

    #[test]
    fn a_policy_that_was_not_read_or_understood_makes_the_verdict_a_lower_bound() {
        let Assessment { own_policies: own, findings, .. } =
            assess(texts(&[shared::policy::classic()], &[]), &subject());
        assert!(own.complete && own.missing.as_ref().is_some_and(Vec::is_empty));
        assert!(!evidence_of(&own, &findings).contains("at least"));
        for broken in [texts(&["{"], &[]), texts(&[], &["the user's groups"])] {
            let Assessment { own_policies: own, findings, .. } = assess(broken, &subject());
            assert!(!own.complete && own.missing.is_none(), "{own:?}");
            assert!(evidence_of(&own, &findings).contains("at least that"), "{own:?}");
        }
    }

    #[test]
    fn the_evidence_names_each_excess_and_its_policy() {
        let excess = allowing(&json!(["s3:GetObject", "iam:*UserPolic*"]));
        let Assessment { own_policies: own, findings, .. } =
            assess(texts(&[shared::policy::classic(), &excess], &[]), &subject());
        let evidence = evidence_of(&own, &findings);
        assert!(evidence.contains("policies read: 2, overprivileged: "), "{evidence}");
        assert!(evidence.contains("s3:GetObject (statement 1 of inline policy 1 of the user)"), "{evidence}");
        assert!(evidence.contains("iam:*UserPolic* (statement 1 of inline policy 1 of the user)"), "{evidence}");
        let many: Vec<_> = ["s3", "ec2", "sqs", "sns", "kms", "rds", "ssm", "logs", "glue", "ecs", "eks", "ecr", "dax"]
            .map(|service| format!("{service}:*"))
            .to_vec();
        let Assessment { own_policies: own, findings, .. } = assess(texts(&[&allowing(&json!(many))], &[]), &subject());
        assert!(evidence_of(&own, &findings).contains("more"), "{}", evidence_of(&own, &findings));
    }

    /// Whatever stands in the way of a permission, German says it sentence by sentence.
    #[test]
    fn what_keeps_a_permission_away_is_said_in_german_too() {
        let statement = |effect: &str, rest: Value| {
            let mut statement = json!({"Effect": effect, "Action": "ses:*", "Resource": "*"});
            statement.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
            json!({"Version": "2012-10-17", "Statement": [statement]}).to_string()
        };
        let many: Vec<String> = (0..9).map(|number| format!("{number}@example.com")).collect();
        let conditions = [
            ("Bool", "aws:MultiFactorAuthPresent", "true"),
            ("IpAddress", "aws:SourceIp", "192.0.2.0/24"),
            ("StringEquals", "aws:RequestedRegion", "ap-south-1"),
            ("StringEquals", "ses:ApiVersion", "1"),
            ("StringLike", "ses:FromAddress", "a. b; c (d), which holds: e."),
            ("ForAllValues:StringLike", "ses:Recipients", "*@example.com"),
            ("StringEquals", "ses:FeedbackAddress", "bounce@example.com"),
            ("DateLessThan", "aws:CurrentTime", "2020-01-01T00:00:00Z"),
            ("Null", "aws:TokenIssueTime", "false"),
            ("StringEquals", "aws:PrincipalTag/team", "mail"),
            ("StringEquals", "aws:PrincipalOrgID", "o-1"),
        ];
        let mut documents: Vec<Vec<String>> = Vec::new();
        for (operator, key, value) in conditions {
            let value = if key == "ses:Recipients" { json!(many) } else { json!(value) };
            let condition = json!({"Condition": {operator: {key: value}}});
            documents.push(vec![statement("Allow", condition.clone())]);
            let negated = match operator {
                "Bool" => json!({"Condition": {"BoolIfExists": {key: "false"}}}),
                _ => json!({"Condition": {"StringNotEqualsIfExists": {key: value}}}),
            };
            documents.push(vec![statement("Allow", json!({})), statement("Deny", negated)]);
        }
        documents.push(vec![statement("Allow", json!({})), statement("Deny", json!({"Sid": "NoMail"}))]);
        let excluding = json!({"Version": "2012-10-17",
            "Statement": [{"Effect": "Deny", "NotAction": "s3:*", "Resource": "*"}]});
        documents.push(vec![statement("Allow", json!({})), excluding.to_string()]);
        let elsewhere = "arn:aws:ses:ap-south-1:123456789012:*";
        documents.push(vec![
            statement("Allow", json!({"Resource": elsewhere})),
            statement("Allow", json!({"Resource": elsewhere})),
        ]);
        documents.push(vec![statement("Allow", json!({"Action": "s3:*"}))]);
        let words = crate::page::Words::of(crate::page::Language::German);
        let mut gaps = 0;
        for documents in &documents {
            let documents: Vec<&str> = documents.iter().map(String::as_str).collect();
            let assessment = assess(texts(&documents, &[]), &subject());
            let identity = "arn:aws:ses:eu-central-1:123456789012:identity/example.com";
            for (action, resource) in [("ses:SendEmail", identity), ("ses:GetAccount", "*")] {
                let Some(gap) = explain_missing(&assessment.documents, &subject(), action, resource) else { continue };
                let said = assessment.name_documents(&format!("{} {}", gap.explanation, gap.remedy));
                assert!(words.knows_remedy(&said), "{said}");
                let german = words.remedy(&said);
                for english in [" is ", " the ", "statement", "which holds:"] {
                    let of_policy = english == "which holds:" && german.contains("a. b; c (d), which holds: e.");
                    assert!(of_policy || !german.contains(english), "{english}: {german}");
                }
                gaps += 1;
            }
        }
        assert!(gaps > 40, "{gaps}");
    }
}
