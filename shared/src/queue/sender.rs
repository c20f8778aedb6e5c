//! Sending to a queue.

use std::fmt;
use std::time::Duration;

use aws_sdk_sqs::Client;
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sqs::types::{MessageAttributeValue, SendMessageBatchRequestEntry};
use thiserror::Error;

use super::Message;
use super::message::{FIRST_SENT_AT, HOPS, LINED_UP};

/// The longest delay of a message, in seconds (SQS API, `SendMessage`, `DelaySeconds`).
const MAX_DELAY_S: u64 = 900;

/// The most messages of one request (SQS API, `SendMessageBatch`).
const MAX_BATCH: usize = 10;

/// The longest request with several messages. SQS takes 1 MiB since August 2025 and took this before; longer ones are rare, and
/// a message that is longer alone goes alone.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// What a message counts beside its body against the longest request: its attributes and its id.
const ENTRY_BYTES: usize = 96;

/// SQS did not accept a message.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("send {subject} to the {queue} queue ({code})")]
pub struct QueueError {
    /// What the message is about: an id, never its body.
    pub subject: String,
    /// The queue, in a word.
    pub queue: &'static str,
    /// SQS's error code; its text may quote the body.
    pub code: String,
}

/// A message to be sent.
#[derive(Clone, Copy)]
pub struct Outgoing<'a> {
    /// What it is about, for error messages: an id, never the body.
    pub subject: &'a str,
    /// The body.
    pub body: &'a str,
    /// The group of the fair queue: one group with much traffic does not delay the others.
    pub group: &'a str,
    /// How long SQS hides it, at most 15 minutes.
    pub delay: Duration,
    /// How often this message was requeued, where that is counted.
    pub hops: Option<u32>,
    /// Whether what it carries has stood in a line, and its turn comes with its delay.
    pub lined_up: bool,
}

/// Why a message goes to a dead-letter queue.
#[derive(Clone, Copy)]
pub struct DeadLetter<'a> {
    /// A code.
    pub reason: &'a str,
    /// The field at fault, or `body`.
    pub field: &'a str,
    /// What is wrong with it, without its value.
    pub problem: &'a str,
}

/// One of our queues.
#[derive(Clone)]
pub struct Queue {
    pub(super) client: Client,
    pub(super) url: String,
    pub(super) name: &'static str,
}

impl Queue {
    /// The queue at `url`. `name` says in error messages which one it is, such as `send` or `breach dead-letter`.
    pub fn new(client: Client, url: String, name: &'static str) -> Self {
        Self { client, url, name }
    }

    /// Sends a message.
    ///
    /// # Errors
    /// SQS did not accept it in three attempts.
    pub async fn send(&self, message: Outgoing<'_>) -> Result<(), QueueError> {
        let hops = message.hops.map(|hops| hops.to_string());
        let hops = hops.as_deref().map(|hops| (HOPS, "Number", hops));
        let attributes: Vec<_> =
            hops.into_iter().chain(message.lined_up.then_some((LINED_UP, "Number", "1"))).collect();
        let delay_s = i32::try_from(message.delay.as_secs().min(MAX_DELAY_S)).ok().filter(|delay_s| *delay_s > 0);
        let request = self.client.send_message().message_group_id(message.group).set_delay_seconds(delay_s);
        self.request(message.subject, request, message.body, &attributes).await
    }

