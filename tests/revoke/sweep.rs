//! The sweep: keys and orders that are due, whatever became of their messages and writers.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::breach::assert_receipt;
use super::order::{answers, key_in, order, status, sweep};
use super::records::Records;
use crate::support::{PATIENCE, Stack, until};

#[tokio::test]
async fn the_clock_sweeps_every_minute() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, _) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = order(&stack, &tenant).await;
    key_in(&stack, &order_id, "revocation_blocked{quarantined}").await;
    stack.faults(&tenant, &json!({})).await;
    assert!(records.make_due(&tenant).await);
    let due = Instant::now();
    while answers(&stack, &tenant, "DeleteAccessKey").await.last().unwrap().is_some() {
        assert!(due.elapsed() < Duration::from_secs(60) + PATIENCE, "{order_id} was not swept");
        sleep(Duration::from_millis(500)).await;
    }
    key_in(&stack, &order_id, "revoked").await;
}

#[tokio::test]
async fn an_order_whose_writer_died_before_the_stop_is_carried_out_by_the_sweep() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    // An order for a key that nobody handed over, with this key in its place: one that stopped nothing so far.
    let order_id = order(&stack, &stack.classic_tenant().await).await;
    assert!(!records.is_order_due(&order_id).await, "it was carried out at once");
    assert_eq!(status(&stack, &provider_id).await, "active");
    records.pin(&order_id, &tenant).await;
    sweep(&stack).await;
    assert_ne!(status(&stack, &provider_id).await, "active");
    assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
    assert!(!records.is_order_due(&order_id).await, "it is carried out, and due no more");
}

#[tokio::test]
async fn more_keys_than_a_page_holds_are_all_enqueued_and_not_again_at_once() {
    let stack = Stack::with(&[]).await;
    Records::of(&stack).await.add_due(230).await;
    // One sweep has the time for all of them, but not on every machine.
    until("all of them enqueued", || async {
        sweep(&stack).await;
        (swept(&stack).await >= 230).then_some(())
    })
    .await;
    // The clock's sweep may have met ours. The line of a sweep is there when the next one is answered.
    sweep(&stack).await;
    let enqueued = swept(&stack).await;
    sweep(&stack).await;
    sweep(&stack).await;
    assert_eq!(swept(&stack).await, enqueued);
}

/// How many keys the sweeps enqueued, ours and the clock's, by the log of `revoke`.
async fn swept(stack: &Stack) -> u64 {
    let logs = stack.local(Method::GET, "/logs?function=sendingbee-revoke", None).await.unwrap();
    let lines = logs.body["lines"].as_array().unwrap().iter();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line["line"].as_str()?).ok());
    lines.filter_map(|line| line["processed"].as_u64()).sum()
}
