//! The fan-out of an order for more than one provider: its providers are listed page by page, and each page pins the ids of
//! its keys before anything is done with them.
//!
//! A page is written in one transaction with the position that it was listed up to, so that whoever continues (after a kill,
//! or beside another worker) neither skips a provider nor lists one twice. A page is due for the sweep until its keys are
//! stopped and it is enqueued.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{from_item, string, timestamp, to_item};
use super::item_update::ItemUpdate;
use super::order::{LISTED_ORDER, LISTING};
use super::table::start_after;
use super::transaction::{Transaction, contended};
use super::{BreachScope, Item, KeyItem, Order, Provider, Providers, RecordError, Rotation, StatusName, sweep_index};
use crate::id::{AccessKeyId, OrderId, ProviderId, TenantId};

/// When the providers of a scope are listed a second time, for those that were stored while they were listed first: longer
/// than the 29 s that an onboarding takes at most.
pub const REPEAT_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Providers on a page, each with one key or, in rotation, two. A worker revokes a page at once, with a handful of calls a key and some seconds of waiting.
pub const KEYS_ON_A_PAGE: i32 = 25;

/// The most items of one BatchGetItem (DynamoDB API reference).
const MAX_BATCH: usize = 100;

/// How far the providers of a scope were listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOut {
    /// Which time they are being listed.
    pub pass: Pass,
    /// Pages written so far.
    pub pages: u32,
    /// Keys on them.
    pub keys: u32,
    /// The last provider listed in this pass; absent at its beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<ListPosition>,
    /// When the first pass was over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub listed_at: Option<Timestamp>,
    /// How often this was written: whoever writes it states what it read.
    pub writes: u32,
}

/// Which time the providers of a scope are being listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pass {
    /// The first.
    #[default]
    First,
    /// The second, [`REPEAT_AFTER`] later.
    Repeat,
    /// All are listed.
    Over,
}

/// A provider as a place in the list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPosition {
    /// The provider.
    pub provider_id: ProviderId,
    /// Its tenant.
    pub tenant_id: TenantId,
    /// Its account.
    pub account_id: String,
}

/// A provider of a scope, as the index shows it: its status may be seconds old.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedProvider {
    /// Which it is.
    #[serde(flatten)]
    pub position: ListPosition,
    /// The key that it sends with.
    pub access_key_id: AccessKeyId,
    /// Its status.
    pub status: StatusName,
    /// When it was onboarded.
    pub created_at: Timestamp,
    /// The latest rotation of its key.
    #[serde(default, skip_serializing)]
    pub rotation: Option<Rotation>,
}

impl ListedProvider {
    /// The keys of its latest rotation that it does not send with: the other one of a running rotation, and what is left of
    /// one that has ended. They may live or be dead.
    pub fn other_keys(&self) -> impl Iterator<Item = &AccessKeyId> {
        let keys = self.rotation.iter().flat_map(|rotation| [&rotation.old_key, &rotation.new_key]);
        keys.map(|key| &key.access_key_id).filter(|id| **id != self.access_key_id)
    }

    /// When one of its keys was handed over.
    pub fn handed_over_at(&self, access_key_id: &AccessKeyId) -> Timestamp {
        let rotation = self.rotation.as_ref().filter(|rotation| rotation.new_key.access_key_id == *access_key_id);
        rotation.map_or(self.created_at, |rotation| rotation.started_at)
    }

    /// Whether its key is not proved dead.
    pub fn may_live(&self) -> bool {
        self.status != StatusName::Revoked
    }
}

impl From<&Provider> for ListedProvider {
    fn from(provider: &Provider) -> Self {
        let Provider { provider_id, tenant_id, account_id, access_key_id, status, created_at, rotation, .. } = provider;
        Self {
            position: ListPosition {
                provider_id: provider_id.clone(),
                tenant_id: tenant_id.clone(),
                account_id: account_id.clone(),
            },
            access_key_id: access_key_id.clone(),
            status: status.status,
            created_at: *created_at,
            rotation: rotation.clone(),
        }
    }
}

/// Some providers of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopePage {
    /// The providers.
    pub providers: Vec<ListedProvider>,
    /// Where the next page begins; `None` on the last.
    pub next: Option<ListPosition>,
}

/// A page of an order: the ids of some of its keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderPage {
    /// Its number, from 1.
    pub page: u32,
    /// The keys.
    pub access_key_ids: Vec<AccessKeyId>,
}

