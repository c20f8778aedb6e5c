//! The SQS event as Lambda builds it, and the partial batch response as Lambda reads it (Lambda developer guide, "Using
//! Lambda with Amazon SQS" and "Handling errors for an SQS event source").

use std::collections::BTreeSet;

use aws_sdk_sqs::types::{Message, MessageAttributeValue};
use axum::body::Bytes;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// The event for a batch.
pub(super) fn build_event(messages: &[Message], queue_arn: &str, region: &str) -> Bytes {
    let records: Vec<Value> = messages.iter().map(|message| build_record(message, queue_arn, region)).collect();
    Bytes::from(json!({"Records": records}).to_string())
}

/// The ids of the messages that Lambda deletes because they were processed. SQS delivers all others again after the
/// visibility timeout.
///
/// Without ReportBatchItemFailures, every response means success. With it, an unreadable response and an empty, missing or
/// unknown id fail the whole batch; a missing, empty or null list and a null response mean success.
pub(super) fn processed_message_ids<'a>(
    messages: &'a [Message],
    response: &[u8],
    reports_failures: bool,
) -> BTreeSet<&'a str> {
    let all: BTreeSet<&str> = messages.iter().filter_map(Message::message_id).collect();
    if !reports_failures {
        return all;
    }
    match parse_failures(response) {
        Some(failed) if failed.iter().all(|id| all.contains(id.as_str())) => {
            all.into_iter().filter(|id| !failed.contains(*id)).collect()
        }
        _ => BTreeSet::new(),
    }
}

/// The ids of the messages that a response reports as failed; `None` if Lambda cannot read the response.
fn parse_failures(response: &[u8]) -> Option<BTreeSet<String>> {
    let response: Value = serde_json::from_slice(response).ok()?;
    let failures = match response {
        Value::Null => return Some(BTreeSet::new()),
        Value::Object(mut object) => object.remove("batchItemFailures").unwrap_or_default(),
        _ => return None,
    };
    match failures {
        Value::Null => Some(BTreeSet::new()),
        Value::Array(failures) => failures
            .iter()
            .map(|failure| failure.get("itemIdentifier")?.as_str().filter(|id| !id.is_empty()).map(str::to_owned))
            .collect(),
        _ => None,
    }
}

fn build_record(message: &Message, queue_arn: &str, region: &str) -> Value {
    let attributes: Map<String, Value> = message
        .attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.as_str().to_owned(), Value::from(value.as_str())))
        .collect();
    let message_attributes: Map<String, Value> = message
        .message_attributes()
        .into_iter()
        .flatten()
        .map(|(name, value)| (name.clone(), build_attribute(value)))
        .collect();
    let mut record = json!({
        "messageId": message.message_id(),
        "receiptHandle": message.receipt_handle(),
        "body": message.body(),
        "attributes": attributes,
        "messageAttributes": message_attributes,
        "md5OfBody": message.md5_of_body(),
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": region,
    });
    if let Some(md5) = message.md5_of_message_attributes() {
        record["md5OfMessageAttributes"] = md5.into();
    }
    record
}

fn build_attribute(value: &MessageAttributeValue) -> Value {
    let mut attribute = json!({"stringListValues": [], "binaryListValues": [], "dataType": value.data_type()});
    if let Some(text) = value.string_value() {
        attribute["stringValue"] = text.into();
    }
    if let Some(bytes) = value.binary_value() {
        attribute["binaryValue"] = STANDARD.encode(bytes.as_ref()).into();
    }
    attribute
}

#[cfg(test)]
mod tests {
    use aws_sdk_sqs::primitives::Blob;
    use aws_sdk_sqs::types::MessageSystemAttributeName;

    use super::*;

    fn batch() -> Vec<Message> {
        ["a", "b"].map(|id| Message::builder().message_id(id).build()).to_vec()
    }

    #[test]
    fn messages_that_a_readable_response_does_not_report_are_processed() {
        let table: [(&str, &[&str]); 15] = [
            (r#"{"batchItemFailures":[]}"#, &["a", "b"]),
            (r#"{"batchItemFailures":null}"#, &["a", "b"]),
            (r#"{}"#, &["a", "b"]),
            (r#"null"#, &["a", "b"]),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"}]}"#, &["b"]),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"b"}]}"#, &[]),
            (r#"{"batchItemFailures":[{"itemIdentifier":""}]}"#, &[]),
            (r#"{"batchItemFailures":[{"itemIdentifier":null}]}"#, &[]),
            (r#"{"batchItemFailures":[{"itemId":"a"}]}"#, &[]),
            (r#"{"batchItemFailures":[{"itemIdentifier":"a"},{"itemIdentifier":"z"}]}"#, &[]),
            (r#"{"batchItemFailures":"a"}"#, &[]),
            (r#"{"batchItemFailures":[{"itemIdentifier":1}]}"#, &[]),
            (r#"[]"#, &[]),
            ("{", &[]),
            ("", &[]),
        ];
        for (response, expected) in table {
            let batch = batch();
            let processed: Vec<&str> = processed_message_ids(&batch, response.as_bytes(), true).into_iter().collect();
            assert_eq!(processed, expected, "{response}");
        }
        assert_eq!(processed_message_ids(&batch(), b"anything", false).len(), 2);
    }

    #[test]
    fn the_event_has_the_format_of_lambda() {
        let attribute = |value: Option<&str>, bytes: Option<&[u8]>, kind: &str| {
            MessageAttributeValue::builder()
                .set_string_value(value.map(str::to_owned))
                .set_binary_value(bytes.map(Blob::new))
                .data_type(kind)
                .build()
                .unwrap()
        };
        let message = Message::builder()
            .message_id("id")
            .receipt_handle("handle")
            .body("{}")
            .md5_of_body("99914b932bd37a50b983c5e7c90ae93b")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "1")
            .attributes(MessageSystemAttributeName::MessageGroupId, "prv_1")
            .message_attributes("reason", attribute(Some("x"), None, "String"))
            .message_attributes("bytes", attribute(None, Some(&[1, 2]), "Binary"))
            .build();
        let event: Value = serde_json::from_slice(&build_event(&[message], "arn:aws:sqs:r:a:q", "us-east-1")).unwrap();
        let expected = json!({"Records": [{
            "messageId": "id",
            "receiptHandle": "handle",
            "body": "{}",
            "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "prv_1"},
            "messageAttributes": {
                "reason": {"stringValue": "x", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
                "bytes": {"binaryValue": "AQI=", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
            },
            "md5OfBody": "99914b932bd37a50b983c5e7c90ae93b",
            "eventSource": "aws:sqs",
            "eventSourceARN": "arn:aws:sqs:r:a:q",
            "awsRegion": "us-east-1",
        }]});
        assert_eq!(event, expected);
    }
}
