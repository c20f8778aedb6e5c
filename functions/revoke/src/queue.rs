//! The queues: what the two functions put into them, and what comes out.

use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageAttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::http::{FieldError, decode};
use shared::id::{AccessKeyId, OrderId};
use shared::record::Order;
use shared::runtime::deadline;
use thiserror::Error;

/// A message could not be put into a queue.
#[derive(Debug, Error)]
#[error("send message {what}")]
pub(crate) struct NotQueued {
    what: String,
    #[source]
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// What `revoke-worker` is asked to do. Messages hold ids and no state: the rows do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Work {
    /// Revoke an order's keys. It carries the whole order, so that nothing about it needs to be read first.
    Order(Order),
    /// Take the next step of one key.
    Key(AccessKeyId),
}

/// [`Work`] with the version of its form.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Message {
    version: u32,
    work: Work,
}

/// The form that this version writes, and the only one that it reads.
const VERSION: u32 = 1;

/// One of our queues.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    client: Client,
    url: String,
}

impl Queue {
    /// The queue at `url`.
    pub(crate) fn new(client: Client, url: String) -> Self {
        Self { client, url }
    }

    /// Hands an order on. Orders are groups of the fair queue: a large one does not hold up the next.
    pub(crate) async fn order(&self, order: &Order) -> Result<(), NotQueued> {
        self.work(&Work::Order(order.clone()), order.order_id.as_str(), Duration::ZERO).await
    }

    /// Hands on a key that the sweep found due. All of these are one group, which comes after new orders.
    pub(crate) async fn due(&self, access_key_id: &AccessKeyId) -> Result<(), NotQueued> {
        self.work(&Work::Key(access_key_id.clone()), "sweep", Duration::ZERO).await
    }

    /// Brings a key's next step after `delay`, which is at most 15 minutes.
    pub(crate) async fn step(
        &self,
        access_key_id: &AccessKeyId,
        order_id: Option<&OrderId>,
        delay: Duration,
    ) -> Result<(), NotQueued> {
        self.work(&Work::Key(access_key_id.clone()), order_id.map_or("sweep", OrderId::as_str), delay).await
    }

    /// Puts a message that can never be taken into this (dead-letter) queue, with the reason as its attribute.
    pub(crate) async fn set_aside(&self, body: &str, reason: &str) -> Result<(), NotQueued> {
        let attribute = MessageAttributeValue::builder()
            .data_type("String")
            .string_value(reason)
            .build()
            .map_err(not_queued("set aside"))?;
        self.client
            .send_message()
            .queue_url(&self.url)
            // SQS takes no empty body.
            .message_body(if body.is_empty() { "(empty)" } else { body })
            .message_attributes("reason", attribute)
            .send()
            .await
            .map(drop)
            .map_err(not_queued("set aside"))
    }

    async fn work(&self, work: &Work, group: &str, delay: Duration) -> Result<(), NotQueued> {
        let what = match work {
            Work::Order(order) => order.order_id.to_string(),
            Work::Key(access_key_id) => access_key_id.masked(),
        };
        let message = Message { version: VERSION, work: work.clone() };
        let body = serde_json::to_string(&message).map_err(not_queued(&what))?;
        self.client
            .send_message()
            .queue_url(&self.url)
            .message_body(body)
            .message_group_id(group)
            .set_delay_seconds((!delay.is_zero()).then(|| i32::try_from(delay.as_secs()).unwrap_or(900)))
            .send()
            .await
            .map(drop)
            .map_err(not_queued(&what))
    }
}

impl Work {
    /// Reads a message's body.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(crate) fn read(body: &str) -> Result<Self, FieldError> {
        let message: Message = decode(body.as_bytes())?;
        if message.version != VERSION {
            return Err(FieldError::new("version", format!("must be {VERSION}")));
        }
        Ok(message.work)
    }
}

/// The records of an event; `None` where it is no SQS event that can be read.
pub(crate) fn records(event: Value) -> Option<SqsEvent> {
    serde_json::from_value::<SqsEvent>(event).ok().filter(|event| !event.records.is_empty())
}

/// The answer to a batch that could not even be read: an id that is none fails the whole of it, so nothing is deleted
/// (Lambda developer guide, "Handling errors for an SQS event source").
pub(crate) fn nothing_done() -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    response.add_failure("");
    response
}

