//! Parked mail: where it is put, and how it is released.
//!
//! ```text
//! delivery ── would wait for long ──▶ Mails: parked#<provider>
//! schedule ── each minute, a message for each provider with parked mail ──▶ send queue
//! release  ── what the next minute can send, in order ──▶ send queue, then deleted
//! ```
//!
//! A released mail is a mail like any other: whether it may go, and whether it has gone already, is decided when it is received.
//! So a release that is killed, or made twice, costs a message and nothing else.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use shared::id::ProviderId;
use shared::mail::Priority;
use shared::queue::{Deadline, Outgoing, Queue};
use shared::record::{Mails, PARKING_NOTED_FOR, ParkedLane, ParkedMail, Provider, RecordError, StatusName};
use shared::runtime::Ambient;
use shared::telemetry::chain;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::context::Services;
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::put_backs::MailCopy;
use crate::rate::{Pace, line_cost_ms, line_from_ms, max_send_rate};

/// The version that this code writes and accepts.
const VERSION: u32 = 1;

/// How far ahead mail is released: the minute until the next release, and what that may be late by.
const RELEASED_AHEAD: SignedDuration = SignedDuration::from_secs(75);

/// The most mails of one release that no rate bounds: of a provider that was stopped.
const MAX_UNPACED: usize = 1_000;

/// The most mails of one release that are told that their provider is gone.
const MAX_TOLD: usize = 50;

/// How many mails a page, and so a task of a release, has, and how many tasks there are at once.
const PAGE: usize = 250;
const MAX_TASKS: usize = 4;

/// How many mails a release takes a second at most. Their items are deleted from one partition, which takes 1,000 write units a second
/// (DynamoDB developer guide, "Designing partition keys"), and a mail takes one if it has no more than 1 KB compressed.
const RELEASED_PER_S: u32 = 1_000;

/// What has to be left of an invocation for the next page.
const PAGE_TIMEOUT: Duration = Duration::from_secs(3);

/// At which minute of an hour expired mail of a provider that may not send is looked for.
const EXPIRY_EVERY_MIN: i64 = 60;

/// The most providers whose notes a process remembers; forgetting one costs a write.
const MAX_NOTED: usize = 4_096;

/// Where mail is parked.
pub(crate) struct Parking {
    mails: Mails,
    /// When this process noted last that a provider has parked mail.
    noted: Mutex<HashMap<ProviderId, Timestamp>>,
}

/// A wish to release a provider's mail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Release {
    provider_id: ProviderId,
}

/// The body of its message: `{"version": 1, "release": {"provider_id": …}}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseDocument {
    version: u32,
    release: Release,
}

/// How much is released.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Allowance {
    /// Nothing.
    Nothing,
    /// So many mails, whatever they cost: nothing paces them.
    Mails(usize),
    /// What can start until then, in epoch milliseconds, at the rate that a mail's cost follows from.
    Until { from_ms: i64, until_ms: i64 },
}

impl Parking {
    /// Parking in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails, noted: Mutex::default() }
    }

    /// Parks a mail, and then notes that its provider has parked mail.
    pub(crate) async fn park(&self, mail: ParkedMail, ambient: &Ambient) -> Result<(), RecordError> {
        self.mails.park(&mail).await?;
        let now = ambient.now();
        let is_noted = {
            let noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.get(&mail.provider_id).is_some_and(|at| now.duration_since(*at) < PARKING_NOTED_FOR)
        };
        if !is_noted {
            self.mails.note_parking(&mail.provider_id, now).await?;
            let mut noted = self.noted.lock().unwrap_or_else(PoisonError::into_inner);
            if noted.len() >= MAX_NOTED {
                noted.clear();
            }
            noted.insert(mail.provider_id, now);
        }
        Ok(())
    }
}

impl Release {
    /// Reads a message; `None` if it is none of these. No mail is one: a mail has no field `release`.
    pub(crate) fn parse(body: &str) -> Option<Self> {
        if body.len() > 1024 || !body.contains("\"release\"") {
            return None;
        }
        let document: ReleaseDocument = serde_json::from_str(body).ok()?;
        (document.version == VERSION).then_some(document.release)
    }

