//! What follows from the halt item: Lambda stops or starts to poll the send queue, and operators are notified.
//!
//! The item alone decides what may be sent, because `send` reads it before every request. With the event source mapping
//! disabled the queue itself holds the mail, instead of mail going round. The mapping follows the item: at once if Lambda
//! lets it, and otherwise by the sweep, which compares the two every minute.

use std::time::Duration;

use shared::id::OrderId;
use shared::queue::{MappingError, MappingState};
use shared::record::{Halt, HaltState, Order, OrderFilter, RecordError};
use shared::telemetry::{Event, chain};
use tokio::time::timeout;

use super::Intake;
use crate::order_counts::order_counts;

/// The time for what follows from a change, so that an answer is given whatever fails. The sweep does the rest.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(10);

/// Open orders that are named.
const MAX_OPEN_ORDERS: usize = 20;

/// Orders that are looked at in one call.
const ORDERS_ON_A_PAGE: i32 = 500;

impl Intake {
    /// Reads the halt item and does what follows from it. The sweep calls this every minute.
    pub(super) async fn follow_halt_item(&self) {
        match self.providers.halt_state().await {
            Ok(state) => drop(self.follow_halt(&state).await),
            Err(error) => {
                tracing::error!(error = chain(&error), "the halt item could not be read: the sweep reads it again")
            }
        }
    }

    /// Does what follows from a change of the halt item. It can be repeated. Returns the state of the mapping, if Lambda
    /// told it.
    pub(super) async fn follow_halt(&self, state: &HaltState) -> Option<MappingState> {
        let (mapping, ()) = tokio::join!(timeout(FOLLOW_TIMEOUT, self.switch_mapping(state.halt)), async {
            if timeout(FOLLOW_TIMEOUT, self.notify_of_halt(state)).await.is_err() {
                tracing::error!("operators not notified of a halt or its end in time: the sweep retries");
            }
        });
        let halted = state.halt == Halt::Halted;
        match mapping {
            Ok(Ok(mapping)) => Some(mapping),
            Ok(Err(error)) if error.is_in_use() => {
                tracing::info!(halted, "the mapping of the send queue is still changing: the sweep switches it");
                None
            }
            Ok(Err(error)) => {
                tracing::error!(
                    halted,
                    error = chain(&error),
                    "mapping of the send queue not switched: the sweep retries"
                );
                None
            }
            Err(_) => {
                tracing::error!(halted, "mapping of the send queue not switched in time: the sweep retries");
                None
            }
        }
    }

    /// The state of the mapping; `None` if Lambda did not tell it.
    pub(super) async fn mapping_state(&self) -> Option<MappingState> {
        match timeout(FOLLOW_TIMEOUT, self.send_mapping.state()).await {
            Ok(Ok(state)) => Some(state),
            Ok(Err(error)) => {
                tracing::warn!(error = chain(&error), "state of the send queue's mapping not read");
                None
            }
            Err(_) => None,
        }
    }

    async fn switch_mapping(&self, halt: Halt) -> Result<MappingState, MappingError> {
        let state = self.send_mapping.state().await?;
        let Some(enabled) = mapping_switch(halt, &state) else { return Ok(state) };
        let state = self.send_mapping.set_enabled(enabled).await?;
        tracing::info!(enabled, state = state.as_str(), "mapping of the send queue switched");
        Ok(state)
    }

    /// Notifies operators of the last change, at least once: the sweep repeats it until it has worked.
    async fn notify_of_halt(&self, state: &HaltState) {
        let Some(change) = state.change.clone().filter(|_| state.notification_pending) else { return };
        let event = match state.halt {
            Halt::Halted => Event::SendingHalted(change),
            Halt::Open => Event::SendingResumed(change),
        };
        if let Err(error) = self.bus.put(&event, self.ambient.now()).await {
            tracing::error!(error = chain(&error), "operators not notified of a halt or its end: the sweep retries");
        } else if let Err(error) = self.providers.mark_halt_notified(state).await {
            tracing::warn!(
                error = chain(&error),
                "operators were notified of a halt or its end, which could not be noted: they are notified again"
            );
        }
    }

