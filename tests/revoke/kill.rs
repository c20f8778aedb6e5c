//! `revoke-worker` dies in the middle of it.

use std::time::Duration;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::time::{Instant, sleep};

use super::breach::assert_receipt;
use super::order::{answers, has_key, key_in, order, revocation, scope_of, seconds, status, sweep, told};
use super::records::Records;
use crate::support::{Stack, until};

#[tokio::test]
async fn a_worker_killed_between_the_deletion_and_its_record_leaves_the_key_to_end_revoked() {
    let stack = Stack::with(&["--parameter", "LogLevel=trace"]).await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "hang_ms": 30_000 })).await;
    let order_id = order(&stack, &tenant).await;
    until("the deletion", || async { (!has_key(&stack, &tenant).await).then_some(()) }).await;
    kill_workers(&stack).await;

    let key = key_in(&stack, &order_id, "revoked").await;
    assert_receipt(&key, "write_ahead");
    // Before its message came back and before the sweep: the next step was booked before the call left.
    assert!(seconds(&key["receipt"]["deleted_at"], &key["receipt"]["refused"]["sts"]["at"]) < 60.0, "{key}");
    assert!(key["receipt"]["delete_request_id"].is_null(), "{key}");
    assert!(records.lanes(&tenant).await.is_empty());
    assert_eq!(status(&stack, &provider_id).await, "revoked");

    let secret = &tenant.secret_access_key;
    for function in ["verify", "revoke", "revoke-worker"] {
        let logs = stack.local(Method::GET, &format!("/logs?function=sendingbee-{function}"), None).await.unwrap();
        assert!(logs.body["lines"].as_array().is_some_and(|lines| !lines.is_empty()), "{function} wrote nothing");
        assert!(!logs.text.contains(secret), "{function} logged a secret");
    }
    assert!(!stack.local(Method::GET, "/events", None).await.unwrap().text.contains(secret));
}

#[tokio::test]
async fn a_worker_killed_before_the_deletion_left_is_made_up_for_when_its_message_comes_back() {
    let stack = Stack::with(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    let (tenant, _) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "on": ["sts:GetCallerIdentity"], "latency_ms": 30_000 })).await;
    let order_id = order(&stack, &tenant).await;
    until("a worker", || async { (!stack.processes("revoke-worker").await.is_empty()).then_some(()) }).await;
    // It is there before it is at work; a call that is not answered is given up after 4 s.
    sleep(Duration::from_secs(2)).await;
    kill_workers(&stack).await;
    stack.faults(&tenant, &json!({})).await;
    assert!(has_key(&stack, &tenant).await);
    let key = key_in(&stack, &order_id, "revoked").await;
    assert_receipt(&key, "deleted");
    // Before the sweep.
    let ordered_at = &revocation(&stack, &order_id).await["created_at"];
    assert!(seconds(ordered_at, &key["receipt"]["deleted_at"]) < 60.0, "{key} of {ordered_at}");
    assert_eq!(answers(&stack, &tenant, "DeleteAccessKey").await.iter().filter(|code| code.is_none()).count(), 1);
}

#[tokio::test]
async fn keys_reported_while_both_functions_are_killed_again_and_again_all_end_revoked() {
    let stack = Stack::with(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    let records = Records::of(&stack).await;
    let mut crowd = Vec::new();
    for n in 0..6 {
        crowd.push(stack.provider(&format!("tenant-{n}")).await);
    }
    for (tenant, _) in &crowd {
        stack.report_breach(&scope_of(tenant), "all at once").await.unwrap();
        kill(&stack, "revoke").await;
    }
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(15) {
        kill(&stack, "revoke").await;
        kill(&stack, "revoke-worker").await;
        sleep(Duration::from_millis(900)).await;
    }

    for (tenant, provider_id) in &crowd {
        // The time until the sweep takes up what no message is there for any more is not waited for.
        let state = until(&format!("{provider_id} revoked"), || async {
            let state = status(&stack, provider_id).await;
            if state.starts_with("revoked") {
                return Some(state);
            }
            if state == "revoking" && records.make_due(tenant).await {
                sweep(&stack).await;
            }
            sleep(Duration::from_secs(2)).await;
            None
        })
        .await;
        assert_eq!(state, "revoked");
        assert!(!has_key(&stack, tenant).await);
        told(&stack, "Provider Revoked", provider_id).await;
        assert!(records.lanes(tenant).await.is_empty());
        assert_eq!(records.trail(provider_id).await, ["onboarded", "revoking", "revoked"]);
        assert_eq!(answers(&stack, tenant, "DeleteAccessKey").await.iter().filter(|code| code.is_none()).count(), 1);
    }
}

async fn kill_workers(stack: &Stack) {
    assert!(kill(stack, "revoke-worker").await > 0);
}

/// Kills a function's processes, at work or not. Answers how many.
async fn kill(stack: &Stack, function: &str) -> usize {
    let processes = stack.processes(function).await;
    for process in &processes {
        // One that is gone by itself has nothing left to kill.
        let _ = kill_process(Pid::from_raw(*process).unwrap(), Signal::KILL);
    }
    processes.len()
}
