//! What is a mail and what is not.

use serde_json::{Value, json};

use super::field::MAIL_FIELDS;
use super::*;
use crate::testing::mail::{SAMPLE, changed, sample, sample_with, subject, time};

#[test]
fn the_sample_is_a_mail() {
    let mail = sample();
    assert_eq!(mail.mail_id.as_str(), "order-1234-receipt");
    assert_eq!(mail.recipients(), 2);
    assert_eq!(mail.expiry(), time("2026-12-01T00:00:00Z"));
    assert_eq!(mail.from.header(), "Jane <jane@example.com>");
    assert_eq!(mail.headers, [("X-Campaign".to_owned(), "spring".to_owned())]);
}

#[test]
fn a_mail_lives_at_most_thirty_days() {
    let mail = sample_with(json!({"expires_at": null}));
    assert_eq!(mail.expiry(), time("2026-12-23T10:00:00Z"));
    let mail = sample_with(json!({"expires_at": "2028-01-01T00:00:00Z"}));
    assert_eq!(mail.expiry(), time("2026-12-23T10:00:00Z"));
}

#[test]
fn first_seen_is_when_sqs_accepted_the_message_if_the_mail_does_not_have_it() {
    let mail = sample_with(json!({"first_seen": null}));
    assert_eq!(mail.first_seen, time("2026-11-23T10:00:00Z"));
    assert!(!mail.carries_first_seen);
    assert!(sample().carries_first_seen);
}

#[test]
fn a_mail_that_could_not_be_requeued_is_rejected() {
    let sized = |bytes: usize| {
        let room = bytes - changed(&json!({"first_seen": null, "text": ""})).len();
        changed(&json!({"first_seen": null, "text": "x".repeat(room)}))
    };
    let largest = sized(MAX_BODY_BYTES);
    let sent_at = time("2026-11-23T10:00:00.123456789Z");
    assert!(Mail::parse(&largest, sent_at).is_ok());
    // A mail that was accepted once is accepted again.
    assert!(Mail::parse(&with_first_seen(&largest, sent_at), sent_at).is_ok());
    let field = Mail::parse(&sized(MAX_BODY_BYTES + 1), sent_at).err().map(|error| error.field);
    assert_eq!(field.as_deref(), Some("body"));
}

#[test]
fn fifty_recipients_pass() {
    let many: Vec<String> = (0..49).map(|n| format!("a{n}@example.org")).collect();
    assert_eq!(sample_with(json!({"to": many})).recipients(), 50);
}

