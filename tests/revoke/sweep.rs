//! The sweep: keys and orders that are due, even if their messages are lost or their writers died.

use std::time::Duration;

use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::support::{Stack, Tables, WAIT_TIMEOUT, assert_receipt, eventually};

#[tokio::test]
async fn the_schedule_runs_the_sweep_every_minute() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, _) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = stack.revoke_key(&tenant).await;
    stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    stack.set_faults(&tenant, &json!({})).await;
    assert!(tables.make_due(&tenant).await);
    let due_since = Instant::now();
    while stack.deletions(&tenant).await.last().unwrap().is_some() {
        assert!(
            due_since.elapsed() < Duration::from_secs(60) + WAIT_TIMEOUT,
            "no sweep rescheduled the key of {order_id}"
        );
        sleep(Duration::from_millis(500)).await;
    }
    stack.key_in_state(&order_id, "revoked").await;
}

#[tokio::test]
async fn an_order_whose_writer_died_before_the_stop_is_executed_by_the_sweep() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    // An order for a key that was never onboarded is redirected to this key. It has stopped nothing so far.
    let order_id = stack.revoke_key(&stack.classic_tenant().await).await;
    assert!(!tables.is_order_due(&order_id).await, "the order was executed at once");
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    tables.redirect_order(&order_id, &tenant).await;
    stack.run_sweep().await;
    assert_ne!(stack.provider_status(&provider_id).await, "active");
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    assert!(!tables.is_order_due(&order_id).await, "the order is executed and still due");
}

#[tokio::test]
async fn more_keys_than_fit_on_a_page_are_all_enqueued_and_not_enqueued_again_at_once() {
    let stack = Stack::with_arguments(&[]).await;
    Tables::new(&stack).await.add_due_keys(230).await;
    // One sweep has the time for all of them, but not on every machine.
    eventually("all due keys enqueued", || async {
        stack.run_sweep().await;
        (enqueued_keys(&stack).await >= 230).then_some(())
    })
    .await;
    // The scheduled sweep may have run at the same time as ours. The log line of a sweep exists when the next one has ended.
    stack.run_sweep().await;
    let enqueued = enqueued_keys(&stack).await;
    stack.run_sweep().await;
    stack.run_sweep().await;
    assert_eq!(enqueued_keys(&stack).await, enqueued);
}

/// How many keys all sweeps enqueued, ours and the scheduled ones, according to the log of `revoke`.
async fn enqueued_keys(stack: &Stack) -> u64 {
    stack.log_lines("revoke").await.iter().filter_map(|line| line["processed"].as_u64()).sum()
}
