//! Messages that fail again and again, tables that do not answer, and what alarms count in the log.

use std::collections::VecDeque;
use std::sync::Mutex;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use shared::queue::Deadline;
use shared::record::{Status, StatusName};
use shared::runtime::{Ambient, ColdStart, Environment};
use shared::testing::{FakeRequest, FakeResponse, capture_log, fake_aws};
use tokio::time::Instant;

use super::*;
use crate::Sender;
use crate::fixtures::{SAMPLE, provider, template_resource, time};

/// Our own account, and the tenant's SES, which accepts every mail. The account refuses as many messages as it is told to,
/// and keeps those that it accepts.
#[derive(Clone, Default)]
struct FakeAccount(Arc<Mutex<AccountState>>);

#[derive(Default)]
struct AccountState {
    refusals: VecDeque<&'static str>,
    messages: Vec<Value>,
    events: Vec<Value>,
    /// Whether writes to a table are answered, except that of an accepted mail.
    answers_writes: bool,
    /// Every item of each table, as DynamoDB writes them.
    items: Value,
}

impl FakeAccount {
    fn refusing(refusals: &[&'static str]) -> Self {
        let state = AccountState { refusals: refusals.iter().copied().collect(), ..AccountState::default() };
        Self(Arc::new(Mutex::new(state)))
    }

    /// With active providers of an account each, whose mail may go out.
    fn with_providers(provider_ids: &[&str]) -> Self {
        let sealed = json!({
            "pk": {"S": "send#AKIASP2TPHJSQH3FJRUX"}, "ciphertext": {"B": "c2VhbGVk"},
        });
        let mut providers = vec![json!({"pk": {"S": "halt"}, "sk": {"S": "halt"}, "halted": {"BOOL": false}})];
        for (number, provider_id) in provider_ids.iter().enumerate() {
            let mut item = serde_json::to_value(provider(Status::plain(StatusName::Active))).unwrap();
            item["provider_id"] = json!(provider_id);
            item["account_id"] = json!(format!("{number:012}"));
            item["pk"] = json!(format!("provider#{provider_id}"));
            providers.push(attribute(&item)["M"].take());
        }
        let items = json!({"providers": providers, "secrets": [sealed]});
        Self(Arc::new(Mutex::new(AccountState { items, ..AccountState::default() })))
    }

    async fn serve(self, request: FakeRequest) -> FakeResponse {
        let body: Value = serde_json::from_str(&request.body).unwrap();
        if request.target == "UpdateItem" {
            let values = &body["ExpressionAttributeValues"];
            if !self.0.lock().unwrap().answers_writes || values[":state"]["S"] == "sent" {
                std::future::pending::<()>().await;
            }
            let pace = json!({"tat": values[":now_and_total"], "share": {"N": "1000"}, "share_changed": {"N": "0"}});
            let is_rate = body["Key"]["pk"]["S"].as_str().unwrap().starts_with("rate#");
            let answer = if is_rate { json!({"Attributes": pace}) } else { json!({}) };
            return (200, answer.to_string());
        }
        if request.uri.ends_with("/v2/email/outbound-emails") {
            return (200, json!({"MessageId": "id"}).to_string());
        }
        let (status, answer) = self.answer(&request.target, body);
        (status, answer.to_string())
    }

    fn answer(&self, operation: &str, body: Value) -> (u16, Value) {
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

/// The ids that have to be delivered again of a batch of these bodies, received so often.
async fn failures(account: &FakeAccount, bodies: &[String], receives: u32) -> Vec<String> {
    let records = bodies.iter().enumerate().map(|(number, body)| {
        let attributes = json!({"ApproximateReceiveCount": receives.to_string(), "SentTimestamp": "1795428000000"});
        json!({"messageId": format!("m{number}"), "body": body, "attributes": attributes})
    });
    process_event(account, json!({"Records": records.collect::<Vec<_>>()})).await
}

/// The ids that have to be delivered again of an event.
async fn process_event(account: &FakeAccount, event: Value) -> Vec<String> {
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
    let account = account.clone();
    let http = fake_aws(move |request| account.clone().serve(request));
    let sender = Sender::new(&ColdStart { environment, ambient: Ambient::new(now, || 7), http }).unwrap();
    let deadline = Deadline::at(now() + SignedDuration::from_secs(20));
    let invocation = Invocation { request_id: "r".to_owned(), deadline };
    let response = sender.handle(serde_json::from_value(event).unwrap(), invocation).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

#[tokio::test]
async fn a_message_that_no_queue_accepts_is_delivered_again_until_it_is_given_up() {
    let garbage = ["garbage".to_owned()];
    let account = FakeAccount::refusing(&["InvalidMessageContents"]);
    assert_eq!(failures(&account, &garbage, MAX_RECEIVES - 1).await, ["m0"]);
    assert!(account.0.lock().unwrap().messages.is_empty());

    let account = FakeAccount::refusing(&["InvalidMessageContents"]);
    assert!(failures(&account, &garbage, MAX_RECEIVES).await.is_empty());
    let state = account.0.lock().unwrap();
    assert_eq!(state.messages[0]["MessageAttributes"]["reason"]["StringValue"], "given_up");
    assert_eq!(state.messages[0]["MessageBody"], "garbage");
    assert_eq!(state.events.last().unwrap()["reason"], "given_up:body");
}

#[tokio::test]
async fn a_message_that_cannot_even_be_given_up_is_delivered_again() {
    let account = FakeAccount::refusing(&["InvalidMessageContents", "AccessDenied"]);
    assert_eq!(failures(&account, &["garbage".to_owned()], MAX_RECEIVES).await, ["m0"]);
}

#[test]
fn a_message_is_given_up_after_half_of_the_receives_that_sqs_allows() {
    let queue = template_resource("SendQueue");
    let (_, count) = queue.split_once("maxReceiveCount: ").unwrap();
    let max_receive_count: u32 = count.lines().next().unwrap().parse().unwrap();
    assert_eq!(MAX_RECEIVES * 2, max_receive_count);
}

#[tokio::test(start_paused = true)]
async fn a_table_that_does_not_answer_leaves_time_for_the_response() {
    let providers =
        ["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "prv_01BX5ZZKBKACTAV9WEVGEMMVRZ", "prv_01BX5ZZKBKACTAV9WEVGEMMVS0"];
    let account = FakeAccount::with_providers(&providers);
    let bodies = providers.map(|provider_id| SAMPLE.replace(providers[0], provider_id));
    let started = Instant::now();
    assert_eq!(failures(&account, &bodies, 1).await, ["m0", "m1", "m2"]);
    // Retries of the one write of each account, one account after the other, would take longer than that.
    assert!(started.elapsed() < Duration::from_secs(18), "{:?}", started.elapsed());
}

#[tokio::test(start_paused = true)]
async fn an_accepted_mail_is_acknowledged_even_if_its_record_is_not_answered() {
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    account.0.lock().unwrap().answers_writes = true;
    let log = capture_log();
    assert!(failures(&account, &[SAMPLE.to_owned()], 1).await.is_empty());
    let lines = log.lines();
    let line = lines.iter().find(|line| line["message"] == "SES accepted the mail but the ledger write failed");
    assert_eq!(line.unwrap()["ses_message_id"], "id");
    assert!(lines.iter().any(|line| line["message"] == "batch processed" && line["sent"] == 1), "{lines:?}");
}

/// Name and value in a metric filter's pattern, `{ $.name = value }`.
fn metric_filter(logical_id: &str) -> (String, String) {
    let filter = template_resource(logical_id);
    assert!(filter.contains("LogGroupName: !Ref SendLogGroup"), "{filter}");
    let (_, pattern) = filter.split_once("FilterPattern: ").unwrap();
    let pattern = pattern.lines().next().unwrap().trim_matches(['"', '\'', ' ', '{', '}']);
    let (name, value) = pattern.split_once(" = ").unwrap();
    (name.strip_prefix("$.").unwrap().to_owned(), value.trim_matches(['"', ' ']).to_owned())
}

#[tokio::test]
async fn metric_filters_find_their_fields_in_the_log() {
    let log = capture_log();
    let mut event: Value = serde_json::from_str(include_str!("../../../../events/send-batch.json")).unwrap();
    event["Records"][0]["body"] = json!("garbage");
    // A message without an id is an error, and the other one has been requeued three times.
    event["Records"][0]["messageId"] = json!("");
    process_event(&FakeAccount::default(), event).await;

    let lines = log.lines();
    let (field, value) = metric_filter("SendHops");
    assert_eq!(value, "*");
    assert!(template_resource("SendHops").contains(&format!("MetricValue: $.{field}")));
    let batch = lines.iter().find(|line| line["message"] == "batch processed").unwrap();
    assert_eq!(batch[&field], 3, "{batch}");
    let (field, value) = metric_filter("SendLoggedErrors");
    let errors: Vec<_> = lines.iter().filter(|line| line[&field] == value.as_str()).collect();
    assert_eq!(errors.len(), 1, "{lines:?}");
    assert_eq!(errors[0]["message"], "SQS messages without an id fail the whole batch");
}
