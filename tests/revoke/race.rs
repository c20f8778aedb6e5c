//! Orders before, during and after the onboarding of a key.

use std::time::Duration;

use serde_json::json;
use tokio::time::sleep;

use crate::support::{Stack, Tables, key_scope};

#[tokio::test]
async fn a_key_reported_before_its_onboarding_is_never_onboarded() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let tenant = stack.classic_tenant().await;
    let order_id = stack.revoke_key(&tenant).await;
    let shown = stack.get_order(&order_id).await;
    assert_eq!(shown["counts"]["by_status"], json!({ "unknown_key": 1 }), "{shown}");
    assert_eq!(shown["done"], false);
    let unmatched = stack.unmatched_report("access_key_id", &tenant.access_key_id).await;
    assert_eq!((&unmatched["order_id"], &unmatched["reason"]), (&json!(order_id), &json!("unknown_key")));
    assert!(!tables.is_order_due(&order_id).await, "operators were notified");

    let response = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(response.status, 422, "{}", response.text);
    let checks = response.body["report"]["checks"].as_array().unwrap();
    let check = checks.iter().find(|check| check["name"] == "not_reported").unwrap();
    assert_eq!(check["outcome"], "failed", "{}", response.text);
    assert!(check["remedy"].is_string(), "{}", response.text);
    assert!(!response.text.contains(&order_id), "{}", response.text);
    assert!(tables.sealed_lanes(&tenant).await.is_empty());

    // A second report finds the tombstone of the first.
    let second = stack.revoke_key(&tenant).await;
    assert_eq!(stack.get_order(&second).await["counts"]["by_status"], json!({ "unknown_key": 1 }));
}

#[tokio::test]
async fn a_key_reported_during_its_onboarding_is_refused_or_revoked() {
    let stack = Stack::shared().await;
    stack.create_provider("acme").await;
    let tables = Tables::new(&stack).await;
    // Approaches the moment at which either the one or the other is first.
    let (mut head_start, mut step) = (Duration::from_millis(64), Duration::from_millis(64));
    let mut onboarded_keys = Vec::new();
    for _ in 0..10 {
        let tenant = stack.classic_tenant().await;
        let later = async {
            sleep(head_start).await;
            stack.order_revocation(&key_scope(&tenant)).await
        };
        let (onboarded, ordered) = tokio::join!(stack.onboard("acme", &tenant), later);
        let onboarded = onboarded.unwrap();
        assert_eq!(ordered.status, 202, "{}", ordered.text);
        let order_id = ordered.body["order_id"].as_str().unwrap();
        let key = &stack.get_order(order_id).await["keys"][0];
        step = (step / 2).max(Duration::from_millis(2));
        if onboarded.status == 201 {
            assert_ne!(key["status"], "unknown_key", "{key}");
            assert_ne!(stack.provider_status(onboarded.body["provider_id"].as_str().unwrap()).await, "active");
            head_start = head_start.saturating_sub(step);
            onboarded_keys.push((tenant, order_id.to_owned()));
        } else {
            assert!([409, 422].contains(&onboarded.status.as_u16()), "{}", onboarded.text);
            assert_eq!(key["status"], "unknown_key", "{key}");
            assert!(tables.sealed_lanes(&tenant).await.is_empty());
            head_start += step;
        }
    }
    for (tenant, order_id) in onboarded_keys {
        stack.key_in_state(&order_id, "revoked").await;
        assert!(!stack.has_key(&tenant).await);
        assert!(tables.sealed_lanes(&tenant).await.is_empty());
    }
}

#[tokio::test]
async fn a_revoked_key_is_not_onboarded_again() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    let order_id = stack.revoke_key(&tenant).await;
    let again = stack.onboard("acme", &tenant).await.unwrap();
    assert!([409, 422].contains(&again.status.as_u16()), "{}", again.text);
    stack.key_in_state(&order_id, "revoked").await;
    let revoked = stack.onboard("acme", &tenant).await.unwrap();
    assert_eq!(revoked.status, 422, "{}", revoked.text);
}
