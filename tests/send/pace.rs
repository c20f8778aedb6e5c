//! Mail is sent as fast as the tenant's SES allows, and no faster.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{Stack, eventually, mail, mail_with, wait_for_nothing};
use operator::Tenant;

fn ids(count: u32) -> Vec<String> {
    (0..count).map(|n| format!("order-{n}")).collect()
}

/// A provider whose account accepts fourteen recipients a second and refuses more.
async fn provider_with_rate_14(stack: &Stack) -> (Tenant, String) {
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 14 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.set_faults(&tenant, &json!({ "enforce_max_send_rate": true })).await;
    (tenant, provider_id)
}

/// The mails that SES accepted in an account, once there are this many.
async fn eventually_accepted(stack: &Stack, account_id: &str, count: usize) -> Vec<Value> {
    eventually(&format!("{count} accepted mails in the account {account_id}"), || async {
        Some(stack.inbox(account_id).await.unwrap()).filter(|inbox| inbox.len() >= count)
    })
    .await
}

#[tokio::test]
async fn a_hundred_mails_keep_to_fourteen_a_second_without_a_429_a_loss_or_a_redelivery() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = provider_with_rate_14(&stack).await;
    let ids = ids(100);
    let mails: Vec<Value> = ids.iter().map(|id| mail(&provider_id, id)).collect();
    let started = Instant::now();
    stack.enqueue_mails(&mails).await;

    let inbox = eventually_accepted(&stack, &tenant.account_id, 100).await;
    let took = started.elapsed().as_secs_f64();
    let mut arrived: Vec<&str> = inbox.iter().map(|mail| mail["subject"].as_str().unwrap()).collect();
    arrived.sort_unstable();
    let mut expected: Vec<&str> = ids.iter().map(String::as_str).collect();
    expected.sort_unstable();
    assert_eq!(arrived, expected);
    // The first mail starts at once and each other one a fourteenth of a second after the previous one.
    assert!(took >= 99.0 / 14.0, "{took} s");
    assert!(took <= 60.0, "{took} s");

    for id in &ids {
        stack.mail_in_state(&provider_id, id, &["sent"]).await;
    }
    let sends = stack.send_requests(&tenant).await;
    assert_eq!(sends.len(), 100);
    assert!(sends.iter().all(|send| send["status"] == 200), "{sends:?}");
    stack.eventually_delayed(0).await;
    let sum = |batches: &[Value], field: &str| batches.iter().map(|batch| batch[field].as_u64().unwrap()).sum::<u64>();
    // The log line of a batch can be read a moment after the batch has ended.
    let batches = eventually("the log lines of all batches", || async {
        Some(stack.batch_logs().await).filter(|batches| sum(batches, "sent") >= 100)
    })
    .await;
    assert_eq!((sum(&batches, "sent"), sum(&batches, "failed")), (100, 0));
    // Mails that found no rate slot within five seconds were requeued. No message was received twice.
    assert!(batches.iter().all(|batch| batch["receives_max"] == 1), "{batches:?}");
}

#[tokio::test]
async fn a_worker_that_was_stopped_does_not_catch_up_with_a_burst() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = provider_with_rate_14(&stack).await;
    let ids = ids(60);
    stack.enqueue_mails(&ids.iter().map(|id| mail(&provider_id, id)).collect::<Vec<_>>()).await;
    eventually_accepted(&stack, &tenant.account_id, 1).await;
    let workers = stack.process_ids("send").await;
    let signal = |signal| workers.iter().for_each(|pid| kill_process(Pid::from_raw(*pid).unwrap(), signal).unwrap());
    signal(Signal::STOP);
    wait_for_nothing(2.5).await;
    signal(Signal::CONT);

    eventually_accepted(&stack, &tenant.account_id, 60).await;
    let sends = stack.send_requests(&tenant).await;
    assert!(sends.iter().all(|send| send["status"] == 200), "{sends:?}");
}

#[tokio::test]
async fn mails_that_ses_throttles_are_each_sent_once_in_the_end() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 200 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.set_faults(&tenant, &json!({ "throttle_chance": 1 })).await;
    let ids = ids(20);
    let hold = json!({ "on_doubt": "hold" });
    stack.enqueue_mails(&ids.iter().map(|id| mail_with(&provider_id, id, &hold)).collect::<Vec<_>>()).await;
    eventually("a send request with status 429", || async {
        stack.send_requests(&tenant).await.into_iter().find(|send| send["status"] == 429)
    })
    .await;
    stack.set_faults(&tenant, &json!({ "throttle_chance": 0.25 })).await;
    for id in &ids {
        stack.mail_in_state(&provider_id, id, &["sent", "in_doubt", "rejected"]).await;
    }
    for id in &ids {
        assert_eq!(stack.mail_in_state(&provider_id, id, &["sent", "in_doubt", "rejected"]).await["state"], "sent");
        assert_eq!(stack.accepted_copies(&tenant, id).await, 1, "{id}");
    }
}

#[tokio::test]
async fn two_providers_of_one_account_share_its_rate() {
    let stack = Stack::shared().await;
    let one = stack.tenant_with(&json!({ "user_name": "one", "max_send_rate": 5 })).await;
    let other = json!({ "user_name": "other", "account_id": one.account_id, "max_send_rate": 5 });
    let other = stack.tenant_with(&other).await;
    let mut mails = Vec::new();
    for tenant in [&one, &other] {
        let provider_id = stack.onboard_provider("acme", tenant).await;
        mails.extend(ids(15).iter().map(|id| mail(&provider_id, &format!("{}-{id}", tenant.access_key_id))));
    }
    let started = Instant::now();
    stack.enqueue_mails(&mails).await;
    eventually_accepted(&stack, &one.account_id, mails.len()).await;
    let took = started.elapsed().as_secs_f64();
    // If each provider kept to the rate on its own, the mails would be sent in half of that time.
    assert!(took >= 29.0 / 5.0, "{took} s");
    let sends = stack.send_requests(&one).await;
    let access_key_ids: std::collections::BTreeSet<&str> =
        sends.iter().map(|send| send["access_key_id"].as_str().unwrap()).collect();
    assert_eq!(access_key_ids.len(), 2);
}
