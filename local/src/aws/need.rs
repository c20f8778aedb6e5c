//! What a request needs to be allowed: IAM's actions on IAM's resources.
//!
//! The embedded services know it for themselves (DynamoDB by item and table, SQS, KMS, IAM); what they get wrong or
//! leave out is mended here, after the service authorization reference:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/>.

use std::collections::{BTreeMap, HashMap};

use fakecloud_core::service::{AwsRequest, AwsService};
use fakecloud_iam::SharedIamState;
use serde_json::Value;

use super::call::Call;

/// One action on one resource, with the condition keys that the request carries for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Need {
    /// `service:Action`.
    pub(crate) action: String,
    /// An ARN, or `*` where the action has no resource type.
    pub(crate) resource: String,
    /// Condition keys of the service, lower case, and their values.
    pub(crate) keys: BTreeMap<String, Vec<String>>,
    /// `aws:ResourceTag/…`.
    pub(crate) resource_tags: Option<HashMap<String, String>>,
    /// `aws:RequestTag/…`.
    pub(crate) request_tags: Option<HashMap<String, String>>,
}

impl Need {
    /// An action on a resource without condition keys.
    pub(crate) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), ..Self::default() }
    }
}

/// What an embedded service says the request needs, mended. Empty where it does not know the operation.
pub(crate) fn of_service(
    service: &dyn AwsService,
    request: &AwsRequest,
    call: &Call,
    iam: &SharedIamState,
) -> Vec<Need> {
    service
        .iam_actions_for(request)
        .iter()
        .map(|action| {
            let mut need = Need {
                action: action.action_string(),
                resource: action.resource.clone(),
                keys: service.iam_condition_keys_for(request, action),
                resource_tags: service.resource_tags_for(&action.resource),
                request_tags: service.request_tags_from(request, action.action),
            };
            match call.service.as_str() {
                "iam" => need.resource = with_user_path(need.resource, iam),
                "kms" => add_encryption_context(&mut need.keys, call, &request.account_id),
                "sqs" => {
                    need.action = single(&need.action);
                    need.resource = owned_by(&need.resource, &request.account_id);
                }
                _ => {}
            }
            need
        })
        .collect()
}

/// What PutEvents needs: each entry is authorized on its bus with its own source and detail type.
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html>
pub(crate) fn of_events(call: &Call, account_id: &str, region: &str) -> Vec<Need> {
    let bus_arn = |name: &str| {
        if name.starts_with("arn:") {
            name.to_owned()
        } else {
            format!("arn:aws:events:{region}:{account_id}:event-bus/{name}")
        }
    };
    let body = &call.json;
    let bus = || bus_arn(body["EventBusName"].as_str().or(body["Name"].as_str()).unwrap_or("default"));
    let rule = |name: &Value| match body["EventBusName"].as_str() {
        None | Some("default") => format!("arn:aws:events:{region}:{account_id}:rule/{}", name.as_str().unwrap_or("*")),
        Some(bus) => format!(
            "arn:aws:events:{region}:{account_id}:rule/{}/{}",
            bus.rsplit('/').next().unwrap_or(bus),
            name.as_str().unwrap_or("*")
        ),
    };
    let action = format!("events:{}", call.operation);
    match call.operation.as_str() {
        "PutEvents" => {
            let entries = body["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            let needs: Vec<Need> = entries
                .iter()
                .map(|entry| {
                    let mut need = Need::new(&action, bus_arn(entry["EventBusName"].as_str().unwrap_or("default")));
                    for (key, field) in [("events:source", "Source"), ("events:detail-type", "DetailType")] {
                        if let Some(value) = entry[field].as_str() {
                            need.keys.insert(key.to_owned(), vec![value.to_owned()]);
                        }
                    }
                    need
                })
                .collect();
            // No entry at all is malformed, which the service says once the caller may call it.
            if needs.is_empty() { vec![Need::new(action, bus_arn("default"))] } else { needs }
        }
        "CreateEventBus" | "DeleteEventBus" | "DescribeEventBus" | "PutPermission" | "RemovePermission" => {
            vec![Need::new(action, bus())]
        }
        "PutRule" | "DeleteRule" | "DescribeRule" | "EnableRule" | "DisableRule" => {
            vec![Need::new(action, rule(&body["Name"]))]
        }
        "PutTargets" | "RemoveTargets" | "ListTargetsByRule" => vec![Need::new(action, rule(&body["Rule"]))],
        "ListEventBuses" | "ListRules" | "ListRuleNamesByTarget" | "TestEventPattern" => vec![Need::new(action, "*")],
        _ => Vec::new(),
    }
}

/// SQS has no actions for batches: "for the batch version of an action, the permission is the one of the action itself".
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html>
fn single(action: &str) -> String {
    action.strip_suffix("Batch").unwrap_or(action).to_owned()
}

/// The embedded service takes every queue for one of the caller's account.
fn owned_by(queue_arn: &str, account_id: &str) -> String {
    match queue_arn.splitn(6, ':').collect::<Vec<_>>()[..] {
        [arn, partition, sqs, region, _, name] => [arn, partition, sqs, region, account_id, name].join(":"),
        _ => queue_arn.to_owned(),
    }
}

/// A user's ARN holds the user's path, which the request does not say.
fn with_user_path(resource: String, iam: &SharedIamState) -> String {
    let Some((head, name)) = resource.split_once(":user/") else { return resource };
    let account = head.rsplit(':').next().unwrap_or_default();
    let accounts = iam.read();
    let user = accounts.get(account).and_then(|state| state.users.get(name));
    user.map_or(resource, |user| user.arn.clone())
}

/// KMS's condition keys: <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>.
fn add_encryption_context(keys: &mut BTreeMap<String, Vec<String>>, call: &Call, account_id: &str) {
    keys.insert("kms:calleraccount".to_owned(), vec![account_id.to_owned()]);
    let context =
        ["EncryptionContext", "SourceEncryptionContext"].iter().find_map(|field| call.json[field].as_object());
    if let Some(context) = context.filter(|context| !context.is_empty()) {
        keys.insert("kms:encryptioncontextkeys".to_owned(), context.keys().cloned().collect());
        for (name, value) in context {
            if let Some(value) = value.as_str() {
                keys.insert(format!("kms:EncryptionContext:{name}"), vec![value.to_owned()]);
            }
        }
    }
}
