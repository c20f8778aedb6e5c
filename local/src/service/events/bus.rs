//! AWS::Events::EventBus.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use serde_json::{Value, json};

use super::rule::EventRule;
use super::{Events, required};
use crate::service::ServiceError;
use crate::template::{DeclaredResource, PhysicalName, ResourceType, Stack, TemplateError, left_out};

/// The bus that every account has.
pub(super) const DEFAULT: &str = "default";

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[
        ("Arn", |id| Ok(id.arn("events", &format!("event-bus/{}", id.name)))),
        ("Name", |id| Ok(id.name.clone())),
    ],
    left_out: &[left_out("Description", "for people"), left_out("Tags", "nothing reads them")],
    ..ResourceType::new("AWS::Events::EventBus", PhysicalName::Property("Name"), read)
};

/// An EventBridge bus apart from the account's default bus.
#[derive(Debug)]
pub(crate) struct BusResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The bus's name.
    pub(crate) name: String,
    /// The bus's ARN.
    pub(crate) arn: String,
}

/// A bus as it is.
#[derive(Default)]
pub(super) struct EventBus {
    /// Its rules, by name.
    pub(super) rules: BTreeMap<String, EventRule>,
    /// Its resource policy.
    pub(super) policy: Option<Value>,
}

fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let name = fields.required("Name")?;
    fields.finish()?;
    stack.add(BusResource { logical_id: resource.logical_id.to_owned(), name, arn: resource.attribute("Arn")? });
    Ok(())
}

/// A bus's name, out of its name or ARN.
pub(super) fn name_of(bus: &str) -> &str {
    bus.rsplit('/').next().unwrap_or(bus)
}

impl Events {
    /// Answers CreateEventBus.
    pub(super) fn create_bus(&self, json: &Value, account_id: &str) -> Result<Value, ServiceError> {
        let name = required(json, "Name")?;
        let mut accounts = self.buses.lock();
        let buses = accounts.entry(account_id.to_owned()).or_default();
        if name == DEFAULT || buses.contains_key(name) {
            return Err(ServiceError::Other {
                status: StatusCode::BAD_REQUEST,
                code: "ResourceAlreadyExistsException",
                message: format!("Event bus {name} already exists."),
            });
        }
        buses.insert(name.to_owned(), EventBus::default());
        Ok(json!({"EventBusArn": format!("arn:aws:events:{}:{account_id}:event-bus/{name}", self.setup.region)}))
    }

    /// Does something with a bus.
    ///
    /// # Errors
    /// There is no such bus.
    pub(super) fn with_bus<T>(
        &self,
        account_id: &str,
        bus: &str,
        work: impl FnOnce(&mut EventBus) -> T,
    ) -> Result<T, ServiceError> {
        let name = name_of(bus);
        let mut accounts = self.buses.lock();
        let buses = accounts.entry(account_id.to_owned()).or_default();
        // An account has its default bus from the start.
        if name == DEFAULT {
            return Ok(work(buses.entry(name.to_owned()).or_default()));
        }
        buses.get_mut(name).map(work).ok_or_else(|| ServiceError::Other {
            status: StatusCode::BAD_REQUEST,
            code: "ResourceNotFoundException",
            message: format!("Event bus {name} does not exist."),
        })
    }
}
