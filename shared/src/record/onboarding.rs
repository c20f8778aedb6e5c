//! Onboarding: everything about a new provider in one transaction, or nothing.

use aws_sdk_dynamodb::types::{Put, TransactWriteItem};
use serde::{Deserialize, Serialize};

use super::item::to_item;
use super::write::{KEY_ITEM, Transaction, contended};
use super::{AuditEvent, KeyItem, Providers, RecordError, Secrets, VerifiedProvider};
use crate::custody::{Lane, Sealed};
use crate::id::{ProviderId, TenantId};
use crate::runtime::Ambient;

/// What is stored when a key is taken.
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
    /// The caller's `Idempotency-Key`, where one was sent.
    pub idempotency: Option<(String, Idempotency)>,
}

/// What an `Idempotency-Key` led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Idempotency {
    /// The provider that was made.
    pub provider_id: ProviderId,
    /// Digest of the request without its secret: the same key with another request is an error.
    pub fingerprint: String,
}

/// How onboarding ended.
#[derive(Clone, Debug, PartialEq)]
pub enum Onboarded {
    /// All of it is stored.
    Stored,
    /// The key item exists: somebody has this key, or it was reported.
    KeyExists(Box<KeyItem>),
    /// The `Idempotency-Key` was used in between.
    IdempotencyKeyExists,
}

impl Providers {
    /// What an `Idempotency-Key` of a tenant led to, read consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn idempotency(&self, tenant_id: &TenantId, key: &str) -> Result<Option<Idempotency>, RecordError> {
        self.get(&idempotency_pk(tenant_id, key), IDEMPOTENCY_SK).await
    }

    /// Stores a new provider in one transaction: the key item and the `Idempotency-Key` if they are absent, the
    /// provider, both sealed secrets and the first audit event. Two concurrent onboardings of one key: one wins.
    ///
    /// # Errors
    /// DynamoDB did not answer, or another transaction was in the way: nothing is stored, try again.
    pub async fn onboard(
        &self,
        onboarding: &Onboarding,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Onboarded, RecordError> {
        let Onboarding { provider: verified, key, .. } = onboarding;
        let provider = &verified.provider;
        let pk = KeyItem::pk(&key.access_key_id);
        let secret = |lane, sealed: &Sealed| -> Result<TransactWriteItem, RecordError> {
            let put = Put::builder()
                .table_name(&secrets.table)
                .set_item(Some(Secrets::item(&key.access_key_id, lane, sealed)))
                .build()
                .map_err(RecordError::dynamodb("build Put", &pk))?;
            Ok(TransactWriteItem::builder().put(put).build())
        };
        let mut writes = vec![
            self.put_if_absent(key.item()?)?,
            self.put_if_absent(verified.item()?)?,
            secret(Lane::Send, &onboarding.send_lane)?,
            secret(Lane::Revoke, &onboarding.revoke_lane)?,
            self.put(onboarding.audit.item(&provider.provider_id, ambient)?)?,
        ];
        if let Some((key, idempotency)) = &onboarding.idempotency {
            let pk = idempotency_pk(&provider.tenant_id, key);
            writes.push(self.put_if_absent(to_item(&pk, IDEMPOTENCY_SK, idempotency)?)?);
        }
        let unmet = match self.transact(&pk, writes).await? {
            Transaction::Made => return Ok(Onboarded::Stored),
            Transaction::Unmet(unmet) => unmet,
            Transaction::Contended => Vec::new(),
        };
        match unmet.into_iter().next() {
            Some((KEY_ITEM, Some(item))) => Ok(Onboarded::KeyExists(Box::new(KeyItem::from_item(item)?))),
            Some((IDEMPOTENCY_ITEM, _)) => Ok(Onboarded::IdempotencyKeyExists),
            _ => Err(contended(pk)),
        }
    }
}

/// Place of the idempotency item in the transaction.
const IDEMPOTENCY_ITEM: usize = 5;

const IDEMPOTENCY_SK: &str = "idempotency";

fn idempotency_pk(tenant_id: &TenantId, key: &str) -> String {
    format!("idempotency#{tenant_id}#{key}")
}
