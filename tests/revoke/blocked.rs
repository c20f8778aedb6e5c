//! Revocations that are blocked or fail, and how they continue once the cause is gone.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Stack, Tables, assert_receipt, mail, policy_allowing, seconds_between};
use operator::Tenant;

#[tokio::test]
async fn a_quarantined_key_is_reported_at_once_and_is_revoked_by_an_order_after_the_quarantine() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id, order_id) = blocked_provider(&stack, &json!({ "quarantine": true }), "quarantined").await;
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke"]);
    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "revocation_blocked"]);

    stack.set_faults(&tenant, &json!({})).await;
    // After lifting the quarantine, nobody wants to wait for the next retry.
    let second = stack.revoke_key(&tenant).await;
    assert_receipt(&stack.key_in_state(&second, "revoked").await, "deleted");
    assert_eq!(stack.get_order(&order_id).await["done"], true);
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
    let event = stack.provider_event("Provider Revoked", &provider_id).await;
    let mut orders = event["detail"]["orders"].as_array().unwrap().clone();
    orders.sort_by_key(Value::to_string);
    assert_eq!(orders, [json!(order_id), json!(second)]);
}

#[tokio::test]
async fn a_blocked_key_is_retried_by_the_sweep_and_reported_once() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id, order_id) = blocked_provider(&stack, &json!({ "quarantine": true }), "quarantined").await;
    let attempts = stack.get_order(&order_id).await["keys"][0]["attempts"].as_u64().unwrap();
    assert!(tables.make_due(&tenant).await);
    stack.run_sweep().await;
    let key = stack
        .key_when(&order_id, "another attempt", |key| {
            key["attempts"].as_u64().unwrap() > attempts
                && seconds_between(&key["updated_at"], &key["next_attempt_at"]) > 299.0
        })
        .await;
    assert_eq!(key["reason"], "quarantined", "{key}");
    assert_eq!(stack.provider_events("Revocation Blocked", &provider_id).await.len(), 1);

    stack.set_faults(&tenant, &json!({})).await;
    assert!(tables.make_due(&tenant).await);
    stack.run_sweep().await;
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
}

#[tokio::test]
async fn a_key_that_lost_its_permission_to_delete_itself_is_reported_as_denied() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let iam = aws_sdk_iam::Client::new(&stack.sdk_config(&stack.root_of(&tenant).await));
    let policy = policy_allowing(&["ses:*", "iam:GetUser"]).to_string();
    let put = iam.put_user_policy().user_name("mailer").policy_name("policy-1").policy_document(policy);
    put.send().await.unwrap();
    let order_id = stack.revoke_key(&tenant).await;
    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "delete_denied");
    stack.key_in_state(&order_id, "revocation_blocked{delete_denied}").await;
    assert!(stack.has_key(&tenant).await);
}

#[tokio::test]
async fn a_failing_iam_is_called_again_until_it_works() {
    let mut cases = JoinSet::new();
    for broken in [
        json!({ "on": ["iam:*"], "server_error": 1000 }),
        json!({ "on": ["iam:*"], "throttle_chance": 1 }),
        json!({ "on": ["iam:*"], "reset_before": 1000 }),
        json!({ "on": ["*"], "server_error": 1000 }),
    ] {
        cases.spawn(async move {
            let stack = Stack::shared().await;
            let (tenant, provider_id) = stack.create_provider("acme").await;
            stack.set_faults(&tenant, &broken).await;
            let order_id = stack.revoke_key(&tenant).await;
            let key = stack.key_when(&order_id, "three attempts", |key| key["attempts"].as_u64().unwrap() >= 3).await;
            assert_eq!(key["status"], "revoking", "{broken}: {key}");
            assert!(stack.has_key(&tenant).await, "{broken}");
            assert_eq!(stack.provider_status(&provider_id).await, "revoking");
            stack.set_faults(&tenant, &json!({})).await;
            assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn if_the_response_to_the_deletion_is_lost_the_intent_written_before_it_is_the_proof() {
    let mut cases = JoinSet::new();
    for lost in [
        json!({ "on": ["iam:DeleteAccessKey"], "reset_after": 1 }),
        json!({ "on": ["iam:DeleteAccessKey"], "hang_ms": 20_000 }),
    ] {
        cases.spawn(async move {
            let stack = Stack::shared().await;
            let tables = Tables::new(&stack).await;
            let (tenant, _) = stack.create_provider("acme").await;
            stack.set_faults(&tenant, &lost).await;
            let order_id = stack.revoke_key(&tenant).await;
            let key = stack.key_in_state(&order_id, "revoked").await;
            assert_receipt(&key, "write_ahead");
            assert!(key["receipt"]["delete_request_id"].is_null(), "{lost}: {key}");
            assert!(tables.sealed_lanes(&tenant).await.is_empty(), "{lost}");
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn if_the_response_is_lost_and_the_key_is_still_honoured_the_next_deletion_is_the_proof() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    // The deletion takes effect so late that the key still works when it is checked.
    let late = json!({
        "on": ["iam:DeleteAccessKey"], "reset_after": 1, "deleted_key_honoured_ms": 20_000,
    });
    stack.set_faults(&tenant, &late).await;
    let order_id = stack.revoke_key(&tenant).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "no_such_entity");
    assert!(key["receipt"]["delete_request_id"].is_string(), "{key}");
}

#[tokio::test]
async fn a_blocked_key_that_its_tenant_deletes_is_refused_but_its_deletion_is_not_proved() {
    let stack = Stack::shared().await;
    let (tenant, provider_id, order_id) = blocked_provider(&stack, &json!({ "quarantine": true }), "quarantined").await;
    stack.delete_key_as_admin(&tenant).await;
    stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "refused_unproven").await;
    let event = stack.provider_event("Revocation Unproven", &provider_id).await;
    assert_eq!(event["detail"]["state"], "refused_unproven");
}

#[tokio::test]
async fn a_suspended_provider_is_revoked_like_any_other() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "paused": true })).await;
    stack.enqueue_mail(&mail(&provider_id, "paused")).await.unwrap();
    stack.provider_event("Provider Suspended", &provider_id).await;
    assert!(stack.provider_status(&provider_id).await.starts_with("suspended"));
    let order_id = stack.revoke_key(&tenant).await;
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
}

/// A provider whose revocation is blocked: with an event that has the reason, and a retry after five minutes. Returns the
/// tenant, the provider's id and the order's id.
async fn blocked_provider(stack: &Stack, fault: &Value, reason: &str) -> (Tenant, String, String) {
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, fault).await;
    let order_id = stack.revoke_key(&tenant).await;
    let event = stack.provider_event("Revocation Blocked", &provider_id).await;
    assert_eq!(event["detail"]["reason"], reason, "{event}");
    stack.eventually_alarmed("revocation_blocked", &provider_id).await;
    let key = stack.key_in_state(&order_id, &format!("revocation_blocked{{{reason}}}")).await;
    let delay = seconds_between(&key["updated_at"], &key["next_attempt_at"]);
    assert!((295.0..=305.0).contains(&delay), "{delay}: {key}");
    assert_eq!(stack.provider_status(&provider_id).await, format!("revocation_blocked{{{reason}}}"));
    assert!(stack.has_key(&tenant).await);
    (tenant, provider_id, order_id)
}
