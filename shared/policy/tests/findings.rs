//! Findings and notices: severity, statement at fault, and what they do not report.
#![expect(clippy::unwrap_used, reason = "a test may panic")]

use policy::{
    AuthorizationRequest, Decision, Finding, FindingKind, FindingSource, PolicyDocument, PolicyReport, Principal,
    RequestContext, Severity, Verdict, case_principal, check, classic, evaluate, excess_over, hardened, published,
};

fn check_with(extra: &str) -> PolicyReport {
    let text = format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{extra}]}}");
    check(&[PolicyDocument::parse(classic()).unwrap(), PolicyDocument::parse(text).unwrap()], &case_principal())
}

fn allow(action: &str, resource: &str) -> String {
    format!("{{\"Effect\":\"Allow\",\"Action\":\"{action}\",\"Resource\":\"{resource}\"}}")
}

#[test]
fn severity_follows_what_a_thief_could_do() {
    let own = "arn:aws:iam::*:user/${aws:username}";
    for (action, resource, severity) in [
        ("*", "*", Severity::Critical),
        ("iam:PutUserPolicy", own, Severity::Critical),
        ("iam:P*U*rPolicy", own, Severity::Critical),
        ("iam:CreateAccessKey", own, Severity::Critical),
        ("iam:DeleteUserPermissionsBoundary", own, Severity::Critical),
        ("sts:AssumeRole", "*", Severity::Critical),
        ("sts:AssumeRole", "arn:aws:iam::123456789012:role/one", Severity::High),
        ("iam:UpdateAccessKey", own, Severity::High),
        ("iam:TagUser", own, Severity::High),
        ("kms:Decrypt", "*", Severity::High),
        ("s3:GetObject", "*", Severity::High),
        ("sns:*", "*", Severity::High),
        ("sns:AddPermission", "*", Severity::High),
        ("sns:Publish", "*", Severity::Medium),
        ("iam:DeleteUser", own, Severity::Medium),
        ("iam:GetRolePolicy", "*", Severity::Medium),
        ("iam:GetUserPolicy", own, Severity::Low),
        ("iam:ListAccessKeys", own, Severity::Low),
        ("s3:ListBucket", "*", Severity::Low),
        ("sesv2:SendEmail", "*", Severity::Low),
    ] {
        let report = check_with(&allow(action, resource));
        assert_eq!(report.verdict, Verdict::Overprivileged, "{action}");
        assert_eq!(report.findings[0].severity, severity, "{action} on {resource}");
    }
}

#[test]
fn a_finding_names_statement_pattern_witness_and_condition() {
    let conditional = "{\"Sid\":\"Keys\",\"Effect\":\"Allow\",\"Action\":[\"ses:GetAccount\",\"iam:?reateAccess*\"],\"Resource\":\"arn:aws:iam::*:user/${aws:username}\",\
                       \"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"203.0.113.0/24\"}}}";
    let report = check_with(&format!("{},{conditional}", allow("ses:GetAccount", "*")));
    let finding = &report.findings[0];
    let statement = finding.statement.as_ref().unwrap();
    assert_eq!((statement.document, statement.statement, statement.sid.as_deref()), (1, 1, Some("Keys")));
    assert_eq!(finding.pattern.as_deref(), Some("iam:?reateAccess*"));
    assert_eq!(
        (finding.action.as_str(), finding.resource.as_deref()),
        ("iam:CreateAccessKey", Some("arn:aws:iam::123456789012:user/mailer"))
    );
    assert!(finding.conditional && finding.source == FindingSource::Static);
    assert!(finding.explanation.contains("stays when ours is deleted"), "{}", finding.explanation);
}

#[test]
fn a_pattern_for_future_actions_is_latent_and_no_excess() {
    let report = check_with(&allow("iam:DeleteAccessKey*", "arn:aws:iam::*:user/${aws:username}"));
    assert_eq!(report.verdict, Verdict::Sufficient);
    let kinds: Vec<(FindingKind, Severity)> =
        report.findings.iter().map(|finding| (finding.kind, finding.severity)).collect();
    assert_eq!(kinds, [(FindingKind::Latent, Severity::Low)]);
}

