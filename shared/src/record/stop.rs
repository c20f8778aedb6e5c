//! Orders and stops: what is committed about a breached key before anybody outside is asked anything.

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{Delete, TransactWriteItem, Update};
use jiff::{SignedDuration, Timestamp};

use super::item::string;
use super::table::{IF_ABSENT, cancelled_by_condition, timestamp};
use super::{
    AccessKeyId, AuditEvent, Key, Lane, Order, OrderId, Owner, Provider, Providers, Receipt, RecordError, Secrets,
    Status, StatusName,
};
use crate::runtime::Ambient;

/// What stopping a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// This call stopped it: no mail is signed with it any more.
    Stopped,
    /// An order had stopped it before, and this one was noted on it.
    Noted,
    /// An order had stopped it before, and this one was on it already.
    Unchanged,
    /// Nobody has handed it over; a tombstone keeps it from being onboarded.
    KeptOut,
}

/// After this time the sweep takes a stopped key up, should the message about it be lost with its sender.
const HANDED_ON_WITHIN: SignedDuration = SignedDuration::from_secs(60);

/// Reads and writes of one stop before it gives up: each round means that another writer came first.
const ROUNDS: u32 = 5;

/// To `revoking` the only condition is that nobody has stopped it already.
const IF_NOT_STOPPED: &str = "#status IN (:active, :suspended)";

/// The provider may send with another key by now: that one is not meant.
const IF_NOT_STOPPED_WITH_KEY: &str = "#status IN (:active, :suspended) AND access_key_id = :access_key_id";

const IF_NOT_NOTED: &str = "attribute_exists(pk) AND NOT contains(orders, :order_id)";

/// Place of the key item in the transaction.
const KEY_ITEM: usize = 0;

