//! Messages that are not valid mails: they are dead-lettered with a reason and an event, and do not block other mails.

use std::collections::BTreeMap;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::support::{SHORT_DOUBT_DELAY, Stack, WAIT_TIMEOUT, attribute, mail, mail_with};

/// A text in the invalid values, which must be in no attribute, event or log line.
const MARKER: &str = "zqxmarker";

/// A message and why it is invalid.
struct Case {
    body: String,
    reason: &'static str,
    field: &'static str,
}

fn cases(provider_id: &str, foreign_provider_id: &str) -> Vec<Case> {
    let case = |body: String, reason, field| Case { body, reason, field };
    let invalid = |fields: Value, field| {
        let names: Vec<&str> = fields.as_object().unwrap().keys().map(String::as_str).collect();
        case(mail_with(provider_id, &format!("bad-{}", names.join("-")), &fields).to_string(), "invalid", field)
    };
    let many: Vec<String> = (0..51).map(|n| format!("{MARKER}{n}@example.org")).collect();
    let injected = format!("x\r\nBcc: {MARKER}@example.org");
    let good = mail(provider_id, "bad-json").to_string();
    vec![
        case(format!("{MARKER} is no JSON"), "malformed", "body"),
        case(good[..good.len() - 1].to_owned(), "malformed", "body"),
        case(format!("\"{MARKER}\""), "malformed", "body"),
        case("null".to_owned(), "malformed", "body"),
        case(
            json!([1, "acme", provider_id, "array", null, "jane@example.com", ["ann@example.org"]]).to_string(),
            "malformed",
            "body",
        ),
        case("[".repeat(100_000), "malformed", "body"),
        case(good.replacen("Thank you.", "\\ud800", 1), "malformed", "body"),
        case(good.replacen('{', &format!("{{\"subject\": \"{MARKER}\","), 1), "invalid", "subject"),
        invalid(json!({ "colour": MARKER }), "colour"),
        invalid(json!({ "replyTo": MARKER }), "replyTo"),
        // A field's name may be an address itself.
        case(
            mail_with(provider_id, "bad-name", &json!({ (format!("{MARKER}@example.org")): 1 })).to_string(),
            "malformed",
            "body",
        ),
        invalid(json!({ "version": 2, "attachments": [MARKER] }), "version"),
        invalid(json!({ "to": MARKER }), "to"),
        invalid(json!({ "to": ["ann@example.org", MARKER] }), "to[1]"),
        invalid(json!({ "to": [format!("{MARKER}@example.org, bob@example.org")] }), "to[0]"),
        invalid(json!({ "to": many }), "to"),
        invalid(json!({ "to": null, "subject": MARKER }), "to"),
        invalid(json!({ "from": format!("{MARKER}@example.com\r\nBcc: bob@example.org") }), "from"),
        invalid(json!({ "reply_to": [MARKER] }), "reply_to[0]"),
        invalid(json!({ "subject": injected }), "subject"),
        invalid(json!({ "subject": format!("=?utf-8?q?x=0D=0ABcc=3A_{MARKER}=40example.org?=") }), "subject"),
        invalid(json!({ "text": "", "html": "", "subject": MARKER }), "text"),
        invalid(json!({ "text": { MARKER: MARKER } }), "text"),
        invalid(json!({ "headers": { "X-A": injected } }), "headers.X-A"),
        invalid(json!({ "headers": { (injected.clone()): "x" } }), "headers"),
        invalid(json!({ "headers": { "BCC": format!("{MARKER}@example.org") } }), "headers.BCC"),
        invalid(json!({ "tags": { "campaign": format!("{MARKER} spring") } }), "tags"),
        invalid(json!({ "configuration_set": format!("{MARKER}/x") }), "configuration_set"),
        invalid(json!({ "on_doubt": MARKER }), "on_doubt"),
        invalid(json!({ "on_doubt": format!("\u{1}{MARKER}") }), "on_doubt"),
        invalid(json!({ "on_doubt": format!("\u{1}\u{1}{MARKER}") }), "on_doubt"),
        invalid(json!({ "expires_at": MARKER }), "expires_at"),
        invalid(json!({ "first_seen": "2126-01-01T00:00:00Z", "subject": MARKER }), "first_seen"),
        invalid(json!({ "mail_id": format!("{MARKER}\n") }), "mail_id"),
        invalid(json!({ "provider_id": format!("prv_{MARKER}") }), "provider_id"),
        case(
            mail_with("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "bad-unknown", &json!({ "subject": MARKER })).to_string(),
            "provider_unknown",
            "provider_id",
        ),
        case(
            mail_with(foreign_provider_id, "bad-foreign", &json!({ "subject": MARKER, "tenant_id": "acme" }))
                .to_string(),
            "tenant_mismatch",
            "tenant_id",
        ),
    ]
}

/// The messages in the dead-letter queue by the ids that they were sent with, once all of these are there.
async fn dead_letters(stack: &Stack, message_ids: &[String]) -> BTreeMap<String, Message> {
    let mut found = BTreeMap::new();
    let deadline = Instant::now() + WAIT_TIMEOUT;
    loop {
        let response = stack
            .sqs
            .receive_message()
            .queue_url(&stack.outputs.send_dead_letter_queue_url)
            .max_number_of_messages(10)
            .visibility_timeout(600)
            .wait_time_seconds(1)
            .message_attribute_names("All")
            .send()
            .await
            .unwrap();
        for message in response.messages.unwrap_or_default() {
            found.insert(attribute(&message, "message_id").unwrap_or("-").to_owned(), message);
        }
        let missing: Vec<usize> = (0..message_ids.len()).filter(|n| !found.contains_key(&message_ids[*n])).collect();
        if missing.is_empty() {
            return found;
        }
        assert!(Instant::now() < deadline, "not dead-lettered within {WAIT_TIMEOUT:?}: {missing:?}");
    }
}

#[tokio::test]
async fn an_invalid_mail_is_dead_lettered_with_its_reason_and_without_its_value() {
    let stack = Stack::with_arguments(&["--parameter", "LogLevel=trace"]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let (foreign, foreign_provider_id) = stack.create_provider("globex").await;
    let cases = cases(&provider_id, &foreign_provider_id);
    let mut message_ids = Vec::new();
    for (number, chunk) in cases.chunks(9).enumerate() {
        let mut bodies: Vec<String> = chunk.iter().map(|case| case.body.clone()).collect();
        // The valid mail is in the middle, so that invalid ones come before and after it.
        bodies.insert(chunk.len() / 2, mail(&provider_id, &format!("neighbour-{number}")).to_string());
        let mut ids = stack.enqueue_mails(&bodies).await;
        ids.remove(chunk.len() / 2);
        message_ids.extend(ids);
    }

    let dead_letters = dead_letters(&stack, &message_ids).await;
    let events = stack.events("Mail Rejected").await.unwrap();
    for (case, message_id) in cases.iter().zip(&message_ids) {
        let body: String = case.body.chars().take(200).collect();
        let dead = dead_letters.get(message_id).unwrap_or_else(|| panic!("not dead-lettered: {body}"));
        let attributes = (attribute(dead, "reason"), attribute(dead, "field"));
        assert_eq!(attributes, (Some(case.reason), Some(case.field)), "{body}");
        assert!(attribute(dead, "problem").is_some(), "{body}");
        assert!(dead.body() == Some(&case.body), "{body}");
        assert!(!format!("{:?}", dead.message_attributes()).contains(MARKER), "{:?}", dead.message_attributes());

        let published: Vec<&Value> =
            events.iter().filter(|event| event["detail"]["message_id"] == **message_id).collect();
        assert_eq!(published.len(), 1, "{body}");
        assert_eq!(published[0]["detail"]["reason"], format!("{}:{}", case.reason, case.field), "{body}");
        assert!(!published[0].to_string().contains(MARKER), "{}", published[0]);
    }
    for number in 0..cases.chunks(9).count() {
        stack.mail_in_state(&provider_id, &format!("neighbour-{number}"), &["sent"]).await;
    }
    stack.eventually_delayed(0).await;
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), cases.chunks(9).count());

    // A mail of one tenant leaves no row under another tenant's provider.
    assert!(stack.ledger_row(&foreign_provider_id, "bad-foreign").await.is_none());
    assert!(stack.inbox(&foreign.account_id).await.unwrap().is_empty());
    // The API shows why a mail was rejected.
    let mail = stack.mail_in_state(&provider_id, "bad-colour", &["rejected"]).await;
    assert_eq!(mail["reason"], "invalid:colour");

    let log = stack.log_text("send").await;
    assert!(log.contains("invalid:colour"), "this is not the log of send");
    assert!(!log.contains(MARKER), "an invalid value is in the log");
}

