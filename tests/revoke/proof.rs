//! What proves that a key is deleted, and what does not.

use serde_json::json;
use tokio::task::JoinSet;

use crate::support::{Stack, Tables, assert_receipt, eventually, seconds_between};

#[tokio::test]
async fn a_key_that_aws_honours_longer_than_usual_is_revoked_only_when_it_is_refused() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "deleted_key_honoured_ms": 12_000 })).await;
    let order_id = stack.revoke_key(&tenant).await;
    let key = stack.key_in_state(&order_id, "revoked").await;
    let codes = stack.deletions(&tenant).await;
    // Exactly one deletion succeeded. Others may have followed, because the key was seen alive after it.
    assert!(codes.iter().filter(|code| code.is_none()).count() == 1, "{codes:?}");
    assert_receipt(&key, "deleted");
    // The key was deleted during the call that ended at `deleted_at`.
    for plane in ["sts", "ses"] {
        let refused = &key["receipt"]["refused"][plane]["at"];
        assert!(seconds_between(&key["receipt"]["deleted_at"], refused) > 11.0, "{key}");
    }
    assert_eq!(key["receipt"]["delete_request_id"].as_str().map(str::is_empty), Some(false), "{key}");
}

#[tokio::test]
async fn keys_that_are_honoured_until_just_about_the_check_all_end_revoked() {
    let mut cases = JoinSet::new();
    for honoured_ms in (5_000..5_200).step_by(25) {
        cases.spawn(async move {
            let stack = Stack::shared().await;
            let (tenant, _) = stack.create_provider("acme").await;
            stack.set_faults(&tenant, &json!({ "deleted_key_honoured_ms": honoured_ms })).await;
            let order_id = stack.revoke_key(&tenant).await;
            assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn a_deactivated_key_is_refused_without_proof_and_is_revoked_when_it_is_activated_again() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "deactivate_key": true })).await;
    let order_id = stack.revoke_key(&tenant).await;
    let event = stack.provider_event("Revocation Unproven", &provider_id).await;
    assert_eq!(event["detail"]["state"], "refused_unproven");

    let key = stack.key_in_state(&order_id, "refused_unproven").await;
    assert!(key["receipt"]["deleted_by"].is_null() && key["receipt"]["deleted_at"].is_null(), "{key}");
    for plane in ["sts", "ses"] {
        assert!(key["receipt"]["refused"][plane]["code"].is_string(), "{key}");
    }
    let delay = seconds_between(&key["updated_at"], &key["next_attempt_at"]);
    assert!((3_595.0..=3_605.0).contains(&delay), "{delay}: {key}");
    assert_eq!(stack.get_order(&order_id).await["done"], false);
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke"]);
    assert_eq!(stack.provider_status(&provider_id).await, "refused_unproven");
    assert!(stack.has_key(&tenant).await);
    assert!(stack.provider_events("Provider Revoked", &provider_id).await.is_empty());
    stack.eventually_alarmed("refused_unproven", &provider_id).await;

    // Another order rechecks the key at once, with the same result, and does not delay the next check.
    let second = stack.revoke_key(&tenant).await;
    stack.key_when(&second, "another check", |again| again["attempts"].as_u64() > key["attempts"].as_u64()).await;
    let again = stack.key_in_state(&second, "refused_unproven").await;
    assert_eq!(again["next_attempt_at"], key["next_attempt_at"], "{again}");
    assert_eq!(stack.provider_events("Revocation Unproven", &provider_id).await.len(), 1);

    // An hour later the tenant has activated it again.
    stack.set_faults(&tenant, &json!({})).await;
    assert!(tables.make_due(&tenant).await);
    stack.run_sweep().await;
    let event = stack.provider_event("Revoked Key Alive", &provider_id).await;
    assert_eq!(event["detail"]["state"], "revoking");
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    assert!(key["receipt"]["alive_again_at"].is_string(), "{key}");
    assert!(!stack.has_key(&tenant).await);
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
    let trail = tables.audit_trail(&provider_id).await;
    assert_eq!(trail, ["onboarded", "revoking", "refused_unproven", "revoking", "revoked"]);
}

#[tokio::test]
async fn a_key_that_its_tenant_deleted_long_ago_is_refused_without_proof() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.delete_key_as_admin(&tenant).await;
    let order_id = stack.revoke_key(&tenant).await;
    let key = stack.key_in_state(&order_id, "refused_unproven").await;
    assert!(key["receipt"]["deleted_by"].is_null(), "{key}");
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke"]);
    assert_eq!(stack.provider_status(&provider_id).await, "refused_unproven");
    assert_eq!(stack.provider_events("Revocation Unproven", &provider_id).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_its_tenant_deleted_just_now_is_proved_deleted_by_its_own_call() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, _) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "deleted_key_honoured_ms": 600_000 })).await;
    stack.delete_key_as_admin(&tenant).await;
    // One of them is the probe of onboarding.
    let deletions = stack.deletions(&tenant).await.len();
    let order_id = stack.revoke_key(&tenant).await;
    eventually("a call of the key to delete itself", || async {
        (stack.deletions(&tenant).await.len() > deletions).then_some(())
    })
    .await;
    stack.set_faults(&tenant, &json!({})).await;
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "no_such_entity");
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
}
