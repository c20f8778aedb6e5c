//! Messages that fail again and again, and tables that do not answer.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Mutex as StdMutex;

use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::SignedDuration;
use serde_json::{Value, json};
use shared::record::{Status, StatusName};
use shared::runtime::{ColdStart, Environment};
use tokio::time::Instant;

use super::*;
use crate::Sender;
use crate::mail::tests::{SAMPLE, time};
use crate::snapshot::tests::provider;

/// Our own account. It refuses as many messages as it is told to, and keeps those that it takes. Writes to a table are not
/// answered.
#[derive(Clone, Default)]
struct FakeAws(Arc<StdMutex<MailState>>);

#[derive(Default)]
struct MailState {
    refusals: VecDeque<&'static str>,
    messages: Vec<Value>,
    events: Vec<Value>,
    /// Every item of each table, as DynamoDB writes them.
    items: Value,
}

impl FakeAws {
    fn refusing(refusals: &[&'static str]) -> Self {
        let state = MailState { refusals: refusals.iter().copied().collect(), ..MailState::default() };
        Self(Arc::new(StdMutex::new(state)))
    }

    /// With active providers of an account each, whose mail may go out.
    fn with_providers(provider_ids: &[&str]) -> Self {
        let sealed = json!({
            "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"}, "lane": {"S": "send"}, "ciphertext": {"B": "c2VhbGVk"},
        });
        let mut providers = vec![json!({"pk": {"S": "halt"}, "sk": {"S": "halt"}, "halted": {"BOOL": false}})];
        for (number, provider_id) in provider_ids.iter().enumerate() {
            let mut item = serde_json::to_value(provider(Status::plain(StatusName::Active))).unwrap();
            item["provider_id"] = json!(provider_id);
            item["account_id"] = json!(format!("{number:012}"));
            item["pk"] = json!(format!("provider#{provider_id}"));
            providers.push(attribute(&item)["M"].take());
        }
        let state = MailState { items: json!({"providers": providers, "secrets": [sealed]}), ..MailState::default() };
        Self(Arc::new(StdMutex::new(state)))
    }

    fn serve(&self, operation: &str, body: Value) -> (u16, Value) {
        let mut state = self.0.lock().unwrap();
        match operation {
            "BatchGetItem" => {
                let table = body["RequestItems"].as_object().unwrap().keys().next().unwrap();
                let items = state.items.get(table).cloned().unwrap_or(json!([]));
                (200, json!({"Responses": {(table.as_str()): items}, "UnprocessedKeys": {}}))
            }
            "Decrypt" => (200, json!({"Plaintext": STANDARD.encode("x".repeat(40))})),
            "PutEvents" => {
                state.events.push(serde_json::from_str(body["Entries"][0]["Detail"].as_str().unwrap()).unwrap());
                (200, json!({"FailedEntryCount": 0, "Entries": [{"EventId": "1"}]}))
            }
            "SendMessage" => match state.refusals.pop_front() {
                Some(code) => (400, json!({"__type": format!("com.amazonaws.sqs#{code}")})),
                None => {
                    state.messages.push(body);
                    (200, json!({"MessageId": "1"}))
                }
            },
            operation => panic!("{operation} was not expected"),
        }
    }
}

impl HttpConnector for FakeAws {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let target = request.headers().get("x-amz-target").unwrap_or_default();
        let operation = target.rsplit('.').next().unwrap_or_default();
        if operation == "UpdateItem" {
            return HttpConnectorFuture::new(std::future::pending());
        }
        let body = serde_json::from_slice(request.body().bytes().unwrap_or_default()).unwrap();
        let (status, answer) = self.serve(operation, body);
        let response = HttpResponse::new(status.try_into().unwrap(), SdkBody::from(answer.to_string()));
        HttpConnectorFuture::ready(Ok(response))
    }
}

impl HttpClient for FakeAws {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl fmt::Debug for FakeAws {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("FakeAws")
    }
}

