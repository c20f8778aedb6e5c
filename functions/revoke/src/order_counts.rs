//! How far an order has come, computed from its keys as they are now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use shared::id::{AccessKeyId, OrderId};
use shared::record::{KeyItem, KeyState, Order, OrderMilestone, Pass, Providers, RecordError};
use tokio::task::JoinSet;

/// Pages that are read at a time, and how often that is done at the same time.
const PAGES_AT_A_TIME: u32 = 16;
const CONCURRENT_READS: usize = 8;

/// The counts of an order's keys. Each key counts in exactly one status, so they add up to `keys`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct OrderCounts {
    /// All keys of it that are known so far.
    pub(crate) keys: u32,
    /// Keys that send nothing any more.
    pub(crate) stopped: u32,
    /// Keys whose deletion AWS has answered, or that a person attested.
    pub(crate) deleted: u32,
    /// Keys that are proved dead.
    pub(crate) dead: u32,
    /// Keys by status; `not_stopped` may still be in use.
    pub(crate) by_status: BTreeMap<&'static str, u32>,
    /// Keys that are alive and cannot delete themselves, by reason.
    pub(crate) blocked: BTreeMap<&'static str, u32>,
    /// When the next of them is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) next_attempt_at: Option<Timestamp>,
}

/// The status of a key that is not stopped, whatever its item says.
pub(crate) const NOT_STOPPED: &str = "not_stopped";

/// A key's status as an order shows it.
pub(crate) fn shown_status(key: Option<&KeyItem>) -> &'static str {
    match key {
        Some(key) if key.state.is_stopped() => key.state.name().as_str(),
        _ => NOT_STOPPED,
    }
}

impl OrderCounts {
    /// Counts one more key.
    pub(crate) fn add(&mut self, key: Option<&KeyItem>) {
        self.keys = self.keys.saturating_add(1);
        *self.by_status.entry(shown_status(key)).or_default() += 1;
        let Some(key) = key.filter(|key| key.state.is_stopped()) else { return };
        self.stopped = self.stopped.saturating_add(1);
        let is_dead = key.state.is_dead();
        self.dead = self.dead.saturating_add(u32::from(is_dead));
        self.deleted = self.deleted.saturating_add(u32::from(is_dead || key.receipt.deleted_at.is_some()));
        if let KeyState::RevocationBlocked(reason) = key.state {
            *self.blocked.entry(reason.as_str()).or_default() += 1;
        }
        let earlier = |at: Timestamp| self.next_attempt_at.is_none_or(|next| at < next);
        if let Some(at) = key.next_attempt_at.filter(|at| !is_dead && earlier(*at)) {
            self.next_attempt_at = Some(at);
        }
    }

    /// Adds the counts of other keys.
    fn add_all(&mut self, others: &Self) {
        let Self { keys, stopped, deleted, dead, by_status, blocked, next_attempt_at } = others;
        self.keys = self.keys.saturating_add(*keys);
        self.stopped = self.stopped.saturating_add(*stopped);
        self.deleted = self.deleted.saturating_add(*deleted);
        self.dead = self.dead.saturating_add(*dead);
        by_status.iter().for_each(|(status, count)| *self.by_status.entry(status).or_default() += count);
        blocked.iter().for_each(|(reason, count)| *self.blocked.entry(reason).or_default() += count);
        self.next_attempt_at = self.next_attempt_at.into_iter().chain(*next_attempt_at).min();
    }

    /// Counts keys.
    pub(crate) fn of(keys: &[(AccessKeyId, Option<KeyItem>)]) -> Self {
        let mut counts = Self::default();
        keys.iter().for_each(|(_, key)| counts.add(key.as_ref()));
        counts
    }

    fn unknown(&self) -> u32 {
        self.by_status.get(KeyState::UnknownKey.name().as_str()).copied().unwrap_or_default()
    }

    /// Whether it has keys and each is proved dead. A report that reached no key is not done.
    pub(crate) fn is_done(&self) -> bool {
        self.keys > 0 && self.dead == self.keys
    }

    /// How far an order with these counts has come.
    pub(crate) fn milestone(&self, pass: Pass) -> OrderMilestone {
        if self.stopped < self.keys || pass == Pass::First {
            OrderMilestone::Placed
        } else if self.dead + self.unknown() < self.keys || pass == Pass::Repeat {
            OrderMilestone::Stopped
        } else {
            OrderMilestone::Complete
        }
    }
}

/// Which time the providers of an order are being listed. The keys of an order for one key or provider are known from the start.
pub(crate) fn pass(order: &Order) -> Pass {
    order.fan_out.as_ref().map_or(Pass::Over, |fan_out| fan_out.pass)
}

/// Counts the keys of an order as they are now.
///
/// # Errors
/// DynamoDB did not answer.
pub(crate) async fn order_counts(providers: &Providers, order: &Order) -> Result<OrderCounts, RecordError> {
    let Some(fan_out) = &order.fan_out else {
        return Ok(OrderCounts::of(&providers.keys(&order.access_key_ids).await?));
    };
    let mut counts = OrderCounts::default();
    let mut parts = JoinSet::new();
    let mut first = 1;
    while first <= fan_out.pages || !parts.is_empty() {
        while first <= fan_out.pages && parts.len() < CONCURRENT_READS {
            parts.spawn(counts_of_pages(providers.clone(), order.order_id.clone(), first));
            first = first.saturating_add(PAGES_AT_A_TIME);
        }
        if let Some(part) = parts.join_next().await {
            let part = part.map_err(RecordError::dynamodb("count the keys of", Order::pk(&order.order_id)))?;
            counts.add_all(&part?);
        }
    }
    Ok(counts)
}

