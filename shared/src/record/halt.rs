//! The fleet-wide stop: one item that says whether anything may be sent, and the trail of who changed it.
//!
//! A halt is written without a condition: nothing may come in its way, and repeating it does no harm. A resumption is
//! conditional on the change that it was decided on, so that a halt that comes meanwhile stands.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::Timestamp;
use serde::Serialize;

use super::item::{string, to_item};
use super::item_update::ItemUpdate;
use super::transaction::{IF_ABSENT, Transaction, back_off, contended};
use super::{Item, Providers, RecordError};
use crate::id::OrderId;
use crate::runtime::Ambient;

/// Partition key of the halt item.
pub const HALT_PK: &str = "halt";

/// Sort key of the halt item.
pub const HALT_SK: &str = "halt";

/// Attempts, if other writers hold the item.
const MAX_ATTEMPTS: u32 = 6;

/// Nobody has changed it since it was read.
const IF_UNCHANGED: &str = "change_id = :read";

/// As [`IF_UNCHANGED`], for an item that an operator wrote by hand.
const IF_STILL_WITHOUT_CHANGE: &str = "attribute_exists(pk) AND attribute_not_exists(change_id)";

/// Whether all sending is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Halt {
    /// Nothing may be sent.
    Halted,
    /// Mail may be sent.
    Open,
}

impl Halt {
    /// Reads the halt item. Only `halted: false` opens; a missing or unreadable item counts as halted.
    pub fn from_item(item: Option<&Item>) -> Self {
        match item.and_then(|item| item.get("halted")).map(|halted| halted.as_bool()) {
            Some(Ok(false)) => Self::Open,
            _ => Self::Halted,
        }
    }
}

/// Who halted or resumed sending, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct HaltChange {
    /// Why, in the words of whoever asked for it.
    pub reason: String,
    /// The ARN that signed the request; of an order that nobody signed, who reported it.
    pub changed_by: String,
    /// Who wants the halt, as the request says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halted_by: Option<String>,
    /// When.
    pub changed_at: Timestamp,
    /// The order that halted sending, if one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Orders that were open when sending was resumed by force.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub open_orders: Vec<OrderId>,
}

/// The halt item as it was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HaltState {
    /// What holds.
    pub halt: Halt,
    /// The last change. `None` if there was none yet, or if the item cannot be read.
    pub change: Option<HaltChange>,
    /// Whether operators have not been notified of the last change yet.
    pub notification_pending: bool,
    version: HaltVersion,
}

/// Which change an item holds.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HaltVersion {
    NoItem,
    WithoutChange,
    Change(String),
}

/// The item's attributes beside its key.
#[derive(Serialize)]
struct HaltItem<'a> {
    halted: bool,
    /// The part of the audit item's sort key that names it, and what a resumption is conditional on.
    change_id: &'a str,
    notification_pending: bool,
    #[serde(flatten)]
    change: &'a HaltChange,
}

/// An item of the trail.
#[derive(Serialize)]
struct HaltAudit<'a> {
    /// `halted` or `resumed`.
    event: &'static str,
    #[serde(flatten)]
    change: &'a HaltChange,
}

