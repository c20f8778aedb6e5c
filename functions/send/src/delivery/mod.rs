//! The delivery of one mail: check that it may go, wait for its start, claim it, send it, record the result.
//!
//! What the next worker finds if a worker is killed:
//!
//! | killed | the next worker finds | result |
//! |---|---|---|
//! | before the claim | nothing, or an unused start | it starts from the beginning |
//! | between claim and request | a claim whose lease ends | in doubt, though nothing was sent: this cannot be known |
//! | between request and record | the same | in doubt: at most two copies, or one with `hold` |
//! | after a record that could not be written | a claim whose lease ends, and a settlement | the settlement writes it |
//! | after the record | the mail's final state | the message is acknowledged |
//! | between requeueing and acknowledgement | two messages | the second one finds the row of the first |
//! | between event and record | no final state | the event is published again |
//! | between the requests of a rotation's two keys | a claim whose lease ends | in doubt |

mod admission;
mod breaker;
mod files;
mod quota;
mod rotation;
mod settlement;
mod suspension;
mod waiting;

use std::borrow::Cow;
use std::ops::ControlFlow::{self, Break, Continue};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::mail::{Mail, MailIds, digest, with_first_seen};
use shared::queue::Message;
use shared::record::{LedgerRow, MailState, RecordError};
use shared::telemetry::{Event, chain};
use shared::tenant::{Failure, SES_TIMEOUT};
use tokio::time::Instant;

use self::admission::{Checked, SigningKey, Start};
use self::rotation::{decisive, is_of_key};
use crate::context::{BatchContext, Services};
use crate::delay::Delay;
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::files::LoadedFiles;
use crate::ledger::{self, ClaimDecision, Claimant, EndDecision, EndReason, RowWrite};
use crate::rate::Slot;
use crate::rejection::Rejection;
use crate::snapshot::SnapshotError;
use crate::{poison, ses_request};

/// What has to be left for the record after SES has used its whole timeout.
const RECORD_TIMEOUT: Duration = Duration::from_secs(1);

/// How often a decision is repeated because another delivery wrote the row first.
const MAX_DECISIONS: usize = 4;

/// A claim ends this long after the invocation, so that no live worker's claim is taken over.
const LEASE_AFTER_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

/// A step of a delivery: it continues with a value, or ends with the mail's disposition.
type DeliveryStep<T> = Result<ControlFlow<Disposition, T>, DeliveryError>;

/// A mail on its way.
pub(crate) struct Delivery {
    services: Arc<Services>,
    batch: Arc<BatchContext>,
    message: Arc<Message>,
    mail: Arc<Mail>,
    claimant: Claimant,
}

impl Delivery {
    /// The delivery of a batch's mail at this place.
    pub(crate) fn new(
        services: Arc<Services>,
        batch: Arc<BatchContext>,
        message: Arc<Message>,
        mail: Mail,
        place: usize,
    ) -> Self {
        let claimant = Claimant {
            tenant_id: mail.tenant_id.clone(),
            provider_id: mail.provider_id.clone(),
            mail_id: mail.mail_id.clone(),
            digest: digest(&mail),
            first_seen: mail.first_seen,
            on_doubt: mail.on_doubt,
            // One batch may contain a message twice; the place distinguishes its deliveries.
            owner: format!("{}/{place}/{}", batch.request_id, message.message_id),
            lease_until: batch.deadline.time() + LEASE_AFTER_DEADLINE,
        };
        Self { services, batch, message, mail: Arc::new(mail), claimant }
    }

