//! Which keys are onboarded: each test is a row of DESIGN's table.

use serde_json::{Value, json};

use crate::support::{Stack, policy_allowing};
use operator::{ApiResponse, Tenant};

/// The check of this name in a report.
fn check<'a>(response: &'a ApiResponse, name: &str) -> &'a Value {
    response.body["report"]["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == name))
        .unwrap_or_else(|| panic!("no check {name} in {}", response.text))
}

/// Asserts that this check refuses the key, that its remedy contains the text, and that nothing is stored.
async fn assert_refused(stack: &Stack, tenant: &Tenant, name: &str, remedy: &str) {
    let response = stack.onboard("acme", tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    assert_eq!(check(&response, name)["outcome"], "failed", "{}", response.text);
    let shown = check(&response, name)["remedy"].as_str().unwrap();
    assert!(!remedy.is_empty() && shown.contains(remedy), "{shown}");
    assert!(!response.text.contains(&tenant.secret_access_key));
    assert_nothing_stored(stack, tenant).await;
}

/// Asserts that a refused key has no key item. Only then does a report of the key write a tombstone.
async fn assert_nothing_stored(stack: &Stack, tenant: &Tenant) {
    let order_id = stack.revoke_key(tenant).await;
    let order = stack.get_order(&order_id).await;
    assert_eq!(order["keys"][0]["status"], "unknown_key", "{order}");
}

/// Asserts that the key is onboarded with a warning of this check.
async fn assert_warned(stack: &Stack, tenant: &Tenant, name: &str) {
    let response = stack.onboard("acme", tenant).await.unwrap();
    assert_eq!(response.status, 201, "{}", response.text);
    assert_eq!(check(&response, name)["outcome"], "warning", "{}", response.text);
    assert!(check(&response, name)["remedy"].is_string(), "{}", response.text);
}

/// A tenant with only this policy.
async fn tenant_with_policy(stack: &Stack, policy: &Value) -> Tenant {
    stack.tenant_with(&json!({ "policies": [policy] })).await
}

#[tokio::test]
async fn the_classic_policy_is_accepted_with_a_warning_about_its_breadth() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    assert_warned(&stack, &tenant, "breadth").await;
}

#[tokio::test]
async fn the_hardened_policy_is_accepted_without_warnings() {
    let stack = Stack::shared().await;
    let tenant = stack.hardened_tenant("314159265358", &json!({})).await;
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 201, "{}", response.text);
    for check in response.body["report"]["checks"].as_array().unwrap() {
        // Only a denial while sending can reveal a default configuration set, and no probe sends a mail. The key may not
        // list access keys, so that it cannot say whether there is a second one.
        let unseen = ["default_configuration_set", "second_key"].map(|name| json!(name));
        let expected = if unseen.contains(&check["name"]) { "unknown" } else { "passed" };
        assert_eq!(check["outcome"], expected, "{check}");
    }
}

#[tokio::test]
async fn the_hardened_policy_works_for_a_user_with_a_path() {
    let stack = Stack::shared().await;
    let tenant = stack.hardened_tenant("271828182845", &json!({ "user_path": "/mail/prod/" })).await;
    assert!(tenant.user_arn.contains(":user/mail/prod/"), "{}", tenant.user_arn);
    stack.onboard_provider("acme", &tenant).await;
}

#[tokio::test]
async fn a_key_of_the_root_user_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "principal": "root", "policies": [] })).await;
    assert_refused(&stack, &tenant, "iam_user", "IAM user").await;
}

#[tokio::test]
async fn temporary_credentials_are_refused_by_their_id() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    tenant.access_key_id.replace_range(..4, "ASIA");
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    assert_eq!(check(&response, "long_term")["outcome"], "failed", "{}", response.text);
}

#[tokio::test]
async fn a_text_that_does_not_have_the_shape_of_a_key_is_refused() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    tenant.secret_access_key.truncate(39);
    assert_refused(&stack, &tenant, "shape", "Copy the secret access key again").await;
}

#[tokio::test]
async fn a_wrong_secret_is_refused() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    tenant.secret_access_key = "wrong0wrong1wrong2wrong3wrong4wrong5wron".to_owned();
    assert_refused(&stack, &tenant, "live", "secret").await;
}