    /// Sends messages in as few requests as possible, one after the other. What SQS did not accept costs its neighbours
    /// nothing: there is a result for each message, in their order.
    pub async fn send_all(&self, messages: &[Outgoing<'_>]) -> Vec<Result<(), QueueError>> {
        let mut results = Vec::with_capacity(messages.len());
        for batch in batches(messages) {
            match batch {
                [message] => results.push(self.send(*message).await),
                batch => results.extend(self.send_batch(batch).await),
            }
        }
        results
    }

    async fn send_batch(&self, messages: &[Outgoing<'_>]) -> Vec<Result<(), QueueError>> {
        let failed = |message: &Outgoing<'_>, code: &str| {
            Err(QueueError { subject: message.subject.to_owned(), queue: self.name, code: code.to_owned() })
        };
        let entries: Result<Vec<_>, _> =
            messages.iter().enumerate().map(|(index, message)| batch_entry(index, message)).collect();
        let Ok(entries) = entries else {
            return messages.iter().map(|message| failed(message, "invalid entry")).collect();
        };
        match self.client.send_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await {
            Ok(answer) => messages
                .iter()
                .enumerate()
                .map(|(index, message)| {
                    let id = index.to_string();
                    // Only what SQS says it has is acknowledged.
                    if answer.successful.iter().any(|entry| entry.id == id) {
                        return Ok(());
                    }
                    let code = answer.failed.iter().find(|entry| entry.id == id).map(|entry| entry.code.as_str());
                    failed(message, code.unwrap_or("no answer"))
                })
                .collect(),
            Err(error) => messages.iter().map(|message| failed(message, code(&error))).collect(),
        }
    }

    /// Sends a copy of a received message to this dead-letter queue, with what is wrong with it as its attributes:
    /// `reason`, `field`, `problem`, `message_id`, `first_sent_at` and `hops`. Attributes that it came with are not copied, so there is
    /// always room for ours.
    ///
    /// # Errors
    /// SQS did not accept it in three attempts.
    pub async fn dead_letter(&self, message: &Message, why: DeadLetter<'_>) -> Result<(), QueueError> {
        let attributes = [
            ("reason", "String", why.reason),
            ("field", "String", why.field),
            ("problem", "String", why.problem),
            ("message_id", "String", &message.message_id),
            (FIRST_SENT_AT, "String", &message.sent_at.to_string()),
            (HOPS, "Number", &message.hops.to_string()),
        ];
        self.request(&message.message_id, self.client.send_message(), message.dead_letter_body(), &attributes).await
    }

    async fn request(
        &self,
        subject: &str,
        mut request: aws_sdk_sqs::operation::send_message::builders::SendMessageFluentBuilder,
        body: &str,
        attributes: &[(&str, &str, &str)],
    ) -> Result<(), QueueError> {
        let failed = |code: &str| QueueError { subject: subject.to_owned(), queue: self.name, code: code.to_owned() };
        for (name, data_type, value) in attributes {
            let attribute = MessageAttributeValue::builder().data_type(*data_type).string_value(*value).build();
            request = request.message_attributes(*name, attribute.map_err(|_| failed("invalid attribute"))?);
        }
        let answer = request.queue_url(&self.url).message_body(body).send().await;
        answer.map(drop).map_err(|error| failed(code(&error)))
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Queue({})", self.name)
    }
}

impl QueueError {
    /// Whether SQS accepts no message with this content, now or later (SQS API, `SendMessage`, "Errors").
    pub fn is_permanent(&self) -> bool {
        matches!(self.code.as_str(), "InvalidMessageContents" | "InvalidParameterValue")
    }
}

/// The messages in runs that fit into one request: at most ten, and together no longer than one may be.
fn batches<'a, 'b>(messages: &'a [Outgoing<'b>]) -> impl Iterator<Item = &'a [Outgoing<'b>]> {
    let mut rest = messages;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fit = rest.iter().take(MAX_BATCH).take_while(|message| {
            bytes += message.body.len() + ENTRY_BYTES;
            bytes <= MAX_BATCH_BYTES
        });
        let count = fit.count().max(1).min(rest.len());
        let (batch, after) = rest.split_at(count);
        rest = after;
        (!batch.is_empty()).then_some(batch)
    })
}

fn batch_entry(
    index: usize,
    message: &Outgoing<'_>,
) -> Result<SendMessageBatchRequestEntry, aws_sdk_sqs::error::BuildError> {
    let delay_s = i32::try_from(message.delay.as_secs().min(MAX_DELAY_S)).ok().filter(|delay_s| *delay_s > 0);
    let mut entry = SendMessageBatchRequestEntry::builder()
        .id(index.to_string())
        .message_body(message.body)
        .message_group_id(message.group)
        .set_delay_seconds(delay_s);
    let hops = message.hops.map(|hops| (HOPS, hops));
    for (name, value) in hops.into_iter().chain(message.lined_up.then_some((LINED_UP, 1))) {
        let value = MessageAttributeValue::builder().data_type("Number").string_value(value.to_string()).build()?;
        entry = entry.message_attributes(name, value);
    }
    entry.build()
}

pub(super) fn code<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> &str {
    error.as_service_error().and_then(ProvideErrorMetadata::code).unwrap_or("no answer")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outgoing(body: &str) -> Outgoing<'_> {
        Outgoing { subject: "m", body, group: "g", delay: Duration::ZERO, hops: None, lined_up: false }
    }

    #[test]
    fn no_request_has_more_than_ten_messages_or_is_longer_than_sqs_accepts() {
        let lengths = |bodies: &[usize]| -> Vec<usize> {
            let bodies: Vec<String> = bodies.iter().map(|length| "x".repeat(*length)).collect();
            let messages: Vec<_> = bodies.iter().map(|body| outgoing(body)).collect();
            batches(&messages).map(<[_]>::len).collect()
        };
        assert_eq!(lengths(&[]), [0_usize; 0]);
        assert_eq!(lengths(&[1; 25]), [10, 10, 5]);
        assert_eq!(lengths(&[1_000_000, 1, 1]), [1, 2]);
        assert_eq!(lengths(&[100_000; 5]), [2, 2, 1]);
        assert_eq!(lengths(&[1, 1_000_000, 1_000_000]), [1, 1, 1]);
    }
}