#[test]
fn the_classic_policy_is_accepted_with_notices_and_the_hardened_one_without() {
    let report = check(&[PolicyDocument::parse(classic()).unwrap()], &case_principal());
    assert_eq!((report.verdict, report.findings.len()), (Verdict::Sufficient, 0));
    for action in ["ses:CreateEmailIdentityPolicy", "iam:DeleteAccessKey", "sts:GetSessionToken"] {
        assert!(
            report.notices.iter().any(|notice| notice.action == action && notice.kind == FindingKind::Notice),
            "{action}"
        );
    }
    let principal = Principal { configuration_set: Some("sendingbee-events".to_owned()), ..case_principal() };
    let report = check(&[PolicyDocument::parse(hardened("123456789012").unwrap()).unwrap()], &principal);
    assert_eq!((report.verdict, report.findings, report.notices), (Verdict::Minimal, vec![], vec![]));
}

#[test]
fn the_permission_to_pause_sending_is_within_bounds_and_said_to_be_there() {
    let principal = Principal { configuration_set: Some("sendingbee-events".to_owned()), ..case_principal() };
    let text = published(policy::HARDENED_PAUSE_VERSION).unwrap().document("123456789012").unwrap();
    let report = check(&[PolicyDocument::parse(text).unwrap()], &principal);
    assert_eq!((report.verdict, report.findings), (Verdict::Minimal, vec![]));
    let notices: Vec<&str> = report.notices.iter().map(|notice| notice.action.as_str()).collect();
    assert_eq!(notices, ["ses:PutAccountSendingAttributes"]);
}

#[test]
fn the_permission_to_send_templates_is_within_bounds_and_no_key_needs_it() {
    let principal = Principal { configuration_set: Some("sendingbee-events".to_owned()), ..case_principal() };
    for (version, allowed) in [("hardened-2", false), (policy::HARDENED_VERSION, true)] {
        let document = PolicyDocument::parse(published(version).unwrap().document("123456789012").unwrap()).unwrap();
        let report = check(std::slice::from_ref(&document), &principal);
        assert_eq!((report.verdict, report.findings), (Verdict::Minimal, vec![]), "{version}");
        let allows = |account: &str, resource: &str| {
            let context = RequestContext::new().with("aws:username", "mailer");
            let resource = format!("arn:aws:ses:us-east-1:{account}:{resource}");
            let request =
                AuthorizationRequest { action: "ses:SendTemplatedEmail", resource: &resource, context: &context };
            evaluate(std::slice::from_ref(&document), &request).decision == Decision::Allowed
        };
        for resource in ["identity/example.com", "configuration-set/sendingbee-events", "template/welcome"] {
            assert_eq!(allows("123456789012", resource), allowed, "{version}: {resource}");
            assert!(!allows("210987654321", resource), "{version}: {resource}");
        }
        assert!(!allows("123456789012", "configuration-set/theirs"), "{version}");
    }
}

#[test]
fn the_permission_to_configure_is_within_bounds_and_names_our_configuration_sets_only() {
    let principal = Principal { configuration_set: Some("sendingbee-events".to_owned()), ..case_principal() };
    for (version, notices) in [
        (policy::HARDENED_CONFIGURE_VERSION, vec!["ses:DeleteConfigurationSet"]),
        (
            policy::HARDENED_CONFIGURE_PAUSE_VERSION,
            vec!["ses:DeleteConfigurationSet", "ses:PutAccountSendingAttributes"],
        ),
    ] {
        let text = published(version).unwrap().document("123456789012").unwrap();
        let document = PolicyDocument::parse(text).unwrap();
        let report = check(std::slice::from_ref(&document), &principal);
        assert_eq!(report.findings, vec![], "{version}");
        let found: Vec<&str> = report.notices.iter().map(|notice| notice.action.as_str()).collect();
        assert_eq!(found, notices, "{version}");
        let ours = "arn:aws:ses:us-east-1:123456789012:configuration-set/sendingbee-prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let allows = |action: &str, resource: &str| {
            let context = RequestContext::new().with("aws:username", "mailer");
            let request = AuthorizationRequest { action, resource, context: &context };
            evaluate(std::slice::from_ref(&document), &request).decision == Decision::Allowed
        };
        for action in [
            "ses:CreateConfigurationSet",
            "ses:TagResource",
            "ses:GetConfigurationSet",
            "ses:PutConfigurationSetDeliveryOptions",
            "ses:PutConfigurationSetSuppressionOptions",
            "ses:DeleteConfigurationSet",
        ] {
            assert!(allows(action, ours), "{action}");
            assert!(!allows(action, &ours.replace("sendingbee-", "theirs-")), "{action}");
        }
        let domain = "arn:aws:ses:us-east-1:123456789012:identity/example.com";
        assert!(allows("ses:GetEmailIdentity", domain));
        for action in ["ses:PutEmailIdentityConfigurationSetAttributes", "ses:DeleteEmailIdentity", "ses:TagResource"] {
            assert!(!allows(action, domain), "{action}");
        }
    }
}

