//! Policies: what `POST /policy/check` says of them, and of a key that can read its own.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, classic, only};
use operator::{Answer, Tenant, config};

/// Asks what policies allow.
async fn check(stack: &Stack, policies: &Value) -> Answer {
    stack.api(Method::POST, "/policy/check", Some(&json!({ "policies": policies }))).await.unwrap()
}

fn names<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_policies_that_are_handed_out_are_enough_and_not_too_much() {
    let stack = Stack::shared().await;
    let hardened = stack.api(Method::GET, "/policy?style=hardened&account_id=123456789012", None).await.unwrap();
    for (policy, verdict) in
        [(json!(hardened.text), "minimal"), (classic(), "sufficient"), (json!(classic().to_string()), "sufficient")]
    {
        let answer = check(&stack, &json!([policy])).await;
        assert_eq!((answer.status.as_u16(), &answer.body["verdict"]), (200, &json!(verdict)), "{}", answer.text);
        assert_eq!((&answer.body["missing"], &answer.body["findings"]), (&json!([]), &json!([])), "{}", answer.text);
        assert_eq!(answer.body["notices"] == json!([]), verdict == "minimal", "{}", answer.text);
    }
}

#[tokio::test]
async fn what_is_too_much_is_named_with_its_statement_and_what_is_missing_by_its_action() {
    let stack = Stack::shared().await;
    let answer = check(&stack, &json!([classic(), only(&["*"])])).await;
    assert_eq!((answer.status.as_u16(), &answer.body["verdict"]), (200, &json!("overprivileged")), "{}", answer.text);
    let finding = &answer.body["findings"][0];
    assert_eq!((&finding["severity"], &finding["source"]), (&json!("critical"), &json!("static")), "{finding}");
    assert_eq!((&finding["statement"]["document"], &finding["pattern"]), (&json!(1), &json!("*")), "{finding}");

    let answer = check(&stack, &json!([only(&["ses:*", "iam:GetUser"])])).await;
    assert_eq!(
        (&answer.body["verdict"], &answer.body["missing"]),
        (&json!("insufficient"), &json!(["iam:DeleteAccessKey"]))
    );
}

