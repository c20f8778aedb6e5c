//! The fleet-wide stop.

use super::Item;

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
