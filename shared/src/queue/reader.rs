//! Reading a dead-letter queue, which no event source mapping polls: its messages are received, looked at, and deleted or shown again.

use std::time::Duration;

use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, MessageSystemAttributeName,
};
use jiff::Timestamp;
use thiserror::Error;

use super::Queue;
use super::message::FIRST_SENT_AT;
use super::sender::code;

/// The most messages of one request (SQS developer guide, "Amazon SQS message quotas").
const MAX_BATCH: usize = 10;

/// How long a request waits for a message. With any wait SQS asks all of its servers, so no answer means no message (SQS developer
/// guide, "Amazon SQS short and long polling").
const WAIT_S: i32 = 1;

/// SQS did not do what was asked about messages that are in a queue.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{operation} messages of the {queue} queue ({code})")]
pub struct QueueReadError {
    pub(super) operation: &'static str,
    pub(super) queue: &'static str,
    /// SQS's error code.
    pub(super) code: String,
}

/// A message that was set aside in a dead-letter queue. Its body may contain addresses, so the type has no `Debug`.
pub struct SetAsideMessage {
    /// SQS's id.
    pub message_id: String,
    /// What deletes it or shows it again, as long as it is hidden.
    pub receipt: MessageReceipt,
    /// The body.
    pub body: String,
    /// Why it was set aside; absent where SQS itself moved it, after too many receives.
    pub reason: Option<String>,
    /// The field at fault.
    pub field: Option<String>,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// When SQS accepted the message for the first time.
    pub sent_at: Timestamp,
}

/// SQS's receipt handle of a message that was received.
#[derive(Clone)]
pub struct MessageReceipt(String);

impl MessageReceipt {
    /// A receipt with this handle.
    pub fn new(handle: impl Into<String>) -> Self {
        Self(handle.into())
    }
}

impl Queue {
    /// Receives up to ten messages and hides them for this long; none if the queue has none that can be received. `now` replaces a
    /// missing `SentTimestamp`.
    ///
    /// # Errors
    /// SQS did not answer in three attempts.
    pub async fn receive_set_aside(
        &self,
        hidden_for: Duration,
        now: Timestamp,
    ) -> Result<Vec<SetAsideMessage>, QueueReadError> {
        let answer = self
            .client
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(10)
            .wait_time_seconds(WAIT_S)
            .visibility_timeout(i32::try_from(hidden_for.as_secs()).unwrap_or(i32::MAX))
            .message_attribute_names("All")
            .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
            .send()
            .await
            .map_err(|error| QueueReadError::new("receive", self.name, &error))?;
        let messages = answer.messages.unwrap_or_default();
        Ok(messages.into_iter().filter_map(|message| SetAsideMessage::from_sqs(message, now)).collect())
    }

    /// Deletes messages. One that is not deleted is received again once it is not hidden any more.
    ///
    /// # Errors
    /// SQS did not delete all of them.
    pub async fn delete_all(&self, receipts: &[MessageReceipt]) -> Result<(), QueueReadError> {
        for chunk in receipts.chunks(MAX_BATCH) {
            let entries = chunk.iter().enumerate().map(|(index, MessageReceipt(handle))| {
                DeleteMessageBatchRequestEntry::builder().id(index.to_string()).receipt_handle(handle).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|_| self.unbuilt("delete"))?;
            let request = self.client.delete_message_batch().queue_url(&self.url).set_entries(Some(entries));
            let answer = request.send().await.map_err(|error| QueueReadError::new("delete", self.name, &error))?;
            if let Some(failed) = answer.failed().first() {
                return Err(QueueReadError { operation: "delete", queue: self.name, code: failed.code().to_owned() });
            }
        }
        Ok(())
    }

    /// Shows messages that were received again, at once. One for which that fails is shown when its time is over.
    ///
    /// # Errors
    /// SQS did not answer in three attempts.
    pub async fn show_again(&self, receipts: &[MessageReceipt]) -> Result<(), QueueReadError> {
        for chunk in receipts.chunks(MAX_BATCH) {
            let entries = chunk.iter().enumerate().map(|(index, MessageReceipt(handle))| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
                entry.receipt_handle(handle).visibility_timeout(0).build()
            });
            let entries = entries.collect::<Result<Vec<_>, _>>().map_err(|_| self.unbuilt("show"))?;
            let request = self.client.change_message_visibility_batch().queue_url(&self.url);
            let answer = request.set_entries(Some(entries)).send().await;
            answer.map_err(|error| QueueReadError::new("show", self.name, &error))?;
        }
        Ok(())
    }

    fn unbuilt(&self, operation: &'static str) -> QueueReadError {
        QueueReadError { operation, queue: self.name, code: "not built".to_owned() }
    }
}

impl SetAsideMessage {
    fn from_sqs(message: aws_sdk_sqs::types::Message, now: Timestamp) -> Option<Self> {
        let attribute =
            |name: &str| Some(message.message_attributes.as_ref()?.get(name)?.string_value.as_deref()?.to_owned());
        let sent_at = message
            .attributes
            .as_ref()
            .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp)?.parse().ok())
            .and_then(|ms| Timestamp::from_millisecond(ms).ok())
            .unwrap_or(now);
        let first_sent_at = attribute(FIRST_SENT_AT).and_then(|at| at.parse::<Timestamp>().ok());
        Some(Self {
            reason: attribute("reason"),
            field: attribute("field"),
            problem: attribute("problem"),
            sent_at: first_sent_at.map_or(sent_at, |first| first.min(sent_at)),
            message_id: message.message_id?,
            receipt: MessageReceipt::new(message.receipt_handle?),
            body: message.body.unwrap_or_default(),
        })
    }
}

impl QueueReadError {
    pub(super) fn new<E: ProvideErrorMetadata, R>(
        operation: &'static str,
        queue: &'static str,
        error: &SdkError<E, R>,
    ) -> Self {
        Self { operation, queue, code: code(error).to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::types::{Message, MessageAttributeValue};

    use super::*;

    #[test]
    fn a_message_is_read_with_what_says_why_it_was_set_aside() {
        let now = "2026-11-27T10:00:00Z".parse().unwrap();
        let text =
            |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap();
        let message = Message::builder()
            .message_id("m")
            .receipt_handle("handle")
            .body("{}")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1795428000000");
        let ours = message
            .clone()
            .message_attributes("reason", text("invalid"))
            .message_attributes("field", text("to[1]"))
            .message_attributes("problem", text("is no address"))
            .message_attributes("first_sent_at", text("2026-11-20T10:00:00Z"));
        let ours = SetAsideMessage::from_sqs(ours.build(), now).unwrap();
        assert_eq!((ours.reason.as_deref(), ours.field.as_deref()), (Some("invalid"), Some("to[1]")));
        assert_eq!((ours.problem.as_deref(), ours.body.as_str()), (Some("is no address"), "{}"));
        assert_eq!(ours.sent_at, "2026-11-20T10:00:00Z".parse().unwrap());

        let moved_by_sqs = SetAsideMessage::from_sqs(message.build(), now).unwrap();
        assert_eq!(moved_by_sqs.reason, None);
        assert_eq!(moved_by_sqs.sent_at, "2026-11-23T10:00:00Z".parse().unwrap());
        assert!(SetAsideMessage::from_sqs(Message::builder().message_id("m").build(), now).is_none());
    }
}
