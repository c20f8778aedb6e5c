//! The Secrets table: sealed secrets and nothing else.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem};

use super::item::string;
use super::{Item, RecordError};
use crate::custody::{Lane, Sealed};
use crate::id::AccessKeyId;
use crate::runtime::{Environment, MissingVariable};

/// The Secrets table.
#[derive(Clone, Debug)]
pub struct Secrets {
    pub(super) client: Client,
    pub(super) table: String,
}

impl Secrets {
    /// The table that `SECRETS_TABLE` names.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn new(client: Client, environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self { client, table: environment.required("SECRETS_TABLE")? })
    }

    /// The key of a sealed secret's item.
    pub fn key(access_key_id: &AccessKeyId, lane: Lane) -> Item {
        Item::from([
            ("access_key_id".to_owned(), string(access_key_id.as_str())),
            ("lane".to_owned(), string(lane.as_str())),
        ])
    }

    /// A sealed secret as an item.
    pub fn to_item(access_key_id: &AccessKeyId, lane: Lane, sealed: &Sealed) -> Item {
        let mut item = Self::key(access_key_id, lane);
        item.insert("ciphertext".to_owned(), AttributeValue::B(Blob::new(sealed.bytes())));
        item
    }

    /// Reads the sealed secret of an item; `None` if it does not hold one.
    pub fn sealed(item: &Item) -> Option<Sealed> {
        let ciphertext = item.get("ciphertext")?.as_b().ok()?;
        Some(Sealed::new(ciphertext.as_ref().to_vec()))
    }

    /// The deletion of a sealed secret as a part of a transaction. It succeeds whether the secret exists or not.
    pub(super) fn shred(&self, access_key_id: &AccessKeyId, lane: Lane) -> Result<TransactWriteItem, RecordError> {
        let delete = Delete::builder()
            .table_name(&self.table)
            .set_key(Some(Self::key(access_key_id, lane)))
            .build()
            .map_err(RecordError::dynamodb("build Delete", format!("{access_key_id}#{lane}")))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Reads a sealed secret, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn get(&self, access_key_id: &AccessKeyId, lane: Lane) -> Result<Option<Sealed>, RecordError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(access_key_id, lane)))
            .consistent_read(true)
            .send()
            .await
            .map_err(RecordError::dynamodb("GetItem", format!("{access_key_id}#{lane}")))?;
        Ok(answer.item.as_ref().and_then(Self::sealed))
    }
}
