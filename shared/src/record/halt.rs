//! The fleet-wide stop.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::item::{string, timestamp};
use super::item_update::ItemUpdate;
use super::{Item, Providers, RecordError};
use crate::id::OrderId;

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

impl Providers {
    /// Stops all sending for an order of scope `all`. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer: sending may or may not be stopped.
    pub async fn halt(&self, order_id: &OrderId, reason: &str, by: &str, now: Timestamp) -> Result<(), RecordError> {
        let expression =
            "SET halted = :halted, reason = :reason, changed_by = :by, changed_at = :now, order_id = :order_id";
        let update =
            ItemUpdate::new(HALT_PK, HALT_SK, expression, "attribute_not_exists(order_id) OR order_id <> :order_id")
                .value(":halted", AttributeValue::Bool(true))
                .value(":reason", string(reason))
                .value(":by", string(by))
                .value(":now", timestamp(now))
                .value(":order_id", string(order_id.as_str()));
        self.update(update).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
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
