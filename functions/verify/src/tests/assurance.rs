//! How well a key is known to do nothing else, and what finding that out costs the tenant's account.

use serde_json::{Value, json};
use shared::testing::FakeResponse;

use crate::fixtures::failure::{EXPLICIT, NO_ALLOW};
use crate::fixtures::fake_aws::{
    ACCOUNT, FakeAws, denial, denied, ec2_error, iam, identities, json_error, no_such_key, not_verified, query_error,
    s3_error,
};
use crate::fixtures::{create, json_of, outcomes, post, submission, try_verify, verify_requiring};
use crate::verification::MAX_DENIALS;

const QUARANTINE: &str = "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2";

/// The check of this name.
fn check<'a>(report: &'a Value, name: &str) -> &'a Value {
    report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap()
}

/// The user's own policies as IAM returns them: these inline ones, these managed ones, and no groups.
fn readable(aws: &FakeAws, inline: &[&str], managed: &[&str]) {
    let members = |names: Vec<String>| names.iter().map(|name| format!("<member>{name}</member>")).collect::<String>();
    let encoded = |text: &str| text.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    let names = members((0..inline.len()).map(|index| format!("p{index}")).collect());
    let documents: Vec<_> = inline
        .iter()
        .map(|text| {
            let fields = format!(
                "<UserName>mailer</UserName><PolicyName>p</PolicyName><PolicyDocument>{}</PolicyDocument>",
                encoded(text)
            );
            iam("GetUserPolicy", &fields)
        })
        .collect();
    let attached = members(managed.iter().map(|arn| format!("<PolicyArn>{arn}</PolicyArn>")).collect());
    let ends = "<IsTruncated>false</IsTruncated>";
    aws.answer(
        "tenant:ListUserPolicies",
        iam("ListUserPolicies", &format!("<PolicyNames>{names}</PolicyNames>{ends}")),
    );
    aws.answer_in_turn("tenant:GetUserPolicy", documents);
    let attached = format!("<AttachedPolicies>{attached}</AttachedPolicies>{ends}");
    aws.answer("tenant:ListAttachedUserPolicies", iam("ListAttachedUserPolicies", &attached));
    aws.answer("tenant:ListGroupsForUser", iam("ListGroupsForUser", &format!("<Groups/>{ends}")));
    aws.answer("tenant:GetPolicy", iam("GetPolicy", "<Policy><DefaultVersionId>v1</DefaultVersionId></Policy>"));
    let deny = r#"{"Version":"2012-10-17","Statement":{"Effect":"Deny","Action":"iam:CreateUser","Resource":"*"}}"#;
    let version = format!("<PolicyVersion><Document>{}</Document></PolicyVersion>", encoded(deny));
    aws.answer("tenant:GetPolicyVersion", iam("GetPolicyVersion", &version));
}

fn hardened() -> String {
    shared::policy::hardened(ACCOUNT).unwrap()
}

/// Submits a key to a handler that requires this assurance.
async fn post_requiring(aws: &FakeAws, assurance: &str) -> (i64, Value) {
    let response = verify_requiring(aws, assurance).handle(create(&submission(), None)).await;
    (response.status_code, json_of(&response))
}

