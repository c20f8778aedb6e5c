//! From a report to an order: keys pinned, sending stopped, the deletion handed on.

use shared::id::{AccessKeyId, OrderId};
use shared::record::{BreachScope, KeyItem, Order, RecordError, StopOutcome};
use shared::telemetry::chain;
use thiserror::Error;

use super::Intake;
use super::report::Report;

/// No order was written.
#[derive(Debug, Error)]
pub(super) enum OrderError {
    /// There is no such provider.
    #[error("there is no such provider")]
    UnknownProvider,
    /// The records could not be read or written. Nothing was done.
    #[error("an order could not be written")]
    Record(#[from] RecordError),
}

/// An order, and what came of it so far.
pub(super) struct Ordered {
    pub(super) order: Order,
    /// Each of its keys; `None` where the stop failed, so that the key may still be in use.
    pub(super) keys: Vec<(AccessKeyId, Option<KeyItem>)>,
    /// Whether its keys are on their way to being deleted, or past it.
    pub(super) handed_on: bool,
}

impl Ordered {
    /// Keys that may still be in use.
    pub(super) fn not_stopped(&self) -> Vec<&AccessKeyId> {
        self.keys.iter().filter(|(_, key)| key.is_none()).map(|(id, _)| id).collect()
    }

    /// Whether all is done that is to be done here.
    pub(super) fn is_complete(&self) -> bool {
        self.handed_on && self.not_stopped().is_empty()
    }
}

impl Intake {
    /// Answers a report with an order: writes it, stops its keys, hands it on.
    ///
    /// An id that has an order already, as a replayed event has, means that order and its keys, whatever the report says:
    /// what is left to do of it is done. The sweep does the same in a minute, should this process not come to the end.
    ///
    /// # Errors
    /// No order was written, and nothing was done.
    pub(super) async fn order(&self, order_id: OrderId, report: Report) -> Result<Ordered, OrderError> {
        if let Some(order) = self.providers.order(&order_id).await? {
            return Ok(self.carry_out_once(order).await);
        }
        let order = Order {
            order_id,
            access_key_ids: self.pin(&report).await?,
            scope: report.scope,
            reason: report.reason,
            reported_by: report.reported_by,
            signed_by: report.signed_by,
            created_at: self.ambient.now(),
        };
        let order = self.providers.create_order(order).await?;
        Ok(self.carry_out_once(order).await)
    }

    /// Carries an order out, and takes it off the sweep where nothing is left of it to do.
    async fn carry_out_once(&self, order: Order) -> Ordered {
        let ordered = self.carry_out(order).await;
        if ordered.is_complete()
            && let Err(error) = self.providers.mark_executed(&ordered.order).await
        {
            tracing::warn!(order_id = %ordered.order.order_id, error = chain(&error), "the sweep carries it out again");
        }
        ordered
    }

    /// The keys that a report means.
    async fn pin(&self, report: &Report) -> Result<Vec<AccessKeyId>, OrderError> {
        match &report.scope {
            BreachScope::AccessKeyId(access_key_id) => Ok(vec![access_key_id.clone()]),
            BreachScope::ProviderId(provider_id) => {
                let provider = self.providers.provider(provider_id).await?.ok_or(OrderError::UnknownProvider)?;
                Ok(vec![provider.access_key_id])
            }
        }
    }

    /// Stops an order's keys and hands it on. Repeating it makes up for what failed or was never begun.
    pub(super) async fn carry_out(&self, order: Order) -> Ordered {
        let mut keys = Vec::with_capacity(order.access_key_ids.len());
        for access_key_id in &order.access_key_ids {
            let stop = self.providers.stop(access_key_id, &order.order_id, "revoke", &self.secrets, &self.ambient);
            let key = match Box::pin(stop).await {
                Ok((stop, key)) => {
                    log(&order, &key, stop);
                    Some(key)
                }
                Err(error) => {
                    tracing::error!(
                        order_id = %order.order_id,
                        access_key_id = access_key_id.masked(),
                        error = chain(&error),
                        "a key could not be stopped"
                    );
                    None
                }
            };
            keys.push((access_key_id.clone(), key));
        }
        // Whether an earlier message about it left is not known, and another one does no harm.
        let is_over = keys.iter().all(|(_, key)| key.as_ref().is_some_and(|key| key.state.is_over()));
        let handed_on = is_over || self.hand_on(&order).await;
        Ordered { order, keys, handed_on }
    }

    async fn hand_on(&self, order: &Order) -> bool {
        let sent = self.queue.order(order).await;
        if let Err(error) = &sent {
            tracing::error!(order_id = %order.order_id, error = chain(error), "an order could not be handed on");
        }
        sent.is_ok()
    }
}

fn log(order: &Order, key: &KeyItem, stop: StopOutcome) {
    tracing::info!(
        order_id = %order.order_id,
        access_key_id = key.access_key_id.masked(),
        provider_id = key.owner.as_ref().map(|owner| owner.provider_id.as_str()),
        state = %key.state,
        stop = ?stop,
        "an order has a key"
    );
}
