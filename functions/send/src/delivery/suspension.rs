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
use crate::suspicion::{KeyHistory, MAX_GAP, Suspicion, SuspicionLevel};

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

/// How far a Deny statement reaches that met a message or a template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DenialReach {
    /// It meets text too.
    Key,
    /// It meets what needs the same action as the mail.
    Content,
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

    /// Looks whether a Deny statement that met this message or template meets text of its sender too.
    pub(super) async fn look_at_text(&self, credential: &Credential) -> DenialReach {
        reach_by_probe(&self.probe(credential).await)
    }

    /// Decides about a mail whose identity or configuration set is denied.
    pub(super) async fn decide_denial(&self, provider: &Provider, name: &str) -> Result<DenialDecision, DeliveryError> {
        let now = self.services.ambient.now();
        self.services.rates.suspect(provider, now + MAX_GAP).await?;
        let first_denied_at = self.services.denied_resources.record(&provider.access_key_id, name, now).await?;
        let is_text = self.mail.content.as_text().is_some();
        let decide = |history| decide_denial(first_denied_at, history, self.mail.first_seen, is_text, now);
        // Whatever happened to the key, it can only make the mail wait for longer.
        if decide(KeyHistory::default()) == DenialDecision::Wait {
            return Ok(DenialDecision::Wait);
        }
        Ok(decide(self.services.suspicions.history(&provider.access_key_id).await?))
    }

    /// Suspends the provider, after its event. One mail of a batch does it for all, and none if it is suspended already.
    pub(super) async fn suspend(&self, provider: &Provider, reason: SuspensionReason) -> Result<(), DeliveryError> {
        let mut suspended = self.batch.suspended.lock().await;
        if suspended.contains(&provider.provider_id) {
            return Ok(());
        }
        let snapshot = self.batch.snapshots.fresh().await?;
        let snapshot = self.batch.snapshots.newer_than(&snapshot).await?;
        if matches!(
            self.eligibility(&snapshot),
            Eligibility::Eligible(_) | Eligibility::SecretMissing | Eligibility::Held(..)
        ) {
            let event = Event::ProviderSuspended(ProviderEvent::suspended(provider, reason));
            self.services.bus.put(&event, self.services.ambient.now()).await?;
            let providers = &self.services.tables.providers;
            providers.suspend(provider, reason, &self.services.ambient).await?;
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
        let Some(reason) = provider.status.suspension().filter(|reason| reason.is_seen_by_sending()) else {
            return Ok(false);
        };
        if !is_look_possible(provider, now) || !self.has_time_to_send() {
            return Ok(false);
        }
        let Some(sealed) = snapshot.sealed(provider) else { return Ok(false) };
        // Not held during the look: mail of other providers does not wait for it.
        if !self.batch.looked_at.lock().await.insert(provider.provider_id.clone())
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
        self.services.suspicions.restart(&provider.access_key_id, self.services.ambient.now()).await?;
        // The look took time. An order that came meanwhile must not be followed by an event that says otherwise.
        let current = self.batch.snapshots.newer_than(snapshot).await?;
        match self.eligibility(&current) {
            Eligibility::Suspended(current)
                if current.status == provider.status && current.access_key_id == provider.access_key_id => {}
            _ => return Ok(false),
        }
        let event = Event::ProviderResumed(ProviderEvent::new(provider, Some(reason.as_str().to_owned())));
        self.services.bus.put(&event, self.services.ambient.now()).await?;
        let providers = &self.services.tables.providers;
        let resumed = providers.resume(provider, reason, &self.services.ambient).await?;
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
                    // A key that may send need not be allowed to read the account.
                    Err(Failure { kind: FailureKind::Denied(_), .. }) => pause_by_probe(&self.probe(credential).await),
                    account => pause_by_account(&account),
                }
            }
            SuspensionReason::KeyRejected | SuspensionReason::KeyGone => {
                let by_sts = self.within(tenants.get_caller_identity(credential)).await.map(drop);
                let by_ses = self.within(tenants.get_account(credential)).await.map(drop);
                refusal_by_calls(&by_sts, &by_ses)
            }
            SuspensionReason::PermissionMissing | SuspensionReason::Quarantined => {
                denial_by_probe(&self.probe(credential).await)
            }
            SuspensionReason::NotRevocable
            | SuspensionReason::ExcessPermissions
            | SuspensionReason::AssuranceLost
            | SuspensionReason::SesUnavailable => LookResult::Unknown,
        }
    }

    /// A request that is authorized as this mail would be if it were text, and that SES rejects after that. Accepted, it went
    /// to SES's simulator.
    async fn probe(&self, credential: &Credential) -> Result<(), Failure> {
        let (from, set) = (self.mail.from.address(), self.mail.configuration_set.as_deref());
        self.within(self.services.tenants.probe_send_email_with(credential, from, set)).await
    }

    /// A call into the tenant's account, or [`FailureKind::Unknown`] if it takes too long.
    async fn within<T>(&self, call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
        let time_limit = self.remaining().saturating_sub(RECORD_TIMEOUT).min(LOOK_TIMEOUT);
        timeout(time_limit, Box::pin(call))
            .await
            .unwrap_or_else(|_| Err(Failure { kind: FailureKind::Unknown, code: None, status: None, request_id: None }))
    }
}

