//! When mail is handed over and what breaks when.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use operator::verdict::RunMail;
use reqwest::Method;
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, sleep_until};

use super::report;
use crate::stack::{RunStack, RunTenant, now, signal};

/// The tenant whose daily quota is reached, and the one whose sending is paused.
pub(crate) const QUOTA_TENANT: usize = 0;
const PAUSED_TENANT: usize = 1;

/// How many processes are frozen at the same time.
const FROZEN: usize = 4;

/// Of so many mails one is handed over twice.
const TWICE_EVERY: usize = 20;

/// From when until when something lasts, in seconds since the start.
#[derive(Clone, Copy)]
pub(crate) struct Span(pub(crate) u64, pub(crate) u64);

/// A run's times.
pub(crate) struct Schedule {
    /// What the run is called.
    pub(crate) name: &'static str,
    /// How many mails are handed over where nobody says otherwise.
    pub(crate) mails: usize,
    /// Parameters of the template.
    pub(crate) parameters: &'static [&'static str],
    /// Chances of a 429, of no answer after acceptance, and of a 500 after acceptance, of each request to SES.
    pub(crate) chances: [f64; 3],
    /// Mail is handed over until this second; a fifth of it at once.
    pub(crate) hand_over_s: u64,
    /// Mails that do expire: so many seconds after they were handed over.
    pub(crate) expiry_s: i64,
    /// Processes of `send` are killed.
    pub(crate) kills: Span,
    /// At most so many seconds apart.
    pub(crate) kill_every_s: u64,
    /// Our DynamoDB is throttled and slow.
    pub(crate) dynamodb: Span,
    /// SQS takes no message of our functions; during the outage, when most mail is put back.
    pub(crate) sqs: Span,
    /// KMS is away.
    pub(crate) kms: Span,
    /// Busy processes are stopped, and go on at its end. Lambda kills one that is stopped beyond its timeout.
    pub(crate) freeze: Span,
    /// A tenant's sending is paused.
    pub(crate) paused: Span,
    /// SES answers nobody.
    pub(crate) outage: Span,
    /// The daily quota is raised.
    pub(crate) quota_raised_s: u64,
    /// Everything is halted.
    pub(crate) halt: Span,
    /// How long everything may take to settle after the last fault.
    pub(crate) settle_s: u64,
    /// A quarter of an hour and the minute between two releases are not waited for.
    pub(crate) at_once: bool,
}

/// In some 25 minutes, with the template's own times.
pub(crate) const LONG: Schedule = Schedule {
    name: "long",
    mails: 10_000,
    parameters: &[],
    chances: [0.01, 0.005, 0.002],
    hand_over_s: 1_080,
    expiry_s: 120,
    kills: Span(5, 300),
    kill_every_s: 12,
    dynamodb: Span(180, 300),
    sqs: Span(560, 620),
    kms: Span(330, 390),
    freeze: Span(400, 520),
    paused: Span(120, 480),
    outage: Span(540, 1_140),
    quota_raised_s: 600,
    halt: Span(1_170, 1_230),
    settle_s: 600,
    at_once: false,
};

/// In below four minutes: a worker's mail is delivered again and a doubtful mail gets its second attempt soon, and chances are higher, so that
/// each fault strikes some of the few mails.
pub(crate) const SHORT: Schedule = Schedule {
    name: "short",
    mails: 400,
    parameters: &["SendTimeout=18", "SendVisibilityTimeout=24", "SendDoubtDelay=5"],
    chances: [0.03, 0.015, 0.006],
    hand_over_s: 95,
    expiry_s: 20,
    kills: Span(1, 24),
    kill_every_s: 4,
    dynamodb: Span(8, 20),
    sqs: Span(44, 56),
    kms: Span(24, 36),
    freeze: Span(30, 37),
    paused: Span(12, 50),
    outage: Span(40, 80),
    quota_raised_s: 75,
    halt: Span(84, 94),
    settle_s: 300,
    at_once: true,
};

/// How often something was done.
#[derive(Default)]
pub(crate) struct Tally {
    /// Processes that were killed at work.
    pub(crate) killed: AtomicUsize,
    /// Processes that were stopped at work.
    pub(crate) frozen: AtomicUsize,
    /// Mails that waited for the daily quota when it was raised.
    pub(crate) over_quota: AtomicUsize,
}

