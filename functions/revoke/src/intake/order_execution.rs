//! The execution of an order: its keys are stopped, the order is enqueued for `revoke-worker`, and operators are told.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::id::{AccessKeyId, OrderId};
use shared::queue::QueueError;
use shared::record::{BreachScope, FanOut, KeyItem, KeyState, Order, OrderMilestone, RecordError};
use shared::telemetry::{Event, OrderEvent, UnmatchedReportEvent, chain};
use thiserror::Error;

use super::Intake;
use super::breach_report::BreachReport;
use crate::fan_out::{FanOutRun, ListOutcome};
use crate::order_counts::{OrderCounts, order_counts, pass};
use crate::work_item::enqueue_order;

/// How long `revoke` lists the providers of an order before it answers. The worker lists on.
const LISTING_TIME: SignedDuration = SignedDuration::from_secs(4);

/// When an order is looked at again that is not complete: after a quarter of its age, within these bounds.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(60);
const LATEST_LOOK: SignedDuration = SignedDuration::from_hours(1);

/// No order was written, and nothing was stopped.
#[derive(Debug, Error)]
pub(super) enum OrderError {
    /// There is no such provider.
    #[error("there is no such provider")]
    UnknownProvider,
    /// The records could not be read or written.
    #[error("read or write the order")]
    Record(#[from] RecordError),
}

/// An order, and how far it was executed.
pub(super) struct OrderExecution {
    pub(super) order: Order,
    /// Each of its keys, if it is for one; `None` if the stop failed, so that the key may still be in use.
    pub(super) keys: Vec<(AccessKeyId, Option<KeyItem>)>,
    /// Whether the order is enqueued, or need not be because the worker has nothing to do for its keys.
    pub(super) is_enqueued: bool,
    /// Whether operators were notified of each key that nobody handed over.
    pub(super) is_notified: bool,
    /// Its keys as they are now, if they could be counted.
    pub(super) counts: OrderCounts,
}

impl OrderExecution {
    /// Keys that may still be in use.
    pub(super) fn not_stopped(&self) -> Vec<&AccessKeyId> {
        self.keys.iter().filter(|(_, key)| key.is_none()).map(|(id, _)| id).collect()
    }

    /// Whether its keys are stopped and the rest is on its way.
    pub(super) fn is_accepted(&self) -> bool {
        self.is_enqueued && self.not_stopped().is_empty()
    }

    /// Whether nothing is left to execute.
    pub(super) fn is_complete(&self) -> bool {
        self.is_accepted() && self.is_notified
    }
}

impl Intake {
    /// Writes an order for a report and executes it.
    ///
    /// If the id has an order already, as that of a repeated event has, that order is executed again with its own keys,
    /// whatever the report says. If this process does not finish, the sweep executes the order a minute later.
    ///
    /// # Errors
    /// No order was written, and nothing was stopped.
    pub(super) async fn order_revocation(
        &self,
        order_id: OrderId,
        report: BreachReport,
    ) -> Result<OrderExecution, OrderError> {
        let order = match self.providers.order(&order_id).await? {
            Some(earlier) => earlier,
            None => self.write_order(order_id, report).await?,
        };
        let follow = async {
            if let BreachScope::All(_) = order.scope {
                self.follow_halt_item().await;
            }
        };
        // The item has stopped all sending already: what follows from it does not hold up the keys.
        let (mut execution, ()) = tokio::join!(Box::pin(self.execute(order.clone())), follow);
        if execution.order.fan_out.is_some() {
            match order_counts(&self.providers, &execution.order).await {
                Ok(counts) => execution.counts = counts,
                Err(error) => {
                    let order_id = execution.order.order_id.as_str();
                    tracing::warn!(
                        order_id,
                        error = chain(&error),
                        "keys of an order not counted: the sweep counts them"
                    );
                    return Ok(execution);
                }
            }
        }
        if execution.is_complete() {
            // What fails here is left to the sweep, which looks at the order a minute after it was written.
            let _ = self.tell_progress(&mut execution.order, &execution.counts).await;
        }
        Ok(execution)
    }

