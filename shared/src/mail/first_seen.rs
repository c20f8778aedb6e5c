//! `first_seen` in the copies of a mail: a mail's age counts from when its first copy was handed over, so every copy that
//! goes back to the queue carries that time.

use std::borrow::Cow;
use std::panic::catch_unwind;

use jiff::Timestamp;
use serde_json::{Map, Value};

use crate::mail::Mail;

/// How many bytes `first_seen` adds to a body at most: its name and a time with nanoseconds.
pub(crate) const MAX_FIRST_SEEN_BYTES: usize = 64;

/// The body of the next copy, with `first_seen`. A body that has it as `null` must not get it twice, so the JSON is
/// written again. SQS accepts two of the characters that JSON may contain only as escapes (SQS API, `SendMessage`); they
/// were escaped in the original, and have to be again.
pub fn with_first_seen(body: &str, first_seen: Timestamp) -> String {
    match serde_json::from_str::<Map<String, Value>>(body) {
        Ok(mut body) => {
            body.insert("first_seen".to_owned(), Value::String(first_seen.to_string()));
            Value::Object(body).to_string().replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff")
        }
        Err(_) => body.to_owned(),
    }
}

/// The same for a body that may be no mail, and that may have `first_seen` already: then it is its own next copy.
pub fn with_first_seen_if_mail(body: &str, sent_at: Timestamp) -> Cow<'_, str> {
    let parsed = catch_unwind(|| Mail::parse(body, sent_at));
    match parsed {
        Ok(Ok(mail)) if !mail.carries_first_seen => Cow::Owned(with_first_seen(body, mail.first_seen)),
        _ => Cow::Borrowed(body),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::digest::digest;
    use crate::testing::mail::{SAMPLE, subject, time};

    const SENT_AT: &str = "2026-11-23T10:00:00Z";

    fn parse(body: &str, sent_at: &str) -> Mail {
        Mail::parse(body, time(sent_at)).unwrap_or_else(|rejected| panic!("{rejected:?}"))
    }

    #[test]
    fn the_next_copy_carries_first_seen_and_is_otherwise_the_same() {
        for instead in ["", "\"first_seen\": null,"] {
            let body = SAMPLE.replace("\"first_seen\": \"2026-11-23T10:00:00Z\",", instead);
            assert_ne!(body, SAMPLE);
            let mail = parse(&body, SENT_AT);
            assert!(!mail.carries_first_seen);
            let copy = with_first_seen(&body, mail.first_seen);
            let again = parse(&copy, "2026-11-24T10:00:00Z");
            assert!(again.carries_first_seen);
            assert_eq!(again.first_seen, mail.first_seen);
            assert_eq!(digest(&again), digest(&mail));
        }
    }

    #[test]
    fn the_next_copy_has_only_characters_that_sqs_accepts() {
        for instead in ["", "\"first_seen\": null,"] {
            let body = SAMPLE
                .replace("\"first_seen\": \"2026-11-23T10:00:00Z\",", instead)
                .replace("\"subject\": \"", "\"subject\": \"\\ufffe\\uffff\\ud83d\\ude00 ");
            let mail = parse(&body, SENT_AT);
            assert!(subject(&mail).starts_with("\u{fffe}\u{ffff}😀 "), "{}", subject(&mail));
            let copy = with_first_seen(&body, mail.first_seen);
            assert!(!copy.contains(['\u{fffe}', '\u{ffff}']), "{copy}");
            assert_eq!(subject(&parse(&copy, SENT_AT)), subject(&mail));
        }
    }
}