#[test]
fn each_bad_field_is_rejected_by_its_name() {
    let many: Vec<String> = (0..50).map(|n| format!("a{n}@example.org")).collect();
    let cases = [
        (json!({"version": 2, "attachments": []}), "version"),
        (json!({"version": "SECRET"}), "version"),
        (json!({"version": null}), "version"),
        (json!({"tenant_id": "SEC RET"}), "tenant_id"),
        (json!({"tenant_id": null}), "tenant_id"),
        (json!({"provider_id": "SECRET"}), "provider_id"),
        (json!({"mail_id": "SEC\nRET"}), "mail_id"),
        (json!({"mail_id": null}), "mail_id"),
        (json!({"first_seen": "SECRET"}), "first_seen"),
        (json!({"first_seen": "2026-11-23T10:06:00Z"}), "first_seen"),
        (json!({"from": "SECRET"}), "from"),
        (json!({"from": "a@example.com\r\nBcc: SECRET@example.com"}), "from"),
        (json!({"from": null}), "from"),
        (json!({"from": "=?utf-8?q?SECRET=0D=0ABcc=3A_b=40x.example?= <a@example.com>"}), "from"),
        (json!({"from": "=?koi8-r?q?SECRET?= <a@example.com>"}), "from"),
        (json!({"reply_to": ["a@example.org", "SECRET@ex_ample.com"]}), "reply_to[1]"),
        (json!({"to": [], "cc": []}), "to"),
        (json!({"to": ["a@example.org", "SECRET"]}), "to[1]"),
        (json!({"to": "SECRET@example.org"}), "to"),
        (json!({"to": ["a@example.org", 7]}), "to[1]"),
        (json!({"to": many}), "to"),
        (json!({"cc": ["SECRET"]}), "cc[0]"),
        (json!({"bcc": ["SECRET"]}), "bcc[0]"),
        (json!({"reply_to": ["SECRET"]}), "reply_to[0]"),
        (json!({"subject": "SECRET\r\nBcc: a@example.com"}), "subject"),
        (json!({"subject": "SECRET\u{2028}x"}), "subject"),
        (json!({"subject": "SECRET\u{2029}x"}), "subject"),
        (json!({"subject": "=?utf-8?q?SECRET=0D=0ABcc=3A_b=40x.example?="}), "subject"),
        (json!({"subject": "=?koi8-r?q?SECRET?="}), "subject"),
        (json!({"subject": "=?utf-8?x?SECRET?="}), "subject"),
        (json!({"subject": "x=?utf-8?q?SECRET?="}), "subject"),
        (json!({"subject": "=?utf-8?q?=3D=3Futf-8=3Fq=3FSECRET=3F=3D?="}), "subject"),
        (json!({"subject": null}), "subject"),
        (json!({"text": null, "html": null}), "text"),
        (json!({"text": "", "html": ""}), "text"),
        (json!({"headers": {"X-A": "SECRET\n"}}), "headers.X-A"),
        (json!({"headers": {"X-A": " "}}), "headers.X-A"),
        (json!({"headers": {"Bcc": "SECRET"}}), "headers.Bcc"),
        (json!({"headers": {"X-SECRET@example.com": 7}}), "headers"),
        (json!({"headers": ["SECRET"]}), "headers"),
        (json!({"tags": {"a": "SEC RET"}}), "tags"),
        (json!({"tags": {"a": "x".repeat(256)}}), "tags"),
        (json!({"tags": {"a": ""}}), "tags"),
        (json!({"tags": {"a": "SECRET:x"}}), "tags"),
        (json!({"tags": {"x".repeat(256): "a"}}), "tags"),
        (json!({"tags": {"ses:feedback-id-c": "SECRET"}}), "tags"),
        (json!({"tags": {"ses:configuration-set": "SECRET"}}), "tags"),
        (json!({"tags": {"SECRET@example.com": "a"}}), "tags"),
        (json!({"configuration_set": "SEC RET"}), "configuration_set"),
        (json!({"on_doubt": "SECRET"}), "on_doubt"),
        (json!({"priority": "SECRET"}), "priority"),
        (json!({"on_doubt": "\u{1}SECRET"}), "on_doubt"),
        (json!({"on_doubt": "\u{1}\u{1}SECRET"}), "on_doubt"),
        (json!({"replyTo": "SECRET"}), "replyTo"),
        (json!({"expires_at": "SECRET"}), "expires_at"),
        (json!({"attachments": "SECRET"}), "attachments"),
        (
            json!({"attachments": [{"name": "SECRET\n", "content_type": "a/b", "content": "AAAA"}]}),
            "attachments[0].name",
        ),
        (
            json!({"attachments": [{"name": "a", "content_type": "SECRET", "content": "AAAA"}]}),
            "attachments[0].content_type",
        ),
        (
            json!({"attachments": [{"name": "a", "content_type": "a/b", "content": "SECRET!"}]}),
            "attachments[0].content",
        ),
        (
            json!({"attachments": [{"name": "a", "content_type": "a/b", "s3": {"key": "SECRET"}}]}),
            "attachments[0].s3.key",
        ),
        (
            json!({"attachments": [{"name": "a", "content_type": "a/b", "content": "AAAA", "SECRET": 1}]}),
            "attachments[0]",
        ),
        (json!({"raw": "SECRET!", "subject": null, "text": null, "html": null, "headers": null}), "raw"),
        (json!({"template": {"name": "SEC RET"}, "subject": null, "text": null, "html": null}), "template.name"),
        (json!({"list_unsubscribe": {"url": "SECRET"}}), "list_unsubscribe.url"),
        (json!({"list_unsubscribe": {"mailto": "SECRET"}}), "list_unsubscribe.mailto"),
        (json!({"list_management": {"contact_list": "SEC RET"}}), "list_management.contact_list"),
        (json!({"tenant_name": "SEC RET"}), "tenant_name"),
        (json!({"endpoint_id": "SEC RET"}), "endpoint_id"),
        (json!({"return_path": "SECRET"}), "return_path"),
        (json!({"not_before": "SECRET"}), "not_before"),
        (json!({"SECRET@example.com": 1}), "body"),
    ];
    for (changes, field) in cases {
        let body = changed(&changes);
        let Err(error) = Mail::parse(&body, time("2026-11-23T10:00:00Z")) else { panic!("taken: {changes}") };
        assert_eq!(error.field, field, "{changes}");
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        assert!(!error.problem.chars().any(char::is_control), "{error:?}");
    }
}

