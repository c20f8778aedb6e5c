//! SIGKILL in the middle of a batch.

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use shared::record::MailState;

use crate::support::{SOON_AGAIN, Stack, classic, mail, mail_with, until};
use operator::Tenant;

/// Longer than a test waits before it kills on most machines, shorter than SES may take.
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

async fn until_begun(stack: &Stack, provider_id: &str, mail_id: &str) {
    until(&format!("{mail_id} begun"), || stack.row(provider_id, mail_id)).await;
}

/// Providers whose workers were killed in the middle of a batch: each with its tenant.
struct Scene {
    /// SES has taken the mail, and its answer has not come.
    taken: (Tenant, String),
    /// SES has not got the mail.
    on_its_way: (Tenant, String),
    /// All is recorded, and only the batch is not answered.
    done: (Tenant, String),
    /// A mail sleeps for its start.
    asleep: (Tenant, String),
}

impl Scene {
    /// Sets it up and kills, and does so again where the machine was too slow for that: a call is held for a while only.
    async fn set(stack: &Stack) -> Self {
        for _ in 0..5 {
            let scene = Self::begin(stack).await;
            kill_senders(stack).await;
            stack.faults(&scene.taken.0, &json!({})).await;
            stack.faults(&scene.on_its_way.0, &json!({})).await;
            if scene.is_as_described(stack).await {
                return scene;
            }
        }
        panic!("never killed in time");
    }

    async fn begin(stack: &Stack) -> Self {
        let slow = json!({ "policies": [classic()], "identities": ["example.com"], "max_send_rate": 1 });
        let slow = stack.tenant(&slow).await.unwrap();
        let slow_id = stack.take("acme", &slow).await;
        let (taken, on_its_way, done) =
            tokio::join!(stack.provider("acme"), stack.provider("acme"), stack.provider("acme"));
        stack.faults(&taken.0, &json!({ "hang_ms": HELD_MS })).await;
        stack.faults(&on_its_way.0, &json!({ "latency_ms": HELD_MS })).await;
        let hold = json!({ "on_doubt": "hold" });
        let five = json!({ "to": (0..5).map(|n| format!("a{n}@example.org")).collect::<Vec<_>>() });
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
            until_copies(stack, &taken.0, "taken-resend", 1),
            until_copies(stack, &taken.0, "taken-hold", 1),
            until_begun(stack, &on_its_way.1, "on-its-way-resend"),
            until_begun(stack, &on_its_way.1, "on-its-way-hold"),
            stack.fate(&done.1, "done-resend", &["sent"]),
            stack.fate(&done.1, "done-hold", &["sent"]),
            stack.fate(&slow_id, "five-seconds-worth", &["sent"]),
        );
        Self { taken, on_its_way, done, asleep: (slow, slow_id) }
    }

    async fn is_as_described(&self, stack: &Stack) -> bool {
        for (provider, mail_id) in [
            (&self.taken, "taken-resend"),
            (&self.taken, "taken-hold"),
            (&self.on_its_way, "on-its-way-resend"),
            (&self.on_its_way, "on-its-way-hold"),
        ] {
            let row = stack.row(&provider.1, mail_id).await;
            if row.is_none_or(|row| row.state != MailState::Claimed || row.takeovers > 0) {
                return false;
            }
        }
        stack.row(&self.asleep.1, "asleep-hold").await.is_none()
    }
}

#[tokio::test]
async fn mail_of_a_killed_worker_is_sent_again_or_held_as_its_caller_chose() {
    let stack = Stack::with(&SOON_AGAIN).await;
    let scene = Scene::set(&stack).await;
    for (provider, mail_id, state, most_copies) in [
        (&scene.taken, "taken-resend", "sent", 2),
        (&scene.taken, "taken-hold", "in_doubt", 1),
        (&scene.on_its_way, "on-its-way-resend", "sent", 2),
        (&scene.on_its_way, "on-its-way-hold", "in_doubt", 1),
        (&scene.done, "done-resend", "sent", 1),
        (&scene.done, "done-hold", "sent", 1),
        (&scene.asleep, "five-seconds-worth", "sent", 1),
        (&scene.asleep, "asleep-hold", "sent", 1),
    ] {
        let (tenant, provider_id) = provider;
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
    assert_eq!(stack.copies(&scene.taken.0, "taken-resend").await, 2);
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