/// A key of each assurance.
fn keys() -> [(&'static str, FakeAws); 3] {
    let proven = FakeAws::new();
    readable(&proven, &[&hardened()], &[]);
    [("observed", FakeAws::classic()), ("explicitly_denied", FakeAws::new()), ("proven", proven)]
}

#[tokio::test(start_paused = true)]
async fn what_is_required_says_which_keys_are_taken() {
    let words = ["observed", "explicitly_denied", "proven"];
    for (required, word) in words.into_iter().enumerate() {
        for (index, (assurance, aws)) in keys().into_iter().enumerate() {
            let (status, answer) = post_requiring(&aws, word).await;
            if index >= required {
                assert_eq!((status, &answer["assurance"]), (201, &json!(assurance)), "{word}: {answer}");
                let (bodies, stored) = aws.own_traffic();
                assert!(
                    bodies.last().unwrap().contains(&format!("\\\"assurance\\\":\\\"{assurance}\\\"")),
                    "{bodies:?}"
                );
                assert!(stored.contains(&format!(r#""assurance":{{"S":"{assurance}"}}"#)), "{stored}");
            } else {
                assert_eq!(status, 422, "{word}: {answer}");
                assert_eq!(outcomes(&answer["report"], "failed"), ["assurance"]);
                let remedy = check(&answer["report"], "assurance")["remedy"].as_str().unwrap();
                assert!(remedy.contains(shared::policy::HARDENED_VERSION), "{remedy}");
                assert_eq!(aws.count("own:TransactWriteItems"), 0);
            }
        }
    }
}

#[tokio::test]
async fn no_start_without_a_known_word_for_what_is_required() {
    let aws = FakeAws::new();
    for (setting, told) in [("", "REQUIRED_ASSURANCE"), ("Proven", "must be observed, explicitly_denied or proven")] {
        let Err(error) = try_verify(&aws, setting) else { panic!("it starts with {setting:?}") };
        assert!(error.to_string().contains(told), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_whose_policies_were_all_read_is_proven_and_not_probed() {
    let [_, _, (_, aws)] = keys();
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, &view["assurance"]), (201, &json!("proven")), "{view}");
    assert_eq!(outcomes(&view["report"], "warning"), Vec::<String>::new());
    assert_eq!(outcomes(&view["report"], "unknown"), ["default_configuration_set", "second_key"]);
    assert_eq!((&view["report"]["sessions_denied"], &view["report"]["findings"]), (&json!(true), &json!([])));
    let calls: Vec<_> = aws.calls().into_iter().filter(|call| call.starts_with("tenant:")).collect();
    let read = ["ListUserPolicies", "GetUserPolicy", "ListAttachedUserPolicies", "ListGroupsForUser"];
    let expected: Vec<_> =
        ["GetCallerIdentity", "GetUser", "DeleteAccessKey", "GetAccount", "SendEmail", "DeleteAccessKey elsewhere"]
            .into_iter()
            .chain(read)
            .map(|operation| format!("tenant:{operation}"))
            .collect();
    assert_eq!((calls, aws.denials()), (expected, 1));
}

/// The classic policy allows sessions: the report says so, and nothing of the session that was minted is anywhere.
#[tokio::test(start_paused = true)]
async fn sessions_that_outlive_the_key_are_a_warning() {
    let aws = FakeAws::classic();
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!(
        (status, outcomes(&view["report"], "warning")),
        (201, vec!["breadth".to_owned(), "sessions".to_owned()])
    );
    assert_eq!(view["report"]["sessions_denied"], false);
    assert!(check(&view["report"], "sessions")["remedy"].as_str().unwrap().contains("36 hours"));
    let (bodies, stored) = aws.own_traffic();
    assert!(!format!("{view} {bodies:?} {stored}").contains("MARKER"));

    let aws = FakeAws::classic();
    let dead = json_error(403, "AccessDeniedException", &denial("ses:GetAccount", "*", EXPLICIT));
    let account = crate::fixtures::fake_aws::account(true, true, "HEALTHY");
    aws.answer_in_turn("tenant:GetAccount", vec![account, dead]);
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, &view["report"]["sessions_denied"]), (201, &json!(true)));
}

/// Each permission that a probe looks for, with everything else as under the classic policy.
#[tokio::test(start_paused = true)]
async fn whatever_a_probe_finds_refuses_the_key_and_is_the_witness() {
    let dry = ec2_error(412, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
    let ok = |text: &str| (200, text.to_owned());
    let cases: Vec<(&'static str, FakeResponse, &str)> = vec![
        ("tenant:UpdateAccessKey", no_such_key(), "iam:UpdateAccessKey"),
        (
            "tenant:AttachUserPolicy",
            query_error(404, "NoSuchEntity", "Policy x does not exist or is not attachable."),
            "iam:AttachUserPolicy",
        ),
        (
            "tenant:CreateAccessKey",
            query_error(404, "NoSuchEntity", "The user with name x cannot be found."),
            "iam:CreateAccessKey",
        ),
        (
            "tenant:PutUserPolicy",
            query_error(404, "NoSuchEntity", "The user with name x cannot be found."),
            "iam:PutUserPolicy",
        ),
        (
            "tenant:AddUserToGroup",
            query_error(404, "NoSuchEntity", "The group with name x cannot be found."),
            "iam:AddUserToGroup",
        ),
        (
            "tenant:UpdateLoginProfile",
            query_error(404, "NoSuchEntity", "Login Profile for User mailer cannot be found."),
            "iam:UpdateLoginProfile",
        ),
        ("tenant:ListBuckets", ok("<ListAllMyBucketsResult/>"), "s3:ListAllMyBuckets"),
        ("tenant:ListSecrets", ok("{}"), "secretsmanager:ListSecrets"),
        ("tenant:ListFunctions", ok("{}"), "lambda:ListFunctions"),
        ("tenant:DescribeRegions", dry, "ec2:DescribeRegions"),
        ("tenant:ListKeys", ok("{}"), "kms:ListKeys"),
        ("tenant:ListTables", ok("{}"), "dynamodb:ListTables"),
    ];
    for (operation, answer, witness) in cases {
        let aws = FakeAws::classic();
        aws.answer(operation, answer);
        let (status, problem, _) = post(&aws, &submission(), None).await;
        assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["excess".to_owned()]), "{witness}");
        assert_eq!(check(&problem["report"], "excess")["evidence"], format!("allowed: {witness}"));
        let findings = problem["report"]["findings"].as_array().unwrap();
        assert!(findings.iter().any(|finding| finding["action"] == witness && finding["source"] == "observed"));
        assert!(problem["report"].get("assurance").is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn a_key_that_manages_its_own_keys_shows_the_second_one_shortened() {
    let aws = FakeAws::classic();
    let member = |id: &str| {
        format!(
            "<member><UserName>mailer</UserName><AccessKeyId>{id}</AccessKeyId><Status>Active</Status><CreateDate>2026-01-01T00:00:00Z</CreateDate></member>"
        )
    };
    let keys = [crate::fixtures::fake_aws::KEY_ID, "AKIASP2TPHJSQH3FJABC"].map(member).concat();
    let list = format!("<AccessKeyMetadata>{keys}</AccessKeyMetadata><IsTruncated>false</IsTruncated>");
    aws.answer("tenant:ListAccessKeys", iam("ListAccessKeys", &list));
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["excess".to_owned()]));
    let second = check(&problem["report"], "second_key");
    assert_eq!(second["outcome"], "warning");
    assert!(second["evidence"].as_str().unwrap().ends_with("AKIA…JABC, active"), "{second}");
    assert!(!problem.to_string().contains("AKIASP2TPHJSQH3FJABC"));
}

/// A service that the account does not have must not leave the key undecided for ever.
#[tokio::test(start_paused = true)]
async fn services_that_are_not_subscribed_or_not_enabled_allow_nothing() {
    let aws = FakeAws::classic();
    aws.answer("tenant:ListBuckets", s3_error(403, "NotSignedUp", "Your account is not signed up for the S3 service."));
    aws.answer("tenant:DescribeRegions", ec2_error(401, "OptInRequired", "You are not subscribed to this service."));
    let text = "The AWS Access Key Id needs a subscription for the service";
    aws.answer("tenant:ListFunctions", json_error(403, "SubscriptionRequiredException", text));
    let unknown = "The security token included in the request is invalid.";
    aws.answer("tenant:ListSecrets", json_error(400, "UnrecognizedClientException", unknown));
    let (status, view, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, &view["assurance"]), (201, &json!("observed")), "{view}");
    let evidence = check(&view["report"], "excess")["evidence"].as_str().unwrap().to_owned();
    let services = "not available in the account: s3:ListAllMyBuckets, secretsmanager:ListSecrets, lambda:ListFunctions, ec2:DescribeRegions";
    assert!(evidence.contains(services), "{evidence}");
}

/// S3 learns of a new key later than IAM: what it does not know yet is not taken for nothing.
#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_know_a_new_key_yet_is_asked_again() {
    for (unknown, operation, known) in [
        (
            s3_error(403, "InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist"),
            "tenant:ListBuckets",
            "<ListAllMyBucketsResult/>",
        ),
        (
            ec2_error(401, "AuthFailure", "AWS was not able to validate the credentials"),
            "tenant:DescribeRegions",
            "<x/>",
        ),
        (
            json_error(400, "UnrecognizedClientException", "The security token included in the request is invalid."),
            "tenant:ListKeys",
            "{}",
        ),
    ] {
        let aws = FakeAws::classic();
        aws.answer_in_turn(operation, vec![unknown.clone(), unknown, (200, known.to_owned())]);
        let (status, problem, _) = post(&aws, &submission(), None).await;
        assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["excess".to_owned()]), "{operation}");
    }
}

