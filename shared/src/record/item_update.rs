//! A conditional update of one item in the Providers table, alone or as part of a transaction.

use std::collections::HashMap;
use std::error::Error;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::item::string;
use super::{Item, KeyItem, Providers, RecordError};
use crate::id::AccessKeyId;

/// An update of one item, made only if its condition holds.
pub(super) struct ItemUpdate {
    pk: String,
    sk: String,
    pub(super) expression: String,
    pub(super) condition: String,
    pub(super) names: HashMap<String, String>,
    pub(super) values: Item,
}

impl ItemUpdate {
    /// An update of the item with this key.
    pub(super) fn new(
        pk: impl Into<String>,
        sk: impl Into<String>,
        expression: impl Into<String>,
        condition: impl Into<String>,
    ) -> Self {
        Self {
            pk: pk.into(),
            sk: sk.into(),
            expression: expression.into(),
            condition: condition.into(),
            names: HashMap::new(),
            values: Item::new(),
        }
    }

    /// An update of a key item.
    pub(super) fn for_key(
        access_key_id: &AccessKeyId,
        expression: impl Into<String>,
        condition: impl Into<String>,
    ) -> Self {
        Self::new(KeyItem::pk(access_key_id), KeyItem::SK, expression, condition)
    }

    /// Gives an attribute a placeholder, such as `#status`.
    #[must_use]
    pub(super) fn name(mut self, placeholder: impl Into<String>, attribute: &str) -> Self {
        self.names.insert(placeholder.into(), attribute.to_owned());
        self
    }

    /// Gives a value a placeholder, such as `:status`.
    #[must_use]
    pub(super) fn value(mut self, placeholder: impl Into<String>, value: AttributeValue) -> Self {
        self.values.insert(placeholder.into(), value);
        self
    }

    fn key(&self) -> Item {
        Item::from([("pk".to_owned(), string(&self.pk)), ("sk".to_owned(), string(&self.sk))])
    }

    /// DynamoDB does not accept an empty map of names.
    fn take_names(&mut self) -> Option<HashMap<String, String>> {
        Some(std::mem::take(&mut self.names)).filter(|names| !names.is_empty())
    }

    /// Nor of values.
    fn take_values(&mut self) -> Option<Item> {
        Some(std::mem::take(&mut self.values)).filter(|values| !values.is_empty())
    }
}

impl Providers {
    /// Makes the update if its condition holds. Returns whether it was made.
    ///
    /// # Errors
    /// DynamoDB did not answer: the update may or may not have been made.
    pub(super) async fn update(&self, mut update: ItemUpdate) -> Result<bool, RecordError> {
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .set_key(Some(update.key()))
            .set_expression_attribute_names(update.take_names())
            .set_expression_attribute_values(update.take_values())
            .update_expression(update.expression)
            .condition_expression(update.condition)
            .send()
            .await;
        is_made(answer, "UpdateItem", update.pk)
    }

    /// The update as a part of a transaction.
    pub(super) fn update_in_transaction(&self, mut update: ItemUpdate) -> Result<TransactWriteItem, RecordError> {
        let part = Update::builder()
            .table_name(&self.table)
            .set_key(Some(update.key()))
            .set_expression_attribute_names(update.take_names())
            .set_expression_attribute_values(update.take_values())
            .update_expression(update.expression)
            .condition_expression(update.condition)
            .build()
            .map_err(RecordError::dynamodb("build Update", update.pk))?;
        Ok(TransactWriteItem::builder().update(part).build())
    }
}

/// Whether a conditional write of one item was made. It was not if its condition does not hold, or if a transaction of
/// another writer holds the item.
pub(super) fn is_made<T, E>(
    answer: Result<T, SdkError<E>>,
    operation: &'static str,
    pk: impl Into<String>,
) -> Result<bool, RecordError>
where
    E: Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    match answer {
        Ok(_) => Ok(true),
        Err(error) => match error.code() {
            Some("ConditionalCheckFailedException" | "TransactionConflictException") => Ok(false),
            _ => Err(RecordError::dynamodb(operation, pk)(error)),
        },
    }
}
