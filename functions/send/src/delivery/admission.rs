//! Whether and when a mail may go out: before its claim, and once more right before the request.

use std::ops::ControlFlow::{Break, Continue};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::record::{LedgerRow, Provider};
use shared::tenant::{Credential, SES_TIMEOUT, WritePermit};
use tokio::time::sleep;

use super::{Delivery, DeliveryStep, RECORD_TIMEOUT};
use crate::context::Services;
use crate::delay::Delay;
use crate::delivery_error::DeliveryError;
use crate::disposition::Disposition;
use crate::ledger::{EndReason, is_untried};
use crate::rate::{ParkedSlot, Slot, StartRequest};
use crate::rejection::{Rejection, RejectionReason};
use crate::snapshot::{Eligibility, Snapshot};
use crate::wait_reason::WaitReason;
use shared::mail::OnDoubt;

/// How late a mail may be for its start: no more than a snapshot may be old. SES counts recipients a second, so mails that
/// are late by more than a fraction of that, and then go out together, are a burst.
const MAX_LATENESS: SignedDuration = SignedDuration::from_millis(500);

/// How many starts a mail may miss before it goes without one: the account has been idle for so long.
const MAX_STARTS: usize = 3;

/// A mail that may go out now.
pub(super) struct Checked {
    /// The read that says so.
    snapshot: Arc<Snapshot>,
    /// Its provider.
    pub(super) provider: Arc<Provider>,
    /// The key that signs its request.
    pub(super) signer: SigningKey,
    /// The key that signs it if that one is refused.
    pub(super) fallback: Option<SigningKey>,
}

/// A key with its secret.
pub(super) struct SigningKey {
    /// The provider as it is when it sends with this key.
    pub(super) provider: Arc<Provider>,
    /// The key.
    pub(super) credential: Credential,
}

/// When a mail starts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Start {
    at: Timestamp,
    /// Whether it is the one that tries whether SES accepts mail again.
    pub(super) is_probe: bool,
}

impl Delivery {
    /// Whether the mail may go out at all.
    pub(super) async fn admit(&self) -> DeliveryStep<Arc<Provider>> {
        let snapshot = self.batch.snapshots.fresh().await?;
        let eligibility = match self.eligibility(&snapshot) {
            Eligibility::SecretMissing => self.eligibility(&*self.batch.snapshots.newer_than(&snapshot).await?),
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
            Eligibility::Eligible(provider) => {
                let Services { ambient, denied_resources, .. } = self.services.as_ref();
                if let Some(not_before) = self.mail.not_before.filter(|not_before| *not_before > ambient.now()) {
                    return self.wait_for_its_time(not_before).await.map(Break);
                }
                match denied_resources.hold(&provider.access_key_id, &self.mail.resource_names(), ambient.now()) {
                    Some(wait) => self.requeue(delay_of(wait)).await.map(Break),
                    None => Ok(Continue(provider)),
                }
            }
            Eligibility::Suspended(provider) if self.resume_if_over(&provider, &snapshot).await => {
                self.requeue(Delay::SHORT_OF_TIME).await.map(Break)
            }
            eligibility => self.turn_away(eligibility).await.map(Break),
        }
    }

    /// Whether a read says that the mail may go out now.
    pub(super) fn eligibility(&self, snapshot: &Snapshot) -> Eligibility {
        snapshot.eligibility(&self.mail, self.services.ambient.now())
    }

