//! Faults of our own account.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, Put, TransactWriteItem};
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::Blob;

use super::fixtures::*;

/// Somebody in our own account who may do everything; the account's root is struck by no fault.
fn colleague(world: &World) -> Tenant {
    let everything = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
    world.tenant(json!({
        "account_id": OPERATOR,
        "policies": [{"Version": "2012-10-17", "Statement": [everything]}],
    }))
}

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

fn key(pk: &str) -> HashMap<String, AttributeValue> {
    HashMap::from([("pk".to_owned(), s(pk)), ("sk".to_owned(), s("1"))])
}

#[tokio::test]
async fn a_write_to_a_named_table_fails_as_often_as_asked_and_writes_nothing() {
    let world = World::start().await;
    let table = world.output("Items");
    let dynamodb = client!(aws_sdk_dynamodb, world, colleague(&world).credentials());
    let put = || dynamodb.put_item().table_name(&table).set_item(Some(key("a"))).send();
    let get = || dynamodb.get_item().table_name(&table).set_key(Some(key("a"))).send();

    world.own_faults(json!([{"on": ["dynamodb:PutItem"], "resource": "another", "server_error": 1}])).await;
    put().await.unwrap();
    dynamodb.delete_item().table_name(&table).set_key(Some(key("a"))).send().await.unwrap();

    let rule = json!({"on": ["dynamodb:PutItem"], "resource": table, "server_error": 2});
    world.own_faults(json!([rule])).await;
    for _ in 0..2 {
        let error = put().await.unwrap_err();
        assert_eq!(error.raw_response().unwrap().status().as_u16(), 500);
        assert_eq!(code::<(), _>(Err(error)), "InternalServerError");
        assert!(get().await.unwrap().item().is_none());
    }
    put().await.unwrap();
    assert!(get().await.unwrap().item().is_some());
}

#[tokio::test]
async fn a_transaction_is_about_each_of_its_tables() {
    let world = World::start().await;
    let table = world.output("Items");
    let dynamodb = client!(aws_sdk_dynamodb, world, colleague(&world).credentials());
    let put = Put::builder().table_name(&table).set_item(Some(key("a"))).build().unwrap();
    let transact = dynamodb.transact_write_items().transact_items(TransactWriteItem::builder().put(put).build());
    let prefix = format!("{}*", &table[..table.len() - 3]);
    world.own_faults(json!([{"on": ["dynamodb:*"], "resource": prefix, "throttle": 1, "reset_after": 1}])).await;
    assert_eq!(code(transact.clone().send().await), "ThrottlingException");
    let error = transact.clone().send().await.unwrap_err();
    assert!(matches!(error, SdkError::DispatchFailure(_)), "{error:?}");
    let read = dynamodb.get_item().table_name(&table).set_key(Some(key("a"))).send().await.unwrap();
    assert!(read.item().is_some(), "the answer was lost, not the write");
}

#[tokio::test]
async fn a_batch_read_leaves_its_keys_unprocessed() {
    let world = World::start().await;
    let table = world.output("Items");
    let dynamodb = client!(aws_sdk_dynamodb, world, colleague(&world).credentials());
    dynamodb.put_item().table_name(&table).set_item(Some(key("a"))).send().await.unwrap();
    let keys = KeysAndAttributes::builder().keys(key("a")).consistent_read(true).build().unwrap();
    let read = dynamodb.batch_get_item().request_items(&table, keys);
    world.own_faults(json!([{"on": ["dynamodb:BatchGetItem"], "resource": table, "unprocessed": 1}])).await;
    let first = read.clone().send().await.unwrap();
    assert!(first.responses().is_none_or(HashMap::is_empty));
    assert_eq!(first.unprocessed_keys().unwrap()[&table].keys(), [key("a")]);
    let second = read.send().await.unwrap();
    assert_eq!(second.responses().unwrap()[&table].len(), 1);
}

