//! Orders and stops: what is committed about a breached key before anybody outside is called.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::Timestamp;

use super::item::{string, timestamp};
use super::item_update::{ItemUpdate, is_made};
use super::transaction::{IF_ABSENT, KEY_ITEM, Transaction, back_off, contended};
use super::{
    AuditEvent, Item, KeyItem, KeyState, MAX_ORDERS, Order, Owner, Provider, Providers, RecordError, Secrets, Status,
    StatusName, StopEffect, sweep_index,
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
    /// An earlier order had stopped it; so many orders came at once that this one is not in the key's list. It finds the key
    /// all the same.
    OrderNotListed,
    /// An earlier call had stopped it for this order.
    Unchanged,
    /// It was never onboarded; a tombstone keeps it from being onboarded.
    Tombstoned,
}

/// What the stop of a key reaches beside the key.
enum StopReach {
    /// The provider as it was read, and what becomes of it.
    Provider(Box<(Provider, StopEffect)>),
    /// A provider whose item cannot be read, so that nothing is known of another key.
    UnreadableProvider,
    /// Nothing.
    KeyAlone,
}

impl StopReach {
    /// Whether the provider goes on without the key.
    fn leaves_provider(&self) -> bool {
        let Self::Provider(reached) = self else { return false };
        match reached.as_ref() {
            (_, StopEffect::GoesOn { .. }) => true,
            (provider, StopEffect::Unchanged) => !provider.is_stopped(),
            (_, StopEffect::Stopped(_)) => false,
        }
    }
}

/// Attempts to stop a key. Each further one means that another writer came first.
const MAX_ATTEMPTS: u32 = 5;

/// How often the provider may have changed since it was read before the key is stopped without it.
const MAX_PROVIDER_READS: u32 = 3;

/// The only condition on a stop is that nobody has stopped the key before.
const NOT_STOPPED: [StatusName; 2] = [StatusName::Active, StatusName::Suspended];
const IF_NOT_STOPPED: &str = "#status IN (:active, :suspended)";

/// Adds an order to the list of a key that has room for it.
const APPEND_ORDER: &str = "orders = list_append(if_not_exists(orders, :none), :order), \
                            order_count = if_not_exists(order_count, :zero) + :one";
const IF_ORDER_MISSING: &str = "attribute_exists(pk) AND NOT contains(orders, :order_id)";

