//! What happens after the request to SES: the mail is recorded, tried again or ended, or its provider is suspended.

use std::time::Duration;

use jiff::SignedDuration;
use shared::queue::Interrupted;
use shared::record::{LedgerRow, MailState, Provider, RecordError, SuspensionReason};
use shared::telemetry::chain;
use shared::tenant::{Credential, Failure};
use tokio::time::{sleep, timeout};

use super::admission::SigningKey;
use super::rotation::is_of_key;
use super::suspension::DenialReach;
use super::{Delivery, disposition_of};
use crate::context::Services;
use crate::delay::Delay;
use crate::delivery_error::DeliveryError;
use crate::denied_resource::DenialDecision;
use crate::disposition::Disposition;
use crate::failure_action::{FailureAction, ResourceDenial, action_for};
use crate::ledger::{self, EndReason, RowWrite};
use crate::rejection::RejectionCode;
use crate::settle::Settlement;
use crate::suspicion::Suspicion;

/// Recording an accepted mail stops this long before the handler is interrupted: its message has to be acknowledged.
const ACKNOWLEDGEMENT_RESERVE: Duration = Duration::from_millis(200);

/// What is left of it for the message that brings the record later, if the ledger does not take it.
const SETTLE_RESERVE: Duration = Duration::from_millis(400);

/// How often the record of an accepted mail is tried, each time with the SDK's own attempts.
const MAX_RECORD_ATTEMPTS: u32 = 3;

