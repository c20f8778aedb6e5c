//! DynamoDB: what the embedded one does as AWS does, and who may.

use aws_sdk_dynamodb::error::SdkError as DynamoError;
use aws_sdk_dynamodb::types::{
    AttributeValue, ConditionCheck, KeysAndAttributes, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};

use super::fixtures::*;

fn s(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

async fn put(client: &aws_sdk_dynamodb::Client, table: &str, pk: &str, sk: &str, group: &str) {
    let put = client.put_item().table_name(table).item("pk", s(pk)).item("sk", s(sk)).item("group", s(group));
    put.send().await.unwrap();
}

#[tokio::test]
async fn a_failed_condition_gives_the_item_back() {
    let world = World::start().await;
    let table = world.output("Items");
    let client = client!(aws_sdk_dynamodb, world, operator());
    put(&client, &table, "a", "1", "g").await;
    let refused = client
        .update_item()
        .table_name(&table)
        .key("pk", s("a"))
        .key("sk", s("1"))
        .update_expression("SET #g = :new")
        .condition_expression("attribute_not_exists(pk)")
        .expression_attribute_names("#g", "group")
        .expression_attribute_values(":new", s("h"))
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
        .send()
        .await
        .unwrap_err()
        .into_service_error();
    let aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(failed) = refused
    else {
        panic!("{refused:?}");
    };
    assert_eq!(failed.item().unwrap()["group"], s("g"));
}

#[tokio::test]
async fn a_cancelled_transaction_says_why_item_by_item() {
    let world = World::start().await;
    let table = world.output("Items");
    let client = client!(aws_sdk_dynamodb, world, operator());
    put(&client, &table, "a", "1", "g").await;
    let write = |pk: &str| {
        let put = Put::builder()
            .table_name(&table)
            .item("pk", s(pk))
            .item("sk", s("1"))
            .condition_expression("attribute_not_exists(pk)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    };
    let error = client.transact_write_items().transact_items(write("b")).transact_items(write("a")).send().await;
    let error = error.unwrap_err().into_service_error();
    let aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException(
        cancelled,
    ) = error
    else {
        panic!("{error:?}");
    };
    let reasons = cancelled.cancellation_reasons();
    assert_eq!(reasons[0].code(), Some("None"));
    assert_eq!(reasons[1].code(), Some("ConditionalCheckFailed"));
    assert_eq!(reasons[1].item().unwrap()["group"], s("g"));
    let missing = client.get_item().table_name(&table).key("pk", s("b")).key("sk", s("1")).send().await.unwrap();
    assert!(missing.item().is_none(), "nothing of a cancelled transaction is written");
}

#[tokio::test]
async fn queries_page_through_tables_and_indexes() {
    let world = World::start().await;
    let table = world.output("Items");
    let client = client!(aws_sdk_dynamodb, world, operator());
    for number in 0..5 {
        put(&client, &table, "a", &number.to_string(), "g").await;
        put(&client, &table, &format!("p{number}"), "1", "h").await;
    }
    for (index, key, value, expected) in [(None, "pk", "a", 5), (Some("group"), "group", "h", 5)] {
        let pages = client
            .query()
            .table_name(&table)
            .set_index_name(index.map(str::to_owned))
            .key_condition_expression("#k = :v")
            .expression_attribute_names("#k", key)
            .expression_attribute_values(":v", s(value))
            .limit(2)
            .into_paginator()
            .items()
            .send()
            .collect::<Result<Vec<_>, DynamoError<_, _>>>()
            .await
            .unwrap();
        assert_eq!(pages.len(), expected, "{index:?}");
    }
    let ttl = client.describe_time_to_live().table_name(&table).send().await.unwrap();
    assert_eq!(ttl.time_to_live_description.unwrap().attribute_name(), Some("expires_at"));
}

#[tokio::test]
async fn a_consistent_batch_reads_what_was_just_written() {
    let world = World::start().await;
    let table = world.output("Items");
    let client = client!(aws_sdk_dynamodb, world, operator());
    put(&client, &table, "a", "1", "g").await;
    let key = |pk: &str| [("pk".to_owned(), s(pk)), ("sk".to_owned(), s("1"))].into();
    let keys = KeysAndAttributes::builder().consistent_read(true).keys(key("a")).keys(key("b")).build().unwrap();
    let read = client.batch_get_item().request_items(&table, keys).send().await.unwrap();
    assert_eq!(read.responses().unwrap()[&table].len(), 1);
    assert!(read.unprocessed_keys().is_none_or(std::collections::HashMap::is_empty));
}

#[tokio::test]
async fn each_item_of_a_transaction_is_authorized_by_its_own_action_and_leading_key() {
    let world = World::start().await;
    let table = world.output("Items");
    let client = client!(aws_sdk_dynamodb, world, world.session(&world.output("Worker")));
    let write = |pk: &str| {
        let put = Put::builder().table_name(&table).item("pk", s(pk)).item("sk", s("1"));
        TransactWriteItem::builder().put(put.build().unwrap()).build()
    };
    let check = |pk: &str| {
        let check = ConditionCheck::builder()
            .table_name(&table)
            .key("pk", s(pk))
            .key("sk", s("1"))
            .condition_expression("attribute_not_exists(pk)");
        TransactWriteItem::builder().condition_check(check.build().unwrap()).build()
    };
    let transact = client.transact_write_items();
    transact.clone().transact_items(write("own#1")).transact_items(check("own#2")).send().await.unwrap();
    let refused = transact.clone().transact_items(write("own#3")).transact_items(check("halt")).send().await;
    let (code, message) = said(refused);
    assert_eq!(code, "AccessDeniedException");
    assert!(message.contains("is not authorized to perform: dynamodb:"), "{message}");
    let delete = aws_sdk_dynamodb::types::Delete::builder().table_name(&table).key("pk", s("own#1")).key("sk", s("1"));
    let delete = TransactWriteItem::builder().delete(delete.build().unwrap()).build();
    let (_, message) = said(transact.transact_items(delete).send().await);
    assert!(
        message.contains("dynamodb:DeleteItem on resource: arn:aws:dynamodb:us-east-1:123456789012:table/"),
        "{message}"
    );

    // BatchGetItem is an action of its own, which the role does not have.
    let key = [("pk".to_owned(), s("own#1")), ("sk".to_owned(), s("1"))].into();
    let keys = KeysAndAttributes::builder().keys(key).build().unwrap();
    let (_, message) = said(client.batch_get_item().request_items(&table, keys).send().await);
    assert!(message.contains("dynamodb:BatchGetItem on resource"), "{message}");
    let read = |pk: &str| client.get_item().table_name(&table).key("pk", s(pk)).key("sk", s("1")).send();
    assert!(read("own#1").await.unwrap().item().is_some());
    assert_eq!(super::fixtures::code(read("halt").await), "AccessDeniedException");
}