    /// The delay of a mail of which an identity or the configuration set was denied while it waited for its start.
    pub(super) fn denied_since(&self, provider: &Provider, admitted_at: Timestamp) -> Option<Delay> {
        let Services { ambient, denied_resources, .. } = self.services.as_ref();
        let names = self.mail.resource_names();
        denied_resources.denied_since(&provider.access_key_id, &names, admitted_at, ambient.now()).map(delay_of)
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
            Eligibility::Suspended(provider) => {
                let now = self.services.ambient.now();
                match provider.waits_until(self.mail.first_seen, now) {
                    Some(eta) if provider.has_waited_long(now) => {
                        self.wait_or_change_provider(ParkedSlot { reason: WaitReason::Suspended, eta }).await
                    }
                    Some(until) => self.wait_until(WaitReason::Suspended, until).await,
                    None => self.requeue(Delay::SUSPENDED).await,
                }
            }
            Eligibility::Held(eta, provider) if provider.has_waited_long(self.services.ambient.now()) => {
                self.wait_or_change_provider(ParkedSlot { reason: WaitReason::Held, eta }).await
            }
            Eligibility::Held(until, _) => self.wait_until(WaitReason::Held, until).await,
            Eligibility::Stopped => self.end(&EndReason::Rejected(RejectionReason::ProviderRevoked.into())).await,
        }
    }

    /// Sleeps until the mail has to prepare for its start, or requeues the mail if it has none or the start is too late. A
    /// start that was missed is lost, and the mail gets another one.
    pub(super) async fn await_start(&self, provider: &Provider, mut slot: Option<Slot>) -> DeliveryStep<Start> {
        let Services { ambient, rates, preparation, .. } = self.services.as_ref();
        for _ in 0..MAX_STARTS {
            let slot = match slot.take() {
                Some(slot) => slot,
                // A start that is reserved and not used is lost to the account.
                None if !self.has_time_to_send() => return self.requeue(Delay::SHORT_OF_TIME).await.map(Break),
                None => {
                    let wanted = [StartRequest::of(&self.mail, &self.message)];
                    let slots = rates.reserve(provider, &wanted, preparation.reservation_lead(), ambient).await?;
                    slots.first().copied().ok_or(DeliveryError::Contended)?
                }
            };
            let at = match slot {
                Slot::At(at) => at,
                Slot::Later(delay) => return self.wait_in_line(WaitReason::Rate, delay).await.map(Break),
                Slot::Parked(parked) => return self.wait_or_change_provider(parked).await.map(Break),
                Slot::BreakerOpen(_) if self.is_elected(provider).await? => {
                    return Ok(Continue(Start { at: ambient.now(), is_probe: true }));
                }
                Slot::BreakerOpen(delay) => return self.wait_in_line(WaitReason::Outage, delay).await.map(Break),
            };
            if self.remaining() < self.until(at) + SES_TIMEOUT + RECORD_TIMEOUT {
                return self.requeue(Delay::SHORT_OF_TIME).await.map(Break);
            }
            let wait = self.until(at - preparation.lead());
            if !wait.is_zero() {
                sleep(wait).await;
                let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                self.batch.waited_ms.fetch_max(waited_ms, Ordering::Relaxed);
            }
            // Another mail may have opened the breaker meanwhile; then the next reservation says when to come again.
            if self.is_in_time(at) && !rates.is_breaker_open(provider) {
                return Ok(Continue(Start { at, is_probe: false }));
            }
        }
        if rates.is_breaker_open(provider) {
            return self.requeue(Delay::BREAKER_OPEN).await.map(Break);
        }
        Ok(Continue(Start { at: ambient.now(), is_probe: false }))
    }

    /// Whether the mail is the one that tries whether SES accepts mail again. Only while the breaker is open is its row read
    /// before its claim.
    async fn is_elected(&self, provider: &Provider) -> Result<bool, DeliveryError> {
        let Services { ambient, rates, .. } = self.services.as_ref();
        if !self.has_time_to_send() || !rates.is_probe_due(provider, false, ambient.now()) {
            return Ok(false);
        }
        // With `hold`, or if a first copy is in doubt, a try without an answer is the end.
        let is_last_resort = self.mail.on_doubt == OnDoubt::Hold || {
            let row = self.services.ledger.read(&self.mail.tenant_id, &self.mail.mail_id).await?;
            !is_untried(row.as_ref())
        };
        Ok(rates.is_probe_due(provider, is_last_resort, ambient.now()) && rates.elect_probe(provider, ambient).await?)
    }

    /// Opens the secrets of a fresh read, of both keys if the provider's is being replaced; one is enough. If a secret is
    /// missing, or KMS refuses to open it, it is read once more: the read may have fallen between two writes.
    pub(super) async fn open_secret(&self) -> DeliveryStep<()> {
        let mut snapshot = self.batch.snapshots.fresh().await?;
        let mut refused = None;
        for _ in 0..2 {
            match self.eligibility(&snapshot) {
                Eligibility::Eligible(provider) => {
                    let mut is_open = false;
                    for signer in self.signers(&snapshot, &provider) {
                        let sealed = snapshot.sealed(&signer).ok_or(DeliveryError::SecretMissing)?;
                        match self.services.secrets.open(&signer, sealed).await {
                            Ok(_) => is_open = true,
                            Err(error) => {
                                self.note_unopened(&provider, &signer, &error).await;
                                refused = Some(error);
                            }
                        }
                    }
                    if is_open {
                        return Ok(Continue(()));
                    }
                }
                Eligibility::SecretMissing => {}
                eligibility => return self.turn_away(eligibility).await.map(Break),
            }
            snapshot = self.batch.snapshots.newer_than(&snapshot).await?;
        }
        Err(refused.map_or(DeliveryError::SecretMissing, DeliveryError::Custody))
    }

    /// The keys that may sign the mail by this read.
    fn signers(&self, snapshot: &Snapshot, provider: &Arc<Provider>) -> Vec<Arc<Provider>> {
        let Services { ambient, rotations, .. } = self.services.as_ref();
        let now = ambient.now();
        snapshot.signers(provider, rotations.is_refused(provider, now), now)
    }

    /// The last check before the request, so that a stop that was committed meanwhile counts. If the mail may not go after
    /// all, its claim is released, because nothing was sent.
    pub(super) async fn recheck(&self, row: &LedgerRow, start: Start) -> DeliveryStep<Checked> {
        let snapshot = match self.batch.snapshots.fresh().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.release_claim(row, "no_fresh_read").await?;
                return Err(error.into());
            }
        };
        let eligibility = self.eligibility(&snapshot);
        let reason = match &eligibility {
            Eligibility::Eligible(provider) => {
                let mut signers = self.signers(&snapshot, provider).into_iter().filter_map(|provider| {
                    let sealed = snapshot.sealed(&provider)?;
                    let credential = self.services.secrets.get(&provider, sealed)?;
                    Some(SigningKey { provider, credential })
                });
                let (signer, fallback) = (signers.next(), signers.next());
                let has_time = self.remaining() >= self.until(start.at) + SES_TIMEOUT + RECORD_TIMEOUT;
                match signer {
                    _ if !start.is_probe && self.services.rates.is_breaker_open(provider) => "breaker_open",
                    Some(signer) if has_time && self.is_in_time(start.at) => {
                        let provider = Arc::clone(provider);
                        return Ok(Continue(Checked { snapshot, provider, signer, fallback }));
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

    /// Waits for the mail's start, if it woke up earlier than it had to.
    pub(super) async fn sleep_until(&self, start: Start) {
        let wait = self.until(start.at);
        if !wait.is_zero() {
            sleep(wait).await;
        }
    }

    /// What the request asks right before it is written: it may have waited for a connection, and a stop may have been
    /// committed meanwhile.
    pub(super) fn write_permit(&self, checked: &Checked, signer: &SigningKey, start: Start) -> WritePermit {
        let (services, batch) = (Arc::clone(&self.services), Arc::clone(&self.batch));
        let (mail, snapshot) = (Arc::clone(&self.mail), Arc::clone(&checked.snapshot));
        let signed_by = signer.provider.access_key_id.clone();
        WritePermit::new(async move {
            let snapshot = match snapshot.is_fresh() {
                true => snapshot,
                false => match batch.snapshots.fresh().await {
                    Ok(snapshot) => snapshot,
                    Err(_) => return false,
                },
            };
            match snapshot.eligibility(&mail, services.ambient.now()) {
                Eligibility::Eligible(provider) => {
                    snapshot.may_sign(&provider, &signed_by)
                        && (start.is_probe || !services.rates.is_breaker_open(&provider))
                }
                _ => false,
            }
        })
    }

    pub(super) fn until(&self, time: Timestamp) -> Duration {
        Duration::try_from(time.duration_since(self.services.ambient.now())).unwrap_or_default()
    }

    /// Whether the mail's start is not missed.
    fn is_in_time(&self, start: Timestamp) -> bool {
        self.services.ambient.now().duration_since(start) <= MAX_LATENESS
    }
}

/// The delay in whole seconds, rounded up.
fn delay_of(wait: SignedDuration) -> Delay {
    Delay::from_seconds(u16::try_from(wait.as_secs() + 1).unwrap_or(u16::MAX))
}
