//! Rules of this project that its own template keeps, and the reviewed list of what each role may do.

mod alarms;
mod notices;
mod routes;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{EMBEDDED, load};
use crate::serverless::{Authorizer, FunctionResource, HttpApiResource};
use crate::service::iam::RoleResource;
use crate::service::kms::KmsKeyResource;
use crate::service::s3::BucketResource;
use crate::service::sqs::QueueResource;
use crate::template::{Settings, Stack};

/// Written by hand after a look at what the function does. A change of a role is a change of this file.
const REVIEWED: &str = include_str!("roles.txt");

/// Where alarms of [`stack`] go.
const ALARM_TOPIC: &str = "arn:aws:sns:us-east-1:123456789012:alarms";

fn settings() -> Settings {
    Settings {
        stack_name: "stack".to_owned(),
        account_id: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        aws_endpoint: "http://aws".to_owned(),
        api_endpoint: "http://api".to_owned(),
        parameters: BTreeMap::from([("AlarmTopicArn".to_owned(), ALARM_TOPIC.to_owned())]),
    }
}

fn stack() -> Stack {
    load(EMBEDDED, &settings()).unwrap()
}

/// Queues that other queues dead-letter messages to.
fn dead_letter_queues(stack: &Stack) -> impl Iterator<Item = &QueueResource> {
    stack.all::<QueueResource>().filter_map(|queue| dead_letter_of(stack, queue))
}

fn dead_letter_of<'a>(stack: &'a Stack, queue: &QueueResource) -> Option<&'a QueueResource> {
    QueueResource::find(stack, &queue.redrive.as_ref()?.dead_letter_arn)
}

#[test]
fn every_role_may_do_exactly_what_was_reviewed() {
    let stack = stack();
    let mut actual = String::new();
    for role in stack.all::<RoleResource>() {
        assert!(role.managed_policy_arns.is_empty(), "{}: policies are written out", role.name);
        writeln!(actual, "{}", role.name.strip_prefix("stack-us-east-1-").unwrap()).unwrap();
        for statement in statements(role) {
            assert_eq!(statement["Effect"], "Allow", "{statement}");
            for action in list(&statement["Action"]) {
                let action = action.as_str().unwrap();
                assert!(!action.contains('*'), "{}: {action} is no single action", role.name);
                for resource in list(&statement["Resource"]) {
                    let resource = resource.as_str().unwrap();
                    assert_ne!(resource, "*", "{}: {action} on everything", role.name);
                    let condition = statement.get("Condition").map(|condition| format!("  if {condition}"));
                    let key = stack.all::<KmsKeyResource>().find(|key| key.arn == resource);
                    let name = key
                        .map(|key| key.logical_id.clone())
                        .or_else(|| mapping_of(&stack, resource))
                        .or_else(|| bucket_of(&stack, resource))
                        .unwrap_or_else(|| logical(resource));
                    writeln!(actual, "  {action:<24} {name}{}", condition.unwrap_or_default()).unwrap();
                }
            }
        }
    }
    assert_eq!(actual, REVIEWED, "\n{actual}");
}

/// A value of a condition as the template writes it: alone, or in a list.
fn one_or_all<'a>(values: impl Iterator<Item = &'a String>) -> Value {
    let mut values: Vec<Value> = values.map(|value| json!(value)).collect();
    if values.len() == 1 { values.remove(0) } else { Value::Array(values) }
}

