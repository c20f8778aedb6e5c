//! Suspending a provider, and looking again: before it, whether it has to be, and while it lasts, whether it is over.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::record::{Provider, SuspensionReason};
use shared::telemetry::{Event, ProviderEvent, chain};
use shared::tenant::{AccountStatus, Credential, Failure, FailureKind};
use tokio::time::timeout;

use super::{Delivery, RECORD_TIMEOUT};
use crate::delivery_error::DeliveryError;
use crate::denied_resource::{DenialDecision, decide_denial};
use crate::snapshot::{Eligibility, Snapshot};
use crate::suspicion::{MAX_GAP, Suspicion, SuspicionLevel};

/// The longest that a look may take.
const LOOK_TIMEOUT: Duration = Duration::from_secs(4);

/// A suspended provider is left alone for so long, because what was just seen will not be over at once.
const FIRST_LOOK_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// What a look at a suspended provider found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookResult {
    /// What suspended it is over.
    Over,
    /// It lasts.
    Lasting,
    /// AWS gave no answer that says so.
    Unknown,
}

impl Delivery {
    /// Takes a second look at what SES holds against the account or the key. Returns the reason to suspend the provider for,
    /// if it is confirmed.
    pub(super) async fn look_again(
        &self,
        provider: &Provider,
        credential: &Credential,
        suspicion: Suspicion,
        reason: SuspensionReason,
    ) -> Result<Option<SuspensionReason>, DeliveryError> {
        let tenants = &self.services.tenants;
        let suspicion = match suspicion {
            Suspicion::KeyRefused => match self.within(tenants.get_caller_identity(credential)).await {
                // For example in a Region that the account has disabled.
                Ok(_) => {
                    tracing::warn!(provider_id = %provider.provider_id, "SES refuses a key that STS accepts");
                    Suspicion::KeyRefusedBySes
                }
                Err(failure) if is_key_refused(&failure) => Suspicion::KeyRefused,
                Err(_) => return Ok(None),
            },
            Suspicion::SendingPaused => match self.within(tenants.get_account(credential)).await {
                Ok(account) if !may_send(&account) => return Ok(Some(reason)),
                _ => Suspicion::SendingPaused,
            },
            suspicion => suspicion,
        };
        let now = self.services.ambient.now();
        self.services.rates.suspect(provider, now + MAX_GAP).await?;
        let level = self.services.suspicions.record(&provider.access_key_id, suspicion, now).await?;
        Ok((level == SuspicionLevel::Confirmed).then_some(reason))
    }

    /// Decides about a mail whose identity or configuration set is denied.
    pub(super) async fn decide_denial(&self, provider: &Provider, name: &str) -> Result<DenialDecision, DeliveryError> {
        let now = self.services.ambient.now();
        self.services.rates.suspect(provider, now + MAX_GAP).await?;
        let first_denied_at = self.services.denied_resources.record(&provider.access_key_id, name, now).await?;
        let decide = |accepted_at| decide_denial(first_denied_at, accepted_at, self.mail.first_seen, now);
        if decide(None) == DenialDecision::Wait {
            return Ok(DenialDecision::Wait);
        }
        Ok(decide(self.services.suspicions.accepted_at(&provider.access_key_id).await?))
    }

    /// Suspends the provider, after its event. One mail of a batch does it for all, and none if it is suspended already.
    pub(super) async fn suspend(&self, provider: &Provider, reason: SuspensionReason) -> Result<(), DeliveryError> {
        let mut suspended = self.batch.suspended.lock().await;
        if suspended.contains(&provider.provider_id) {
            return Ok(());
        }
        let snapshot = self.batch.snapshots.fresh().await?;
        let snapshot = self.batch.snapshots.newer_than(&snapshot).await?;
        if matches!(snapshot.eligibility(&self.mail), Eligibility::Eligible(_) | Eligibility::SecretMissing) {
            let event = Event::ProviderSuspended(provider_event(provider, reason));
            self.services.bus.put(&event, self.services.ambient.now()).await?;
            let providers = &self.services.tables.providers;
            providers.suspend(&provider.provider_id, &provider.access_key_id, reason, &self.services.ambient).await?;
            tracing::warn!(provider_id = %provider.provider_id, reason = reason.as_str(), "provider suspended");
        }
        suspended.insert(provider.provider_id.clone());
        Ok(())
    }

    /// Looks whether a suspension is over, if it is time to, and ends it if so. Returns whether the provider is active again.
    /// One mail of all that wait does it; what fails is tried by another one later.
    pub(super) async fn resume_if_over(&self, provider: &Provider, snapshot: &Snapshot) -> bool {
        match timeout(self.remaining().saturating_sub(RECORD_TIMEOUT), self.resume(provider, snapshot)).await {
            Ok(Ok(is_active)) => is_active,
            Ok(Err(error)) => {
                tracing::warn!(
                    provider_id = %provider.provider_id,
                    error = chain(&error),
                    "looking whether a suspension is over failed"
                );
                false
            }
            Err(_) => false,
        }
    }

