//! A mail that cannot go out now: it goes back to the queue with a delay, or is parked if the wait is long.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::mail::{Mail, Priority};
use shared::record::{ParkedLane, ParkedMail};
use shared::telemetry::chain;

use super::Delivery;
use crate::context::Services;
use crate::delay::Delay;
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::failover::{has_alternative, provider_for};
use crate::put_backs::MailCopy;
use crate::rate::ParkedSlot;
use crate::wait_reason::WaitReason;

impl Delivery {
    /// Sends a copy of the message to the send queue, with a delay. The original is acknowledged only after this; if that
    /// fails there are two messages, and the second one finds the row of the first.
    pub(super) async fn requeue(&self, delay: Delay) -> Result<Disposition, DeliveryError> {
        self.put_back(delay.with_jitter(&self.services.ambient), self.message.lined_up).await
    }

    /// The mail waits in the queue until exactly this time. The first time its row says so.
    pub(super) async fn wait_until(&self, reason: WaitReason, until: Timestamp) -> Result<Disposition, DeliveryError> {
        self.wait(reason, until, false).await
    }

    async fn wait(&self, reason: WaitReason, until: Timestamp, lined_up: bool) -> Result<Disposition, DeliveryError> {
        if self.message.hops > 0 {
            return self.put_back(self.until(until), lined_up).await;
        }
        tokio::join!(self.put_back(self.until(until), lined_up), self.note_waiting(reason, until)).0
    }

    /// The mail waits for the time that it names itself: in the queue if that is within what SQS delays, and else parked.
    pub(super) async fn wait_for_its_time(&self, not_before: Timestamp) -> Result<Disposition, DeliveryError> {
        let wait = not_before.duration_since(self.services.ambient.now());
        match wait < SignedDuration::from_millis(Delay::MAX.as_millis()) {
            true => self.wait_until(WaitReason::NotBefore, not_before).await,
            false => self.park(ParkedSlot { reason: WaitReason::NotBefore, eta: not_before }).await,
        }
    }

    /// The mail lines up for a start: no jitter, because each has a place of its own.
    pub(super) async fn wait_in_line(&self, reason: WaitReason, delay: Delay) -> Result<Disposition, DeliveryError> {
        self.wait(reason, self.after(delay), true).await
    }

    fn after(&self, delay: Delay) -> Timestamp {
        let time = self.services.ambient.now().saturating_add(SignedDuration::from_millis(delay.as_millis()));
        time.unwrap_or(Timestamp::MAX)
    }

    /// Parks the mail, unless it waits for its provider and another one that it names may send it first: then it goes through that one in a
    /// moment, or is looked at again when the quota is, or in a quarter of an hour. Parked it would wait for this one alone.
    pub(super) async fn wait_or_change_provider(&self, parked: ParkedSlot) -> Result<Disposition, DeliveryError> {
        if self.mail.provider_ids.len() == 1 || !parked.reason.is_of_provider() {
            return self.park(parked).await;
        }
        let snapshot = self.batch.snapshots.fresh().await?;
        let Services { rates, ambient, .. } = self.services.as_ref();
        let now = ambient.now();
        if provider_for(&self.mail, &snapshot, rates, now) != self.mail.provider_id {
            return self.requeue(Delay::SHORT_OF_TIME).await;
        }
        if !has_alternative(&self.mail, &snapshot, now) {
            return self.park(parked).await;
        }
        let until = if parked.reason == WaitReason::DailyQuota { parked.eta } else { self.after(Delay::MAX) };
        tokio::join!(self.put_back(self.until(until), false), self.note_waiting(parked.reason, until)).0
    }

    /// Parks the mail. What cannot be parked now waits in the queue for as long as it can, and then is tried again.
    pub(super) async fn park(&self, ParkedSlot { reason, eta }: ParkedSlot) -> Result<Disposition, DeliveryError> {
        let parked = ParkedMail {
            provider_id: self.mail.provider_id.clone(),
            tenant_id: self.mail.tenant_id.clone(),
            mail_id: self.mail.mail_id.clone(),
            lane: lane_of(&self.mail, reason),
            order: if reason == WaitReason::NotBefore { eta } else { self.mail.first_seen },
            recipients: self.mail.recipients(),
            expires: self.mail.expiry(),
            hops: self.message.hops,
            body: self.body_with_first_seen().into_owned(),
        };
        let (is_parked, ()) =
            tokio::join!(self.services.parking.park(parked, &self.services.ambient), self.note_waiting(reason, eta));
        match is_parked {
            Ok(()) => Ok(Disposition::Parked),
            Err(error) => {
                tracing::warn!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    error = chain(&error),
                    "parking a mail failed; it waits in the queue"
                );
                self.requeue(Delay::MAX).await
            }
        }
    }

    /// Puts the mail back for exactly this time, in whole seconds, which SQS counts in, rounded up.
    async fn put_back(&self, wait: Duration, lined_up: bool) -> Result<Disposition, DeliveryError> {
        let copy = MailCopy {
            subject: self.message.message_id.clone(),
            body: self.body_with_first_seen().into_owned(),
            group: self.mail.group(),
            delay: Duration::from_secs(wait.as_millis().div_ceil(1000).try_into().unwrap_or(u64::MAX)),
            hops: self.message.hops.saturating_add(1),
            lined_up,
        };
        self.services.put_backs.send(copy).await?;
        Ok(Disposition::Requeued)
    }

    /// The row tells whoever asks what the mail waits for. It decides nothing, so an error is only logged.
    async fn note_waiting(&self, reason: WaitReason, eta: Timestamp) {
        let noted =
            self.services.ledger.note_waiting(&self.claimant, reason.as_str(), eta, self.services.ambient.now());
        if let Err(error) = noted.await {
            tracing::warn!(
                provider_id = %self.mail.provider_id,
                mail_id = %self.mail.mail_id,
                error = chain(&error),
                "recording what a mail waits for failed"
            );
        }
    }
}

fn lane_of(mail: &Mail, reason: WaitReason) -> ParkedLane {
    match mail.priority {
        _ if reason == WaitReason::NotBefore => ParkedLane::NotBefore,
        Priority::Normal => ParkedLane::Normal,
        Priority::High => ParkedLane::High,
    }
}