impl Providers {
    /// Reads the halt item, consistently. A missing item and one that cannot be read are halted.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn halt_state(&self) -> Result<HaltState, RecordError> {
        Ok(HaltState::from_item(self.get_item(HALT_PK, HALT_SK).await?.as_ref()))
    }

    /// Halts all sending for an order, in one write whatever the number of providers. An order halts once: repeated, this
    /// changes nothing, even if somebody has resumed sending since. Returns what holds now.
    ///
    /// # Errors
    /// DynamoDB did not answer: sending may or may not be halted.
    pub async fn halt(
        &self,
        order_id: &OrderId,
        reason: &str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<HaltState, RecordError> {
        let change = HaltChange {
            reason: reason.to_owned(),
            changed_by: by.to_owned(),
            halted_by: None,
            changed_at: ambient.now(),
            order_id: Some(order_id.clone()),
            open_orders: Vec::new(),
        };
        match self.write_halt(Halt::Halted, None, change, ambient).await? {
            Some(state) => Ok(state),
            None => self.halt_state().await,
        }
    }

    /// Halts all sending, whatever the item says now, and writes the trail in the same transaction.
    ///
    /// # Errors
    /// DynamoDB did not answer: sending may or may not be halted.
    pub async fn halt_sending(&self, change: HaltChange, ambient: &Ambient) -> Result<HaltState, RecordError> {
        let written = self.write_halt(Halt::Halted, None, change, ambient).await?;
        written.ok_or_else(|| contended(HALT_PK))
    }

    /// Resumes sending, if nobody has changed the halt item since `read`, and writes the trail in the same transaction.
    /// `None` if somebody has: nothing was written.
    ///
    /// # Errors
    /// DynamoDB did not answer: sending may or may not be resumed.
    pub async fn resume_sending(
        &self,
        read: &HaltState,
        change: HaltChange,
        ambient: &Ambient,
    ) -> Result<Option<HaltState>, RecordError> {
        self.write_halt(Halt::Open, Some(&read.version), change, ambient).await
    }

    /// Notes that operators were notified of the change that `state` holds. Changes nothing if there is a later one.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn mark_halt_notified(&self, state: &HaltState) -> Result<(), RecordError> {
        let HaltVersion::Change(change_id) = &state.version else { return Ok(()) };
        let update = ItemUpdate::new(HALT_PK, HALT_SK, "SET notification_pending = :false", IF_UNCHANGED)
            .value(":false", AttributeValue::Bool(false))
            .value(":read", string(change_id));
        self.update(update).await.map(drop)
    }

    async fn write_halt(
        &self,
        halt: Halt,
        read: Option<&HaltVersion>,
        change: HaltChange,
        ambient: &Ambient,
    ) -> Result<Option<HaltState>, RecordError> {
        let change_id = ambient.ulid().to_string();
        let halted = halt == Halt::Halted;
        let item = HaltItem { halted, change_id: &change_id, notification_pending: true, change: &change };
        let item = to_item(HALT_PK, HALT_SK, &item)?;
        let event = if halted { "halted" } else { "resumed" };
        let audit = HaltAudit { event, change: &change };
        let mut trail = vec![to_item(HALT_PK, &format!("audit#{change_id}"), &audit)?];
        // By its own key, so that it is there once.
        if let Some(order_id) = &change.order_id {
            trail.push(to_item(HALT_PK, &format!("order#{order_id}"), &audit)?);
        }
        for round in 0..MAX_ATTEMPTS {
            let write = match read {
                None => self.put(item.clone())?,
                Some(HaltVersion::NoItem) => self.put_if(item.clone(), Some(IF_ABSENT), None)?,
                Some(HaltVersion::WithoutChange) => self.put_if(item.clone(), Some(IF_STILL_WITHOUT_CHANGE), None)?,
                Some(HaltVersion::Change(read)) => {
                    self.put_if(item.clone(), Some(IF_UNCHANGED), Some((":read", string(read))))?
                }
            };
            let mut writes = vec![write];
            for item in &trail {
                writes.push(self.put_if_absent(item.clone())?);
            }
            match self.transact(HALT_PK, writes).await? {
                Transaction::Committed => {
                    let version = HaltVersion::Change(change_id);
                    return Ok(Some(HaltState { halt, change: Some(change), notification_pending: true, version }));
                }
                // An earlier attempt may have been made whose answer was lost: then its trail is there, and the item is ours
                // unless somebody has changed it since.
                Transaction::ConditionFailed(_) => {
                    let state = self.halt_state().await?;
                    return Ok((state.version == HaltVersion::Change(change_id)).then_some(state));
                }
                Transaction::Contended => back_off(round, ambient).await,
            }
        }
        Err(contended(HALT_PK))
    }
}

