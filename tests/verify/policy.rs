//! Policies: the results of `POST /policy/check`, and of onboarding a key that can read its own policies.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, classic_policy, policy_allowing};
use operator::{ApiResponse, Tenant};

/// Checks policies with `POST /policy/check`.
async fn check(stack: &Stack, policies: &Value) -> ApiResponse {
    stack.api(Method::POST, "/policy/check", Some(&json!({ "policies": policies }))).await.unwrap()
}

/// The values of a field in all objects of a list.
fn values_of<'a>(list: &'a Value, field: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|item| item[field].as_str().unwrap()).collect()
}

#[tokio::test]
async fn the_policies_that_tenants_are_given_allow_enough_and_not_too_much() {
    let stack = Stack::shared().await;
    let hardened = stack.api(Method::GET, "/policy?style=hardened&account_id=123456789012", None).await.unwrap();
    for (policy, verdict) in [
        (json!(hardened.text), "minimal"),
        (classic_policy(), "sufficient"),
        (json!(classic_policy().to_string()), "sufficient"),
    ] {
        let response = check(&stack, &json!([policy])).await;
        assert_eq!((response.status.as_u16(), &response.body["verdict"]), (200, &json!(verdict)), "{}", response.text);
        assert_eq!(
            (&response.body["missing"], &response.body["findings"]),
            (&json!([]), &json!([])),
            "{}",
            response.text
        );
        assert_eq!(response.body["notices"] == json!([]), verdict == "minimal", "{}", response.text);
    }
}

#[tokio::test]
async fn a_finding_names_the_statement_that_allows_too_much_and_a_gap_the_missing_action() {
    let stack = Stack::shared().await;
    let response = check(&stack, &json!([classic_policy(), policy_allowing(&["*"])])).await;
    assert_eq!(
        (response.status.as_u16(), &response.body["verdict"]),
        (200, &json!("overprivileged")),
        "{}",
        response.text
    );
    let finding = &response.body["findings"][0];
    assert_eq!((&finding["severity"], &finding["source"]), (&json!("critical"), &json!("static")), "{finding}");
    assert_eq!((&finding["statement"]["document"], &finding["pattern"]), (&json!(1), &json!("*")), "{finding}");

    let response = check(&stack, &json!([policy_allowing(&["ses:*", "iam:GetUser"])])).await;
    assert_eq!(
        (&response.body["verdict"], &response.body["missing"]),
        (&json!("insufficient"), &json!(["iam:DeleteAccessKey"]))
    );
}

#[tokio::test]
async fn documents_that_cannot_be_parsed_are_refused_with_position_and_remedy() {
    let stack = Stack::shared().await;
    let twice = "{\n\"Version\": \"2012-10-17\",\n\"Statement\": {\"Effect\": \"Allow\", \"Action\": \"ses:*\", \"Resource\": \"*\", \"Action\": \"s3:*\"}}";
    let response = check(&stack, &json!([classic_policy(), twice, { "Version": "2012-10-17", "statement": [] }])).await;
    assert_eq!(response.status, 422, "{}", response.text);
    assert_eq!(response.headers["content-type"], "application/problem+json");
    assert_eq!(response.body["type"], "urn:sendingbee:problem:policy-unreadable");
    let problem = &response.body["problems"][0];
    assert_eq!((&problem["document"], &problem["class"]), (&json!(1), &json!("duplicate-key")), "{problem}");
    assert_eq!((&problem["pointer"], &problem["line"]), (&json!("/Statement/Action"), &json!(3)), "{problem}");
    assert!(problem["remedy"].as_str().is_some_and(|remedy| !remedy.is_empty()));
    let case = response.body["problems"].as_array().unwrap().iter().find(|problem| problem["document"] == 2).unwrap();
    assert_eq!((&case["class"], &case["pointer"]), (&json!("unknown-element"), &json!("/statement")), "{case}");
}

#[tokio::test]
async fn an_invalid_request_is_refused_with_the_name_of_the_field() {
    let stack = Stack::shared().await;
    let large = " ".repeat(1 << 20);
    for (status, body, field) in [
        (400, json!({ "policies": [] }), "policies"),
        (400, json!({ "policies": [classic_policy()], "account_id": "12" }), "account_id"),
        (400, json!({ "policies": [classic_policy()], "user_name": "a b" }), "user_name"),
        (400, json!({ "policies": [classic_policy()], "user_path": "team" }), "user_path"),
        (413, json!({ "policies": [large] }), "body"),
    ] {
        let response = stack.api(Method::POST, "/policy/check", Some(&body)).await.unwrap();
        assert_eq!((response.status.as_u16(), &response.body["field"]), (status, &json!(field)), "{}", response.text);
    }
}

/// The report of a key that is refused.
async fn refused_report(stack: &Stack, tenant: &Tenant) -> Value {
    let response = stack.onboard("acme", tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    response.body["report"].clone()
}

/// The operations that were called in a tenant's account.
async fn operations(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let requests = stack.requests(tenant).await;
    requests.iter().map(|request| request["operation"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_key_that_can_read_its_own_policies_is_judged_by_them() {
    let stack = Stack::shared().await;
    let reader = policy_allowing(&["iam:List*", "iam:GetUserPolicy", "iam:GetPolicy*", "iam:GetGroupPolicy"]);
    let tenant = stack.tenant_with(&json!({ "policies": [classic_policy(), reader] })).await;
    add_group(&stack, &tenant).await;

    let report = refused_report(&stack, &tenant).await;
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
    let operations = operations(&stack, &tenant).await;
    assert!(operations.iter().any(|operation| operation == "GetGroupPolicy"), "{operations:?}");
    assert!(!operations.iter().any(|operation| operation == "SimulatePrincipalPolicy"), "{operations:?}");
}

#[tokio::test]
async fn the_report_of_a_key_that_can_only_list_its_policies_is_a_lower_bound() {
    let stack = Stack::shared().await;
    // The first of the lists: the number of denials may end the others.
    let lister = policy_allowing(&["iam:ListUserPolicies", "s3:ListAllMyBuckets"]);
    let tenant = stack.tenant_with(&json!({ "policies": [classic_policy(), lister] })).await;
    let report = refused_report(&stack, &tenant).await;
    assert_eq!(report["own_policies"]["complete"], false, "{report}");
    let observed: Vec<_> =
        report["findings"].as_array().unwrap().iter().filter(|finding| finding["kind"] == "excess").collect();
    assert!(observed.iter().all(|finding| finding["source"] == "observed"), "{observed:?}");
    assert_eq!(values_of(&json!(observed), "action"), ["iam:ListUserPolicies", "s3:ListAllMyBuckets"]);
}

/// As the account's administrator, adds the tenant's user to a group with an inline policy, and attaches a managed policy to
/// both.
async fn add_group(stack: &Stack, tenant: &Tenant) {
    let admin = stack
        .create_tenant(
            &json!({ "account_id": tenant.account_id, "user_name": "admin", "policies": [policy_allowing(&["*"])] }),
        )
        .await
        .unwrap();
    let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&admin));
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
    let created =
        iam.create_policy().policy_name("buckets").policy_document(policy("List", "s3:ListAllMyBuckets")).send().await;
    let arn = created.unwrap().policy().unwrap().arn().unwrap().to_owned();
    iam.attach_user_policy().user_name("mailer").policy_arn(&arn).send().await.unwrap();
    iam.attach_group_policy().group_name("mailers").policy_arn(&arn).send().await.unwrap();
}