/// Whatever the key may and may not do: the tenant's account sees fewer than 15 denials.
#[tokio::test(start_paused = true)]
async fn no_onboarding_causes_as_many_denials_as_detectors_look_for() {
    let unknown_sender = format!("arn:aws:ses:eu-central-1:{ACCOUNT}:identity/invalid@invalid");
    let send_denied = || json_error(403, "AccessDeniedException", &denial("ses:SendEmail", &unknown_sender, NO_ALLOW));
    let limited = |aws: &FakeAws| {
        aws.answer_in_turn("tenant:SendEmail", vec![send_denied(), send_denied(), send_denied(), not_verified()]);
        aws.answer("tenant:ListEmailIdentities", identities(&["a.example", "b.example", "c.example"]));
    };
    // A name, the account, and the status and denials that are expected.
    let mut cases: Vec<(&str, FakeAws, i64, usize)> = vec![
        ("classic", FakeAws::classic(), 201, 14),
        ("hardened-1", FakeAws::new(), 201, 14),
        (
            "hardened-3",
            {
                let [_, _, (_, aws)] = keys();
                aws
            },
            201,
            1,
        ),
    ];
    let aws = FakeAws::classic();
    limited(&aws);
    cases.push(("classic, limited to one identity", aws, 201, 14));
    let aws = FakeAws::new();
    limited(&aws);
    cases.push(("hardened-1, limited to one identity", aws, 201, 14));
    let aws = FakeAws::new();
    readable(&aws, &[&hardened()], &["arn:aws:iam::aws:policy/a", "arn:aws:iam::aws:policy/b"]);
    for operation in ["GetUserPolicy", "GetPolicy", "ListGroupsForUser"] {
        let action = format!("iam:{operation}");
        let name = ["tenant:GetUserPolicy", "tenant:GetPolicy", "tenant:ListGroupsForUser"]
            .into_iter()
            .find(|name| name.ends_with(operation))
            .unwrap();
        aws.answer(name, denied(&action, NO_ALLOW));
    }
    limited(&aws);
    cases.push(("may read a part, limited to one identity", aws, 422, 14));
    let aws = FakeAws::new();
    for operation in ["tenant:GetUser", "tenant:DeleteAccessKey"] {
        aws.answer(operation, denied(&operation.replacen("tenant:", "iam:", 1), NO_ALLOW));
    }
    for (operation, action) in
        [("tenant:GetAccount", "ses:GetAccount"), ("tenant:ListEmailIdentities", "ses:ListEmailIdentities")]
    {
        aws.answer(operation, json_error(403, "AccessDeniedException", &denial(action, "*", NO_ALLOW)));
    }
    aws.answer("tenant:SendEmail", send_denied());
    cases.push(("may do nothing", aws, 422, 6));
    for (name, aws, expected, denials) in cases {
        let (status, answer, _) = post(&aws, &submission(), None).await;
        assert_eq!((status, aws.denials()), (expected, denials), "{name}: {answer}");
        assert!(aws.denials() <= MAX_DENIALS && aws.denials() < 15, "{name}");
    }
}