#[test]
fn a_lane_is_opened_by_exactly_the_roles_that_its_key_policy_names() {
    let stack = stack();
    for key in stack.all::<KmsKeyResource>() {
        let opens = |statement: &&Value| {
            list(&statement["Action"]).contains(&&json!("kms:Decrypt"))
                && list(&statement["Resource"]).contains(&&json!(key.arn))
        };
        let roles = stack.all::<RoleResource>().filter(|role| statements(role).any(|statement| opens(&statement)));
        let roles: Vec<&RoleResource> = roles.collect();
        let names: Vec<_> = roles.iter().map(|role| role.name.strip_prefix("stack-us-east-1-").unwrap()).collect();
        let expected: &[&str] = match key.logical_id.as_str() {
            "SendLaneKey" => &["verify-worker", "send"],
            "RevokeLaneKey" => &["revoke-worker"],
            "WebhookKey" => &["revoke"],
            other => panic!("{other} is a new key: say here who opens it"),
        };
        assert_eq!(names, expected, "{}", key.logical_id);
        // Exactly these ARNs: a pattern would let roles in that somebody names alike.
        let denies = json!({
            "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"ArnNotEquals": {"aws:PrincipalArn": one_or_all(roles.iter().map(|role| &role.arn))}},
        });
        assert!(has(&key.policy, &denies), "{}", key.logical_id);
        // The roles' credentials do not open it outside of their functions.
        let function_of = |role: &RoleResource| {
            stack.all::<FunctionResource>().find(|function| function.role_arn == role.arn).unwrap().arn.clone()
        };
        let functions: Vec<String> = roles.iter().map(|role| function_of(role)).collect();
        let elsewhere = json!({
            "Effect": "Deny", "Principal": "*", "Action": "kms:Decrypt", "Resource": "*",
            "Condition": {"ArnNotEquals": {"lambda:SourceFunctionArn": one_or_all(functions.iter())}},
        });
        assert!(has(&key.policy, &elsewhere), "{}", key.logical_id);
        let around = json!({
            "Effect": "Deny", "Principal": "*", "Action": ["kms:CreateGrant", "kms:ReEncrypt*"], "Resource": "*",
        });
        assert!(has(&key.policy, &around), "{}", key.logical_id);
    }
}

#[test]
fn no_function_with_an_http_route_opens_a_secret_of_a_tenant() {
    let stack = stack();
    let mut opened = BTreeSet::new();
    for function in stack.all::<FunctionResource>().filter(|function| !function.routes.is_empty()) {
        let role = RoleResource::find(&stack, &function.role_arn).unwrap();
        for statement in
            statements(role).filter(|statement| list(&statement["Action"]).contains(&&json!("kms:Decrypt")))
        {
            for resource in list(&statement["Resource"]) {
                let key = stack.all::<KmsKeyResource>().find(|key| key.arn == *resource).unwrap();
                opened.insert((function.binary.as_str(), key.logical_id.as_str()));
                let lane = json!({"StringEquals": {"kms:EncryptionContext:lane": "webhook"}});
                assert_eq!(statement["Condition"], lane, "{statement}");
            }
        }
    }
    assert_eq!(opened, BTreeSet::from([("revoke", "WebhookKey")]));
}