    /// Some of the orders that are not complete, each as it is now and not as the sweep saw it last. It is empty only if there
    /// is none: the index may not have the order that halted yet, so that one is read by its id.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub(super) async fn open_orders(&self, halt: &HaltState) -> Result<Vec<OrderId>, RecordError> {
        let filter = OrderFilter { open: true, ..OrderFilter::default() };
        let mut open = Vec::new();
        let mut before = None;
        loop {
            let (orders, next) = self.providers.list_orders(&filter, before.as_ref(), ORDERS_ON_A_PAGE).await?;
            for order in orders {
                if open.len() < MAX_OPEN_ORDERS {
                    open.extend(self.still_open(order).await?);
                }
            }
            before = next;
            if before.is_none() || !open.is_empty() {
                break;
            }
        }
        if let Some(order_id) = halt.change.as_ref().and_then(|change| change.order_id.as_ref())
            && !open.contains(order_id)
            && let Some(order) = self.providers.order(order_id).await?
        {
            open.extend(self.still_open(order).await?);
        }
        Ok(open)
    }

    /// The id of an order, unless it is complete now.
    async fn still_open(&self, mut order: Order) -> Result<Option<OrderId>, RecordError> {
        if order.completed_at.is_none() {
            let counts = order_counts(&self.providers, &order).await?;
            self.tell_progress(&mut order, &counts).await?;
        }
        Ok(order.completed_at.is_none().then_some(order.order_id))
    }
}