#[tokio::test]
async fn a_table_is_slow_for_the_operations_that_the_rule_names() {
    let world = World::start().await;
    let table = world.output("Items");
    let dynamodb = client!(aws_sdk_dynamodb, world, colleague(&world).credentials());
    world
        .own_faults(json!([
            {"on": ["dynamodb:GetItem"], "resource": table, "latency_ms": 300, "hang_ms": 200},
            {"on": ["dynamodb:PutItem"], "latency_ms": 60_000},
        ]))
        .await;
    let start = Instant::now();
    dynamodb.get_item().table_name(&table).set_key(Some(key("a"))).send().await.unwrap();
    assert!(start.elapsed() >= Duration::from_millis(500), "{:?}", start.elapsed());
    let put = dynamodb.put_item().table_name(&table).set_item(Some(key("a"))).send();
    assert!(tokio::time::timeout(Duration::from_secs(1), put).await.is_err(), "it waits for a minute");
    // The root drives the stack from outside and waits for nothing.
    let root = client!(aws_sdk_dynamodb, world, operator());
    let put = root.put_item().table_name(&table).set_item(Some(key("a"))).send();
    tokio::time::timeout(Duration::from_secs(30), put).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_message_to_a_named_queue_is_refused_and_is_not_in_it() {
    let world = World::start().await;
    let (work, closed) = (world.output("Work"), world.output("Closed"));
    let sqs = client!(aws_sdk_sqs, world, colleague(&world).credentials());
    let name = work.rsplit('/').next().unwrap();
    world.own_faults(json!([{"on": ["sqs:SendMessage"], "resource": name, "refuse": 1, "server_error": null}])).await;
    sqs.send_message().queue_url(&closed).message_body("x").send().await.unwrap();
    let (code, message) = said(sqs.send_message().queue_url(&work).message_body("x").send().await);
    assert_eq!(code, "AccessDeniedException");
    let denied = format!("sqs:SendMessage on resource: arn:aws:sqs:us-east-1:{OPERATOR}:{name} because no");
    assert!(message.contains(&denied), "{message}");
    assert!(sqs.receive_message().queue_url(&work).send().await.unwrap().messages().is_empty());
    sqs.send_message().queue_url(&work).message_body("x").send().await.unwrap();
    assert_eq!(sqs.receive_message().queue_url(&work).send().await.unwrap().messages().len(), 1);
}

#[tokio::test]
async fn kms_is_throttled_broken_or_refuses() {
    let world = World::start().await;
    let id = world.output("Key");
    // A session, as our functions have one.
    let kms = client!(aws_sdk_kms, world, world.session(&world.output("Worker")));
    let encrypt = || kms.encrypt().key_id(&id).plaintext(Blob::new("x")).encryption_context("lane", "send").send();
    world
        .own_faults(json!([
            {"on": ["kms:Encrypt"], "resource": id, "refuse": 1, "throttle": 1, "server_error": 1},
        ]))
        .await;
    for expected in ["KMSInternalException", "ThrottlingException", "AccessDeniedException"] {
        assert_eq!(code(encrypt().await), expected);
    }
    encrypt().await.unwrap();
}

#[tokio::test]
async fn an_event_fails_alone_or_with_its_request() {
    let world = World::start().await;
    let bus = world.output("Bus");
    let events = client!(aws_sdk_eventbridge, world, world.session(&world.output("Worker")));
    let entry = PutEventsRequestEntry::builder().event_bus_name(&bus).source("mail").detail_type("Told").detail("{}");
    let put = events.put_events().entries(entry.build());
    let rules = json!([{"on": ["events:PutEvents"], "resource": bus, "unprocessed": 1, "server_error": 1}]);
    world.own_faults(rules).await;
    assert_eq!(code(put.clone().send().await), "InternalException");
    let answer = put.clone().send().await.unwrap();
    assert_eq!(answer.failed_entry_count(), 1);
    assert_eq!(answer.entries()[0].error_code(), Some("InternalFailure"));
    assert!(world.stand_in.passed_events().is_empty());
    assert_eq!(put.send().await.unwrap().failed_entry_count(), 0);
    assert_eq!(world.stand_in.passed_events().len(), 1);
}

#[tokio::test]
async fn faults_of_our_account_strike_no_tenant_and_end_when_they_are_replaced() {
    let world = World::start().await;
    let tenant = world.classic();
    world.own_faults(json!([{"on": ["*"], "server_error": 1.0}])).await;
    let ses = client!(aws_sdk_sesv2, world, tenant.credentials());
    send(&ses, "a@example.com", &["x@example.org"]).await.unwrap();
    let sts = client!(aws_sdk_sts, world, colleague(&world).credentials());
    assert_eq!(code(sts.get_caller_identity().send().await), "InternalFailure");
    world.own_faults(json!([])).await;
    sts.get_caller_identity().send().await.unwrap();
}
