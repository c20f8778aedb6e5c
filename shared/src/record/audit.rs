//! The audit trail: append-only items beside the provider that they are about.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{from_item, string, to_item};
use super::{Item, Provider, Providers, RecordError};
use crate::id::ProviderId;
use crate::runtime::Ambient;

/// What the sort key of an audit event begins with.
pub(super) const AUDIT: &str = "audit#";

/// Something that happened to a provider. It holds ids, states and codes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// What happened, such as `onboarded`, `revoking`.
    pub event: &'static str,
    /// When.
    pub at: Timestamp,
    /// Who or what did it: a function's name.
    pub by: String,
    /// Why, where the event alone does not say it: an order's id, or a reason of the status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AuditEvent {
    /// The event as an item of the provider's trail. Put it in the transaction that makes it true.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn to_item(&self, provider_id: &ProviderId, ambient: &Ambient) -> Result<Item, RecordError> {
        to_item(&Provider::pk(provider_id), &format!("{AUDIT}{}", ambient.ulid()), self)
    }
}

/// An event as it is stored: perhaps one that only another version writes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredAuditEvent {
    /// What happened.
    pub event: String,
    /// When.
    pub at: Timestamp,
    /// Who or what did it.
    pub by: String,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A place in a trail: the ULID of an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditPosition(String);

impl AuditPosition {
    /// The position that a caller names; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let is_ulid = text.len() == 26 && text.bytes().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase());
        is_ulid.then(|| Self(text.to_owned()))
    }

    fn from_item(item: &Item) -> Option<Self> {
        Self::parse(item.get("sk")?.as_s().ok()?.strip_prefix(AUDIT)?)
    }
}

impl Providers {
    /// Puts an event into a provider's trail by itself: about what is no change of the provider, before it is done.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the event cannot be written as an item.
    pub async fn note(
        &self,
        provider_id: &ProviderId,
        event: &AuditEvent,
        ambient: &Ambient,
    ) -> Result<(), RecordError> {
        let item = event.to_item(provider_id, ambient)?;
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item));
        put.send().await.map_err(RecordError::dynamodb("PutItem", Provider::pk(provider_id)))?;
        Ok(())
    }

    /// Some events of a provider's trail after a position, oldest first, read consistently, and the position of the last if there are more.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an event cannot be read.
    pub async fn audit_page(
        &self,
        provider_id: &ProviderId,
        after: Option<&AuditPosition>,
        limit: i32,
    ) -> Result<(Vec<StoredAuditEvent>, Option<AuditPosition>), RecordError> {
        let pk = Provider::pk(provider_id);
        let start = after.map(|AuditPosition(ulid)| {
            Item::from([("pk".to_owned(), string(&pk)), ("sk".to_owned(), string(format!("{AUDIT}{ulid}")))])
        });
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk AND begins_with(sk, :audit)")
            .expression_attribute_values(":pk", string(&pk))
            .expression_attribute_values(":audit", string(AUDIT))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", &pk))?;
        let next = answer.last_evaluated_key.as_ref().and_then(AuditPosition::from_item);
        let events = answer.items.unwrap_or_default().into_iter().map(|item| from_item(&pk, item));
        Ok((events.collect::<Result<_, _>>()?, next))
    }
}