/// The kinds of quarantine, at a key under the classic policy and at one that shows its policies.
#[tokio::test(start_paused = true)]
async fn a_key_that_aws_has_quarantined_is_refused_whichever_version_it_is() {
    let v1 = ["tenant:UpdateAccessKey", "tenant:AttachUserPolicy", "tenant:CreateAccessKey", "tenant:PutUserPolicy"];
    let v2 = ["tenant:AddUserToGroup", "tenant:UpdateLoginProfile"];
    for version in [1, 2, 3] {
        let aws = FakeAws::classic();
        for operation in v1.into_iter().chain(v2.into_iter().filter(|_| version > 1)) {
            aws.answer(operation, denied(&operation.replacen("tenant:", "iam:", 1), EXPLICIT));
        }
        if version > 2 {
            aws.answer("tenant:DeleteAccessKey", denied("iam:DeleteAccessKey", EXPLICIT));
            aws.answer("tenant:GetSessionToken", denied("sts:GetSessionToken", EXPLICIT));
        }
        let (status, problem, _) = post(&aws, &submission(), None).await;
        assert_eq!(status, 422, "V{version}: {problem}");
        assert!(outcomes(&problem["report"], "failed").contains(&"quarantine".to_owned()), "V{version}: {problem}");
    }
    let aws = FakeAws::new();
    readable(&aws, &[&hardened()], &[QUARANTINE]);
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["quarantine".to_owned()]), "{problem}");
    assert_eq!(
        check(&problem["report"], "quarantine")["evidence"],
        format!("iam:ListAttachedUserPolicies: {QUARANTINE}")
    );
}