/// What GetAccount says about a pause.
fn pause_by_account(account: &Result<AccountStatus, Failure>) -> LookResult {
    match account {
        Ok(account) if may_send(account) => LookResult::Over,
        Ok(_) => LookResult::Lasting,
        Err(_) => LookResult::Unknown,
    }
}

/// What the probe says about a pause. That SES checks the pause before the sender is not documented; if it does not, mail
/// is tried, and the pause is found again.
fn pause_by_probe(probe: &Result<(), Failure>) -> LookResult {
    match probe.as_ref().map_err(|failure| &failure.kind) {
        Err(FailureKind::SendingPaused | FailureKind::AccountSuspended) => LookResult::Lasting,
        probe if is_authorized(probe) => LookResult::Over,
        _ => LookResult::Unknown,
    }
}

/// What STS and SES say about a key.
fn refusal_by_calls(by_sts: &Result<(), Failure>, by_ses: &Result<(), Failure>) -> LookResult {
    match (by_sts, by_ses) {
        (Ok(()), Ok(())) => LookResult::Over,
        // The key is known, and may not read the account.
        (Ok(()), Err(Failure { kind: FailureKind::Denied(_), .. })) => LookResult::Over,
        (Err(failure), _) | (_, Err(failure)) if is_key_refused(failure) => LookResult::Lasting,
        _ => LookResult::Unknown,
    }
}

/// What the probe says about a denial.
fn denial_by_probe(probe: &Result<(), Failure>) -> LookResult {
    match probe.as_ref().map_err(|failure| &failure.kind) {
        Err(FailureKind::Denied(_)) => LookResult::Lasting,
        probe if is_authorized(probe) => LookResult::Over,
        _ => LookResult::Unknown,
    }
}

/// What the probe says about a Deny statement that met a message or a template. That nothing allows text is no Deny of it.
fn reach_by_probe(probe: &Result<(), Failure>) -> DenialReach {
    match probe.as_ref().map_err(|failure| &failure.kind) {
        Err(FailureKind::Denied(denial)) if denial.is_of_key() => DenialReach::Key,
        Err(FailureKind::Denied(_)) => DenialReach::Content,
        probe if is_authorized(probe) => DenialReach::Content,
        _ => DenialReach::Unknown,
    }
}

