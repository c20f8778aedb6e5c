//! AWS::Events::EventBusPolicy.

use std::collections::HashMap;
use std::sync::Arc;

use fakecloud_core::auth::ResourcePolicyProvider;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::bus::{BusResource, name_of};
use super::{AccountBuses, Events, invalid};
use crate::service::ServiceError;
use crate::service::account_of;
use crate::template::{DeclaredResource, PhysicalName, ResourceType, Stack, TemplateError, check_resource};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    is_dependent: true,
    ..ResourceType::new("AWS::Events::EventBusPolicy", PhysicalName::Unnamed, read)
};

/// A statement of the policy of one of the stack's buses.
#[derive(Debug)]
pub(crate) struct BusStatementResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The bus's name.
    pub(crate) bus: String,
    /// The statement, its `Sid` the resource's `StatementId`.
    pub(crate) statement: Value,
}

/// Reads a statement that is written out; the properties of an older kind, which name one account each, are not known.
fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let bus = name_of(&fields.required("EventBusName")?).to_owned();
    let sid = fields.required("StatementId")?;
    let mut statement = fields.document("Statement")?.ok_or_else(|| fields.error("Statement is missing"))?;
    let Some(arn) = stack.all::<BusResource>().find(|other| other.name == bus).map(|bus| bus.arn.clone()) else {
        return Err(fields.error(format!("the template has no bus {bus}")));
    };
    statement["Sid"] = json!(sid);
    check(&policy_of([&statement]), &arn).map_err(|reason| fields.error(format!("Statement: {reason}")))?;
    if stack.all::<BusStatementResource>().any(|other| other.bus == bus && other.statement["Sid"] == sid.as_str()) {
        return Err(fields.error(format!("the bus has a statement {sid} already")));
    }
    fields.finish()?;
    stack.add(BusStatementResource { logical_id: resource.logical_id.to_owned(), bus, statement });
    Ok(())
}

/// The policy with these statements.
pub(super) fn policy_of<'a>(statements: impl IntoIterator<Item = &'a Value>) -> Value {
    json!({"Version": "2012-10-17", "Statement": statements.into_iter().collect::<Vec<_>>()})
}

/// Each statement is for the bus that has the policy, and says for whom it is.
fn check(policy: &Value, bus_arn: &str) -> Result<(), String> {
    check_resource(policy)?;
    let others = policy["Statement"].as_array().into_iter().flatten().any(|statement| statement["Resource"] != bus_arn);
    if others { Err(format!("its Resource is not the bus itself, {bus_arn}")) } else { Ok(()) }
}

impl Events {
    /// Gives the stack's buses their policies.
    pub(super) fn put_policies(&self, stack: &Stack) -> Result<(), (String, ServiceError)> {
        for bus in stack.all::<BusResource>() {
            let mut statements =
                stack.all::<BusStatementResource>().filter(|statement| statement.bus == bus.name).peekable();
            let Some(first) = statements.peek().map(|statement| statement.logical_id.clone()) else { continue };
            let policy = policy_of(statements.map(|statement| &statement.statement)).to_string();
            let json = json!({"EventBusName": bus.name, "Policy": policy});
            self.put_permission(&json, &self.setup.account_id).map_err(|error| (first, error))?;
        }
        Ok(())
    }

    /// Answers PutPermission with a whole policy.
    pub(super) fn put_permission(&self, json: &Value, account_id: &str) -> Result<Value, ServiceError> {
        let policy = serde_json::from_str(super::required(json, "Policy")?);
        let policy = policy.map_err(|_| invalid("Policy is not valid JSON.".to_owned()))?;
        let name = json["EventBusName"].as_str().unwrap_or(super::bus::DEFAULT);
        self.with_bus(account_id, name, |bus| bus.policy = Some(policy))?;
        Ok(json!({}))
    }
}

/// The policies of the buses.
pub(super) struct BusPolicies(pub(super) Arc<Mutex<HashMap<String, AccountBuses>>>);

impl ResourcePolicyProvider for BusPolicies {
    fn resource_policy(&self, service: &str, resource_arn: &str) -> Option<String> {
        let name = resource_arn.rsplit_once(":event-bus/").filter(|_| service == "events")?.1;
        let accounts = self.0.lock();
        let bus = accounts.get(account_of(resource_arn)?)?.get(name)?;
        bus.policy.as_ref().map(Value::to_string)
    }
}