impl Delivery {
    /// Records that SES accepted the mail. The message is acknowledged in any case: sent again, it would be a second copy. If
    /// the record cannot be written, a message brings it to a later invocation; if SQS does not take that either, the log
    /// has the ids.
    pub(super) async fn record_acceptance(
        &self,
        row: &LedgerRow,
        provider: &Provider,
        ses_message_id: String,
    ) -> Disposition {
        let now = self.services.ambient.now();
        let id = Some(ses_message_id.clone()).filter(|id| !id.is_empty());
        let sent = ledger::sent_row(row, id.clone(), now);
        let time_limit = self.remaining_before_acknowledgement().saturating_sub(SETTLE_RESERVE);
        if !timeout(time_limit, self.is_recorded(&sent, row)).await.unwrap_or(false) {
            let settle = Settlement::new(row, id, now).send(&self.services, &self.message.message_id);
            let left = timeout(self.remaining_before_acknowledgement(), settle).await;
            match left.unwrap_or(Err(Interrupted::OutOfTime.into())) {
                Ok(()) => tracing::warn!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    ses_message_id,
                    "SES accepted the mail but the ledger write failed; a message brings it later"
                ),
                Err(error) => tracing::error!(
                    message_id = self.message.message_id,
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    ses_message_id,
                    error = chain(&error),
                    "SES accepted the mail but the ledger write failed"
                ),
            }
        }
        self.clear_suspicion(provider).await;
        Disposition::Sent
    }

    /// Writes the row of an accepted mail. If another delivery wrote the row meanwhile, its word counts only if it is the
    /// same.
    async fn is_recorded(&self, sent: &LedgerRow, was: &LedgerRow) -> bool {
        for attempt in 1..=MAX_RECORD_ATTEMPTS {
            match self.services.ledger.write(sent, Some(was)).await {
                Ok(RowWrite::Done) => return true,
                Ok(RowWrite::Lost(found)) => return found.is_some_and(|found| found.state == MailState::Sent),
                Err(error) if attempt == MAX_RECORD_ATTEMPTS => {
                    tracing::warn!(error = chain(&error), "last attempt to record an accepted mail failed");
                }
                Err(_) => sleep(Duration::from_millis(100)).await,
            }
        }
        false
    }

    /// Forgets what is held against the key and the mail's resources, because SES accepted it. The account's pace, which every
    /// mail reads for its start, tells whether there is anything.
    async fn clear_suspicion(&self, provider: &Provider) {
        if !self.services.rates.is_suspected(provider, self.services.ambient.now()) {
            return;
        }
        let Services { ambient, suspicions, denied_resources, .. } = self.services.as_ref();
        let clear = async {
            let now = ambient.now();
            suspicions.clear(&provider.access_key_id, now).await?;
            denied_resources.clear(&provider.access_key_id, &self.mail.resource_names(), now).await?;
            Ok::<_, RecordError>(())
        };
        if let Ok(Err(error)) = timeout(self.remaining_before_acknowledgement(), clear).await {
            tracing::warn!(
                provider_id = %provider.provider_id,
                error = chain(&error),
                "clearing the suspicion of an accepted key failed"
            );
        }
    }

    pub(super) fn remaining_before_acknowledgement(&self) -> Duration {
        self.remaining().saturating_sub(ACKNOWLEDGEMENT_RESERVE)
    }

    /// Acts on a request to SES that did not succeed.
    pub(super) async fn handle_failure(
        &self,
        row: &LedgerRow,
        provider: &Provider,
        SigningKey { provider: signed_by, credential }: &SigningKey,
        failure: &Failure,
    ) -> Result<Disposition, DeliveryError> {
        tracing::debug!(
            provider_id = %provider.provider_id,
            mail_id = %self.mail.mail_id,
            %failure,
            "SES did not accept a mail"
        );
        // Nothing is held against a provider because of a key that it does not send with.
        if signed_by.access_key_id != provider.access_key_id && is_of_key(&failure.kind) {
            self.release_claim(row, failure.kind.as_str()).await?;
            let requeued = self.requeue(Delay::SUSPECTED).await;
            self.note_refusal(provider, signed_by, failure).await;
            return requeued;
        }
        match action_for(&failure.kind, &self.mail) {
            FailureAction::Doubt => self.record_doubt(row).await,
            FailureAction::Reject(code) => self.reject(row, code).await,
            FailureAction::Retry(reason, delay) => {
                self.release_claim(row, reason).await?;
                self.requeue(delay).await
            }
            FailureAction::SlowDown => {
                self.release_claim(row, failure.kind.as_str()).await?;
                if let Err(error) = self.services.rates.slow_down(provider, &self.services.ambient).await {
                    tracing::warn!(
                        provider_id = %provider.provider_id,
                        error = chain(&error),
                        "slowing the send rate down after a 429 failed"
                    );
                }
                self.requeue(Delay::THROTTLED).await
            }
            FailureAction::QuotaUsedUp => self.wait_for_quota(row, provider, credential).await,
            FailureAction::Report(what, delay) => {
                tracing::error!(provider_id = %provider.provider_id, %failure, "{what}");
                self.release_claim(row, failure.kind.as_str()).await?;
                self.requeue(delay).await
            }
            FailureAction::LookAgain(suspicion, reason) => {
                self.release_claim(row, failure.kind.as_str()).await?;
                self.settle_suspicion(provider, credential, suspicion, reason).await
            }
            FailureAction::Denied(denial) => {
                self.release_claim(row, failure.kind.as_str()).await?;
                self.settle_denial(provider, denial).await
            }
            FailureAction::LookAtText(denial, reason) => {
                self.release_claim(row, failure.kind.as_str()).await?;
                match self.look_at_text(credential).await {
                    DenialReach::Key => {
                        self.settle_suspicion(provider, credential, Suspicion::DeniedExplicitly, reason).await
                    }
                    DenialReach::Content => self.settle_denial(provider, denial).await,
                    DenialReach::Unknown => {
                        self.hold_denied(provider);
                        self.requeue(Delay::DENIED).await
                    }
                }
            }
        }
    }

    /// Suspends the provider if what SES holds against it is confirmed. The mail waits.
    async fn settle_suspicion(
        &self,
        provider: &Provider,
        credential: &Credential,
        suspicion: Suspicion,
        reason: SuspensionReason,
    ) -> Result<Disposition, DeliveryError> {
        match self.look_again(provider, credential, suspicion, reason).await? {
            Some(reason) => {
                self.suspend(provider, reason).await?;
                self.requeue(Delay::SUSPENDED).await
            }
            None if suspicion == Suspicion::DeniedExplicitly => {
                self.hold_denied(provider);
                self.requeue(Delay::DENIED).await
            }
            None => self.requeue(Delay::SUSPECTED).await,
        }
    }

    /// Lets the mail wait for a permission, and ends it or suspends the provider once it has waited for long enough.
    async fn settle_denial(
        &self,
        provider: &Provider,
        ResourceDenial { name, code }: ResourceDenial,
    ) -> Result<Disposition, DeliveryError> {
        match self.decide_denial(provider, &name).await? {
            DenialDecision::Wait => self.requeue(Delay::RESOURCE_DENIED).await,
            DenialDecision::Reject => self.end(&EndReason::Rejected(code)).await,
            DenialDecision::Suspend => {
                self.suspend(provider, SuspensionReason::PermissionMissing).await?;
                self.requeue(Delay::SUSPENDED).await
            }
        }
    }

    /// Holds other such mail of this sender until it is known what the explicit denial is about: one mail is enough for that.
    fn hold_denied(&self, provider: &Provider) {
        let Services { ambient, denied_resources, .. } = self.services.as_ref();
        let wait = SignedDuration::from_millis(Delay::DENIED.as_millis());
        denied_resources.note(&provider.access_key_id, &self.mail.sender_resource(), wait, ambient.now());
    }

    /// If the worker is killed before the copy is in the queue, SQS delivers the message itself again, which finds a claim
    /// that has ended.
    async fn record_doubt(&self, row: &LedgerRow) -> Result<Disposition, DeliveryError> {
        let doubtful = ledger::doubtful_row(row, self.mail.on_doubt, self.services.ambient.now());
        if doubtful.state == MailState::InDoubt {
            return self.publish_and_record(&doubtful, row).await;
        }
        self.services.ledger.write(&doubtful, Some(row)).await?;
        self.requeue(self.services.doubt_delay).await
    }

    async fn reject(&self, row: &LedgerRow, code: RejectionCode) -> Result<Disposition, DeliveryError> {
        let rejected = ledger::rejected_row(row, code, self.services.ambient.now());
        match self.publish_and_record(&rejected, row).await {
            Err(error) => {
                // SES did not accept the mail. If the claim were not released, it would end as a doubt.
                self.release_claim(row, "refused").await?;
                Err(error)
            }
            recorded => recorded,
        }
    }

    /// Publishes a mail's final state, then records it.
    async fn publish_and_record(&self, row: &LedgerRow, was: &LedgerRow) -> Result<Disposition, DeliveryError> {
        self.publish(row).await?;
        match self.services.ledger.write(row, Some(was)).await? {
            RowWrite::Done => Ok(disposition_of(row.state)),
            RowWrite::Lost(_) => Err(DeliveryError::Contended),
        }
    }
}
