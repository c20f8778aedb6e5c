//! What stands in a revocation's way, and that it goes on when it is gone.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::breach::assert_receipt;
use super::order::{
    alarmed, all_told, delete_key, has_key, key_in, key_when, order, revocation, seconds, status, sweep, told,
};
use super::outsider::config_of;
use super::records::Records;
use crate::support::{Stack, mail, only};
use operator::Tenant;

#[tokio::test]
async fn a_quarantined_key_is_told_at_once_and_dies_when_an_order_comes_after_the_quarantine() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id, order_id) = blocked(&stack, &json!({ "quarantine": true }), "quarantined").await;
    assert_eq!(records.lanes(&tenant).await, ["revoke"]);
    assert_eq!(records.trail(&provider_id).await, ["onboarded", "revoking", "revocation_blocked"]);

    stack.faults(&tenant, &json!({})).await;
    // Whoever lifted the quarantine does not wait for the next try.
    let second = order(&stack, &tenant).await;
    assert_receipt(&key_in(&stack, &second, "revoked").await, "deleted");
    assert_eq!(revocation(&stack, &order_id).await["done"], true);
    assert!(records.lanes(&tenant).await.is_empty());
    assert_eq!(status(&stack, &provider_id).await, "revoked");
    let event = told(&stack, "Provider Revoked", &provider_id).await;
    let mut orders = event["detail"]["orders"].as_array().unwrap().clone();
    orders.sort_by_key(Value::to_string);
    assert_eq!(orders, [json!(order_id), json!(second)]);
}

#[tokio::test]
async fn a_blocked_key_is_retried_by_the_sweep_and_told_once() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id, order_id) = blocked(&stack, &json!({ "quarantine": true }), "quarantined").await;
    let attempts = revocation(&stack, &order_id).await["keys"][0]["attempts"].as_u64().unwrap();
    assert!(records.make_due(&tenant).await);
    sweep(&stack).await;
    let key = key_when(&stack, &order_id, "another try", |key| {
        key["attempts"].as_u64().unwrap() > attempts && seconds(&key["updated_at"], &key["next_attempt_at"]) > 299.0
    })
    .await;
    assert_eq!(key["reason"], "quarantined", "{key}");
    assert_eq!(all_told(&stack, "Revocation Blocked", &provider_id).await.len(), 1);

    stack.faults(&tenant, &json!({})).await;
    assert!(records.make_due(&tenant).await);
    sweep(&stack).await;
    assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
}

#[tokio::test]
async fn a_key_that_lost_its_permission_to_delete_itself_is_told_as_denied() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let iam = aws_sdk_iam::Client::new(&config_of(&stack, &root_of(&stack, &tenant).await));
    let policy = only(&["ses:*", "iam:GetUser"]).to_string();
    let put = iam.put_user_policy().user_name("mailer").policy_name("policy-1").policy_document(policy);
    put.send().await.unwrap();
    let order_id = order(&stack, &tenant).await;
    let event = told(&stack, "Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "delete_denied");
    key_in(&stack, &order_id, "revocation_blocked{delete_denied}").await;
    assert!(has_key(&stack, &tenant).await);
}

