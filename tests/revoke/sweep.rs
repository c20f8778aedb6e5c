//! The sweep: keys that are due, whatever became of their messages.

use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::order::{answers, key_in, order, sweep};
use super::records::Records;
use crate::support::{Stack, until};

#[tokio::test]
async fn the_clock_sweeps_every_minute() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, _) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = order(&stack, &tenant).await;
    key_in(&stack, &order_id, "revocation_blocked{quarantined}").await;
    stack.faults(&tenant, &json!({})).await;
    records.make_due(&tenant).await;
    let due = Instant::now();
    while answers(&stack, &tenant, "DeleteAccessKey").await.last().unwrap().is_some() {
        assert!(due.elapsed() < Duration::from_secs(75), "{order_id} was not swept");
        sleep(Duration::from_millis(500)).await;
    }
    key_in(&stack, &order_id, "revoked").await;
}

#[tokio::test]
async fn more_keys_than_a_page_holds_are_all_handed_on_and_not_again_at_once() {
    let stack = Stack::with(&[]).await;
    Records::of(&stack).await.add_due(230).await;
    sweep(&stack).await;
    until("all of them handed on", || async { (swept(&stack).await == [230]).then_some(()) }).await;
    // The line of the first of these is there when the second is answered.
    sweep(&stack).await;
    sweep(&stack).await;
    assert_eq!(swept(&stack).await, [230]);
}

/// How many keys each sweep handed on that found some, by the log of `revoke`.
async fn swept(stack: &Stack) -> Vec<u64> {
    let logs = stack.local(Method::GET, "/logs?function=sendingbee-revoke", None).await.unwrap();
    let lines = logs.body["lines"].as_array().unwrap().iter();
    let lines = lines.filter_map(|line| serde_json::from_str::<Value>(line["line"].as_str()?).ok());
    lines.filter_map(|line| line["handed_on"].as_u64()).collect()
}
