//! Orders and stops: what is committed about a breached key before anybody outside is asked anything.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};
use jiff::{SignedDuration, Timestamp};

use super::item::{string, timestamp};
use super::write::{IF_ABSENT, KEY_ITEM, Transaction, back_off, contended, made};
use super::{
    AuditEvent, Item, KeyItem, KeyState, Order, Owner, Providers, Receipt, RecordError, Secrets, Status, StatusName,
    sweep,
};
use crate::custody::Lane;
use crate::id::{AccessKeyId, OrderId};
use crate::runtime::Ambient;

/// What stopping a key came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopOutcome {
    /// This call stopped it: no mail is signed with it any more.
    Stopped,
    /// An order had stopped it before, and this one was noted on it.
    Noted,
    /// An order had stopped it before, and this one was on it already.
    Unchanged,
    /// Nobody has handed it over; a tombstone keeps it from being onboarded.
    Tombstoned,
}

/// After this time the sweep takes up an order and its stopped keys, whatever became of whoever wrote them.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Reads and writes of one stop before it gives up: each round means that another writer came first.
const ROUNDS: u32 = 5;

/// To `revoking` the only condition is that nobody has stopped it already.
const NOT_STOPPED: [StatusName; 2] = [StatusName::Active, StatusName::Suspended];
const IF_NOT_STOPPED: &str = "#status IN (:active, :suspended)";

const IF_NOT_NOTED: &str = "attribute_exists(pk) AND NOT contains(orders, :order_id)";

impl Providers {
    /// Writes an order, if its id is free. Otherwise the order that has it comes back, and nothing is written.
    ///
    /// It is due to be carried out again in a minute, by the sweep: whoever writes it may die before the stop.
    /// [`Providers::mark_executed`] takes that back.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item that has the id cannot be read.
    pub async fn place(&self, order: &Order) -> Result<Option<Order>, RecordError> {
        let mut item = order.item()?;
        sweep::mark(&mut item, sweep_after(order.created_at));
        let pk = Order::pk(&order.order_id);
        if self.create(pk.clone(), item).await? {
            return Ok(None);
        }
        self.order(&order.order_id).await?.map(Some).ok_or_else(|| contended(pk))
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
    ) -> Result<(StopOutcome, KeyItem), RecordError> {
        let mut with_provider = true;
        for round in 0..ROUNDS {
            let now = ambient.now();
            match self.key(access_key_id).await? {
                None => {
                    let tombstone = tombstone(access_key_id, order_id, now);
                    if self.create(KeyItem::pk(access_key_id), tombstone.item()?).await? {
                        return Ok((StopOutcome::Tombstoned, tombstone));
                    }
                }
                Some(key) if key.orders.contains(order_id) => return Ok((StopOutcome::Unchanged, key)),
                Some(mut key) if key.state.is_stopped() => {
                    if self.note(access_key_id, order_id).await? {
                        key.orders.insert(order_id.clone());
                        return Ok((StopOutcome::Noted, key));
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
                        Transaction::Made => {
                            key.state = KeyState::Revoking(None);
                            key.updated_at = now;
                            key.orders.insert(order_id.clone());
                            return Ok((StopOutcome::Stopped, key));
                        }
                        // The key dies whatever the provider's record says.
                        Transaction::Unmet(items) if items.iter().all(|(place, _)| *place != KEY_ITEM) => {
                            with_provider = false;
                        }
                        Transaction::Unmet(_) | Transaction::Contended => {}
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
        let pk = KeyItem::pk(&key.access_key_id);
        let stop_key = Update::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(KeyItem::SK))
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
            .expression_attribute_values(":next", timestamp(sweep_after(audit.at)))
            .expression_attribute_values(":sweep", string(sweep::PARTITION))
            .expression_attribute_values(":none", list(None))
            .expression_attribute_values(":order", list(Some(order_id)))
            .build()
            .map_err(RecordError::dynamodb("build Update", &pk))?;
        let mut writes =
            vec![TransactWriteItem::builder().update(stop_key).build(), secrets.shred(&key.access_key_id, Lane::Send)?];
        if let Some(owner) = &key.owner {
            writes.push(self.put(audit.item(&owner.provider_id, ambient)?)?);
        }
        if let Some(owner) = owner {
            let provider = (&owner.provider_id, &key.access_key_id);
            let revoking = Status::plain(StatusName::Revoking);
            writes.push(self.provider_status(provider, &NOT_STOPPED, &revoking, audit.at)?);
        }
        Ok(writes)
    }

    /// Writes an item, unless there is one already; answers whether.
    async fn create(&self, pk: String, item: Item) -> Result<bool, RecordError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).condition_expression(IF_ABSENT);
        made(put.send().await, "PutItem", pk)
    }

    /// Notes an order on a stopped key and touches nothing else, so it is in no worker's way.
    async fn note(&self, access_key_id: &AccessKeyId, order_id: &OrderId) -> Result<bool, RecordError> {
        let pk = KeyItem::pk(access_key_id);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(KeyItem::SK))
            .update_expression("SET orders = list_append(if_not_exists(orders, :none), :order)")
            .condition_expression(IF_NOT_NOTED)
            .expression_attribute_values(":order_id", string(order_id.as_str()))
            .expression_attribute_values(":none", list(None))
            .expression_attribute_values(":order", list(Some(order_id)))
            .send()
            .await;
        made(answer, "UpdateItem", pk)
    }
}

pub(super) fn sweep_after(now: Timestamp) -> Timestamp {
    now.saturating_add(SWEEP_AFTER).unwrap_or(now)
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
