//! Which keys are taken: DESIGN's table, a row a test.

use serde_json::{Value, json};

use crate::support::{Stack, classic, only};
use operator::{Answer, Tenant};

/// The check of this name in a report.
fn check<'a>(answer: &'a Answer, name: &str) -> &'a Value {
    answer.body["report"]["checks"]
        .as_array()
        .and_then(|checks| checks.iter().find(|check| check["name"] == name))
        .unwrap_or_else(|| panic!("no check {name} in {}", answer.text))
}

/// The key is refused by this check, its remedy says what to do, and nothing is stored.
async fn assert_refused(stack: &Stack, tenant: &Tenant, name: &str, remedy: &str) {
    let answer = stack.onboard("acme", tenant).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(check(&answer, name)["outcome"], "failed", "{}", answer.text);
    let said = check(&answer, name)["remedy"].as_str().unwrap();
    assert!(said.contains(remedy), "{said}");
    assert!(!answer.text.contains(&tenant.secret_access_key));
    assert_nothing_stored(stack, tenant).await;
}

/// A key that was not taken has no key item: a report of it makes a tombstone, which would be refused otherwise.
async fn assert_nothing_stored(stack: &Stack, tenant: &Tenant) {
    let scope = json!({ "scope": { "access_key_id": tenant.access_key_id }, "reason": "test" });
    let order = stack.api(reqwest::Method::POST, "/revocations", Some(&scope)).await.unwrap();
    assert_eq!(order.status, 202, "{}", order.text);
    let order_id = order.body["order_id"].as_str().unwrap();
    let order = stack.api(reqwest::Method::GET, &format!("/revocations/{order_id}"), None).await.unwrap();
    assert_eq!(order.body["keys"][0]["status"], "unknown_key", "{}", order.text);
}

/// The key is taken, with a warning by this check.
async fn assert_warned(stack: &Stack, tenant: &Tenant, name: &str) {
    let answer = stack.onboard("acme", tenant).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    assert_eq!(check(&answer, name)["outcome"], "warning", "{}", answer.text);
    assert!(check(&answer, name)["remedy"].is_string(), "{}", answer.text);
}

fn tenant_with(policy: &Value) -> Value {
    json!({ "policies": [policy], "identities": ["example.com"] })
}

#[tokio::test]
async fn the_classic_policy_is_accepted_with_a_word_on_its_breadth() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    assert_warned(&stack, &tenant, "breadth").await;
}

#[tokio::test]
async fn the_hardened_policy_is_accepted_without_warnings() {
    let stack = Stack::shared().await;
    // The policy names the account, so the account comes first.
    let account_id = "314159265358";
    let policy = stack
        .api(reqwest::Method::GET, &format!("/policy?style=hardened&account_id={account_id}"), None)
        .await
        .unwrap();
    let tenant = stack
        .tenant(&json!({ "account_id": account_id, "policies": [policy.body], "identities": ["example.com"] }))
        .await
        .unwrap();
    let answer = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text);
    for check in answer.body["report"]["checks"].as_array().unwrap() {
        // Only a denial while sending can tell of a default configuration set, and a probe that sends is none.
        let expected = if check["name"] == "default_configuration_set" { "unknown" } else { "passed" };
        assert_eq!(check["outcome"], expected, "{check}");
    }
}

#[tokio::test]
async fn the_hardened_policy_serves_a_user_with_a_path() {
    let stack = Stack::shared().await;
    let account_id = "271828182845";
    let policy = stack
        .api(reqwest::Method::GET, &format!("/policy?style=hardened&account_id={account_id}"), None)
        .await
        .unwrap();
    let tenant = stack
        .tenant(&json!({
            "account_id": account_id, "user_path": "/mail/prod/", "policies": [policy.body], "identities": ["example.com"]
        }))
        .await
        .unwrap();
    assert!(tenant.user_arn.contains(":user/mail/prod/"), "{}", tenant.user_arn);
    stack.take("acme", &tenant).await;
}

#[tokio::test]
async fn a_key_of_root_is_refused() {
    let stack = Stack::shared().await;
    let tenant =
        stack.tenant(&json!({ "principal": "root", "policies": [], "identities": ["example.com"] })).await.unwrap();
    assert_refused(&stack, &tenant, "iam_user", "IAM user").await;
}

#[tokio::test]
async fn temporary_credentials_are_refused_by_their_id() {
    let stack = Stack::shared().await;
    let mut tenant = stack.classic_tenant().await;
    tenant.access_key_id.replace_range(..4, "ASIA");
    let answer = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text);
    assert_eq!(check(&answer, "long_term")["outcome"], "failed", "{}", answer.text);
}

