//! What the sweeps work on: items that are due, and when they are due again.

use std::fmt;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;

use super::configuration_change::CONFIGURATION_SK;
use super::item::{string, timestamp};
use super::item_update::ItemUpdate;
use super::watch::WATCH_SK;
use super::{Drill, Item, KeyItem, Order, OrderPage, Provider, Providers, RecordError, RotationItem, sweep_index};
use crate::id::{AccessKeyId, DrillId, OrderId, ProviderId, RotationId};

/// An item that is due, as the index has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// What is due.
    pub subject: DueSubject,
    /// Since when, as it is stored.
    pub(super) next_attempt_at: String,
}

/// What can be due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DueSubject {
    /// A key's next step.
    Key(AccessKeyId),
    /// Another execution of an order, or a look at it.
    Order(OrderId),
    /// A page of an order that may not be enqueued.
    Page(OrderId, u32),
    /// A drill that is not finished.
    Drill(DrillId),
    /// A rotation that has come somewhere.
    Rotation(ProviderId, RotationId),
    /// The configuration of a tenant's SES.
    Configuration(ProviderId),
    /// The verification of a provider.
    Watch(ProviderId),
}

/// One page of what is due.
#[derive(Clone, Debug, PartialEq)]
pub struct DuePage {
    /// What is due, longest due first.
    pub due: Vec<Due>,
    /// Where the next page starts; `None` on the last page.
    pub next: Option<Item>,
}

/// Items on one page.
const PAGE_SIZE: i32 = 100;

/// Nobody has rescheduled it since the sweep read it.
const IF_STILL_DUE: &str = "next_attempt_at = :read";

impl Providers {
    /// Lists what was due at `now`, from the index: an item that was written a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_due(&self, now: Timestamp, start: Option<Item>) -> Result<DuePage, RecordError> {
        self.list_partition(sweep_index::PARTITION, now, start, PAGE_SIZE).await
    }

    /// Lists the rotations whose new key is a candidate and has to be looked at, from the index.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_due_candidates(&self, now: Timestamp, start: Option<Item>) -> Result<DuePage, RecordError> {
        self.list_partition(sweep_index::CANDIDATES, now, start, PAGE_SIZE).await
    }

    pub(super) async fn list_partition(
        &self,
        partition: &str,
        now: Timestamp,
        start: Option<Item>,
        limit: i32,
    ) -> Result<DuePage, RecordError> {
        let (items, next) = self.query_sweep(partition, now, start, limit).await?;
        Ok(DuePage { due: items.iter().filter_map(Due::from_item).collect(), next })
    }

    /// The items of a partition that were due at `now`, longest due first, and where the next page starts.
    pub(super) async fn query_sweep(
        &self,
        partition: &str,
        now: Timestamp,
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Item>, Option<Item>), RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("sweep")
            .key_condition_expression("sweep = :sweep AND next_attempt_at <= :now")
            .expression_attribute_values(":sweep", string(partition))
            .expression_attribute_values(":now", timestamp(now))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", "sweep"))?;
        Ok((answer.items.unwrap_or_default(), answer.last_evaluated_key))
    }

    /// Makes an item due at `next`, or takes it off the sweep. Changes nothing if somebody has rescheduled it since it was
    /// read.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn reschedule(&self, due: &Due, next: Option<Timestamp>) -> Result<(), RecordError> {
        let (pk, sk) = due.subject.key();
        let update = match next {
            Some(next) => {
                ItemUpdate::new(pk, sk, "SET next_attempt_at = :next", IF_STILL_DUE).value(":next", timestamp(next))
            }
            None => ItemUpdate::new(pk, sk, "REMOVE sweep, next_attempt_at", IF_STILL_DUE),
        };
        self.update(update.value(":read", string(&due.next_attempt_at))).await.map(drop)
    }
}

impl Due {
    pub(super) fn from_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name).and_then(|value: &AttributeValue| value.as_s().ok());
        let pk = text("pk")?;
        let subject = match pk.split_once('#').unwrap_or((pk, "")) {
            (Drill::PK, "") => DueSubject::Drill(DrillId::parse(text("sk")?).ok()?),
            ("key", id) => DueSubject::Key(AccessKeyId::from_pasted(id).ok()?),
            ("order", id) => {
                let order_id = OrderId::parse(id).ok()?;
                match OrderPage::number(text("sk")?) {
                    Some(page) => DueSubject::Page(order_id, page),
                    None => DueSubject::Order(order_id),
                }
            }
            ("provider", id) => {
                let provider_id = ProviderId::parse(id).ok()?;
                match text("sk")?.as_str() {
                    CONFIGURATION_SK => DueSubject::Configuration(provider_id),
                    WATCH_SK => DueSubject::Watch(provider_id),
                    sk => DueSubject::Rotation(provider_id, RotationItem::rotation_id(sk)?),
                }
            }
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
            Self::Page(order_id, page) => write!(formatter, "page {page} of {order_id}"),
            Self::Drill(drill_id) => drill_id.fmt(formatter),
            Self::Rotation(provider_id, rotation_id) => write!(formatter, "{rotation_id} of {provider_id}"),
            Self::Configuration(provider_id) => write!(formatter, "the configuration of {provider_id}"),
            Self::Watch(provider_id) => write!(formatter, "the verification of {provider_id}"),
        }
    }
}

impl DueSubject {
    fn key(&self) -> (String, String) {
        match self {
            Self::Key(access_key_id) => (KeyItem::pk(access_key_id), KeyItem::SK.to_owned()),
            Self::Order(order_id) => (Order::pk(order_id), Order::SK.to_owned()),
            Self::Page(order_id, page) => (Order::pk(order_id), OrderPage::sk(*page)),
            Self::Drill(drill_id) => (Drill::PK.to_owned(), drill_id.to_string()),
            Self::Rotation(provider_id, rotation_id) => (Provider::pk(provider_id), RotationItem::sk(rotation_id)),
            Self::Configuration(provider_id) => (Provider::pk(provider_id), CONFIGURATION_SK.to_owned()),
            Self::Watch(provider_id) => (Provider::pk(provider_id), WATCH_SK.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sweep_recognises_keys_orders_and_drills_by_their_items() {
        let subjects = [
            DueSubject::Key(AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap()),
            DueSubject::Order(OrderId::parse("rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
            DueSubject::Page(OrderId::parse("rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(), 3),
            DueSubject::Drill(DrillId::parse("drl_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
            DueSubject::Rotation(
                ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
                RotationId::parse("rot_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            ),
            DueSubject::Configuration(ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
            DueSubject::Watch(ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap()),
        ];
        for subject in subjects {
            let (pk, sk) = subject.key();
            let mut item = Item::from([("pk".to_owned(), string(pk)), ("sk".to_owned(), string(sk))]);
            assert_eq!(Due::from_item(&item), None);
            sweep_index::add(&mut item, Timestamp::UNIX_EPOCH);
            let next_attempt_at = "1970-01-01T00:00:00Z".to_owned();
            assert_eq!(Due::from_item(&item), Some(Due { subject, next_attempt_at }));
            item.insert("pk".to_owned(), string("provider#prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
            item.insert("sk".to_owned(), string(Provider::SK));
            assert_eq!(Due::from_item(&item), None);
        }
    }
}
