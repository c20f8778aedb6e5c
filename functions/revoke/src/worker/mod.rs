//! `revoke-worker`: makes keys delete themselves and proves them dead.
//!
//! A message names an order or a key; the key item holds the state. Each step reads the item, decides what to do
//! ([`key_step`]), calls the tenant's AWS ([`revocation`]), and writes the result under the condition that nobody else wrote
//! progress in between. A worker can be killed anywhere: the message is delivered again, the next step was enqueued with a
//! delay before the deletion was sent, and the sweep picks up every key whose `next_attempt_at` has passed.
//!
//! Messages of another queue have live keys looked at ([`look`]): whether their revocation would work. Through it come orders
//! whose providers are listed on, too: so their stops do not wait for a worker that is busy with keys listed before.

mod call_result;
mod containment;
mod foreign_principals;
mod key_step;
mod look;
mod revocation;
mod survey;
mod take_down;

use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use jiff::{SignedDuration, Timestamp};
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use shared::custody::{Custody, Lane};
use shared::id::AccessKeyId;
use shared::queue::{Deadline, Message, MessageOutcome, Queue, dead_letter, handle_batch};
use shared::record::{Order, Providers, RecordError, Secrets, StopOutcome};
use shared::runtime::{Ambient, ColdStart, MissingVariable};
use shared::telemetry::{Bus, chain};
use shared::tenant::Clients;
use tokio::task::JoinSet;

use self::look::MAX_LOOK_DURATION;
use crate::fan_out::{FanOutRun, ListOutcome};
use crate::look_schedule::LookSchedule;
use crate::work_item::{PageOfOrder, WorkItem, enqueue_order};

/// The time that a worker keeps for the last page that it lists, and for the message that has the rest listed.
const LISTING_RESERVE: SignedDuration = SignedDuration::from_secs(10);

/// What a cold start builds once.
pub(crate) struct Worker {
    providers: Providers,
    secrets: Secrets,
    /// The revoke lane.
    custody: Custody,
    tenants: Clients,
    /// Where later steps are enqueued.
    queue: Queue,
    /// Where an order is enqueued whose providers have to be listed on.
    listing_queue: Queue,
    /// For messages that can never be handled.
    dead_letters: Queue,
    bus: Bus,
    /// When live keys are looked at.
    look_schedule: LookSchedule,
    ambient: Ambient,
}

