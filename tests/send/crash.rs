//! SIGKILL in the middle of a batch.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use shared::record::State;

use crate::support::{SOON_AGAIN, Stack, classic, mail, mail_with, until};
use operator::Tenant;

/// Longer than a test waits before it kills, shorter than SES may take.
const HELD_MS: u32 = 9_500;

async fn kill_senders(stack: &Stack) {
    let workers = stack.processes("send").await;
    assert!(!workers.is_empty());
    for pid in workers {
        kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    }
}

async fn until_copies(stack: &Stack, tenant: &Tenant, mail_id: &str, copies: usize) {
    until(&format!("{copies} of {mail_id}"), || async {
        (stack.copies(tenant, mail_id).await == copies).then_some(())
    })
    .await;
}

async fn until_state(stack: &Stack, provider_id: &str, mail_id: &str, state: State) {
    until(&format!("{mail_id} {state:?}"), || async {
        stack.row(provider_id, mail_id).await.filter(|row| row.state == state)
    })
    .await;
}

#[tokio::test]
async fn mail_of_a_killed_worker_is_sent_again_or_held_as_its_caller_chose() {
    let stack = Stack::with(&SOON_AGAIN).await;
    // Killed when SES has taken it, before SES has it, when all is recorded and only the batch is not answered, and while
    // it sleeps for its start.
    let (taken, on_its_way, done) =
        tokio::join!(stack.provider("acme"), stack.provider("acme"), stack.provider("acme"));
    let slow = json!({ "policies": [classic()], "identities": ["example.com"], "max_send_rate": 1 });
    let slow = stack.tenant(&slow).await.unwrap();
    let slow_id = stack.take("acme", &slow).await;
    let five = json!({ "to": (0..5).map(|n| format!("a{n}@example.org")).collect::<Vec<_>>() });
    stack.faults(&taken.0, &json!({ "hang_ms": HELD_MS })).await;
    stack.faults(&on_its_way.0, &json!({ "latency_ms": HELD_MS })).await;
    let hold = json!({ "on_doubt": "hold" });
    stack
        .hand_over(&[
            mail(&taken.1, "taken-resend"),
            mail_with(&taken.1, "taken-hold", &hold),
            mail(&on_its_way.1, "on-its-way-resend"),
            mail_with(&on_its_way.1, "on-its-way-hold", &hold),
            mail(&done.1, "done-resend"),
            mail_with(&done.1, "done-hold", &hold),
            mail_with(&slow_id, "five-seconds-worth", &five),
            mail_with(&slow_id, "asleep-hold", &hold),
        ])
        .await;
    tokio::join!(
        until_copies(&stack, &taken.0, "taken-resend", 1),
        until_copies(&stack, &taken.0, "taken-hold", 1),
        until_state(&stack, &on_its_way.1, "on-its-way-resend", State::Claimed),
        until_state(&stack, &on_its_way.1, "on-its-way-hold", State::Claimed),
        until_state(&stack, &done.1, "done-resend", State::Sent),
        until_state(&stack, &done.1, "done-hold", State::Sent),
        until_state(&stack, &slow_id, "five-seconds-worth", State::Sent),
    );
    assert_eq!(stack.row(&slow_id, "asleep-hold").await, None);
    kill_senders(&stack).await;
    stack.faults(&taken.0, &json!({})).await;
    stack.faults(&on_its_way.0, &json!({})).await;

    for (tenant, provider_id, mail_id, state, most_copies) in [
        (&taken.0, &taken.1, "taken-resend", "sent", 2),
        (&taken.0, &taken.1, "taken-hold", "in_doubt", 1),
        (&on_its_way.0, &on_its_way.1, "on-its-way-resend", "sent", 2),
        (&on_its_way.0, &on_its_way.1, "on-its-way-hold", "in_doubt", 1),
        (&done.0, &done.1, "done-resend", "sent", 1),
        (&done.0, &done.1, "done-hold", "sent", 1),
        (&slow, &slow_id, "five-seconds-worth", "sent", 1),
        (&slow, &slow_id, "asleep-hold", "sent", 1),
    ] {
        let fate = stack.fate(provider_id, mail_id, &["sent", "in_doubt", "rejected", "expired"]).await;
        assert_eq!(fate["state"], state, "{fate}");
        let copies = stack.copies(tenant, mail_id).await;
        assert!(copies <= most_copies, "{copies} of {mail_id}");
        if state == "sent" {
            assert!(copies >= 1, "{mail_id} is called sent and was not");
        } else {
            let event = stack.mail_event("Mail In Doubt", provider_id, mail_id).await;
            assert_eq!(event["reason"], "lease_ended");
        }
    }
    assert_eq!(stack.copies(&taken.0, "taken-resend").await, 2);
    stack.until_delayed(0).await;
}

#[tokio::test]
async fn a_mail_whose_workers_are_killed_twice_leaves_two_copies_and_a_doubt() {
    let stack = Stack::with(&SOON_AGAIN).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "hang_ms": HELD_MS })).await;
    stack.mail(&mail(&provider_id, "unlucky")).await.unwrap();
    for copies in 1..=2 {
        until_copies(&stack, &tenant, "unlucky", copies).await;
        kill_senders(&stack).await;
    }
    stack.fate(&provider_id, "unlucky", &["in_doubt"]).await;
    stack.mail_event("Mail In Doubt", &provider_id, "unlucky").await;
    assert_eq!(stack.copies(&tenant, "unlucky").await, 2);
    stack.until_delayed(0).await;
}
