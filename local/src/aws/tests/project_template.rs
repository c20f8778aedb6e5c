//! The project's own template in the stand-in.

use aws_sdk_dynamodb::types::AttributeValue;

use super::fixtures::*;
use crate::stack;

#[tokio::test]
async fn everything_in_the_project_s_template_comes_up() {
    let world = World::with(stack::EMBEDDED).await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    for queue in ["SendQueueUrl", "SendDeadLetterQueueUrl", "RevocationQueueUrl"] {
        sqs.receive_message().queue_url(world.output(queue)).send().await.unwrap();
    }
    let tables = client!(aws_sdk_dynamodb, world, operator()).list_tables().send().await.unwrap();
    assert_eq!(tables.table_names().len(), 3);
}

#[tokio::test]
async fn send_may_write_of_a_provider_no_more_than_a_suspension_does() {
    let world = World::with(stack::EMBEDDED).await;
    let tables = client!(aws_sdk_dynamodb, world, operator()).list_tables().send().await.unwrap();
    let table = tables.table_names().iter().find(|name| name.contains("ProvidersTable")).unwrap();
    let send = world.session("arn:aws:iam::123456789012:role/mail-us-east-1-send");
    let dynamodb = client!(aws_sdk_dynamodb, world, send);
    let text = |text: &str| AttributeValue::S(text.to_owned());

    let set = |attribute: &str| {
        dynamodb
            .update_item()
            .table_name(table)
            .key("pk", text("provider#prv_1"))
            .key("sk", text("provider"))
            .update_expression("SET #attribute = :value, updated_at = :value")
            .condition_expression("attribute_not_exists(access_key_id)")
            .expression_attribute_names("#attribute", attribute)
            .expression_attribute_values(":value", text("x"))
            .send()
    };
    set("status").await.unwrap();
    set("reason").await.unwrap();
    assert_eq!(code(set("tenant_id").await), "AccessDeniedException");

    let put = |attribute: &str| {
        let item = dynamodb.put_item().table_name(table).item("pk", text("provider#prv_1")).item("sk", text("audit#1"));
        item.item(attribute, text("x")).send()
    };
    put("event").await.unwrap();
    assert_eq!(code(put("access_key_id").await), "AccessDeniedException");
}
