//! The event source mappings of the stack, as Lambda's API shows and switches them. [`crate::lambda`] polls for them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::invalid;
use crate::serverless::{FunctionResource, MappingResource};
use crate::service::ServiceError;
use crate::template::Stack;

/// How long a mapping takes to become `Enabled` or `Disabled`. Until then it goes on with what it did before.
const TRANSITION: Duration = Duration::from_secs(1);

/// The mappings of the stack, by their ids. Clones are handles to the same mappings.
#[derive(Clone, Debug, Default)]
pub(crate) struct EventSourceMappings(Arc<Mutex<BTreeMap<String, Mapping>>>);

#[derive(Debug)]
struct Mapping {
    resource: MappingResource,
    function_arn: String,
    state: SwitchState,
    /// Whether the queue is polled.
    polls: watch::Sender<bool>,
}

/// `State` of Lambda's EventSourceMappingConfiguration, as far as a mapping here is ever in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SwitchState {
    Enabling,
    Enabled,
    Disabling,
    Disabled,
}

impl EventSourceMappings {
    /// Adds the mappings of all functions, as the template switches them.
    pub(crate) fn add_all(&self, stack: &Stack) {
        let mut mappings = self.0.lock();
        for function in stack.all::<FunctionResource>() {
            for resource in &function.mappings {
                let state = if resource.enabled { SwitchState::Enabled } else { SwitchState::Disabled };
                let mapping = Mapping {
                    resource: resource.clone(),
                    function_arn: function.arn.clone(),
                    state,
                    polls: watch::Sender::new(resource.enabled),
                };
                mappings.insert(resource.uuid.clone(), mapping);
            }
        }
    }

    /// Whether a mapping's queue is to be polled, now and after every change. `None` if there is no such mapping.
    pub(crate) fn polls(&self, uuid: &str) -> Option<watch::Receiver<bool>> {
        self.0.lock().get(uuid).map(|mapping| mapping.polls.subscribe())
    }

    /// The function of a mapping.
    pub(super) fn function_arn(&self, uuid: &str) -> Option<String> {
        self.0.lock().get(uuid).map(|mapping| mapping.function_arn.clone())
    }

    /// Answers GetEventSourceMapping.
    pub(super) fn get(&self, uuid: &str) -> Result<Value, ServiceError> {
        self.0.lock().get(uuid).map(|mapping| mapping.describe(uuid)).ok_or_else(not_found)
    }

    /// Answers UpdateEventSourceMapping, of which `Enabled` alone is known here.
    pub(crate) fn update(&self, uuid: &str, change: &Value) -> Result<Value, ServiceError> {
        let mut mappings = self.0.lock();
        let mapping = mappings.get_mut(uuid).ok_or_else(not_found)?;
        let fields = change.as_object().ok_or_else(|| invalid("The request body is not a JSON object."))?;
        if let Some(field) = fields.keys().find(|field| *field != "Enabled") {
            return Err(invalid(&format!("local switches a mapping on and off and does not know {field}.")));
        }
        let enabled = match &change["Enabled"] {
            Value::Bool(enabled) => *enabled,
            Value::Null => return Ok(mapping.describe(uuid)),
            _ => return Err(invalid("Enabled is a boolean.")),
        };
        if matches!(mapping.state, SwitchState::Enabling | SwitchState::Disabling) {
            return Err(ServiceError::Other {
                status: axum::http::StatusCode::BAD_REQUEST,
                code: "ResourceInUseException",
                message: "The event source mapping is being changed; try again when that has ended.".to_owned(),
            });
        }
        if enabled == (mapping.state == SwitchState::Enabled) {
            return Ok(mapping.describe(uuid));
        }
        mapping.state = if enabled { SwitchState::Enabling } else { SwitchState::Disabling };
        let (mappings, key) = (self.clone(), uuid.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(TRANSITION).await;
            mappings.settle(&key, enabled);
        });
        Ok(mapping.describe(uuid))
    }

    fn settle(&self, uuid: &str, enabled: bool) {
        if let Some(mapping) = self.0.lock().get_mut(uuid) {
            mapping.state = if enabled { SwitchState::Enabled } else { SwitchState::Disabled };
            mapping.polls.send_replace(enabled);
        }
    }
}

impl Mapping {
    /// AWS: Lambda API reference, "EventSourceMappingConfiguration".
    fn describe(&self, uuid: &str) -> Value {
        let MappingResource { queue_arn, batch_size, batching_window, maximum_concurrency, .. } = &self.resource;
        let response_types: &[&str] =
            if self.resource.report_batch_item_failures { &["ReportBatchItemFailures"] } else { &[] };
        let mut described = json!({
            "UUID": uuid,
            "State": format!("{:?}", self.state),
            "StateTransitionReason": "USER_INITIATED",
            "EventSourceArn": queue_arn,
            "FunctionArn": self.function_arn,
            "BatchSize": batch_size,
            "MaximumBatchingWindowInSeconds": batching_window.as_secs(),
            "FunctionResponseTypes": response_types,
        });
        if let Some(most) = maximum_concurrency {
            described["ScalingConfig"] = json!({ "MaximumConcurrency": most });
        }
        described
    }
}

/// AWS: Lambda API reference, "GetEventSourceMapping", errors.
fn not_found() -> ServiceError {
    ServiceError::Other {
        status: axum::http::StatusCode::NOT_FOUND,
        code: "ResourceNotFoundException",
        message: "The resource you requested does not exist.".to_owned(),
    }
}
