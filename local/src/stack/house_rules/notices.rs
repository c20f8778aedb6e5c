//! The bus for AWS's notices: who may put what there, and that each event is taken by one rule.

use fakecloud_aws::event_pattern;
use serde_json::{Value, json};

use super::{EMBEDDED, load, settings};
use crate::service::events::{BusResource, BusStatementResource, RuleResource};
use crate::service::sqs::QueueResource;
use crate::template::Stack;

const BUS: &str = "stack-notices";

/// The stack with the bus.
fn stack_with_notices() -> Stack {
    let mut settings = settings();
    settings.parameters.insert("TenantNotices".to_owned(), "on".to_owned());
    load(EMBEDDED, &settings).unwrap()
}

/// The envelope in a sample event.
fn sample(json: &str) -> Value {
    let batch: Value = serde_json::from_str(json).unwrap();
    serde_json::from_str(batch["Records"][0]["body"].as_str().unwrap()).unwrap()
}

#[test]
fn there_is_no_bus_for_notices_unless_the_operator_wants_one() {
    let stack = super::stack();
    assert!(stack.all::<BusResource>().all(|bus| bus.name != BUS));
    assert_eq!(stack.all::<BusStatementResource>().count(), 0);
    assert!(stack.all::<RuleResource>().all(|rule| rule.bus != BUS));
}

#[test]
fn any_account_may_put_events_of_aws_s_services_there_and_nothing_else() {
    let stack = stack_with_notices();
    let bus = stack.all::<BusResource>().find(|bus| bus.name == BUS).unwrap();
    let statements: Vec<_> = stack.all::<BusStatementResource>().map(|of| (of.bus.as_str(), &of.statement)).collect();
    let only = json!({
        "Sid": "OnlyEventsOfAwsServices", "Effect": "Allow", "Principal": "*", "Action": "events:PutEvents",
        "Resource": bus.arn,
        "Condition": {
            "ForAllValues:StringLike": {"events:source": "aws.*"}, "Null": {"events:source": "false"},
        },
    });
    assert_eq!(statements, [(BUS, &only)], "and none on the bus that the operator reports breaches on");
}

#[test]
fn each_event_on_the_bus_is_taken_by_one_rule() {
    let stack = stack_with_notices();
    let health = sample(include_str!("../../../../events/revoke-aws-health.json"));
    let guard_duty = sample(include_str!("../../../../events/revoke-guard-duty.json"));
    let quarantine = sample(include_str!("../../../../events/revoke-quarantine-attached.json"));
    let with = |event: &Value, path: &str, value: Value| {
        let mut event = event.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        event
    };
    let without = |event: &Value, path: &str| {
        let mut event = event.clone();
        let (parent, name) = path.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        event
    };
    let policy = "/detail/requestParameters/policyArn";
    let cases = [
        (health.clone(), "HealthNoticeRule"),
        (with(&health, "/detail-type", json!("AWS Health Abuse Event")), "HealthNoticeRule"),
        (with(&health, "/detail/service", json!("ABUSE")), "HealthNoticeRule"),
        (with(&health, "/detail/eventTypeCode", json!("AWS_RISK_IAM_QUARANTINE")), "HealthNoticeRule"),
        (with(&health, "/detail/eventTypeCode", json!("AWS_EC2_OPERATIONAL_ISSUE")), "StrayNoticeRule"),
        (without(&health, "/detail/eventTypeCode"), "StrayNoticeRule"),
        (guard_duty.clone(), "GuardDutyNoticeRule"),
        (with(&guard_duty, "/detail/type", json!("Recon:IAMUser/TorIPCaller")), "GuardDutyNoticeRule"),
        (without(&guard_duty, "/detail/resource/accessKeyDetails/accessKeyId"), "StrayNoticeRule"),
        (without(&guard_duty, "/detail/resource"), "StrayNoticeRule"),
        (with(&guard_duty, "/detail-type", json!("GuardDuty Runtime Protection Healthy")), "StrayNoticeRule"),
        (quarantine.clone(), "QuarantineNoticeRule"),
        (
            with(&quarantine, policy, json!("arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine")),
            "QuarantineNoticeRule",
        ),
        (with(&quarantine, policy, json!("arn:aws:iam::aws:policy/AdministratorAccess")), "StrayNoticeRule"),
        (without(&quarantine, policy), "StrayNoticeRule"),
        (with(&quarantine, "/detail/eventName", json!("AttachRolePolicy")), "StrayNoticeRule"),
        (with(&quarantine, "/detail-type", json!("AWS Console Sign In via CloudTrail")), "StrayNoticeRule"),
        (with(&health, "/source", json!("aws.ec2")), "StrayNoticeRule"),
        (with(&health, "/source", json!("sendingbee.security")), "StrayNoticeRule"),
    ];
    for (event, expected) in cases {
        let rules = stack.all::<RuleResource>().filter(|rule| rule.bus == BUS);
        let taken: Vec<_> = rules.filter(|rule| event_pattern::matches(&rule.pattern, &event)).collect();
        let [rule] = taken.as_slice() else { panic!("{} rules for {event}", taken.len()) };
        assert_eq!(rule.logical_id, expected, "{event}");
        let target = QueueResource::find(&stack, rule.targets[0].arn()).unwrap();
        let queue = if expected == "StrayNoticeRule" { "BreachDeadLetterQueue" } else { "BreachQueue" };
        assert_eq!(target.logical_id, queue);
    }
}
