//! Why a required permission is missing: the statement and the condition at fault, and a remedy that is true.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use policy::{
    Applies, ConditionTopic, Gap, GapCause, PolicyDocument, PolicyReport, Principal, case_principal, check, classic,
    explain_missing,
};

fn parse(statements: &str) -> PolicyDocument {
    PolicyDocument::parse(format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{statements}]}}")).unwrap()
}

/// The report on the classic policy with further statements.
fn classic_with(statements: &str) -> PolicyReport {
    check(&[PolicyDocument::parse(classic()).unwrap(), parse(statements)], &case_principal())
}

/// The report on statements about SES, with what is needed in IAM.
fn ses_with(statements: &str) -> PolicyReport {
    let iam = r#"{"Effect":"Allow","Action":["iam:GetUser","iam:DeleteAccessKey"],"Resource":"arn:aws:iam::*:user/*"}"#;
    check(&[parse(&format!("{iam},{statements}"))], &case_principal())
}

fn gap_of<'r>(report: &'r PolicyReport, action: &str) -> &'r Gap {
    report.gaps.iter().find(|gap| gap.action == action).unwrap()
}

const MFA_DENY: &str = r#"{"Sid":"DenyUnlessMfa","Effect":"Deny","NotAction":["iam:GetUser","iam:ListMFADevices"],"Resource":"*",
    "Condition":{"BoolIfExists":{"aws:MultiFactorAuthPresent":"false"}}}"#;

#[test]
fn a_deny_is_named_with_its_condition_and_the_remedy_never_says_to_allow() {
    let report = classic_with(MFA_DENY);
    let gap = gap_of(&report, "ses:SendEmail");
    let by = gap.denied_by.as_ref().unwrap();
    assert_eq!(
        (gap.cause, by.document, by.statement, by.sid.as_deref()),
        (GapCause::Denied, 1, 0, Some("DenyUnlessMfa"))
    );
    let condition = &gap.conditions[0];
    assert_eq!(
        (condition.operator.as_str(), condition.key.as_str(), condition.topic, condition.holds, condition.effect),
        ("BoolIfExists", "aws:MultiFactorAuthPresent", ConditionTopic::Mfa, Applies::Yes, "Deny")
    );
    assert_eq!((&condition.statement, condition.values.as_slice()), (by, ["false".to_owned()].as_slice()));
    assert!(gap.explanation.contains("\"DenyUnlessMfa\"") && gap.explanation.contains("never carries MFA"), "{gap:?}");
    assert!(gap.remedy.contains("\"DenyUnlessMfa\"") && gap.remedy.contains("MFA"), "{}", gap.remedy);
}

#[test]
fn no_remedy_of_a_deny_says_to_allow() {
    for deny in [
        r#""Action":"ses:*","Resource":"*""#,
        r#""NotAction":"s3:*","Resource":"*""#,
        r#""Action":"*","Resource":"*","Condition":{"NotIpAddress":{"aws:SourceIp":"203.0.113.0/24"}}"#,
        r#""Action":"*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"StringEquals":{"ses:ApiVersion":"2"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"StringNotLike":{"ses:FromAddress":"a@*"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"ForAnyValue:StringNotLike":{"ses:Recipients":"*@a.com"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"StringNotLike":{"ses:FeedbackAddress":"a@*"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"DateGreaterThan":{"aws:CurrentTime":"2026-01-01T00:00:00Z"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"Null":{"aws:TokenIssueTime":"true"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalTag/mail":"yes"}}"#,
        r#""Action":"ses:*","Resource":"*","Condition":{"StringNotEquals":{"aws:PrincipalOrgID":"o-x"}}"#,
    ] {
        let report = classic_with(&format!("{{\"Sid\":\"Stop\",\"Effect\":\"Deny\",{deny}}}"));
        let gap = gap_of(&report, "ses:SendEmail");
        assert_eq!(
            (gap.cause, gap.denied_by.as_ref().unwrap().sid.as_deref()),
            (GapCause::Denied, Some("Stop")),
            "{deny}"
        );
        assert_eq!(gap.conditions.len(), usize::from(deny.contains("Condition")), "{deny}");
        assert!(!gap.remedy.to_lowercase().contains("allow") && gap.remedy.contains("\"Stop\""), "{}", gap.remedy);
    }
}

#[test]
fn a_certain_deny_is_named_before_a_possible_one() {
    let report = classic_with(
        r#"{"Sid":"Perhaps","Effect":"Deny","Action":"ses:*","Resource":"*","Condition":{"StringLike":{"ses:FromAddress":"a@*"}}},
           {"Sid":"Always","Effect":"Deny","Action":"ses:SendEmail","Resource":"*"}"#,
    );
    assert_eq!(gap_of(&report, "ses:SendEmail").denied_by.as_ref().unwrap().sid.as_deref(), Some("Always"));
    assert_eq!(gap_of(&report, "ses:SendRawEmail").denied_by.as_ref().unwrap().sid.as_deref(), Some("Perhaps"));
    assert_eq!(gap_of(&report, "ses:SendRawEmail").conditions[0].holds, Applies::Unknown);
}