    /// Moves the fence, halts if the scope is `all`, and writes the order, in this order: whatever is onboarded from now on is
    /// kept out or found by the second pass.
    async fn write_order(&self, order_id: OrderId, report: BreachReport) -> Result<Order, OrderError> {
        let access_key_ids = self.pinned_keys(&report.scope).await?;
        let now = self.ambient.now();
        let fan_out = report.scope.confirmation().map(|_| FanOut::default());
        self.providers.move_fence(&report.scope, &order_id, now).await?;
        if let BreachScope::All(_) = report.scope {
            let by = report.signed_by.as_deref().unwrap_or(&report.reported_by);
            self.providers.halt(&order_id, &report.reason, by, &self.ambient).await?;
        }
        let order = Order {
            order_id,
            access_key_ids,
            scope: report.scope,
            reason: report.reason,
            reported_by: report.reported_by,
            signed_by: report.signed_by,
            created_at: now,
            remove_identity_policies: report.remove_identity_policies,
            oddities: report.oddities,
            fan_out,
            event_id: report.event_id,
            told: OrderMilestone::Nothing,
            stopped_at: None,
            completed_at: None,
        };
        if !order.oddities.is_empty() {
            tracing::warn!(
                order_id = %order.order_id,
                oddities = order.oddities.join("; "),
                "odd breach report acted on: only its scope was needed"
            );
        }
        Ok(self.providers.create_order(order).await?)
    }

    /// The keys that are written with the order. Those of a scope of more than one provider are listed later.
    async fn pinned_keys(&self, scope: &BreachScope) -> Result<Vec<AccessKeyId>, OrderError> {
        match scope {
            BreachScope::AccessKeyId(access_key_id) => Ok(vec![access_key_id.clone()]),
            BreachScope::ProviderId(provider_id) => {
                let provider = self.providers.provider(provider_id).await?.ok_or(OrderError::UnknownProvider)?;
                Ok(provider.keys_in_use().into_iter().cloned().collect())
            }
            BreachScope::TenantId(_) | BreachScope::AccountId(_) | BreachScope::All(_) => Ok(Vec::new()),
        }
    }

    /// Stops an order's keys and enqueues it. It can be repeated, which completes what failed before. A key's error does
    /// not stop the others.
    pub(super) async fn execute(&self, order: Order) -> OrderExecution {
        if order.fan_out.is_some() {
            return self.execute_listing(order).await;
        }
        let run = self.fan_out_run();
        let mut keys = Vec::with_capacity(order.access_key_ids.len());
        let mut is_notified = true;
        for access_key_id in &order.access_key_ids {
            let key = run.stop_key(&order, access_key_id).await;
            if key.as_ref().is_some_and(|key| key.state == KeyState::UnknownKey) {
                is_notified &= self.notify_unmatched(unknown_key(&order, access_key_id)).await;
            }
            keys.push((access_key_id.clone(), key));
        }
        // An earlier execution may have enqueued it. That is not known, and a second message does no harm.
        let needs_worker = keys.iter().any(|(_, key)| key.as_ref().is_none_or(|key| key.state.needs_worker()));
        let is_enqueued = !needs_worker || self.enqueue(&order).await.is_ok();
        let counts = OrderCounts::of(&keys);
        OrderExecution { order, keys, is_enqueued, is_notified, counts }
    }

