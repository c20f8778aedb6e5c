//! Conversion between records and DynamoDB's attribute maps.

use std::collections::HashMap;
use std::error::Error;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

use crate::id::AccessKeyId;

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// A read or write of a record failed. It names the operation and the item. The cause comes from DynamoDB of our own
/// account, so it may be logged.
#[derive(Debug, Error)]
pub enum RecordError {
    /// DynamoDB returned an error or did not answer in three attempts.
    #[error("{operation} {}", masked(pk))]
    Dynamodb {
        /// The operation, such as `GetItem`.
        operation: &'static str,
        /// The item's partition key.
        pk: String,
        /// What the SDK said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An item does not have the form that this version writes.
    #[error("item {} cannot be read", masked(pk))]
    Shape {
        /// The item's partition key.
        pk: String,
    },
}

impl RecordError {
    /// A failed operation on an item.
    pub fn dynamodb<E>(operation: &'static str, pk: impl Into<String>) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn Error + Send + Sync>>,
    {
        let pk = pk.into();
        move |source| Self::Dynamodb { operation, pk, source: source.into() }
    }
}

/// A partition key as it is shown: an access key id in it is masked.
fn masked(pk: &str) -> String {
    let mask = |part: &str| AccessKeyId::from_pasted(part).map_or_else(|_| part.to_owned(), |id| id.masked());
    pk.split('#').map(mask).collect::<Vec<_>>().join("#")
}

/// A string attribute.
pub(crate) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A time as an attribute.
pub(super) fn timestamp(time: Timestamp) -> AttributeValue {
    string(time.to_string())
}

/// Writes a part of a record as an attribute of the item with this partition key.
pub(super) fn to_attribute<T: Serialize>(part: &T, pk: &str) -> Result<AttributeValue, RecordError> {
    serde_dynamo::to_attribute_value(part).map_err(|_| RecordError::Shape { pk: pk.to_owned() })
}

/// Lets the table's TTL take an item away this long after a time.
pub(super) fn expire(item: &mut Item, from: Timestamp, kept_for: SignedDuration) {
    let expiry = from.saturating_add(kept_for).unwrap_or(from).as_second();
    item.insert("attempts_expire_at".to_owned(), AttributeValue::N(expiry.to_string()));
}

/// Writes a record as an item under its key.
pub(crate) fn to_item<T: Serialize>(pk: &str, sk: &str, record: &T) -> Result<Item, RecordError> {
    let mut item: Item = serde_dynamo::to_item(record).map_err(|_| RecordError::Shape { pk: pk.to_owned() })?;
    item.insert("pk".to_owned(), string(pk));
    item.insert("sk".to_owned(), string(sk));
    Ok(item)
}

/// Reads a record from an item. Attributes that the record does not have (keys, index attributes) are ignored.
pub(crate) fn from_item<T: DeserializeOwned>(pk: &str, item: Item) -> Result<T, RecordError> {
    serde_dynamo::from_item(item).map_err(|_| RecordError::Shape { pk: pk.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_names_its_item_and_no_whole_access_key_id() {
        let cases = [
            ("key#AKIASP2TPHJSQH3FJRUX", "item key#AKIA…JRUX cannot be read"),
            ("attempts#acme#AKIASP2TPHJSQH3FJRUX", "item attempts#acme#AKIA…JRUX cannot be read"),
            ("provider#prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "item provider#prv_01ARZ3NDEKTSV4RRFFQ69G5FAV cannot be read"),
        ];
        for (pk, expected) in cases {
            assert_eq!(RecordError::Shape { pk: pk.to_owned() }.to_string(), expected);
        }
    }
}