impl OrderPage {
    /// Sort key of a page, beside its order.
    pub fn sk(page: u32) -> String {
        format!("{PAGE}{page:08}")
    }

    /// The page's number; `None` if it is the sort key of something else.
    pub(super) fn number(sk: &str) -> Option<u32> {
        sk.strip_prefix(PAGE)?.parse().ok()
    }
}

const PAGE: &str = "page#";

impl FanOut {
    /// The state after one more page.
    #[must_use]
    pub fn with_page(&self, page: &ScopePage, keys: usize, now: Timestamp) -> Self {
        let mut after = self.clone();
        after.writes = self.writes.saturating_add(1);
        if keys > 0 {
            after.pages = self.pages.saturating_add(1);
            after.keys = self.keys.saturating_add(u32::try_from(keys).unwrap_or(u32::MAX));
        }
        after.after.clone_from(&page.next);
        if page.next.is_none() {
            (after.pass, after.listed_at) = match self.pass {
                Pass::First => (Pass::Repeat, Some(now)),
                Pass::Repeat | Pass::Over => (Pass::Over, self.listed_at),
            };
        }
        after
    }

    /// Whether the second pass has to wait.
    pub fn waits_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.listed_at?.saturating_add(REPEAT_AFTER).ok()?;
        (self.pass == Pass::Repeat && now < until).then_some(until)
    }
}

impl Providers {
    /// Lists some providers of a scope of more than one, from an index: one that was stored a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer, or a provider cannot be read.
    pub async fn list_scope(
        &self,
        scope: &BreachScope,
        after: Option<&ListPosition>,
        limit: i32,
    ) -> Result<ScopePage, RecordError> {
        const ATTRIBUTES: &str = "provider_id, tenant_id, account_id, access_key_id, #status, created_at, rotation";
        let subject = format!("providers of {}", scope.word());
        let indexed = match scope {
            BreachScope::AccessKeyId(_) | BreachScope::ProviderId(_) => {
                return Ok(ScopePage { providers: Vec::new(), next: None });
            }
            BreachScope::TenantId(tenant_id) => Some(("tenant", tenant_id.as_str())),
            BreachScope::AccountId(account_id) => Some(("account", account_id.as_str())),
            BreachScope::All(_) => None,
        };
        let start = after.map(|position| match scope {
            BreachScope::TenantId(_) => start_after(&position.provider_id, "tenant_id", position.tenant_id.as_str()),
            _ => start_after(&position.provider_id, "account_id", &position.account_id),
        });
        let (items, has_more) = match indexed {
            Some((index, value)) => {
                let answer = self
                    .client
                    .query()
                    .table_name(&self.table)
                    .index_name(index)
                    .key_condition_expression(format!("{index}_id = :value"))
                    .expression_attribute_values(":value", string(value))
                    .projection_expression(ATTRIBUTES)
                    .expression_attribute_names("#status", "status")
                    .set_exclusive_start_key(start)
                    .limit(limit)
                    .send()
                    .await
                    .map_err(RecordError::dynamodb("Query", &subject))?;
                (answer.items.unwrap_or_default(), answer.last_evaluated_key.is_some())
            }
            None => {
                let answer = self
                    .client
                    .scan()
                    .table_name(&self.table)
                    .index_name("account")
                    .projection_expression(ATTRIBUTES)
                    .expression_attribute_names("#status", "status")
                    .set_exclusive_start_key(start)
                    .limit(limit)
                    .send()
                    .await
                    .map_err(RecordError::dynamodb("Scan", &subject))?;
                (answer.items.unwrap_or_default(), answer.last_evaluated_key.is_some())
            }
        };
        let providers =
            items.into_iter().map(|item| from_item(&subject, item)).collect::<Result<Vec<ListedProvider>, _>>()?;
        let next = providers.last().filter(|_| has_more).map(|last| last.position.clone());
        Ok(ScopePage { providers, next })
    }