impl Providers {
    /// Writes an order if its id is free. Returns the order that has the id now: this one, or an earlier one.
    ///
    /// The sweep executes it again in a minute, because whoever writes it may die before the stop.
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
    /// A provider that has another verified key goes on with that ([`Provider::stop_effect`]).
    ///
    /// It can be repeated: a key that was stopped before only gets the order added, and one that was never onboarded gets
    /// a tombstone. Returns the key as it is now, too.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time: the key may still be in use.
    pub async fn stop(
        &self,
        access_key_id: &AccessKeyId,
        order: &Order,
        by: &str,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<(StopOutcome, KeyItem), RecordError> {
        let order_id = &order.order_id;
        let mut provider_changes = 0;
        let mut stopped_before = None;
        for round in 0..MAX_ATTEMPTS {
            let now = ambient.now();
            match self.key(access_key_id).await? {
                None => {
                    let mut tombstone = KeyItem::new(access_key_id.clone(), None, KeyState::UnknownKey, now);
                    tombstone.orders.push(order_id.clone());
                    tombstone.order_count = 1;
                    if self.create(KeyItem::pk(access_key_id), tombstone.to_item()?).await? {
                        return Ok((StopOutcome::Tombstoned, tombstone));
                    }
                }
                Some(key) if key.orders.contains(order_id) && knows_wishes(&key, order) => {
                    return Ok((StopOutcome::Unchanged, key));
                }
                Some(mut key) if key.state.is_stopped() => {
                    let update = add_order(&key, order);
                    if self.update(update).await? {
                        key.orders.push(order_id.clone());
                        key.remove_identity_policies |= order.remove_identity_policies;
                        return Ok((StopOutcome::OrderAdded, key));
                    }
                    stopped_before = Some(key);
                }
                Some(mut key) => {
                    let reach = match &key.owner {
                        Some(owner) if provider_changes < MAX_PROVIDER_READS => {
                            self.reach_of_stop(access_key_id, owner, order, now).await?
                        }
                        _ => StopReach::KeyAlone,
                    };
                    key.retired = reach.leaves_provider();
                    let audit = AuditEvent {
                        event: if key.retired { "key_revoking" } else { "revoking" },
                        at: now,
                        by: by.to_owned(),
                        reason: Some(order_id.to_string()),
                    };
                    let writes = self.stop_writes(&key, &reach, order, &audit, secrets, ambient)?;
                    match self.transact(&KeyItem::pk(access_key_id), writes).await? {
                        Transaction::Committed => {
                            key.state = KeyState::Revoking(None);
                            key.updated_at = now;
                            key.orders.push(order_id.clone());
                            key.remove_identity_policies |= order.remove_identity_policies;
                            return Ok((StopOutcome::Stopped, key));
                        }
                        // The key is stopped whatever the provider's record says.
                        Transaction::ConditionFailed(items) if items.iter().all(|(place, _)| *place != KEY_ITEM) => {
                            provider_changes += 1;
                        }
                        Transaction::ConditionFailed(_) | Transaction::Contended => {}
                    }
                }
            }
            back_off(round, ambient).await;
        }
        // The list is for people. What counts is that the key is stopped.
        match stopped_before {
            Some(key) if knows_wishes(&key, order) => Ok((StopOutcome::OrderNotListed, key)),
            _ => Err(contended(KeyItem::pk(access_key_id))),
        }
    }

    /// What the stop of a key does to its provider, as that is now. A provider that cannot be read is stopped.
    async fn reach_of_stop(
        &self,
        access_key_id: &AccessKeyId,
        owner: &Owner,
        order: &Order,
        now: Timestamp,
    ) -> Result<StopReach, RecordError> {
        let provider = match self.provider(&owner.provider_id).await {
            Ok(Some(provider)) => provider,
            Ok(None) => return Ok(StopReach::KeyAlone),
            Err(RecordError::Shape { .. }) => return Ok(StopReach::UnreadableProvider),
            Err(error) => return Err(error),
        };
        let effect = provider.stop_effect(access_key_id, &order.scope, &order.order_id, now);
        Ok(StopReach::Provider(Box::new((provider, effect))))
    }

    fn stop_writes(
        &self,
        key: &KeyItem,
        reach: &StopReach,
        order: &Order,
        audit: &AuditEvent,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let stop_key = ItemUpdate::for_key(
            &key.access_key_id,
            format!(
                "SET #status = :revoking, updated_at = :now, next_attempt_at = :next, sweep = :sweep, \
                 remove_identity_policies = :remove, retired = :retired, {APPEND_ORDER} REMOVE reason"
            ),
            IF_NOT_STOPPED,
        )
        .name("#status", "status")
        .value(":active", string(StatusName::Active.as_str()))
        .value(":suspended", string(StatusName::Suspended.as_str()))
        .value(":revoking", string(StatusName::Revoking.as_str()))
        .value(":now", timestamp(audit.at))
        .value(":next", timestamp(sweep_index::due_after(audit.at)))
        .value(":sweep", string(sweep_index::PARTITION))
        .value(":remove", AttributeValue::Bool(order.remove_identity_policies))
        .value(":retired", AttributeValue::Bool(key.retired));
        let stop_key = with_appended(stop_key, &order.order_id);
        let mut writes = vec![self.update_in_transaction(stop_key)?, secrets.shred(&key.access_key_id, Lane::Send)?];
        if let Some(owner) = &key.owner {
            writes.push(self.put(audit.to_item(&owner.provider_id, ambient)?)?);
        }
        match (reach, &key.owner) {
            (StopReach::Provider(reached), _) => match reached.as_ref() {
                (provider, StopEffect::Stopped(failed)) => {
                    writes.extend(self.provider_writes_of_stop(provider, failed.as_ref(), audit.at)?);
                }
                (provider, StopEffect::GoesOn { serve, rotation }) => {
                    writes.extend(self.rotation_writes_of_stop(provider, *serve, rotation, audit.at)?);
                }
                // A key that its provider does not use comes into no use again.
                (_, StopEffect::Unchanged) => {}
            },
            (StopReach::UnreadableProvider, Some(owner)) => {
                let provider = (&owner.provider_id, &key.access_key_id);
                let revoking = Status::plain(StatusName::Revoking);
                writes.push(self.provider_status(provider, &NOT_STOPPED, &revoking, audit.at)?);
            }
            (StopReach::UnreadableProvider | StopReach::KeyAlone, _) => {}
        }
        Ok(writes)
    }

    /// Writes an item unless there is one with its key. Returns whether it was written.
    async fn create(&self, pk: String, item: Item) -> Result<bool, RecordError> {
        let put = self.client.put_item().table_name(&self.table).set_item(Some(item)).condition_expression(IF_ABSENT);
        is_made(put.send().await, "PutItem", pk)
    }
}

/// Whether a key item says what the order asks for beside the deletion.
fn knows_wishes(key: &KeyItem, order: &Order) -> bool {
    key.remove_identity_policies || !order.remove_identity_policies
}

/// Adds an order to a stopped key. It changes nothing that a worker writes, so it does not conflict with progress.
fn add_order(key: &KeyItem, order: &Order) -> ItemUpdate {
    const REMOVE_POLICIES: &str = "remove_identity_policies = :remove";
    let order_id = &order.order_id;
    let (access_key_id, remove) = (&key.access_key_id, AttributeValue::Bool(true));
    if key.orders.contains(order_id) {
        let expression = format!("SET {REMOVE_POLICIES}");
        return ItemUpdate::for_key(access_key_id, expression, "attribute_exists(pk)").value(":remove", remove);
    }
    let wishes = if order.remove_identity_policies { format!(", {REMOVE_POLICIES}") } else { String::new() };
    let update = if key.orders.len() < MAX_ORDERS {
        let update = ItemUpdate::for_key(access_key_id, format!("SET {APPEND_ORDER}{wishes}"), IF_ORDER_MISSING);
        with_appended(update, order_id)
    } else {
        // DynamoDB does not remove an element and append another one in one update: their paths overlap.
        let latest = key.orders.iter().skip(key.orders.len() + 1 - MAX_ORDERS).chain([order_id]);
        ItemUpdate::for_key(
            access_key_id,
            format!("SET orders = :orders, order_count = :count{wishes}"),
            format!("{IF_ORDER_MISSING} AND order_count = :read_count"),
        )
        .value(":orders", list(latest))
        .value(":read_count", number(key.order_count))
        .value(":count", number(key.order_count.saturating_add(1)))
    };
    let update = update.value(":order_id", string(order_id.as_str()));
    if order.remove_identity_policies { update.value(":remove", remove) } else { update }
}

/// The values of [`APPEND_ORDER`].
fn with_appended(update: ItemUpdate, order_id: &OrderId) -> ItemUpdate {
    update.value(":none", list([])).value(":order", list([order_id])).value(":zero", number(0)).value(":one", number(1))
}

fn list<'a>(order_ids: impl IntoIterator<Item = &'a OrderId>) -> AttributeValue {
    AttributeValue::L(order_ids.into_iter().map(|id| string(id.as_str())).collect())
}

