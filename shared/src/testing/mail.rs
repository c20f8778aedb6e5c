//! A mail, for unit tests.

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::mail::Mail;

/// A valid mail with every field but `configuration_set`.
pub const SAMPLE: &str = include_str!("../mail/sample.json");

/// A time, as RFC 3339 writes it.
///
/// # Panics
/// It is no time.
pub fn time(text: &str) -> Timestamp {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The mail of [`SAMPLE`].
pub fn sample() -> Mail {
    sample_with(json!({}))
}

/// The sample with some members replaced; null removes one.
///
/// # Panics
/// That is no mail.
pub fn sample_with(changes: Value) -> Mail {
    let body = changed(&changes);
    Mail::parse(&body, time("2026-11-23T10:00:00Z")).unwrap_or_else(|error| panic!("{error:?}"))
}

/// A mail's subject; empty if it has none of its own.
pub fn subject(mail: &Mail) -> &str {
    mail.content.as_text().map_or("", |text| &text.subject)
}

/// The body of the sample with some members replaced; null removes one.
///
/// # Panics
/// `changes` is no object.
pub fn changed(changes: &Value) -> String {
    let Ok(Value::Object(mut body)) = serde_json::from_str(SAMPLE) else { panic!("the sample is no object") };
    let Value::Object(changes) = changes else { panic!("changes are an object") };
    for (name, value) in changes {
        if value.is_null() {
            body.remove(name);
        } else {
            body.insert(name.clone(), value.clone());
        }
    }
    Value::Object(body).to_string()
}