#[tokio::test]
async fn a_text_that_is_no_key_is_refused_by_its_shape() {
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
    // Another id of the same account: the account is in the first characters.
    let last = if tenant.access_key_id.ends_with('A') { "B" } else { "A" };
    tenant.access_key_id.replace_range(19.., last);
    assert_refused(&stack, &tenant, "live", "").await;
}

#[tokio::test]
async fn a_key_that_cannot_delete_itself_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant(&tenant_with(&only(&["ses:*", "iam:GetUser"]))).await.unwrap();
    assert_refused(&stack, &tenant, "delete_access_key", "iam:DeleteAccessKey").await;
}

#[tokio::test]
async fn a_key_that_cannot_read_its_user_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant(&tenant_with(&only(&["ses:*", "iam:DeleteAccessKey"]))).await.unwrap();
    assert_refused(&stack, &tenant, "get_user", "iam:GetUser").await;
}

#[tokio::test]
async fn a_key_that_cannot_send_is_refused() {
    let stack = Stack::shared().await;
    let policy = only(&["ses:GetAccount", "ses:ListEmailIdentities", "iam:GetUser", "iam:DeleteAccessKey"]);
    let tenant = stack.tenant(&tenant_with(&policy)).await.unwrap();
    assert_refused(&stack, &tenant, "sending", "ses:SendEmail").await;
}

#[tokio::test]
async fn a_key_without_access_to_ses_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant(&tenant_with(&only(&["iam:GetUser", "iam:DeleteAccessKey"]))).await.unwrap();
    assert_refused(&stack, &tenant, "ses_region", "ses:GetAccount").await;
}

#[tokio::test]
async fn an_administrators_key_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant(&tenant_with(&only(&["*"]))).await.unwrap();
    assert_refused(&stack, &tenant, "excess", "").await;
}

#[tokio::test]
async fn a_key_that_can_read_iam_is_refused() {
    let stack = Stack::shared().await;
    let policy = only(&["ses:*", "iam:Get*", "iam:List*", "iam:Simulate*", "iam:DeleteAccessKey"]);
    let tenant = stack.tenant(&tenant_with(&policy)).await.unwrap();
    assert_refused(&stack, &tenant, "excess", "").await;
}

#[tokio::test]
async fn a_key_of_another_account_than_its_id_tells_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack
        .tenant(&json!({ "key_account_id": "999888777666", "policies": [classic()], "identities": ["example.com"] }))
        .await
        .unwrap();
    assert_refused(&stack, &tenant, "account", "").await;
}

#[tokio::test]
async fn a_quarantined_key_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    faults(&stack, &tenant, &json!({ "quarantine": true })).await;
    assert_refused(&stack, &tenant, "quarantine", "Delete the key").await;
}

#[tokio::test]
async fn a_suspended_account_is_refused() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    faults(&stack, &tenant, &json!({ "enforcement": "SHUTDOWN" })).await;
    assert_refused(&stack, &tenant, "sending_status", "").await;
}

#[tokio::test]
async fn the_sandbox_is_a_warning() {
    let stack = Stack::shared().await;
    let tenant = stack
        .tenant(&json!({ "policies": [classic()], "identities": ["example.com"], "sandbox": true }))
        .await
        .unwrap();
    assert_warned(&stack, &tenant, "sandbox").await;
}

#[tokio::test]
async fn a_paused_account_and_one_on_probation_are_warnings() {
    let stack = Stack::shared().await;
    let paused = stack.classic_tenant().await;
    faults(&stack, &paused, &json!({ "paused": true })).await;
    assert_warned(&stack, &paused, "sending_status").await;
    let probation = stack.classic_tenant().await;
    faults(&stack, &probation, &json!({ "enforcement": "PROBATION" })).await;
    assert_warned(&stack, &probation, "sending_status").await;
}

#[tokio::test]
async fn a_console_login_is_a_warning() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    faults(&stack, &tenant, &json!({ "console_login": true })).await;
    assert_warned(&stack, &tenant, "console_login").await;
}

#[tokio::test]
async fn an_aws_that_does_not_answer_leaves_the_key_undecided() {
    let stack = Stack::shared().await;
    let tenant = stack.classic_tenant().await;
    faults(&stack, &tenant, &json!({ "on": ["*"], "server_error": 1000 })).await;
    let answer = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(answer.status, 503, "{}", answer.text);
    assert!(answer.headers.contains_key("retry-after"));
    assert_eq!(check(&answer, "live")["outcome"], "unknown", "{}", answer.text);
    faults(&stack, &tenant, &json!({})).await;
    stack.take("acme", &tenant).await;
}

async fn faults(stack: &Stack, tenant: &Tenant, faults: &Value) {
    let path = format!("/tenants/{}/faults", tenant.account_id);
    let answer = stack.local(reqwest::Method::PUT, &path, Some(faults)).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.text);
}