#[test]
fn a_conditional_allow_is_named_with_what_did_not_hold() {
    for (condition, key, topic, holds) in [
        (
            r#""Bool":{"aws:MultiFactorAuthPresent":"true"}"#,
            "aws:MultiFactorAuthPresent",
            ConditionTopic::Mfa,
            Applies::No,
        ),
        (
            r#""IpAddress":{"aws:SourceIp":"203.0.113.0/24"}"#,
            "aws:SourceIp",
            ConditionTopic::SourceAddress,
            Applies::No,
        ),
        (r#""StringEquals":{"aws:sourcevpc":"vpc-1"}"#, "aws:sourcevpc", ConditionTopic::SourceAddress, Applies::No),
        (
            r#""StringEquals":{"aws:RequestedRegion":"eu-west-1"}"#,
            "aws:RequestedRegion",
            ConditionTopic::Region,
            Applies::No,
        ),
        (r#""StringEquals":{"ses:ApiVersion":"1"}"#, "ses:ApiVersion", ConditionTopic::SesApiVersion, Applies::No),
        (r#""StringEquals":{"ses:FromAddress":"a@b.c"}"#, "ses:FromAddress", ConditionTopic::Sender, Applies::Unknown),
        (
            r#""StringLike":{"ses:FromDisplayName":"A*"}"#,
            "ses:FromDisplayName",
            ConditionTopic::Sender,
            Applies::Unknown,
        ),
        (
            r#""ForAllValues:StringLike":{"ses:Recipients":"*@b.c"}"#,
            "ses:Recipients",
            ConditionTopic::Recipients,
            Applies::Unknown,
        ),
        (
            r#""StringEquals":{"ses:FeedbackAddress":"a@b.c"}"#,
            "ses:FeedbackAddress",
            ConditionTopic::ReturnPath,
            Applies::Unknown,
        ),
        (
            r#""DateLessThan":{"aws:CurrentTime":"2020-01-01T00:00:00Z"}"#,
            "aws:CurrentTime",
            ConditionTopic::Time,
            Applies::No,
        ),
        (r#""Null":{"aws:TokenIssueTime":"false"}"#, "aws:TokenIssueTime", ConditionTopic::Session, Applies::No),
        (r#""StringEquals":{"aws:PrincipalTag/x":"y"}"#, "aws:PrincipalTag/x", ConditionTopic::Tags, Applies::Unknown),
        (r#""StringEquals":{"aws:userid":"AIDA"}"#, "aws:userid", ConditionTopic::Other, Applies::Unknown),
    ] {
        let report = ses_with(&format!(
            r#"{{"Sid":"Mail","Effect":"Allow","Action":"ses:*","Resource":"*","Condition":{{{condition}}}}}"#
        ));
        let gap = gap_of(&report, "ses:SendEmail");
        let found = &gap.conditions[0];
        assert_eq!((gap.cause, gap.conditions.len()), (GapCause::Conditional, 1), "{condition}");
        assert_eq!((found.key.as_str(), found.topic, found.holds, found.effect), (key, topic, holds, "Allow"));
        assert_eq!(found.statement.sid.as_deref(), Some("Mail"));
        assert!(gap.explanation.contains("\"Mail\"") && gap.explanation.contains(key), "{}", gap.explanation);
        assert!(!gap.remedy.is_empty());
    }
}

#[test]
fn an_allow_on_other_resources_is_named() {
    let elsewhere =
        r#"{"Sid":"Frankfurt","Effect":"Allow","Action":"ses:*","Resource":"arn:aws:ses:eu-central-1:*:*"}"#;
    let report = ses_with(elsewhere);
    let gap = gap_of(&report, "ses:SendEmail");
    assert_eq!(gap.cause, GapCause::OtherResource);
    assert_eq!(gap.allowed_elsewhere[0].sid.as_deref(), Some("Frankfurt"));
    assert!(gap.remedy.contains("us-east-1"), "{}", gap.remedy);
    assert!(gap_of(&report, "ses:GetAccount").remedy.contains("called without a resource"));
}

#[test]
fn an_action_that_nothing_mentions_is_to_be_allowed() {
    let report = check(&[parse(r#"{"Effect":"Allow","Action":"ses:*","Resource":"*"}"#)], &case_principal());
    let gap = gap_of(&report, "iam:DeleteAccessKey");
    assert_eq!((gap.cause, gap.region.as_deref()), (GapCause::NotAllowed, None));
    assert_eq!(gap.remedy, "Allow iam:DeleteAccessKey on arn:aws:iam::123456789012:user/mailer.");
}

#[test]
fn a_live_denial_can_be_explained_for_any_call() {
    let documents = [PolicyDocument::parse(classic()).unwrap(), parse(MFA_DENY)];
    let identity = "arn:aws:ses:us-east-1:123456789012:identity/example.com";
    let gap = explain_missing(&documents, &case_principal(), "ses:SendEmail", identity).unwrap();
    assert_eq!((gap.cause, gap.region.as_deref()), (GapCause::Denied, Some("us-east-1")));
    assert_eq!(explain_missing(&documents[..1], &case_principal(), "ses:SendEmail", identity), None);
    let user = "arn:aws:iam::123456789012:user/mailer";
    assert_eq!(explain_missing(&documents, &case_principal(), "iam:GetUser", user), None);
}

#[test]
fn several_regions_are_asked_about_and_judged_together() {
    let in_region = |region: &str| {
        format!(r#"{{"Effect":"Allow","Action":"ses:*","Resource":"arn:aws:ses:{region}:123456789012:*"}}"#)
    };
    let documents = [parse(&[in_region("eu-west-1"), in_region("eu-central-1")].join(","))];
    let report = check(&documents, &Principal::default());
    let question = &report.questions[0];
    assert_eq!(
        (question.field, question.choices.as_slice()),
        ("region", ["eu-central-1".to_owned(), "eu-west-1".to_owned()].as_slice())
    );
    assert_eq!(
        (report.principal.region.as_str(), report.principal.other_regions.as_slice()),
        ("eu-central-1", ["eu-west-1".to_owned()].as_slice())
    );
    assert!(report.principal.assumed.contains(&"region"));
    let regions: Vec<_> =
        report.gaps.iter().filter(|gap| gap.action == "ses:GetAccount").map(|gap| gap.region.as_deref()).collect();
    assert_eq!(regions, [Some("eu-central-1"), Some("eu-west-1")]);
    assert_eq!(report.missing.iter().filter(|action| *action == "ses:GetAccount").count(), 1);

    let given = Principal { region: Some("eu-west-1".to_owned()), ..Principal::default() };
    let report = check(&documents, &given);
    assert_eq!((report.questions, report.principal.other_regions), (vec![], vec![]));
}

#[test]
fn what_names_no_region_for_sending_does_not_choose_one() {
    for statement in [
        r#"{"Effect":"Allow","Action":"ses:*","Resource":"arn:aws:ses:*:123456789012:*"}"#,
        r#"{"Effect":"Allow","Action":"ses:*","Resource":"arn:aws:ses:eu-*:123456789012:*"}"#,
        r#"{"Effect":"Allow","Action":"s3:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}"#,
        r#"{"Effect":"Allow","Action":"sns:*","Resource":"arn:aws:sns:eu-west-1:123456789012:x"}"#,
        r#"{"Effect":"Allow","Action":"ses:*","NotResource":"arn:aws:ses:eu-west-1:123456789012:*"}"#,
        r#"{"Effect":"Deny","Action":"ses:*","Resource":"arn:aws:ses:eu-west-1:123456789012:*"}"#,
        r#"{"Effect":"Allow","Action":"ses:*","Resource":"*","Condition":{"StringNotEquals":{"aws:RequestedRegion":"eu-west-1"}}}"#,
        r#"{"Effect":"Deny","Action":"ses:*","Resource":"*","Condition":{"StringEquals":{"aws:RequestedRegion":"eu-west-1"}}}"#,
    ] {
        assert_eq!(check(&[parse(statement)], &Principal::default()).principal.region, "us-east-1", "{statement}");
    }
}

#[test]
fn an_empty_or_odd_field_of_the_principal_is_no_field() {
    let with = |change: fn(&mut Principal)| {
        let mut principal = case_principal();
        change(&mut principal);
        principal
    };
    let hardened = [PolicyDocument::parse(policy::hardened("123456789012").unwrap()).unwrap()];
    let empty = with(|principal| {
        principal.identity = Some(String::new());
        principal.configuration_set = Some(String::new());
    });
    assert_eq!(check(&hardened, &empty).gaps, []);
    for (path, is_valid) in
        [("/", true), ("//", false), ("///", true), ("/a/", true), ("/a:b/", true), ("/a//b/", true), ("a/", false)]
    {
        let principal = Principal { user_path: Some(path.to_owned()), ..case_principal() };
        assert_eq!(principal.invalid_field().is_none(), is_valid, "{path}");
        if is_valid {
            let arn = check(&hardened, &principal).principal.user_arn;
            assert_eq!(arn, format!("arn:aws:iam::123456789012:user{path}mailer"));
        }
    }
    assert_eq!(with(|principal| principal.source_ip = Some("home".to_owned())).invalid_field().unwrap().0, "source_ip");
}