impl Schedule {
    /// Hands the mails over and lets everything break in its time. Returns the mails.
    pub(crate) async fn run(&self, stack: &RunStack, mails: usize, tally: &Tally) -> Vec<RunMail> {
        let started = Instant::now();
        let at = |second: u64| sleep_until(started + Duration::from_secs(second));
        let ours = async |name, span: Span, rule: Value| {
            at(span.0).await;
            stack.break_ours(name, Some(rule)).await;
            at(span.1).await;
            stack.break_ours(name, None).await;
        };
        let kills = async {
            at(self.kills.0).await;
            for n in 1.. {
                if started.elapsed().as_secs() >= self.kills.1 {
                    break;
                }
                kill(stack, tally).await;
                // Uneven, so that a kill meets every step of a batch.
                let pause_ms = 500 + n * 7_919 % (self.kill_every_s * 1000);
                sleep(Duration::from_millis(pause_ms)).await;
            }
        };
        let kms = async {
            at(self.kms.0 + 2).await;
            // A process that has the secret does not need KMS.
            for _ in 0..3 {
                kill(stack, tally).await;
                sleep(Duration::from_secs(3)).await;
            }
        };
        let freeze = async {
            at(self.freeze.0).await;
            let mut frozen = Vec::new();
            while frozen.len() < FROZEN && started.elapsed().as_secs() < self.freeze.1 {
                let busy = stack.busy_senders().await;
                if let Some(pid) = busy.into_iter().find(|pid| !frozen.contains(pid)) {
                    signal(&[pid], Signal::STOP);
                    frozen.push(pid);
                }
                sleep(Duration::from_millis(300)).await;
            }
            tally.frozen.fetch_add(frozen.len(), Ordering::Relaxed);
            at(self.freeze.1).await;
            signal(&frozen, Signal::CONT);
        };
        let paused = async {
            at(self.paused.0).await;
            stack.set_paused(PAUSED_TENANT, true).await;
            at(self.paused.1).await;
            stack.set_paused(PAUSED_TENANT, false).await;
            self.free(stack).await;
        };
        let outage = async {
            at(self.outage.0).await;
            stack.set_outage(true).await;
            at(self.outage.1).await;
            stack.set_outage(false).await;
        };
        let quota = async {
            at(self.quota_raised_s).await;
            tally.over_quota.store(report::over_quota(stack).await, Ordering::Relaxed);
            stack.raise_quota(QUOTA_TENANT, 1_000_000).await;
        };
        let halt = async {
            at(self.halt.0).await;
            stack.insist(Method::PUT, "/halt", &json!({ "reason": "fault run" })).await;
            at(self.halt.1).await;
            stack.insist(Method::DELETE, "/halt", &json!({ "reason": "fault run", "force": true })).await;
        };
        let dynamodb = json!({ "on": ["dynamodb:*"], "throttle": 0.2, "latency_ms": 300 });
        let (mails, ..) = tokio::join!(
            self.hand_over(stack, mails, started),
            kills,
            ours("dynamodb", self.dynamodb, dynamodb),
            ours("sqs", self.sqs, json!({ "on": ["sqs:SendMessage*"], "refuse": 0.5, "server_error": 0.5 })),
            ours("kms", self.kms, json!({ "on": ["kms:*"], "server_error": 1.0 })),
            kms,
            freeze,
            paused,
            outage,
            quota,
            halt,
        );
        mails
    }

    /// A verification that passes frees the provider. The outage of SES may be in its way.
    async fn free(&self, stack: &RunStack) {
        let path = format!("/providers/{}", stack.tenants[PAUSED_TENANT].provider_id);
        let started = Instant::now();
        while started.elapsed().as_secs() < self.outage.1 + self.settle_s {
            let shown = stack.operator.api(Method::GET, &path, None).await.unwrap().body;
            if shown["status"] == "active" {
                return;
            }
            stack.operator.api(Method::POST, &format!("{path}/verifications"), None).await.unwrap();
            sleep(Duration::from_secs(5)).await;
        }
    }

    async fn hand_over(&self, stack: &RunStack, count: usize, started: Instant) -> Vec<RunMail> {
        let mut handed = Vec::new();
        let ticks = self.hand_over_s * 2;
        let at_once = count / 5;
        for tick in 0..=ticks {
            sleep_until(started + Duration::from_millis(500) * u32::try_from(tick).unwrap()).await;
            let due = at_once + (count - at_once) * usize::try_from(tick).unwrap() / usize::try_from(ticks).unwrap();
            let mut messages = Vec::new();
            for n in handed.len()..due {
                let tenant = &stack.tenants[n % stack.tenants.len()];
                let is_hold = n / stack.tenants.len() % 3 == 2;
                let mail = self.mail(n, tenant, is_hold);
                messages.extend((n % TWICE_EVERY == 7).then(|| mail.clone()));
                messages.push(mail);
                handed.push(RunMail {
                    mail_id: mail_id(n),
                    account_id: tenant.tenant.account_id.clone(),
                    max_copies: if is_hold { 1 } else { 2 },
                });
            }
            stack.enqueue(&messages).await;
        }
        handed
    }

    fn mail(&self, n: usize, tenant: &RunTenant, is_hold: bool) -> Value {
        let mut mail = tenant.mail(&mail_id(n));
        if is_hold {
            mail["on_doubt"] = json!("hold");
        }
        if n % 11 == 3 {
            mail["priority"] = json!("high");
        }
        if n % 37 == 5 {
            mail["expires_at"] = json!((now() + SignedDuration::from_secs(self.expiry_s)).to_string());
        }
        mail
    }
}

async fn kill(stack: &RunStack, tally: &Tally) {
    let busy = stack.busy_senders().await;
    signal(&busy, Signal::KILL);
    tally.killed.fetch_add(busy.len(), Ordering::Relaxed);
}

fn mail_id(n: usize) -> String {
    format!("fault-{n:05}")
}
