//! Orders that come before, during and after a key's onboarding.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use super::order::{has_key, key_in, order, report, revocation, scope_of, status, unmatched};
use super::records::Records;
use crate::support::Stack;

#[tokio::test]
async fn a_key_reported_before_anybody_handed_it_over_is_never_taken() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let tenant = stack.classic_tenant().await;
    let order_id = order(&stack, &tenant).await;
    let shown = revocation(&stack, &order_id).await;
    assert_eq!(shown["counts"], json!({ "unknown_key": 1 }), "{shown}");
    assert_eq!(shown["done"], false);
    let unmatched = unmatched(&stack, "access_key_id", &tenant.access_key_id).await;
    assert_eq!((&unmatched["order_id"], &unmatched["reason"]), (&json!(order_id), &json!("unknown_key")));
    assert!(!records.is_order_due(&order_id).await, "operators were told");

    let answer = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(answer.status, 422, "{}", answer.text);
    let checks = answer.body["report"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "not_reported").unwrap();
    assert_eq!(check["outcome"], "failed", "{}", answer.text);
    assert!(check["remedy"].is_string(), "{}", answer.text);
    assert!(!answer.text.contains(&order_id), "{}", answer.text);
    assert!(records.lanes(&tenant).await.is_empty());

    // A second report of it finds the tombstone.
    let second = order(&stack, &tenant).await;
    assert_eq!(revocation(&stack, &second).await["counts"], json!({ "unknown_key": 1 }));
}

#[tokio::test]
async fn a_key_reported_while_it_is_taken_is_kept_out_or_revoked() {
    let stack = Stack::shared().await;
    stack.provider("acme").await;
    let records = Records::of(&stack).await;
    // Closes in on the moment at which the one or the other comes first.
    let (mut head_start, mut step) = (Duration::from_millis(64), Duration::from_millis(64));
    let mut taken = Vec::new();
    for _ in 0..10 {
        let tenant = stack.classic_tenant().await;
        let later = async {
            sleep(head_start).await;
            report(&stack, &scope_of(&tenant)).await
        };
        let (onboarded, ordered) = tokio::join!(stack.onboard("acme", &tenant), later);
        let onboarded = onboarded.unwrap();
        assert_eq!(ordered.status, 202, "{}", ordered.text);
        let order_id = ordered.body["order_id"].as_str().unwrap();
        let key = &revocation(&stack, order_id).await["keys"][0];
        step = (step / 2).max(Duration::from_millis(2));
        if onboarded.status == 201 {
            assert_ne!(key["status"], "unknown_key", "{key}");
            assert_ne!(status(&stack, onboarded.body["provider_id"].as_str().unwrap()).await, "active");
            head_start = head_start.saturating_sub(step);
            taken.push((tenant, order_id.to_owned()));
        } else {
            assert!([409, 422].contains(&onboarded.status.as_u16()), "{}", onboarded.text);
            assert_eq!(key["status"], "unknown_key", "{key}");
            assert!(records.lanes(&tenant).await.is_empty());
            head_start += step;
        }
    }
    for (tenant, order_id) in taken {
        key_in(&stack, &order_id, "revoked").await;
        assert!(!has_key(&stack, &tenant).await);
        assert!(records.lanes(&tenant).await.is_empty());
    }
}

#[tokio::test]
async fn a_revoked_key_is_not_taken_again() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.provider("acme").await;
    let order_id = order(&stack, &tenant).await;
    let again = stack.onboard("acme", &tenant).await.unwrap();
    assert!([409, 422].contains(&again.status.as_u16()), "{}", again.text);
    key_in(&stack, &order_id, "revoked").await;
    let dead = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(dead.status, 422, "{}", dead.text);
}
