//! A received message.

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;

/// The longest body, in bytes, that can be sent to a queue again. SQS accepts 1 MiB including all attributes (SQS
/// developer guide, "Amazon SQS message quotas"); one KiB is reserved for our attributes and for what a copy adds.
pub const MAX_BODY_BYTES: usize = 1024 * 1024 - 1024;

/// The message attribute that counts how often a message was requeued.
pub(super) const HOPS: &str = "hops";

/// The message attribute that says that the message has stood in a line and comes back at its turn.
pub(super) const LINED_UP: &str = "lined_up";

/// The message attribute of a dead letter that says since when the message is under way. Moved back from a dead-letter
/// queue, a message is new to SQS (SQS developer guide, "Configuring a dead-letter queue redrive": "All redriven messages
/// are considered new messages with a new messageID and enqueueTime").
pub(super) const FIRST_SENT_AT: &str = "first_sent_at";

/// A message as Lambda delivered it. Its body may contain addresses, so the type has no `Debug`.
#[derive(Clone)]
pub struct Message {
    /// SQS's id.
    pub message_id: String,
    /// The body.
    pub body: String,
    /// When SQS accepted the message, for the first time if it comes back from a dead-letter queue.
    pub sent_at: Timestamp,
    /// How often it was received, including this time.
    pub receives: u32,
    /// How often it was requeued.
    pub hops: u32,
    /// Whether it comes back at its turn in a line.
    pub lined_up: bool,
    /// ARN of the queue that it came from.
    pub queue_arn: Option<String>,
}

impl Message {
    /// Reads a record of an event; `None` if it has no id, so that a response cannot name it. `now` replaces a missing
    /// `SentTimestamp`, which SQS always sends.
    pub fn from_record(record: SqsMessage, now: Timestamp) -> Option<Self> {
        let attribute = |name: &str| record.attributes.get(name).and_then(|value| value.parse::<i64>().ok());
        let sent_at = attribute("SentTimestamp").and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(now);
        let first_sent_at = record
            .message_attributes
            .get(FIRST_SENT_AT)
            .and_then(|at| at.string_value.as_deref())
            .and_then(|at| at.parse::<Timestamp>().ok());
        let sent_at = first_sent_at.map_or(sent_at, |first| first.min(sent_at));
        let receives = attribute("ApproximateReceiveCount").and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
        let hops = record
            .message_attributes
            .get(HOPS)
            .and_then(|hops| hops.string_value.as_deref())
            .and_then(|hops| hops.parse().ok())
            .unwrap_or(0);
        let message_id = record.message_id.filter(|id| !id.is_empty())?;
        Some(Self {
            message_id,
            body: record.body.unwrap_or_default(),
            sent_at,
            receives,
            hops,
            lined_up: record.message_attributes.contains_key(LINED_UP),
            queue_arn: record.event_source_arn,
        })
    }

    /// As much of the body as a queue accepts beside our attributes. SQS does not accept an empty body.
    pub(super) fn dead_letter_body(&self) -> &str {
        match &self.body[..self.body.floor_char_boundary(MAX_BODY_BYTES)] {
            "" => "-",
            body => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsEvent;

    use super::*;

    #[test]
    fn a_record_is_read_as_lambda_sends_it() {
        let event: SqsEvent = serde_json::from_str(include_str!("../../../events/send-batch.json")).unwrap();
        let messages: Vec<_> = event
            .records
            .into_iter()
            .map(|record| Message::from_record(record, Timestamp::UNIX_EPOCH).unwrap())
            .collect();
        assert_eq!(messages.len(), 2);
        assert_eq!((messages[0].receives, messages[0].hops), (1, 0));
        assert_eq!((messages[1].receives, messages[1].hops), (2, 3));
        assert_eq!(messages[0].sent_at, "2026-11-23T10:00:00Z".parse().unwrap());
    }

    #[test]
    fn missing_attributes_have_safe_defaults() {
        assert!(Message::from_record(SqsMessage::default(), Timestamp::UNIX_EPOCH).is_none());
        let record: SqsMessage = serde_json::from_str(r#"{"messageId": "m"}"#).unwrap();
        let message = Message::from_record(record, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((message.receives, message.hops, message.body.as_str()), (1, 0, ""));
    }

    #[test]
    fn a_message_from_a_dead_letter_queue_is_as_old_as_it_was_and_never_younger() {
        for (first, sent_at) in [
            ("2026-11-01T00:00:00Z", "2026-11-01T00:00:00Z"),
            ("2026-12-01T00:00:00Z", "2026-11-23T10:00:00Z"),
            ("yesterday", "2026-11-23T10:00:00Z"),
        ] {
            let attribute = serde_json::json!({"stringValue": first, "dataType": "String"});
            let record = serde_json::json!({
                "messageId": "m", "attributes": {"SentTimestamp": "1795428000000"},
                "messageAttributes": {"first_sent_at": attribute},
            });
            let record: SqsMessage = serde_json::from_value(record).unwrap();
            let message = Message::from_record(record, Timestamp::UNIX_EPOCH).unwrap();
            assert_eq!(message.sent_at, sent_at.parse().unwrap(), "{first}");
        }
    }

    #[test]
    fn a_dead_letter_leaves_room_for_its_attributes() {
        let message = |body: String| {
            let record: SqsMessage = serde_json::from_str(r#"{"messageId": "m"}"#).unwrap();
            Message { body, ..Message::from_record(record, Timestamp::UNIX_EPOCH).unwrap() }
        };
        assert_eq!(message(String::new()).dead_letter_body(), "-");
        assert_eq!(message("ä".repeat(MAX_BODY_BYTES)).dead_letter_body().len(), MAX_BODY_BYTES);
        assert_eq!(message(format!("a{}", "ä".repeat(MAX_BODY_BYTES))).dead_letter_body().len(), MAX_BODY_BYTES - 1);
    }
}
