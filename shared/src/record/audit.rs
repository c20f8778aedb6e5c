//! The audit trail: append-only items beside the provider that they are about.

use jiff::Timestamp;
use serde::Serialize;

use super::item::to_item;
use super::{Item, Provider, RecordError};
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
