//! The execution of an order: its keys are stopped, and the order is enqueued for `revoke-worker`.

use shared::id::{AccessKeyId, OrderId};
use shared::queue::QueueError;
use shared::record::{BreachScope, KeyItem, Order, RecordError, StopOutcome};
use shared::telemetry::chain;
use thiserror::Error;

use super::Intake;
use super::breach_report::BreachReport;
use crate::work_item::enqueue_order;

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
    /// Each of its keys; `None` if the stop failed, so that the key may still be in use.
    pub(super) keys: Vec<(AccessKeyId, Option<KeyItem>)>,
    /// Whether the order is enqueued, or need not be because its keys are dead.
    pub(super) is_enqueued: bool,
}

impl OrderExecution {
    /// Keys that may still be in use.
    pub(super) fn not_stopped(&self) -> Vec<&AccessKeyId> {
        self.keys.iter().filter(|(_, key)| key.is_none()).map(|(id, _)| id).collect()
    }

    /// Whether `revoke` has nothing left to do for it.
    pub(super) fn is_complete(&self) -> bool {
        self.is_enqueued && self.not_stopped().is_empty()
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
            None => {
                let order = Order {
                    order_id,
                    access_key_ids: self.affected_keys(&report.scope).await?,
                    scope: report.scope,
                    reason: report.reason,
                    reported_by: report.reported_by,
                    signed_by: report.signed_by,
                    created_at: self.ambient.now(),
                };
                self.providers.create_order(order).await?
            }
        };
        let execution = self.execute(order).await;
        if execution.is_complete()
            && let Err(error) = self.providers.mark_executed(&execution.order).await
        {
            tracing::warn!(
                order_id = %execution.order.order_id,
                error = chain(&error),
                "order executed, but not taken off the sweep: the sweep executes it again"
            );
        }
        Ok(execution)
    }

    async fn affected_keys(&self, scope: &BreachScope) -> Result<Vec<AccessKeyId>, OrderError> {
        match scope {
            BreachScope::AccessKeyId(access_key_id) => Ok(vec![access_key_id.clone()]),
            BreachScope::ProviderId(provider_id) => {
                let provider = self.providers.provider(provider_id).await?.ok_or(OrderError::UnknownProvider)?;
                Ok(vec![provider.access_key_id])
            }
        }
    }

    /// Stops an order's keys and enqueues it. It can be repeated, which completes what failed before. A key's error does
    /// not stop the others.
    pub(super) async fn execute(&self, order: Order) -> OrderExecution {
        let mut keys = Vec::with_capacity(order.access_key_ids.len());
        for access_key_id in &order.access_key_ids {
            let stop = self.providers.stop(access_key_id, &order.order_id, "revoke", &self.secrets, &self.ambient);
            let key = match Box::pin(stop).await {
                Ok((stop, key)) => {
                    log_stop(&order, &key, stop);
                    Some(key)
                }
                Err(error) => {
                    tracing::error!(
                        order_id = %order.order_id,
                        access_key_id = access_key_id.masked(),
                        error = chain(&error),
                        "key not stopped: it may still be in use"
                    );
                    None
                }
            };
            keys.push((access_key_id.clone(), key));
        }
        // An earlier execution may have enqueued it. That is not known, and a second message does no harm.
        let is_over = keys.iter().all(|(_, key)| key.as_ref().is_some_and(|key| key.state.is_over()));
        let is_enqueued = is_over || self.enqueue(&order).await.is_ok();
        OrderExecution { order, keys, is_enqueued }
    }

    async fn enqueue(&self, order: &Order) -> Result<(), QueueError> {
        enqueue_order(&self.queue, order).await.inspect_err(|error| {
            tracing::error!(order_id = %order.order_id, error = chain(error), "order not enqueued: the sweep retries");
        })
    }
}

fn log_stop(order: &Order, key: &KeyItem, stop: StopOutcome) {
    tracing::info!(
        order_id = %order.order_id,
        access_key_id = key.access_key_id.masked(),
        provider_id = key.owner.as_ref().map(|owner| owner.provider_id.as_str()),
        state = %key.state,
        stop = ?stop,
        "key of an order stopped"
    );
}
