//! Amazon SQS.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_sqs::types::{
    MessageAttributeValue, MessageSystemAttributeName, MessageSystemAttributeNameForSends, MessageSystemAttributeValue,
    QueueAttributeName, SendMessageBatchRequestEntry,
};

use super::fixtures::*;

#[tokio::test]
async fn a_long_poll_ends_when_a_message_comes() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let url = world.output("Work");
    let receive = tokio::spawn(sqs.receive_message().queue_url(&url).wait_time_seconds(20).send());
    tokio::time::sleep(Duration::from_millis(300)).await;
    sqs.send_message().queue_url(&url).message_body("hello").send().await.unwrap();
    // Well before the poll's own end, however slow this machine.
    let received = tokio::time::timeout(Duration::from_secs(15), receive).await.unwrap().unwrap().unwrap();
    assert_eq!(received.messages()[0].body(), Some("hello"));
}

#[tokio::test]
async fn a_message_carries_its_attributes_group_and_trace() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let url = world.output("Work");
    let text = |text: &str| MessageAttributeValue::builder().data_type("String").string_value(text).build().unwrap();
    let trace = MessageSystemAttributeValue::builder()
        .data_type("String")
        .string_value("Root=1-5759e988-bd862e3fe1be46a994272793")
        .build()
        .unwrap();
    sqs.send_message()
        .queue_url(&url)
        .message_body("hello")
        .message_group_id("prv_1")
        .message_attributes("reason", text("because"))
        .message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, trace)
        .send()
        .await
        .unwrap();
    let received = sqs
        .receive_message()
        .queue_url(&url)
        .message_attribute_names("All")
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let message = &received.messages()[0];
    assert_eq!(message.message_attributes().unwrap()["reason"].string_value(), Some("because"));
    let system = message.attributes().unwrap();
    assert_eq!(system[&MessageSystemAttributeName::MessageGroupId], "prv_1");
    assert_eq!(system[&MessageSystemAttributeName::ApproximateReceiveCount], "1");
    assert!(system[&MessageSystemAttributeName::AwsTraceHeader].starts_with("Root="));
}

#[tokio::test]
async fn a_message_keeps_the_trace_header_of_its_request_unless_it_has_one() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let url = world.output("Work");
    let traced = |request: &mut aws_sdk_sqs::config::http::HttpRequest| {
        request.headers_mut().insert("X-Amzn-Trace-Id", "Root=request");
    };
    let entry = |body: &str| SendMessageBatchRequestEntry::builder().id(body).message_body(body);
    let own = MessageSystemAttributeValue::builder().data_type("String").string_value("Root=own").build().unwrap();
    let own = entry("own").message_system_attributes(MessageSystemAttributeNameForSends::AwsTraceHeader, own);

    sqs.send_message().queue_url(&url).message_body("untraced").send().await.unwrap();
    let alone = sqs.send_message().queue_url(&url).message_body("alone");
    alone.customize().mutate_request(traced).send().await.unwrap();
    let batch = sqs.send_message_batch().queue_url(&url);
    let batch = batch.entries(entry("batched").build().unwrap()).entries(own.build().unwrap());
    let answer = batch.customize().mutate_request(traced).send().await.unwrap();
    assert!(answer.failed().is_empty(), "{answer:?}");

    let received = sqs
        .receive_message()
        .queue_url(&url)
        .max_number_of_messages(10)
        .message_system_attribute_names(MessageSystemAttributeName::All)
        .send()
        .await
        .unwrap();
    let traces: BTreeMap<&str, Option<&str>> = received
        .messages()
        .iter()
        .map(|message| {
            let trace = message.attributes().unwrap().get(&MessageSystemAttributeName::AwsTraceHeader);
            (message.body().unwrap(), trace.map(String::as_str))
        })
        .collect();
    let expected = [
        ("untraced", None),
        ("alone", Some("Root=request")),
        ("batched", Some("Root=request")),
        ("own", Some("Root=own")),
    ];
    assert_eq!(traces, BTreeMap::from(expected));
}

#[tokio::test]
async fn a_message_received_too_often_goes_to_the_dead_letters() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let (work, dead) = (world.output("Work"), world.output("DeadLetters"));
    sqs.send_message().queue_url(&work).message_body("poison").send().await.unwrap();
    for attempt in 1..=2 {
        let received = sqs.receive_message().queue_url(&work).wait_time_seconds(5).send().await.unwrap();
        assert_eq!(received.messages().len(), 1, "attempt {attempt}");
    }
    let received = sqs.receive_message().queue_url(&work).wait_time_seconds(2).send().await.unwrap();
    assert!(received.messages().is_empty());
    let received = sqs.receive_message().queue_url(&dead).wait_time_seconds(2).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), Some("poison"));
}

#[tokio::test]
async fn a_delayed_message_stays_hidden_for_its_delay() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let url = world.output("Work");
    sqs.send_message().queue_url(&url).message_body("later").delay_seconds(1).send().await.unwrap();
    let receive = sqs.receive_message().queue_url(&url).wait_time_seconds(20);
    let received = receive.message_system_attribute_names(MessageSystemAttributeName::All).send().await.unwrap();
    assert_eq!(received.messages().len(), 1);
    let time = |name| received.messages()[0].attributes().unwrap()[&name].parse::<i64>().unwrap();
    let hidden = time(MessageSystemAttributeName::ApproximateFirstReceiveTimestamp)
        - time(MessageSystemAttributeName::SentTimestamp);
    assert!(hidden >= 1000, "{hidden} ms");
    let handle = received.messages()[0].receipt_handle().unwrap();
    sqs.delete_message().queue_url(&url).receipt_handle(handle).send().await.unwrap();
    tokio::time::sleep(Duration::from_millis(1200)).await;
    assert!(sqs.receive_message().queue_url(&url).send().await.unwrap().messages().is_empty());
}

