//! Onboarding: everything about a new provider in one transaction, or nothing.

use serde::{Deserialize, Serialize};

use super::item::to_item;
use super::transaction::{KEY_ITEM, Transaction, contended};
use super::{
    AuditEvent, Canary, Configuration, Fences, KeyItem, Providers, RecordError, Secrets, VerifiedProvider, Watch,
};
use crate::custody::{Lane, Sealed};
use crate::id::{ProviderId, TenantId};
use crate::runtime::Ambient;

/// What is stored when a key is accepted.
pub struct Onboarding {
    /// The provider, with the report that its key was accepted on.
    pub provider: VerifiedProvider,
    /// Its key item.
    pub key: KeyItem,
    /// The secret for sending.
    pub send_lane: Sealed,
    /// The secret for revoking.
    pub revoke_lane: Sealed,
    /// The first event of its audit trail.
    pub audit: AuditEvent,
    /// The configuration of its SES, if the tenant agrees to one.
    pub configuration: Option<Configuration>,
    /// The caller's `Idempotency-Key`, if one was sent, and what is stored for it.
    pub idempotency: Option<(String, Idempotency)>,
    /// The fences, as they were read before the key was verified.
    pub fences: Fences,
}

/// What a request with an `Idempotency-Key` created.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The provider that was created.
    pub provider_id: ProviderId,
    /// Digest of the request without its secret: the same key with another request is an error.
    pub fingerprint: String,
}

/// How onboarding ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Onboarded {
    /// All of it is stored.
    Stored,
    /// The key item exists: the key was onboarded before, or it was reported.
    KeyExists(Box<KeyItem>),
    /// Another request used the `Idempotency-Key` in between.
    IdempotencyKeyExists,
    /// An order that covers the key was placed while it was verified.
    FenceMoved,
}

impl Providers {
    /// Reads what a tenant's request with this `Idempotency-Key` created, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn idempotency(&self, tenant_id: &TenantId, key: &str) -> Result<Option<Idempotency>, RecordError> {
        self.get(&idempotency_pk(tenant_id, key), IDEMPOTENCY_SK).await
    }

    /// Stores a new provider in one transaction: the key item and the `Idempotency-Key` if they are absent, the
    /// provider, its watch, both sealed secrets and the first audit event, and no fence may have moved. Two concurrent onboardings of one
    /// key: one wins.
    ///
    /// # Errors
    /// DynamoDB did not answer, or another transaction came first: nothing is stored, try again.
    pub async fn onboard(
        &self,
        onboarding: &Onboarding,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Onboarded, RecordError> {
        let Onboarding { provider: verified, key, .. } = onboarding;
        let provider = &verified.provider;
        let pk = KeyItem::pk(&key.access_key_id);
        let secret = |lane, sealed: &Sealed| secrets.put_in_transaction(&key.access_key_id, lane, sealed);
        let mut writes = vec![
            self.put_if_absent(key.to_item()?)?,
            self.put_if_absent(verified.to_item()?)?,
            secret(Lane::Send, &onboarding.send_lane)?,
            secret(Lane::Revoke, &onboarding.revoke_lane)?,
            self.put(onboarding.audit.to_item(&provider.provider_id, ambient)?)?,
            self.put(Watch::after_onboarding(provider.created_at).to_first_item(provider, ambient)?)?,
        ];
        if let Some((key, idempotency)) = &onboarding.idempotency {
            let pk = idempotency_pk(&provider.tenant_id, key);
            writes.push(self.put_if_absent(to_item(&pk, IDEMPOTENCY_SK, idempotency)?)?);
        }
        let first_fence = writes.len();
        writes.extend(self.fences_unmoved(&onboarding.fences)?);
        if let Some(configuration) = &onboarding.configuration {
            writes.push(self.put(configuration.to_first_item(&provider.provider_id)?)?);
        }
        if provider.canary {
            writes.push(self.put(Canary::new(provider).to_item()?)?);
        }
        let failed = match self.transact(&pk, writes).await? {
            Transaction::Committed => return Ok(Onboarded::Stored),
            Transaction::ConditionFailed(failed) => failed,
            Transaction::Contended => Vec::new(),
        };
        match failed.into_iter().next() {
            Some((KEY_ITEM, Some(item))) => Ok(Onboarded::KeyExists(Box::new(KeyItem::from_item(item)?))),
            Some((place, _)) if place >= first_fence => Ok(Onboarded::FenceMoved),
            Some((IDEMPOTENCY_ITEM, _)) => Ok(Onboarded::IdempotencyKeyExists),
            _ => Err(contended(pk)),
        }
    }
}

/// The position of the idempotency item in the transaction.
const IDEMPOTENCY_ITEM: usize = 6;

const IDEMPOTENCY_SK: &str = "idempotency";

fn idempotency_pk(tenant_id: &TenantId, key: &str) -> String {
    format!("idempotency#{tenant_id}#{key}")
}