    fn body(&self) -> String {
        serde_json::to_string(&ReleaseDocument { version: VERSION, release: self.clone() }).unwrap_or_default()
    }

    /// Releases what the next minute can send.
    pub(crate) async fn run(&self, services: &Arc<Services>, deadline: Deadline) -> Result<Disposition, DeliveryError> {
        let now = services.ambient.now();
        let provider_ids = HashSet::from([self.provider_id.clone()]);
        let snapshot = services.tables.read(&provider_ids).await?;
        if snapshot.is_halted() || !services.parking.mails.elect_release(&self.provider_id, now).await? {
            return Ok(Disposition::Settled);
        }
        let provider = snapshot.provider(&self.provider_id);
        let pace = match provider {
            Some(provider) => services.rates.pace(provider).await?,
            None => None,
        };
        let allowance = allowance(provider.map(Arc::as_ref), pace.as_ref(), now);
        let provider = provider.cloned();
        let mut run =
            ReleaseRun { services, provider, pace, allowance, now, released: 0, cost_ms: 0, is_unreadable: false };
        let due = now.saturating_add(RELEASED_AHEAD).unwrap_or(now);
        let is_due_left = run.release_lanes(&self.provider_id, Some(due), deadline).await?;
        let is_left = run.release_lanes(&self.provider_id, None, deadline).await?;
        let is_blocked = matches!(allowance, Allowance::Nothing | Allowance::Mails(1));
        if is_blocked && is_minute_for_expired(&self.provider_id, now) {
            run.release_expired(&self.provider_id, deadline).await?;
        }
        run.finish(&self.provider_id, is_due_left || is_left).await?;
        Ok(Disposition::Settled)
    }
}

/// A release under way.
struct ReleaseRun<'a> {
    services: &'a Arc<Services>,
    provider: Option<Arc<Provider>>,
    pace: Option<Pace>,
    allowance: Allowance,
    now: Timestamp,
    released: usize,
    cost_ms: i64,
    /// Mail was found that cannot be read.
    is_unreadable: bool,
}