    /// Lists the providers of an order for more than one, as far as there is time; the worker lists on.
    async fn execute_listing(&self, order: Order) -> OrderExecution {
        let until = self.ambient.now().saturating_add(LISTING_TIME).unwrap_or(Timestamp::MAX);
        let listed = self.fan_out_run().list_on(&order.order_id, until).await;
        let (order, is_enqueued) = match listed {
            Ok((current, ListOutcome::Over | ListOutcome::Waits(_))) => (current.unwrap_or(order), true),
            Ok((current, ListOutcome::OutOfTime)) => {
                let order = current.unwrap_or(order);
                let is_enqueued = self.enqueue_listing(&order).await;
                (order, is_enqueued)
            }
            Err(error) => {
                tracing::error!(
                    order_id = %order.order_id,
                    error = chain(&error),
                    "providers of an order not listed: the worker lists on"
                );
                let is_enqueued = self.enqueue_listing(&order).await;
                (order, is_enqueued)
            }
        };
        OrderExecution { order, keys: Vec::new(), is_enqueued, is_notified: true, counts: OrderCounts::default() }
    }

    /// Has the worker list on. Not through the queue of the keys: a worker may take minutes for those that are listed.
    async fn enqueue_listing(&self, order: &Order) -> bool {
        enqueue_order(&self.look_queue, order)
            .await
            .inspect_err(|error| {
                tracing::error!(
                    order_id = %order.order_id,
                    error = chain(error),
                    "order not enqueued to be listed on: the sweep retries"
                );
            })
            .is_ok()
    }

    /// The fan-out as `revoke` runs it.
    pub(super) fn fan_out_run(&self) -> FanOutRun {
        FanOutRun {
            providers: self.providers.clone(),
            secrets: self.secrets.clone(),
            queue: self.queue.clone(),
            ambient: self.ambient,
            by: "revoke",
        }
    }

    /// Tells operators how far an order has come since they were told last, at least once, and notes when to look again, unless
    /// it is complete.
    ///
    /// # Errors
    /// The records could not be written.
    pub(super) async fn tell_progress(&self, order: &mut Order, counts: &OrderCounts) -> Result<(), RecordError> {
        let now = self.ambient.now();
        let reached = counts.milestone(pass(order));
        for milestone in [OrderMilestone::Placed, OrderMilestone::Stopped, OrderMilestone::Complete] {
            if milestone <= order.told || milestone > reached {
                continue;
            }
            let event = OrderEvent::new(order, serde_json::to_value(counts).unwrap_or_default());
            let event = match milestone {
                OrderMilestone::Nothing | OrderMilestone::Placed => Event::RevocationOrdered(event),
                OrderMilestone::Stopped => Event::RevocationStopped(event),
                OrderMilestone::Complete => Event::RevocationComplete(event),
            };
            if let Err(error) = self.bus.put(&event, now).await {
                tracing::error!(
                    order_id = %order.order_id,
                    error = chain(&error),
                    "operators not told how far an order has come: the sweep retries"
                );
                break;
            }
            order.told = milestone;
            if milestone >= OrderMilestone::Stopped {
                order.stopped_at.get_or_insert(now);
            }
            if milestone == OrderMilestone::Complete {
                order.completed_at.get_or_insert(now);
            }
        }
        let next = (order.told != OrderMilestone::Complete).then(|| next_look(order, now));
        self.providers.note_order(order, next).await
    }

    /// Notifies operators of a report that reached nobody, at least once: an order is executed again until this has worked.
    /// Returns whether it has.
    pub(super) async fn notify_unmatched(&self, event: UnmatchedReportEvent) -> bool {
        let order_id = event.order_id.clone();
        let put = self.bus.put(&Event::BreachReportUnmatched(event), self.ambient.now()).await;
        put.inspect_err(|error| {
            tracing::error!(
                order_id = order_id.as_ref().map(OrderId::as_str),
                error = chain(error),
                "operators not notified of a breach report that matches nothing: it is retried"
            );
        })
        .is_ok()
    }