    /// Writes a page with the keys listed, and how far that is, in one transaction; without keys only how far. Returns false
    /// if somebody else has listed on since `before` was read.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn add_page(
        &self,
        order_id: &OrderId,
        before: &FanOut,
        after: &FanOut,
        keys: Vec<AccessKeyId>,
        now: Timestamp,
    ) -> Result<bool, RecordError> {
        let pk = Order::pk(order_id);
        let stored = serde_dynamo::to_attribute_value(after).map_err(|_| RecordError::Shape { pk: pk.clone() })?;
        let update = ItemUpdate::new(pk.clone(), Order::SK, "SET fan_out = :fan_out", "fan_out.writes = :writes")
            .value(":fan_out", stored)
            .value(":writes", AttributeValue::N(before.writes.to_string()));
        let mut writes = vec![self.update_in_transaction(update)?];
        if !keys.is_empty() {
            let page = OrderPage { page: after.pages, access_key_ids: keys };
            let mut item = to_item(&pk, &OrderPage::sk(page.page), &page)?;
            sweep_index::add(&mut item, sweep_index::due_after(now));
            writes.push(self.put_if_absent(item)?);
        }
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(pk)),
        }
    }

    /// Reads a page, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the page cannot be read.
    pub async fn page(&self, order_id: &OrderId, page: u32) -> Result<Option<OrderPage>, RecordError> {
        self.get(&Order::pk(order_id), &OrderPage::sk(page)).await
    }

    /// Reads the pages of an order from the page `first` on, consistently, `count` of them at most.
    ///
    /// # Errors
    /// DynamoDB did not answer, or a page cannot be read.
    pub async fn pages(&self, order_id: &OrderId, first: u32, count: u32) -> Result<Vec<OrderPage>, RecordError> {
        let last = first.saturating_add(count).saturating_sub(1);
        let values = [(":first", first), (":last", last)]
            .map(|(placeholder, page)| (placeholder.to_owned(), string(OrderPage::sk(page))));
        self.read_all(&Order::pk(order_id), "sk BETWEEN :first AND :last", Item::from(values)).await
    }

    /// Takes a page off the sweep, once its keys are stopped and it is enqueued.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn finish_page(&self, order_id: &OrderId, page: u32) -> Result<(), RecordError> {
        let expression = "REMOVE sweep, next_attempt_at";
        let update = ItemUpdate::new(Order::pk(order_id), OrderPage::sk(page), expression, "attribute_exists(sweep)");
        self.update(update).await.map(drop)
    }

    /// The key items of these ids as they are now, each read consistently; `None` for an id that has none.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn keys(
        &self,
        access_key_ids: &[AccessKeyId],
    ) -> Result<Vec<(AccessKeyId, Option<KeyItem>)>, RecordError> {
        let mut found = HashMap::new();
        for ids in access_key_ids.chunks(MAX_BATCH) {
            let keys = ids.iter().map(|id| {
                Item::from([("pk".to_owned(), string(KeyItem::pk(id))), ("sk".to_owned(), string(KeyItem::SK))])
            });
            for item in self.batch_get(keys.collect()).await? {
                let key = KeyItem::from_item(item)?;
                found.insert(key.access_key_id.clone(), key);
            }
        }
        Ok(access_key_ids.iter().map(|id| (id.clone(), found.remove(id))).collect())
    }

    /// Lists orders, newest first, from the index: one that was written a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an order cannot be read.
    pub async fn list_orders(
        &self,
        filter: &OrderFilter,
        before: Option<&OrderPosition>,
        limit: i32,
    ) -> Result<(Vec<Order>, Option<OrderPosition>), RecordError> {
        let start = before.map(|position| {
            Item::from([
                ("pk".to_owned(), string(Order::pk(&position.order_id))),
                ("sk".to_owned(), string(Order::SK)),
                (LISTING.to_owned(), string(LISTED_ORDER)),
                ("created_at".to_owned(), timestamp(position.created_at)),
            ])
        });
        let since = filter.since.unwrap_or(Timestamp::UNIX_EPOCH);
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("listing")
            .key_condition_expression("listing = :listing AND created_at >= :since")
            .expression_attribute_values(":listing", string(LISTED_ORDER))
            .expression_attribute_values(":since", timestamp(since))
            .scan_index_forward(false)
            .set_exclusive_start_key(start)
            .limit(limit);
        let mut conditions = Vec::new();
        if filter.open {
            conditions.push("attribute_not_exists(completed_at)".to_owned());
        }
        if let Some(event_id) = &filter.event_id {
            conditions.push("event_id = :event_id".to_owned());
            query = query.expression_attribute_values(":event_id", string(event_id));
        }
        if let Some(scope) = &filter.scope {
            conditions.push("attribute_exists(#scope.#word)".to_owned());
            query = query.expression_attribute_names("#scope", "scope").expression_attribute_names("#word", scope);
        }
        if !conditions.is_empty() {
            query = query.filter_expression(conditions.join(" AND "));
        }
        let answer = query.send().await.map_err(RecordError::dynamodb("Query", "orders"))?;
        let orders = answer
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item| from_item("orders", item))
            .collect::<Result<Vec<Order>, _>>()?;
        let next = answer.last_evaluated_key.as_ref().and_then(OrderPosition::from_item);
        Ok((orders, next))
    }

    /// Notes what operators were told of an order, and what was found with it. It stays on the sweep until `next`. An order that
    /// somebody has noted as complete meanwhile stays so.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn note_order(&self, order: &Order, next: Option<Timestamp>) -> Result<(), RecordError> {
        let pk = Order::pk(&order.order_id);
        let told = serde_dynamo::to_attribute_value(order.told).map_err(|_| RecordError::Shape { pk: pk.clone() })?;
        let mut set = vec!["told = :told"];
        let mut remove = Vec::new();
        match next {
            Some(_) => set.extend(["next_attempt_at = :next", "sweep = :sweep"]),
            None => remove.extend(["next_attempt_at", "sweep"]),
        }
        set.extend(order.stopped_at.map(|_| "stopped_at = :stopped_at"));
        set.extend(order.completed_at.map(|_| "completed_at = :completed_at"));
        let mut expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        let condition = match order.completed_at {
            Some(_) => "attribute_exists(pk)",
            None => "attribute_exists(pk) AND attribute_not_exists(completed_at)",
        };
        let mut update = ItemUpdate::new(pk, Order::SK, expression, condition).value(":told", told);
        if let Some(next) = next {
            update = update.value(":next", timestamp(next)).value(":sweep", string(sweep_index::PARTITION));
        }
        for (placeholder, time) in [(":stopped_at", order.stopped_at), (":completed_at", order.completed_at)] {
            if let Some(time) = time {
                update = update.value(placeholder, timestamp(time));
            }
        }
        self.update(update).await.map(drop)
    }

    /// Ids of keys that an order has stopped and that are not at the end of their revocation, from the index of the sweep.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_unfinished_keys(
        &self,
        after: Option<(AccessKeyId, Timestamp)>,
        limit: i32,
    ) -> Result<(Vec<AccessKeyId>, Option<(AccessKeyId, Timestamp)>), RecordError> {
        let start = after.map(|(access_key_id, due)| {
            let key = [("pk", KeyItem::pk(&access_key_id)), ("sk", KeyItem::SK.to_owned())];
            let mut start: Item = key.into_iter().map(|(name, value)| (name.to_owned(), string(value))).collect();
            sweep_index::add(&mut start, due);
            start
        });
        let id = |item: &Item| AccessKeyId::from_pasted(item.get("pk")?.as_s().ok()?.strip_prefix("key#")?).ok();
        let due = |item: &Item| item.get("next_attempt_at")?.as_s().ok()?.parse().ok();
        let (mut start, mut keys) = (start, Vec::new());
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .index_name("sweep")
                .key_condition_expression("sweep = :sweep")
                .expression_attribute_values(":sweep", string(sweep_index::PARTITION))
                .set_exclusive_start_key(start.take())
                .limit(limit)
                .send()
                .await
                .map_err(RecordError::dynamodb("Query", "sweep"))?;
            // Orders and their pages are in the index too.
            keys.extend(answer.items.unwrap_or_default().iter().filter_map(|item| Some((id(item)?, due(item)?))));
            start = answer.last_evaluated_key;
            let is_full = i32::try_from(keys.len()).is_ok_and(|found| found >= limit);
            if start.is_none() || is_full {
                let next = keys.last().filter(|_| start.is_some()).cloned();
                return Ok((keys.into_iter().map(|(access_key_id, _)| access_key_id).collect(), next));
            }
        }
    }
}