#[test]
fn every_queue_has_a_policy_and_a_dead_letter_queue() {
    let stack = stack();
    let dead_letters: BTreeSet<&str> = dead_letter_queues(&stack).map(|queue| queue.arn.as_str()).collect();
    for queue in stack.all::<QueueResource>() {
        let without_tls = json!({
            "Effect": "Deny", "Principal": "*", "Action": "sqs:*", "Resource": queue.arn,
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        assert!(queue.policy.as_ref().is_some_and(|policy| has(policy, &without_tls)), "{}", queue.logical_id);
        if dead_letters.contains(queue.arn.as_str()) {
            assert_eq!(queue.retention.as_secs(), 14 * 24 * 3600, "{}", queue.logical_id);
        } else {
            assert!(dead_letter_of(&stack, queue).is_some(), "{} has no dead-letter queue", queue.logical_id);
        }
    }
}

#[test]
fn every_mapping_answers_for_each_message_and_leaves_it_time() {
    let stack = stack();
    for function in stack.all::<FunctionResource>() {
        for mapping in &function.mappings {
            assert!(mapping.report_batch_item_failures, "{}", function.logical_id);
            let queue = QueueResource::find(&stack, &mapping.queue_arn).unwrap();
            assert!(
                queue.visibility_timeout >= function.timeout * 6,
                "{} of {}",
                queue.logical_id,
                function.logical_id
            );
        }
        // Pollers that run past the reservation are throttled, and what they hold waits for its visibility timeout. So no
        // queue takes what another one of the function counts on.
        if let Some(reserved) = function.reserved_concurrency {
            let most = function.mappings.iter().map(|mapping| mapping.maximum_concurrency.unwrap_or(u32::MAX));
            assert!(most.fold(0, u32::saturating_add) <= reserved, "{}", function.logical_id);
        }
    }
}

#[test]
fn every_function_has_a_role_and_a_log_group_of_its_own() {
    let stack = stack();
    let roles: BTreeSet<&str> = stack.all::<FunctionResource>().map(|function| function.role_arn.as_str()).collect();
    let log_groups: BTreeSet<&str> =
        stack.all::<FunctionResource>().map(|function| function.log_group.as_str()).collect();
    let functions = stack.all::<FunctionResource>().count();
    assert_eq!((roles.len(), log_groups.len()), (functions, functions));
}

#[test]
fn what_a_stranger_can_reach_is_throttled() {
    let stack = stack();
    let throttling = HttpApiResource::find(&stack).unwrap().throttling.unwrap();
    assert!(throttling.rate > 0 && throttling.burst >= throttling.rate, "{throttling:?}");
    // What needs no IAM signature takes less than the reservation has left beside the mapping, so that no stranger's burst
    // keeps the operator's own reports waiting.
    for function in stack.all::<FunctionResource>() {
        for route in function.routes.iter().filter(|route| route.authorizer == Authorizer::None) {
            let key = format!("{} {}", route.method, route.path);
            let own = HttpApiResource::find(&stack).unwrap().route_throttling[&key];
            let mapped: u32 = function.mappings.iter().filter_map(|mapping| mapping.maximum_concurrency).sum();
            assert!(own.burst + mapped < function.reserved_concurrency.unwrap(), "{key}");
            assert!(own.rate <= own.burst, "{key}");
        }
    }
    // A flood of one route leaves the other functions their concurrency.
    for function in stack.all::<FunctionResource>().filter(|function| !function.routes.is_empty()) {
        assert!(function.reserved_concurrency.is_some(), "{}", function.logical_id);
    }
}

#[test]
fn what_is_in_a_bucket_is_private_and_expires() {
    let stack = stack();
    // That nobody can make one public is checked as the template is read.
    for bucket in stack.all::<BucketResource>() {
        let arn = format!("arn:aws:s3:::{}", bucket.name);
        let without_tls = json!({
            "Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": [arn, format!("{arn}/*")],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        });
        assert!(bucket.policy.as_ref().is_some_and(|policy| has(policy, &without_tls)), "{}", bucket.logical_id);
        // A mail waits at most 30 days.
        assert!(bucket.expiration_days.is_some_and(|days| days > 30), "{}", bucket.logical_id);
    }
    assert_eq!(stack.all::<BucketResource>().count(), 1);
}

/// The bucket that an ARN names, or its objects.
fn bucket_of(stack: &Stack, arn: &str) -> Option<String> {
    let (name, objects) = arn.strip_prefix("arn:aws:s3:::")?.split_once('/').unwrap_or((&arn[13..], ""));
    let bucket = stack.all::<BucketResource>().find(|bucket| bucket.name == name)?;
    Some(if objects.is_empty() { bucket.logical_id.clone() } else { format!("{}/{objects}", bucket.logical_id) })
}

/// The event source mapping that an ARN names, by its function.
fn mapping_of(stack: &Stack, arn: &str) -> Option<String> {
    let (_, uuid) = arn.split_once(":event-source-mapping:")?;
    let function = stack.all::<FunctionResource>().find(|one| one.mappings.iter().any(|mapping| mapping.uuid == uuid));
    function.map(|function| format!("mapping of {}", function.logical_id))
}

/// An ARN or name with the generated part of its resource's name cut off, so that the list reads as the template does.
fn logical(text: &str) -> String {
    let last = text.rsplit([':', '/']).next().unwrap_or(text);
    let name = match text.split_once("/index/") {
        Some((table, index)) => return format!("{}/index/{index}", logical(table)),
        None if last == "*" => text.trim_end_matches([':', '*']).rsplit(':').next().unwrap_or(text),
        None => last,
    };
    let name = name.strip_prefix("stack-").unwrap_or(name);
    match name.rsplit_once('-') {
        Some((name, suffix)) if suffix.len() >= 12 && !suffix.contains(char::is_lowercase) => name.to_owned(),
        _ => name.to_owned(),
    }
}

fn statements(role: &RoleResource) -> impl Iterator<Item = &Value> {
    role.policies.iter().flat_map(|(_, policy)| list(&policy["Statement"]))
}

/// Whether a policy has this statement, whatever its Sid.
fn has(policy: &Value, statement: &Value) -> bool {
    list(&policy["Statement"]).into_iter().any(|written| {
        let mut written = written.clone();
        written.as_object_mut().unwrap().remove("Sid");
        written == *statement
    })
}

fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(values) => values.iter().collect(),
        Value::Null => Vec::new(),
        one => vec![one],
    }
}