impl ReleaseRun<'_> {
    /// Releases mail of the lanes that wait for a start, or of those whose time has come by `due`. True if some is left.
    async fn release_lanes(
        &mut self,
        provider_id: &ProviderId,
        due: Option<Timestamp>,
        deadline: Deadline,
    ) -> Result<bool, DeliveryError> {
        let mut tasks = JoinSet::new();
        let mut start = None;
        let mut next_page_at = Instant::now();
        loop {
            sleep_until(next_page_at).await;
            let page = self.services.parking.mails.parked(provider_id, due, PAGE, start.take()).await?;
            for sk in &page.unreadable {
                tracing::error!(%provider_id, sk, "parked mail cannot be read; it stays where it is");
            }
            self.is_unreadable |= !page.unreadable.is_empty();
            let found = page.mails.len();
            let copies: Vec<_> = page.mails.into_iter().map_while(|mail| self.allow(mail)).collect();
            let is_exhausted = copies.len() < found;
            if !copies.is_empty() {
                self.released += copies.len();
                next_page_at +=
                    Duration::from_secs(1) * u32::try_from(copies.len()).unwrap_or(u32::MAX) / RELEASED_PER_S;
                if tasks.len() >= MAX_TASKS {
                    finished(tasks.join_next().await)?;
                }
                tasks.spawn(release(Arc::clone(self.services), copies));
            }
            start = page.next;
            let is_late = deadline.remaining(self.services.ambient.now()) < PAGE_TIMEOUT;
            if is_exhausted || start.is_none() || is_late {
                while let Some(task) = tasks.join_next().await {
                    finished(Some(task))?;
                }
                return Ok(is_exhausted || start.is_some());
            }
        }
    }

    /// The copy of a mail that may be released, with the time at which it is likely to find a start.
    fn allow(&mut self, mail: ParkedMail) -> Option<(ParkedMail, Duration)> {
        match &mut self.allowance {
            Allowance::Nothing | Allowance::Mails(0) => None,
            Allowance::Mails(left) => {
                *left -= 1;
                Some((mail, Duration::ZERO))
            }
            Allowance::Until { from_ms, until_ms } if *from_ms <= *until_ms => {
                let wait_ms = (*from_ms - self.now.as_millisecond()).max(0);
                let cost_ms = match (&self.provider, &self.pace) {
                    (Some(provider), pace) => {
                        let rate = max_send_rate(pace.as_ref(), provider, self.now);
                        line_cost_ms(mail.recipients, rate, pace.map_or(1000, |pace| pace.share))
                    }
                    (None, _) => 0,
                };
                *from_ms += cost_ms;
                self.cost_ms += cost_ms;
                let not_before = match mail.lane {
                    ParkedLane::NotBefore => {
                        mail.order.duration_since(self.now).max(SignedDuration::ZERO).unsigned_abs()
                    }
                    ParkedLane::High | ParkedLane::Normal => Duration::ZERO,
                };
                let wait = Duration::from_millis(u64::try_from(wait_ms).unwrap_or(0));
                Some((mail, wait.max(not_before)))
            }
            Allowance::Until { .. } => None,
        }
    }

    /// Releases mail that has expired, so that somebody is told.
    async fn release_expired(&mut self, provider_id: &ProviderId, deadline: Deadline) -> Result<(), DeliveryError> {
        let mut start = None;
        loop {
            let page = self.services.parking.mails.parked(provider_id, None, PAGE, start.take()).await?;
            let expired: Vec<_> = page
                .mails
                .into_iter()
                .filter(|mail| mail.expires <= self.now)
                .map(|mail| (mail, Duration::ZERO))
                .collect();
            if !expired.is_empty() {
                release(Arc::clone(self.services), expired).await?;
            }
            start = page.next;
            if start.is_none() || deadline.remaining(self.services.ambient.now()) < PAGE_TIMEOUT {
                return Ok(());
            }
        }
    }

    /// Records what was released and whether more is left.
    async fn finish(self, provider_id: &ProviderId, is_more: bool) -> Result<(), RecordError> {
        if self.released > 0 || is_more {
            tracing::info!(%provider_id, released = self.released, is_more, "parked mail released");
        }
        if let (Some(provider), Allowance::Until { from_ms, .. }) = (&self.provider, self.allowance) {
            let was_ms = self.pace.map_or(0, |pace| pace.lines.new_ms);
            let line_ms = if self.released > 0 { from_ms } else { was_ms };
            self.services.rates.record_release(provider, (line_ms, self.cost_ms), is_more, self.now).await?;
        }
        // What cannot be read is looked at, and told, every minute until somebody has repaired it.
        match is_more || self.is_unreadable {
            true => Ok(()),
            false => self.services.parking.forget_if_empty(provider_id, self.now).await,
        }
    }
}

impl Parking {
    /// Forgets a provider that has no parked mail, not even for later.
    async fn forget_if_empty(&self, provider_id: &ProviderId, now: Timestamp) -> Result<(), RecordError> {
        let later = self.mails.parked(provider_id, Some(Timestamp::MAX), 1, None).await?;
        if later.mails.is_empty() && later.unreadable.is_empty() {
            self.mails.forget_parking(provider_id, now).await?;
        }
        Ok(())
    }
}

/// Sends mails to the queue and deletes those that it has.
async fn release(services: Arc<Services>, mails: Vec<(ParkedMail, Duration)>) -> Result<(), DeliveryError> {
    let copies: Vec<MailCopy> = mails.iter().map(|(mail, delay)| copy_of(mail, *delay)).collect();
    let outgoing: Vec<Outgoing<'_>> = copies.iter().map(MailCopy::outgoing).collect();
    let results = services.send_queue.send_all(&outgoing).await;
    let mut sent = Vec::with_capacity(mails.len());
    let mut failed = None;
    for ((mail, _), result) in mails.into_iter().zip(results) {
        match result {
            Ok(()) => sent.push(mail),
            Err(error) => failed = Some(error),
        }
    }
    services.parking.mails.unpark(&sent).await?;
    failed.map_or(Ok(()), |error| Err(error.into()))
}

