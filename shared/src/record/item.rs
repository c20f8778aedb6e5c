//! Between records and DynamoDB's attribute maps.

use std::collections::HashMap;
use std::error::Error;

use aws_sdk_dynamodb::types::AttributeValue;
use serde::Serialize;
use serde::de::DeserializeOwned;
use thiserror::Error;

/// An item as DynamoDB has it.
pub type Item = HashMap<String, AttributeValue>;

/// A read or write of a record failed. It names the operation and the item; the cause is of our own account's DynamoDB.
#[derive(Debug, Error)]
pub enum RecordError {
    /// DynamoDB refused or did not answer in three attempts.
    #[error("{operation} {pk}")]
    Dynamodb {
        /// The operation, such as `GetItem`.
        operation: &'static str,
        /// The item's partition key.
        pk: String,
        /// What the SDK said.
        #[source]
        source: Box<dyn Error + Send + Sync>,
    },
    /// An item is not what this version writes.
    #[error("item {pk} cannot be read")]
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

/// A string attribute.
pub(crate) fn string(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A record as an item under its key.
pub(crate) fn to_item<T: Serialize>(pk: &str, sk: &str, record: &T) -> Result<Item, RecordError> {
    let mut item: Item = serde_dynamo::to_item(record).map_err(|_| RecordError::Shape { pk: pk.to_owned() })?;
    item.insert("pk".to_owned(), string(pk));
    item.insert("sk".to_owned(), string(sk));
    Ok(item)
}

/// A record out of an item; attributes that the record does not have (keys, index attributes) are passed over.
pub(crate) fn from_item<T: DeserializeOwned>(pk: &str, item: Item) -> Result<T, RecordError> {
    serde_dynamo::from_item(item).map_err(|_| RecordError::Shape { pk: pk.to_owned() })
}
