//! Transactions do what the embedded service's own do.

use proptest::prelude::*;
use proptest::sample::select;

use super::table::{AttributeType, TableIndex, TableKey};
use super::*;
use crate::service::caller::Caller;

const TABLES: [&str; 2] = ["one", "two"];
const ACCOUNT: &str = "123456789012";
const REGION: &str = "us-east-1";

async fn tables() -> Arc<DynamoDb> {
    let setup = Setup {
        account_id: ACCOUNT.to_owned(),
        region: REGION.to_owned(),
        endpoint: "http://aws".to_owned(),
        faults: Default::default(),
    };
    let services = ServiceList::default();
    let service: Arc<dyn std::any::Any + Send + Sync> = DynamoDb::start(&setup, &services).unwrap();
    let service: Arc<DynamoDb> = service.downcast().unwrap();
    for name in TABLES {
        let attributes = ["pk", "sk", "group"].map(|name| (name.to_owned(), AttributeType::S)).into();
        let key = |hash: &str, range: Option<&str>| TableKey { hash: hash.to_owned(), range: range.map(str::to_owned) };
        let index =
            TableIndex { name: "group".to_owned(), key: key("group", None), projection: table::Projection::All };
        let table = TableResource {
            logical_id: name.to_owned(),
            name: name.to_owned(),
            attributes,
            key: key("pk", Some("sk")),
            indexes: vec![index],
            ttl_attribute: None,
            point_in_time_recovery: name == "one",
            deletion_protection: false,
        };
        service.create_table(&table).await.unwrap();
    }
    service
}

/// Asks as the gate does, or the embedded service itself.
async fn ask(service: &DynamoDb, operation: &str, body: &Value, directly: bool) -> (StatusCode, Value) {
    let call = Call::internal("dynamodb", operation, body.clone());
    let caller = Caller::root("test", ACCOUNT);
    let request = ServiceRequest { call: &call, caller: &caller, account_id: ACCOUNT, region: REGION };
    let response =
        if directly { service.embedded.handle(&request).await } else { service.handle(&request).await.unwrap() };
    (response.status, serde_json::from_slice(&response.body).unwrap())
}

async fn transact(service: &DynamoDb, operations: &[Value], token: Option<&str>) -> (StatusCode, Value) {
    ask(service, "TransactWriteItems", &transaction(operations, token), false).await
}

fn transaction(operations: &[Value], token: Option<&str>) -> Value {
    let mut body = json!({ "TransactItems": operations });
    if let Some(token) = token {
        body["ClientRequestToken"] = token.into();
    }
    body
}

/// The tables as they are: how many items and bytes each says it has, and the items in order of their keys.
fn contents(service: &DynamoDb) -> Vec<(i64, i64, Vec<Value>)> {
    let state = service.state.read();
    let tables = &state.regional(ACCOUNT, REGION).unwrap().tables;
    let contents = |name: &&str| {
        let table = &tables[*name];
        let mut items: Vec<Value> = table.items().iter().map(|item| json!(item)).collect();
        items.sort_by_key(Value::to_string);
        (table.item_count, table.size_bytes, items)
    };
    TABLES.iter().map(contents).collect()
}

fn key(pk: &str) -> Value {
    json!({ "pk": { "S": pk }, "sk": { "S": "1" } })
}

fn put(table: &str, pk: &str) -> Value {
    json!({ "Put": { "TableName": table, "Item": key(pk) } })
}

fn add(table: &str, pk: &str) -> Value {
    json!({ "Update": {
        "TableName": table, "Key": key(pk),
        "UpdateExpression": "ADD n :one", "ExpressionAttributeValues": { ":one": { "N": "1" } },
    } })
}

/// Any operation on a few items, with conditions that hold or do not, updates that cannot be applied, and keys that do not fit.
fn operation() -> impl Strategy<Value = Value> {
    let kind = select(vec!["Put", "Update", "Delete", "ConditionCheck"]);
    let pk = select(vec![json!({"S": "a"}), json!({"S": "b"}), json!({"S": "c"}), json!({"N": "1"}), json!({"S": ""})]);
    let pk = prop_oneof![20 => select(vec![json!({"S": "a"}), json!({"S": "b"}), json!({"S": "c"})]), 1 => pk];
    let condition =
        select(vec![None, None, Some("attribute_exists(pk)"), Some("attribute_not_exists(pk)"), Some("n = :one")]);
    let update =
        select(vec!["ADD n :one", "SET n = :one", "SET n = n + :one", "REMOVE n", "SET g = :one", "SET pk = :one"]);
    let group = select(vec![None, None, None, Some(json!({"S": "g"})), Some(json!({"N": "2"}))]);
    (kind, select(TABLES.to_vec()), pk, condition, update, group, any::<bool>()).prop_map(
        |(kind, table, pk, condition, update, group, returns_old)| {
            let mut item = json!({ "pk": pk, "sk": { "S": "1" } });
            let mut operation = json!({
                "TableName": table,
                "ExpressionAttributeValues": { ":one": { "N": "1" } },
                "ReturnValuesOnConditionCheckFailure": if returns_old { "ALL_OLD" } else { "NONE" },
            });
            if kind == "Put" {
                item["n"] = json!({ "N": "1.0" });
                if let Some(group) = group {
                    item["group"] = group;
                }
                operation["Item"] = item;
            } else {
                operation["Key"] = item;
            }
            if kind == "Update" {
                operation["UpdateExpression"] = update.into();
            }
            if let Some(condition) = condition.or((kind == "ConditionCheck").then_some("attribute_exists(pk)")) {
                operation["ConditionExpression"] = condition.into();
            }
            json!({ kind: operation })
        },
    )
}

