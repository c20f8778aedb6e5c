//! `revoke-worker`: makes keys delete themselves and proves them dead.
//!
//! A message names an order or a key; the key item holds the state. Each step reads the item, decides
//! ([`step::next`]), calls the tenant's AWS ([`revocation`]), and records what was answered under the condition that
//! nobody else recorded progress meanwhile. A worker can be killed anywhere: the message comes back, a delayed message was
//! booked before the deletion left, and the sweep takes up every key whose `next_attempt_at` has passed.

mod revocation;
mod sight;
mod step;

use std::sync::Arc;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsMessage};
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use shared::custody::Custody;
use shared::id::AccessKeyId;
use shared::record::{Order, Providers, RecordError, Secrets, StopOutcome};
use shared::runtime::Ambient;
use shared::telemetry::{Bus, chain};
use shared::tenant::Clients;

use crate::queue::{Deadline, Queue, Work, each, nothing_done, records};

/// What a cold start builds once.
pub(crate) struct Worker {
    pub(crate) providers: Providers,
    pub(crate) secrets: Secrets,
    /// The revoke lane.
    pub(crate) custody: Custody,
    pub(crate) tenants: Clients,
    /// Where later steps are booked.
    pub(crate) queue: Queue,
    /// Where messages go that can never be taken.
    pub(crate) dead_letters: Queue,
    pub(crate) bus: Bus,
    pub(crate) ambient: Ambient,
}

impl Worker {
    /// Handles a batch; answers which messages must come back.
    pub(crate) async fn handle(self: Arc<Self>, event: LambdaEvent<Value>) -> SqsBatchResponse {
        let deadline = Deadline::of_millis(event.context.deadline);
        let Some(batch) = records(event.payload) else {
            tracing::error!("an event that is no SQS batch was not taken");
            return nothing_done();
        };
        each(batch.records, deadline.left(self.ambient.now()), |message| {
            let worker = Arc::clone(&self);
            async move { worker.take(&message, deadline).await }
        })
        .await
    }

    /// Handles a message; answers whether it is done with.
    async fn take(&self, message: &SqsMessage, deadline: Deadline) -> bool {
        let message_id = message.message_id.as_deref().unwrap_or_default();
        let body = message.body.as_deref().unwrap_or_default();
        match Work::read(body) {
            Ok(Work::Key(access_key_id)) => self.key(&access_key_id, None, message_id, deadline).await,
            Ok(Work::Order(order)) => {
                let mut done = true;
                for access_key_id in &order.access_key_ids {
                    done &= self.key(access_key_id, Some(&order), message_id, deadline).await;
                }
                done
            }
            Err(unreadable) => {
                let set_aside = self.dead_letters.set_aside(body, &unreadable.to_string()).await;
                tracing::error!(message_id, reason = %unreadable, "a message was set aside: it can never be taken");
                if let Err(error) = &set_aside {
                    tracing::error!(message_id, error = chain(error), "the dead-letter queue did not take a message");
                }
                set_aside.is_ok()
            }
        }
    }

    /// Takes the steps of one key. Its error is its own: the order's other keys go on.
    async fn key(&self, id: &AccessKeyId, order: Option<&Order>, message_id: &str, deadline: Deadline) -> bool {
        let taken = async {
            if let Some(order) = order {
                self.repeat_stop(id, order).await?;
            }
            Box::pin(self.revoke(id, deadline)).await
        };
        match taken.await {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!(message_id, access_key_id = id.masked(), error = chain(&error), "a key is tried again");
                false
            }
        }
    }

    /// The order was written before the stop, and whoever wrote it may have been killed in between.
    async fn repeat_stop(&self, access_key_id: &AccessKeyId, order: &Order) -> Result<(), RecordError> {
        let (stop, _) =
            self.providers.stop(access_key_id, &order.order_id, "revoke-worker", &self.secrets, &self.ambient).await?;
        if stop == StopOutcome::Stopped {
            tracing::warn!(
                order_id = %order.order_id,
                access_key_id = access_key_id.masked(),
                "a key was stopped only by its worker"
            );
        }
        Ok(())
    }
}