/// What the mapping has to be told; `None` if nothing, or nothing yet, because Lambda refuses a change while another is
/// under way.
fn mapping_switch(halt: Halt, state: &MappingState) -> Option<bool> {
    match (halt, state) {
        (Halt::Halted, MappingState::Enabled) => Some(false),
        (Halt::Open, MappingState::Disabled) => Some(true),
        (Halt::Halted, MappingState::Disabled)
        | (Halt::Open, MappingState::Enabled)
        | (_, MappingState::Changing(_)) => None,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::{Value, json};
    use shared::record::HaltChange;
    use shared::testing::{FakeResponse, capture_log};

    use super::*;
    use crate::fixtures::{Calls, cold_start, item, operations};

    #[test]
    fn the_mapping_follows_the_halt_and_waits_for_a_change_under_way() {
        let changing = || MappingState::Changing("Disabling".to_owned());
        let cases = [
            (Halt::Halted, MappingState::Enabled, Some(false)),
            (Halt::Halted, MappingState::Disabled, None),
            (Halt::Halted, changing(), None),
            (Halt::Open, MappingState::Enabled, None),
            (Halt::Open, MappingState::Disabled, Some(true)),
            (Halt::Open, changing(), None),
        ];
        for (halt, state, expected) in cases {
            assert_eq!(mapping_switch(halt, &state), expected, "{halt:?} {state:?}");
        }
    }

    fn intake(serve: impl Fn(&str) -> Option<FakeResponse> + Send + Sync + 'static) -> (Arc<Intake>, Calls) {
        let (start, calls) = cold_start(serve);
        (Arc::new(Intake::new(&start).unwrap()), calls)
    }

    /// The halt item with a change of which operators have or have not been notified.
    fn halt_item(halted: bool, notification_pending: bool) -> FakeResponse {
        item(&json!({
            "halted": { "BOOL": halted }, "change_id": { "S": "c1" }, "reason": { "S": "leaked" },
            "notification_pending": { "BOOL": notification_pending },
            "changed_by": { "S": "arn:aws:iam::111122223333:user/ann" }, "changed_at": { "S": "2026-11-23T10:00:00Z" },
        }))
    }

    #[tokio::test]
    async fn the_sweep_makes_up_for_what_a_change_left_undone() {
        let cases: [(bool, bool, &str, &[&str]); 4] = [
            (true, true, "Enabled", &["UpdateEventSourceMapping {\"Enabled\":false}", "PutEvents", "UpdateItem"]),
            (true, false, "Enabled", &["UpdateEventSourceMapping {\"Enabled\":false}"]),
            (false, false, "Disabled", &["UpdateEventSourceMapping {\"Enabled\":true}"]),
            (false, false, "Enabled", &[]),
        ];
        for (halted, pending, mapping, expected) in cases {
            let (intake, calls) = intake(move |operation| match operation {
                "GetItem providers" => Some(halt_item(halted, pending)),
                "GetEventSourceMapping" => Some((200, json!({ "State": mapping }).to_string())),
                _ => None,
            });
            intake.follow_halt_item().await;
            let mut made = operations(&calls);
            made.retain(|operation| !operation.starts_with("Get"));
            made.sort_by_key(|operation| !operation.starts_with("UpdateEvent"));
            assert_eq!(made, expected, "{halted} {pending} {mapping}");
        }
    }

    #[tokio::test]
    async fn a_first_deployment_is_halted_and_so_is_its_mapping() {
        let (intake, calls) = intake(|_| None);
        intake.follow_halt_item().await;
        assert!(operations(&calls).contains(&"UpdateEventSourceMapping {\"Enabled\":false}".to_owned()));
        assert!(!operations(&calls).contains(&"PutEvents".to_owned()), "nobody has changed anything");
    }

    #[tokio::test(start_paused = true)]
    async fn a_mapping_that_cannot_be_switched_is_an_error_in_the_log_and_nothing_else() {
        let log = capture_log();
        let (intake, calls) = intake(|operation| match operation {
            "GetItem providers" => Some(halt_item(true, true)),
            _ if operation.contains("EventSourceMapping") => Some((500, "{}".to_owned())),
            _ => None,
        });
        intake.follow_halt_item().await;
        assert!(operations(&calls).contains(&"PutEvents".to_owned()));
        let lines = log.lines();
        let errors: Vec<&Value> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
        assert_eq!(errors.len(), 1, "{lines:?}");
        assert!(errors[0]["error"].as_str().unwrap().contains("GetEventSourceMapping"), "{errors:?}");
    }

    #[tokio::test]
    async fn an_order_is_open_until_it_is_complete_and_so_is_the_one_that_halted_before_it_is_listed() {
        const HALTING: &str = "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        const OTHER: &str = "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAW";
        let order = |order_id: &str| {
            json!({
                "pk": { "S": format!("order#{order_id}") }, "sk": { "S": "order" }, "order_id": { "S": order_id },
                "scope": { "M": { "access_key_id": { "S": "AKIASP2TPHJSQH3FJRUX" } } }, "reason": { "S": "leaked" },
                "reported_by": { "S": "ops" }, "created_at": { "S": "2026-11-23T10:00:00Z" },
                "access_key_ids": { "L": [{ "S": "AKIASP2TPHJSQH3FJRUX" }] },
            })
        };
        let mut complete = order(HALTING);
        complete["completed_at"] = json!({ "S": "2026-11-23T11:00:00Z" });
        let cases: [(&str, Vec<Value>, Value, &[&str]); 5] = [
            ("none", vec![], complete.clone(), &[]),
            ("the one that halted is not listed yet", vec![], order(HALTING), &[HALTING]),
            ("it is listed", vec![order(HALTING)], order(HALTING), &[HALTING]),
            ("another one", vec![order(OTHER)], complete, &[OTHER]),
            ("both", vec![order(OTHER)], order(HALTING), &[OTHER, HALTING]),
        ];
        for (case, listed, halting, expected) in cases {
            let (intake, _) = intake(move |operation| match operation {
                "Query" => Some((200, json!({ "Items": listed }).to_string())),
                "GetItem providers" => Some(item(&halting)),
                _ => None,
            });
            let halt = item_state(&json!({
                "halted": { "BOOL": true }, "change_id": { "S": "c1" }, "reason": { "S": "leaked" },
                "changed_by": { "S": "ops" }, "changed_at": { "S": "2026-11-23T10:00:00Z" }, "order_id": { "S": HALTING },
            }))
            .await;
            let open = intake.open_orders(&halt).await.unwrap();
            assert_eq!(open.iter().map(OrderId::as_str).collect::<Vec<_>>(), expected, "{case}");
        }
    }

    /// The state that this halt item holds.
    async fn item_state(attributes: &Value) -> HaltState {
        let attributes = attributes.clone();
        let (intake, _) = intake(move |operation| (operation == "GetItem providers").then(|| item(&attributes)));
        intake.providers.halt_state().await.unwrap()
    }

    #[test]
    fn the_sample_events_are_what_is_put_on_the_bus() {
        let event = |json: &str| -> Value { serde_json::from_str(json).unwrap() };
        let halted = event(include_str!("../../../../events/revoke-sending-halted.json"));
        let resumed = event(include_str!("../../../../events/revoke-sending-resumed.json"));
        let change = |detail: &Value, open_orders: Vec<OrderId>| HaltChange {
            reason: detail["reason"].as_str().unwrap().to_owned(),
            changed_by: detail["changed_by"].as_str().unwrap().to_owned(),
            halted_by: detail["halted_by"].as_str().map(str::to_owned),
            changed_at: detail["changed_at"].as_str().unwrap().parse().unwrap(),
            order_id: None,
            open_orders,
        };
        let open = OrderId::parse("rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC").unwrap();
        for (sample, event) in [
            (&halted, Event::SendingHalted(change(&halted["detail"], Vec::new()))),
            (&resumed, Event::SendingResumed(change(&resumed["detail"], vec![open]))),
        ] {
            assert_eq!(sample["source"], "sendingbee.revoke");
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }
}
