//! Many keys at once.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::breach::assert_receipt;
use super::order::{has_key, revocation, scope_of, status};
use super::records::Records;
use crate::support::{Stack, until};

/// Tenants whose keys are reported at once.
const TENANTS: usize = 20;

#[tokio::test]
async fn twenty_keys_reported_at_once_all_die_but_the_one_that_is_quarantined() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let mut taken = JoinSet::new();
    for n in 0..TENANTS {
        taken.spawn(async move { Stack::shared().await.provider(&format!("crowd-{n}")).await });
    }
    let crowd = taken.join_all().await;
    let (held, _) = &crowd[0];
    stack.faults(held, &json!({ "quarantine": true })).await;
    // One whose IAM does not answer for a while.
    stack.faults(&crowd[1].0, &json!({ "on": ["iam:*"], "server_error": 2 })).await;

    let mut reported = JoinSet::new();
    for (tenant, _) in &crowd {
        let scope = scope_of(tenant);
        reported.spawn(async move { Stack::shared().await.report_breach(&scope, "all at once").await.unwrap() });
    }
    reported.join_all().await;

    let dead: BTreeSet<String> = crowd[1..].iter().map(|(_, provider_id)| provider_id.clone()).collect();
    let events = until("all of them revoked", || async {
        let mut events = stack.events_of("Provider Revoked").await.unwrap();
        events.retain(|event| event["detail"]["tenant_id"].as_str().is_some_and(|id| id.starts_with("crowd-")));
        let told: BTreeSet<String> =
            events.iter().map(|event| event["detail"]["provider_id"].as_str().unwrap().to_owned()).collect();
        if told.is_superset(&dead) {
            return Some(events);
        }
        sleep(Duration::from_millis(500)).await;
        None
    })
    .await;

    assert_eq!(events.len(), dead.len(), "each is told once, and the one that lives is not");
    for event in &events {
        let detail = &event["detail"];
        let (tenant, _) = crowd.iter().find(|(_, provider_id)| detail["provider_id"] == **provider_id).unwrap();
        assert_eq!(detail["account_id"], tenant.account_id.as_str());
        let [order_id] = detail["orders"].as_array().unwrap().as_slice() else { panic!("one order: {detail}") };
        let shown = revocation(&stack, order_id.as_str().unwrap()).await;
        assert_eq!(shown["scope"], scope_of(tenant));
        assert_receipt(&shown["keys"][0], "deleted");
        assert!(!has_key(&stack, tenant).await);
        assert!(records.lanes(tenant).await.is_empty());
    }
    assert!(has_key(&stack, held).await);
    assert_eq!(status(&stack, &crowd[0].1).await, "revocation_blocked{quarantined}");
}
