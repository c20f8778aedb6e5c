//! What counts as a key's death, and what does not.

use serde_json::json;
use tokio::task::JoinSet;

use super::breach::assert_receipt;
use super::order::{
    alarmed, all_told, answers, delete_key, has_key, key_in, key_when, order, revocation, seconds, status, sweep, told,
};
use super::records::Records;
use crate::support::{Stack, until};

#[tokio::test]
async fn a_key_that_aws_honours_for_longer_than_it_says_is_called_dead_when_it_is() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "deleted_key_honoured_ms": 12_000 })).await;
    let order_id = order(&stack, &tenant).await;
    let key = key_in(&stack, &order_id, "revoked").await;
    let codes = answers(&stack, &tenant, "DeleteAccessKey").await;
    // The one that deleted it, and again where it was seen alive after that.
    assert!(codes.iter().filter(|code| code.is_none()).count() == 1, "{codes:?}");
    assert_receipt(&key, "deleted");
    // Deleted within the call that ended at `deleted_at`.
    for plane in ["sts", "ses"] {
        let refused = &key["receipt"]["refused"][plane]["at"];
        assert!(seconds(&key["receipt"]["deleted_at"], refused) > 11.0, "{key}");
    }
    assert_eq!(key["receipt"]["delete_request_id"].as_str().map(str::is_empty), Some(false), "{key}");
}

#[tokio::test]
async fn keys_that_are_honoured_just_until_they_are_looked_at_all_end_revoked() {
    let mut cases = JoinSet::new();
    for honoured_ms in (5_000..5_200).step_by(25) {
        cases.spawn(async move {
            let stack = Stack::shared().await;
            let (tenant, _) = stack.provider("acme").await;
            stack.faults(&tenant, &json!({ "deleted_key_honoured_ms": honoured_ms })).await;
            let order_id = order(&stack, &tenant).await;
            assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
        });
    }
    cases.join_all().await;
}

#[tokio::test]
async fn a_key_that_its_tenant_deactivated_is_refused_but_not_proved_dead_and_dies_when_it_comes_back() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "deactivate_key": true })).await;
    let order_id = order(&stack, &tenant).await;
    let event = told(&stack, "Revocation Unproven", &provider_id).await;
    assert_eq!(event["detail"]["state"], "refused_unproven");

    let key = key_in(&stack, &order_id, "refused_unproven").await;
    assert!(key["receipt"]["deleted_by"].is_null() && key["receipt"]["deleted_at"].is_null(), "{key}");
    for plane in ["sts", "ses"] {
        assert!(key["receipt"]["refused"][plane]["code"].is_string(), "{key}");
    }
    let pause = seconds(&key["updated_at"], &key["next_attempt_at"]);
    assert!((3_595.0..=3_605.0).contains(&pause), "{pause}: {key}");
    assert_eq!(revocation(&stack, &order_id).await["done"], false);
    assert_eq!(records.lanes(&tenant).await, ["revoke"]);
    assert_eq!(status(&stack, &provider_id).await, "refused_unproven");
    assert!(has_key(&stack, &tenant).await);
    assert!(all_told(&stack, "Provider Revoked", &provider_id).await.is_empty());
    alarmed(&stack, "refused_unproven", &provider_id).await;

    // Another order looks at it again at once, sees the same, and does not put off the next look.
    let second = order(&stack, &tenant).await;
    key_when(&stack, &second, "another look", |again| again["attempts"].as_u64() > key["attempts"].as_u64()).await;
    let again = key_in(&stack, &second, "refused_unproven").await;
    assert_eq!(again["next_attempt_at"], key["next_attempt_at"], "{again}");
    assert_eq!(all_told(&stack, "Revocation Unproven", &provider_id).await.len(), 1);

    // An hour later the tenant has activated it again.
    stack.faults(&tenant, &json!({})).await;
    assert!(records.make_due(&tenant).await);
    sweep(&stack).await;
    let event = told(&stack, "Revoked Key Alive", &provider_id).await;
    assert_eq!(event["detail"]["state"], "revoking");
    let key = key_in(&stack, &order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    assert!(key["receipt"]["alive_again_at"].is_string(), "{key}");
    assert!(!has_key(&stack, &tenant).await);
    assert!(records.lanes(&tenant).await.is_empty());
    assert_eq!(status(&stack, &provider_id).await, "revoked");
    let trail = records.trail(&provider_id).await;
    assert_eq!(trail, ["onboarded", "revoking", "refused_unproven", "revoking", "revoked"]);
}

#[tokio::test]
async fn a_key_that_its_tenant_deleted_long_ago_is_refused_but_not_proved_dead() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    delete_key(&stack, &tenant).await;
    let order_id = order(&stack, &tenant).await;
    let key = key_in(&stack, &order_id, "refused_unproven").await;
    assert!(key["receipt"]["deleted_by"].is_null(), "{key}");
    assert_eq!(records.lanes(&tenant).await, ["revoke"]);
    assert_eq!(status(&stack, &provider_id).await, "refused_unproven");
    assert_eq!(all_told(&stack, "Revocation Unproven", &provider_id).await.len(), 1);
}

#[tokio::test]
async fn a_key_that_its_tenant_deleted_just_now_says_so_itself() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, _) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "deleted_key_honoured_ms": 600_000 })).await;
    delete_key(&stack, &tenant).await;
    // Onboarding asked for a key that is not there.
    let asked = answers(&stack, &tenant, "DeleteAccessKey").await.len();
    let order_id = order(&stack, &tenant).await;
    until("its own answer", || async {
        (answers(&stack, &tenant, "DeleteAccessKey").await.len() > asked).then_some(())
    })
    .await;
    stack.faults(&tenant, &json!({})).await;
    assert_receipt(&key_in(&stack, &order_id, "revoked").await, "no_such_entity");
    assert!(records.lanes(&tenant).await.is_empty());
}