#[test]
fn a_mail_may_name_several_providers_in_the_order_of_preference() {
    let ids = ["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "prv_01ARZ3NDEKTSV4RRFFQ69G5FAW"];
    let mail = sample_with(json!({"provider_id": null, "provider_ids": ids, "patience_s": 60}));
    assert_eq!(mail.provider_ids.iter().map(|id| id.as_str()).collect::<Vec<_>>(), ids);
    assert_eq!((mail.provider_id.as_str(), mail.patience_s), (ids[0], 60));
    assert_eq!((sample().provider_ids.len(), sample().patience_s), (1, 0));
    assert_eq!(digest(&mail), digest(&sample()));
    for (changes, field) in [
        (json!({"provider_ids": ids}), "provider_ids"),
        (json!({"provider_id": null}), "provider_id"),
        (json!({"provider_id": null, "provider_ids": []}), "provider_ids"),
        (json!({"provider_id": null, "provider_ids": [ids[0], ids[0]]}), "provider_ids[1]"),
        (json!({"provider_id": null, "provider_ids": [ids[0], "prv_x"]}), "provider_ids[1]"),
        (json!({"provider_id": null, "provider_ids": [ids[0], ids[1], ids[0], ids[1]]}), "provider_ids"),
        (json!({"patience_s": 86_401}), "patience_s"),
    ] {
        let error = Mail::parse(&changed(&changes), time("2026-11-23T10:00:00Z")).err().unwrap();
        assert_eq!(error.field, field, "{changes}");
    }
}

#[test]
fn a_mail_that_has_expired_is_still_a_mail() {
    for expires_at in ["2026-11-23T10:00:00Z", "2026-01-01T00:00:00Z"] {
        for first_seen in [json!("2026-11-23T10:00:00Z"), Value::Null] {
            let mail = sample_with(json!({"first_seen": first_seen, "expires_at": expires_at}));
            assert_eq!(mail.expiry(), time(expires_at));
        }
    }
}

#[test]
fn a_field_that_may_be_absent_may_be_null() {
    let optional =
        ["first_seen", "cc", "bcc", "reply_to", "html", "headers", "tags", "configuration_set", "on_doubt", "priority"];
    let mut body: Value = serde_json::from_str(SAMPLE).unwrap();
    for name in optional {
        body[name] = Value::Null;
    }
    let nulls = Mail::parse(&body.to_string(), time("2026-11-23T10:00:00Z"));
    let absent = sample_with(optional.iter().map(|name| ((*name).to_owned(), Value::Null)).collect());
    assert!(nulls.is_ok_and(|nulls| digest(&nulls) == digest(&absent)));
}

#[test]
fn a_subject_may_look_a_little_like_an_encoded_word() {
    for text in ["what =? that", "?= and =?", "Is 2+2=? Yes?=", "x=?y?=", "", "Grüße 😀"] {
        assert_eq!(subject(&sample_with(json!({"subject": text}))), text);
    }
}

#[test]
fn an_encoded_subject_is_decoded() {
    let cases = [
        ("=?UTF-8?B?R3LDvMOfZQ==?=", "Grüße"),
        ("Re:  =?utf-8?q?Gr=C3=BC?= =?utf-8?q?=C3=9Fe?= you", "Re:  Grüße you"),
        ("=?iso-8859-1?q?Gr=FC=DFe?=", "Grüße"),
    ];
    for (text, decoded) in cases {
        assert_eq!(subject(&sample_with(json!({"subject": text}))), decoded);
    }
}

#[test]
fn tags_may_be_as_long_as_ses_accepts_them() {
    let mail = sample_with(json!({"tags": {"x".repeat(255): "y".repeat(255), "ses:feedback-id-a": "a.b@c_d-e"}}));
    assert_eq!(mail.tags.len(), 2);
}

#[test]
fn garbage_is_rejected_as_malformed() {
    for body in ["", "SECRET", "[]", "{", "null", "{\"version\":1} SECRET"] {
        let Err(error) = Mail::parse(body, time("2026-11-23T10:00:00Z")) else { panic!("taken: {body}") };
        assert!(!format!("{error:?}").contains("SECRET"), "{error:?}");
        assert_eq!(error.field, if body.contains("version") { "tenant_id" } else { "body" }, "{body}");
    }
}

#[test]
fn names_given_twice_are_rejected() {
    let twice = SAMPLE.replace(r#"{"X-Campaign": "spring"}"#, r#"{"X-A": "1", "X-A": "2"}"#);
    assert_ne!(twice, SAMPLE);
    let Err(error) = Mail::parse(&twice, time("2026-11-23T10:00:00Z")) else { panic!("taken") };
    assert_eq!(error.field, "headers.X-A");
    let twice = SAMPLE.replacen("{", r#"{"subject": "x", "#, 1);
    let Err(error) = Mail::parse(&twice, time("2026-11-23T10:00:00Z")) else { panic!("taken") };
    assert_eq!(error.field, "subject");
}

#[test]
fn the_list_of_field_names_is_that_of_the_document() {
    let error = serde_json::from_str::<MailDocument>(r#"{"?": 1}"#).err().unwrap().to_string();
    let (_, expected) = error.split_once("expected one of ").unwrap();
    let names: Vec<&str> = expected.split('`').skip(1).step_by(2).collect();
    assert_eq!(names, MAIL_FIELDS);
}

#[test]
fn mail_of_high_priority_has_a_group_of_its_own() {
    let provider_id = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    for (priority, group) in [(json!("high"), format!("{provider_id}#high")), (json!("normal"), provider_id.to_owned())]
    {
        assert_eq!(sample_with(json!({"priority": priority})).group(), group);
    }
}