fn number(number: u32) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;

    use super::*;
    use crate::runtime::ulid_at;

    fn order_id(number: u32) -> OrderId {
        OrderId::parse(&format!("rvk_{}", ulid_at(Timestamp::UNIX_EPOCH, u128::from(number)))).unwrap()
    }

    fn order(number: u32, remove_identity_policies: bool) -> Order {
        serde_json::from_value(json!({
            "order_id": order_id(number), "scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"}, "reason": "leaked",
            "reported_by": "ops", "created_at": "2026-11-23T10:00:01Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
            "remove_identity_policies": remove_identity_policies,
        }))
        .unwrap()
    }

    fn stopped_by(orders: u32) -> KeyItem {
        let id = AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap();
        let mut key = KeyItem::new(id, None, KeyState::Revoking(None), Timestamp::UNIX_EPOCH);
        key.orders = (0..orders).map(order_id).collect();
        key.order_count = orders;
        key
    }

    #[test]
    fn the_list_of_orders_keeps_the_latest_and_counts_all() {
        let max = u32::try_from(MAX_ORDERS).unwrap();
        let with_room = add_order(&stopped_by(max - 1), &order(900, false));
        assert_eq!(with_room.expression, format!("SET {APPEND_ORDER}"));
        // Concurrent orders may have made the list longer than it should be.
        for orders in [max, max + 3] {
            let full = add_order(&stopped_by(orders), &order(900, false));
            let AttributeValue::L(list) = &full.values[":orders"] else { panic!("no list") };
            assert_eq!(list.len(), MAX_ORDERS);
            assert_eq!(list[0], string(order_id(orders + 1 - max).as_str()));
            assert_eq!(list[MAX_ORDERS - 1], string(order_id(900).as_str()));
            assert_eq!(full.values[":count"], number(orders + 1));
        }
    }

    #[test]
    fn what_an_order_asks_for_reaches_a_key_that_is_stopped_already() {
        for (orders, number) in [(1, 900), (60, 900), (1, 0)] {
            let key = stopped_by(orders);
            let plain = order(number, false);
            assert!(knows_wishes(&key, &plain));
            let update = add_order(&key, &order(number, true));
            assert!(!knows_wishes(&key, &order(number, true)));
            assert!(update.expression.contains("remove_identity_policies = :remove"), "{}", update.expression);
            assert_eq!(update.values[":remove"], AttributeValue::Bool(true));
        }
        assert!(!add_order(&stopped_by(1), &order(900, false)).expression.contains("remove"));
    }
}
