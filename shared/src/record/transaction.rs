//! Transactions: several writes, or none, and whether another attempt may succeed.

use std::time::Duration;

use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    AttributeValue, CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::{Item, Providers, RecordError};
use crate::runtime::Ambient;

/// The condition of a put that creates an item and never replaces one.
pub(super) const IF_ABSENT: &str = "attribute_not_exists(pk)";

/// The position of the key item in each transaction that has one.
pub(super) const KEY_ITEM: usize = 0;

/// The outcome of a transaction.
pub(super) enum Transaction {
    /// All writes were made.
    Committed,
    /// Conditions did not hold: the positions of those writes, each with the item that it found.
    ConditionFailed(Vec<(usize, Option<Item>)>),
    /// Others write the same items, or more than the table accepts at once. Another attempt may succeed; the SDK does not
    /// make it by itself.
    Contended,
}

impl Transaction {
    /// Reads DynamoDB's answer; `None` if it is an error.
    fn from_error(error: &TransactWriteItemsError) -> Option<Self> {
        let cancelled = match error {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled,
            TransactWriteItemsError::TransactionInProgressException(_) => return Some(Self::Contended),
            _ => return None,
        };
        let reasons = cancelled.cancellation_reasons();
        let failed: Vec<_> = reasons
            .iter()
            .enumerate()
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
            .map(|(index, reason)| (index, reason.item().cloned()))
            .collect();
        if !failed.is_empty() {
            return Some(Self::ConditionFailed(failed));
        }
        reasons.iter().any(is_contention).then_some(Self::Contended)
    }
}

/// Codes: DynamoDB API reference, "TransactWriteItems", cancellation reasons.
fn is_contention(reason: &CancellationReason) -> bool {
    matches!(reason.code(), Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

impl Providers {
    /// Makes the writes in one transaction. `pk` names the item that they are about, for errors.
    pub(super) async fn transact(&self, pk: &str, writes: Vec<TransactWriteItem>) -> Result<Transaction, RecordError> {
        let answer = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        let Err(error) = answer else { return Ok(Transaction::Committed) };
        match error.as_service_error().and_then(Transaction::from_error) {
            Some(outcome) => Ok(outcome),
            None => Err(RecordError::dynamodb("TransactWriteItems", pk)(error)),
        }
    }

    /// A Put of an item as a part of a transaction, without a condition.
    pub(super) fn put(&self, item: Item) -> Result<TransactWriteItem, RecordError> {
        self.put_if(item, None, None)
    }

    /// A Put of an item as a part of a transaction, if there is none with its key. If there is one, the transaction
    /// returns it.
    pub(super) fn put_if_absent(&self, item: Item) -> Result<TransactWriteItem, RecordError> {
        self.put_if(item, Some(IF_ABSENT), None)
    }

    /// A Put of an item as a part of a transaction, if the condition holds; `value` is what it compares with.
    pub(super) fn put_if(
        &self,
        item: Item,
        condition: Option<&str>,
        value: Option<(&str, AttributeValue)>,
    ) -> Result<TransactWriteItem, RecordError> {
        let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .set_expression_attribute_values(value.map(|(name, value)| Item::from([(name.to_owned(), value)])))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(RecordError::dynamodb("build Put", pk))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }
}

/// The error after the last attempt: other writers came first every time.
pub(super) fn contended(pk: impl Into<String>) -> RecordError {
    RecordError::dynamodb("TransactWriteItems", pk)("other writers came first every time")
}

/// Waits before another attempt: at most twice as long each round, and at random, so that two writers do not meet again.
pub(super) async fn back_off(round: u32, ambient: &Ambient) {
    tokio::time::sleep(Duration::from_millis(20 + ambient.below(40 << round))).await;
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;

    use super::*;

    #[test]
    fn only_a_transaction_that_met_other_writers_is_retried() {
        let cancelled = |codes: &[&str]| {
            let reasons = codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
            let cancelled = TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons)).build();
            match Transaction::from_error(&TransactWriteItemsError::TransactionCanceledException(cancelled)) {
                Some(Transaction::Committed) => "committed".to_owned(),
                Some(Transaction::ConditionFailed(places)) => {
                    format!("failed {:?}", places.iter().map(|(place, _)| *place).collect::<Vec<_>>())
                }
                Some(Transaction::Contended) => "contended".to_owned(),
                None => "error".to_owned(),
            }
        };
        let cases = [
            (["TransactionConflict", "None"], "contended"),
            (["None", "ThrottlingError"], "contended"),
            (["ProvisionedThroughputExceeded", "None"], "contended"),
            (["None", "ConditionalCheckFailed"], "failed [1]"),
            (["ConditionalCheckFailed", "ThrottlingError"], "failed [0]"),
            (["ValidationError", "None"], "error"),
            (["ItemCollectionSizeLimitExceeded", "None"], "error"),
        ];
        for (codes, expected) in cases {
            assert_eq!(cancelled(&codes), expected, "{codes:?}");
        }
    }
}