#[test]
fn a_user_with_a_path_is_served_by_the_pair_of_resources() {
    let principal =
        Principal { user_path: Some("/service/mail/".to_owned()), configuration_set: None, ..case_principal() };
    let report = check(&[PolicyDocument::parse(hardened("123456789012").unwrap()).unwrap()], &principal);
    assert_eq!(
        (report.verdict, report.principal.user_arn.as_str()),
        (Verdict::Minimal, "arn:aws:iam::123456789012:user/service/mail/mailer")
    );
}

#[test]
fn what_is_not_given_is_taken_from_the_policy_and_reported_as_assumed() {
    let own = "arn:aws:iam::210987654321:user/team/sender";
    let text =
        format!("{{\"Version\":\"2012-10-17\",\"Statement\":[{},{}]}}", allow("ses:*", "*"), allow("iam:GetUser", own));
    let report = check(&[PolicyDocument::parse(text).unwrap()], &Principal::default());
    assert_eq!(report.principal.user_arn, own);
    assert_eq!(report.principal.assumed, ["account_id", "user_name", "user_path", "region"]);
    assert_eq!(report.missing, ["iam:DeleteAccessKey"]);
    assert!(report.gaps[0].explanation.contains("No statement allows"), "{}", report.gaps[0].explanation);
}

#[test]
fn the_classic_policy_is_the_ceiling_in_every_partition() {
    let text = classic().replace("arn:aws:", "arn:aws-cn:");
    let principal = Principal { region: Some("cn-north-1".to_owned()), ..case_principal() };
    assert_eq!(check(&[PolicyDocument::parse(text).unwrap()], &principal).verdict, Verdict::Sufficient);
}

#[test]
fn an_allow_in_another_partition_is_compared_there() {
    assert_eq!(check_with(&allow("iam:GetUser", "arn:aws-cn:iam::*:user/*")).verdict, Verdict::Sufficient);
    let report = check_with(&allow("iam:CreateAccessKey", "arn:aws-cn:iam::*:user/*"));
    let witness: Vec<String> = report.excess().map(|witness| witness.resource).collect();
    assert_eq!(witness, ["arn:aws-cn:iam::123456789012:user/x"]);
}

#[test]
fn the_severity_of_a_finding_depends_on_its_own_statement() {
    let roles = ["one", "other"].map(|role| allow("sts:AssumeRole", &format!("arn:aws:iam::123456789012:role/{role}")));
    let report = check_with(&[roles.join(","), allow("sts:AssumeRole", "*")].join(","));
    let severities: Vec<Severity> = report.findings.iter().map(|finding| finding.severity).collect();
    assert_eq!(severities, [Severity::Critical, Severity::High, Severity::High]);
}

#[test]
fn a_finding_covers_what_its_pattern_matches() {
    let report = check_with(&allow("iam:Get*Policy", "*"));
    let covers = |action: &str| report.findings.iter().any(|finding| finding.covers(action));
    assert!(covers("iam:GetUserPolicy") && covers("IAM:getrolepolicy"));
    assert!(!covers("iam:GetUser") && !covers("iam:ListUserPolicies"));
    let observed = Finding::observed("iam:ListUsers", None);
    assert!(observed.covers("iam:listusers") && !observed.covers("iam:ListRoles"));
    let text = r#"{"Effect":"Allow","NotAction":"iam:*","Resource":"*"}"#;
    assert!(check_with(text).findings.iter().any(|finding| finding.covers("s3:GetObject")));
}

#[test]
fn any_two_policies_can_be_compared() {
    let read = |text: &str| [PolicyDocument::parse(text).unwrap()];
    let narrow = read(&published("hardened-1").unwrap().document("123456789012").unwrap());
    let wide = read(classic());
    assert_eq!(excess_over(&narrow, &wide, &case_principal()), vec![]);
    let over = excess_over(&wide, &narrow, &case_principal());
    assert!(over.iter().all(Finding::is_excess) && !over.is_empty());
}

#[test]
fn a_probe_makes_a_finding_of_the_same_form() {
    let finding = Finding::observed("dynamodb:ListTables", Some("*"));
    assert_eq!(
        (finding.kind, finding.severity, finding.source),
        (FindingKind::Excess, Severity::Low, FindingSource::Observed)
    );
    let json = serde_json::to_value(&finding).unwrap();
    assert_eq!(
        (&json["kind"], &json["source"], &json["severity"]),
        (&"excess".into(), &"observed".into(), &"low".into())
    );
}
