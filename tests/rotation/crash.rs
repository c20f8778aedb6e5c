//! Processes are killed in each step of a rotation: nothing is lost, no key is forgotten, none is deleted twice.

use std::collections::BTreeMap;
use std::time::Duration;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{FAST_REDELIVERY, Stack, Tables, eventually, mail};

#[tokio::test]
async fn a_rotation_ends_whatever_is_killed_and_every_mail_is_sent() {
    let stack =
        Stack::with_arguments(&[&FAST_REDELIVERY[..], &["--parameter", "RevocationVisibilityTimeout=30"]].concat())
            .await;
    let tables = Tables::new(&stack).await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 100 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let new = stack.further_key(&tenant).await;

    // Killed while it verifies or right after: the same request begins the rotation, or finds it.
    stack.set_faults(&tenant, &json!({ "latency_ms": 150 })).await;
    let killed = async {
        for _ in 0..3 {
            sleep(Duration::from_millis(700)).await;
            stack.kill_processes("verify").await;
        }
    };
    let (begun, ()) = tokio::join!(stack.rotate(&provider_id, &new, Some(3600)), killed);
    stack.set_faults(&tenant, &json!({})).await;
    let begun = if begun.status == 201 { begun } else { stack.rotate(&provider_id, &new, Some(3600)).await };
    let rotation_id = begun.body["rotation_id"].as_str().unwrap_or_else(|| panic!("{}", begun.text)).to_owned();
    assert_eq!(stack.get_rotation(&provider_id, &rotation_id).await["phase"], "candidate");

    // Killed between acceptance and promotion, again and again.
    let ids: Vec<String> = (0..40).map(|n| format!("mail-{n}")).collect();
    for chunk in ids.chunks(10) {
        stack.enqueue_mails(&chunk.iter().map(|id| mail(&provider_id, id)).collect::<Vec<_>>()).await;
        sleep(Duration::from_millis(150)).await;
        stack.kill_processes("send").await;
    }
    for id in &ids {
        let shown = stack.mail_in_state(&provider_id, id, &["sent", "rejected", "in_doubt", "expired"]).await;
        assert!(["sent", "in_doubt"].contains(&shown["state"].as_str().unwrap()), "{shown}");
    }
    let mut copies: BTreeMap<String, u32> = BTreeMap::new();
    for accepted in stack.inbox(&tenant.account_id).await.unwrap() {
        *copies.entry(accepted["subject"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    assert!(copies.values().all(|copies| *copies <= 2), "{copies:?}");
    stack.enqueue_mail(&mail(&provider_id, "promoting")).await.unwrap();
    stack.mail_in_state(&provider_id, "promoting", &["sent"]).await;
    stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;

    // Killed while the grace ends, the key is revoked and the rotation is closed.
    stack.end_grace(&tables, &provider_id, &rotation_id).await;
    let event: Value = serde_json::from_str(include_str!("../../events/revoke-sweep.json")).unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(8) {
        tables.make_rotation_due(&provider_id, &rotation_id).await;
        let sweep = stack.local_api(Method::POST, "/functions/revoke/invoke", Some(&event));
        let kill = async {
            sleep(Duration::from_millis(u64::try_from(started.elapsed().as_millis() % 130).unwrap())).await;
            stack.kill_processes("revoke").await;
        };
        let (_, ()) = tokio::join!(sweep, kill);
        stack.kill_processes("revoke-worker").await;
        sleep(Duration::from_millis(400)).await;
    }
    let rotation = stack.closed_rotation(&tables, &provider_id, &rotation_id).await;
    assert_eq!(rotation["phase"], "completed", "{rotation}");
    let order_id = rotation["orders"][0].as_str().unwrap().to_owned();
    eventually("the death of the old key", || async {
        let key = &stack.get_order(&order_id).await["keys"][0];
        if key["status"] == "revoked" {
            return Some(());
        }
        tables.make_due(&tenant).await;
        stack.run_sweep().await;
        sleep(Duration::from_secs(1)).await;
        None
    })
    .await;
    stack.assert_deleted_once(&tenant).await;
    assert!(!stack.has_key(&tenant).await && stack.has_key(&new).await);
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert_eq!(tables.sealed_lanes(&new).await, ["revoke", "send"]);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    stack.enqueue_mail(&mail(&provider_id, "after")).await.unwrap();
    stack.mail_in_state(&provider_id, "after", &["sent"]).await;
    for event in ["Rotation Promoted", "Rotation Completed"] {
        assert!(!stack.provider_events(event, &provider_id).await.is_empty(), "{event}");
    }
}

/// Breaks our own account's services, or mends them.
async fn break_own(stack: &Stack, rules: &Value) {
    let response = stack.local_api(Method::PUT, "/faults", Some(&json!({ "rules": rules }))).await.unwrap();
    assert!(response.status.is_success(), "{}", response.text);
}

/// Invokes the sweep, and kills its process as soon as `is_reached`.
async fn kill_sweep(stack: &Stack, is_reached: impl AsyncFn() -> bool) {
    let event: Value = serde_json::from_str(include_str!("../../events/revoke-sweep.json")).unwrap();
    let sweep = async { drop(stack.local_api(Method::POST, "/functions/revoke/invoke", Some(&event)).await) };
    let kill = async {
        while !is_reached().await {
            sleep(Duration::from_millis(50)).await;
        }
        assert!(stack.kill_processes("revoke").await > 0, "there is no process of revoke to kill");
        break_own(stack, &json!([])).await;
    };
    tokio::join!(sweep, kill);
}

#[tokio::test]
async fn each_step_whose_process_dies_is_found_and_taken_again_once() {
    let stack = Stack::with_arguments(&FAST_REDELIVERY).await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let new = stack.further_key(&tenant).await;
    let transactions = |fault: &str| json!([{ "on": ["dynamodb:TransactWriteItems"], (fault): 8_000 }]);

    // `verify` dies after its transaction: the caller has no answer, and the same request finds the rotation.
    break_own(&stack, &transactions("hang_ms")).await;
    let rotate = async { stack.rotate(&provider_id, &new, Some(3600)).await.status };
    let kill = async {
        eventually("the rotation", || async {
            stack.get_provider(&provider_id).await.body.get("rotation").map(|_| ())
        })
        .await;
        stack.kill_processes("verify").await;
        break_own(&stack, &json!([])).await;
    };
    let (status, ()) = tokio::join!(rotate, kill);
    assert!(status.is_server_error(), "{status}");
    // An idle process that was killed too answers 500 until Lambda has noticed.
    let again = eventually("an answer of a process that lives", || async {
        let again = stack.rotate(&provider_id, &new, Some(3600)).await;
        (again.body != json!({ "message": "Internal Server Error" })).then_some(again)
    })
    .await;
    assert_eq!(again.status, 409, "{}", again.text);
    let rotation_id = again.body["rotation_id"].as_str().unwrap().to_owned();

    // `send` dies between the acceptance and the promotion: the mail was sent once, and the next one promotes.
    break_own(&stack, &transactions("latency_ms")).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    assert!(stack.kill_processes("send").await > 0, "there is no process of send to kill");
    break_own(&stack, &json!([])).await;
    assert_eq!(stack.get_rotation(&provider_id, &rotation_id).await["phase"], "candidate");
    stack.enqueue_mail(&mail(&provider_id, "second")).await.unwrap();
    stack.rotation_in_phase(&provider_id, &rotation_id, "promoted").await;
    for id in ["first", "second"] {
        stack.mail_in_state(&provider_id, id, &["sent"]).await;
        assert_eq!(stack.accepted_copies(&tenant, id).await, 1, "{id}");
    }

    // The sweep dies between the order and the stop: the old key is still the fallback, and the order is found.
    stack.end_grace(&tables, &provider_id, &rotation_id).await;
    break_own(&stack, &transactions("latency_ms")).await;
    let orders = async || {
        let listed = stack.api(Method::GET, "/revocations", None).await.unwrap();
        listed.body["revocations"].as_array().unwrap_or_else(|| panic!("{}", listed.text)).len()
    };
    kill_sweep(&stack, async || orders().await == 1).await;
    assert_eq!(stack.get_rotation(&provider_id, &rotation_id).await["phase"], "promoted");
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke", "send"]);

    // The sweep dies between the stop and the close.
    tables.make_rotation_due(&provider_id, &rotation_id).await;
    break_own(&stack, &json!([{ "on": ["events:PutEvents"], "latency_ms": 8_000 }])).await;
    kill_sweep(&stack, async || stack.get_rotation(&provider_id, &rotation_id).await["phase"] == "completed").await;
    assert!(stack.get_rotation(&provider_id, &rotation_id).await.get("closed_at").is_none());

    let rotation = stack.closed_rotation(&tables, &provider_id, &rotation_id).await;
    assert_eq!(rotation["phase"], "completed", "{rotation}");
    assert_eq!(orders().await, 1, "one order for one key, however often it was placed");
    stack.key_in_state(rotation["orders"][0].as_str().unwrap(), "revoked").await;
    stack.assert_deleted_once(&tenant).await;
    assert!(stack.has_key(&new).await);
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    stack.enqueue_mail(&mail(&provider_id, "third")).await.unwrap();
    stack.mail_in_state(&provider_id, "third", &["sent"]).await;
    for event in ["Rotation Promoted", "Rotation Completed"] {
        assert!(!stack.provider_events(event, &provider_id).await.is_empty(), "{event}");
    }
}
