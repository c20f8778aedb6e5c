//! Trace headers of messages.
//!
//! SQS keeps the trace header of a request as the `AWSTraceHeader` of every message that the request sends; where both
//! are set, "the message system attribute overrides the HTTP trace header":
//! <https://docs.aws.amazon.com/xray/latest/devguide/xray-services-sqs.html>. Lambda counts the hops of a message in it, and
//! stops an endless loop by the count (Lambda developer guide, "Use Lambda recursive loop detection to prevent infinite
//! loops").

use axum::body::Bytes;
use serde_json::{Map, Value, json};

use crate::service::Call;

/// What the SDKs send a trace as from inside a Lambda function, where the variable `_X_AMZN_TRACE_ID` holds it.
const HEADER: &str = "x-amzn-trace-id";

/// The system attribute of a message.
const ATTRIBUTE: &str = "AWSTraceHeader";

/// Gives the messages that a request sends the request's trace header, except those that have one of their own.
///
/// Of SQS's two protocols only the JSON one is amended: SDKs speak no other.
pub(super) fn add_trace_header(call: &mut Call) {
    let Some(header) = call.headers.get(HEADER).and_then(|header| header.to_str().ok()) else { return };
    let messages = match call.operation.as_str() {
        "SendMessage" => std::slice::from_mut(&mut call.json),
        "SendMessageBatch" => match call.json.get_mut("Entries").and_then(Value::as_array_mut) {
            Some(entries) => entries.as_mut_slice(),
            None => return,
        },
        _ => return,
    };
    // What is not of this form is left for SQS to refuse.
    for message in messages.iter_mut().filter_map(Value::as_object_mut) {
        let attributes = message.entry("MessageSystemAttributes").or_insert(Value::Null);
        if attributes.is_null() {
            *attributes = Value::Object(Map::new());
        }
        if let Some(attributes) = attributes.as_object_mut() {
            attributes.entry(ATTRIBUTE).or_insert_with(|| json!({ "DataType": "String", "StringValue": header }));
        }
    }
    if !call.json.is_null() {
        call.body = Bytes::from(call.json.to_string());
    }
}
