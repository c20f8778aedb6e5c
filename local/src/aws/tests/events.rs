//! Amazon EventBridge.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;

use super::fixtures::*;

fn entry(bus: &str, source: &str, kind: &str) -> PutEventsRequestEntry {
    PutEventsRequestEntry::builder().event_bus_name(bus).source(source).detail_type(kind).detail(r#"{"n":1}"#).build()
}

#[tokio::test]
async fn a_matching_rule_delivers_where_the_queue_s_policy_lets_it() {
    let world = World::start().await;
    let bus = world.output("Bus");
    let events = client!(aws_sdk_eventbridge, world, world.session(&world.output("Worker")));
    let put = events.put_events().entries(entry(&bus, "mail", "Told")).send().await.unwrap();
    assert_eq!(put.failed_entry_count(), 0);

    let sqs = client!(aws_sdk_sqs, world, operator());
    let received = sqs.receive_message().queue_url(world.output("Work")).send().await.unwrap();
    let event: Value = serde_json::from_str(received.messages()[0].body().unwrap()).unwrap();
    assert_eq!(event["id"], put.entries()[0].event_id().unwrap());
    assert_eq!(event["account"], OPERATOR);
    assert_eq!(event["detail-type"], "Told");
    assert_eq!(event["detail"], json!({"n": 1}));
    // The other rule matched too, but its queue has no policy that would let it in.
    let refused = sqs.receive_message().queue_url(world.output("Closed")).send().await.unwrap();
    assert!(refused.messages().is_empty());
    let passed = world.stand_in.passed_events();
    assert_eq!(passed.len(), 1);
    assert_eq!(*passed[0], event);
}

#[tokio::test]
async fn putting_events_is_authorized_by_bus_and_source() {
    let world = World::start().await;
    let bus = world.output("Bus");
    let events = client!(aws_sdk_eventbridge, world, world.session(&world.output("Worker")));
    for refused in [entry("default", "mail", "Told"), entry(&bus, "forged", "Told")] {
        let (code, message) = said(events.put_events().entries(refused).send().await);
        assert_eq!(code, "AccessDeniedException");
        assert!(message.contains("events:PutEvents on resource: arn:aws:events:us-east-1:123456789012:"), "{message}");
    }
    let mixed = events.put_events().entries(entry(&bus, "mail", "Told")).entries(entry(&bus, "forged", "Told"));
    assert_eq!(code(mixed.send().await), "AccessDeniedException");
    assert!(world.stand_in.passed_events().is_empty());
}

#[tokio::test]
async fn an_event_shows_only_where_it_passed_one_of_our_buses() {
    let world = World::start().await;
    let everything = json!({"Effect": "Allow", "Action": "events:*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [everything]});
    let stranger = world.tenant(json!({"policies": [policy]}));
    let ours = client!(aws_sdk_eventbridge, world, operator());
    let theirs = client!(aws_sdk_eventbridge, world, stranger.credentials());
    // EventBridge answers an id for an event that goes nowhere, too.
    for (events, bus) in [(&ours, "nowhere"), (&theirs, "default"), (&theirs, &world.output("Bus"))] {
        let put = events.put_events().entries(entry(bus, "mail", "Told")).send().await.unwrap();
        assert_eq!(put.failed_entry_count(), 0);
        assert!(put.entries()[0].event_id().is_some());
    }
    assert!(world.stand_in.passed_events().is_empty());
    ours.put_events().entries(entry("default", "mail", "Told")).send().await.unwrap();
    assert_eq!(world.stand_in.passed_events().len(), 1);
}

#[tokio::test]
async fn nobody_speaks_for_aws() {
    let world = World::start().await;
    let events = client!(aws_sdk_eventbridge, world, operator());
    let put = events.put_events().entries(entry("default", "aws.health", "X")).send().await.unwrap();
    assert_eq!(put.failed_entry_count(), 1);
    assert_eq!(put.entries()[0].error_code(), Some("NotAuthorizedForSourceException"));
}

#[tokio::test]
async fn a_bus_s_policy_lets_another_account_in() {
    let world = World::start().await;
    let ours = client!(aws_sdk_eventbridge, world, operator());
    ours.create_event_bus().name("open").send().await.unwrap();
    assert_eq!(code(ours.create_event_bus().name("open").send().await), "ResourceAlreadyExistsException");
    let rule = ours.put_rule().name("all").event_bus_name("open").event_pattern(r#"{"source":[{"prefix":"m"}]}"#);
    rule.send().await.unwrap();

    let everything = json!({"Effect": "Allow", "Action": "events:*", "Resource": "*"});
    let policy = json!({"Version": "2012-10-17", "Statement": [everything]});
    let partner = world.tenant(json!({"policies": [policy]}));
    let theirs = client!(aws_sdk_eventbridge, world, partner.credentials());
    let arn = format!("arn:aws:events:us-east-1:{OPERATOR}:event-bus/open");
    let put = theirs.put_events().entries(entry(&arn, "mail", "Told"));
    assert_eq!(code(put.clone().send().await), "AccessDeniedException");

    let statement = json!({
        "Effect": "Allow", "Principal": {"AWS": partner.account_id}, "Action": "events:PutEvents", "Resource": arn,
    });
    let policy = json!({"Version": "2012-10-17", "Statement": [statement]}).to_string();
    ours.put_permission().event_bus_name("open").policy(policy).send().await.unwrap();
    assert_eq!(put.send().await.unwrap().failed_entry_count(), 0);
    assert_eq!(world.stand_in.passed_events()[0]["account"], partner.account_id);
    let empty = theirs.put_events().set_entries(Some(Vec::new())).send().await;
    assert_eq!(code(empty), "ValidationException");
}
