//! Mail that callers hand over by the API, for those that cannot reach the send queue: validated as `send` validates it, and put into the queue
//! that all mail takes.

use std::borrow::Cow;
use std::collections::HashSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};
use shared::http::{FieldError, decode};
use shared::id::{MailId, ProviderId};
use shared::mail::Mail;
use shared::queue::{Outgoing, QueueError};
use shared::record::Provider;

use crate::Verify;

/// The most mails of one request.
pub(crate) const MAX_MAILS: usize = 100;

/// A valid mail, and the message that carries it. It contains addresses and content, so it has no `Debug`.
pub(crate) struct MailMessage {
    pub(crate) mail: Mail,
    body: String,
}

/// What became of one mail of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HandedOver {
    /// Absent where what was given is no id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mail_id: Option<MailId>,
    pub(crate) result: HandOverResult,
    /// The field at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) field: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) problem: Option<String>,
    /// Where its fate is told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) location: Option<String>,
}

/// The same in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum HandOverResult {
    /// It is in the send queue.
    Accepted,
    /// It is no valid mail: it is not in the queue, and nothing is known of it.
    Refused,
    /// It is not one of those that are to be sent once more: nothing is done.
    Kept,
    /// The queue did not take it, or nobody knows whether it did. Repeat it unchanged.
    NotEnqueued,
}

impl MailMessage {
    /// Reads a mail that is handed over for this provider. Of what follows from the route, `version`, `tenant_id` and `provider_id` may be
    /// left out, and `first_seen` is now.
    ///
    /// # Errors
    /// What `send` would reject it for, or what contradicts the route.
    pub(crate) fn new(text: &str, provider: &Provider, now: Timestamp) -> Result<Self, FieldError> {
        let given: Map<String, Value> = decode(text.as_bytes())?;
        check_agrees(&given, "tenant_id", provider.tenant_id.as_str(), "is not the provider's tenant; leave it out")?;
        let provider_id = provider.provider_id.as_str();
        check_agrees(&given, "provider_id", provider_id, "is not the provider of the path; leave it out")?;
        let body = with_defaults(text, &given, provider, now);
        let mail = Mail::parse(&body, now)?;
        if !mail.provider_ids.contains(&provider.provider_id) {
            return Err(FieldError::new("provider_ids", "does not have the provider of the path among them"));
        }
        Ok(Self { mail, body: sendable(&body).into_owned() })
    }
}

impl HandedOver {
    /// A mail that is not valid.
    pub(crate) fn refused(mail_id: Option<MailId>, error: FieldError) -> Self {
        let FieldError { field, problem } = error;
        let (field, problem) = (Some(field), Some(problem));
        Self { mail_id, result: HandOverResult::Refused, field, problem, location: None }
    }

    /// A valid mail, after the queue's answer.
    pub(crate) fn enqueued(provider_id: &ProviderId, mail_id: &MailId, result: &Result<(), QueueError>) -> Self {
        let (field, mail_id) = (None, Some(mail_id.clone()));
        match result {
            Ok(()) => {
                let location = mail_id.as_ref().map(|mail_id| location(provider_id, mail_id));
                Self { mail_id, result: HandOverResult::Accepted, field, problem: None, location }
            }
            // A queue that accepts no message of this content accepts it later neither.
            Err(error) if error.is_permanent() => {
                Self::refused(mail_id, FieldError::new("body", "has characters that SQS does not take"))
            }
            Err(_) => {
                let problem = Some("was perhaps not enqueued; hand it over again, unchanged".to_owned());
                Self { mail_id, result: HandOverResult::NotEnqueued, field, problem, location: None }
            }
        }
    }
}

impl Verify {
    /// Reads mails of one request; none of them is another's fault. Of two with one id the second is refused.
    pub(crate) fn read_mails(
        &self,
        mails: &[Box<RawValue>],
        provider: &Provider,
    ) -> Vec<Result<MailMessage, HandedOver>> {
        let (now, mut ids) = (self.ambient.now(), HashSet::new());
        let read = |text: &RawValue| {
            let message = MailMessage::new(text.get(), provider, now)
                .map_err(|error| HandedOver::refused(mail_id_of(text.get()), error))?;
            if ids.insert(message.mail.mail_id.clone()) {
                return Ok(message);
            }
            let error = FieldError::new("mail_id", "is given twice in this request");
            Err(HandedOver::refused(Some(message.mail.mail_id), error))
        };
        mails.iter().map(AsRef::as_ref).map(read).collect()
    }

    /// Puts mails into the send queue. Says of each, in their order, whether it is there.
    pub(crate) async fn enqueue_mails(&self, messages: &[&MailMessage]) -> Vec<Result<(), QueueError>> {
        let groups: Vec<String> = messages.iter().map(|message| message.mail.group()).collect();
        let outgoing = messages.iter().zip(&groups).map(|(MailMessage { mail, body }, group)| Outgoing {
            subject: mail.mail_id.as_str(),
            body,
            group,
            delay: Duration::ZERO,
            hops: None,
            lined_up: false,
        });
        self.send_queue.send_all(&outgoing.collect::<Vec<_>>()).await
    }
}

/// Refuses an id that says otherwise than the route. One that is no text is left to the parser.
fn check_agrees(given: &Map<String, Value>, field: &str, expected: &str, problem: &str) -> Result<(), FieldError> {
    match given.get(field).and_then(Value::as_str) {
        Some(text) if text != expected => Err(FieldError::new(field, problem)),
        _ => Ok(()),
    }
}

