//! Canaries and drills: a breach of a key that exists to be lost, run for real and timed.
//!
//! Both are few, so each kind lies in one partition of the Providers table: `canary` / `<provider id>` and `drill` /
//! `<drill id>`. Neither item has the attributes that the indexes of providers are made of.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{from_item, string, timestamp, to_item};
use super::item_update::ItemUpdate;
use super::transaction::{Transaction, contended};
use super::{Item, KeyItem, Order, Provider, Providers, RecordError, sweep_index};
use crate::id::{AccessKeyId, DrillId, OrderId, ProviderId};

/// A provider that drills may take.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Canary {
    /// The provider.
    pub provider_id: ProviderId,
    /// The drill that took it. There is no second one: the key is dead afterwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drill_id: Option<DrillId>,
}

/// How a drill stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DrillOutcome {
    /// Its key is not seen dead yet.
    Running,
    /// Its key is not seen dead yet, and should be.
    Overdue,
    /// Its key was seen dead in time.
    Dead,
    /// Its key was seen dead, but late.
    DeadLate,
    /// Nobody waits for its key any longer.
    NotDead,
}

/// When the steps of a drill were done, so far.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DrillTimes {
    /// The order that its event led to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// When the order was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ordered_at: Option<Timestamp>,
    /// When the key was found stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// When the key was deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// When every plane had refused the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen_dead_at: Option<Timestamp>,
}

/// A drill: from the event on the bus to the dead key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Drill {
    /// Its id.
    pub drill_id: DrillId,
    /// The canary.
    pub provider_id: ProviderId,
    /// The canary's key.
    pub access_key_id: AccessKeyId,
    /// Who started it: the ARN that signed the request, or `schedule`.
    pub started_by: String,
    /// When it was started.
    pub started_at: Timestamp,
    /// When EventBridge took its event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported_at: Option<Timestamp>,
    /// How it stands, as it was recorded last.
    pub outcome: DrillOutcome,
    /// The steps, as they were recorded last.
    #[serde(flatten)]
    pub times: DrillTimes,
}

/// How long a key may take to die. A revocation takes seconds; after this, somebody has to find out why it does not.
const OVERDUE_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// How long a drill waits for its key. What has not died by then waits for a person, who knows of it.
const ENDS_AFTER: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Drills that one list shows at most.
const MAX_LISTED: i32 = 100;

/// No drill has taken it.
const IF_FREE: &str = "attribute_exists(pk) AND attribute_not_exists(drill_id)";

impl Canary {
    /// Partition key of all canaries.
    pub const PK: &'static str = "canary";

    /// A provider that no drill has taken.
    pub fn new(provider: &Provider) -> Self {
        Self { provider_id: provider.provider_id.clone(), drill_id: None }
    }

    /// The canary as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn to_item(&self) -> Result<Item, RecordError> {
        to_item(Self::PK, self.provider_id.as_str(), self)
    }
}

impl DrillOutcome {
    /// The outcome as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Overdue => "overdue",
            Self::Dead => "dead",
            Self::DeadLate => "dead_late",
            Self::NotDead => "not_dead",
        }
    }

    /// Whether the drill has ended.
    pub fn is_final(self) -> bool {
        match self {
            Self::Running | Self::Overdue => false,
            Self::Dead | Self::DeadLate | Self::NotDead => true,
        }
    }
}

impl Drill {
    /// Partition key of all drills.
    pub const PK: &'static str = "drill";

    /// A drill with a provider's key. Nothing is reported yet.
    pub fn new(drill_id: DrillId, provider: &Provider, started_by: String, now: Timestamp) -> Self {
        Self {
            drill_id,
            provider_id: provider.provider_id.clone(),
            access_key_id: provider.access_key_id.clone(),
            started_by,
            started_at: now,
            reported_at: None,
            outcome: DrillOutcome::Running,
            times: DrillTimes::default(),
        }
    }

    /// Whom its event names as the reporter. An order of the key is this drill's if it has that reporter.
    pub fn reporter(&self) -> String {
        format!("drill {}", self.drill_id)
    }

