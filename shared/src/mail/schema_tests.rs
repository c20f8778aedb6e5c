//! The JSON Schema says what the parser says, by examples of both kinds.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jsonschema::Validator;
use serde_json::{Value, json};

use super::*;
use crate::testing::mail::{changed, time};

const RECEIVED_AT: &str = "2026-11-23T10:00:00Z";

/// What a schema says of a document that the parser refuses.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Schema {
    Refuses,
    /// It takes more than one value to tell, or knowledge that no pattern has.
    CannotTell,
}
use Schema::{CannotTell, Refuses};

fn schema() -> Validator {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    jsonschema::draft202012::meta::validate(&schema).unwrap();
    jsonschema::draft202012::new(&schema).unwrap()
}

fn mime(from: &str) -> String {
    STANDARD.encode(format!("From: {from}\r\nSubject: Hi\r\nMIME-Version: 1.0\r\n\r\nHello\r\n"))
}

/// The sample without what only text has, and something else in its place.
fn instead(content: Value) -> Value {
    let mut changes = json!({"subject": null, "text": null, "html": null, "headers": null});
    changes.as_object_mut().unwrap().extend(content.as_object().unwrap().clone());
    changes
}

fn file(changes: Value) -> Value {
    let mut file = json!({"name": "a.pdf", "content_type": "application/pdf", "content": "JVBERg=="});
    for (name, value) in changes.as_object().unwrap() {
        file[name] = value.clone();
    }
    json!({"attachments": [file]})
}

fn stored(s3: Value) -> Value {
    file(json!({"content": null, "s3": s3}))
}

fn valid() -> Vec<Value> {
    vec![
        json!({}),
        json!({"first_seen": null, "cc": null, "headers": null, "tags": null, "on_doubt": null, "expires_at": null}),
        json!({"to": null, "cc": null, "bcc": ["a@example.org"], "html": ""}),
        json!({"from": "\"Doe, Jane\" <jane@example.com>", "reply_to": ["help@bücher.example"]}),
        json!({"tenant_id": "a/b:c.é"}),
        json!({"tags": {"ses:feedback-id-a": "a.b@c"}, "configuration_set": "x_1", "on_doubt": "hold"}),
        json!({"not_before": "2026-11-30T00:00:00+01:00", "expires_at": "2026-12-01T00:00:00Z"}),
        json!({"tenant_name": "shop-1", "endpoint_id": "abcdef12.g3h", "return_path": "bounces@example.com"}),
        json!({"list_unsubscribe": {"url": "https://example.com/u?x=1"}}),
        json!({"list_unsubscribe": {"url": null, "mailto": "u@example.com"}, "list_management": {"contact_list": "all"}}),
        json!({"list_management": {"contact_list": "all", "topic": "news"}}),
        file(json!({})),
        file(json!({"content_type": "text/calendar; method=REQUEST; charset=\"utf-8\"", "name": "Größe (1).ics"})),
        file(json!({"content_id": "logo@example.com", "content_type": "image/svg+xml"})),
        stored(json!({"key": "acme/2026/ä b.pdf"})),
        stored(json!({"key": "acme/a", "version": "\"d41d8cd98f00b204e9800998ecf8427e-3\""})),
        instead(json!({"raw": mime("Jane <jane@example.com>")})),
        instead(json!({"raw": mime("Jane <jane@example.com>"), "reply_to": [], "attachments": []})),
        instead(json!({"template": {"name": "welcome", "data": {"name": "Ann", "items": [1, {"x": null}]}}})),
        instead(json!({
            "template": {"arn": "arn:aws:ses:eu-central-1:123456789012:template/welcome", "data": null},
            "headers": {"X-A": "1"}, "reply_to": ["a@example.org"], "attachments": [],
        })),
    ]
}

