//! How well a key is known to do nothing else: what the probes find, and what only a readable policy proves.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, classic_policy, policy_allowing};
use operator::{ApiResponse, Tenant};

/// The check of this name in a report.
fn check<'a>(response: &'a ApiResponse, name: &str) -> &'a Value {
    response.body["report"]["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == name))
        .unwrap_or_else(|| panic!("no check {name} in {}", response.text))
}

/// Onboards a key with the classic policy and these policies.
async fn onboard_with(stack: &Stack, policies: &[Value]) -> ApiResponse {
    let policies: Vec<_> = std::iter::once(classic_policy()).chain(policies.iter().cloned()).collect();
    let tenant = stack.tenant_with(&json!({ "policies": policies })).await;
    stack.onboard("acme", &tenant).await.unwrap()
}

/// Asserts that a key with the classic policy and this action is refused, and that this action is the witness.
async fn assert_witness(stack: &Stack, action: &str, witness: &str) {
    let response = onboard_with(stack, &[policy_allowing(&[action])]).await;
    assert_eq!(response.status, 422, "{action}: {}", response.text);
    assert_eq!(check(&response, "excess")["evidence"], format!("allowed: {witness}"), "{action}");
    let findings = response.body["report"]["findings"].as_array().unwrap();
    let seen = findings.iter().find(|finding| finding["action"] == witness).unwrap();
    assert_eq!((&seen["kind"], &seen["source"]), (&json!("excess"), &json!("observed")), "{action}: {seen}");
}

#[tokio::test]
async fn a_key_that_can_do_more_in_iam_kms_or_dynamodb_is_refused_with_the_witness() {
    let stack = Stack::shared().await;
    for (action, witness) in [
        ("iam:CreateAccessKey", "iam:CreateAccessKey"),
        ("iam:PutUserPolicy", "iam:PutUserPolicy"),
        ("iam:AttachUserPolicy", "iam:AttachUserPolicy"),
        ("iam:UpdateAccessKey", "iam:UpdateAccessKey"),
        ("iam:AddUserToGroup", "iam:AddUserToGroup"),
        ("iam:UpdateLoginProfile", "iam:UpdateLoginProfile"),
        ("iam:ListAccessKeys", "iam:ListAccessKeys"),
        ("kms:*", "kms:ListKeys"),
        ("dynamodb:*", "dynamodb:ListTables"),
    ] {
        assert_witness(&stack, action, witness).await;
    }
}

#[tokio::test]
async fn a_key_that_can_do_more_in_other_services_is_refused_with_the_witness() {
    let stack = Stack::shared().await;
    for (action, witness) in [
        ("s3:*", "s3:ListAllMyBuckets"),
        ("ec2:*", "ec2:DescribeRegions"),
        ("secretsmanager:*", "secretsmanager:ListSecrets"),
        ("lambda:*", "lambda:ListFunctions"),
    ] {
        assert_witness(&stack, action, witness).await;
    }
}

/// Case A21: AWS's block "manage own access keys", which makes keys that survive ours. It is limited to the own user.
#[tokio::test]
async fn a_key_that_manages_its_own_keys_is_refused() {
    let stack = Stack::shared().await;
    let policy: Value = serde_json::from_str(include_str!("cases/A21-own-keys.json")).unwrap();
    let tenant = stack.tenant_with(&json!({ "policies": [policy] })).await;
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    assert_eq!(check(&response, "excess")["evidence"], "allowed: iam:UpdateAccessKey, iam:ListAccessKeys");
    assert_eq!(check(&response, "second_key")["outcome"], "passed");
}

/// No harmless probe shows these: the report says so, and a stack that requires more does not take the key.
#[tokio::test]
async fn what_no_probe_can_look_for_is_said_and_is_only_observed() {
    let stack = Stack::shared().await;
    for action in ["sts:AssumeRole", "iam:PassRole"] {
        let response = onboard_with(&stack, &[policy_allowing(&[action])]).await;
        assert_eq!((response.status.as_u16(), &response.body["assurance"]), (201, &json!("observed")), "{action}");
        let evidence = check(&response, "excess")["evidence"].as_str().unwrap();
        assert!(evidence.contains("not looked for: ") && evidence.contains(action), "{evidence}");
    }
}