/// The text with what was left out in front. The rest stays as it was written, so that the parser sees a name that is given twice.
fn with_defaults(text: &str, given: &Map<String, Value>, provider: &Provider, now: Timestamp) -> String {
    let mut added = Map::new();
    let mut add = |name: &str, value: Value| {
        if !given.contains_key(name) {
            added.insert(name.to_owned(), value);
        }
    };
    add("version", 1.into());
    add("tenant_id", provider.tenant_id.as_str().into());
    if !given.contains_key("provider_ids") {
        add("provider_id", provider.provider_id.as_str().into());
    }
    add("first_seen", now.to_string().into());
    let added = Value::Object(added).to_string();
    let inner = added.trim_start_matches('{').trim_end_matches('}');
    let rest = text.trim_start().trim_start_matches('{');
    let comma = if inner.is_empty() || given.is_empty() { "" } else { "," };
    format!("{{{inner}{comma}{rest}")
}

/// SQS takes two of the characters that JSON may contain only as escapes (SQS API, `SendMessage`).
fn sendable(body: &str) -> Cow<'_, str> {
    if body.contains(['\u{fffe}', '\u{ffff}']) {
        Cow::Owned(body.replace('\u{fffe}', "\\ufffe").replace('\u{ffff}', "\\uffff"))
    } else {
        Cow::Borrowed(body)
    }
}

/// The id of what is no valid mail, if it has one.
fn mail_id_of(text: &str) -> Option<MailId> {
    shared::mail::MailIds::from_body(text).mail_id
}

/// The route that tells a mail's fate. A mail id may hold any characters.
pub(crate) fn location(provider_id: &ProviderId, mail_id: &MailId) -> String {
    let mut path = format!("/providers/{provider_id}/mails/");
    for byte in mail_id.as_str().bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => path.push(char::from(byte)),
            _ => path.push_str(&format!("%{byte:02X}")),
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures;

    const NOW: &str = "2026-11-27T10:00:00Z";

    fn read(text: &str) -> Result<MailMessage, String> {
        MailMessage::new(text, &fixtures::provider(), NOW.parse().unwrap()).map_err(|error| error.to_string())
    }

    fn content() -> Value {
        json!({"mail_id": "m", "from": "jane@example.com", "to": ["ann@example.org"], "subject": "s", "text": "t"})
    }

    fn with(fields: &Value) -> String {
        let mut mail = content();
        mail.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        mail.to_string()
    }

    #[test]
    fn what_follows_from_the_route_may_be_left_out_or_repeated_and_not_contradicted() {
        let provider = fixtures::provider();
        for fields in [
            json!({}),
            json!({"version": 1, "tenant_id": "acme", "provider_id": provider.provider_id, "first_seen": NOW}),
            json!({"first_seen": null}),
        ] {
            let Ok(MailMessage { mail, body }) = read(&with(&fields)) else { panic!("{fields}") };
            assert_eq!((&mail.tenant_id, &mail.provider_id), (&provider.tenant_id, &provider.provider_id));
            assert_eq!(mail.first_seen, NOW.parse().unwrap());
            assert!(
                Mail::parse(&body, NOW.parse().unwrap()).is_ok_and(|again| again.mail_id == mail.mail_id),
                "{body}"
            );
        }
        for (fields, problem) in [
            (json!({"tenant_id": "other"}), "tenant_id: is not the provider's tenant; leave it out"),
            (
                json!({"provider_ids": ["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]}),
                "provider_ids: does not have the provider of the path among them",
            ),
            (
                json!({"provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}),
                "provider_id: is not the provider of the path; leave it out",
            ),
            (json!({"tenant_id": 7}), "tenant_id: has the wrong type or form"),
            (json!({"version": 9}), "version: must be 1"),
            (json!({"to": ["nobody"]}), "to[0]: "),
            (json!({"subjekt": "s"}), "subjekt: is not a known field; remove it"),
        ] {
            let error = read(&with(&fields)).err().unwrap();
            assert!(error.starts_with(problem), "{fields}: {error}");
        }
        for (text, problem) in [
            ("{}", "mail_id: is missing"),
            ("[]", "body: must be a JSON object"),
            ("7", "body: "),
            (r#"{"mail_id":"m","mail_id":"m"}"#, "mail_id: is given twice"),
            (r#" {"tenant_id":"acme","tenant_id":"acme"}"#, "tenant_id: is given twice"),
        ] {
            let error = read(text).err().unwrap();
            assert!(error.starts_with(problem), "{text}: {error}");
        }
    }

    #[test]
    fn a_message_has_only_characters_that_sqs_takes() {
        let message = read(&with(&json!({"subject": "\u{fffe}\u{ffff}"}))).ok().unwrap();
        assert!(!message.body.contains(['\u{fffe}', '\u{ffff}']), "{}", message.body);
        let again: Value = serde_json::from_str(&message.body).unwrap();
        assert_eq!(again["subject"], "\u{fffe}\u{ffff}");
    }

    #[test]
    fn a_mail_id_of_any_characters_is_found_where_the_answer_says() {
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        for (mail_id, path) in [("test-1", "test-1"), ("a b/c?d%\u{e9}", "a%20b%2Fc%3Fd%25%C3%A9")] {
            let mail_id = MailId::parse(mail_id).unwrap();
            assert_eq!(location(&provider_id, &mail_id), format!("/providers/{provider_id}/mails/{path}"));
        }
    }
}
