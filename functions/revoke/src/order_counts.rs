//! How far an order has come, computed from its keys as they are now.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;
use shared::id::AccessKeyId;
use shared::record::{KeyItem, KeyState, Order, OrderMilestone, Pass, Providers, RecordError};

/// Pages that are read at a time.
const PAGES_AT_A_TIME: u32 = 16;

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

    /// Counts keys.
    pub(crate) fn of(keys: &[(AccessKeyId, Option<KeyItem>)]) -> Self {
        let mut progress = Self::default();
        keys.iter().for_each(|(_, key)| progress.add(key.as_ref()));
        progress
    }

    fn unknown(&self) -> u32 {
        self.by_status.get(KeyState::UnknownKey.name().as_str()).copied().unwrap_or_default()
    }

    /// Whether it has keys and each is proved dead. A report that reached no key is not done.
    pub(crate) fn is_done(&self) -> bool {
        self.keys > 0 && self.dead == self.keys
    }

    /// How far the order has come. `is_listed`: no key can be added any more.
    pub(crate) fn milestone(&self, is_listed: bool) -> OrderMilestone {
        if self.stopped < self.keys || !is_listed {
            OrderMilestone::Placed
        } else if self.dead + self.unknown() < self.keys {
            OrderMilestone::Stopped
        } else {
            OrderMilestone::Complete
        }
    }
}

/// Whether all keys of an order are known. Until the second pass is over, one may be added.
pub(crate) fn is_listed(order: &Order) -> bool {
    order.fan_out.as_ref().is_none_or(|fan_out| fan_out.pass == Pass::Over)
}

/// Counts the keys of an order as they are now.
///
/// # Errors
/// DynamoDB did not answer.
pub(crate) async fn order_counts(providers: &Providers, order: &Order) -> Result<OrderCounts, RecordError> {
    let Some(fan_out) = &order.fan_out else {
        return Ok(OrderCounts::of(&providers.keys(&order.access_key_ids).await?));
    };
    let mut progress = OrderCounts::default();
    let mut first = 1;
    while first <= fan_out.pages {
        let pages = providers.pages(&order.order_id, first, PAGES_AT_A_TIME).await?;
        let ids: Vec<AccessKeyId> = pages.into_iter().flat_map(|page| page.access_key_ids).collect();
        providers.keys(&ids).await?.iter().for_each(|(_, key)| progress.add(key.as_ref()));
        first = first.saturating_add(PAGES_AT_A_TIME);
    }
    Ok(progress)
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
            (vec![], true, OrderMilestone::Complete, false),
            (vec![], false, OrderMilestone::Placed, false),
            (vec![None, dead()], true, OrderMilestone::Placed, false),
            (vec![key("active", None)], true, OrderMilestone::Placed, false),
            (vec![dead(), key("revoking", None)], true, OrderMilestone::Stopped, false),
            (vec![dead(), blocked()], true, OrderMilestone::Stopped, false),
            (vec![dead(), key("refused_unproven", None)], true, OrderMilestone::Stopped, false),
            (vec![dead(), key("unknown_key", None)], true, OrderMilestone::Complete, false),
            (vec![dead(), dead()], true, OrderMilestone::Complete, true),
            (vec![dead(), dead()], false, OrderMilestone::Placed, true),
        ];
        for (keys, is_listed, milestone, is_done) in cases {
            let mut progress = OrderCounts::default();
            keys.iter().for_each(|key| progress.add(key.as_ref()));
            assert_eq!(usize::try_from(progress.keys).unwrap(), keys.len());
            assert_eq!(progress.by_status.values().sum::<u32>(), progress.keys);
            assert_eq!((progress.milestone(is_listed), progress.is_done()), (milestone, is_done), "{progress:?}");
        }
        let mut progress = OrderCounts::default();
        [blocked(), dead(), None].iter().for_each(|key| progress.add(key.as_ref()));
        assert_eq!((progress.stopped, progress.deleted, progress.dead), (2, 1, 1));
        assert_eq!(progress.blocked, BTreeMap::from([("quarantined", 1)]));
        assert_eq!(progress.next_attempt_at, Some("2026-11-23T11:00:00Z".parse().unwrap()));
    }
}