impl HaltState {
    fn from_item(item: Option<&Item>) -> Self {
        let halt = Halt::from_item(item);
        let Some(item) = item else {
            return Self { halt, change: None, notification_pending: false, version: HaltVersion::NoItem };
        };
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
        let pending = item.get("notification_pending").and_then(|value| value.as_bool().ok());
        Self {
            halt,
            change: HaltChange::from_item(item),
            notification_pending: pending.copied().unwrap_or_default(),
            version: text("change_id").map_or(HaltVersion::WithoutChange, |id| HaltVersion::Change(id.clone())),
        }
    }
}

impl HaltChange {
    fn from_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok()).cloned();
        let order = |value: &AttributeValue| value.as_s().ok().and_then(|id| OrderId::parse(id).ok());
        let orders = item.get("open_orders").and_then(|value| value.as_l().ok());
        Some(Self {
            reason: text("reason")?,
            changed_by: text("changed_by")?,
            halted_by: text("halted_by"),
            changed_at: text("changed_at")?.parse().ok()?,
            order_id: item.get("order_id").and_then(order),
            open_orders: orders.into_iter().flatten().filter_map(order).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use serde_json::{Value, json};

    use super::*;
    use crate::runtime::{ColdStart, Environment};
    use crate::testing::{FakeResponse, fake_aws};

    const ORDER: &str = "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV";

    #[test]
    fn only_an_item_that_says_so_lets_mail_out() {
        let item = |value| Item::from([("halted".to_owned(), value)]);
        assert_eq!(Halt::from_item(Some(&item(AttributeValue::Bool(false)))), Halt::Open);
        assert_eq!(Halt::from_item(Some(&item(AttributeValue::Bool(true)))), Halt::Halted);
        assert_eq!(Halt::from_item(Some(&item(AttributeValue::S("false".to_owned())))), Halt::Halted);
        assert_eq!(Halt::from_item(Some(&Item::new())), Halt::Halted);
        assert_eq!(Halt::from_item(None), Halt::Halted);
    }

    fn change() -> HaltChange {
        HaltChange {
            reason: "somebody may have read our table".to_owned(),
            changed_by: "arn:aws:iam::123456789012:user/ann".to_owned(),
            halted_by: None,
            changed_at: Timestamp::UNIX_EPOCH,
            order_id: Some(OrderId::parse(ORDER).unwrap()),
            open_orders: vec![OrderId::parse(ORDER).unwrap()],
        }
    }

    #[test]
    fn what_is_written_is_read() {
        let written = HaltItem { halted: true, change_id: "c1", notification_pending: true, change: &change() };
        let item = to_item(HALT_PK, HALT_SK, &written).unwrap();
        let read = HaltState::from_item(Some(&item));
        assert_eq!(read.change, Some(change()));
        assert_eq!((read.halt, read.notification_pending), (Halt::Halted, true));
        assert_eq!(read.version, HaltVersion::Change("c1".to_owned()));
        // Written by hand, or by nobody.
        let by_hand = Item::from([("halted".to_owned(), AttributeValue::Bool(false))]);
        let read = HaltState::from_item(Some(&by_hand));
        assert_eq!((read.halt, read.change, read.version), (Halt::Open, None, HaltVersion::WithoutChange));
        let read = HaltState::from_item(None);
        assert_eq!((read.halt, read.change, read.version), (Halt::Halted, None, HaltVersion::NoItem));
    }

    /// The table with this halt item, whose transactions are answered by `transact`, and the bodies of what was asked.
    fn table(
        item: Option<Value>,
        transact: impl Fn(usize) -> FakeResponse + Send + Sync + 'static,
    ) -> (Providers, Arc<Mutex<Vec<Value>>>) {
        let bodies = Arc::<Mutex<Vec<Value>>>::default();
        let seen = Arc::clone(&bodies);
        let http = fake_aws(move |request| {
            let mut seen = seen.lock().unwrap();
            let response = if request.target == "GetItem" {
                (200, item.as_ref().map_or_else(|| json!({}), |item| json!({ "Item": item })).to_string())
            } else {
                seen.push(serde_json::from_str(&request.body).unwrap());
                transact(seen.len())
            };
            std::future::ready(response)
        });
        let environment = Environment::from_variables(&[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
            ("PROVIDERS_TABLE", "providers"),
        ]);
        let start = ColdStart { environment, ambient: ambient(), http };
        (Providers::new(start.dynamodb().unwrap(), &start.environment).unwrap(), bodies)
    }

    fn ambient() -> Ambient {
        Ambient::new(|| Timestamp::UNIX_EPOCH, || 0)
    }

    fn cancelled(code: &str) -> FakeResponse {
        let reasons = json!([{ "Code": code }, { "Code": "None" }]);
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        (400, json!({ "__type": kind, "CancellationReasons": reasons }).to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_halt_has_no_condition_and_gives_way_to_nobody() {
        let (providers, bodies) =
            table(None, |n| if n < 3 { cancelled("TransactionConflict") } else { (200, "{}".to_owned()) });
        let halted = providers.halt_sending(change(), &ambient()).await.unwrap();
        assert_eq!(halted.halt, Halt::Halted);
        let bodies = bodies.lock().unwrap();
        assert_eq!(bodies.len(), 3);
        let puts = &bodies[2]["TransactItems"];
        assert!(puts[0]["Put"]["ConditionExpression"].is_null());
        assert_eq!(puts[0]["Put"]["Item"]["halted"], json!({ "BOOL": true }));
        // The trail is only added to.
        assert_eq!(puts[1]["Put"]["ConditionExpression"], IF_ABSENT);
        assert_eq!(puts[1]["Put"]["Item"]["event"], json!({ "S": "halted" }));
        assert!(puts[1]["Put"]["Item"]["sk"]["S"].as_str().unwrap().starts_with("audit#"));
    }

    #[tokio::test]
    async fn a_resumption_holds_only_for_what_was_read() {
        let cases = [
            (None, IF_ABSENT),
            (Some(json!({ "halted": { "BOOL": true } })), IF_STILL_WITHOUT_CHANGE),
            (Some(json!({ "halted": { "BOOL": true }, "change_id": { "S": "c1" } })), IF_UNCHANGED),
        ];
        for (item, condition) in cases {
            let (providers, bodies) = table(item.clone(), |_| (200, "{}".to_owned()));
            let read = providers.halt_state().await.unwrap();
            let open = providers.resume_sending(&read, change(), &ambient()).await.unwrap().unwrap();
            assert_eq!(open.halt, Halt::Open);
            let put = bodies.lock().unwrap()[0]["TransactItems"][0]["Put"].clone();
            assert_eq!(put["ConditionExpression"], condition);
            assert_eq!(put["Item"]["halted"], json!({ "BOOL": false }));

            let (providers, _) = table(item, |_| cancelled("ConditionalCheckFailed"));
            assert_eq!(providers.resume_sending(&read, change(), &ambient()).await.unwrap(), None);
        }
    }

    #[tokio::test]
    async fn an_order_halts_once() {
        let order_id = OrderId::parse(ORDER).unwrap();
        let (providers, bodies) = table(None, |_| (200, "{}".to_owned()));
        let halted = providers.halt(&order_id, "leaked", "ops", &ambient()).await.unwrap();
        assert_eq!(halted.halt, Halt::Halted);
        let marker = bodies.lock().unwrap()[0]["TransactItems"][2]["Put"].clone();
        assert_eq!(marker["Item"]["sk"]["S"], format!("order#{ORDER}"));
        assert_eq!(marker["ConditionExpression"], IF_ABSENT);

        // The order is executed again after somebody has resumed sending.
        let resumed = json!({ "halted": { "BOOL": false }, "change_id": { "S": "c1" } });
        let (providers, _) = table(Some(resumed), |_| cancelled("ConditionalCheckFailed"));
        assert_eq!(providers.halt(&order_id, "leaked", "ops", &ambient()).await.unwrap().halt, Halt::Open);
    }
}
