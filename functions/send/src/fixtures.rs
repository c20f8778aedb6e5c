//! Mails, messages and providers of the unit tests.

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::queue::Message;
use shared::record::{Provider, Status};

use crate::mail::Mail;

/// A valid mail with every field but `configuration_set`.
pub(crate) const SAMPLE: &str = include_str!("mail/sample.json");

pub(crate) fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub(crate) fn sample() -> Mail {
    sample_with(json!({}))
}

pub(crate) fn sample_with(changes: Value) -> Mail {
    let body = changed(&changes);
    Mail::parse(&body, time("2026-11-23T10:00:00Z")).unwrap_or_else(|rejected| panic!("{:?}", rejected.rejection))
}

/// The sample with some members replaced; null removes one.
pub(crate) fn changed(changes: &Value) -> String {
    let mut body: Value = serde_json::from_str(SAMPLE).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        if value.is_null() {
            body.as_object_mut().unwrap().remove(name);
        } else {
            body[name] = value.clone();
        }
    }
    body.to_string()
}

/// A message that is received for the first time.
pub(crate) fn message(body: String) -> Message {
    Message {
        message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
        body,
        sent_at: time("2026-11-23T10:00:00Z"),
        receives: 1,
        hops: 0,
        queue_arn: None,
    }
}

/// The provider of the sample.
pub(crate) fn provider(status: Status) -> Provider {
    let status = serde_json::to_value(status).unwrap();
    let mut provider = json!({
        "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "name": "n", "region": "eu-central-1",
        "account_id": "171436882533", "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u",
        "access_key_id": "AKIASP2TPHJSQH3FJRUX", "max_send_rate": 14.0, "max_24_hour_send": 50000.0,
        "sandbox": false, "report": {}, "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
    });
    provider.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
    serde_json::from_value(provider).unwrap()
}

/// The text of template.yaml that declares a resource.
pub(crate) fn template_resource(logical_id: &str) -> &'static str {
    let template = include_str!("../../../template.yaml");
    let start = template.find(&format!("\n  {logical_id}:\n")).unwrap() + 1;
    let rest = &template[start..];
    let end = rest
        .match_indices("\n  ")
        .map(|(at, _)| at)
        .find(|at| rest[at + 3..].starts_with(|c: char| c.is_ascii_alphanumeric()));
    &rest[..end.unwrap_or(rest.len())]
}