/// What is changed, the field that the parser names, and what the schema says.
fn invalid() -> Vec<(Value, &'static str, Schema)> {
    let raw = |from: &str| instead(json!({"raw": mime(from)}));
    let beside = |content: &Value, more: Value| {
        let mut changes = instead(content.clone());
        changes.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        changes
    };
    let (mime, template) = (json!({"raw": mime("Jane <jane@example.com>")}), json!({"template": {"name": "t"}}));
    vec![
        (json!({"version": 2}), "version", Refuses),
        (json!({"tenant_id": "a b"}), "tenant_id", Refuses),
        (json!({"provider_id": "prv_1"}), "provider_id", Refuses),
        (json!({"provider_id": "prv_81ARZ3NDEKTSV4RRFFQ69G5FAV"}), "provider_id", Refuses),
        (json!({"mail_id": "a\nb"}), "mail_id", Refuses),
        (json!({"from": "nobody"}), "from", Refuses),
        (json!({"from": "a@example.com, b@example.com"}), "from", CannotTell),
        (json!({"to": [], "cc": []}), "to", Refuses),
        (json!({"to": "a@example.org"}), "to", Refuses),
        (json!({"to": vec!["a@example.org"; 50]}), "to", CannotTell),
        (json!({"to": vec!["a@example.org"; 51]}), "to", Refuses),
        (json!({"subject": "a\r\nBcc: b@example.com"}), "subject", Refuses),
        (json!({"subject": null}), "subject", Refuses),
        (json!({"text": "", "html": null}), "text", Refuses),
        (json!({"headers": {"Bcc": "b@example.com"}}), "headers.Bcc", Refuses),
        (json!({"headers": {"Content-Type": "text/html"}}), "headers.Content-Type", Refuses),
        (json!({"headers": {"Received": "x"}}), "headers.Received", CannotTell),
        (json!({"headers": {"X-A": "a\nb"}}), "headers.X-A", Refuses),
        (json!({"headers": {"X-A": " "}}), "headers.X-A", Refuses),
        (json!({"tags": {"a b": "1"}}), "tags", Refuses),
        (json!({"tags": {"a": "1 2"}}), "tags", Refuses),
        (json!({"configuration_set": ""}), "configuration_set", Refuses),
        (json!({"on_doubt": "drop"}), "on_doubt", Refuses),
        (json!({"expires_at": "tomorrow"}), "expires_at", Refuses),
        (json!({"replyTo": []}), "replyTo", Refuses),
        (json!({"not_before": "soon"}), "not_before", Refuses),
        (json!({"not_before": "2026-12-01T00:00:00Z"}), "not_before", CannotTell),
        (json!({"not_before": "2026-12-23T10:00:00Z", "expires_at": null}), "not_before", CannotTell),
        (json!({"tenant_name": "a b"}), "tenant_name", Refuses),
        (json!({"endpoint_id": "badactor.com?foo=bar"}), "endpoint_id", Refuses),
        (json!({"endpoint_id": "a..b"}), "endpoint_id", Refuses),
        (json!({"endpoint_id": ""}), "endpoint_id", Refuses),
        (json!({"return_path": "nobody"}), "return_path", Refuses),
        (json!({"return_path": "Bounces <b@example.com>"}), "return_path", CannotTell),
        (json!({"list_unsubscribe": {}}), "list_unsubscribe.url", Refuses),
        (json!({"list_unsubscribe": {"url": "http://example.com"}}), "list_unsubscribe.url", Refuses),
        (json!({"list_unsubscribe": {"url": "https://example.com/>,<https://b"}}), "list_unsubscribe.url", CannotTell),
        (json!({"list_unsubscribe": {"mailto": "u"}}), "list_unsubscribe.mailto", Refuses),
        (json!({"list_unsubscribe": {"link": "x"}}), "list_unsubscribe", Refuses),
        (
            json!({"list_unsubscribe": {"url": "https://a.example"}, "headers": {"list-unsubscribe-post": "x"}}),
            "headers.list-unsubscribe-post",
            CannotTell,
        ),
        (json!({"list_management": {"topic": "news"}}), "list_management.contact_list", Refuses),
        (json!({"list_management": {"contact_list": "a b"}}), "list_management.contact_list", Refuses),
        (json!({"list_management": {"contact_list": "a", "topic": ""}}), "list_management.topic", Refuses),
        (json!({"attachments": {}}), "attachments", Refuses),
        (json!({"attachments": vec![json!({}); 101]}), "attachments[0].name", Refuses),
        (file(json!({"name": "a\r\nX: b.pdf"})), "attachments[0].name", Refuses),
        (file(json!({"name": "a\"; x=\"b.pdf"})), "attachments[0].name", Refuses),
        (file(json!({"name": ""})), "attachments[0].name", Refuses),
        (file(json!({"name": "../a.pdf"})), "attachments[0].name", Refuses),
        (file(json!({"name": "a.EXE"})), "attachments[0].name", CannotTell),
        (file(json!({"name": "a.js. ."})), "attachments[0].name", CannotTell),
        (file(json!({"name": "\u{202e}fdp.js"})), "attachments[0].name", CannotTell),
        (file(json!({"name": "=?utf-8?q?a=2Eexe?="})), "attachments[0].name", CannotTell),
        (file(json!({"content_type": "pdf"})), "attachments[0].content_type", Refuses),
        (file(json!({"content_type": "text/plain\r\nBcc: x"})), "attachments[0].content_type", Refuses),
        (file(json!({"content_type": "Multipart/mixed; boundary=x"})), "attachments[0].content_type", Refuses),
        (file(json!({"content_type": "text/plain; a"})), "attachments[0].content_type", CannotTell),
        (file(json!({"content_id": "<logo>"})), "attachments[0].content_id", Refuses),
        (file(json!({"content_id": "a\r\nb"})), "attachments[0].content_id", Refuses),
        (file(json!({"content": "not base64"})), "attachments[0].content", Refuses),
        (file(json!({"content": ""})), "attachments[0].content", Refuses),
        (file(json!({"content": null})), "attachments[0].content", Refuses),
        (file(json!({"s3": {"key": "acme/a"}})), "attachments[0].content", Refuses),
        (file(json!({"size": 1})), "attachments[0]", Refuses),
        (stored(json!({"key": "other/a.pdf"})), "attachments[0].s3.key", CannotTell),
        (stored(json!({"key": "acmea.pdf"})), "attachments[0].s3.key", Refuses),
        (stored(json!({"key": "acme/"})), "attachments[0].s3.key", Refuses),
        (stored(json!({"key": "acme/../other/a"})), "attachments[0].s3.key", CannotTell),
        (stored(json!({"key": "acme//a"})), "attachments[0].s3.key", CannotTell),
        (stored(json!({"key": "acme/a\nb"})), "attachments[0].s3.key", Refuses),
        (stored(json!({"key": "acme/a", "version": "a b"})), "attachments[0].s3.version", Refuses),
        (stored(json!({"key": "acme/a", "bucket": "b"})), "attachments[0]", Refuses),
        (
            json!({"attachments": [file(json!({}))["attachments"][0], file(json!({}))["attachments"][0]]}),
            "attachments[1].name",
            CannotTell,
        ),
        (
            json!({"attachments": [
                file(json!({"content_id": "a"}))["attachments"][0],
                file(json!({"name": "b", "content_id": "a"}))["attachments"][0],
            ]}),
            "attachments[1].content_id",
            CannotTell,
        ),
        (
            beside(&json!({"subject": "x", "text": "x"}), file(json!({"content_id": "a"}))),
            "attachments[0].content_id",
            CannotTell,
        ),
        (instead(json!({"raw": "not base64"})), "raw", Refuses),
        (instead(json!({"raw": "AAAA"})), "raw", CannotTell),
        (raw("joan@example.com"), "raw", CannotTell),
        (beside(&mime, json!({"subject": "x"})), "subject", Refuses),
        (beside(&mime, json!({"html": "x"})), "html", Refuses),
        (beside(&mime, json!({"headers": {"X-A": "1"}})), "headers", Refuses),
        (beside(&mime, json!({"reply_to": ["a@example.org"]})), "reply_to", Refuses),
        (beside(&mime, file(json!({}))), "attachments", Refuses),
        (beside(&mime, json!({"list_unsubscribe": {"url": "https://a.example"}})), "list_unsubscribe", Refuses),
        (beside(&mime, template.clone()), "raw", Refuses),
        (beside(&template, json!({"subject": "x"})), "subject", Refuses),
        (beside(&template, json!({"text": "x"})), "text", Refuses),
        (instead(json!({"template": {"data": {}}})), "template.name", Refuses),
        (instead(json!({"template": {"name": "a/b"}})), "template.name", Refuses),
        (instead(json!({"template": {"arn": "arn:aws:ses:eu-central-1:1:template/a"}})), "template.arn", Refuses),
        (
            instead(json!({"template": {"name": "a", "arn": "arn:aws:ses:eu-central-1:123456789012:template/a"}})),
            "template.name",
            Refuses,
        ),
        (instead(json!({"template": {"name": "a", "data": "{}"}})), "template.data", Refuses),
        (instead(json!({"template": {"name": "a", "data": {"x": "y".repeat(262_144)}}})), "template.data", CannotTell),
    ]
}

