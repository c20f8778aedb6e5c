//! The audit trail: append-only items beside the provider they are about.

use jiff::Timestamp;
use serde::Serialize;

use super::item::to_item;
use super::{Item, Provider, RecordError};
use crate::id::ProviderId;
use crate::runtime::Ambient;

/// Something that happened to a provider. Ids, states and codes only.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditEvent {
    /// What happened, such as `onboarded`, `revoking`.
    pub event: &'static str,
    /// When.
    pub at: Timestamp,
    /// Who or what did it: a function's name, or an order.
    pub by: String,
    /// Why, where there is something to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl AuditEvent {
    /// The event as an item of the provider's trail, for a Put of the transaction that makes it true.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn item(&self, provider_id: &ProviderId, ambient: &Ambient) -> Result<Item, RecordError> {
        to_item(&Provider::pk(provider_id), &format!("audit#{}", ambient.ulid()), self)
    }
}
