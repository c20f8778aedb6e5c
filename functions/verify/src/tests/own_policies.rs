//! A key that may read its own policies, over the wire.

use serde_json::{Value, json};

use crate::fixtures::failure::NO_ALLOW;
use crate::fixtures::fake_aws::{ACCOUNT, FakeAws, denied, iam, query_error};
use crate::fixtures::{outcomes, post, submission};

/// The other probes, which are not needed once the policies were read completely.
const PROBES: [&str; 5] = [
    "tenant:UpdateAccessKey",
    "tenant:ListAccessKeys",
    "tenant:GetSessionToken",
    "tenant:ListBuckets",
    "tenant:DescribeRegions",
];

fn members(names: &[String]) -> String {
    names.iter().map(|name| format!("<member>{name}</member>")).collect()
}

/// A document as IAM returns it: every byte that may be encoded is.
fn encoded(document: &str) -> String {
    document.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

fn allowing(actions: &[&str]) -> String {
    json!({"Version": "2012-10-17", "Statement": [{"Sid": "S", "Effect": "Allow", "Action": actions, "Resource": "*"}]})
        .to_string()
}

/// A user with an inline policy, a managed one, and a group that has one of each; the managed one is the same.
fn reader() -> FakeAws {
    let aws = FakeAws::new();
    let managed = "<AttachedPolicies><member><PolicyName>m</PolicyName><PolicyArn>arn:aws:iam::171436882533:policy/m</PolicyArn></member></AttachedPolicies><IsTruncated>false</IsTruncated>";
    let inline =
        |name: &str| format!("<PolicyNames><member>{name}</member></PolicyNames><IsTruncated>false</IsTruncated>");
    let document = |text: &str| {
        format!(
            "<UserName>mailer</UserName><GroupName>g</GroupName><PolicyName>p</PolicyName><PolicyDocument>{}</PolicyDocument>",
            encoded(text)
        )
    };
    let group = format!(
        "<Groups><member><Path>/</Path><GroupName>g</GroupName><GroupId>AGPAEXAMPLE</GroupId><Arn>arn:aws:iam::{ACCOUNT}:group/g</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate></member></Groups><IsTruncated>false</IsTruncated>"
    );
    let answers: [(&'static str, &str, String); 9] = [
        ("tenant:ListUserPolicies", "ListUserPolicies", inline("own")),
        ("tenant:GetUserPolicy", "GetUserPolicy", document(shared::policy::classic())),
        ("tenant:ListAttachedUserPolicies", "ListAttachedUserPolicies", managed.to_owned()),
        ("tenant:GetPolicy", "GetPolicy", "<Policy><DefaultVersionId>v3</DefaultVersionId></Policy>".to_owned()),
        (
            "tenant:GetPolicyVersion",
            "GetPolicyVersion",
            format!(
                "<PolicyVersion><Document>{}</Document></PolicyVersion>",
                encoded(&allowing(&["iam:Get*", "iam:List*"]))
            ),
        ),
        ("tenant:ListGroupsForUser", "ListGroupsForUser", group),
        ("tenant:ListGroupPolicies", "ListGroupPolicies", inline("shared")),
        ("tenant:GetGroupPolicy", "GetGroupPolicy", document(&allowing(&["s3:GetObject"]))),
        ("tenant:ListAttachedGroupPolicies", "ListAttachedGroupPolicies", managed.to_owned()),
    ];
    for (call, operation, result) in answers {
        aws.answer(call, iam(operation, &result));
    }
    aws
}

/// The whole report, and the evidence of its excess check.
async fn judged(aws: &FakeAws) -> (Value, String) {
    let (status, problem, _) = post(aws, &submission(), None).await;
    assert_eq!((status, outcomes(&problem["report"], "failed")), (422, vec!["excess".to_owned()]), "{problem}");
    assert_eq!(aws.count("own:TransactWriteItems"), 0);
    let checks = problem["report"]["checks"].as_array().unwrap();
    let excess = checks.iter().find(|check| check["name"] == "excess").unwrap();
    (problem["report"].clone(), excess["evidence"].as_str().unwrap().to_owned())
}

fn calls_of(aws: &FakeAws, names: &[&str]) -> usize {
    names.iter().map(|name| aws.count(name)).sum()
}

#[tokio::test(start_paused = true)]
async fn policies_that_were_read_completely_decide_and_nothing_else_is_probed() {
    let aws = reader();
    let (report, evidence) = judged(&aws).await;
    let own = &report["own_policies"];
    let arn = format!("arn:aws:iam::{ACCOUNT}:policy/m");
    assert_eq!((&own["verdict"], &own["complete"]), (&json!("overprivileged"), &json!(true)), "{own}");
    assert_eq!((&own["unread"], &own["missing"]), (&json!([]), &json!([])));
    assert_eq!(
        own["documents"],
        json!(["inline policy own of the user", format!("managed policy {arn}"), "inline policy shared of group g"])
    );
    assert!(!own["notices"].as_array().unwrap().is_empty());
    assert_eq!((calls_of(&aws, &PROBES), aws.count("tenant:GetPolicyVersion")), (0, 1));

    let findings = report["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["source"] == "static"), "{findings:?}");
    let s3 = findings.iter().find(|finding| finding["action"] == "s3:GetObject").unwrap();
    assert_eq!(
        (&s3["kind"], &s3["severity"], &s3["statement"]["document"]),
        (&json!("excess"), &json!("high"), &json!(2))
    );
    assert!(evidence.contains("s3:GetObject (statement S of inline policy shared of group g)"), "{evidence}");
    assert!(evidence.contains(&format!("iam:List* (statement S of managed policy {arn})")), "{evidence}");
}

#[tokio::test(start_paused = true)]
async fn policies_that_may_not_be_read_make_it_a_lower_bound_and_probes_are_made() {
    let aws = reader();
    aws.answer("tenant:GetPolicy", denied("iam:GetPolicy", NO_ALLOW));
    aws.answer("tenant:ListGroupsForUser", denied("iam:ListGroupsForUser", NO_ALLOW));
    aws.answer("tenant:ListBuckets", (200, "<ListAllMyBucketsResult/>".to_owned()));
    let (report, evidence) = judged(&aws).await;
    let own = &report["own_policies"];
    assert_eq!((&own["verdict"], &own["complete"]), (&json!("overprivileged"), &json!(false)), "{own}");
    assert_eq!(own["documents"], json!(["inline policy own of the user"]));
    assert_eq!(own["unread"].as_array().unwrap().len(), 2, "{own}");
    assert!(own.get("missing").is_none());
    assert_eq!((calls_of(&aws, &PROBES), aws.denials()), (PROBES.len(), 14));
    assert!(
        evidence.contains("at least that") && evidence.ends_with("allowed as well: s3:ListAllMyBuckets"),
        "{evidence}"
    );
    let actions: Vec<_> = report["findings"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| (finding["action"].as_str().unwrap(), finding["source"].as_str().unwrap()))
        .collect();
    let seen = ["iam:ListUserPolicies", "iam:GetUserPolicy", "iam:ListAttachedUserPolicies", "s3:ListAllMyBuckets"];
    assert_eq!(actions, seen.map(|action| (action, "observed")));
}

#[tokio::test(start_paused = true)]
async fn reading_ends_after_three_denied_actions() {
    let aws = reader();
    for (call, action) in [
        ("tenant:GetUserPolicy", "iam:GetUserPolicy"),
        ("tenant:GetPolicy", "iam:GetPolicy"),
        ("tenant:ListGroupPolicies", "iam:ListGroupPolicies"),
    ] {
        aws.answer(call, denied(action, NO_ALLOW));
    }
    let (report, _) = judged(&aws).await;
    assert_eq!(report["own_policies"]["documents"], json!([]));
    assert_eq!(calls_of(&aws, &["tenant:GetUserPolicy", "tenant:GetPolicy", "tenant:ListGroupPolicies"]), 3);
    assert_eq!(calls_of(&aws, &["tenant:ListAttachedGroupPolicies", "tenant:GetGroupPolicy"]), 0);
}

#[tokio::test(start_paused = true)]
async fn a_denied_action_is_not_called_again_and_the_number_of_policies_is_limited() {
    let names: Vec<_> = (0..90).map(|index| format!("p{index}")).collect();
    let many = iam(
        "ListUserPolicies",
        &format!("<PolicyNames>{}</PolicyNames><IsTruncated>true</IsTruncated>", members(&names)),
    );
    let aws = reader();
    aws.answer("tenant:ListUserPolicies", many.clone());
    let (report, _) = judged(&aws).await;
    assert_eq!((aws.count("tenant:GetUserPolicy"), calls_of(&aws, &["tenant:ListAttachedUserPolicies"])), (40, 0));
    let unread = &report["own_policies"]["unread"];
    assert_eq!(unread.as_array().unwrap().len(), 2, "{unread}");

    let aws = reader();
    aws.answer("tenant:ListUserPolicies", many);
    aws.answer("tenant:GetUserPolicy", denied("iam:GetUserPolicy", NO_ALLOW));
    judged(&aws).await;
    assert_eq!(aws.count("tenant:GetUserPolicy"), 1);
}

#[tokio::test(start_paused = true)]
async fn an_iam_that_does_not_answer_ends_the_reading_and_leaves_the_key_undecided() {
    let aws = reader();
    aws.answer("tenant:GetUserPolicy", query_error(400, "Throttling", "Rate exceeded"));
    let (status, problem, _) = post(&aws, &submission(), None).await;
    let report = &problem["report"];
    assert_eq!((status, outcomes(report, "failed")), (503, Vec::<String>::new()), "{problem}");
    assert!(outcomes(report, "unknown").contains(&"excess".to_owned()));
    assert_eq!(report["own_policies"]["complete"], false);
    // The next try reads them: no probe is made now.
    assert_eq!((aws.count("tenant:ListAttachedUserPolicies"), calls_of(&aws, &PROBES)), (0, 0));
    assert!(problem.to_string().contains("iam:GetUserPolicy: Throttling (400)"), "{problem}");
}
