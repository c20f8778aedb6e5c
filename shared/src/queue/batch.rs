//! A batch of messages and its partial batch response.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use serde_json::Value;
use thiserror::Error;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::Message;

/// The messages of an event, and the response that is built up for it.
pub struct Batch {
    /// The messages that a response can name, in order.
    pub messages: Vec<Arc<Message>>,
    /// How many messages have no id. The empty id fails the whole batch (Lambda developer guide, "Handling errors for an
    /// SQS event source in Lambda"), so all messages are delivered again; whoever handles them must recognise finished
    /// work.
    pub without_id: usize,
}

/// The handler of a message did not finish.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Interrupted {
    /// It panicked.
    #[error("the message handler panicked")]
    Panicked,
    /// It ran longer than the invocation allows.
    #[error("the message handler ran out of time")]
    OutOfTime,
}

impl Batch {
    /// Reads an event.
    pub fn from_event(event: SqsEvent, now: Timestamp) -> Self {
        let records = event.records.len();
        let messages: Vec<_> =
            event.records.into_iter().filter_map(|record| Message::from_record(record, now)).map(Arc::new).collect();
        Self { without_id: records - messages.len(), messages }
    }

    /// Reads the JSON of an event; `None` if it is not an SQS event with at least one record.
    pub fn from_json(event: Value, now: Timestamp) -> Option<Self> {
        let event = serde_json::from_value::<SqsEvent>(event).ok().filter(|event| !event.records.is_empty())?;
        Some(Self::from_event(event, now))
    }

    /// The response that returns the whole batch to the queue: for an event that cannot be read.
    pub fn fail_all() -> SqsBatchResponse {
        Self { messages: Vec::new(), without_id: 1 }.response([])
    }

    /// The response that returns the messages with these ids to the queue.
    pub fn response<'a>(&self, failed: impl IntoIterator<Item = &'a str>) -> SqsBatchResponse {
        let mut response = SqsBatchResponse::default();
        if self.without_id > 0 {
            tracing::error!(count = self.without_id, "SQS messages without an id fail the whole batch");
            response.add_failure("");
        }
        for message_id in failed {
            response.add_failure(message_id);
        }
        response
    }
}

/// Handles items (messages and what was learned of them) concurrently, each in a task of its own, so that a panic or a
/// slow message does not affect the others. Items for which `alone` is true run one after the other once the others have
/// finished: a message that was received before may be the one that killed its worker. `remaining` tells how long a task
/// that starts now may run.
///
/// The results come in the order of the items.
pub async fn process_batch<Item, Value, Handle, Handled>(
    items: Vec<Item>,
    alone: impl Fn(&Item) -> bool,
    remaining: impl Fn() -> Duration,
    handle: Handle,
) -> Vec<Result<Value, Interrupted>>
where
    Value: Send + 'static,
    Handle: Fn(usize, Item) -> Handled,
    Handled: Future<Output = Value> + Send + 'static,
{
    let spawn = |place, item| tokio::spawn(timeout(remaining(), handle(place, item)));
    let mut results: Vec<_> = items.iter().map(|_| Err(Interrupted::OutOfTime)).collect();
    let (sequential, concurrent): (Vec<_>, Vec<_>) = items.into_iter().enumerate().partition(|(_, item)| alone(item));
    let tasks: Vec<_> = concurrent.into_iter().map(|(place, item)| (place, spawn(place, item))).collect();
    for (place, task) in tasks {
        results[place] = result(task).await;
    }
    for (place, item) in sequential {
        results[place] = result(spawn(place, item)).await;
    }
    results
}

async fn result<Value>(task: JoinHandle<Result<Value, tokio::time::error::Elapsed>>) -> Result<Value, Interrupted> {
    match task.await {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(_)) => Err(Interrupted::OutOfTime),
        Err(_) => Err(Interrupted::Panicked),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(ids: &[&str]) -> Value {
        let records: Vec<_> = ids.iter().map(|id| serde_json::json!({"messageId": id, "body": "x"})).collect();
        serde_json::json!({ "Records": records })
    }

    fn failures(response: SqsBatchResponse) -> Vec<String> {
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_hangs_or_panics_does_not_affect_its_neighbours() {
        let items = vec!["hangs", "panics", "is done"];
        let handle = |_, item: &'static str| async move {
            match item {
                "hangs" => std::future::pending().await,
                "panics" => panic!("on purpose"),
                item => item,
            }
        };
        let results = process_batch(items, |_| false, || Duration::from_millis(50), handle).await;
        assert_eq!(results, [Err(Interrupted::OutOfTime), Err(Interrupted::Panicked), Ok("is done")]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_that_runs_alone_starts_after_the_others_have_finished() {
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let handle = |_, (name, ms): (&'static str, u64)| {
            let order = Arc::clone(&order);
            async move {
                order.lock().unwrap().push(format!("{name} starts"));
                tokio::time::sleep(Duration::from_millis(ms)).await;
                order.lock().unwrap().push(format!("{name} ends"));
            }
        };
        let items = vec![("alone", 1), ("a", 20), ("b", 10)];
        process_batch(items, |(name, _)| *name == "alone", || Duration::from_secs(1), handle).await;
        let order = order.lock().unwrap();
        assert_eq!(*order, ["a starts", "b starts", "b ends", "a ends", "alone starts", "alone ends"]);
    }

    #[test]
    fn the_response_names_failed_messages_and_fails_all_for_one_without_an_id() {
        let batch = Batch::from_json(event(&["m0", "m1"]), Timestamp::UNIX_EPOCH).unwrap();
        assert!(failures(batch.response([])).is_empty());
        assert_eq!(failures(batch.response(["m1"])), ["m1"]);
        let batch = Batch::from_json(event(&["m0", ""]), Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!(batch.messages.len(), 1);
        assert_eq!(failures(batch.response([])), [""]);
    }

    #[test]
    fn an_event_that_cannot_be_read_is_not_deleted() {
        assert!(Batch::from_json(serde_json::json!({"Records": "none"}), Timestamp::UNIX_EPOCH).is_none());
        assert!(Batch::from_json(serde_json::json!({"Records": []}), Timestamp::UNIX_EPOCH).is_none());
        assert_eq!(failures(Batch::fail_all()), [""]);
    }
}
