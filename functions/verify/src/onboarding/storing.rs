//! Storing a key that was accepted: sealed twice, in one transaction, and told of.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use shared::custody::Holder;
use shared::http::Problem;
use shared::id::ProviderId;
use shared::record::{
    self, AuditEvent, Idempotency, KeyItem, KeyState, Onboarded, Owner, Plane, Provider, Receipt, RecordError, Status,
    StatusName,
};
use shared::telemetry::{Event, ProviderEvent, chain};
use shared::tenant::AccountStatus;
use tokio::time::timeout;

use super::{Ending, Onboarding, reported};
use crate::Verify;
use crate::check::identity::Caller;
use crate::report::Report;

/// The longest that telling operators may take: whoever handed over a key that is stored must be answered.
const TELLING: Duration = Duration::from_secs(1);

impl Onboarding<'_> {
    /// Stores everything, or nothing. Somebody may have been faster.
    pub(super) async fn store(
        &self,
        caller: Caller,
        account: &AccountStatus,
        report: Report,
    ) -> Result<Ending, Problem> {
        let sealed = self.sealed(self.provider(caller, account, &report));
        let onboarding = self.budget.own(sealed).await?;
        let ended = self.budget.own(self.commit(&onboarding)).await?;
        let provider = onboarding.provider;
        Ok(match ended {
            Onboarded::KeyExists(key) if !owns(&key, &provider.provider_id) => match self.taken(&key) {
                Some(taken) => Ending::Taken(taken),
                None => Ending::Refused(Box::new(report.with(reported()))),
            },
            Onboarded::IdempotencyKeyExists => Ending::IdempotencyKeyUsed,
            // Stored just now, or by our own commit, whose answer was lost.
            Onboarded::Stored | Onboarded::KeyExists(_) => {
                self.tell(&provider).await;
                Ending::Onboarded(Box::new(provider))
            }
        })
    }

    fn provider(&self, caller: Caller, account: &AccountStatus, report: &Report) -> Provider {
        let ambient = &self.verify.ambient;
        let now = ambient.now();
        Provider {
            provider_id: ProviderId::new(ambient),
            tenant_id: self.submission.tenant_id.clone(),
            name: self.submission.name.clone(),
            region: self.submission.region,
            account_id: caller.account_id,
            user_name: caller.user_name,
            user_arn: caller.user_arn,
            access_key_id: self.credential.access_key_id.clone(),
            status: Status::plain(StatusName::Active),
            max_send_rate: account.max_send_rate,
            max_24_hour_send: account.max_24_hour_send,
            sandbox: !account.production_access,
            report: serde_json::to_value(report).unwrap_or_default(),
            created_at: now,
            updated_at: now,
        }
    }

    /// All that is stored, with the secret sealed for both lanes.
    async fn sealed(&self, provider: Provider) -> Result<record::Onboarding, Problem> {
        let holder = Holder {
            tenant_id: &provider.tenant_id,
            provider_id: &provider.provider_id,
            access_key_id: &provider.access_key_id,
        };
        let secret = &self.credential.secret_access_key;
        let sealed =
            tokio::try_join!(self.verify.send_lane.seal(holder, secret), self.verify.revoke_lane.seal(holder, secret));
        let (send_lane, revoke_lane) = sealed.map_err(|error| {
            tracing::error!(error = chain(&error), "sealing failed");
            Problem::unavailable()
        })?;
        Ok(record::Onboarding {
            key: key_of(&provider),
            send_lane,
            revoke_lane,
            audit: AuditEvent { event: "onboarded", at: provider.created_at, by: "verify".to_owned(), reason: None },
            idempotency: self.once.as_ref().map(|once| {
                let (provider_id, fingerprint) = (provider.provider_id.clone(), once.fingerprint.clone());
                (once.key.as_str().to_owned(), Idempotency { provider_id, fingerprint })
            }),
            provider,
        })
    }

    /// The transaction, and where it failed without a verdict, what became of it: two concurrent onboardings of a key
    /// can cancel each other with a conflict, and an answer can be lost after the commit.
    async fn commit(&self, onboarding: &record::Onboarding) -> Result<Onboarded, RecordError> {
        let Verify { providers, secrets, ambient, .. } = self.verify;
        let error = match providers.onboard(onboarding, secrets, ambient).await {
            Ok(onboarded) => return Ok(onboarded),
            Err(error) => error,
        };
        tracing::warn!(error = chain(&error), "onboarding is tried again");
        match providers.key(&onboarding.key.access_key_id).await? {
            Some(key) => Ok(Onboarded::KeyExists(Box::new(key))),
            None => providers.onboard(onboarding, secrets, ambient).await,
        }
    }

    /// Tells operators. The provider is stored, so a failure here is logged and fails nothing.
    async fn tell(&self, provider: &Provider) {
        let event = Event::ProviderVerified(ProviderEvent {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            reason: None,
        });
        match timeout(TELLING, self.verify.bus.put(&event, self.verify.ambient.now())).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::error!(error = chain(&error), "the provider is stored, the event was not told"),
            Err(_) => tracing::error!("the provider is stored, telling the event took too long"),
        }
    }
}

fn owns(key: &KeyItem, provider_id: &ProviderId) -> bool {
    key.owner.as_ref().is_some_and(|owner| owner.provider_id == *provider_id)
}

fn key_of(provider: &Provider) -> KeyItem {
    KeyItem {
        access_key_id: provider.access_key_id.clone(),
        owner: Some(Owner {
            provider_id: provider.provider_id.clone(),
            tenant_id: provider.tenant_id.clone(),
            account_id: provider.account_id.clone(),
            region: provider.region,
        }),
        state: KeyState::Active,
        updated_at: provider.created_at,
        orders: BTreeSet::new(),
        seen_alive: BTreeMap::from([(Plane::Sts, provider.created_at), (Plane::Ses, provider.created_at)]),
        receipt: Receipt::default(),
        attempts: 0,
        next_attempt_at: None,
        notification_pending: false,
    }
}
