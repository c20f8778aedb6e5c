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
use shared::testing::{FakeRequest, FakeResponse, capture_log, fake_aws_behind};
use tokio::time::{Instant, sleep};

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
    /// Whether that is answered too.
    answers_records: bool,
    /// How long each call of a table takes.
    table_latency: Duration,
    /// When the reads of the providers that were answered began, and when SES got a mail.
    reads: Vec<Instant>,
    sends: Vec<Instant>,
    /// Everything is halted from this time on.
    halted_at: Option<Instant>,
    /// How often each operation was called.
    calls: BTreeMap<String, u32>,
    /// The next start of each account, in microseconds.
    tats: BTreeMap<String, i64>,
    /// The row that a mail has, and the writes to rows.
    row: Value,
    writes: Vec<Value>,
    /// Every item of each table, as DynamoDB writes them.
    items: Value,
}

impl AccountState {
    /// The rate item: a reservation is written on its condition, and an estimate changes nothing.
    fn reserve(&mut self, pk: &str, values: &Value) -> FakeResponse {
        let value = |name: &str| values[name]["N"].as_str().and_then(|value| value.parse::<i64>().ok());
        let tat = self.tats.get(pk).copied().unwrap_or(0);
        let next = match (value(":now_and_total"), value(":total"), value(":latest")) {
            (Some(next), ..) if tat < value(":now_us").unwrap() => Some(next),
            (_, Some(total), Some(latest)) if (value(":now_us").unwrap()..=latest).contains(&tat) => Some(tat + total),
            (None, ..) if value(":latest").is_none() => Some(tat),
            _ => None,
        };
        // The account was read long after the time of the test, so it is not read again.
        let pace = |tat: i64| {
            json!({"tat": {"N": tat.to_string()}, "share": {"N": "1000"}, "share_changed": {"N": "0"},
                "read_at": {"N": "4000000000000"}})
        };
        match next {
            Some(next) => {
                self.tats.insert(pk.to_owned(), next);
                (200, json!({"Attributes": pace(next)}).to_string())
            }
            None => {
                let failed = "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException";
                (400, json!({"__type": failed, "Item": pace(tat)}).to_string())
            }
        }
    }
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
        if matches!(request.target.as_str(), "PutItem" | "UpdateItem" | "BatchGetItem" | "GetItem") {
            let key = if request.target == "PutItem" { &body["Item"] } else { &body["Key"] };
            let item = key["pk"]["S"].as_str().and_then(|pk| pk.split('#').next()).unwrap_or_default();
            let call = format!("{} {item}", request.target);
            *self.0.lock().unwrap().calls.entry(call.trim().to_owned()).or_default() += 1;
            let (begun, latency) = (Instant::now(), self.0.lock().unwrap().table_latency);
            sleep(latency).await;
            if request.target == "BatchGetItem" && body["RequestItems"]["providers"].is_object() {
                self.0.lock().unwrap().reads.push(begun);
            }
        }
        if matches!(request.target.as_str(), "PutItem" | "UpdateItem") {
            let is_answered = {
                let state = self.0.lock().unwrap();
                state.answers_writes && (state.answers_records || body["Item"]["state"]["S"] != "sent")
            };
            if !is_answered {
                std::future::pending::<()>().await;
            }
            if request.target == "PutItem" {
                self.0.lock().unwrap().writes.push(body["Item"].clone());
                return (200, json!({}).to_string());
            }
            let pk = body["Key"]["pk"]["S"].as_str().unwrap();
            return match pk.starts_with("rate#") {
                true => self.0.lock().unwrap().reserve(pk, &body["ExpressionAttributeValues"]),
                false => (200, json!({}).to_string()),
            };
        }
        if request.uri.ends_with("/v2/email/outbound-emails") {
            self.0.lock().unwrap().sends.push(Instant::now());
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
                let mut items = state.items.get(table).cloned().unwrap_or(json!([]));
                if state.halted_at.is_some_and(|halted_at| halted_at <= Instant::now()) && table == "providers" {
                    items[0]["halted"]["BOOL"] = json!(true);
                }
                (200, json!({"Responses": {(table.as_str()): items}, "UnprocessedKeys": {}}))
            }
            "GetItem" if state.row.is_null() => (200, json!({})),
            "GetItem" => (200, json!({"Item": state.row})),
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
            "SendMessageBatch" => match state.refusals.pop_front() {
                Some(code) => (400, json!({"__type": format!("com.amazonaws.sqs#{code}")})),
                None => {
                    let entries = body["Entries"].as_array().unwrap();
                    state.messages.extend(entries.iter().cloned());
                    let taken = |entry: &Value| json!({"Id": entry["Id"], "MessageId": "1", "MD5OfMessageBody": "-"});
                    (200, json!({"Successful": entries.iter().map(taken).collect::<Vec<_>>(), "Failed": []}))
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
    process_event(account, event(bodies, receives)).await
}

/// A batch of these bodies, received so often.
fn event(bodies: &[String], receives: u32) -> Value {
    let records = bodies.iter().enumerate().map(|(number, body)| {
        let attributes = json!({"ApproximateReceiveCount": receives.to_string(), "SentTimestamp": "1795428000000"});
        json!({"messageId": format!("m{number}"), "body": body, "attributes": attributes})
    });
    json!({"Records": records.collect::<Vec<_>>()})
}

/// The ids that have to be delivered again of an event.
async fn process_event(account: &FakeAccount, event: Value) -> Vec<String> {
    handle(&sender(account, |_| Duration::ZERO, now), event).await
}

fn sender(account: &FakeAccount, connect: fn(&str) -> Duration, clock: fn() -> Timestamp) -> Sender {
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
        ("ATTACHMENTS_BUCKET", "files"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("BUS_NAME", "bus"),
    ]);
    let account = account.clone();
    let http = fake_aws_behind(connect, move |request| account.clone().serve(request));
    Sender::new(&ColdStart { environment, ambient: Ambient::new(clock, || 7), http }).unwrap()
}

async fn handle(sender: &Sender, event: Value) -> Vec<String> {
    let deadline = Deadline::at(sender.services.ambient.now() + SignedDuration::from_secs(20));
    let invocation = Invocation { request_id: "r".to_owned(), deadline };
    // Boxed, because the compiler cannot lay out so deep a future.
    let response = Box::pin(sender.handle(serde_json::from_value(event).unwrap(), invocation)).await;
    response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect()
}

/// A clock that goes with the paused time of a test.
fn ticking() -> Timestamp {
    thread_local! {
        static STARTED: Instant = Instant::now();
    }
    now() + SignedDuration::try_from(STARTED.with(Instant::elapsed)).unwrap()
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
    assert!(lines.iter().any(|line| line["message"] == "batch processed" && line["sent"] == 1), "{lines:?}");
    assert!(lines.iter().all(|line| line["level"] != "ERROR"), "{lines:?}");

    // A message brings the record to a later invocation, without any address. It is handled as often as it comes.
    let settle = account.0.lock().unwrap().messages[0]["MessageBody"].as_str().unwrap().to_owned();
    assert!(settle.contains("\"ses_message_id\":\"id\"") && !settle.contains('@'), "{settle}");
    account.0.lock().unwrap().answers_records = true;
    let settle = vec![settle];
    for _ in 0..2 {
        assert!(failures(&account, &settle, 1).await.is_empty());
    }
    let state = account.0.lock().unwrap();
    let sent: Vec<_> = state.writes.iter().filter(|row| row["state"]["S"] == "sent").collect();
    assert_eq!(sent.len(), 2);
    assert!(sent.iter().all(|row| row["ses_message_id"]["S"] == "id"), "{sent:?}");
    assert_eq!(state.sends.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn an_acceptance_that_neither_table_nor_queue_takes_is_logged_with_its_ids() {
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    account.0.lock().unwrap().answers_writes = true;
    account.0.lock().unwrap().refusals.push_back("AccessDenied");
    let log = capture_log();
    assert!(failures(&account, &[SAMPLE.to_owned()], 1).await.is_empty());
    let lines = log.lines();
    let line =
        lines.iter().find(|line| line["message"] == "SES accepted the mail but the ledger write failed").unwrap();
    assert_eq!((&line["ses_message_id"], &line["level"]), (&json!("id"), &json!("ERROR")));
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_the_table_does_not_take_is_delivered_again() {
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    account.0.lock().unwrap().answers_writes = true;
    assert!(failures(&account, &[SAMPLE.to_owned()], 1).await.is_empty());
    let settle = account.0.lock().unwrap().messages[0]["MessageBody"].as_str().unwrap().to_owned();
    assert_eq!(failures(&account, &[settle], 1).await, ["m0"]);
}

/// A message that no queue takes, of a mail with a row in this state and with this digest: what is written and told of it
/// when it is given up, and how many dead letters there are.
async fn give_up(row: Value) -> (Vec<Value>, Vec<Value>, usize) {
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    {
        let mut state = account.0.lock().unwrap();
        state.items["providers"][0]["halted"]["BOOL"] = json!(true);
        state.refusals.push_back("InvalidMessageContents");
        state.answers_writes = true;
        state.answers_records = true;
        state.row = row;
    }
    assert!(failures(&account, &[SAMPLE.to_owned()], MAX_RECEIVES).await.is_empty());
    let mut state = account.0.lock().unwrap();
    let (writes, events, messages) = (state.writes.split_off(0), state.events.split_off(0), state.messages.len());
    (writes, events, messages)
}

#[tokio::test(start_paused = true)]
async fn what_is_told_of_a_mail_that_is_given_up_is_true() {
    let digest = shared::mail::digest(&crate::fixtures::sample());
    let row = |state: &str, takeovers: u32| {
        let row = json!({
            "pk": "mail#1", "sk": "mail", "tenant_id": "acme", "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "mail_id": "order-1234-receipt", "state": state,
            "digest": digest, "first_seen": "2026-11-23T10:00:00Z", "updated_at": "2026-11-23T10:00:00Z", "attempts": 1,
            "takeovers": takeovers, "expires_at": 1_900_000_000,
        });
        attribute(&row)["M"].take()
    };
    // Sent, or ended otherwise: nothing more is to be said.
    for state in ["sent", "in_doubt", "expired"] {
        let (writes, events, messages) = give_up(row(state, 0)).await;
        assert_eq!((writes.len(), events.len(), messages), (0, 0, 0), "{state}");
    }
    // SES may have it.
    for (state, takeovers) in [("claimed", 0), ("not_accepted", 1)] {
        let (writes, events, messages) = give_up(row(state, takeovers)).await;
        assert_eq!(writes[0]["state"]["S"], "in_doubt", "{state}");
        assert_eq!((events.len(), messages), (1, 1), "{state}");
    }
    // It was not sent, and the row says so.
    for row in [Value::Null, row("not_accepted", 0)] {
        let (writes, events, messages) = give_up(row).await;
        assert_eq!(
            (&writes[0]["state"]["S"], &writes[0]["reason"]["S"]),
            (&json!("rejected"), &json!("given_up:body"))
        );
        assert_eq!(events[0]["reason"], "given_up:body");
        assert_eq!((events.len(), messages), (1, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_fails_for_what_we_depend_on_starts_again_before_sqs_sets_it_aside() {
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    let log = capture_log();
    let body = SAMPLE.replace("\"first_seen\": \"2026-11-23T10:00:00Z\",", "");
    assert_eq!(failures(&account, std::slice::from_ref(&body), 2).await, ["m0"]);
    assert!(log.lines().iter().all(|line| line["level"] != "ERROR"));
    assert_eq!(failures(&account, std::slice::from_ref(&body), 3).await, ["m0"]);
    let lines = log.lines();
    let errors: Vec<_> = lines.iter().filter(|line| line["level"] == "ERROR").collect();
    assert_eq!(errors.len(), 1, "{errors:?}");
    assert_eq!((&errors[0]["message_id"], &errors[0]["receives"]), (&json!("m0"), &json!(3)));

    assert!(failures(&account, &[body], MAX_RECEIVES).await.is_empty());
    let state = account.0.lock().unwrap();
    let copy = state.messages[0]["MessageBody"].as_str().unwrap();
    // As old as it was.
    assert!(copy.contains("\"first_seen\""), "{copy}");
    assert!(state.events.is_empty());
}

#[tokio::test(start_paused = true)]
async fn no_request_is_written_on_an_old_read_however_long_its_connection_takes() {
    const CONNECT: Duration = Duration::from_secs(2);
    let connect = |uri: &str| if uri.contains("/v2/email/") { CONNECT } else { Duration::ZERO };
    for is_halted in [false, true] {
        let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
        {
            let mut state = account.0.lock().unwrap();
            state.answers_writes = true;
            state.answers_records = true;
            state.halted_at = is_halted.then(|| Instant::now() + CONNECT / 2);
        }
        let event = event(&[SAMPLE.to_owned()], 1);
        assert!(handle(&sender(&account, connect, ticking), event).await.is_empty());
        let state = account.0.lock().unwrap();
        if is_halted {
            assert!(state.sends.is_empty(), "{:?}", state.sends);
            // The claim is released and the mail waits.
            assert_eq!(state.writes.last().unwrap()["state"]["S"], "not_accepted");
            assert_eq!(state.messages.len(), 1);
        } else {
            let age = state.sends[0].duration_since(*state.reads.last().unwrap());
            assert!(age <= Duration::from_millis(500), "{age:?}");
            assert_eq!(state.writes.last().unwrap()["state"]["S"], "sent");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_batch_makes_no_request_that_it_does_not_need() {
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    {
        let mut state = account.0.lock().unwrap();
        state.answers_writes = true;
        state.answers_records = true;
        state.table_latency = Duration::from_millis(5);
    }
    // With one recipient each, their starts spread over 0.65 s.
    let one_recipient = crate::fixtures::changed(&json!({"cc": null, "bcc": null, "to": ["a@example.org"]}));
    let mails: Vec<String> =
        (0..10).map(|number| one_recipient.replace("order-1234-receipt", &format!("order-{number}"))).collect();
    assert!(handle(&sender(&account, |_| Duration::ZERO, ticking), event(&mails, 1)).await.is_empty());
    let state = account.0.lock().unwrap();
    assert_eq!(state.sends.len(), 10);
    // One reservation for all; a claim and a record each; halt, providers and secrets at the beginning and half a second
    // later. Neither the breaker nor the write permits ask for anything.
    let calls: Vec<_> = state.calls.iter().map(|(call, count)| (call.as_str(), *count)).collect();
    assert_eq!(calls, [("BatchGetItem", 4), ("PutItem mail", 20), ("UpdateItem rate", 1)]);
}

#[tokio::test(start_paused = true)]
async fn slow_tables_slow_the_mail_down_and_do_not_stop_it() {
    for latency_ms in [5, 100, 300, 450, 600, 900] {
        let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
        {
            let mut state = account.0.lock().unwrap();
            state.answers_writes = true;
            state.answers_records = true;
            state.table_latency = Duration::from_millis(latency_ms);
        }
        let sender = sender(&account, |_| Duration::ZERO, ticking);
        let mut bodies: Vec<String> =
            (0..5).map(|number| SAMPLE.replace("order-1234-receipt", &format!("order-{number}"))).collect();
        let mut invocations = 0;
        let started = Instant::now();
        let log = capture_log();
        while !bodies.is_empty() {
            invocations += 1;
            assert!(invocations <= 12, "{latency_ms} ms: {} mails are left", bodies.len());
            let failed = handle(&sender, event(&bodies, 1)).await;
            assert!(failed.is_empty(), "{latency_ms} ms: {:?}", log.lines());
            let requeued = account.0.lock().unwrap().messages.split_off(0);
            bodies = requeued.iter().map(|message| message["MessageBody"].as_str().unwrap().to_owned()).collect();
        }
        let state = account.0.lock().unwrap();
        println!("{latency_ms} ms a call: 5 mails in {:?}, {invocations} invocations", started.elapsed());
        assert_eq!(state.sends.len(), 5, "{latency_ms} ms");
        let max_age = if latency_ms <= 400 { Duration::from_millis(500) } else { Duration::from_secs(1) };
        for send in &state.sends {
            let age =
                send.duration_since(*state.reads.iter().rfind(|read| **read + state.table_latency <= *send).unwrap());
            assert!(age <= max_age, "{latency_ms} ms: {age:?}");
        }
    }
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

#[tokio::test(start_paused = true)]
async fn the_secrets_of_a_known_provider_are_read_together_with_it() {
    const LATENCY: Duration = Duration::from_millis(100);
    let account = FakeAccount::with_providers(&["prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    {
        let mut state = account.0.lock().unwrap();
        (state.answers_writes, state.answers_records, state.table_latency) = (true, true, LATENCY);
    }
    let sender = sender(&account, |_| Duration::ZERO, ticking);
    let mut took = Vec::new();
    for _ in 0..2 {
        let begun = Instant::now();
        assert!(handle(&sender, event(&[SAMPLE.to_owned()], 1)).await.is_empty());
        took.push(*account.0.lock().unwrap().sends.last().unwrap() - begun);
    }
    assert_eq!(account.0.lock().unwrap().calls["BatchGetItem"], 4);
    assert!(took[1] + LATENCY <= took[0] + LATENCY / 10, "{took:?}");
}
