//! A fake AWS for the unit tests of both functions: our own account's services and one tenant's.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;
use serde_json::{Value, json};
use shared::runtime::{Ambient, ColdStart, Environment};
use shared::testing::{FakeRequest, FakeResponse, fake_aws};

/// The requests that were made, in order: the operation, and the body.
pub(crate) type Calls = Arc<Mutex<Vec<(String, String)>>>;

/// 2026-11-23T10:00:00Z.
pub(crate) const NOW_MS: i64 = 1_795_428_000_000;

/// A cold start whose AWS answers an operation with `serve`, and our own account's services with success where that is
/// `None`. The `GetItem` of a table is answered by `serve` for the operation `GetItem <table>`.
pub(crate) fn cold_start(serve: impl Fn(&str) -> Option<FakeResponse> + Send + Sync + 'static) -> (ColdStart, Calls) {
    cold_start_by_body(move |operation, _| serve(operation))
}

/// A cold start as [`cold_start`] makes it, whose AWS also reads the request's body.
pub(crate) fn cold_start_by_body(
    serve: impl Fn(&str, &str) -> Option<FakeResponse> + Send + Sync + 'static,
) -> (ColdStart, Calls) {
    let calls = Calls::default();
    let seen = Arc::clone(&calls);
    let http = fake_aws(move |request| {
        let operation = operation(&request);
        let response = serve(&operation, &request.body).unwrap_or_else(|| own_account(&operation));
        seen.lock().unwrap().push((operation, request.body));
        async move { response }
    });
    let environment = Environment::from_variables(&[
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ("PROVIDERS_TABLE", "providers"),
        ("SECRETS_TABLE", "secrets"),
        ("REVOKE_LANE_KEY", "arn:aws:kms:eu-central-1:111122223333:key/revoke"),
        ("WEBHOOK_KEY", "arn:aws:kms:eu-central-1:111122223333:key/webhook"),
        ("REVOCATION_QUEUE_URL", "https://sqs.test/revocation"),
        ("REVOCATION_DEAD_LETTER_QUEUE_URL", "https://sqs.test/revocation-dead-letter"),
        ("REVOCABILITY_QUEUE_URL", "https://sqs.test/revocability"),
        ("REVOCABILITY_PROOF_DAYS", "7"),
        ("BREACH_DEAD_LETTER_QUEUE_URL", "https://sqs.test/breach-dead-letter"),
        ("SEND_MAPPING_ID", "mapping-1"),
        ("BUS_NAME", "bus"),
    ]);
    let ambient = Ambient::new(|| Timestamp::from_millisecond(NOW_MS).unwrap(), || 0);
    (ColdStart { environment, ambient, http }, calls)
}

/// The operations that were called, in order.
pub(crate) fn operations(calls: &Calls) -> Vec<String> {
    calls.lock().unwrap().iter().map(|(operation, _)| operation.clone()).collect()
}

/// An item as GetItem answers it.
pub(crate) fn item(attributes: &Value) -> FakeResponse {
    (200, json!({ "Item": attributes }).to_string())
}

/// An error of IAM or STS.
pub(crate) fn query_error(status: u16, code: &str, text: &str) -> FakeResponse {
    let body = format!("<ErrorResponse><Error><Code>{code}</Code><Message>{text}</Message></Error></ErrorResponse>");
    (status, body)
}

fn operation(request: &FakeRequest) -> String {
    if request.target == "GetItem" {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        return format!("GetItem {}", body["TableName"].as_str().unwrap());
    }
    if !request.target.is_empty() {
        return request.target.clone();
    }
    let form = request.body.split('&').find_map(|pair| pair.strip_prefix("Action="));
    match (form, request.uri.as_str()) {
        (Some(action), _) => action.to_owned(),
        (None, uri) if uri.contains("account/sending") => "PutAccountSendingAttributes".to_owned(),
        (None, uri) if uri.contains("identities") => "ListEmailIdentities".to_owned(),
        (None, uri) if uri.contains("/v2/email/account") => "GetAccount".to_owned(),
        (None, uri) if uri.contains("/event-source-mappings/") => match request.body.as_str() {
            "" => "GetEventSourceMapping".to_owned(),
            body => format!("UpdateEventSourceMapping {body}"),
        },
        (None, uri) => panic!("unexpected {uri}"),
    }
}

fn own_account(operation: &str) -> FakeResponse {
    let body = match operation {
        "SendMessage" => json!({ "MessageId": "m", "MD5OfMessageBody": "m" }),
        "PutEvents" => json!({ "FailedEntryCount": 0, "Entries": [{ "EventId": "e" }] }),
        // A secret of the right shape.
        "Decrypt" => json!({ "Plaintext": "YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXpBQkNERUZHSElKKy8wMQ==" }),
        "GetEventSourceMapping" => json!({ "State": "Enabled" }),
        "UpdateEventSourceMapping {\"Enabled\":false}" => json!({ "State": "Disabling" }),
        "UpdateEventSourceMapping {\"Enabled\":true}" => json!({ "State": "Enabling" }),
        _ => json!({}),
    };
    (200, body.to_string())
}
