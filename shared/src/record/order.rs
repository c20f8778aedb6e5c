//! An order: our whole response to a breach or an off-boarding.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::to_item;
use super::{Item, RecordError};
use crate::id::{AccessKeyId, OrderId, ProviderId};

/// What a breach report covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BreachScope {
    /// One key, whether we know it or not.
    AccessKeyId(AccessKeyId),
    /// A provider: the key that it sends with.
    ProviderId(ProviderId),
}

/// An order. It is written before it is executed, with the ids of its keys, so that a repetition revokes the same keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub order_id: OrderId,
    /// What was reported.
    pub scope: BreachScope,
    /// Why, in the reporter's words.
    pub reason: String,
    /// Who reported it, as the report says; if it does not say, whoever signed it.
    pub reported_by: String,
    /// The ARN that signed the request, which API Gateway has verified. Absent for reports from the bus, which nobody
    /// signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// The keys it revokes.
    pub access_key_ids: Vec<AccessKeyId>,
    /// Whether each key removes SES identity policies that name another account before it deletes itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove_identity_policies: bool,
    /// What was wrong with the report beside its scope. It was acted on all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<String>,
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
    pub fn to_item(&self) -> Result<Item, RecordError> {
        to_item(&Self::pk(&self.order_id), Self::SK, self)
    }
}
