//! The Secrets table: sealed secrets and nothing else.
//!
//! The partition key is `<lane>#<access key id>`. The condition key `dynamodb:LeadingKeys` looks at the partition key only,
//! so with the lane in it each role reaches its own lane and not the other (DynamoDB developer guide, "Using IAM policy
//! conditions for fine-grained access control").

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, Put, TransactWriteItem};

use super::item::string;
use super::{Item, KeyItem, RecordError};
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
        Item::from([("pk".to_owned(), string(format!("{lane}#{access_key_id}")))])
    }

    /// Whose sealed secret an item is; `None` if its key is not of this lane.
    pub fn access_key_id(item: &Item, lane: Lane) -> Option<AccessKeyId> {
        let pk = item.get("pk")?.as_s().ok()?;
        AccessKeyId::from_pasted(pk.strip_prefix(lane.as_str())?.strip_prefix('#')?).ok()
    }

    /// A Put of a key's sealed secret as a part of a transaction.
    pub(super) fn put_in_transaction(
        &self,
        access_key_id: &AccessKeyId,
        lane: Lane,
        sealed: &Sealed,
    ) -> Result<TransactWriteItem, RecordError> {
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(Self::to_item(access_key_id, lane, sealed)))
            .build()
            .map_err(RecordError::dynamodb("build Put", KeyItem::pk(access_key_id)))?;
        Ok(TransactWriteItem::builder().put(put).build())
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
            .map_err(RecordError::dynamodb("build Delete", format!("{lane}#{access_key_id}")))?;
        Ok(TransactWriteItem::builder().delete(delete).build())
    }

    /// Deletes a sealed secret, whether it exists or not.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been deleted.
    pub async fn delete(&self, access_key_id: &AccessKeyId, lane: Lane) -> Result<(), RecordError> {
        self.client
            .delete_item()
            .table_name(&self.table)
            .set_key(Some(Self::key(access_key_id, lane)))
            .send()
            .await
            .map(drop)
            .map_err(RecordError::dynamodb("DeleteItem", format!("{lane}#{access_key_id}")))
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
            .map_err(RecordError::dynamodb("GetItem", format!("{lane}#{access_key_id}")))?;
        Ok(answer.item.as_ref().and_then(Self::sealed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The roles' `dynamodb:LeadingKeys` are `send#*` and `revoke#*`.
    #[test]
    fn the_partition_key_begins_with_the_lane() {
        let access_key_id = AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap();
        for (lane, other, pk) in [
            (Lane::Send, Lane::Revoke, "send#AKIASP2TPHJSQH3FJRUX"),
            (Lane::Revoke, Lane::Send, "revoke#AKIASP2TPHJSQH3FJRUX"),
        ] {
            let key = Secrets::key(&access_key_id, lane);
            assert_eq!(key, Item::from([("pk".to_owned(), string(pk))]));
            assert_eq!(Secrets::access_key_id(&key, lane), Some(access_key_id.clone()));
            assert_eq!(Secrets::access_key_id(&key, other), None);
        }
    }
}
