//! EventBridge: events to buses, and from there by rules to queues.
//!
//! The service is our own and small: fakecloud's brings the crates of Lambda, EC2, Kubernetes and CloudWatch Logs along, a third
//! of all that there is to compile. It knows the operations of [`Events::answer`] and queues as targets.

mod bus;
mod bus_policy;
mod forward;
mod permissions;
mod put_events;
mod rule;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_core::auth::ResourcePolicyProvider;
use parking_lot::Mutex;
use serde_json::{Value, json};

pub(crate) use self::bus::BusResource;
#[cfg(test)]
pub(crate) use self::bus_policy::BusStatementResource;
pub(crate) use self::forward::ForwardedEvent;
pub(crate) use self::rule::RuleResource;

use self::bus::EventBus;
use self::bus_policy::BusPolicies;
use super::call::Call;
use super::error::{ErrorWording, FixedError, ServiceError};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use super::sqs::Sqs;
use crate::template::Stack;

pub(super) const SERVICE: ServiceDefinition = ServiceDefinition {
    resource_types: &[bus::RESOURCE_TYPE, bus_policy::RESOURCE_TYPE, rule::RESOURCE_TYPE],
    start: Events::start,
};

/// The buses of an account, by name.
type AccountBuses = BTreeMap<String, EventBus>;

/// EventBridge of all accounts.
pub(crate) struct Events {
    buses: Arc<Mutex<HashMap<String, AccountBuses>>>,
    /// Events that passed the operator's buses.
    passed: Mutex<Vec<Arc<Value>>>,
    queues: Arc<Sqs>,
    setup: Setup,
}

impl Events {
    fn start(setup: &Setup, services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        Ok(Arc::new(Self {
            buses: Arc::default(),
            passed: Mutex::default(),
            queues: services.get()?,
            setup: setup.clone(),
        }))
    }

    /// What is answered to an operation.
    fn answer(&self, operation: &str, json: &Value, request: &ServiceRequest<'_>) -> Result<Value, ServiceError> {
        match operation {
            "CreateEventBus" => self.create_bus(json, request.account_id),
            "PutPermission" => self.put_permission(json, request.account_id),
            "PutRule" => self.put_rule(json, request.account_id),
            "PutTargets" => self.put_targets(json, request.account_id),
            "PutEvents" => self.put_events(json, request),
            _ => Err(ServiceError::Other {
                status: StatusCode::BAD_REQUEST,
                code: "UnknownOperationException",
                message: format!("The operation {operation} is not part of this stand-in."),
            }),
        }
    }
}

#[async_trait]
impl StandInService for Events {
    fn names(&self) -> &'static [&'static str] {
        &["events"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        let account_id = &self.setup.account_id;
        for bus in stack.all::<BusResource>() {
            let created = self.create_bus(&json!({"Name": bus.name}), account_id);
            created.map_err(anyhow::Error::msg).with_context(|| format!("bus {}", bus.logical_id))?;
        }
        self.put_policies(stack)
            .map_err(|(policy, error)| anyhow::Error::msg(error).context(format!("bus policy {policy}")))?;
        for rule in stack.all::<RuleResource>() {
            let put = self.put_rule(&rule.as_json(), account_id);
            let put = put.and_then(|_| self.put_targets(&rule.targets_as_json(), account_id));
            put.map_err(anyhow::Error::msg).with_context(|| format!("rule {}", rule.logical_id))?;
        }
        Ok(())
    }

    /// The names of the buses.
    fn fault_targets(&self, call: &Call) -> Vec<String> {
        let entries = call.json["Entries"].as_array().into_iter().flatten();
        let buses = entries.map(|entry| &entry["EventBusName"]).chain([&call.json["EventBusName"], &call.json["Name"]]);
        buses.filter_map(Value::as_str).map(|bus| bus::name_of(bus).to_owned()).collect()
    }

    /// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/CommonErrors.html>, and the errors of its operations.
    fn error_wording(&self) -> ErrorWording {
        ErrorWording {
            throttled: FixedError::new(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded"),
            internal: FixedError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalException",
                "This exception occurs due to unexpected causes.",
            ),
            ..ErrorWording::DEFAULT
        }
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        permissions::required(request)
    }

    fn resource_policies(&self) -> Option<Arc<dyn ResourcePolicyProvider>> {
        Some(Arc::new(BusPolicies(self.buses.clone())))
    }

    fn unprocessed(&self, call: &Call) -> Option<ServiceResponse> {
        let entries = call.json["Entries"].as_array().filter(|_| call.operation == "PutEvents")?;
        let failed: Vec<Value> = entries
            .iter()
            .map(|_| json!({"ErrorCode": "InternalFailure", "ErrorMessage": "Unexpected internal error."}))
            .collect();
        Some(ServiceResponse::json(call, &json!({"FailedEntryCount": failed.len(), "Entries": failed})))
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let call = request.call;
        let answer = self.answer(&call.operation, &call.json, request)?;
        Ok(ServiceResponse::json(call, &answer))
    }
}

/// A field that an operation has to be given.
fn required<'a>(json: &'a Value, field: &str) -> Result<&'a str, ServiceError> {
    json[field].as_str().filter(|text| !text.is_empty()).ok_or_else(|| invalid(format!("{field} is required.")))
}

fn invalid(message: String) -> ServiceError {
    ServiceError::Other { status: StatusCode::BAD_REQUEST, code: "ValidationException", message }
}