#[test]
fn the_schema_takes_what_the_parser_takes() {
    let schema = schema();
    for changes in valid() {
        let body = changed(&changes);
        if let Err(error) = Mail::parse(&body, time(RECEIVED_AT)) {
            panic!("{changes}: {error:?}");
        }
        let document: Value = serde_json::from_str(&body).unwrap();
        if let Err(error) = schema.validate(&document) {
            panic!("{changes}: {error} at {}", error.instance_path());
        }
    }
}

#[test]
fn the_schema_refuses_what_the_parser_refuses_as_far_as_it_can_tell() {
    let schema = schema();
    let mut wrong = Vec::new();
    for (changes, field, said) in invalid() {
        let body = changed(&changes);
        let Err(error) = Mail::parse(&body, time(RECEIVED_AT)) else { panic!("taken: {changes}") };
        let document: Value = serde_json::from_str(&body).unwrap();
        let says = if schema.is_valid(&document) { CannotTell } else { Refuses };
        if (error.field.as_str(), says) != (field, said) {
            wrong.push(format!("{changes:.200}: {error:?}, the schema {says:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_schema_has_the_fields_of_the_parser() {
    let schema: Value = serde_json::from_str(SCHEMA).unwrap();
    let mut fields: Vec<&str> = schema["properties"].as_object().unwrap().keys().map(String::as_str).collect();
    let mut expected = super::field::MAIL_FIELDS.to_vec();
    fields.sort_unstable();
    expected.sort_unstable();
    assert_eq!(fields, expected);
}
