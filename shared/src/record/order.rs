//! An order: our whole answer to a breach or an off-boarding.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::to_item;
use super::{Item, RecordError};
use crate::id::{AccessKeyId, OrderId, ProviderId};

/// What a breach report is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BreachScope {
    /// One key, whether we know it or not.
    AccessKeyId(AccessKeyId),
    /// A provider, so the key it sends with.
    ProviderId(ProviderId),
}

/// An order, written before anything is done about it. Its keys are pinned: a replay spares keys that came later.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub order_id: OrderId,
    /// What was reported.
    pub scope: BreachScope,
    /// Why, in the reporter's words.
    pub reason: String,
    /// Who reported it, as the report says; whoever signed it, where it does not say.
    pub reported_by: String,
    /// The ARN that signed the report, which is proved. Absent on what came by the bus, where nobody signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// The moment reported about: keys taken later are not meant.
    pub as_of: Timestamp,
    /// When we wrote it.
    pub created_at: Timestamp,
    /// The keys it revokes.
    pub access_key_ids: Vec<AccessKeyId>,
}

impl Order {
    /// Partition key of an order.
    pub fn pk(order_id: &OrderId) -> String {
        format!("order#{order_id}")
    }

    /// Sort key of an order.
    pub const SK: &'static str = "order";

    /// The order as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn item(&self) -> Result<Item, RecordError> {
        to_item(&Self::pk(&self.order_id), Self::SK, self)
    }
}
