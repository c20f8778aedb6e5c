//! Whether and when a mail may go out: before its claim, and once more right before the request.

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::record::{LedgerRow, Provider};
use shared::tenant::{Credential, SES_TIMEOUT};
use tokio::time::sleep;

use super::{Delivery, DeliveryStep, RECORD_TIMEOUT};
use crate::delay::Delay;
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::ledger::EndReason;
use crate::rate::Slot;
use crate::rejection::{Rejection, RejectionReason};
use crate::snapshot::Eligibility;

/// How late a mail may be for its start: no more than a snapshot may be old. SES counts recipients a second, so mails that
/// are late by more than a fraction of that, and then go out together, are a burst.
const MAX_LATENESS: SignedDuration = SignedDuration::from_millis(500);

/// How many starts a mail may miss before it goes without one: the account has been idle for so long.
const MAX_STARTS: usize = 3;

impl Delivery {
    /// Whether the mail may go out at all.
    pub(super) async fn admit(&self) -> DeliveryStep<Arc<Provider>> {
        let snapshot = self.batch.snapshots.fresh().await?;
        let eligibility = match snapshot.eligibility(&self.mail) {
            Eligibility::SecretMissing => self.batch.snapshots.newer_than(&snapshot).await?.eligibility(&self.mail),
            eligibility => eligibility,
        };
        let is_own = !matches!(
            eligibility,
            Eligibility::ProviderUnknown | Eligibility::TenantMismatch | Eligibility::ProviderUnreadable
        );
        if is_own && self.mail.expiry() <= self.services.ambient.now() {
            return self.end(&EndReason::Expired).await.map(Break);
        }
        match eligibility {
            Eligibility::Eligible(provider) => Ok(Continue(provider)),
            eligibility => self.turn_away(eligibility).await.map(Break),
        }
    }

    /// Ends the delivery of a mail that may not go out now.
    async fn turn_away(&self, eligibility: Eligibility) -> Result<Disposition, DeliveryError> {
        match eligibility {
            // Nothing prevents it any more: it is received again at once.
            Eligibility::Eligible(_) => self.requeue(Delay::SHORT_OF_TIME).await,
            Eligibility::SecretMissing => Err(DeliveryError::SecretMissing),
            Eligibility::ProviderUnreadable => Err(DeliveryError::ProviderUnreadable),
            Eligibility::ProviderUnknown => self.dead_letter(&Rejection::provider_unknown()).await,
            Eligibility::TenantMismatch => self.dead_letter(&Rejection::tenant_mismatch()).await,
            Eligibility::Halted => self.requeue(Delay::HALTED).await,
            Eligibility::Suspended => self.requeue(Delay::SUSPENDED).await,
            Eligibility::Stopped => self.end(&EndReason::Rejected(RejectionReason::ProviderRevoked.into())).await,
        }
    }

    /// Sleeps until the mail's start, or requeues the mail if it has none or the start is too late. A start that was missed
    /// is lost, and the mail gets another one.
    pub(super) async fn await_start(&self, provider: &Provider, mut slot: Option<Slot>) -> DeliveryStep<Timestamp> {
        for _ in 0..MAX_STARTS {
            let slot = match slot.take() {
                Some(slot) => slot,
                // A start that is reserved and not used is lost to the account.
                None if !self.has_time_to_send() => return self.requeue(Delay::SHORT_OF_TIME).await.map(Break),
                None => {
                    let recipients = [self.mail.recipients()];
                    let slots = self.services.rates.reserve(provider, &recipients, &self.services.ambient).await?;
                    slots.first().copied().ok_or(DeliveryError::Contended)?
                }
            };
            let start = match slot {
                Slot::At(start) => start,
                Slot::Later(delay) => return self.requeue(delay).await.map(Break),
            };
            let wait = Duration::try_from(start.duration_since(self.services.ambient.now())).unwrap_or_default();
            if self.remaining() < wait + SES_TIMEOUT + RECORD_TIMEOUT {
                return self.requeue(Delay::SHORT_OF_TIME).await.map(Break);
            }
            if !wait.is_zero() {
                sleep(wait).await;
                let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                self.batch.waited_ms.fetch_max(waited_ms, Ordering::Relaxed);
            }
            if self.is_in_time(start) {
                return Ok(Continue(start));
            }
        }
        Ok(Continue(self.services.ambient.now()))
    }

    /// Opens the secret of a fresh read. If the secret is missing, or KMS refuses to open it, it is read once more: the read
    /// may have fallen between two writes.
    pub(super) async fn open_secret(&self) -> DeliveryStep<()> {
        let mut snapshot = self.batch.snapshots.fresh().await?;
        let mut refused = None;
        for _ in 0..2 {
            match snapshot.eligibility(&self.mail) {
                Eligibility::Eligible(provider) => {
                    let sealed = snapshot.sealed(&provider).ok_or(DeliveryError::SecretMissing)?;
                    match self.services.secrets.open(&provider, sealed).await {
                        Ok(_) => return Ok(Continue(())),
                        Err(error) => refused = Some(error),
                    }
                }
                Eligibility::SecretMissing => {}
                eligibility => return self.turn_away(eligibility).await.map(Break),
            }
            snapshot = self.batch.snapshots.newer_than(&snapshot).await?;
        }
        Err(refused.map_or(DeliveryError::SecretMissing, DeliveryError::Custody))
    }

    /// The last check before the request, so that a stop that was committed meanwhile counts. What it reads is fresh when it
    /// returns, and nothing is waited for between that and the request. If the mail may not go after all, its claim is
    /// released, because nothing was sent.
    pub(super) async fn recheck(&self, row: &LedgerRow, start: Timestamp) -> DeliveryStep<(Arc<Provider>, Credential)> {
        let snapshot = match self.batch.snapshots.fresh().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.release_claim(row, "no_fresh_read").await?;
                return Err(error.into());
            }
        };
        let eligibility = snapshot.eligibility(&self.mail);
        let reason = match &eligibility {
            Eligibility::Eligible(provider) => {
                let credential =
                    snapshot.sealed(provider).and_then(|sealed| self.services.secrets.get(provider, sealed));
                match credential {
                    Some(credential) if self.has_time_to_send() && self.is_in_time(start) => {
                        return Ok(Continue((Arc::clone(provider), credential)));
                    }
                    // It is too late, or the secret is not the one that was opened above: it is received again at once.
                    _ => "late",
                }
            }
            _ => "stopped",
        };
        self.release_claim(row, reason).await?;
        self.turn_away(eligibility).await.map(Break)
    }

    /// Whether the mail's start is not missed.
    fn is_in_time(&self, start: Timestamp) -> bool {
        self.services.ambient.now().duration_since(start) <= MAX_LATENESS
    }
}
