//! A batch whose messages each are handled to the end or delivered again, and messages that can never be handled.

use std::sync::Arc;

use aws_lambda_events::sqs::SqsBatchResponse;
use serde_json::Value;

use super::{Batch, DeadLetter, Deadline, Message, Queue, process_batch};
use crate::http::FieldError;
use crate::runtime::Ambient;
use crate::telemetry::chain;

/// What happens to a message when its handler has finished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MessageOutcome {
    /// SQS deletes it: it is handled.
    Done,
    /// SQS delivers it again.
    Retry,
}

/// From this receive on, a message that is not handled is an error. CloudWatch's ApproximateAgeOfOldestMessage leaves out
/// messages that were received three times and more (SQS developer guide, "Available CloudWatch metrics for Amazon SQS"), so
/// from then on no alarm on the age of messages sees it; the one on logged errors does.
const ERROR_FROM_RECEIVE: u32 = 3;

/// Handles the messages of an SQS event concurrently. A message whose handler panics or runs out of time is delivered
/// again, as if its handler had returned [`MessageOutcome::Retry`]; the others are not affected.
pub async fn handle_batch<Handle, Handled>(
    event: Value,
    deadline: Deadline,
    ambient: Ambient,
    handle: Handle,
) -> SqsBatchResponse
where
    Handle: Fn(Arc<Message>) -> Handled,
    Handled: Future<Output = MessageOutcome> + Send + 'static,
{
    let Some(batch) = Batch::from_json(event, ambient.now()) else {
        tracing::error!("the event is not an SQS batch: all its messages are delivered again");
        return Batch::fail_all();
    };
    let results = process_batch(
        batch.messages.clone(),
        |_| false,
        || deadline.remaining(ambient.now()),
        |_, message| handle(message),
    )
    .await;
    let mut failed = Vec::new();
    for (message, result) in batch.messages.iter().zip(results) {
        match result {
            Ok(MessageOutcome::Done) => continue,
            Ok(MessageOutcome::Retry) => {}
            Err(error) => {
                tracing::error!(message_id = message.message_id, error = chain(&error), "message not handled");
            }
        }
        if message.receives >= ERROR_FROM_RECEIVE {
            tracing::error!(
                message_id = message.message_id,
                receives = message.receives,
                alarm = "message_fails_repeatedly",
                "message not handled at its third receive or later: the lines of its earlier receives say why"
            );
        }
        failed.push(message.message_id.as_str());
    }
    batch.response(failed)
}

/// Copies a message that can never be handled to a dead-letter queue. Until that has worked, the message is delivered
/// again, because deleting it would lose it.
pub async fn dead_letter(queue: &Queue, message: &Message, reason: &str, error: &FieldError) -> MessageOutcome {
    let message_id = message.message_id.as_str();
    let why = DeadLetter { reason, field: &error.field, problem: &error.problem };
    match queue.dead_letter(message, why).await {
        Ok(()) => {
            tracing::error!(
                message_id,
                reason,
                field = error.field,
                problem = error.problem,
                "message moved to the dead-letter queue: it can never be handled"
            );
            MessageOutcome::Done
        }
        Err(refused) => {
            tracing::error!(
                message_id,
                reason,
                error = chain(&refused),
                "message not moved to the dead-letter queue: it is delivered again"
            );
            MessageOutcome::Retry
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::capture_log;
    use serde_json::json;

    use super::*;

    fn now() -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }

    async fn failures(event: Value) -> Vec<String> {
        let ambient = Ambient::new(now, || 0);
        let handle = |message: Arc<Message>| async move {
            match message.message_id.as_str() {
                "hangs" => std::future::pending().await,
                "panics" => panic!("on purpose"),
                "fails" => MessageOutcome::Retry,
                _ => MessageOutcome::Done,
            }
        };
        let response = handle_batch(event, Deadline::from_millis(1_050), ambient, handle).await;
        response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
    }

    #[tokio::test]
    async fn a_message_that_hangs_or_panics_does_not_affect_its_neighbours() {
        let records: Vec<_> =
            ["hangs", "panics", "fails", "is done"].map(|id| json!({ "messageId": id, "body": "x" })).into();
        assert_eq!(failures(json!({ "Records": records })).await, ["hangs", "panics", "fails"]);
    }

    #[tokio::test]
    async fn a_message_that_fails_for_the_third_time_is_an_error_in_the_log() {
        let log = capture_log();
        let record = |id: &str, receives: u32| json!({ "messageId": id, "body": "x", "attributes": { "ApproximateReceiveCount": receives.to_string() } });
        // Each in a batch of its own: which messages are alarmed about.
        for (id, receives) in [("fails", 1), ("fails", 2), ("fails", 3), ("fails", 50), ("is done", 3), ("panics", 3)] {
            failures(json!({ "Records": [record(id, receives)] })).await;
        }
        let lines = log.lines();
        let alarmed: Vec<_> = lines
            .iter()
            .filter(|line| line["level"] == "ERROR" && line["alarm"] == "message_fails_repeatedly")
            .map(|line| (line["message_id"].as_str().unwrap(), line["receives"].as_u64().unwrap()))
            .collect();
        assert_eq!(alarmed, [("fails", 3), ("fails", 50), ("panics", 3)]);
    }

    #[tokio::test]
    async fn a_batch_that_cannot_be_read_is_not_deleted() {
        assert_eq!(failures(json!({ "Records": "none" })).await, [""]);
        assert_eq!(failures(json!({ "Records": [] })).await, [""]);
    }
}