impl Worker {
    /// The handler.
    ///
    /// # Errors
    /// [`MissingVariable`] names the variable.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        let (dynamodb, sqs, environment) = (start.dynamodb()?, start.sqs()?, &start.environment);
        Ok(Self {
            providers: Providers::new(dynamodb.clone(), environment)?,
            secrets: Secrets::new(dynamodb, environment)?,
            custody: Custody::new(start.kms()?, environment, Lane::Revoke)?,
            tenants: Clients::new(environment, &start.http),
            queue: Queue::new(sqs.clone(), start.required("REVOCATION_QUEUE_URL")?, "revocation"),
            listing_queue: Queue::new(sqs.clone(), start.required("REVOCABILITY_QUEUE_URL")?, "revocability"),
            dead_letters: Queue::new(
                sqs,
                start.required("REVOCATION_DEAD_LETTER_QUEUE_URL")?,
                "revocation dead-letter",
            ),
            bus: start.bus("sendingbee.revoke")?,
            look_schedule: LookSchedule::from_days(environment.required_number("REVOCABILITY_PROOF_DAYS")?),
            ambient: start.ambient,
        })
    }

    /// Handles a batch. The response names the messages that SQS must deliver again.
    pub(crate) async fn handle(self: Arc<Self>, event: LambdaEvent<Value>) -> SqsBatchResponse {
        let deadline = Deadline::from_millis(event.context.deadline);
        let handle = |message: Arc<Message>| {
            let worker = Arc::clone(&self);
            async move { worker.handle_message(&message, deadline).await }
        };
        handle_batch(event.payload, deadline, self.ambient, handle).await
    }

    async fn handle_message(self: Arc<Self>, message: &Message, deadline: Deadline) -> MessageOutcome {
        let message_id = message.message_id.as_str();
        match WorkItem::parse(&message.body) {
            Ok(WorkItem::Key(access_key_id)) => self.handle_key(&access_key_id, None, message_id, deadline).await,
            Ok(WorkItem::Look(access_key_id)) => self.handle_look(&access_key_id, message_id, deadline).await,
            Ok(WorkItem::Order(order)) if order.fan_out.is_some() => self.list_on(&order, message_id, deadline).await,
            Ok(WorkItem::Order(order)) => {
                let ids = order.access_key_ids.clone();
                self.handle_keys(&ids, &order, message_id, deadline).await
            }
            Ok(WorkItem::Page(PageOfOrder { order, page })) => {
                self.handle_keys(&page.access_key_ids, &order, message_id, deadline).await
            }
            Err(invalid) => dead_letter(&self.dead_letters, message, "invalid_message", &invalid).await,
        }
    }

    /// Looks at a live key.
    async fn handle_look(&self, access_key_id: &AccessKeyId, message_id: &str, deadline: Deadline) -> MessageOutcome {
        if !deadline.allows(MAX_LOOK_DURATION, self.ambient.now()) {
            return MessageOutcome::Retry;
        }
        match Box::pin(self.look_at(access_key_id)).await {
            Ok(()) => MessageOutcome::Done,
            Err(error) => {
                tracing::warn!(
                    message_id,
                    access_key_id = access_key_id.masked(),
                    error = chain(&error),
                    "look at a key not recorded: the message is retried"
                );
                MessageOutcome::Retry
            }
        }
    }

    /// Lists on the providers of an order whose listing `revoke` had no time to finish.
    async fn list_on(&self, order: &Order, message_id: &str, deadline: Deadline) -> MessageOutcome {
        let run = FanOutRun {
            providers: self.providers.clone(),
            secrets: self.secrets.clone(),
            queue: self.queue.clone(),
            ambient: self.ambient,
            by: "revoke-worker",
        };
        let until = deadline.time().saturating_sub(LISTING_RESERVE).unwrap_or(Timestamp::UNIX_EPOCH);
        match run.list_on(&order.order_id, until).await {
            Ok((_, ListOutcome::Over | ListOutcome::Waits(_))) => MessageOutcome::Done,
            Ok((_, ListOutcome::OutOfTime)) => match enqueue_order(&self.listing_queue, order).await {
                Ok(()) => MessageOutcome::Done,
                Err(_) => MessageOutcome::Retry,
            },
            Err(error) => {
                tracing::warn!(
                    message_id,
                    order_id = %order.order_id,
                    error = chain(&error),
                    "providers of an order not listed: the message is retried"
                );
                MessageOutcome::Retry
            }
        }
    }

    /// Takes the steps of an order's keys, all at the same time. One key's error or panic does not stop the others.
    async fn handle_keys(
        self: Arc<Self>,
        access_key_ids: &[AccessKeyId],
        order: &Order,
        message_id: &str,
        deadline: Deadline,
    ) -> MessageOutcome {
        let mut steps = JoinSet::new();
        for access_key_id in access_key_ids {
            let (worker, order, access_key_id) = (Arc::clone(&self), order.clone(), access_key_id.clone());
            let message_id = message_id.to_owned();
            steps.spawn(async move { worker.handle_key(&access_key_id, Some(&order), &message_id, deadline).await });
        }
        let mut outcome = MessageOutcome::Done;
        while let Some(step) = steps.join_next().await {
            match step {
                Ok(MessageOutcome::Done) => {}
                Ok(MessageOutcome::Retry) => outcome = MessageOutcome::Retry,
                Err(error) => {
                    tracing::error!(
                        message_id,
                        order_id = %order.order_id,
                        error = chain(&error),
                        "steps of a key ended without a result: the message is retried"
                    );
                    outcome = MessageOutcome::Retry;
                }
            }
        }
        outcome
    }

    /// Takes the steps of one key. Its error does not stop the order's other keys.
    async fn handle_key(
        &self,
        access_key_id: &AccessKeyId,
        order: Option<&Order>,
        message_id: &str,
        deadline: Deadline,
    ) -> MessageOutcome {
        let steps = async {
            if let Some(order) = order {
                self.repeat_stop(access_key_id, order).await?;
            }
            Box::pin(self.revoke(access_key_id, deadline)).await
        };
        match steps.await {
            Ok(()) => MessageOutcome::Done,
            Err(error) => {
                tracing::warn!(
                    message_id,
                    access_key_id = access_key_id.masked(),
                    error = chain(&error),
                    "key item not read or written: the message is retried"
                );
                MessageOutcome::Retry
            }
        }
    }

    /// The order was written before the stop, and whoever wrote it may have been killed in between.
    async fn repeat_stop(&self, access_key_id: &AccessKeyId, order: &Order) -> Result<(), RecordError> {
        let (stop, _) =
            self.providers.stop(access_key_id, order, "revoke-worker", &self.secrets, &self.ambient).await?;
        if stop == StopOutcome::Stopped {
            tracing::warn!(
                order_id = %order.order_id,
                access_key_id = access_key_id.masked(),
                "key stopped by revoke-worker: revoke wrote its order but did not stop it"
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::id::OrderId;

    use super::*;
    use crate::fixtures::{NOW_MS, cold_start, item};

    #[tokio::test]
    async fn a_worker_without_time_has_an_order_listed_on_through_a_queue_that_no_keys_are_in() {
        let (start, calls) = cold_start(|operation| {
            (operation == "GetItem providers").then(|| {
                item(&json!({
                    "order_id": {"S": "rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC"}, "scope": {"M": {"tenant_id": {"S": "acme"}}},
                    "reason": {"S": "leaked"}, "reported_by": {"S": "ops"}, "created_at": {"S": "2026-11-23T09:59:59Z"},
                    "fan_out": {"M": {"pass": {"S": "first"}, "pages": {"N": "0"}, "keys": {"N": "0"}, "writes": {"N": "0"}}},
                }))
            })
        });
        let worker = Worker::new(&start).unwrap();
        let order_id = OrderId::parse("rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC").unwrap();
        let order = worker.providers.order(&order_id).await.unwrap().unwrap();
        let deadline = Deadline::from_millis(u64::try_from(NOW_MS).unwrap());
        assert!(matches!(worker.list_on(&order, "message", deadline).await, MessageOutcome::Done));
        let calls = calls.lock().unwrap();
        let sent: Vec<_> = calls.iter().filter(|(operation, _)| operation == "SendMessage").collect();
        assert!(sent.len() == 1 && sent[0].1.contains("https://sqs.test/revocability"), "{sent:?}");
    }
}
