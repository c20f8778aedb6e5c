//! A message of the queue, less what nobody needs of it.

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;
use serde_json::{Map, Value};

/// The longest body, in bytes, that we can put into a queue again. SQS takes 1 MiB with all attributes (SQS developer guide,
/// "Amazon SQS message quotas"); a KiB of it is for ours and for `first_seen`.
pub(crate) const MOST_BYTES: usize = 1024 * 1024 - 1024;

/// What `first_seen` adds to a body, at most: its name and a time with nanoseconds.
pub(crate) const FIRST_SEEN_BYTES: usize = 64;

/// The attribute that counts how often a mail was put back into the queue. Not in the mail: it is about its way.
pub(crate) const HOPS: &str = "hops";

/// A message as it came. Its body has addresses in it, so it has no `Debug`.
pub(crate) struct Letter {
    /// SQS's id.
    pub(crate) message_id: String,
    /// The body.
    pub(crate) body: String,
    /// When SQS got it.
    pub(crate) sent_at: Timestamp,
    /// How often it was received, this time included.
    pub(crate) receives: u32,
    /// How often this mail was put back.
    pub(crate) hops: u32,
}

impl Letter {
    /// Takes a record of an event; `None` where it has no id to answer for. `now` stands in for what SQS always says.
    pub(crate) fn of_record(record: SqsMessage, now: Timestamp) -> Option<Self> {
        let attribute = |name: &str| record.attributes.get(name).and_then(|value| value.parse::<i64>().ok());
        let sent_at = attribute("SentTimestamp").and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(now);
        let receives = attribute("ApproximateReceiveCount").and_then(|count| u32::try_from(count).ok()).unwrap_or(1);
        let hops = record
            .message_attributes
            .get(HOPS)
            .and_then(|hops| hops.string_value.as_deref())
            .and_then(|hops| hops.parse().ok())
            .unwrap_or(0);
        let message_id = record.message_id.filter(|id| !id.is_empty())?;
        Some(Self { message_id, body: record.body.unwrap_or_default(), sent_at, receives, hops })
    }

    /// The body for the next copy: with `first_seen`, which every copy has to carry. A body that has it as `null` must not
    /// end up with two, so all of it is written anew. SQS takes two of the characters that JSON may hold only as escapes
    /// (SQS API, `SendMessage`), and then they came as such.
    pub(crate) fn body_with_first_seen(&self, first_seen: Timestamp) -> String {
        match serde_json::from_str::<Map<String, Value>>(&self.body) {
            Ok(mut body) => {
                body.insert("first_seen".to_owned(), Value::String(first_seen.to_string()));
                Value::Object(body).to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
            }
            Err(_) => self.body.clone(),
        }
    }

    /// As much of the body as a queue takes beside our attributes. SQS takes no empty one.
    pub(crate) fn body_to_set_aside(&self) -> &str {
        match &self.body[..self.body.floor_char_boundary(MOST_BYTES)] {
            "" => "-",
            body => body,
        }
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsEvent;

    use super::*;
    use crate::mail::Mail;
    use crate::mail::tests::{SAMPLE, time};

    const BATCH: &str = include_str!("../../../events/send-batch.json");

    #[test]
    fn a_record_is_read_as_lambda_sends_it() {
        let event: SqsEvent = serde_json::from_str(BATCH).unwrap();
        let letters: Vec<_> =
            event.records.into_iter().map(|record| Letter::of_record(record, Timestamp::UNIX_EPOCH).unwrap()).collect();
        assert_eq!(letters.len(), 2);
        assert_eq!((letters[0].receives, letters[0].hops), (1, 0));
        assert_eq!((letters[1].receives, letters[1].hops), (2, 3));
        assert_eq!(letters[0].sent_at, time("2026-11-23T10:00:00Z"));
        assert!(Mail::parse(&letters[0].body, letters[0].sent_at).is_ok());
        assert!(Mail::parse(&letters[1].body, letters[1].sent_at).is_err());
    }

    #[test]
    fn what_is_missing_has_a_safe_meaning() {
        assert!(Letter::of_record(SqsMessage::default(), Timestamp::UNIX_EPOCH).is_none());
        let record: SqsMessage = serde_json::from_str(r#"{"messageId": "m"}"#).unwrap();
        let letter = Letter::of_record(record, Timestamp::UNIX_EPOCH).unwrap();
        assert_eq!((letter.receives, letter.hops, letter.body.as_str()), (1, 0, ""));
    }

    fn letter(body: String) -> Letter {
        Letter { message_id: "m".to_owned(), body, sent_at: time("2026-11-23T10:00:00Z"), receives: 1, hops: 0 }
    }

    #[test]
    fn the_next_copy_carries_first_seen_and_is_otherwise_the_same() {
        for instead in ["", "\"first_seen\": null,"] {
            let body = SAMPLE.replace("\"first_seen\": \"2026-11-23T10:00:00Z\",", instead);
            assert_ne!(body, SAMPLE);
            let letter = letter(body);
            let mail = Mail::parse(&letter.body, letter.sent_at).unwrap_or_else(|refused| panic!("{refused:?}"));
            assert!(!mail.carries_first_seen);
            let copy = letter.body_with_first_seen(mail.first_seen);
            let again =
                Mail::parse(&copy, time("2026-11-24T10:00:00Z")).unwrap_or_else(|refused| panic!("{refused:?}"));
            assert!(again.carries_first_seen);
            assert_eq!(again.first_seen, mail.first_seen);
            assert_eq!(crate::digest::digest(&again), crate::digest::digest(&mail));
        }
    }

    #[test]
    fn the_next_copy_has_only_characters_that_sqs_takes() {
        for instead in ["", "\"first_seen\": null,"] {
            let body = SAMPLE
                .replace("\"first_seen\": \"2026-11-23T10:00:00Z\",", instead)
                .replace("\"subject\": \"", "\"subject\": \"\\ufffe\\uffff\\ud83d\\ude00 ");
            let letter = letter(body);
            let mail = Mail::parse(&letter.body, letter.sent_at).unwrap_or_else(|refused| panic!("{refused:?}"));
            assert!(mail.subject.starts_with("\u{fffe}\u{ffff}😀 "), "{}", mail.subject);
            let copy = letter.body_with_first_seen(mail.first_seen);
            assert!(!copy.contains(['\u{fffe}', '\u{ffff}']), "{copy}");
            let again = Mail::parse(&copy, letter.sent_at).unwrap_or_else(|refused| panic!("{refused:?}"));
            assert_eq!(again.subject, mail.subject);
        }
    }

    #[test]
    fn what_is_set_aside_leaves_room_for_why() {
        assert_eq!(letter(String::new()).body_to_set_aside(), "-");
        assert_eq!(letter("ä".repeat(MOST_BYTES)).body_to_set_aside().len(), MOST_BYTES);
        assert_eq!(letter(format!("a{}", "ä".repeat(MOST_BYTES))).body_to_set_aside().len(), MOST_BYTES - 1);
    }
}
