//! The fleet-wide stop.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::audit::AUDIT;
use super::item::to_item;
use super::transaction::{Transaction, contended};
use super::{AuditEvent, Item, Providers, RecordError};
use crate::id::OrderId;
use crate::runtime::Ambient;

/// Partition key of the halt item.
pub const HALT_PK: &str = "halt";

/// Sort key of the halt item.
pub const HALT_SK: &str = "halt";

/// Whether all sending is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Nothing may be sent.
    Halted,
    /// Mail may be sent.
    Open,
}

impl Halt {
    /// Reads the halt item. Only `halted: false` opens; a missing or unreadable item counts as halted.
    pub fn from_item(item: Option<&Item>) -> Self {
        match item.and_then(|item| item.get("halted")).map(|halted| halted.as_bool()) {
            Some(Ok(false)) => Self::Open,
            _ => Self::Halted,
        }
    }
}

/// The halt item: whether all sending is stopped, and who said so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HaltItem {
    /// Whether nothing may be sent.
    pub halted: bool,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who changed it last: the ARN that signed the request, or who reported the breach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_by: Option<String>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_at: Option<Timestamp>,
    /// The order of scope `all` that halted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
}

impl HaltItem {
    /// What a missing item says: everything is halted until somebody lifts it for the first time.
    pub fn missing() -> Self {
        Self { halted: true, reason: None, changed_by: None, changed_at: None, order_id: None }
    }

    /// The event of its audit trail.
    fn audit(&self, ambient: &Ambient) -> Result<Item, RecordError> {
        let event = AuditEvent {
            event: if self.halted { "halted" } else { "lifted" },
            at: self.changed_at.unwrap_or_else(|| ambient.now()),
            by: self.changed_by.clone().unwrap_or_default(),
            reason: self.reason.clone(),
        };
        to_item(HALT_PK, &format!("{AUDIT}{}", ambient.ulid()), &event)
    }
}

impl Providers {
    /// Reads the halt item, consistently; [`HaltItem::missing`] if there is none that can be read, as for [`Halt::from_item`].
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn halt_item(&self) -> Result<HaltItem, RecordError> {
        match self.get(HALT_PK, HALT_SK).await {
            Ok(item) => Ok(item.unwrap_or_else(HaltItem::missing)),
            Err(RecordError::Shape { .. }) => Ok(HaltItem::missing()),
            Err(error) => Err(error),
        }
    }

    /// Writes the halt item and an event of its audit trail, in one transaction. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn set_halt(&self, halt: &HaltItem, ambient: &Ambient) -> Result<(), RecordError> {
        let writes = vec![self.put(to_item(HALT_PK, HALT_SK, halt)?)?, self.put(halt.audit(ambient)?)?];
        match self.transact(HALT_PK, writes).await? {
            Transaction::Committed => Ok(()),
            Transaction::ConditionFailed(_) | Transaction::Contended => Err(contended(HALT_PK)),
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::AttributeValue;

    use super::*;

    #[test]
    fn only_an_item_that_says_so_lets_mail_out() {
        let item = |value| Item::from([("halted".to_owned(), value)]);
        assert_eq!(Halt::from_item(Some(&item(AttributeValue::Bool(false)))), Halt::Open);
        assert_eq!(Halt::from_item(Some(&item(AttributeValue::Bool(true)))), Halt::Halted);
        assert_eq!(Halt::from_item(Some(&item(AttributeValue::S("false".to_owned())))), Halt::Halted);
        assert_eq!(Halt::from_item(Some(&Item::new())), Halt::Halted);
        assert_eq!(Halt::from_item(None), Halt::Halted);
    }
}
