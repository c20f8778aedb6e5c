//! The permissions that requests to EventBridge need.

use serde_json::Value;

use super::bus::{DEFAULT, name_of};
use crate::service::{RequiredPermission, ServiceRequest};

/// Each entry of PutEvents is authorized on its bus with its own source and detail type:
/// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html>.
pub(super) fn required(request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
    let ServiceRequest { call, account_id, region, .. } = *request;
    let arn = |resource: &str| format!("arn:aws:events:{region}:{account_id}:{resource}");
    let bus_arn =
        |name: &str| if name.starts_with("arn:") { name.to_owned() } else { arn(&format!("event-bus/{name}")) };
    let json = &call.json;
    let action = call.action();
    match call.operation.as_str() {
        "PutEvents" => {
            let entries = json["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
            let permissions: Vec<RequiredPermission> = entries
                .iter()
                .map(|entry| {
                    let bus = bus_arn(entry["EventBusName"].as_str().unwrap_or(DEFAULT));
                    let mut permission = RequiredPermission::new(&action, bus);
                    for (key, field) in [("events:source", "Source"), ("events:detail-type", "DetailType")] {
                        if let Some(value) = entry[field].as_str() {
                            permission.condition_keys.insert(key.to_owned(), vec![value.to_owned()]);
                        }
                    }
                    permission
                })
                .collect();
            // A request without entries is malformed, which the service says once the caller may call it.
            if permissions.is_empty() { vec![RequiredPermission::new(action, bus_arn(DEFAULT))] } else { permissions }
        }
        "CreateEventBus" | "PutPermission" => {
            let bus = json["EventBusName"].as_str().or(json["Name"].as_str()).unwrap_or(DEFAULT);
            vec![RequiredPermission::new(action, bus_arn(bus))]
        }
        "PutRule" => vec![RequiredPermission::new(action, arn(&rule(json, &json["Name"])))],
        "PutTargets" => vec![RequiredPermission::new(action, arn(&rule(json, &json["Rule"])))],
        _ => Vec::new(),
    }
}

fn rule(json: &Value, name: &Value) -> String {
    let name = name.as_str().unwrap_or("*");
    match json["EventBusName"].as_str() {
        None | Some(DEFAULT) => format!("rule/{name}"),
        Some(bus) => format!("rule/{}/{name}", name_of(bus)),
    }
}
