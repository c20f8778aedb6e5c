//! BatchGetItem, complete and consistent.

use std::collections::HashMap;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::KeysAndAttributes;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use tokio::time::sleep;

use super::provider::PROVIDER_ATTRIBUTES;
use super::{Item, Providers, RecordError, Secrets};

/// How often keys that DynamoDB left unprocessed are requested, and the pause before the second time; each further pause
/// is twice as long.
const MAX_ROUNDS: u32 = 6;
const FIRST_PAUSE: Duration = Duration::from_millis(20);

impl Providers {
    /// All items with these keys that exist, read consistently. At most 100 keys (DynamoDB API, `BatchGetItem`).
    ///
    /// # Errors
    /// DynamoDB did not answer, or left keys unprocessed again and again.
    pub async fn batch_get(&self, keys: Vec<Item>) -> Result<Vec<Item>, RecordError> {
        batch_get(&self.client, &self.table, KeysAndAttributes::builder().set_keys(Some(keys))).await
    }

    /// The items that [`Providers::batch_get`] reads, with no other attributes than what a halt and a [`Provider`](super::Provider) are
    /// read from.
    ///
    /// # Errors
    /// As there.
    pub async fn batch_get_without_reports(&self, keys: Vec<Item>) -> Result<Vec<Item>, RecordError> {
        // Some of them are reserved words.
        let names: HashMap<String, String> = ["pk", "halted"]
            .into_iter()
            .chain(PROVIDER_ATTRIBUTES)
            .map(|name| (format!("#{name}"), name.to_owned()))
            .collect();
        let request = KeysAndAttributes::builder()
            .set_keys(Some(keys))
            .projection_expression(names.keys().map(String::as_str).collect::<Vec<_>>().join(", "))
            .set_expression_attribute_names(Some(names));
        batch_get(&self.client, &self.table, request).await
    }
}

impl Secrets {
    /// All items with these keys that exist, read consistently. At most 100 keys (DynamoDB API, `BatchGetItem`).
    ///
    /// # Errors
    /// DynamoDB did not answer, or left keys unprocessed again and again.
    pub async fn batch_get(&self, keys: Vec<Item>) -> Result<Vec<Item>, RecordError> {
        batch_get(&self.client, &self.table, KeysAndAttributes::builder().set_keys(Some(keys))).await
    }
}

async fn batch_get(client: &Client, table: &str, request: KeysAndAttributesBuilder) -> Result<Vec<Item>, RecordError> {
    let request = request.consistent_read(true).build().map_err(RecordError::dynamodb("build BatchGetItem", table))?;
    let mut remaining = HashMap::from([(table.to_owned(), request)]);
    let mut items = Vec::new();
    for round in 0..MAX_ROUNDS {
        if round > 0 {
            sleep(FIRST_PAUSE * 2_u32.pow(round - 1)).await;
        }
        // Boxed, so that the futures around it stay small: each of them is moved when it is awaited.
        let answer = Box::pin(client.batch_get_item().set_request_items(Some(remaining)).send())
            .await
            .map_err(RecordError::dynamodb("BatchGetItem", table))?;
        items.extend(answer.responses.unwrap_or_default().into_values().flatten());
        remaining = answer.unprocessed_keys.unwrap_or_default();
        if remaining.is_empty() {
            return Ok(items);
        }
    }
    Err(RecordError::dynamodb("BatchGetItem", table)("DynamoDB left keys unprocessed again and again"))
}
