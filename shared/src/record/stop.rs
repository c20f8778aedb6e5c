//! Orders and stops: what is committed about a breached key before anybody outside is called.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;

use super::item::{string, timestamp};
use super::item_update::{ItemUpdate, is_made};
use super::transaction::{IF_ABSENT, KEY_ITEM, Transaction, back_off, contended};
use super::{
    AuditEvent, Item, KeyItem, KeyState, Order, Owner, Providers, Receipt, RecordError, Secrets, Status, StatusName,
    sweep_index,
};
use crate::custody::Lane;
use crate::id::{AccessKeyId, OrderId};
use crate::runtime::Ambient;

/// What stopping a key did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// This call stopped it: no mail is signed with it any more.
    Stopped,
    /// An earlier order had stopped it; this one was added to it.
    OrderAdded,
    /// An earlier call had stopped it for this order.
    Unchanged,
    /// It was never onboarded; a tombstone keeps it from being onboarded.
    Tombstoned,
}

/// Attempts to stop a key. Each further one means that another writer came first.
const MAX_ATTEMPTS: u32 = 5;

/// The only condition on a stop is that nobody has stopped the key before.
const NOT_STOPPED: [StatusName; 2] = [StatusName::Active, StatusName::Suspended];
const IF_NOT_STOPPED: &str = "#status IN (:active, :suspended)";

const IF_ORDER_MISSING: &str = "attribute_exists(pk) AND NOT contains(orders, :order_id)";

impl Providers {
    /// Writes an order if its id is free. Returns the order that has the id now: this one, or an earlier one.
    ///
    /// The sweep executes it again in a minute, because whoever writes it may die before the stop.
    /// [`Providers::mark_executed`] cancels that.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item that has the id cannot be read.
    pub async fn create_order(&self, order: Order) -> Result<Order, RecordError> {
        let mut item = order.to_item()?;
        sweep_index::add(&mut item, sweep_index::due_after(order.created_at));
        let pk = Order::pk(&order.order_id);
        if self.create(pk.clone(), item).await? {
            return Ok(order);
        }
        self.order(&order.order_id).await?.ok_or_else(|| contended(pk))
    }

    /// Stops a key for an order, in one transaction: key item and provider become `revoking`, the send lane is shredded,
    /// an audit event is written. It does not need KMS. `by` is the function, for the audit trail.
    ///
    /// It can be repeated: a key that was stopped before only gets the order added, and one that was never onboarded gets
    /// a tombstone. Returns the key as it is now, too.
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
    ) -> Result<(StopOutcome, KeyItem), RecordError> {
        let mut with_provider = true;
        for round in 0..MAX_ATTEMPTS {
            let now = ambient.now();
            match self.key(access_key_id).await? {
                None => {
                    let tombstone = tombstone(access_key_id, order_id, now);
                    if self.create(KeyItem::pk(access_key_id), tombstone.to_item()?).await? {
                        return Ok((StopOutcome::Tombstoned, tombstone));
                    }
                }
                Some(key) if key.orders.contains(order_id) => return Ok((StopOutcome::Unchanged, key)),
                Some(mut key) if key.state.is_stopped() => {
                    if self.add_order(access_key_id, order_id).await? {
                        key.orders.insert(order_id.clone());
                        return Ok((StopOutcome::OrderAdded, key));
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
                    match self.transact(&KeyItem::pk(access_key_id), writes).await? {
                        Transaction::Committed => {
                            key.state = KeyState::Revoking(None);
                            key.updated_at = now;
                            key.orders.insert(order_id.clone());
                            return Ok((StopOutcome::Stopped, key));
                        }
                        // The key is stopped whatever the provider's record says.
                        Transaction::ConditionFailed(items) if items.iter().all(|(place, _)| *place != KEY_ITEM) => {
                            with_provider = false;
                        }
                        Transaction::ConditionFailed(_) | Transaction::Contended => {}
                    }
                }
            }
            back_off(round, ambient).await;
        }
        Err(contended(KeyItem::pk(access_key_id)))
    }

    fn stop_writes(
        &self,
        key: &KeyItem,
        owner: Option<&Owner>,
        order_id: &OrderId,
        audit: &AuditEvent,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let stop_key = ItemUpdate::for_key(
            &key.access_key_id,
            "SET #status = :revoking, updated_at = :now, next_attempt_at = :next, sweep = :sweep, \
             orders = list_append(if_not_exists(orders, :none), :order) REMOVE reason",
            IF_NOT_STOPPED,
        )
        .name("#status", "status")
        .value(":active", string(StatusName::Active.as_str()))
        .value(":suspended", string(StatusName::Suspended.as_str()))
        .value(":revoking", string(StatusName::Revoking.as_str()))
        .value(":now", timestamp(audit.at))
        .value(":next", timestamp(sweep_index::due_after(audit.at)))
        .value(":sweep", string(sweep_index::PARTITION))
        .value(":none", list(None))
        .value(":order", list(Some(order_id)));
        let mut writes = vec![self.update_in_transaction(stop_key)?, secrets.shred(&key.access_key_id, Lane::Send)?];
        if let Some(owner) = &key.owner {
            writes.push(self.put(audit.to_item(&owner.provider_id, ambient)?)?);
        }
        if let Some(owner) = owner {
            let provider = (&owner.provider_id, &key.access_key_id);
            let revoking = Status::plain(StatusName::Revoking);
            writes.push(self.provider_status(provider, &NOT_STOPPED, &revoking, audit.at)?);
        }
        Ok(writes)
    }

    /// Writes an item unless there is one with its key. Returns whether it was written.
    async fn create(&self, pk: String, item: Item) -> Result<bool, RecordError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).condition_expression(IF_ABSENT);
        is_made(put.send().await, "PutItem", pk)
    }

    /// Adds an order to a stopped key. It changes nothing else, so it does not conflict with a worker's progress.
    async fn add_order(&self, access_key_id: &AccessKeyId, order_id: &OrderId) -> Result<bool, RecordError> {
        let update = ItemUpdate::for_key(
            access_key_id,
            "SET orders = list_append(if_not_exists(orders, :none), :order)",
            IF_ORDER_MISSING,
        )
        .value(":order_id", string(order_id.as_str()))
        .value(":none", list(None))
        .value(":order", list(Some(order_id)));
        self.update(update).await
    }
}

fn tombstone(access_key_id: &AccessKeyId, order_id: &OrderId, now: Timestamp) -> KeyItem {
    KeyItem {
        access_key_id: access_key_id.clone(),
        owner: None,
        state: KeyState::Reported,
        updated_at: now,
        orders: [order_id.clone()].into(),
        seen_alive: Default::default(),
        receipt: Receipt::default(),
        attempts: 0,
        next_attempt_at: None,
        notification_pending: false,
    }
}

fn list(order_id: Option<&OrderId>) -> AttributeValue {
    AttributeValue::L(order_id.map(|id| string(id.as_str())).into_iter().collect())
}
