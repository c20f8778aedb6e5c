//! The upper bound is one, whatever the documentation leaves open, and notices look where the policies point.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use policy::{
    AuthorizationRequest, FindingKind, PolicyDocument, PolicyReport, ProblemClass, RequestContext, Verdict,
    case_principal, check, classic, is_excess, may_allow, optional_actions, required_actions,
};

fn parse(statements: &[&str]) -> PolicyDocument {
    PolicyDocument::parse(format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{}]}}", statements.join(","))).unwrap()
}

fn allow(action: &str, resource: &str) -> String {
    format!("{{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}")
}

fn deny(element: &str, resource: &str) -> String {
    format!("{{\"Effect\":\"Deny\",\"Action\":\"*\",\"{element}\":\"{resource}\"}}")
}

fn is_allowed(statements: &[&str], resource: &str) -> bool {
    let context = RequestContext::partial();
    may_allow(&[parse(statements)], &AuthorizationRequest { action: "sns:Publish", resource, context: &context })
}

fn report_on(statements: &[&str]) -> PolicyReport {
    check(&[parse(statements)], &case_principal())
}

/// A topic with a colon in its name, so that a star of the account's field may or may not reach over it.
const TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:a:topic";
const DOUBTFUL: &str = "arn:aws:sns:us-east-1:*:topic";

#[test]
fn an_unknown_variable_may_stand_for_colons() {
    for pattern in [
        "arn:aws:sns:us-east-1:${aws:PrincipalTag/x}opic",
        "arn:aws:sns:${aws:PrincipalTag/x}-1:123456789012:a:topic",
        "arn:aws:${aws:PrincipalTag/x}topic",
        "arn:aws:sns:us-east-1:1${aws:PrincipalTag/x}:topic",
    ] {
        assert!(is_allowed(&[&allow("sns:*", pattern)], TOPIC), "{pattern}");
    }
    assert!(!is_allowed(&[&allow("sns:*", "arn:aws:sns:us-east-1:${aws:PrincipalTag/x}x")], TOPIC));
}

#[test]
fn a_deny_takes_away_only_what_it_covers_under_every_reading() {
    let everything = allow("sns:*", "*");
    assert!(is_allowed(&[&allow("sns:*", DOUBTFUL)], TOPIC), "an allow counts at its widest");
    assert!(is_allowed(&[&everything, &deny("Resource", DOUBTFUL)], TOPIC), "a deny at its narrowest");
    assert!(!is_allowed(&[&everything, &deny("Resource", "arn:aws:sns:us-east-1:*:a:topic")], TOPIC));
    // The exception of a deny spares what it may cover.
    assert!(is_allowed(&[&everything, &deny("NotResource", DOUBTFUL)], TOPIC));
    assert!(!is_allowed(&[&everything, &deny("NotResource", "arn:aws:sns:us-east-1:*:other")], TOPIC));
    // The exception of an allow spares only what it certainly covers.
    let all_but = format!("{{\"Effect\":\"Allow\",\"Action\":\"sns:*\",\"NotResource\":\"{DOUBTFUL}\"}}");
    assert!(is_allowed(&[&all_but], TOPIC));

    let documents = [parse(&[&everything, &deny("Resource", DOUBTFUL)])];
    assert!(is_excess(&documents, &case_principal(), "sns:Publish", TOPIC));
    assert_eq!(check(&documents, &case_principal()).verdict, Verdict::Overprivileged);
}

#[test]
fn a_path_with_a_colon_exists() {
    for (action, resource) in [
        ("iam:PutUserPolicy", "arn:aws:iam::*:user/a:b/*"),
        ("iam:PutUserPolicy", "arn:aws:iam::*:user/a:*"),
        ("iam:CreateAccessKey", "arn:aws:iam::123456789012:user/a:b/c"),
        ("sts:AssumeRole", "arn:aws:iam::*:role/a:b/*"),
        ("iam:PutGroupPolicy", "arn:aws:iam::*:group/*:/admins"),
        ("iam:CreatePolicyVersion", "arn:aws:iam::*:policy/a:b/c"),
    ] {
        let documents = [PolicyDocument::parse(classic()).unwrap(), parse(&[&allow(action, resource)])];
        let report = check(&documents, &case_principal());
        assert_eq!(report.verdict, Verdict::Overprivileged, "{action} on {resource}");
        assert_eq!((report.findings[0].action.as_str(), report.findings[0].kind), (action, FindingKind::Excess));
    }
}

#[test]
fn notices_look_where_the_policies_point() {
    let has =
        |report: &PolicyReport, action: &str| report.notices.iter().find(|notice| notice.action == action).cloned();
    for resource in [
        "arn:aws:ses:us-east-1:123456789012:identity/shop.example.org",
        "arn:aws:ses:us-east-1:123456789012:identity/*.example.org",
        "arn:aws:ses:*:*:identity/${aws:PrincipalTag/domain}",
        "arn:aws:ses:eu-west-1:*:*",
    ] {
        let report = report_on(&[&allow("ses:*", resource)]);
        let notice = has(&report, "ses:CreateEmailIdentityPolicy").unwrap_or_else(|| panic!("{resource}: {report:?}"));
        assert!(notice.resource.unwrap().contains(":identity/"), "{resource}");
    }
    let sets = report_on(&[&allow("ses:*", "arn:aws:ses:*:123456789012:configuration-set/mail-*")]);
    assert!(has(&sets, "ses:DeleteConfigurationSet").is_some(), "{:?}", sets.notices);
    let others = report_on(&[&allow("iam:DeleteAccessKey", "arn:aws:iam::*:user/team/*")]);
    assert!(has(&others, "iam:DeleteAccessKey").unwrap().resource.unwrap().contains("user/team/"));
    let own = report_on(&[&allow("iam:DeleteAccessKey", "arn:aws:iam::*:user/*/${aws:username}")]);
    assert!(has(&own, "iam:DeleteAccessKey").is_none());
    let sends = report_on(&[&allow("ses:SendEmail", "arn:aws:ses:us-east-1:123456789012:identity/shop.example.org")]);
    assert!(has(&sends, "sts:GetSessionToken").is_some(), "{:?}", sends.notices);
}