#[tokio::test]
async fn the_largest_message_of_sqs_is_dead_lettered_too() {
    let stack = Stack::with_arguments(&SHORT_DOUBT_DELAY).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let largest = 1024 * 1024;
    let garbage = "x".repeat(largest);
    let sent = stack.sqs.send_message().queue_url(&stack.outputs.send_queue_url).message_body(garbage);
    let id = sent.send().await.unwrap().message_id.unwrap();
    let dead_letters = dead_letters(&stack, std::slice::from_ref(&id)).await;
    assert_eq!(attribute(&dead_letters[&id], "reason"), Some("malformed"));

    // The largest mail that we accept is requeued once and then sent.
    stack.set_faults(&tenant, &json!({ "server_error": 1 })).await;
    let sized = |mail_id: &str, bytes: usize| {
        let mut body = mail(&provider_id, mail_id);
        let room = bytes + "Thank you.".len() - body.to_string().len();
        body["text"] = json!("x".repeat(room));
        assert_eq!(body.to_string().len(), bytes);
        body
    };
    stack.enqueue_mail(&sized("largest", largest - 1024)).await.unwrap();
    stack.mail_in_state(&provider_id, "largest", &["sent"]).await;
    assert_eq!(stack.accepted_copies(&tenant, "largest").await, 1);
    stack.enqueue_mail(&sized("larger", largest - 1023)).await.unwrap();
    let larger = stack.mail_in_state(&provider_id, "larger", &["sent", "rejected"]).await;
    assert_eq!(larger["reason"], "malformed:body", "{larger}");
}

#[tokio::test]
async fn the_attributes_of_a_message_leave_room_for_ours() {
    let stack = Stack::with_arguments(&[]).await;
    let mut message = stack.sqs.send_message().queue_url(&stack.outputs.send_queue_url).message_body("no mail");
    // SQS allows ten. One of them has the name of one of ours, and is not a number.
    for name in (0..9).map(|n| format!("theirs-{n}")).chain(["hops".to_owned()]) {
        let value = MessageAttributeValue::builder().data_type("String").string_value("x").build().unwrap();
        message = message.message_attributes(name, value);
    }
    let id = message.send().await.unwrap().message_id.unwrap();
    let dead_letters = dead_letters(&stack, std::slice::from_ref(&id)).await;
    assert_eq!(attribute(&dead_letters[&id], "reason"), Some("malformed"));
}