    async fn enqueue(&self, order: &Order) -> Result<(), QueueError> {
        enqueue_order(&self.queue, order).await.inspect_err(|error| {
            tracing::error!(order_id = %order.order_id, error = chain(error), "order not enqueued: the sweep retries");
        })
    }
}

/// When an order is looked at again.
fn next_look(order: &Order, now: Timestamp) -> Timestamp {
    if let Some(second_pass) = order.fan_out.as_ref().and_then(|fan_out| fan_out.waits_until(now)) {
        return second_pass;
    }
    let age = Duration::try_from(now.duration_since(order.created_at)).unwrap_or_default();
    let quarter = SignedDuration::try_from(age / 4).unwrap_or(FIRST_LOOK);
    now.saturating_add(quarter.clamp(FIRST_LOOK, LATEST_LOOK)).unwrap_or(now)
}

fn unknown_key(order: &Order, access_key_id: &AccessKeyId) -> UnmatchedReportEvent {
    UnmatchedReportEvent {
        order_id: Some(order.order_id.clone()),
        access_key_id: Some(access_key_id.clone()),
        provider_id: None,
        source: None,
        account_id: None,
        reason: KeyState::UnknownKey.name().as_str(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::record::FanOut;

    use super::*;
    use crate::fixtures::{cold_start, operations};

    fn report(access_key_id: &str) -> BreachReport {
        BreachReport {
            scope: BreachScope::AccessKeyId(AccessKeyId::from_pasted(access_key_id).unwrap()),
            reason: "leaked".to_owned(),
            reported_by: "ops".to_owned(),
            signed_by: None,
            remove_identity_policies: false,
            oddities: Vec::new(),
            event_id: None,
        }
    }

    /// A process that dies between the tombstone and the event leaves the same behind as one whose event is not accepted: an
    /// order that is still due.
    #[tokio::test]
    async fn an_order_for_an_unknown_key_is_complete_when_operators_were_notified() {
        for (event_is_accepted, expected) in [(true, true), (false, false)] {
            let (start, calls) = cold_start(move |operation| match operation {
                "PutEvents" if !event_is_accepted => Some((
                    200,
                    json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}]}).to_string(),
                )),
                _ => None,
            });
            let intake = Intake::new(&start).unwrap();
            let order_id = OrderId::parse("rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC").unwrap();
            let execution = intake.order_revocation(order_id, report("AKIASP2TPHJSQH3FJRUX")).await.unwrap();
            assert!(execution.is_accepted(), "nothing is left in use");
            assert_eq!(execution.is_complete(), expected);
            let made = operations(&calls);
            assert!(!made.contains(&"SendMessage".to_owned()), "there is nothing for the worker: {made:?}");
            // Taken off the sweep.
            assert_eq!(made.last().unwrap() == "UpdateItem", expected, "{made:?}");
        }
    }

    #[tokio::test]
    async fn an_order_is_listed_on_through_a_queue_that_no_keys_are_in() {
        let (start, calls) = cold_start(|operation| {
            (operation == "GetItem providers").then(|| (400, json!({ "__type": "ValidationException" }).to_string()))
        });
        let order = serde_json::from_value(json!({
            "order_id": "rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC", "scope": {"tenant_id": "acme"}, "reason": "leaked",
            "reported_by": "ops", "created_at": "2026-11-23T10:00:01Z", "fan_out": FanOut::default(),
        }));
        assert!(Intake::new(&start).unwrap().execute(order.unwrap()).await.is_enqueued);
        let calls = calls.lock().unwrap();
        let sent: Vec<_> = calls.iter().filter(|(operation, _)| operation == "SendMessage").collect();
        assert!(sent.len() == 1 && sent[0].1.contains("https://sqs.test/revocability"), "{sent:?}");
    }

    #[test]
    fn the_sample_event_is_what_is_put_on_the_bus() {
        let sample: Value =
            serde_json::from_str(include_str!("../../../../events/revoke-breach-report-unmatched.json")).unwrap();
        let order: Order = serde_json::from_value(json!({
            "order_id": "rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC", "scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"},
            "reason": "leaked", "reported_by": "ops",
            "created_at": "2026-11-23T10:00:01Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
        }))
        .unwrap();
        let event = Event::BreachReportUnmatched(unknown_key(&order, &order.access_key_ids[0]));
        assert_eq!(sample["source"], "sendingbee.revoke");
        assert_eq!(sample["detail-type"], event.detail_type());
        assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
    }
}