async fn counts_of_pages(providers: Providers, order_id: OrderId, first: u32) -> Result<OrderCounts, RecordError> {
    let pages = providers.pages(&order_id, first, PAGES_AT_A_TIME).await?;
    let ids: Vec<AccessKeyId> = pages.into_iter().flat_map(|page| page.access_key_ids).collect();
    Ok(OrderCounts::of(&providers.keys(&ids).await?))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::record::FanOut;
    use shared::telemetry::{Event, OrderEvent};

    use super::*;

    fn key(status: &str, reason: Option<&str>) -> Option<KeyItem> {
        Some(
            serde_json::from_value(json!({
                "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": status, "reason": reason,
                "updated_at": "2026-11-23T10:00:07Z", "next_attempt_at": "2026-11-23T11:00:00Z",
            }))
            .unwrap(),
        )
    }

    #[test]
    fn the_sample_events_are_what_is_put_on_the_bus() {
        let samples = [
            (include_str!("../../../events/revoke-revocation-ordered.json"), ["revoking", "revoking"]),
            (include_str!("../../../events/revoke-revocation-stopped.json"), ["revoking", "revoked"]),
            (include_str!("../../../events/revoke-revocation-complete.json"), ["revoked", "revoked"]),
        ];
        for (sample, states) in samples {
            let sample: Value = serde_json::from_str(sample).unwrap();
            let mut counts = OrderCounts::default();
            for state in states {
                let mut key = key(state, None).unwrap();
                key.next_attempt_at = (state == "revoking").then(|| "2026-11-23T10:01:01Z".parse().unwrap());
                if sample["detail-type"] != "Revocation Ordered" {
                    key.receipt.deleted_at = Some(key.updated_at);
                }
                counts.add(Some(&key));
            }
            let order: Order = serde_json::from_value(json!({
                "order_id": "rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC", "scope": {"tenant_id": "acme"}, "reason": "leaked",
                "reported_by": "security on-call", "created_at": "2026-11-23T10:00:01Z", "fan_out": FanOut::default(),
            }))
            .unwrap();
            let event = OrderEvent::new(&order, serde_json::to_value(&counts).unwrap());
            let events = [
                Event::RevocationOrdered(event.clone()),
                Event::RevocationStopped(event.clone()),
                Event::RevocationComplete(event),
            ];
            let event = events.into_iter().find(|event| event.detail_type() == sample["detail-type"]).unwrap();
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }

    #[test]
    fn counts_add_up_and_say_how_far_the_order_has_come() {
        let dead = || key("revoked", None);
        let blocked = || key("revocation_blocked", Some("quarantined"));
        let cases = [
            (vec![], Pass::Over, OrderMilestone::Complete, false),
            (vec![], Pass::Repeat, OrderMilestone::Stopped, false),
            (vec![], Pass::First, OrderMilestone::Placed, false),
            (vec![None, dead()], Pass::Over, OrderMilestone::Placed, false),
            (vec![key("active", None)], Pass::Over, OrderMilestone::Placed, false),
            (vec![dead(), key("revoking", None)], Pass::Over, OrderMilestone::Stopped, false),
            (vec![dead(), blocked()], Pass::Over, OrderMilestone::Stopped, false),
            (vec![dead(), key("refused_unproven", None)], Pass::Over, OrderMilestone::Stopped, false),
            (vec![dead(), key("unknown_key", None)], Pass::Over, OrderMilestone::Complete, false),
            (vec![dead(), dead()], Pass::Over, OrderMilestone::Complete, true),
            (vec![dead(), dead()], Pass::Repeat, OrderMilestone::Stopped, true),
            (vec![dead(), dead()], Pass::First, OrderMilestone::Placed, true),
        ];
        for (keys, pass, milestone, is_done) in cases {
            let (mut counts, mut halves) = (OrderCounts::default(), [OrderCounts::default(), OrderCounts::default()]);
            for (number, key) in keys.iter().enumerate() {
                counts.add(key.as_ref());
                halves[number % 2].add(key.as_ref());
            }
            assert_eq!(usize::try_from(counts.keys).unwrap(), keys.len());
            assert_eq!(counts.by_status.values().sum::<u32>(), counts.keys);
            assert_eq!((counts.milestone(pass), counts.is_done()), (milestone, is_done), "{counts:?}");
            let [mut sum, other] = halves;
            sum.add_all(&other);
            assert_eq!(sum, counts);
        }
        let mut counts = OrderCounts::default();
        [blocked(), dead(), None].iter().for_each(|key| counts.add(key.as_ref()));
        assert_eq!((counts.stopped, counts.deleted, counts.dead), (2, 1, 1));
        assert_eq!(counts.blocked, BTreeMap::from([("quarantined", 1)]));
        assert_eq!(counts.next_attempt_at, Some("2026-11-23T11:00:00Z".parse().unwrap()));
    }
}