#[tokio::test]
async fn a_stack_that_requires_proof_takes_only_keys_that_show_their_policies() {
    let stack = Stack::with_arguments(&["--parameter", "RequiredAssurance=proven"]).await;
    for policy in [policy_allowing(&["sts:AssumeRole"]), policy_allowing(&["iam:PassRole"])] {
        let response = onboard_with(&stack, &[policy]).await;
        assert_eq!(response.status, 422, "{}", response.text);
        let assurance = check(&response, "assurance");
        assert_eq!(
            (&assurance["outcome"], &assurance["evidence"]),
            (&json!("failed"), &json!("observed; required: proven"))
        );
        assert!(assurance["remedy"].as_str().unwrap().contains("hardened"), "{assurance}");
    }
    // The earlier hardened policy denies everything else, and so also that the key shows its policies.
    let account_id = "161803398874";
    let path = |version: &str| format!("/policy?style=hardened&account_id={account_id}{version}");
    let response = stack.api(Method::GET, &path(""), None).await.unwrap();
    let tenant = stack.hardened_tenant(account_id, &json!({})).await;
    let onboarded = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(
        (onboarded.status.as_u16(), &onboarded.body["assurance"]),
        (201, &json!("proven")),
        "{}",
        onboarded.text
    );
    assert_eq!(onboarded.body["report"]["recommended_policy"], response.headers["policy-version"].to_str().unwrap());

    // It is shown where the provider is shown, and told to operators.
    let provider_id = onboarded.body["provider_id"].as_str().unwrap();
    assert_eq!(stack.get_provider(provider_id).await.body["assurance"], "proven");
    let event = stack.provider_event("Provider Verified", provider_id).await;
    assert_eq!(event["detail"]["assurance"], "proven");
}

/// The hardened policy with one more thing to do beside it, which its Deny takes away; and without that Deny.
#[tokio::test]
async fn policies_that_can_be_read_decide() {
    let stack = Stack::shared().await;
    let hardened = async |account_id: &str| {
        let path = format!("/policy?style=hardened&account_id={account_id}");
        stack.api(Method::GET, &path, None).await.unwrap().body
    };
    let account_id = "141421356238";
    let tenant = stack
        .tenant_with(&json!({ "account_id": account_id, "policies": [hardened(account_id).await, policy_allowing(&["s3:GetObject"])] }))
        .await;
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!((response.status.as_u16(), &response.body["assurance"]), (201, &json!("proven")), "{}", response.text);

    let account_id = "223606797749";
    let mut open = hardened(account_id).await;
    open["Statement"].as_array_mut().unwrap().retain(|statement| statement["Sid"] != "NothingElse");
    let tenant = stack
        .tenant_with(&json!({ "account_id": account_id, "policies": [open, policy_allowing(&["sts:AssumeRole"])] }))
        .await;
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    let evidence = check(&response, "excess")["evidence"].as_str().unwrap();
    assert!(evidence.contains("sts:AssumeRole (statement 1 of inline policy policy-2 of the user)"), "{evidence}");
}

/// Case A13: an explicit deny is named by the kind of policy, and allowing more is no remedy.
#[tokio::test]
async fn a_deny_that_asks_for_mfa_is_named() {
    let stack = Stack::shared().await;
    let mfa: Value = serde_json::from_str(include_str!("cases/A13-mfa-deny.json")).unwrap();
    let response = onboard_with(&stack, &[mfa]).await;
    assert_eq!(response.status, 422, "{}", response.text);
    for name in ["delete_access_key", "ses_region", "sending"] {
        let check = check(&response, name);
        assert_eq!(check["outcome"], "failed", "{check}");
        let remedy = check["remedy"].as_str().unwrap();
        assert!(remedy.contains("identity-based policy") && remedy.contains("MFA"), "{remedy}");
        assert!(!remedy.contains("Allow"), "{remedy}");
    }
}

