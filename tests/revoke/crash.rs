//! Processes of `revoke` and `revoke-worker` are killed during a revocation.

use std::time::Duration;

use reqwest::Method;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{Stack, Tables, assert_receipt, eventually, key_scope, seconds_between};

#[tokio::test]
async fn a_key_ends_revoked_if_its_worker_is_killed_between_the_deletion_and_the_write() {
    let stack = Stack::with_arguments(&["--parameter", "LogLevel=trace"]).await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "hang_ms": 30_000 })).await;
    let order_id = stack.revoke_key(&tenant).await;
    eventually("the deletion of the key", || async { (!stack.has_key(&tenant).await).then_some(()) }).await;
    kill_workers(&stack).await;

    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "write_ahead");
    // That was before SQS delivered the message again and before the sweep: the next step was scheduled before the call.
    assert!(seconds_between(&key["receipt"]["deleted_at"], &key["receipt"]["refused"]["sts"]["at"]) < 60.0, "{key}");
    assert!(key["receipt"]["delete_request_id"].is_null(), "{key}");
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");

    let secret = &tenant.secret_access_key;
    for function in ["verify", "revoke", "revoke-worker"] {
        assert!(!stack.log_lines(function).await.is_empty(), "{function} logged nothing");
        assert!(!stack.log_text(function).await.contains(secret), "{function} logged a secret");
    }
    assert!(!stack.local_api(Method::GET, "/events", None).await.unwrap().text.contains(secret));
}

#[tokio::test]
async fn a_key_whose_worker_is_killed_before_the_deletion_is_revoked_when_its_message_is_delivered_again() {
    let stack = Stack::with_arguments(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    let (tenant, _) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "on": ["sts:GetCallerIdentity"], "latency_ms": 30_000 })).await;
    let order_id = stack.revoke_key(&tenant).await;
    eventually("a process of revoke-worker", || async {
        (!stack.process_ids("revoke-worker").await.is_empty()).then_some(())
    })
    .await;
    // The process exists before it makes its call; it gives up a call without a response after 4 s.
    sleep(Duration::from_secs(2)).await;
    kill_workers(&stack).await;
    stack.set_faults(&tenant, &json!({})).await;
    assert!(stack.has_key(&tenant).await);
    let key = stack.key_in_state(&order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    // That was before the sweep.
    let ordered_at = &stack.get_order(&order_id).await["created_at"];
    assert!(seconds_between(ordered_at, &key["receipt"]["deleted_at"]) < 60.0, "{key} of {ordered_at}");
    stack.assert_deleted_once(&tenant).await;
}

#[tokio::test]
async fn keys_reported_while_both_functions_are_killed_repeatedly_all_end_revoked() {
    let stack = Stack::with_arguments(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    let tables = Tables::new(&stack).await;
    let mut providers = Vec::new();
    for n in 0..6 {
        providers.push(stack.create_provider(&format!("tenant-{n}")).await);
    }
    for (tenant, _) in &providers {
        stack.report_breach(&key_scope(tenant), "all at once").await.unwrap();
        stack.kill_processes("revoke").await;
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(15) {
        stack.kill_processes("revoke").await;
        stack.kill_processes("revoke-worker").await;
        sleep(Duration::from_millis(900)).await;
    }

    for (tenant, provider_id) in &providers {
        // A key without a message is rescheduled by the sweep. The test does not wait until the sweep would run.
        let state = eventually(&format!("the revocation of {provider_id}"), || async {
            let state = stack.provider_status(provider_id).await;
            if state.starts_with("revoked") {
                return Some(state);
            }
            if state == "revoking" && tables.make_due(tenant).await {
                stack.run_sweep().await;
            }
            sleep(Duration::from_secs(2)).await;
            None
        })
        .await;
        assert_eq!(state, "revoked");
        assert!(!stack.has_key(tenant).await);
        stack.provider_event("Provider Revoked", provider_id).await;
        assert!(tables.sealed_lanes(tenant).await.is_empty());
        assert_eq!(tables.audit_trail(provider_id).await, ["onboarded", "revoking", "revoked"]);
        stack.assert_deleted_once(tenant).await;
    }
}

async fn kill_workers(stack: &Stack) {
    assert!(stack.kill_processes("revoke-worker").await > 0, "there is no process of revoke-worker to kill");
}