#[tokio::test]
async fn another_account_needs_the_grant_of_both_sides() {
    let world = World::start().await;
    let user = |account: &str, actions: &str| {
        let statement = json!({"Effect": "Allow", "Action": actions, "Resource": "*"});
        let policy = json!({"Version": "2012-10-17", "Statement": [statement]});
        world.tenant(json!({"account_id": account, "policies": [policy]}))
    };
    let (work, shared) = (world.output("Work"), world.output("Shared"));
    let send = async |by: &Tenant, url: &str| {
        let sqs = client!(aws_sdk_sqs, world, by.credentials());
        sqs.send_message().queue_url(url).message_body("hello").send().await
    };
    let stranger = user("444455556666", "sqs:*");
    let (code, message) = said(send(&stranger, &work).await);
    assert_eq!(code, "AccessDeniedException");
    let arn = "arn:aws:sqs:us-east-1:123456789012:";
    assert!(message.contains(&format!("sqs:SendMessage on resource: {arn}")), "{message}");
    assert!(message.ends_with("because no resource-based policy allows the sqs:SendMessage action"), "{message}");
    assert_eq!(super::fixtures::code(send(&stranger, &shared).await), "AccessDeniedException");

    // The queue's policy names this account.
    let ungranted = world.tenant(json!({"account_id": "111122223333", "user_name": "reader"}));
    assert_eq!(super::fixtures::code(send(&ungranted, &shared).await), "AccessDeniedException");
    let partner = user("111122223333", "sqs:SendMessage");
    send(&partner, &shared).await.unwrap();
    let sqs = client!(aws_sdk_sqs, world, operator());
    let received = sqs.receive_message().queue_url(&shared).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), Some("hello"));
}

#[tokio::test]
async fn a_queue_has_the_url_and_attributes_of_the_template_and_opens_for_grants_only() {
    let world = World::start().await;
    let url = world.output("Work");
    assert!(url.starts_with(world.stand_in.endpoint()), "{url}");
    let sqs = client!(aws_sdk_sqs, world, operator());
    let attributes =
        sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::All).send().await.unwrap();
    let attributes = attributes.attributes.unwrap();
    assert_eq!(attributes[&QueueAttributeName::VisibilityTimeout], "1");
    assert!(attributes[&QueueAttributeName::RedrivePolicy].contains("DeadLetters"));
    let sqs = client!(aws_sdk_sqs, world, world.session(&world.output("Worker")));
    let refused = sqs.send_message().queue_url(&url).message_body("x").send().await;
    assert!(code(refused).contains("AccessDenied"));
}

#[tokio::test]
async fn a_statement_of_a_queue_s_policy_takes_one_resource() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let set = |resource: Value| {
        let policy = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": resource},
        ]});
        let set = sqs.set_queue_attributes().queue_url(world.output("Work"));
        set.attributes(QueueAttributeName::Policy, policy.to_string()).send()
    };
    let arn = |name: &str| format!("arn:aws:sqs:us-east-1:{OPERATOR}:{name}");
    let (denial, message) = said(set(json!([arn("one"), arn("other")])).await);
    assert_eq!(
        (denial.as_str(), message.as_str()),
        ("InvalidAttributeValue", "Invalid value for the parameter Policy.")
    );
    set(json!([arn("one")])).await.unwrap();
}

#[tokio::test]
async fn a_message_that_was_sent_to_a_dead_letter_queue_has_no_source_to_move_to() {
    let world = World::start().await;
    let sqs = client!(aws_sdk_sqs, world, operator());
    let url = world.output("DeadLetters");
    let attributes = sqs.get_queue_attributes().queue_url(&url).attribute_names(QueueAttributeName::QueueArn);
    let arn = attributes.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
    sqs.send_message().queue_url(&url).message_body("hello").send().await.unwrap();
    sqs.start_message_move_task().source_arn(&arn).send().await.unwrap();
    let tasks = sqs.list_message_move_tasks().source_arn(&arn).send().await.unwrap();
    let task = &tasks.results()[0];
    assert_eq!((task.status(), task.failure_reason()), (Some("FAILED"), Some("CouldNotDetermineMessageSource")));

    let queues = sqs.list_queues().send().await.unwrap();
    let work_url = queues.queue_urls().iter().find(|url| url.contains("-Work-")).unwrap().clone();
    let attributes = sqs.get_queue_attributes().queue_url(&work_url).attribute_names(QueueAttributeName::QueueArn);
    let work_arn = attributes.send().await.unwrap().attributes.unwrap()[&QueueAttributeName::QueueArn].clone();
    sqs.start_message_move_task().source_arn(&arn).destination_arn(work_arn).send().await.unwrap();
    let received = sqs.receive_message().queue_url(&work_url).send().await.unwrap();
    assert_eq!(received.messages()[0].body(), Some("hello"));
}