/// Case K8: AWS is not asked with an SMTP password, and it is named.
#[tokio::test]
async fn an_smtp_password_is_named() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    let case: Value = serde_json::from_str(include_str!("cases/K8-secret-is-smtp-password.json")).unwrap();
    tenant.secret_access_key = case["secret_access_key"].as_str().unwrap().to_owned();
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    assert!(check(&response, "shape")["remedy"].as_str().unwrap().contains("SMTP password"), "{}", response.text);
    assert!(!response.text.contains(&tenant.secret_access_key));
    assert_eq!(calls(&stack, &tenant).await, Vec::<String>::new());
}

#[tokio::test]
async fn attempts_with_one_key_are_limited_over_all_tenants() {
    let stack = Stack::shared().await;
    // It is refused at once: nothing about it is worth a second try.
    let tenant = stack.tenant_with(&json!({ "policies": [policy_allowing(&["ses:*"])] })).await;
    // One attempt of each tenant: no tenant comes near a limit of its own.
    let mut limited = 0;
    for index in 0..22 {
        let response = stack.onboard(&format!("tenant-{index}"), &tenant).await.unwrap();
        assert!([422, 429].contains(&response.status.as_u16()), "{}", response.text);
        limited += usize::from(response.status == 429);
    }
    assert_eq!(limited, 2);
}

/// The calls into a tenant's account, in order.
async fn calls(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let requests = stack.requests(tenant).await;
    requests.iter().map(|request| request["operation"].as_str().unwrap().to_owned()).collect()
}

/// What an onboarding asks of a tenant's account: as many calls as stand in the README, and fewer denials than detectors
/// look for.
#[tokio::test]
async fn an_onboarding_makes_few_calls_and_fewer_denials() {
    let stack = Stack::shared().await;
    let classic = stack.classic_tenant().await;
    stack.onboard_provider("acme", &classic).await;
    let hardened = stack.hardened_tenant("173205080756", &json!({})).await;
    stack.onboard_provider("acme", &hardened).await;
    for (tenant, expected) in [(classic, 22), (hardened, 10)] {
        let requests = stack.requests(&tenant).await;
        let codes = ["AccessDenied", "AccessDeniedException", "UnauthorizedOperation"];
        let is_denied = |code: &str| codes.contains(&code);
        let denied = requests.iter().filter(|request| request["error"].as_str().is_some_and(is_denied)).count();
        assert!(requests.len() == expected && denied < 15, "{requests:?}");
    }
}

/// A key that may do everything is probed with everything, and nothing in its account is changed by that.
#[tokio::test]
async fn probes_change_nothing_even_where_all_of_them_are_allowed() {
    let stack = Stack::shared().await;
    let all_but_reading = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": "*", "Resource": "*" },
        { "Effect": "Deny", "Action": "iam:GetUserPolicy", "Resource": "*" } ] });
    let tenant = stack.tenant_with(&json!({ "policies": [all_but_reading] })).await;
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    let evidence = check(&response, "excess")["evidence"].as_str().unwrap();
    let allowed = "iam:UpdateAccessKey, iam:AttachUserPolicy, iam:CreateAccessKey, iam:PutUserPolicy, iam:ListAccessKeys, iam:AddUserToGroup, iam:UpdateLoginProfile";
    assert!(evidence.contains(allowed), "{evidence}");

    let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&tenant));
    let keys = iam.list_access_keys().send().await.unwrap();
    let [key] = keys.access_key_metadata() else { panic!("{keys:?}") };
    assert_eq!(key.access_key_id(), Some(tenant.access_key_id.as_str()));
    assert_eq!(key.status().map(|status| status.as_str()), Some("Active"));
    assert_eq!(iam.list_users().send().await.unwrap().users().len(), 1);
    let user = "mailer";
    assert_eq!(iam.list_user_policies().user_name(user).send().await.unwrap().policy_names().len(), 1);
    assert!(iam.list_attached_user_policies().user_name(user).send().await.unwrap().attached_policies().is_empty());
    assert!(iam.list_groups_for_user().user_name(user).send().await.unwrap().groups().is_empty());
    assert!(iam.get_login_profile().user_name(user).send().await.is_err());
}
