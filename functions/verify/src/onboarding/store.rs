//! Storing a key that was accepted: its secret sealed for both lanes, everything in one transaction, and the event.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use shared::custody::{Holder, Sealed};
use shared::http::Problem;
use shared::id::ProviderId;
use shared::record::{
    Assurance, AuditEvent, Configuration, Consent, Fences, Idempotency, KeyItem, KeyState, Onboarded, Onboarding,
    Owner, Plane, Provider, RecordError, Status, StatusName, VerificationReport, VerifiedProvider,
};
use shared::telemetry::{Event, ProviderVerifiedEvent, chain};
use shared::tenant::AccountStatus;
use tokio::time::timeout;

use super::{AcceptedKey, OnboardingAttempt, OnboardingOutcome, key_is_reported};
use crate::Verify;
use crate::check::identity::IamUser;

/// How long sending the event may take: the key is stored, and the caller must get a response.
pub(crate) const EVENT_TIMEOUT: Duration = Duration::from_secs(1);

/// `Retry-After` if an order came during the verification: until its second pass is over, in seconds.
pub(crate) const FENCE_RETRY_AFTER_S: u64 = 90;

impl OnboardingAttempt<'_> {
    /// Stores everything, or nothing. A concurrent attempt or a report of the key may have been faster.
    pub(super) async fn store(&self, accepted: AcceptedKey) -> Result<OnboardingOutcome, Problem> {
        let AcceptedKey { user, account, report, fences } = accepted;
        let provider = self.new_provider(user, &account);
        let sealed = self.seal(VerifiedProvider { provider, report, rotation_reports: None }, fences);
        let onboarding = self.budget.call_own("seal the secret", sealed).await?;
        let committed = self.budget.call_own("store the provider", self.commit(&onboarding)).await?;
        let VerifiedProvider { provider, mut report, .. } = onboarding.provider;
        Ok(match committed {
            Onboarded::KeyExists(key) if !is_key_of(&key, &provider.provider_id) => match self.key_holder(&key) {
                Some(holder) => OnboardingOutcome::AlreadyOnboarded(holder),
                None => {
                    report.replace_check(key_is_reported());
                    OnboardingOutcome::Refused(Box::new(report))
                }
            },
            Onboarded::FenceMoved => OnboardingOutcome::OrderInProgress { retry_after_s: FENCE_RETRY_AFTER_S },
            Onboarded::IdempotencyKeyExists => OnboardingOutcome::IdempotencyKeyUsed,
            // A key item with our own provider id was written by our own commit, whose answer was lost.
            Onboarded::Stored | Onboarded::KeyExists(_) => {
                self.send_event(&provider, &report).await;
                OnboardingOutcome::Onboarded(Box::new(VerifiedProvider { provider, report, rotation_reports: None }))
            }
        })
    }

    fn new_provider(&self, user: IamUser, account: &AccountStatus) -> Provider {
        let ambient = &self.verify.ambient;
        let now = ambient.now();
        Provider {
            provider_id: ProviderId::new(ambient),
            tenant_id: self.submission.tenant_id.clone(),
            name: self.submission.name.clone(),
            region: self.submission.region,
            account_id: user.account_id,
            user_name: user.name,
            user_arn: user.arn,
            access_key_id: self.credential.access_key_id.clone(),
            status: Status::plain(StatusName::Active),
            max_send_rate: account.max_send_rate,
            max_24_hour_send: account.max_24_hour_send,
            sandbox: !account.production_access,
            consent: self.submission.consent_signed_by.as_ref().map(|signer| Consent {
                pause_sending: true,
                given_at: now,
                signed_by: signer.clone(),
            }),
            canary: self.submission.canary,
            rotation: None,
            suspension: None,
            hold: None,
            revocability: None,
            created_at: now,
            updated_at: now,
        }
    }

    /// All that is stored, with the secret sealed for both lanes.
    async fn seal(&self, verified: VerifiedProvider, fences: Fences) -> Result<Onboarding, Problem> {
        let provider = &verified.provider;
        let (send_lane, revoke_lane) = self.seal_lanes(&provider.provider_id).await?;
        let configure_signed_by = self.submission.configure_signed_by.as_deref();
        Ok(Onboarding {
            configuration: configure_signed_by.map(|signer| Configuration::agreed(provider.created_at, signer)),
            key: new_key_item(provider, &verified.report, provider.created_at),
            send_lane,
            revoke_lane,
            audit: AuditEvent { event: "onboarded", at: provider.created_at, by: "verify".to_owned(), reason: None },
            idempotency: self.idempotent.as_ref().map(|request| {
                let (provider_id, fingerprint) = (provider.provider_id.clone(), request.fingerprint.clone());
                (request.key.as_str().to_owned(), Idempotency { provider_id, fingerprint })
            }),
            provider: verified,
            fences,
        })
    }

    /// The secret sealed for both lanes of a provider.
    pub(crate) async fn seal_lanes(&self, provider_id: &ProviderId) -> Result<(Sealed, Sealed), Problem> {
        let holder = Holder {
            tenant_id: &self.submission.tenant_id,
            provider_id,
            access_key_id: &self.credential.access_key_id,
        };
        let secret = &self.credential.secret_access_key;
        tokio::try_join!(self.verify.send_lane.seal(holder, secret), self.verify.revoke_lane.seal(holder, secret))
            .map_err(|error| Problem::unavailable().caused_by(&error))
    }

    /// Writes the transaction. If it failed without saying why, reads whether it was committed: two concurrent
    /// onboardings of a key can cancel each other with a conflict, and an answer can be lost after the commit.
    async fn commit(&self, onboarding: &Onboarding) -> Result<Onboarded, RecordError> {
        let Verify { providers, secrets, ambient, .. } = self.verify;
        let error = match providers.onboard(onboarding, secrets, ambient).await {
            Ok(onboarded) => return Ok(onboarded),
            Err(error) => error,
        };
        tracing::warn!(
            provider_id = onboarding.provider.provider.provider_id.as_str(),
            access_key_id = onboarding.key.access_key_id.masked(),
            error = chain(&error),
            "the onboarding transaction failed; it is repeated unless the key item shows that it was committed"
        );
        match providers.key(&onboarding.key.access_key_id).await? {
            Some(key) => Ok(Onboarded::KeyExists(Box::new(key))),
            None => providers.onboard(onboarding, secrets, ambient).await,
        }
    }

    /// Sends `Provider Verified`. The provider is stored, so a failure here is logged and fails nothing.
    async fn send_event(&self, provider: &Provider, report: &VerificationReport) {
        let event = Event::ProviderVerified(ProviderVerifiedEvent {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            // An accepted report has one.
            assurance: report.assurance.unwrap_or(Assurance::Observed),
        });
        let error = match timeout(EVENT_TIMEOUT, self.verify.bus.put(&event, self.verify.ambient.now())).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => chain(&error),
            Err(elapsed) => elapsed.to_string(),
        };
        tracing::error!(
            provider_id = provider.provider_id.as_str(),
            error,
            "the provider is stored but the event Provider Verified was not sent"
        );
    }
}

fn is_key_of(key: &KeyItem, provider_id: &ProviderId) -> bool {
    key.owner.as_ref().is_some_and(|owner| owner.provider_id == *provider_id)
}

/// The item of the key that a provider sends with, or will, as it was seen alive by its verification.
pub(crate) fn new_key_item(provider: &Provider, report: &VerificationReport, seen_at: Timestamp) -> KeyItem {
    let owner = Owner {
        provider_id: provider.provider_id.clone(),
        tenant_id: provider.tenant_id.clone(),
        account_id: provider.account_id.clone(),
        user_name: Some(provider.user_name.clone()),
        region: provider.region,
        consent: provider.consent.clone(),
        sessions_denied: report.sessions_denied,
    };
    let mut key = KeyItem::new(provider.access_key_id.clone(), Some(owner), KeyState::Active, seen_at);
    key.seen_alive = BTreeMap::from([(Plane::Sts, seen_at), (Plane::Ses, seen_at)]);
    key
}