/// Case A13: where the policies can be read, the remedy names the statement and the condition that deny.
#[tokio::test(start_paused = true)]
async fn a_denial_is_explained_by_the_statement_where_policies_can_be_read() {
    let mfa = include_str!("../../../../tests/verify/cases/A13-mfa-deny.json");
    let aws = FakeAws::classic();
    readable(&aws, &[shared::policy::classic(), mfa], &[]);
    aws.answer("tenant:DeleteAccessKey", denied("iam:DeleteAccessKey", EXPLICIT));
    let (status, problem, _) = post(&aws, &submission(), None).await;
    assert_eq!(status, 422);
    let remedy = check(&problem["report"], "delete_access_key")["remedy"].as_str().unwrap();
    for part in ["DenyUnlessMfa", "inline policy p1 of the user", "aws:MultiFactorAuthPresent", "MFA"] {
        assert!(remedy.contains(part), "{part}: {remedy}");
    }

    // An implicit denial under a condition that does not hold.
    let office = r#"{"Version":"2012-10-17","Statement":[{"Sid":"Office","Effect":"Allow","Action":["iam:GetUser","iam:DeleteAccessKey"],"Resource":"*","Condition":{"IpAddress":{"aws:SourceIp":"192.0.2.0/24"}}}]}"#;
    let aws = FakeAws::classic();
    readable(&aws, &[office], &[]);
    aws.answer("tenant:DeleteAccessKey", denied("iam:DeleteAccessKey", NO_ALLOW));
    let (_, problem, _) = post(&aws, &submission(), None).await;
    let remedy = check(&problem["report"], "delete_access_key")["remedy"].as_str().unwrap();
    for part in ["Office", "aws:SourceIp", "192.0.2.0/24"] {
        assert!(remedy.contains(part), "{part}: {remedy}");
    }

    // An organization's denial has nothing to do with the user's policies: they are not read.
    let aws = FakeAws::classic();
    aws.answer("tenant:DeleteAccessKey", denied("iam:DeleteAccessKey", crate::fixtures::failure::ORGANIZATION));
    let (_, problem, _) = post(&aws, &submission(), None).await;
    let remedy = check(&problem["report"], "delete_access_key")["remedy"].as_str().unwrap();
    assert!(remedy.contains("service control policy") && aws.count("tenant:ListUserPolicies") == 0, "{remedy}");
}

#[tokio::test(start_paused = true)]
async fn attempts_are_counted_for_the_tenant_and_for_the_key_over_all_tenants() {
    let aws = FakeAws::new();
    post(&aws, &submission(), None).await;
    let (bodies, _) = aws.own_traffic();
    let counted: Vec<_> = bodies
        .iter()
        .filter_map(|body| serde_json::from_str::<Value>(body).ok()?["Key"]["pk"]["S"].as_str().map(str::to_owned))
        .filter(|pk| pk.starts_with("attempts#"))
        .collect();
    assert_eq!(counted, ["attempts#acme#AKIASP2TPHJSQH3FJRUX", "attempts#acme", "attempts##AKIASP2TPHJSQH3FJRUX"]);
}