    /// How it stands at `now`, by the steps that it has. What has ended stays as it ended, and what was late stays late.
    pub fn outcome_at(&self, now: Timestamp) -> DrillOutcome {
        if self.outcome.is_final() {
            return self.outcome;
        }
        let was_late = self.outcome == DrillOutcome::Overdue;
        match self.times.seen_dead_at {
            Some(at) if was_late || at.duration_since(self.started_at) >= OVERDUE_AFTER => DrillOutcome::DeadLate,
            Some(_) => DrillOutcome::Dead,
            None if now.duration_since(self.started_at) >= ENDS_AFTER => DrillOutcome::NotDead,
            None if was_late || now.duration_since(self.started_at) >= OVERDUE_AFTER => DrillOutcome::Overdue,
            None => DrillOutcome::Running,
        }
    }

    /// Milliseconds from the report to the last refusal. They count from the drill's start where it is not known which of its
    /// reports led to the order: after an answer of EventBridge's that was lost there are two.
    pub fn dead_after_ms(&self) -> Option<i64> {
        let led_to_order = |at: &Timestamp| self.times.ordered_at.is_none_or(|ordered_at| *at <= ordered_at);
        let from = self.reported_at.filter(led_to_order).unwrap_or(self.started_at);
        let after = self.times.seen_dead_at?.duration_since(from);
        // A canary that was revoked in the moment of the drill's start had died of something else.
        i64::try_from(after.as_millis()).ok().filter(|after_ms| *after_ms >= 0)
    }

    /// The drill as an item. While it runs, the sweep looks at it.
    fn to_item(&self) -> Result<Item, RecordError> {
        let mut item = to_item(Self::PK, self.drill_id.as_str(), self)?;
        if self.outcome == DrillOutcome::Running {
            sweep_index::add(&mut item, sweep_index::due_after(self.started_at));
        }
        Ok(item)
    }
}

impl DrillTimes {
    /// The steps that a key and the drill's order show.
    pub fn from_records(key: &KeyItem, order: Option<&Order>) -> Self {
        Self {
            order_id: order.map(|order| order.order_id.clone()),
            ordered_at: order.map(|order| order.created_at),
            stopped_at: order.and_then(|order| order.stopped_at),
            deleted_at: key.receipt.deleted_at,
            // A key without refusals was attested: it is dead since then.
            seen_dead_at: key
                .receipt
                .refused
                .values()
                .map(|refused| refused.at)
                .max()
                .or(Some(key.updated_at))
                .filter(|_| key.state.is_dead()),
        }
    }
}