#[tokio::test]
async fn documents_that_cannot_be_read_are_refused_with_place_and_remedy() {
    let stack = Stack::shared().await;
    let twice = "{\n\"Version\": \"2012-10-17\",\n\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"ses:*\", \"Resource\": \"*\", \"Action\": \"s3:*\"}}";
    let answer = check(&stack, &json!([classic(), twice, { "Version": "2012-10-17", "statement": [] }])).await;
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(answer.headers["content-type"], "application/problem+json");
    assert_eq!(answer.body["type"], "urn:sendingbee:problem:policy-unreadable");
    let problem = &answer.body["problems"][0];
    assert_eq!((&problem["document"], &problem["class"]), (&json!(1), &json!("duplicate-key")), "{problem}");
    assert_eq!((&problem["pointer"], &problem["line"]), (&json!("/Statement/Action"), &json!(3)), "{problem}");
    assert!(problem["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
    let case = answer.body["problems"].as_array().unwrap().iter().find(|problem| problem["document"] == 2).unwrap();
    assert_eq!((&case["class"], &case["pointer"]), (&json!("unknown-element"), &json!("/statement")), "{case}");
}

#[tokio::test]
async fn a_bad_request_is_refused_by_its_field() {
    let stack = Stack::shared().await;
    let large = " ".repeat(1 << 20);
    for (status, body, field) in [
        (400, json!({ "policies": [] }), "policies"),
        (400, json!({ "policies": [classic()], "account_id": "12" }), "account_id"),
        (400, json!({ "policies": [classic()], "user_name": "a b" }), "user_name"),
        (400, json!({ "policies": [classic()], "user_path": "team" }), "user_path"),
        (413, json!({ "policies": [large] }), "body"),
    ] {
        let answer = stack.api(Method::POST, "/policy/check", Some(&body)).await.unwrap();
        assert_eq!((answer.status.as_u16(), &answer.body["field"]), (status, &json!(field)), "{}", answer.text);
    }
}

/// What came of a key at fault: the whole report.
async fn refused(stack: &Stack, tenant: &Tenant) -> Value {
    let answer = stack.onboard("acme", tenant).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text);
    answer.body["report"].clone()
}

/// What was asked of IAM in a tenant's account.
async fn asked(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let path = format!("/requests?account_id={}", tenant.account_id);
    let answer = stack.local(Method::GET, &path, None).await.unwrap();
    names(&answer.body["requests"], "operation").into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn a_key_that_can_read_its_own_policies_is_judged_by_them() {
    let stack = Stack::shared().await;
    let reader = only(&["iam:List*", "iam:GetUserPolicy", "iam:GetPolicy*", "iam:GetGroupPolicy"]);
    let tenant =
        stack.tenant(&json!({ "policies": [classic(), reader], "identities": ["example.com"] })).await.unwrap();
    add_group(&stack, &tenant).await;

    let report = refused(&stack, &tenant).await;
    let own = &report["own_policies"];
    assert_eq!((&own["verdict"], &own["complete"]), (&json!("overprivileged"), &json!(true)), "{own}");
    let managed = format!("managed policy arn:aws:iam::{}:policy/buckets", tenant.account_id);
    assert_eq!(
        own["documents"],
        json!([
            "inline policy policy-1 of the user",
            "inline policy policy-2 of the user",
            managed,
            "inline policy secrets of group mailers"
        ])
    );
    let findings = report["findings"].as_array().unwrap();
    let of = |action: &str| findings.iter().find(|finding| finding["action"] == action).unwrap();
    let (reading, buckets, secrets) =
        (of("iam:GetUserPolicy"), of("s3:ListAllMyBuckets"), of("secretsmanager:GetSecretValue"));
    for (finding, document) in [(reading, 1), (buckets, 2), (secrets, 3)] {
        assert_eq!((&finding["kind"], &finding["source"]), (&json!("excess"), &json!("static")), "{finding}");
        assert_eq!(finding["statement"]["document"], document, "{finding}");
    }
    assert_eq!(secrets["statement"]["sid"], "Read");

    let checks = report["checks"].as_array().unwrap();
    let excess = checks.iter().find(|check| check["name"] == "excess").unwrap();
    assert_eq!(excess["outcome"], "failed");
    let evidence = excess["evidence"].as_str().unwrap();
    assert!(evidence.contains("statement Read of inline policy secrets of group mailers"), "{evidence}");
    let asked = asked(&stack, &tenant).await;
    assert!(asked.iter().any(|operation| operation == "GetGroupPolicy"), "{asked:?}");
    assert!(!asked.iter().any(|operation| operation == "SimulatePrincipalPolicy"), "{asked:?}");
}

#[tokio::test]
async fn a_key_that_can_only_list_its_policies_is_told_that_more_may_be_wrong() {
    let stack = Stack::shared().await;
    let tenant = stack
        .tenant(&json!({ "policies": [classic(), only(&["iam:ListUserPolicies", "dynamodb:ListTables"])], "identities": ["example.com"] }))
        .await
        .unwrap();
    let report = refused(&stack, &tenant).await;
    assert_eq!(report["own_policies"]["complete"], false, "{report}");
    let observed: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == "excess").collect();
    assert!(observed.iter().all(|finding| finding["source"] == "observed"), "{observed:?}");
    assert_eq!(names(&json!(observed), "action"), ["iam:ListUserPolicies", "dynamodb:ListTables"]);
}

/// Puts the tenant's user into a group with an inline policy, and attaches a managed policy to both, as the account's
/// administrator.
async fn add_group(stack: &Stack, tenant: &Tenant) {
    let admin = stack
        .tenant(&json!({ "account_id": tenant.account_id, "user_name": "admin", "policies": [only(&["*"])] }))
        .await
        .unwrap();
    let url = &stack.outputs.send_queue_url;
    let (end, _) = url.match_indices('/').nth(2).unwrap();
    let keys =
        aws_credential_types::Credentials::new(admin.access_key_id, admin.secret_access_key, None, None, "Admin");
    let config = config(&url[..end])
        .to_builder()
        .credentials_provider(aws_credential_types::provider::SharedCredentialsProvider::new(keys))
        .build();
    let iam = aws_sdk_iam::Client::new(&config);
    let policy = |sid: &str, action: &str| {
        json!({ "Version": "2012-10-17", "Statement": [{ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": "*" }] })
            .to_string()
    };
    iam.create_group().group_name("mailers").send().await.unwrap();
    iam.add_user_to_group().group_name("mailers").user_name("mailer").send().await.unwrap();
    iam.put_group_policy()
        .group_name("mailers")
        .policy_name("secrets")
        .policy_document(policy("Read", "secretsmanager:GetSecretValue"))
        .send()
        .await
        .unwrap();
    let made =
        iam.create_policy().policy_name("buckets").policy_document(policy("List", "s3:ListAllMyBuckets")).send().await;
    let arn = made.unwrap().policy().unwrap().arn().unwrap().to_owned();
    iam.attach_user_policy().user_name("mailer").policy_arn(&arn).send().await.unwrap();
    iam.attach_group_policy().group_name("mailers").policy_arn(&arn).send().await.unwrap();
}