    /// Delivers the mail. `slot` is its start, if the batch has reserved one for it.
    pub(crate) async fn run(self, slot: Option<Slot>) -> Result<Disposition, DeliveryError> {
        let delivered = match self.deliver(slot).await {
            // Too late to wait for a repair.
            Err(error) if error.is_broken() && self.mail.expiry() <= self.services.ambient.now() => {
                self.give_up_unless_unreadable().await
            }
            Err(error) if error.is_broken() => {
                tracing::error!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    error = chain(&error),
                    "mail requeued until somebody repairs what is broken on our side"
                );
                self.requeue(Delay::BROKEN).await
            }
            // Reads are slow mostly when many mails are sent at once, and not all of them should wait for their visibility
            // timeout.
            Err(DeliveryError::Snapshot(SnapshotError::Slow)) => {
                tracing::warn!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    "mail requeued because reads of halt and providers are too slow"
                );
                self.requeue(Delay::SLOW_READS).await
            }
            delivered => delivered,
        };
        delivered.inspect_err(|error| {
            tracing::warn!(
                message_id = self.message.message_id,
                provider_id = %self.mail.provider_id,
                mail_id = %self.mail.mail_id,
                receives = self.message.receives,
                error = chain(error),
                "delivering a mail failed; SQS delivers its message again"
            );
        })
    }

    async fn deliver(&self, slot: Option<Slot>) -> Result<Disposition, DeliveryError> {
        let admitted_at = self.services.ambient.now();
        let provider = match self.admit().await? {
            Continue(provider) => provider,
            Break(disposition) => return Ok(disposition),
        };
        // KMS may be slow. So the secret is opened before the start, because a late mail comes too close to the next one, and
        // before the claim, because an unused claim is a doubt.
        if let Break(disposition) = self.open_secret().await? {
            return Ok(disposition);
        }
        let files = match self.load_files().await? {
            Continue(files) => files,
            Break(disposition) => return Ok(disposition),
        };
        let start = match self.await_start(&provider, slot).await? {
            Continue(start) => start,
            Break(disposition) => return Ok(disposition),
        };
        if let Some(wait) = self.denied_since(&provider, admitted_at).filter(|_| !start.is_probe) {
            return self.requeue(wait).await;
        }
        let prepared = self.prepare(start).await;
        let (row, checked) = match prepared {
            Ok(Continue(prepared)) => prepared,
            not_sent => {
                if start.is_probe {
                    self.release_probe(&provider).await;
                }
                return not_sent.map(|step| match step {
                    Break(disposition) => disposition,
                    Continue(_) => Disposition::Settled,
                });
            }
        };
        self.send(&row, &checked, start, &files).await
    }

    /// Claims the mail and checks once more that it may go. The time for this lies before its start.
    async fn prepare(&self, start: Start) -> DeliveryStep<(LedgerRow, Checked)> {
        if !self.has_time_to_send() {
            return self.requeue(Delay::SHORT_OF_TIME).await.map(Break);
        }
        let begun = Instant::now();
        let row = match self.claim().await? {
            Continue(row) => row,
            Break(disposition) => return Ok(Break(disposition)),
        };
        let checked = self.recheck(&row, start).await;
        self.services.preparation.observe(begun.elapsed());
        Ok(match checked? {
            Continue(checked) => Continue((row, checked)),
            Break(disposition) => Break(disposition),
        })
    }

    /// Sends the mail at its start, and acts on the answer. The breaker learns of it at the same time, because a request that
    /// used its whole timeout leaves little. If the key is refused and the provider has another one, that signs the mail at
    /// once: the refusal proves that SES does not have it.
    async fn send(
        &self,
        row: &LedgerRow,
        checked: &Checked,
        start: Start,
        files: &LoadedFiles,
    ) -> Result<Disposition, DeliveryError> {
        self.sleep_until(start).await;
        let begun = self.services.ambient.now();
        let Checked { provider, signer, fallback, .. } = checked;
        let failure = match self.request(checked, signer, start, files).await {
            Ok(ses_message_id) => return Ok(self.accepted(row, checked, signer, ses_message_id, (begun, start)).await),
            Err(failure) => failure,
        };
        let (signer, failure) = match fallback {
            Some(fallback) if is_of_key(&failure.kind) && self.has_time_to_send() => {
                match self.request(checked, fallback, start, files).await {
                    Ok(ses_message_id) => {
                        let accepted = self.accepted(row, checked, fallback, ses_message_id, (begun, start)).await;
                        // Not before the acceptance is recorded.
                        self.note_refusal(provider, &signer.provider, &failure).await;
                        return Ok(accepted);
                    }
                    Err(second) => decisive(provider, (signer, failure), (fallback, second)),
                }
            }
            _ => (signer, failure),
        };
        let told = self.record_on_breaker(provider, &failure, start);
        tokio::join!(told, self.handle_failure(row, provider, signer, &failure)).1
    }

    /// One request to SES.
    async fn request(
        &self,
        checked: &Checked,
        signer: &SigningKey,
        start: Start,
        files: &LoadedFiles,
    ) -> Result<String, Failure> {
        let fill = |request| ses_request::fill(request, &self.mail, files);
        let permit = self.write_permit(checked, signer, start);
        self.services.tenants.send_email(&signer.credential, fill, permit).await
    }

    /// SES has the mail.
    async fn accepted(
        &self,
        row: &LedgerRow,
        checked: &Checked,
        signer: &SigningKey,
        ses_message_id: String,
        (begun, start): (Timestamp, Start),
    ) -> Disposition {
        self.batch.sent_mails.note(&self.mail, &signer.provider, &ses_message_id, self.services.ambient.now());
        let disposition = self.record_acceptance(row, &signer.provider, ses_message_id).await;
        self.close_breaker(&checked.provider, begun, start).await;
        self.note_accepted_by(&checked.provider, &signer.provider).await;
        self.read_account_if_due(&checked.provider, &signer.credential).await;
        disposition
    }

    /// Gives up a mail whose message was received too often, or that expired while something on our side was broken. Event,
    /// row and answer say what is true: a mail that SES has, or may have, is not called rejected. A copy goes to the
    /// dead-letter queue for whoever mends what was broken.
    pub(crate) async fn give_up(&self) -> Result<Disposition, DeliveryError> {
        let rejection = Rejection::given_up();
        let seen = self.services.ledger.read(&self.mail.tenant_id, &self.mail.mail_id).await?;
        if seen.is_none() {
            // Do not write a row under another tenant's provider: it would block that tenant's own mail with the same id.
            let snapshot = self.batch.snapshots.fresh().await?;
            let provider = snapshot.provider(&self.mail.provider_id);
            if provider.is_none_or(|provider| provider.tenant_id != self.mail.tenant_id) {
                return self.dead_letter(&rejection).await;
            }
        }
        self.end_from(seen, &EndReason::Rejected(rejection.code()), Some(&rejection)).await
    }

    /// Gives the mail up. If its row cannot be read, nobody knows what to say of it: only the dead-letter queue gets it.
    async fn give_up_unless_unreadable(&self) -> Result<Disposition, DeliveryError> {
        match self.give_up().await {
            Err(DeliveryError::Record(error @ RecordError::Shape { .. })) => {
                tracing::error!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    error = chain(&error),
                    "mail dead-lettered without an event, because its row cannot be read"
                );
                poison::set_aside(&self.services, &self.message, &Rejection::given_up()).await?;
                Ok(Disposition::Rejected)
            }
            given_up => given_up,
        }
    }

    /// Writes the claim. Nothing is sent without one, and no other delivery sends while it lives.
    async fn claim(&self) -> DeliveryStep<LedgerRow> {
        let mut seen: Option<Box<LedgerRow>> = None;
        for _ in 0..MAX_DECISIONS {
            match ledger::decide_claim(seen.as_deref(), &self.claimant, self.services.ambient.now()) {
                ClaimDecision::Take(row) => match self.services.ledger.write(&row, seen.as_deref()).await? {
                    RowWrite::Done => return Ok(Continue(row)),
                    RowWrite::Lost(found) => seen = found,
                },
                ClaimDecision::Settled => return Ok(Break(Disposition::Settled)),
                ClaimDecision::Held => return Err(DeliveryError::ClaimHeld),
                ClaimDecision::Conflict => return self.dead_letter(&Rejection::mail_id_conflict()).await.map(Break),
                ClaimDecision::Doubt(row) => {
                    self.publish(&row).await?;
                    match self.services.ledger.write(&row, seen.as_deref()).await? {
                        RowWrite::Done => return Ok(Break(Disposition::InDoubt)),
                        RowWrite::Lost(found) => seen = found,
                    }
                }
            }
        }
        Err(DeliveryError::Contended)
    }

    /// Ends a mail that was not claimed.
    async fn end(&self, reason: &EndReason) -> Result<Disposition, DeliveryError> {
        let seen = self.services.ledger.read(&self.mail.tenant_id, &self.mail.mail_id).await?;
        self.end_from(seen, reason, None).await
    }

    /// The same, given its row. With `set_aside`, a copy goes to the dead-letter queue if the mail ends here.
    async fn end_from(
        &self,
        seen: Option<LedgerRow>,
        reason: &EndReason,
        set_aside: Option<&Rejection>,
    ) -> Result<Disposition, DeliveryError> {
        let mut seen = seen.map(Box::new);
        for _ in 0..MAX_DECISIONS {
            match ledger::decide_end(seen.as_deref(), &self.claimant, reason, self.services.ambient.now()) {
                EndDecision::Write(row) => {
                    self.publish(&row).await?;
                    if let Some(rejection) = set_aside {
                        poison::set_aside(&self.services, &self.message, rejection).await?;
                    }
                    match self.services.ledger.write(&row, seen.as_deref()).await? {
                        RowWrite::Done => return Ok(disposition_of(row.state)),
                        RowWrite::Lost(found) => seen = found,
                    }
                }
                EndDecision::Settled => return Ok(Disposition::Settled),
                EndDecision::Held => return Err(DeliveryError::ClaimHeld),
                EndDecision::Conflict => return self.dead_letter(&Rejection::mail_id_conflict()).await,
            }
        }
        Err(DeliveryError::Contended)
    }

    /// Releases the claim: SES proved that it did not accept the mail, or no request was sent. A row that another delivery
    /// has written meanwhile stays.
    async fn release_claim(&self, row: &LedgerRow, reason: &str) -> Result<(), DeliveryError> {
        let released = ledger::not_accepted_row(row, reason, self.services.ambient.now());
        self.services.ledger.write(&released, Some(row)).await?;
        Ok(())
    }

    async fn dead_letter(&self, rejection: &Rejection) -> Result<Disposition, DeliveryError> {
        poison::dead_letter(&self.services, &self.message, &self.ids(), rejection).await?;
        Ok(Disposition::Rejected)
    }

    fn body_with_first_seen(&self) -> Cow<'_, str> {
        if self.mail.carries_first_seen {
            Cow::Borrowed(self.message.body.as_str())
        } else {
            Cow::Owned(with_first_seen(&self.message.body, self.mail.first_seen))
        }
    }

    /// Puts the event about a row's state on the bus, if there is one.
    async fn publish(&self, row: &LedgerRow) -> Result<(), DeliveryError> {
        let reason = row.reason.clone().unwrap_or_default();
        let detail = poison::mail_event(&self.message, &self.ids(), reason.clone());
        let event = match row.state {
            MailState::Rejected => Event::MailRejected(detail),
            MailState::InDoubt => Event::MailInDoubt(detail),
            MailState::Expired => Event::MailExpired(detail),
            MailState::Waiting
            | MailState::Claimed
            | MailState::NotAccepted
            | MailState::Sent
            | MailState::Cancelled => return Ok(()),
        };
        self.services.bus.put(&event, self.services.ambient.now()).await?;
        tracing::warn!(
            message_id = self.message.message_id,
            provider_id = %self.mail.provider_id,
            mail_id = %self.mail.mail_id,
            reason,
            "{}",
            event.detail_type()
        );
        Ok(())
    }

    /// Whether the rest of the invocation covers a send: one that is killed in the middle is in doubt.
    fn has_time_to_send(&self) -> bool {
        self.remaining() >= SES_TIMEOUT + RECORD_TIMEOUT
    }

    fn remaining(&self) -> Duration {
        self.batch.remaining(&self.services.ambient)
    }

    fn ids(&self) -> MailIds {
        MailIds {
            tenant_id: Some(self.mail.tenant_id.clone()),
            provider_id: Some(self.mail.provider_id.clone()),
            mail_id: Some(self.mail.mail_id.clone()),
        }
    }
}

fn disposition_of(state: MailState) -> Disposition {
    match state {
        MailState::Rejected => Disposition::Rejected,
        MailState::InDoubt => Disposition::InDoubt,
        MailState::Expired => Disposition::Expired,
        MailState::Sent => Disposition::Sent,
        MailState::Waiting | MailState::Claimed | MailState::NotAccepted | MailState::Cancelled => Disposition::Settled,
    }
}
