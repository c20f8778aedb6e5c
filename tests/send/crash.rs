//! Processes of `send` are killed during a batch.

use serde_json::json;
use shared::record::MailState;

use crate::support::{FAST_REDELIVERY, Stack, eventually, mail, mail_with};
use operator::Tenant;

/// How long a fault holds a call to SES. On most machines that is longer than until the kill, and shorter than the timeout of
/// the call.
const HELD_MS: u32 = 9_500;

async fn kill_senders(stack: &Stack) {
    assert!(stack.kill_processes("send").await > 0, "there is no process of send to kill");
}

async fn eventually_accepted(stack: &Stack, tenant: &Tenant, mail_id: &str, copies: usize) {
    eventually(&format!("{copies} accepted copies of {mail_id}"), || async {
        (stack.accepted_copies(tenant, mail_id).await == copies).then_some(())
    })
    .await;
}

async fn eventually_claimed(stack: &Stack, provider_id: &str, mail_id: &str) {
    eventually(&format!("a ledger row of {mail_id}"), || stack.ledger_row(provider_id, mail_id)).await;
}

/// Providers whose workers were killed during a batch, each with its tenant.
struct KilledBatch {
    /// SES has accepted the mails, and its responses have not arrived.
    accepted: (Tenant, String),
    /// SES has not received the mails.
    on_its_way: (Tenant, String),
    /// The mails are recorded as sent, and only the batch has not ended.
    done: (Tenant, String),
    /// A mail waits for its rate slot.
    waiting: (Tenant, String),
}

impl KilledBatch {
    /// Enqueues the mails and kills the workers. It repeats that if the machine was too slow, because the faults hold a call
    /// only for a while.
    async fn create(stack: &Stack) -> Self {
        for _ in 0..5 {
            let batch = Self::enqueue(stack).await;
            kill_senders(stack).await;
            stack.set_faults(&batch.accepted.0, &json!({})).await;
            stack.set_faults(&batch.on_its_way.0, &json!({})).await;
            if batch.is_as_intended(stack).await {
                return batch;
            }
        }
        panic!("in five attempts the workers were never killed at the right moment");
    }

    async fn enqueue(stack: &Stack) -> Self {
        let slow = stack.tenant_with(&json!({ "max_send_rate": 1 })).await;
        let slow_id = stack.onboard_provider("acme", &slow).await;
        let (accepted, on_its_way, done) =
            tokio::join!(stack.create_provider("acme"), stack.create_provider("acme"), stack.create_provider("acme"));
        stack.set_faults(&accepted.0, &json!({ "hang_ms": HELD_MS })).await;
        stack.set_faults(&on_its_way.0, &json!({ "latency_ms": HELD_MS })).await;
        let hold = json!({ "on_doubt": "hold" });
        let five = json!({ "to": (0..5).map(|n| format!("a{n}@example.org")).collect::<Vec<_>>() });
        stack
            .enqueue_mails(&[
                mail(&accepted.1, "accepted-resend"),
                mail_with(&accepted.1, "accepted-hold", &hold),
                mail(&on_its_way.1, "on-its-way-resend"),
                mail_with(&on_its_way.1, "on-its-way-hold", &hold),
                mail(&done.1, "done-resend"),
                mail_with(&done.1, "done-hold", &hold),
                mail_with(&slow_id, "five-seconds-worth", &five),
                mail_with(&slow_id, "waiting-hold", &hold),
            ])
            .await;
        tokio::join!(
            eventually_accepted(stack, &accepted.0, "accepted-resend", 1),
            eventually_accepted(stack, &accepted.0, "accepted-hold", 1),
            eventually_claimed(stack, &on_its_way.1, "on-its-way-resend"),
            eventually_claimed(stack, &on_its_way.1, "on-its-way-hold"),
            stack.mail_in_state(&done.1, "done-resend", &["sent"]),
            stack.mail_in_state(&done.1, "done-hold", &["sent"]),
            stack.mail_in_state(&slow_id, "five-seconds-worth", &["sent"]),
        );
        Self { accepted, on_its_way, done, waiting: (slow, slow_id) }
    }

    async fn is_as_intended(&self, stack: &Stack) -> bool {
        for (provider, mail_id) in [
            (&self.accepted, "accepted-resend"),
            (&self.accepted, "accepted-hold"),
            (&self.on_its_way, "on-its-way-resend"),
            (&self.on_its_way, "on-its-way-hold"),
        ] {
            let row = stack.ledger_row(&provider.1, mail_id).await;
            if row.is_none_or(|row| row.state != MailState::Claimed || row.takeovers > 0) {
                return false;
            }
        }
        stack.ledger_row(&self.waiting.1, "waiting-hold").await.is_none_or(|row| row.state == MailState::Waiting)
    }
}

#[tokio::test]
async fn the_mail_of_a_killed_worker_is_resent_or_held_as_its_on_doubt_says() {
    let stack = Stack::with_arguments(&FAST_REDELIVERY).await;
    let batch = KilledBatch::create(&stack).await;
    for (provider, mail_id, state, max_copies) in [
        (&batch.accepted, "accepted-resend", "sent", 2),
        (&batch.accepted, "accepted-hold", "in_doubt", 1),
        (&batch.on_its_way, "on-its-way-resend", "sent", 2),
        (&batch.on_its_way, "on-its-way-hold", "in_doubt", 1),
        (&batch.done, "done-resend", "sent", 1),
        (&batch.done, "done-hold", "sent", 1),
        (&batch.waiting, "five-seconds-worth", "sent", 1),
        (&batch.waiting, "waiting-hold", "sent", 1),
    ] {
        let (tenant, provider_id) = provider;
        let mail = stack.mail_in_state(provider_id, mail_id, &["sent", "in_doubt", "rejected", "expired"]).await;
        assert_eq!(mail["state"], state, "{mail}");
        let copies = stack.accepted_copies(tenant, mail_id).await;
        assert!(copies <= max_copies, "{copies} copies of {mail_id}");
        if state == "sent" {
            assert!(copies >= 1, "{mail_id} is recorded as sent and was not sent");
        } else {
            let event = stack.mail_event("Mail In Doubt", provider_id, mail_id).await;
            assert_eq!(event["reason"], "lease_ended");
        }
    }
    assert_eq!(stack.accepted_copies(&batch.accepted.0, "accepted-resend").await, 2);
    stack.eventually_delayed(0).await;
}

#[tokio::test]
async fn a_mail_whose_workers_are_killed_twice_has_two_copies_and_ends_in_doubt() {
    let stack = Stack::with_arguments(&FAST_REDELIVERY).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "hang_ms": HELD_MS })).await;
    stack.enqueue_mail(&mail(&provider_id, "unlucky")).await.unwrap();
    for copies in 1..=2 {
        eventually_accepted(&stack, &tenant, "unlucky", copies).await;
        kill_senders(&stack).await;
    }
    stack.mail_in_state(&provider_id, "unlucky", &["in_doubt"]).await;
    stack.mail_event("Mail In Doubt", &provider_id, "unlucky").await;
    assert_eq!(stack.accepted_copies(&tenant, "unlucky").await, 2);
    stack.eventually_delayed(0).await;
}