    async fn resume(&self, provider: &Provider, snapshot: &Snapshot) -> Result<bool, DeliveryError> {
        let now = self.services.ambient.now();
        let Some(reason) = provider.status.reason.as_deref().and_then(SuspensionReason::parse) else {
            return Ok(false);
        };
        if !is_look_possible(provider, now) || !self.has_time_to_send() {
            return Ok(false);
        }
        let Some(sealed) = snapshot.sealed(provider) else { return Ok(false) };
        let mut looked_at = self.batch.looked_at.lock().await;
        if !looked_at.insert(provider.provider_id.clone())
            || !self.services.suspicions.elect_look(&provider.access_key_id, now).await?
        {
            return Ok(false);
        }
        let credential = self.services.secrets.open(provider, sealed).await.map_err(DeliveryError::Custody)?;
        let result = self.look(&credential, reason).await;
        tracing::info!(
            provider_id = %provider.provider_id,
            reason = reason.as_str(),
            result = ?result,
            "looked whether a suspension is over"
        );
        if result != LookResult::Over {
            return Ok(false);
        }
        let event = Event::ProviderResumed(provider_event(provider, reason));
        self.services.bus.put(&event, self.services.ambient.now()).await?;
        let providers = &self.services.tables.providers;
        let resumed =
            providers.resume(&provider.provider_id, &provider.access_key_id, reason, &self.services.ambient).await?;
        if resumed {
            tracing::info!(provider_id = %provider.provider_id, reason = reason.as_str(), "provider resumed");
        }
        Ok(resumed)
    }

    /// Asks AWS for what suspended the provider. None of it sends a mail.
    async fn look(&self, credential: &Credential, reason: SuspensionReason) -> LookResult {
        let tenants = &self.services.tenants;
        match reason {
            SuspensionReason::SendingPaused | SuspensionReason::AccountSuspended => {
                match self.within(tenants.get_account(credential)).await {
                    Ok(account) if may_send(&account) => LookResult::Over,
                    Ok(_) => LookResult::Lasting,
                    Err(_) => LookResult::Unknown,
                }
            }
            SuspensionReason::KeyRejected => {
                let by_sts = self.within(tenants.get_caller_identity(credential)).await.map(drop);
                let by_ses = self.within(tenants.get_account(credential)).await.map(drop);
                match (by_sts, by_ses) {
                    (Ok(()), Ok(())) => LookResult::Over,
                    // The key is known, and may not read the account.
                    (Ok(()), Err(Failure { kind: FailureKind::Denied(_), .. })) => LookResult::Over,
                    (Err(failure), _) | (_, Err(failure)) if is_key_refused(&failure) => LookResult::Lasting,
                    _ => LookResult::Unknown,
                }
            }
            // The probe is authorized as this mail is, and SES rejects it after that. Accepted, it went to SES's simulator.
            SuspensionReason::PermissionMissing | SuspensionReason::Quarantined => {
                match self.within(tenants.probe_send_email(credential, self.mail.from.address())).await {
                    Ok(())
                    | Err(Failure {
                        kind:
                            FailureKind::NotVerified(_)
                            | FailureKind::MessageRejected
                            | FailureKind::BadRequest
                            | FailureKind::RejectedInput(_),
                        ..
                    }) => LookResult::Over,
                    Err(Failure { kind: FailureKind::Denied(_), .. }) => LookResult::Lasting,
                    _ => LookResult::Unknown,
                }
            }
        }
    }

    /// A call into the tenant's account, or [`FailureKind::Unknown`] if it takes too long.
    async fn within<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let time_limit = self.remaining().saturating_sub(RECORD_TIMEOUT).min(LOOK_TIMEOUT);
        timeout(time_limit, Box::pin(call))
            .await
            .unwrap_or_else(|_| Err(Failure { kind: FailureKind::Unknown, code: None, status: None, request_id: None }))
    }
}

/// Whether SES says that the account may send (SES v2 API, `GetAccount`).
fn may_send(account: &AccountStatus) -> bool {
    account.sending_enabled && account.enforcement != "SHUTDOWN"
}

fn is_key_refused(failure: &Failure) -> bool {
    matches!(failure.kind, FailureKind::KeyRefused | FailureKind::SignatureRefused)
}

/// Whether it is time for the first look at a suspended provider.
fn is_look_possible(provider: &Provider, now: Timestamp) -> bool {
    now.duration_since(provider.updated_at) >= FIRST_LOOK_AFTER
}

fn provider_event(provider: &Provider, reason: SuspensionReason) -> ProviderEvent {
    ProviderEvent {
        tenant_id: provider.tenant_id.clone(),
        provider_id: provider.provider_id.clone(),
        account_id: provider.account_id.clone(),
        reason: Some(reason.as_str().to_owned()),
    }
}