#[tokio::test]
async fn an_unknown_key_is_refused() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    // Another id of the same account, which is encoded in the first characters.
    let last = if tenant.access_key_id.ends_with('A') { "B" } else { "A" };
    tenant.access_key_id.replace_range(19.., last);
    assert_refused(&stack, &tenant, "live", "IAM").await;
}

#[tokio::test]
async fn a_key_that_cannot_delete_itself_is_refused() {
    let stack = Stack::shared().await;
    let tenant = tenant_with_policy(&stack, &policy_allowing(&["ses:*", "iam:GetUser"])).await;
    assert_refused(&stack, &tenant, "delete_access_key", "iam:DeleteAccessKey").await;
}

#[tokio::test]
async fn a_key_that_cannot_read_its_user_is_refused() {
    let stack = Stack::shared().await;
    let tenant = tenant_with_policy(&stack, &policy_allowing(&["ses:*", "iam:DeleteAccessKey"])).await;
    assert_refused(&stack, &tenant, "get_user", "iam:GetUser").await;
}

#[tokio::test]
async fn a_key_that_cannot_send_is_refused() {
    let stack = Stack::shared().await;
    let policy = policy_allowing(&["ses:GetAccount", "ses:ListEmailIdentities", "iam:GetUser", "iam:DeleteAccessKey"]);
    let tenant = tenant_with_policy(&stack, &policy).await;
    assert_refused(&stack, &tenant, "sending", "ses:SendEmail").await;
}

#[tokio::test]
async fn a_key_without_access_to_ses_is_refused() {
    let stack = Stack::shared().await;
    let tenant = tenant_with_policy(&stack, &policy_allowing(&["iam:GetUser", "iam:DeleteAccessKey"])).await;
    assert_refused(&stack, &tenant, "ses_region", "ses:GetAccount").await;
}

#[tokio::test]
async fn an_administrators_key_is_refused() {
    let stack = Stack::shared().await;
    let tenant = tenant_with_policy(&stack, &policy_allowing(&["*"])).await;
    assert_refused(&stack, &tenant, "excess", "policies").await;
}

#[tokio::test]
async fn a_key_that_can_read_iam_is_refused() {
    let stack = Stack::shared().await;
    let policy = policy_allowing(&["ses:*", "iam:Get*", "iam:List*", "iam:Simulate*", "iam:DeleteAccessKey"]);
    let tenant = tenant_with_policy(&stack, &policy).await;
    assert_refused(&stack, &tenant, "excess", "policies").await;
}

#[tokio::test]
async fn a_key_of_another_account_than_the_one_in_its_id_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "key_account_id": "999888777666" })).await;
    assert_refused(&stack, &tenant, "account", "Create another access key").await;
}

#[tokio::test]
async fn a_quarantined_key_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    assert_refused(&stack, &tenant, "quarantine", "Delete the key").await;
}

#[tokio::test]
async fn a_suspended_account_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "enforcement": "SHUTDOWN" })).await;
    assert_refused(&stack, &tenant, "sending_status", "SES console").await;
}

#[tokio::test]
async fn the_sandbox_is_a_warning() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "sandbox": true })).await;
    assert_warned(&stack, &tenant, "sandbox").await;
}

#[tokio::test]
async fn a_paused_account_and_one_on_probation_are_warnings() {
    let stack = Stack::shared().await;
    let paused = stack.classic_tenant().await;
    stack.set_faults(&paused, &json!({ "paused": true })).await;
    assert_warned(&stack, &paused, "sending_status").await;
    let probation = stack.classic_tenant().await;
    stack.set_faults(&probation, &json!({ "enforcement": "PROBATION" })).await;
    assert_warned(&stack, &probation, "sending_status").await;
}

#[tokio::test]
async fn a_console_login_is_a_warning() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "console_login": true })).await;
    assert_warned(&stack, &tenant, "console_login").await;
}

#[tokio::test]
async fn if_aws_fails_the_key_is_neither_accepted_nor_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    stack.set_faults(&tenant, &json!({ "on": ["*"], "server_error": 1000 })).await;
    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 503, "{}", response.text);
    assert!(response.headers.contains_key("retry-after"));
    assert_eq!(check(&response, "live")["outcome"], "unknown", "{}", response.text);
    stack.set_faults(&tenant, &json!({})).await;
    stack.onboard_provider("acme", &tenant).await;
}