fn now() -> Timestamp {
    time("2026-11-23T10:00:00Z")
}

/// A value as DynamoDB writes it.
fn attribute(value: &Value) -> Value {
    match value {
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| (name.clone(), attribute(value))).collect();
            json!({"M": Value::Object(members)})
        }
        Value::Number(number) => json!({"N": number.to_string()}),
        Value::Bool(bool) => json!({"BOOL": bool}),
        Value::String(text) => json!({"S": text}),
        Value::Null | Value::Array(_) => panic!("{value} was not expected"),
    }
}

/// The ids that have to come back of a batch of these bodies, received so often.
async fn failures(aws: &FakeAws, bodies: &[String], receives: u32) -> Vec<String> {
    let environment = Environment::from_variables(&[
        ("AWS_ACCESS_KEY_ID", "own"),
        ("AWS_SECRET_ACCESS_KEY", "own"),
        ("AWS_REGION", "eu-central-1"),
        ("PROVIDERS_TABLE", "providers"),
        ("SECRETS_TABLE", "secrets"),
        ("MAILS_TABLE", "mails"),
        ("SEND_LANE_KEY", "key"),
        ("SEND_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/send"),
        ("SEND_DEAD_LETTER_QUEUE_URL", "https://sqs.eu-central-1.amazonaws.com/1/dead"),
        ("BUS_NAME", "bus"),
    ]);
    let http = SharedHttpClient::new(aws.clone());
    let sender = Sender::new(&ColdStart { environment, ambient: Ambient::new(now, || 7), http }).unwrap();
    let records = bodies.iter().enumerate().map(|(number, body)| {
        let attributes = json!({"ApproximateReceiveCount": receives.to_string(), "SentTimestamp": "1795428000000"});
        json!({"messageId": format!("m{number}"), "body": body, "attributes": attributes})
    });
    let event = json!({"Records": records.collect::<Vec<_>>()});
    let invocation = Invocation { request_id: "r".to_owned(), deadline: now() + SignedDuration::from_secs(20) };
    let response = sender.handle(serde_json::from_value(event).unwrap(), invocation).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn a_message_that_no_queue_takes_comes_back_until_it_is_given_up() {
    let garbage = ["garbage".to_owned()];
    let aws = FakeAws::refusing(&["InvalidMessageContents"]);
    assert_eq!(failures(&aws, &garbage, MOST_RECEIVES - 1).await, ["m0"]);
    assert!(aws.0.lock().unwrap().messages.is_empty());

    let aws = FakeAws::refusing(&["InvalidMessageContents"]);
    assert!(failures(&aws, &garbage, MOST_RECEIVES).await.is_empty());
    let state = aws.0.lock().unwrap();
    assert_eq!(state.messages[0]["MessageAttributes"]["reason"]["StringValue"], "given_up");
    assert_eq!(state.messages[0]["MessageBody"], "garbage");
    assert_eq!(state.events.last().unwrap()["reason"], "given_up:body");
}

#[tokio::test]
async fn a_message_that_cannot_even_be_given_up_comes_back() {
    let aws = FakeAws::refusing(&["InvalidMessageContents", "AccessDenied"]);
    assert_eq!(failures(&aws, &["garbage".to_owned()], MOST_RECEIVES).await, ["m0"]);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_leaves_time_for_the_answer() {
    let providers =
        ["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "prv_01BX5ZZKBKACTAV9WEVGEMMVRZ", "prv_01BX5ZZKBKACTAV9WEVGEMMVS0"];
    let aws = FakeAws::with_providers(&providers);
    let bodies = providers.map(|provider_id| SAMPLE.replace(providers[0], provider_id));
    let started = Instant::now();
    assert_eq!(failures(&aws, &bodies, 1).await, ["m0", "m1", "m2"]);
    // Retries of the one write of each account, one account after the other, would take longer than that.
    assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
}