#[tokio::test]
async fn an_iam_that_fails_is_asked_again_until_it_answers() {
    let mut cases = JoinSet::new();
    for broken in [
        json!({ "on": ["iam:*"], "server_error": 1000 }),
        json!({ "on": ["iam:*"], "throttle_chance": 1 }),
        json!({ "on": ["iam:*"], "reset_before": 1000 }),
        json!({ "on": ["*"], "server_error": 1000 }),
    ] {
        cases.spawn(async move {
            let stack = Stack::shared().await;
            let (tenant, provider_id) = stack.provider("acme").await;
            stack.faults(&tenant, &broken).await;
            let order_id = order(&stack, &tenant).await;
            let key = key_when(&stack, &order_id, "a few tries", |key| key["attempts"].as_u64().unwrap() >= 3).await;
            assert_eq!(key["status"], "revoking", "{broken}: {key}");
            assert!(has_key(&stack, &tenant).await, "{broken}");
            assert_eq!(status(&stack, &provider_id).await, "revoking");
            stack.faults(&tenant, &json!({})).await;
            assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_after_the_deletion_ends_on_what_was_written_ahead() {
    let mut cases = JoinSet::new();
    for lost in [
        json!({ "on": ["iam:DeleteAccessKey"], "reset_after": 1 }),
        json!({ "on": ["iam:DeleteAccessKey"], "hang_ms": 20_000 }),
    ] {
        cases.spawn(async move {
            let stack = Stack::shared().await;
            let records = Records::of(&stack).await;
            let (tenant, _) = stack.provider("acme").await;
            stack.faults(&tenant, &lost).await;
            let order_id = order(&stack, &tenant).await;
            let key = key_in(&stack, &order_id, "revoked").await;
            assert_receipt(&key, "write_ahead");
            assert!(key["receipt"]["delete_request_id"].is_null(), "{lost}: {key}");
            assert!(records.lanes(&tenant).await.is_empty(), "{lost}");
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn an_answer_that_is_lost_while_the_key_is_honoured_is_made_up_for_by_the_next() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.provider("acme").await;
    // The deletion takes effect so late that the key still works when it is looked at.
    let late = json!({
        "on": ["iam:DeleteAccessKey"], "reset_after": 1, "deleted_key_honoured_ms": 20_000,
    });
    stack.faults(&tenant, &late).await;
    let order_id = order(&stack, &tenant).await;
    let key = key_in(&stack, &order_id, "revoked").await;
    assert_receipt(&key, "no_such_entity");
    assert!(key["receipt"]["delete_request_id"].is_string(), "{key}");
}

#[tokio::test]
async fn a_blocked_key_that_its_tenant_deletes_is_refused_but_not_proved_dead() {
    let stack = Stack::shared().await;
    let (tenant, provider_id, order_id) = blocked(&stack, &json!({ "quarantine": true }), "quarantined").await;
    delete_key(&stack, &tenant).await;
    order(&stack, &tenant).await;
    key_in(&stack, &order_id, "refused_unproven").await;
    let event = told(&stack, "Revocation Unproven", &provider_id).await;
    assert_eq!(event["detail"]["state"], "refused_unproven");
}

#[tokio::test]
async fn a_suspended_provider_is_revoked_like_any_other() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "paused": true })).await;
    stack.mail(&mail(&provider_id, "paused")).await.unwrap();
    told(&stack, "Provider Suspended", &provider_id).await;
    assert!(status(&stack, &provider_id).await.starts_with("suspended"));
    let order_id = order(&stack, &tenant).await;
    assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
    assert_eq!(status(&stack, &provider_id).await, "revoked");
}

/// A provider whose revocation is blocked, told with its reason and due again after five minutes.
async fn blocked(stack: &Stack, fault: &Value, reason: &str) -> (Tenant, String, String) {
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, fault).await;
    let order_id = order(stack, &tenant).await;
    let event = told(stack, "Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], reason, "{event}");
    alarmed(stack, "revocation_blocked", &provider_id).await;
    let key = key_in(stack, &order_id, &format!("revocation_blocked{{{reason}}}")).await;
    let pause = seconds(&key["updated_at"], &key["next_attempt_at"]);
    assert!((295.0..=305.0).contains(&pause), "{pause}: {key}");
    assert_eq!(status(stack, &provider_id).await, format!("revocation_blocked{{{reason}}}"));
    assert!(has_key(stack, &tenant).await);
    (tenant, provider_id, order_id)
}

/// The root of a tenant's account, who may do what its administrator does.
async fn root_of(stack: &Stack, tenant: &Tenant) -> Tenant {
    let request = json!({ "account_id": tenant.account_id, "principal": "root", "policies": [], "identities": [] });
    stack.tenant(&request).await.unwrap()
}
