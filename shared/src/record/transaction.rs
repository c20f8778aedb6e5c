//! Conditional writes: what was not written, and whether another try is worth it.

use std::error::Error;
use std::time::Duration;

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    CancellationReason, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem, Update,
};
use jiff::Timestamp;

use super::item::{string, timestamp};
use super::{Item, Provider, Providers, RecordError, Status, StatusName};
use crate::id::{AccessKeyId, ProviderId};
use crate::runtime::Ambient;

/// A put that creates and never replaces.
pub(super) const IF_ABSENT: &str = "attribute_not_exists(pk)";

/// The provider may send with another key by now: that one is not meant.
const IF_WITH_KEY: &str = "access_key_id = :access_key_id";

/// Place of the key item in each transaction that has one.
pub(super) const KEY_ITEM: usize = 0;

/// What came of a transaction.
pub(super) enum Transaction {
    /// It was made.
    Made,
    /// Conditions did not hold: the places of those items, with what stood in their way.
    Unmet(Vec<(usize, Option<Item>)>),
    /// Others write the same items, or more than the table takes at once. Another try may go through, which the SDK does
    /// not make by itself.
    Contended,
}

impl Transaction {
    /// What an answer means; `None` where it is an error.
    fn of(error: &TransactWriteItemsError) -> Option<Self> {
        let cancelled = match error {
            TransactWriteItemsError::TransactionCanceledException(cancelled) => cancelled,
            TransactWriteItemsError::TransactionInProgressException(_) => return Some(Self::Contended),
            _ => return None,
        };
        let reasons = cancelled.cancellation_reasons();
        let unmet: Vec<_> = reasons
            .iter()
            .enumerate()
            .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
            .map(|(index, reason)| (index, reason.item().cloned()))
            .collect();
        if !unmet.is_empty() {
            return Some(Self::Unmet(unmet));
        }
        reasons.iter().any(is_contention).then_some(Self::Contended)
    }
}

/// Codes: DynamoDB API reference, "TransactWriteItems", cancellation reasons.
fn is_contention(reason: &CancellationReason) -> bool {
    matches!(reason.code(), Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded"))
}

impl Providers {
    /// Makes a transaction about the item at `pk`.
    pub(super) async fn transact(&self, pk: &str, writes: Vec<TransactWriteItem>) -> Result<Transaction, RecordError> {
        let answer = self.client.transact_write_items().set_transact_items(Some(writes)).send().await;
        let Err(error) = answer else { return Ok(Transaction::Made) };
        match error.as_service_error().and_then(Transaction::of) {
            Some(not_made) => Ok(not_made),
            None => Err(RecordError::dynamodb("TransactWriteItems", pk)(error)),
        }
    }

    /// A transaction's Put of an item into this table, without a condition.
    pub(super) fn put(&self, item: Item) -> Result<TransactWriteItem, RecordError> {
        self.put_if(item, None)
    }

    /// A transaction's Put of an item that is not there yet; the item that stands in its way comes back.
    pub(super) fn put_if_absent(&self, item: Item) -> Result<TransactWriteItem, RecordError> {
        self.put_if(item, Some(IF_ABSENT))
    }

    fn put_if(&self, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, RecordError> {
        let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .build()
            .map_err(RecordError::dynamodb("build Put", pk))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    /// A transaction's change of a provider's status, if it sends with this key and, where `from` names any, has one of
    /// these statuses.
    pub(super) fn provider_status(
        &self,
        (provider_id, access_key_id): (&ProviderId, &AccessKeyId),
        from: &[StatusName],
        to: &Status,
        at: Timestamp,
    ) -> Result<TransactWriteItem, RecordError> {
        let pk = Provider::pk(provider_id);
        let mut update = Update::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Provider::SK))
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":status", string(to.status.as_str()))
            .expression_attribute_values(":now", timestamp(at))
            .expression_attribute_values(":access_key_id", string(access_key_id.as_str()));
        update = match &to.reason {
            Some(reason) => update
                .update_expression("SET #status = :status, updated_at = :now, reason = :reason")
                .expression_attribute_values(":reason", string(reason)),
            None => update.update_expression("SET #status = :status, updated_at = :now REMOVE reason"),
        };
        let mut condition = IF_WITH_KEY.to_owned();
        if !from.is_empty() {
            let names: Vec<String> = from.iter().map(|status| format!(":{}", status.as_str())).collect();
            condition.push_str(&format!(" AND #status IN ({})", names.join(", ")));
            for (name, status) in names.into_iter().zip(from) {
                update = update.expression_attribute_values(name, string(status.as_str()));
            }
        }
        let update =
            update.condition_expression(condition).build().map_err(RecordError::dynamodb("build Update", pk))?;
        Ok(TransactWriteItem::builder().update(update).build())
    }
}

/// Whether a conditional write of one item was made. It was not, where its condition does not hold, or the item is in
/// somebody's transaction.
pub(super) fn made<T, E>(
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

/// Other writers came first every time.
pub(super) fn contended(pk: impl Into<String>) -> RecordError {
    RecordError::dynamodb("TransactWriteItems", pk)("other writers came first every time")
}

/// Waits before another try: twice as long each round, and at random, so that two writers do not meet again.
pub(super) async fn back_off(round: u32, ambient: &Ambient) {
    tokio::time::sleep(Duration::from_millis(20 + ambient.below(40 << round))).await;
}

#[cfg(test)]
mod tests {
    use aws_sdk_dynamodb::types::error::TransactionCanceledException;

    use super::*;

    #[test]
    fn a_transaction_is_tried_again_for_what_passes_and_for_nothing_else() {
        let cancelled = |codes: &[&str]| {
            let reasons = codes.iter().map(|code| CancellationReason::builder().code(*code).build()).collect();
            let cancelled = TransactionCanceledException::builder().set_cancellation_reasons(Some(reasons)).build();
            match Transaction::of(&TransactWriteItemsError::TransactionCanceledException(cancelled)) {
                Some(Transaction::Made) => "made".to_owned(),
                Some(Transaction::Unmet(places)) => {
                    format!("unmet {:?}", places.iter().map(|(place, _)| *place).collect::<Vec<_>>())
                }
                Some(Transaction::Contended) => "contended".to_owned(),
                None => "error".to_owned(),
            }
        };
        let cases = [
            (["TransactionConflict", "None"], "contended"),
            (["None", "ThrottlingError"], "contended"),
            (["ProvisionedThroughputExceeded", "None"], "contended"),
            (["None", "ConditionalCheckFailed"], "unmet [1]"),
            (["ConditionalCheckFailed", "ThrottlingError"], "unmet [0]"),
            (["ValidationError", "None"], "error"),
            (["ItemCollectionSizeLimitExceeded", "None"], "error"),
        ];
        for (codes, expected) in cases {
            assert_eq!(cancelled(&codes), expected, "{codes:?}");
        }
    }
}
