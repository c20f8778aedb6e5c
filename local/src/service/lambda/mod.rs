//! Lambda's API: event source mappings are shown and switched on and off; ListFunctions is that of an account without
//! functions. Our own functions are run by [`crate::lambda`].

mod mapping;

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Method, StatusCode};
use serde_json::json;

pub(crate) use self::mapping::EventSourceMappings;

use super::call::Call;
use super::error::ServiceError;
use super::interface::{ServiceDefinition, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::template::Stack;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[], start: |_, _| Ok(Arc::new(Lambda::default())) };

/// Lambda's API.
#[derive(Default)]
pub(crate) struct Lambda {
    mappings: EventSourceMappings,
}

impl Lambda {
    /// The event source mappings, to poll for them.
    pub(crate) fn mappings(&self) -> EventSourceMappings {
        self.mappings.clone()
    }
}

#[async_trait]
impl StandInService for Lambda {
    fn names(&self) -> &'static [&'static str] {
        &["lambda"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        self.mappings.add_all(stack);
        Ok(())
    }

    fn name_operation(&self, call: &mut Call) {
        if !call.operation.is_empty() {
            return;
        }
        let operation = match (&call.method, mapping_id(call)) {
            (&Method::GET, Some(_)) => "GetEventSourceMapping",
            (&Method::PUT, Some(_)) => "UpdateEventSourceMapping",
            (_, None) if call.path.trim_end_matches('/') == "/2015-03-31/functions" => "ListFunctions",
            _ => return,
        };
        operation.clone_into(&mut call.operation);
    }

    fn fault_targets(&self, call: &Call) -> Vec<String> {
        mapping_id(call).map(str::to_owned).into_iter().collect()
    }

    /// Service authorization reference, "Actions, resources, and condition keys for AWS Lambda": the mapping's ARN, and
    /// `lambda:FunctionArn`, the function that it belongs to.
    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let call = request.call;
        match (call.operation.as_str(), mapping_id(call)) {
            ("ListFunctions", _) => vec![RequiredPermission::new("lambda:ListFunctions", "*")],
            (operation @ ("GetEventSourceMapping" | "UpdateEventSourceMapping"), Some(uuid)) => {
                let resource =
                    format!("arn:aws:lambda:{}:{}:event-source-mapping:{uuid}", request.region, request.account_id);
                let mut permission = RequiredPermission::new(format!("lambda:{operation}"), resource);
                if let Some(function_arn) = self.mappings.function_arn(uuid) {
                    permission.condition_keys.insert("lambda:functionarn".to_owned(), vec![function_arn]);
                }
                vec![permission]
            }
            _ => Vec::new(),
        }
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let call = request.call;
        let uuid = mapping_id(call).unwrap_or_default();
        match call.operation.as_str() {
            "ListFunctions" => Ok(ServiceResponse::json(call, &json!({"Functions": []}))),
            "GetEventSourceMapping" => Ok(ServiceResponse::json(call, &self.mappings.get(uuid)?)),
            "UpdateEventSourceMapping" => {
                let mut response = ServiceResponse::json(call, &self.mappings.update(uuid, &call.json)?);
                response.status = StatusCode::ACCEPTED;
                Ok(response)
            }
            operation => Err(invalid(&format!("local does not know Lambda's operation {operation}."))),
        }
    }
}

/// The id in a path of the API's event source mappings.
fn mapping_id(call: &Call) -> Option<&str> {
    match call.segments.as_slice() {
        [version, kind, uuid] if version == "2015-03-31" && kind == "event-source-mappings" => Some(uuid),
        _ => None,
    }
}

/// Lambda's answer to a request that it does not take.
fn invalid(message: &str) -> ServiceError {
    ServiceError::Other {
        status: StatusCode::BAD_REQUEST,
        code: "InvalidParameterValueException",
        message: message.to_owned(),
    }
}