/// Which orders are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderFilter {
    /// Only those that are not complete.
    pub open: bool,
    /// Only those of this kind of scope, by its word.
    pub scope: Option<String>,
    /// Only those that this event reported.
    pub event_id: Option<String>,
    /// Only those that were written at this time or later.
    pub since: Option<Timestamp>,
}

/// An order as a place in the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OrderPosition {
    /// When it was written.
    pub created_at: Timestamp,
    /// The order.
    pub order_id: OrderId,
}

impl OrderPosition {
    /// The place of an order.
    pub fn of(order: &Order) -> Self {
        Self { created_at: order.created_at, order_id: order.order_id.clone() }
    }

    fn from_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok();
        Some(Self {
            created_at: text("created_at")?.parse().ok()?,
            order_id: OrderId::parse(text("pk")?.strip_prefix("order#")?).ok()?,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::runtime::{Ambient, ColdStart, Environment};
    use crate::testing::fake_aws;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn providers_are_listed_twice_and_pages_are_counted() {
        let now = time("2026-11-23T10:00:00Z");
        let position = ListPosition {
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            tenant_id: TenantId::parse("acme").unwrap(),
            account_id: "171436882533".to_owned(),
        };
        let page = |next: Option<&ListPosition>| ScopePage { providers: Vec::new(), next: next.cloned() };
        let first = FanOut::default().with_page(&page(Some(&position)), 25, now);
        assert_eq!((first.pass, first.pages, first.keys, first.writes), (Pass::First, 1, 25, 1));
        assert_eq!(first.after.as_ref(), Some(&position));
        let listed = first.with_page(&page(None), 3, now);
        assert_eq!((listed.pass, listed.pages, listed.keys, &listed.after), (Pass::Repeat, 2, 28, &None));
        assert_eq!(listed.waits_until(now), Some(now + REPEAT_AFTER));
        assert_eq!(listed.waits_until(now + REPEAT_AFTER), None);
        let over = listed.with_page(&page(None), 0, now + REPEAT_AFTER);
        assert_eq!((over.pass, over.pages, over.keys, over.writes), (Pass::Over, 2, 28, 3));
        assert_eq!(over.listed_at, Some(now));
    }

    #[test]
    fn a_page_is_known_by_its_sort_key() {
        assert_eq!(OrderPage::number(&OrderPage::sk(7)), Some(7));
        assert_eq!(OrderPage::number(Order::SK), None);
        assert!(OrderPage::sk(9) < OrderPage::sk(10));
    }

    #[tokio::test]
    async fn an_account_s_providers_are_listed_page_by_page() {
        let ids = ["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "prv_01ARZ3NDEKTSV4RRFFQ69G5FAW"];
        let asked: Arc<Mutex<Vec<Value>>> = Arc::default();
        let seen = Arc::clone(&asked);
        let http = fake_aws(move |request| {
            let body: Value = serde_json::from_str(&request.body).unwrap();
            let page = usize::from(body["ExclusiveStartKey"].is_object());
            let item = json!({
                "provider_id": {"S": ids[page]}, "tenant_id": {"S": "acme"}, "account_id": {"S": "171436882533"},
                "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"}, "status": {"S": "active"},
                "created_at": {"S": "2026-11-23T09:00:00Z"},
            });
            let mut answer = json!({"Items": [item]});
            if page == 0 {
                answer["LastEvaluatedKey"] = item;
            }
            seen.lock().unwrap().push(body);
            async move { (200, answer.to_string()) }
        });
        let environment = Environment::from_variables(&[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("PROVIDERS_TABLE", "providers"),
        ]);
        let start = ColdStart { environment, ambient: Ambient::new(|| jiff::Timestamp::UNIX_EPOCH, || 0), http };
        let providers = Providers::new(start.dynamodb().unwrap(), &start.environment).unwrap();

        let scope = BreachScope::AccountId("171436882533".to_owned());
        let [first_id, second_id] = ids.map(|id| ProviderId::parse(id).unwrap());
        let first = providers.list_scope(&scope, None, 1).await.unwrap();
        let position = &first.providers[0].position;
        assert_eq!((&position.provider_id, first.next.as_ref()), (&first_id, Some(position)));
        let second = providers.list_scope(&scope, first.next.as_ref(), 1).await.unwrap();
        assert_eq!((&second.providers[0].position.provider_id, &second.next), (&second_id, &None));

        let asked = asked.lock().unwrap();
        assert!(asked.iter().all(|body| body["IndexName"] == "account" && body["Limit"] == 1), "{asked:?}");
        let start = json!({
            "pk": {"S": format!("provider#{first_id}")}, "sk": {"S": "provider"},
            "account_id": {"S": "171436882533"}, "provider_id": {"S": first_id.as_str()},
        });
        assert_eq!(asked[1]["ExclusiveStartKey"], start);
    }
}