/// Whether the answer to the probe is one that only an authorized caller gets: SES accepts it, or finds fault with the
/// mail, what it names or the account. If AWS looked at the mail first, mail would be tried, and denied again.
fn is_authorized(probe: Result<&(), &FailureKind>) -> bool {
    match probe {
        Ok(()) => true,
        Err(kind) => matches!(
            kind,
            FailureKind::NotVerified(_)
                | FailureKind::MessageRejected
                | FailureKind::MailFromNotVerified
                | FailureKind::NotFound
                | FailureKind::BadRequest
                | FailureKind::RejectedInput(_)
                | FailureKind::SendingPaused
                | FailureKind::ConfigurationSetPaused
                | FailureKind::AccountSuspended
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(code: &str, text: &str, status: u16) -> Result<(), Failure> {
        let kind = FailureKind::from_answer(code, text, status);
        Err(Failure { kind, code: None, status: Some(status), request_id: None })
    }

    fn account(sending_enabled: bool, enforcement: &str) -> Result<AccountStatus, Failure> {
        Ok(AccountStatus {
            sending_enabled,
            enforcement: enforcement.to_owned(),
            production_access: true,
            max_send_rate: 14.0,
            max_24_hour_send: 50_000.0,
            sent_last_24_hours: 0.0,
        })
    }

    const NOT_VERIFIED: &str = "Email address is not verified. The following identities failed the check in region EU-CENTRAL-1: invalid@invalid";
    const DENIED: &str = "User: arn:aws:iam::1:user/u is not authorized to perform: ses:SendEmail on resource: arn:aws:ses:eu-central-1:1:identity/example.com";

    #[test]
    fn a_denial_is_over_if_the_probe_is_answered_as_only_an_authorized_caller_is() {
        for (probe, expected) in [
            (Ok(()), LookResult::Over),
            (refused("MessageRejected", NOT_VERIFIED, 400), LookResult::Over),
            (refused("BadRequestException", "Missing final '@domain'", 400), LookResult::Over),
            (refused("NotFoundException", "Configuration set <x> does not exist.", 404), LookResult::Over),
            (refused("SendingPausedException", "", 400), LookResult::Over),
            (refused("AccessDeniedException", DENIED, 403), LookResult::Lasting),
            (refused("InvalidClientTokenId", "", 403), LookResult::Unknown),
            (refused("TooManyRequestsException", "Maximum sending rate exceeded.", 429), LookResult::Unknown),
            (refused("LimitExceededException", "Daily message quota exceeded.", 400), LookResult::Unknown),
            (refused("", "", 503), LookResult::Unknown),
        ] {
            assert_eq!(denial_by_probe(&probe), expected, "{probe:?}");
        }
    }

    #[test]
    fn a_deny_of_other_content_is_about_the_key_only_if_it_is_seen_to_meet_text() {
        let denied_by = |policy: &str| {
            refused("AccessDeniedException", &format!("{DENIED} with an explicit deny in {policy}"), 403)
        };
        for (probe, expected) in [
            (Ok(()), DenialReach::Content),
            (refused("MessageRejected", NOT_VERIFIED, 400), DenialReach::Content),
            (refused("AccessDeniedException", DENIED, 403), DenialReach::Content),
            (denied_by("a resource-based policy"), DenialReach::Content),
            (denied_by("an identity-based policy"), DenialReach::Key),
            (denied_by("a service control policy"), DenialReach::Key),
            (denied_by("a permissions boundary"), DenialReach::Key),
            (refused("InvalidClientTokenId", "", 403), DenialReach::Unknown),
            (refused("TooManyRequestsException", "Maximum sending rate exceeded.", 429), DenialReach::Unknown),
            (refused("LimitExceededException", "Daily message quota exceeded.", 400), DenialReach::Unknown),
            (refused("", "", 503), DenialReach::Unknown),
        ] {
            assert_eq!(reach_by_probe(&probe), expected, "{probe:?}");
        }
    }

    #[test]
    fn a_pause_is_over_if_the_account_says_so_or_the_probe_where_the_account_may_not_be_read() {
        for (account, expected) in [
            (account(true, "HEALTHY"), LookResult::Over),
            (account(true, "PROBATION"), LookResult::Over),
            (account(true, "SHUTDOWN"), LookResult::Lasting),
            (account(false, "HEALTHY"), LookResult::Lasting),
            (refused("", "", 503).map(|()| unreachable!()), LookResult::Unknown),
        ] {
            assert_eq!(pause_by_account(&account), expected);
        }
        let paused = "Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.";
        for (probe, expected) in [
            (refused("MessageRejected", paused, 400), LookResult::Lasting),
            (refused("AccountSuspendedException", "", 400), LookResult::Lasting),
            (refused("MessageRejected", "Email address is not verified.", 400), LookResult::Over),
            (refused("AccessDeniedException", "", 403), LookResult::Unknown),
            (refused("", "", 503), LookResult::Unknown),
        ] {
            assert_eq!(pause_by_probe(&probe), expected, "{probe:?}");
        }
    }

    #[test]
    fn a_key_is_good_again_if_both_sts_and_ses_know_it() {
        let unknown = || refused("InvalidClientTokenId", "", 403);
        for (by_sts, by_ses, expected) in [
            (Ok(()), Ok(()), LookResult::Over),
            (Ok(()), refused("AccessDeniedException", "", 403), LookResult::Over),
            (Ok(()), unknown(), LookResult::Lasting),
            (unknown(), unknown(), LookResult::Lasting),
            (unknown(), Ok(()), LookResult::Lasting),
            (refused("", "", 503), unknown(), LookResult::Lasting),
            (refused("", "", 503), Ok(()), LookResult::Unknown),
            (Ok(()), refused("", "", 503), LookResult::Unknown),
        ] {
            assert_eq!(refusal_by_calls(&by_sts, &by_ses), expected, "{by_sts:?} {by_ses:?}");
        }
    }
}