impl Providers {
    /// The canaries that no drill has taken, longest onboarded first.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn free_canaries(&self) -> Result<Vec<Canary>, RecordError> {
        let values = Item::from([(":provider".to_owned(), string("prv_"))]);
        let mut canaries: Vec<Canary> = self.read_all(Canary::PK, "begins_with(sk, :provider)", values).await?;
        canaries.retain(|canary| canary.drill_id.is_none());
        Ok(canaries)
    }

    /// Takes the canary and writes the drill, in one transaction. Returns whether it did: another drill may have taken the
    /// canary.
    ///
    /// # Errors
    /// DynamoDB did not answer: the drill may or may not have been written.
    pub async fn create_drill(&self, drill: &Drill) -> Result<bool, RecordError> {
        let take =
            ItemUpdate::new(Canary::PK.to_owned(), drill.provider_id.to_string(), "SET drill_id = :drill_id", IF_FREE)
                .value(":drill_id", string(drill.drill_id.as_str()));
        let writes = vec![self.update_in_transaction(take)?, self.put_if_absent(drill.to_item()?)?];
        match self.transact(Drill::PK, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) => Ok(false),
            Transaction::Contended => Err(contended(Drill::PK)),
        }
    }

    /// Reads a drill, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn drill(&self, drill_id: &DrillId) -> Result<Option<Drill>, RecordError> {
        self.get(Drill::PK, drill_id.as_str()).await
    }

    /// The latest drills, newest first; at most 100.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn latest_drills(&self, limit: i32) -> Result<Vec<Drill>, RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .consistent_read(true)
            .key_condition_expression("pk = :pk")
            .expression_attribute_values(":pk", string(Drill::PK))
            .scan_index_forward(false)
            .limit(limit.clamp(1, MAX_LISTED))
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", Drill::PK))?;
        answer.items.unwrap_or_default().into_iter().map(|item| from_item(Drill::PK, item)).collect()
    }

    /// Notes when EventBridge took the drill's event. The first time stays.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn note_drill_reported(&self, drill_id: &DrillId, at: Timestamp) -> Result<(), RecordError> {
        let update = ItemUpdate::new(
            Drill::PK.to_owned(),
            drill_id.to_string(),
            "SET reported_at = :at",
            "attribute_exists(pk) AND attribute_not_exists(reported_at)",
        );
        self.update(update.value(":at", timestamp(at))).await.map(drop)
    }

    /// Records how a drill stands that stood at `before`, and takes it off the sweep if it has ended. What somebody else
    /// recorded meanwhile stays.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn record_drill_outcome(&self, drill: &Drill, before: DrillOutcome) -> Result<(), RecordError> {
        let steps = [
            ("order_id", drill.times.order_id.as_ref().map(ToString::to_string)),
            ("ordered_at", drill.times.ordered_at.map(|at| at.to_string())),
            ("stopped_at", drill.times.stopped_at.map(|at| at.to_string())),
            ("deleted_at", drill.times.deleted_at.map(|at| at.to_string())),
            ("seen_dead_at", drill.times.seen_dead_at.map(|at| at.to_string())),
        ];
        let known: Vec<_> = steps.into_iter().filter_map(|(name, value)| Some((name, value?))).collect();
        let set: String = known.iter().map(|(name, _)| format!(", {name} = :{name}")).collect();
        let remove = if drill.outcome.is_final() { " REMOVE sweep, next_attempt_at" } else { "" };
        let mut update = ItemUpdate::new(
            Drill::PK.to_owned(),
            drill.drill_id.to_string(),
            format!("SET outcome = :outcome{set}{remove}"),
            "outcome = :before",
        )
        .value(":outcome", string(drill.outcome.as_str()))
        .value(":before", string(before.as_str()));
        for (name, value) in known {
            update = update.value(format!(":{name}"), string(value));
        }
        self.update(update).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn drill() -> Drill {
        serde_json::from_value(json!({
            "drill_id": "drl_01ARZ3NDEKTSV4RRFFQ69G5FAV", "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "started_by": "schedule", "started_at": "2026-11-23T10:00:00Z",
            "outcome": "running",
        }))
        .unwrap()
    }

    #[test]
    fn neither_item_is_in_an_index_of_providers_and_a_running_drill_is_due() {
        let canary = Canary { provider_id: drill().provider_id, drill_id: None };
        for item in [canary.to_item().unwrap(), drill().to_item().unwrap()] {
            assert!(!item.contains_key("tenant_id") && !item.contains_key("account_id"), "{item:?}");
        }
        let item = drill().to_item().unwrap();
        assert_eq!(item["next_attempt_at"], string("2026-11-23T10:01:00Z"));
        assert_eq!(from_item::<Drill>(Drill::PK, item).unwrap(), drill());
        let finished = Drill { outcome: DrillOutcome::Dead, ..drill() };
        assert!(!finished.to_item().unwrap().contains_key("sweep"));
    }

    #[test]
    fn a_key_shows_its_steps_and_is_dead_only_when_it_is_revoked() {
        let key = |status: &str, reason: Option<&str>| -> KeyItem {
            serde_json::from_value(json!({
                "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": status, "reason": reason,
                "updated_at": "2026-11-23T10:05:00Z", "receipt": {"deleted_at": "2026-11-23T10:00:03Z", "refused": {
                    "sts": {"at": "2026-11-23T10:00:09Z", "code": "InvalidClientTokenId"},
                    "ses": {"at": "2026-11-23T10:00:09.5Z", "code": "UnrecognizedClientException"},
                }},
            }))
            .unwrap()
        };
        let order: Order = serde_json::from_value(json!({
            "order_id": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", "reason": "drill", "reported_by": drill().reporter(),
            "scope": {"provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, "created_at": "2026-11-23T10:00:01Z",
            "stopped_at": "2026-11-23T10:00:02Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
        }))
        .unwrap();
        let cases = [
            ("revoked", None, Some("2026-11-23T10:00:09.5Z".parse().unwrap())),
            ("refused_unproven", None, None),
            ("revoking", None, None),
            ("revocation_blocked", Some("quarantined"), None),
        ];
        for (status, reason, seen_dead_at) in cases {
            let times = DrillTimes::from_records(&key(status, reason), Some(&order));
            assert_eq!(times.seen_dead_at, seen_dead_at, "{status}");
            assert_eq!(times.order_id.as_ref(), Some(&order.order_id));
            assert_eq!((times.ordered_at, times.stopped_at), (Some(order.created_at), order.stopped_at));
            assert_eq!(times.deleted_at, key(status, reason).receipt.deleted_at);
        }
        let mut attested = key("revoked", None);
        attested.receipt.refused.clear();
        assert_eq!(DrillTimes::from_records(&attested, Some(&order)).seen_dead_at, Some(attested.updated_at));
        let not_ordered = DrillTimes::from_records(&key("active", None), None);
        assert_eq!((not_ordered.order_id, not_ordered.seen_dead_at), (None, None));
    }

    #[test]
    fn a_drill_is_overdue_after_a_quarter_of_an_hour_and_ends_when_its_key_is_dead_or_after_a_week() {
        let start = drill().started_at;
        let after = |seconds: i64| start + SignedDuration::from_secs(seconds);
        let week = 7 * 24 * 3600;
        let (running, overdue) = (DrillOutcome::Running, DrillOutcome::Overdue);
        let (dead, late, not_dead) = (DrillOutcome::Dead, DrillOutcome::DeadLate, DrillOutcome::NotDead);
        // Recorded, seen dead after, looked at after, expected.
        let cases = [
            (running, None, 0, running),
            (running, None, 899, running),
            (running, None, 900, overdue),
            (overdue, None, week - 1, overdue),
            (overdue, None, week, not_dead),
            // The sweep did not run for a week.
            (running, None, week, not_dead),
            (running, Some(9), 60, dead),
            (running, Some(899), week, dead),
            (running, Some(900), 960, late),
            (overdue, Some(900), 3600, late),
            // It was told that it is late.
            (overdue, Some(899), 3600, late),
            (dead, Some(9), week, dead),
            (late, Some(950), week, late),
            (not_dead, Some(week), week + 1, not_dead),
        ];
        for (outcome, seen_dead_at, now, expected) in cases {
            let mut drill = Drill { outcome, ..drill() };
            drill.times.seen_dead_at = seen_dead_at.map(after);
            assert_eq!(drill.outcome_at(after(now)), expected, "{outcome:?} {seen_dead_at:?} {now}");
            assert_eq!(expected.is_final(), ![running, overdue].contains(&expected));
        }
    }

    #[test]
    fn a_drill_counts_from_the_report_that_led_to_its_order() {
        let at = |time: &str| Some(format!("2026-11-23T10:{time}Z").parse::<Timestamp>().unwrap());
        // Reported, ordered, seen dead, milliseconds.
        let cases = [
            (at("00:01"), at("00:02"), at("00:09.5"), Some(8_500)),
            (at("00:01"), None, at("00:09"), Some(8_000)),
            (at("00:01"), at("00:02"), None, None),
            // The first report's answer was lost, and the second is not what killed the key.
            (at("01:00"), at("00:02"), at("00:09"), Some(9_000)),
            (None, at("00:02"), at("00:09"), Some(9_000)),
            (at("00:01"), at("00:02"), Some(drill().started_at - SignedDuration::from_secs(1)), None),
        ];
        for (reported_at, ordered_at, seen_dead_at, expected) in cases {
            let times = DrillTimes { ordered_at, seen_dead_at, ..DrillTimes::default() };
            let drill = Drill { reported_at, times, ..drill() };
            assert_eq!(drill.dead_after_ms(), expected, "{reported_at:?} {ordered_at:?}");
        }
    }
}
