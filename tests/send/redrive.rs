//! What comes back from the dead-letter queue: `aws sqs start-message-move-task`, as README.md says.

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use shared::id::{MailId, TenantId};
use shared::record::{MailState, mail_pk};

use crate::support::{Stack, eventually, mail, mail_with, tenant_of};

async fn arn(stack: &Stack, queue_url: &str) -> String {
    let answer = stack.sqs.get_queue_attributes().queue_url(queue_url).attribute_names(QueueAttributeName::QueueArn);
    answer.send().await.unwrap().attributes().unwrap()[&QueueAttributeName::QueueArn].clone()
}

#[tokio::test]
async fn what_was_given_up_is_sent_once_it_is_moved_back_and_bad_input_stays_rejected() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    // Bad input: set aside by `send`.
    let invalid = mail_with(&provider_id, "invalid", &json!({ "text": null }));
    stack.enqueue_mail(&invalid).await.unwrap();
    stack.mail_in_state(&provider_id, "invalid", &["rejected"]).await;
    // Given up: as `send` leaves it, of a mail of which it knows the content.
    let given_up = mail(&provider_id, "given-up");
    stack.enqueue_mail(&given_up).await.unwrap();
    stack.mail_in_state(&provider_id, "given-up", &["sent"]).await;
    let (dynamodb, table) = stack.table("MailsTable").await;
    let pk = mail_pk(&TenantId::parse(&tenant_of(&provider_id)).unwrap(), &MailId::parse("given-up").unwrap());
    dynamodb
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(pk))
        .key("sk", AttributeValue::S("mail".to_owned()))
        .update_expression("SET #state = :rejected, #reason = :reason REMOVE ses_message_id")
        .expression_attribute_names("#state", "state")
        .expression_attribute_names("#reason", "reason")
        .expression_attribute_values(":rejected", AttributeValue::S("rejected".to_owned()))
        .expression_attribute_values(":reason", AttributeValue::S("given_up:body".to_owned()))
        .send()
        .await
        .unwrap();
    let dead_letters = &stack.outputs.send_dead_letter_queue_url;
    stack.sqs.send_message().queue_url(dead_letters).message_body(given_up.to_string()).send().await.unwrap();

    let moved = stack
        .sqs
        .start_message_move_task()
        .source_arn(arn(&stack, dead_letters).await)
        .destination_arn(arn(&stack, &stack.outputs.send_queue_url).await);
    moved.send().await.unwrap();

    let row = eventually("the mail that was given up", || async {
        stack.ledger_row(&provider_id, "given-up").await.filter(|row| row.state == MailState::Sent)
    })
    .await;
    assert!(row.attempts >= 2 && row.takeovers == 0, "{row:?}");
    assert_eq!(stack.accepted_copies(&tenant, "given-up").await, 2, "one before it was called given up, for this test");
    // It is rejected once more, and goes back to where it came from.
    eventually("the second event about the invalid mail", || async {
        let events = stack.events("Mail Rejected").await.unwrap();
        (events.iter().filter(|event| event["detail"]["mail_id"] == "invalid").count() == 2).then_some(())
    })
    .await;
    assert_eq!(stack.mail_in_state(&provider_id, "invalid", &["rejected"]).await["reason"], "invalid:text");
    stack.enqueue_mail(&mail(&provider_id, "invalid")).await.unwrap();
    stack.mail_in_state(&provider_id, "invalid", &["sent"]).await;
}