/// Handles a batch's messages at the same time, each in a task of its own, so that neither a panic nor one that takes
/// longer than `within` is its neighbours' matter. `take` answers whether a message is done with; the others come back.
pub(crate) async fn each<Take, Taken>(messages: Vec<SqsMessage>, within: Duration, take: Take) -> SqsBatchResponse
where
    Take: Fn(SqsMessage) -> Taken,
    Taken: Future<Output = bool> + Send + 'static,
{
    let tasks: Vec<_> = messages
        .into_iter()
        .map(|message| {
            let message_id = message.message_id.clone().unwrap_or_default();
            (message_id, tokio::spawn(tokio::time::timeout(within, take(message))))
        })
        .collect();
    let mut response = SqsBatchResponse::default();
    for (message_id, task) in tasks {
        match task.await {
            Ok(Ok(true)) => continue,
            Ok(Ok(false)) => {}
            Ok(Err(_)) => tracing::error!(message_id, "a message took too long"),
            Err(_) => tracing::error!(message_id, "the handling of a message panicked"),
        }
        response.add_failure(message_id);
    }
    response
}

/// Room for the answer to a batch.
const ANSWERING: SignedDuration = SignedDuration::from_secs(1);

/// What is left of an invocation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Timestamp);

impl Deadline {
    /// The deadline that Lambda gives, in milliseconds of Unix time.
    pub(crate) fn of_millis(millis: u64) -> Self {
        Self(deadline(millis))
    }

    /// How long a batch may be worked on at `now`, so that its answer still gets out.
    pub(crate) fn left(self, now: Timestamp) -> Duration {
        (self.0.duration_since(now) - ANSWERING).try_into().unwrap_or_default()
    }

    /// Whether work that takes at most so long can be started at `now`.
    pub(crate) fn leaves(self, work: SignedDuration, now: Timestamp) -> bool {
        self.0.duration_since(now) >= work
    }
}

fn not_queued<E>(what: &str) -> impl FnOnce(E) -> NotQueued
where
    E: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    let what = what.to_owned();
    move |source| NotQueued { what, source: source.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_read_in_its_one_form() {
        let sample = serde_json::from_str(include_str!("../../../events/revoke-worker-order.json")).unwrap();
        let body = records(sample).unwrap().records.remove(0).body.unwrap();
        let Work::Order(read) = Work::read(&body).unwrap() else { panic!("not an order") };
        assert_eq!(read.access_key_ids.len(), 1);
        let again = serde_json::to_string(&Message { version: 1, work: Work::Order(read.clone()) }).unwrap();
        assert_eq!(Work::read(&again).unwrap(), Work::Order(read));

        let key = r#"{"version":1,"work":{"key":"AKIASP2TPHJSQH3FJRUX"}}"#;
        assert_eq!(Work::read(key).unwrap(), Work::Key(AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap()));

        let cases = [
            ("", "body"),
            ("garbage", "body"),
            (r#"{"version":2,"work":{"key":"AKIASP2TPHJSQH3FJRUX"}}"#, "version"),
            (r#"{"version":1}"#, "work"),
            (r#"{"version":1,"work":{"key":"AKIASP2TPHJSQH3FJRUX"},"more":1}"#, "more"),
            (r#"{"version":1,"work":{"keys":"AKIASP2TPHJSQH3FJRUX"}}"#, "work"),
        ];
        for (body, field) in cases {
            let error = Work::read(body).unwrap_err();
            assert!(error.field.starts_with(field), "{body}: {error}");
        }
    }

    #[test]
    fn work_is_started_only_if_the_invocation_covers_it() {
        let deadline = Deadline::of_millis(10_000);
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        assert!(deadline.leaves(SignedDuration::from_secs(5), at(5_000)));
        assert!(!deadline.leaves(SignedDuration::from_secs(5), at(5_001)));
    }

    #[tokio::test]
    async fn a_message_that_hangs_or_panics_is_not_its_neighbours_matter() {
        let messages = ["hangs", "panics", "fails", "is done"].map(|id| {
            let mut message = SqsMessage::default();
            message.message_id = Some(id.to_owned());
            message
        });
        let take = |message: SqsMessage| async move {
            match message.message_id.as_deref() {
                Some("hangs") => std::future::pending().await,
                Some("panics") => panic!("on purpose"),
                Some("fails") => false,
                _ => true,
            }
        };
        let response = each(messages.into(), Duration::from_millis(50), take).await;
        let back: Vec<_> =
            response.batch_item_failures.iter().map(|failure| failure.item_identifier.as_str()).collect();
        assert_eq!(back, ["hangs", "panics", "fails"]);
    }

    #[test]
    fn a_batch_is_worked_on_until_its_answer_must_leave() {
        let deadline = Deadline::of_millis(10_000);
        let at = |millis| Timestamp::from_millisecond(millis).unwrap();
        assert_eq!(deadline.left(at(5_000)), Duration::from_secs(4));
        assert_eq!(deadline.left(at(9_500)), Duration::ZERO);
    }

    #[test]
    fn a_batch_that_cannot_be_read_is_not_deleted() {
        assert!(records(serde_json::json!({"Records": "none"})).is_none());
        assert!(records(serde_json::json!({"Records": []})).is_none());
        assert_eq!(nothing_done().batch_item_failures[0].item_identifier, "");
    }
}