#[test]
fn an_exception_covers_what_it_does_not_list_and_doubt_covers_nothing() {
    let report = report_on(&[r#"{"Effect":"Allow","NotAction":["iam:*","s3:Get*"],"Resource":"*"}"#]);
    let covers = |action: &str| report.findings.iter().any(|finding| finding.covers(action));
    assert!(covers("s3:PutObject") && covers("ec2:RunInstances"));
    assert!(!covers("iam:ListUserPolicies") && !covers("s3:GetObject"), "an observed call is a finding of its own");

    // More than the budget decides: the finding stands for what was not looked at, and explains no call.
    let action = |number: usize| format!("\"iam:*{}\"", "a?*".repeat(20 + number % 20));
    let many: Vec<String> = (0..60).map(action).collect();
    let statement =
        format!("{{\"Effect\":\"Allow\",\"Action\":[{}],\"Resource\":\"arn:aws:iam::*:role/*a?*b\"}}", many.join(","));
    let documents: Vec<PolicyDocument> = (0..40).map(|_| parse(&[&statement])).collect();
    let findings = check(&documents, &case_principal()).findings;
    assert!(findings.iter().any(|finding| finding.kind == FindingKind::Undecided && finding.pattern.is_none()));
    for finding in findings {
        assert!(finding.pattern.is_some() || !finding.covers("iam:ListUserPolicies"), "{finding:?}");
    }
}

#[test]
fn a_wrong_version_or_id_hides_no_other_problem() {
    let classes = |text: &str| -> Vec<ProblemClass> {
        PolicyDocument::parse(text).unwrap_err().problems().iter().map(|problem| problem.class).collect()
    };
    let rest = r#""Statement":[{"Effect":"allow","Action":"ses","Resource":"${aws:username"}]"#;
    let of_rest = [ProblemClass::InvalidEffect, ProblemClass::ActionFormat, ProblemClass::VariableSyntax];
    for (head, first) in [
        (r#""Version":"2012-10-18""#, ProblemClass::InvalidVersion),
        (r#""Version":7"#, ProblemClass::DataType),
        (r#""Version":"2012-10-17","Id":["x"]"#, ProblemClass::DataType),
        (r#""Version":"2012-10-17","Id":"x""#, ProblemClass::IdInIdentityPolicy),
        (r#""Version":"2012-10-17","Od":"x""#, ProblemClass::UnknownElement),
    ] {
        assert_eq!(classes(&format!("{{{head},{rest}}}")), [&[first], &of_rest[..]].concat(), "{head}");
    }
    assert_eq!(
        classes(r#"{"Version":"x","Id":7}"#),
        [ProblemClass::InvalidVersion, ProblemClass::DataType, ProblemClass::MissingStatement]
    );
    let both = r#"{"Version":"2012-10-17","Statement":{"Effect":"Allow","Action":"ses","NotAction":[],"Resource":"x","NotResource":"y"}}"#;
    assert_eq!(
        classes(both),
        [
            ProblemClass::ElementCombination,
            ProblemClass::ActionFormat,
            ProblemClass::EmptyArray,
            ProblemClass::ElementCombination,
            ProblemClass::ResourceFormat,
            ProblemClass::ResourceFormat
        ]
    );
    let long = format!("{{\"Statement\":[],\"Id\":\"{}\"}}", "x".repeat(policy::MAX_CHARACTERS));
    assert_eq!(
        classes(&long),
        [ProblemClass::OverSize, ProblemClass::IdInIdentityPolicy, ProblemClass::MissingStatement]
    );
}

#[test]
fn a_character_is_told_with_its_place() {
    let error = PolicyDocument::parse("{\n \"Version\": \"2012‑10‑17\", \"Statement\": []}").unwrap_err();
    let problem = &error.problems()[0];
    assert_eq!((problem.class, problem.line, problem.column), (ProblemClass::InvalidCharacter, 2, 18));
    assert!(problem.message.contains("U+2011"), "{}", problem.message);
    assert_eq!(error.problems()[2].class, ProblemClass::InvalidVersion);
}

#[test]
fn the_lists_of_actions_are_those_of_the_published_policies() {
    let widest = policy::published(policy::HARDENED_PAUSE_VERSION).unwrap().document("123456789012").unwrap();
    let hardened = [PolicyDocument::parse(widest).unwrap()];
    let allowed: Vec<&str> = hardened[0]
        .statements()
        .iter()
        .filter(|statement| statement.effect() == policy::Effect::Allow)
        .flat_map(|statement| statement.actions())
        .collect();
    let mut listed: Vec<&str> = required_actions().chain(optional_actions()).collect();
    let mut written = allowed;
    listed.sort_unstable();
    written.sort_unstable();
    assert_eq!(listed, written);
    assert!(required_actions().all(|action| optional_actions().all(|optional| action != optional)));
}