fn transactions() -> impl Strategy<Value = Vec<(Vec<Value>, Option<&'static str>)>> {
    let token = prop_oneof![3 => Just(None), 1 => select(vec![Some("first"), Some("second")])];
    proptest::collection::vec((proptest::collection::vec(operation(), 1..4), token), 1..12)
}

proptest! {
    #[test]
    fn transactions_answer_and_leave_what_those_of_the_embedded_service_do(transactions in transactions()) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let (ours, theirs) = (tables().await, tables().await);
            for (operations, token) in transactions {
                let body = transaction(&operations, token);
                // The same twice with a token is a repetition.
                for _ in 0..2 {
                    let answered = ask(&ours, "TransactWriteItems", &body, false).await;
                    prop_assert_eq!(answered, ask(&theirs, "TransactWriteItems", &body, true).await);
                    prop_assert_eq!(contents(&ours), contents(&theirs));
                }
            }
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_refused_transaction_changes_nothing() {
    let service = tables().await;
    assert_eq!(
        transact(&service, &[put("one", "there"), add("two", "there")], None).await,
        (StatusCode::OK, json!({}))
    );
    let before = contents(&service);
    let unless_there = json!({ "Put": {
        "TableName": "one", "Item": key("there"), "ConditionExpression": "attribute_not_exists(pk)",
        "ReturnValuesOnConditionCheckFailure": "ALL_OLD",
    } });
    let impossible = json!({ "Update": {
        "TableName": "one", "Key": key("there"),
        "UpdateExpression": "SET n = n + :one", "ExpressionAttributeValues": { ":one": { "N": "1" } },
    } });
    let hundred_and_one: Vec<Value> = (0..101).map(|n| put("one", &n.to_string())).collect();
    let cancelled = "TransactionCanceledException";
    for (operations, code, reasons) in [
        (vec![put("one", "new"), unless_there.clone()], cancelled, vec!["None", "ConditionalCheckFailed"]),
        (vec![put("one", "new"), add("two", "there"), impossible], cancelled, vec!["None", "None", "ValidationError"]),
        (vec![put("one", "new"), add("one", "new")], "ValidationException", vec![]),
        (vec![put("one", "new"), put("three", "new")], "ResourceNotFoundException", vec![]),
        (hundred_and_one, "ValidationException", vec![]),
        (vec![], "ValidationException", vec![]),
    ] {
        let (status, answer) = transact(&service, &operations, None).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{answer}");
        assert!(answer["__type"].as_str().unwrap().ends_with(code), "{answer}");
        let given: Vec<&str> = answer["CancellationReasons"]
            .as_array()
            .into_iter()
            .flatten()
            .map(|reason| reason["Code"].as_str().unwrap())
            .collect();
        assert_eq!(given, reasons, "{answer}");
        assert_eq!(contents(&service), before, "{answer}");
    }
    let (_, answer) = transact(&service, &[unless_there], None).await;
    assert_eq!(answer["CancellationReasons"][0]["Item"], key("there"));
}

#[tokio::test]
async fn a_repeated_token_writes_once_and_one_for_another_transaction_is_refused() {
    let service = tables().await;
    for _ in 0..2 {
        assert_eq!(transact(&service, &[add("one", "a")], Some("token")).await.0, StatusCode::OK);
    }
    let (_, answer) = transact(&service, &[add("one", "b")], Some("token")).await;
    assert!(answer["__type"].as_str().unwrap().ends_with("IdempotentParameterMismatchException"), "{answer}");
    let items: Vec<Value> = contents(&service).into_iter().flat_map(|(.., items)| items).collect();
    assert_eq!(items, [json!({ "pk": { "S": "a" }, "sk": { "S": "1" }, "n": { "N": "1" } })]);
}

#[tokio::test]
async fn a_table_can_be_named_by_its_arn() {
    let service = tables().await;
    let arn = format!("arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/one");
    assert_eq!(transact(&service, &[add(&arn, "a"), add("two", "a")], None).await.0, StatusCode::OK);
    assert!(contents(&service).iter().all(|(count, ..)| *count == 1));
}

#[tokio::test]
async fn a_transaction_sees_the_items_that_it_names_and_no_others() {
    let service = tables().await;
    for n in 0..20 {
        transact(&service, &[put("one", &n.to_string()), put("two", &n.to_string())], None).await;
    }
    let call = Call::internal("dynamodb", "TransactWriteItems", transaction(&[add("one", "3"), put("two", "x")], None));
    let caller = Caller::root("test", ACCOUNT);
    let request = ServiceRequest { call: &call, caller: &caller, account_id: ACCOUNT, region: REGION };
    assert_eq!(service.transactions.seen(&request), Some(vec![("one".to_owned(), 1), ("two".to_owned(), 0)]));
}

#[tokio::test(flavor = "multi_thread")]
async fn no_other_request_comes_between_a_transactions_reading_and_writing() {
    let service = tables().await;
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..200 {
        let alone = service.clone();
        tasks.spawn(async move { ask(&alone, "UpdateItem", &add("one", "a")["Update"], false).await.0 });
        let service = service.clone();
        tasks.spawn(async move { transact(&service, &[add("one", "a"), add("two", "a")], None).await.0 });
    }
    assert!(tasks.join_all().await.into_iter().all(|status| status == StatusCode::OK));
    let counted: Vec<Value> = contents(&service).into_iter().map(|(.., items)| items[0]["n"].clone()).collect();
    assert_eq!(counted, [json!({ "N": "400" }), json!({ "N": "200" })]);
}
