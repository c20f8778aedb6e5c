//! As fast as SES lets the tenant, and no faster.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Stack, classic, look_on, mail, mail_with, until};
use operator::Tenant;

fn ids(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("order-{n}")).collect()
}

/// A provider whose account takes fourteen recipients a second, and no more.
async fn provider_at_fourteen(stack: &Stack) -> (Tenant, String) {
    let tenant = stack
        .tenant(&json!({ "policies": [classic()], "identities": ["example.com"], "max_send_rate": 14 }))
        .await
        .unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    stack.faults(&tenant, &json!({ "enforce_max_send_rate": true })).await;
    (tenant, provider_id)
}

async fn until_arrived(stack: &Stack, account_id: &str, count: usize) -> Vec<Value> {
    until(&format!("{count} mails"), || async {
        Some(stack.inbox(account_id).await.unwrap()).filter(|inbox| inbox.len() >= count)
    })
    .await
}

#[tokio::test]
async fn a_hundred_mails_keep_to_fourteen_a_second_without_a_429_a_loss_or_a_second_receive() {
    let stack = Stack::with(&[]).await;
    let (tenant, provider_id) = provider_at_fourteen(&stack).await;
    let ids = ids(100);
    let mails: Vec<Value> = ids.iter().map(|id| mail(&provider_id, id)).collect();
    let started = Instant::now();
    stack.hand_over(&mails).await;

    let inbox = until_arrived(&stack, &tenant.account_id, 100).await;
    let took = started.elapsed().as_secs_f64();
    let mut arrived: Vec<&str> = inbox.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    arrived.sort_unstable();
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(arrived, expected);
    // The first starts at once and each other one a fourteenth of a second after the one before it.
    assert!(took >= 99.0 / 14.0, "{took} s");
    assert!(took <= 60.0, "{took} s");

    for id in &ids {
        stack.fate(&provider_id, id, &["sent"]).await;
    }
    let sends = stack.sends(&tenant).await;
    assert_eq!(sends.len(), 100);
    assert!(sends.iter().all(|send| send["status"] == 200), "{sends:?}");
    stack.until_delayed(0).await;
    let sum = |batches: &[Value], field: &str| batches.iter().map(|batch| batch[field].as_u64().unwrap()).sum::<u64>();
    // A batch is answered a moment before its line is read.
    let batches = until("the lines of all batches", || async {
        Some(stack.batches().await).filter(|batches| sum(batches, "sent") >= 100)
    })
    .await;
    assert_eq!((sum(&batches, "sent"), sum(&batches, "failed")), (100, 0));
    // Some found no start within five seconds and went through the queue once more; none was received twice.
    assert!(batches.iter().all(|batch| batch["receives_max"] == 1), "{batches:?}");
}

#[tokio::test]
async fn a_sender_that_stood_still_does_not_make_up_for_it_in_a_burst() {
    let stack = Stack::with(&[]).await;
    let (tenant, provider_id) = provider_at_fourteen(&stack).await;
    let ids = ids(60);
    stack.hand_over(&ids.iter().map(|id| mail(&provider_id, id)).collect::<Vec<_>>()).await;
    until_arrived(&stack, &tenant.account_id, 1).await;
    let senders = stack.processes("send").await;
    let signal = |signal| senders.iter().for_each(|pid| kill_process(Pid::from_raw(*pid).unwrap(), signal).unwrap());
    signal(Signal::STOP);
    look_on(2.5).await;
    signal(Signal::CONT);

    until_arrived(&stack, &tenant.account_id, 60).await;
    let sends = stack.sends(&tenant).await;
    assert!(sends.iter().all(|send| send["status"] == 200), "{sends:?}");
}

#[tokio::test]
async fn mails_that_ses_throttles_are_sent_once_each_in_the_end() {
    let stack = Stack::shared().await;
    let tenant = stack
        .tenant(&json!({ "policies": [classic()], "identities": ["example.com"], "max_send_rate": 200 }))
        .await
        .unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    stack.faults(&tenant, &json!({ "throttle_chance": 1 })).await;
    let ids = ids(20);
    let hold = json!({ "on_doubt": "hold" });
    stack.hand_over(&ids.iter().map(|id| mail_with(&provider_id, id, &hold)).collect::<Vec<_>>()).await;
    until("a 429", || async { stack.sends(&tenant).await.into_iter().find(|send| send["status"] == 429) }).await;
    stack.faults(&tenant, &json!({ "throttle_chance": 0.25 })).await;
    for id in &ids {
        stack.fate(&provider_id, id, &["sent", "in_doubt", "rejected"]).await;
    }
    for id in &ids {
        assert_eq!(stack.fate(&provider_id, id, &["sent", "in_doubt", "rejected"]).await["state"], "sent");
        assert_eq!(stack.copies(&tenant, id).await, 1, "{id}");
    }
}

#[tokio::test]
async fn two_providers_of_one_account_share_its_rate() {
    let stack = Stack::shared().await;
    let request = |user_name: &str, account_id: &Value| {
        let mut request = json!({
            "user_name": user_name, "policies": [classic()], "identities": ["example.com"], "max_send_rate": 5,
        });
        if account_id.is_string() {
            request["account_id"] = account_id.clone();
        }
        request
    };
    let one = stack.tenant(&request("one", &Value::Null)).await.unwrap();
    let other = stack.tenant(&request("other", &json!(one.account_id))).await.unwrap();
    let mut mails = Vec::new();
    for tenant in [&one, &other] {
        let provider_id = stack.take("acme", tenant).await;
        mails.extend(ids(15).iter().map(|id| mail(&provider_id, id)));
    }
    let started = Instant::now();
    stack.hand_over(&mails).await;
    until_arrived(&stack, &one.account_id, mails.len()).await;
    let took = started.elapsed().as_secs_f64();
    // Each keeping to the rate for itself, they were through in half of that time.
    assert!(took >= 29.0 / 5.0, "{took} s");
    let sends = stack.sends(&one).await;
    let senders: std::collections::BTreeSet<&str> =
        sends.iter().map(|send| send["access_key_id"].as_str().unwrap()).collect();
    assert_eq!(senders.len(), 2);
}