impl Providers {
    /// Writes an order, if its id is free. Otherwise the order that has it comes back, and nothing is written.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item that has the id cannot be read.
    pub async fn place(&self, order: &Order) -> Result<Option<Order>, RecordError> {
        let pk = Order::pk(&order.order_id);
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(order.item()?))
            .condition_expression(IF_ABSENT)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(None),
            Err(error) if error.code() == Some(CONDITION_FAILED) => self.order(&order.order_id).await,
            Err(error) => Err(RecordError::dynamodb("PutItem", pk)(error)),
        }
    }

    /// Stops a key for an order, in one transaction: key item and provider to `revoking`, the send lane shredded, an
    /// audit event. It needs no KMS. `by` is the function, for the audit trail.
    ///
    /// It can be repeated: a key that was stopped before only gets the order noted, and one that nobody has handed over
    /// gets a tombstone. Answers the key as it is now, too.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time: the key may still be in use.
    pub async fn stop(
        &self,
        access_key_id: &AccessKeyId,
        order_id: &OrderId,
        by: &str,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<(Stop, Key), RecordError> {
        let mut with_provider = true;
        for round in 0..ROUNDS {
            let now = ambient.now();
            match self.key(access_key_id).await? {
                None => {
                    let tombstone = tombstone(access_key_id, order_id, now);
                    if self.keep_out(&tombstone).await? {
                        return Ok((Stop::KeptOut, tombstone));
                    }
                }
                Some(key) if key.orders.contains(order_id) => return Ok((Stop::Unchanged, key)),
                Some(mut key) if key.state.status.is_stopped() => {
                    if self.note(access_key_id, order_id).await? {
                        key.orders.insert(order_id.clone());
                        return Ok((Stop::Noted, key));
                    }
                }
                Some(mut key) => {
                    let audit = AuditEvent {
                        event: "revoking",
                        at: now,
                        by: by.to_owned(),
                        reason: Some(order_id.to_string()),
                    };
                    let owner = key.owner.clone().filter(|_| with_provider);
                    let writes = self.stop_writes(&key, owner.as_ref(), order_id, &audit, secrets, ambient)?;
                    match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
                        Ok(_) => {
                            key.state = Status::plain(StatusName::Revoking);
                            key.updated_at = now;
                            key.orders.insert(order_id.clone());
                            return Ok((Stop::Stopped, key));
                        }
                        Err(error) => match cancelled_by_condition(&error) {
                            // The key dies whatever the provider's record says.
                            Some(failed) if failed.iter().all(|(index, _)| *index != KEY_ITEM) => with_provider = false,
                            Some(_) => {}
                            None if is_conflict(&error) => {}
                            None => {
                                return Err(RecordError::dynamodb("TransactWriteItems", Key::pk(access_key_id))(error));
                            }
                        },
                    }
                }
            }
            tokio::time::sleep(std::time::Duration::from_millis(20 + ambient.below(40 << round))).await;
        }
        Err(RecordError::dynamodb("TransactWriteItems", Key::pk(access_key_id))("other writers came first every time"))
    }

    fn stop_writes(
        &self,
        key: &Key,
        owner: Option<&Owner>,
        order_id: &OrderId,
        audit: &AuditEvent,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let pk = Key::pk(&key.access_key_id);
        let stop_key = Update::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Key::SK))
            .update_expression(
                "SET #status = :revoking, updated_at = :now, next_attempt_at = :next, sweep = :sweep, \
                 orders = list_append(if_not_exists(orders, :none), :order) REMOVE reason",
            )
            .condition_expression(IF_NOT_STOPPED)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":active", string(StatusName::Active.as_str()))
            .expression_attribute_values(":suspended", string(StatusName::Suspended.as_str()))
            .expression_attribute_values(":revoking", string(StatusName::Revoking.as_str()))
            .expression_attribute_values(":now", timestamp(audit.at))
            .expression_attribute_values(
                ":next",
                timestamp(audit.at.saturating_add(HANDED_ON_WITHIN).unwrap_or(audit.at)),
            )
            .expression_attribute_values(":sweep", string(Key::SWEEP))
            .expression_attribute_values(":none", list(None))
            .expression_attribute_values(":order", list(Some(order_id)))
            .build()
            .map_err(RecordError::dynamodb("build Update", &pk))?;
        let shred = Delete::builder()
            .table_name(&secrets.table)
            .set_key(Some(Secrets::key(&key.access_key_id, Lane::Send)))
            .build()
            .map_err(RecordError::dynamodb("build Delete", &pk))?;
        let mut writes = vec![
            TransactWriteItem::builder().update(stop_key).build(),
            TransactWriteItem::builder().delete(shred).build(),
        ];
        if let Some(owner) = &key.owner {
            writes.push(self.put(audit.item(&owner.provider_id, ambient)?)?);
        }
        if let Some(owner) = owner {
            let pk = Provider::pk(&owner.provider_id);
            let stop_provider = Update::builder()
                .table_name(&self.table)
                .key("pk", string(&pk))
                .key("sk", string(Provider::SK))
                .update_expression("SET #status = :revoking, updated_at = :now REMOVE reason")
                .condition_expression(IF_NOT_STOPPED_WITH_KEY)
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":active", string(StatusName::Active.as_str()))
                .expression_attribute_values(":suspended", string(StatusName::Suspended.as_str()))
                .expression_attribute_values(":revoking", string(StatusName::Revoking.as_str()))
                .expression_attribute_values(":access_key_id", string(key.access_key_id.as_str()))
                .expression_attribute_values(":now", timestamp(audit.at))
                .build()
                .map_err(RecordError::dynamodb("build Update", &pk))?;
            writes.push(TransactWriteItem::builder().update(stop_provider).build());
        }
        Ok(writes)
    }

    /// Writes a tombstone, unless the key item appeared meanwhile.
    async fn keep_out(&self, tombstone: &Key) -> Result<bool, RecordError> {
        let answer = self
            .client
            .put_item()
            .table_name(&self.table)
            .set_item(Some(tombstone.item()?))
            .condition_expression(IF_ABSENT)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if may_try_again(error.code()) => Ok(false),
            Err(error) => Err(RecordError::dynamodb("PutItem", Key::pk(&tombstone.access_key_id))(error)),
        }
    }

    /// Notes an order on a stopped key and touches nothing else, so it is in no worker's way.
    async fn note(&self, access_key_id: &AccessKeyId, order_id: &OrderId) -> Result<bool, RecordError> {
        let pk = Key::pk(access_key_id);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Key::SK))
            .update_expression("SET orders = list_append(if_not_exists(orders, :none), :order)")
            .condition_expression(IF_NOT_NOTED)
            .expression_attribute_values(":order_id", string(order_id.as_str()))
            .expression_attribute_values(":none", list(None))
            .expression_attribute_values(":order", list(Some(order_id)))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if may_try_again(error.code()) => Ok(false),
            Err(error) => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
        }
    }
}

/// DynamoDB's code for a condition that did not hold.
pub(super) const CONDITION_FAILED: &str = "ConditionalCheckFailedException";

/// Whether a single write met another writer: its condition failed, or the item is in somebody's transaction.
pub(super) fn may_try_again(code: Option<&str>) -> bool {
    matches!(code, Some(CONDITION_FAILED | "TransactionConflictException"))
}

/// Whether a transaction met another one. The SDK does not try again by itself.
pub(super) fn is_conflict<R>(
    error: &aws_smithy_runtime_api::client::result::SdkError<
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError,
        R,
    >,
) -> bool {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError as Error;
    match error.as_service_error() {
        Some(Error::TransactionCanceledException(cancelled)) => {
            cancelled.cancellation_reasons().iter().any(|reason| reason.code() == Some("TransactionConflict"))
        }
        Some(Error::TransactionInProgressException(_)) => true,
        _ => false,
    }
}

fn tombstone(access_key_id: &AccessKeyId, order_id: &OrderId, now: Timestamp) -> Key {
    Key {
        access_key_id: access_key_id.clone(),
        owner: None,
        state: Status::plain(StatusName::Reported),
        updated_at: now,
        orders: [order_id.clone()].into(),
        seen_alive: Default::default(),
        receipt: Receipt::default(),
        attempts: 0,
        next_attempt_at: None,
        sweep: None,
        untold: false,
    }
}

fn list(order_id: Option<&OrderId>) -> aws_sdk_dynamodb::types::AttributeValue {
    aws_sdk_dynamodb::types::AttributeValue::L(order_id.map(|id| string(id.as_str())).into_iter().collect())
}
