//! Many keys are reported at the same time.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::support::{Stack, Tables, assert_receipt, eventually, key_scope};

/// How many tenants' keys are reported.
const TENANTS: usize = 20;

#[tokio::test]
async fn of_twenty_keys_reported_at_once_all_are_revoked_except_the_quarantined_one() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let mut onboarding = JoinSet::new();
    for n in 0..TENANTS {
        onboarding.spawn(async move { Stack::shared().await.create_provider(&format!("crowd-{n}")).await });
    }
    let providers = onboarding.join_all().await;
    let (quarantined, _) = &providers[0];
    stack.set_faults(quarantined, &json!({ "quarantine": true })).await;
    // The IAM of another one fails for a while.
    stack.set_faults(&providers[1].0, &json!({ "on": ["iam:*"], "server_error": 2 })).await;

    let mut reports = JoinSet::new();
    for (tenant, _) in &providers {
        let scope = key_scope(tenant);
        reports.spawn(async move { Stack::shared().await.report_breach(&scope, "all at once").await.unwrap() });
    }
    reports.join_all().await;

    let expected: BTreeSet<String> = providers[1..].iter().map(|(_, provider_id)| provider_id.clone()).collect();
    let events = eventually("an event Provider Revoked about each key", || async {
        let mut events = stack.events("Provider Revoked").await.unwrap();
        events.retain(|event| event["detail"]["tenant_id"].as_str().is_some_and(|id| id.starts_with("crowd-")));
        let notified: BTreeSet<String> =
            events.iter().map(|event| event["detail"]["provider_id"].as_str().unwrap().to_owned()).collect();
        if notified.is_superset(&expected) {
            return Some(events);
        }
        sleep(Duration::from_millis(500)).await;
        None
    })
    .await;

    assert_eq!(events.len(), expected.len(), "one event for each revoked key, and none for the quarantined one");
    for event in &events {
        let detail = &event["detail"];
        let (tenant, _) = providers.iter().find(|(_, provider_id)| detail["provider_id"] == **provider_id).unwrap();
        assert_eq!(detail["account_id"], tenant.account_id.as_str());
        let [order_id] = detail["orders"].as_array().unwrap().as_slice() else { panic!("not one order: {detail}") };
        let shown = stack.get_order(order_id.as_str().unwrap()).await;
        assert_eq!(shown["scope"], key_scope(tenant));
        assert_receipt(&shown["keys"][0], "deleted");
        assert!(!stack.has_key(tenant).await);
        assert!(tables.sealed_lanes(tenant).await.is_empty());
    }
    assert!(stack.has_key(quarantined).await);
    assert_eq!(stack.provider_status(&providers[0].1).await, "revocation_blocked{quarantined}");
}