fn finished(task: Option<Result<Result<(), DeliveryError>, tokio::task::JoinError>>) -> Result<(), DeliveryError> {
    match task {
        None => Ok(()),
        Some(Ok(result)) => result,
        Some(Err(_)) => Err(shared::queue::Interrupted::Panicked.into()),
    }
}

fn copy_of(mail: &ParkedMail, delay: Duration) -> MailCopy {
    let priority = match mail.lane {
        ParkedLane::High => Priority::High,
        ParkedLane::Normal | ParkedLane::NotBefore => Priority::Normal,
    };
    MailCopy {
        subject: mail.mail_id.to_string(),
        body: mail.body.clone(),
        group: priority.group(&mail.provider_id),
        delay: Duration::from_secs(delay.as_secs()),
        hops: mail.hops.saturating_add(1),
        lined_up: true,
    }
}

/// How much of a provider's mail is released now.
fn allowance(provider: Option<&Provider>, pace: Option<&Pace>, now: Timestamp) -> Allowance {
    let Some(provider) = provider else {
        // Unreadable, or erased: each mail is told so, a few at a time.
        return Allowance::Mails(MAX_TOLD);
    };
    match provider.status.status {
        // One takes the look that may end it.
        StatusName::Suspended if !provider.is_held() => Allowance::Mails(1),
        StatusName::Suspended => Allowance::Nothing,
        StatusName::Active if provider.is_held() => Allowance::Nothing,
        StatusName::Active => match pace {
            Some(pace) if pace.quota.blocks_until(now).is_some() => Allowance::Nothing,
            Some(pace) if pace.breaker.is_open() => Allowance::Mails(1),
            pace => {
                let now_ms = now.as_millisecond();
                let from_ms = pace.map_or(now_ms, |pace| line_from_ms(pace, now));
                let ahead_ms = i64::try_from(RELEASED_AHEAD.as_millis()).unwrap_or(i64::MAX);
                Allowance::Until { from_ms, until_ms: now_ms + ahead_ms }
            }
        },
        _ => Allowance::Mails(MAX_UNPACED),
    }
}

/// Whether this is the minute of the hour in which a provider's expired mail is looked for.
fn is_minute_for_expired(provider_id: &ProviderId, now: Timestamp) -> bool {
    let slot = provider_id.as_str().bytes().fold(0_i64, |sum, byte| sum * 31 % 997 + i64::from(byte));
    (now.as_second() / 60) % EXPIRY_EVERY_MIN == slot % EXPIRY_EVERY_MIN
}

impl Services {
    /// Asks for the release of every provider's parked mail, a message each.
    pub(crate) async fn enqueue_releases(&self, deadline: Deadline) {
        let mut start = None;
        loop {
            let (provider_ids, next) = match self.parking.mails.list_parking(start.take()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), "providers with parked mail could not be listed");
                    return;
                }
            };
            let bodies: Vec<(String, String)> = provider_ids
                .into_iter()
                .map(|provider_id| (provider_id.to_string(), Release { provider_id }.body()))
                .collect();
            let messages: Vec<Outgoing<'_>> = bodies
                .iter()
                .map(|(subject, body)| Outgoing {
                    subject,
                    body,
                    group: "release",
                    delay: Duration::ZERO,
                    hops: None,
                    lined_up: false,
                })
                .collect();
            for error in enqueue(&self.send_queue, &messages).await {
                tracing::warn!(error, "a release of parked mail was not enqueued: it is in a minute");
            }
            start = next;
            if start.is_none() || deadline.remaining(self.ambient.now()) < PAGE_TIMEOUT {
                return;
            }
        }
    }
}

async fn enqueue(queue: &Queue, messages: &[Outgoing<'_>]) -> Vec<String> {
    queue.send_all(messages).await.into_iter().filter_map(Result::err).map(|error| chain(&error)).collect()
}
