//! The sweep: what is due, by a sparse index, and when it is due again.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::item::{string, timestamp};
use super::stop::sweep_after;
use super::write::made;
use super::{Item, KeyItem, Order, Providers, RecordError};
use crate::id::{AccessKeyId, OrderId};

/// Something that is due, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What it is.
    pub subject: DueSubject,
    /// Since when, as it is stored.
    next_attempt_at: String,
}

/// What can be due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueSubject {
    /// A key's next step.
    Key(AccessKeyId),
    /// An order's fan-out, once more.
    Order(OrderId),
}

/// Some of what is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DuePage {
    /// What is due, longest due first.
    pub due: Vec<Due>,
    /// Where the next page starts, if there is one.
    pub next: Option<Item>,
}

/// The one partition of the sparse index.
pub(super) const PARTITION: &str = "due";

/// Items that one page of the sweep holds.
const PAGE: i32 = 100;

/// It is still as the sweep saw it.
const IF_STILL_DUE: &str = "next_attempt_at = :seen";

/// Puts an item under the sweep from a moment on.
pub(super) fn mark(item: &mut Item, next_attempt_at: Timestamp) {
    item.insert("sweep".to_owned(), string(PARTITION));
    item.insert("next_attempt_at".to_owned(), timestamp(next_attempt_at));
}

impl Providers {
    /// What was due at `now`, from the sparse index: an item written a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn due(&self, now: Timestamp, start: Option<Item>) -> Result<DuePage, RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("sweep")
            .key_condition_expression("sweep = :sweep AND next_attempt_at <= :now")
            .expression_attribute_values(":sweep", string(PARTITION))
            .expression_attribute_values(":now", timestamp(now))
            .set_exclusive_start_key(start)
            .limit(PAGE)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", "sweep"))?;
        let due = answer.items.unwrap_or_default().iter().filter_map(Due::from_item).collect();
        Ok(DuePage { due, next: answer.last_evaluated_key })
    }

    /// An order was carried out by whoever wrote it, so that the sweep need not do it.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn mark_executed(&self, order: &Order) -> Result<(), RecordError> {
        self.reschedule(&Due::from_new_order(order), None).await
    }

    /// Makes it due again at `next`, or not at all, if it is still as the sweep saw it.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn reschedule(&self, due: &Due, next: Option<Timestamp>) -> Result<(), RecordError> {
        let (pk, sk) = due.subject.key();
        let update = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(sk))
            .condition_expression(IF_STILL_DUE)
            .expression_attribute_values(":seen", string(&due.next_attempt_at));
        let update = match next {
            Some(next) => update
                .update_expression("SET next_attempt_at = :next")
                .expression_attribute_values(":next", timestamp(next)),
            None => update.update_expression("REMOVE sweep, next_attempt_at"),
        };
        made(update.send().await, "UpdateItem", pk).map(drop)
    }
}

impl Due {
    /// As an order is due when it is written.
    fn from_new_order(order: &Order) -> Self {
        let next_attempt_at = sweep_after(order.created_at).to_string();
        Self { subject: DueSubject::Order(order.order_id.clone()), next_attempt_at }
    }

    fn from_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
        let subject = match text("pk")?.split_once('#')? {
            ("key", id) => DueSubject::Key(AccessKeyId::from_pasted(id).ok()?),
            ("order", id) => DueSubject::Order(OrderId::parse(id).ok()?),
            _ => return None,
        };
        Some(Self { subject, next_attempt_at: text("next_attempt_at")?.clone() })
    }
}

impl fmt::Display for DueSubject {
    /// For logs: a key's id is masked.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Key(access_key_id) => formatter.write_str(&access_key_id.masked()),
            Self::Order(order_id) => order_id.fmt(formatter),
        }
    }
}

impl DueSubject {
    fn key(&self) -> (String, &'static str) {
        match self {
            Self::Key(access_key_id) => (KeyItem::pk(access_key_id), KeyItem::SK),
            Self::Order(order_id) => (Order::pk(order_id), Order::SK),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_knows_keys_and_orders_by_their_items() {
        let subjects = [
            DueSubject::Key(AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap()),
            DueSubject::Order(OrderId::parse("rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
        ];
        for subject in subjects {
            let (pk, sk) = subject.key();
            let mut item = Item::from([("pk".to_owned(), string(pk)), ("sk".to_owned(), string(sk))]);
            assert_eq!(Due::from_item(&item), None);
            mark(&mut item, Timestamp::UNIX_EPOCH);
            let next_attempt_at = "1970-01-01T00:00:00Z".to_owned();
            assert_eq!(Due::from_item(&item), Some(Due { subject, next_attempt_at }));
            item.insert("pk".to_owned(), string("provider#prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
            assert_eq!(Due::from_item(&item), None);
        }
    }
}
