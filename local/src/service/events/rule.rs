//! AWS::Events::Rule.

use fakecloud_aws::event_pattern;
use serde_json::{Value, json};

use super::bus::{BusResource, DEFAULT, name_of};
use super::{Events, invalid, required};
use crate::service::ServiceError;
use crate::service::sqs::QueueResource;
use crate::template::{
    DeclaredResource, Fields, PhysicalId, PhysicalName, ResourceType, Stack, TemplateError, left_out,
};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    reference: |id| match bus_of(id)?.as_str() {
        DEFAULT => Ok(id.name.clone()),
        bus => Ok(format!("{bus}|{}", id.name)),
    },
    attributes: &[("Arn", |id| Ok(id.arn("events", &arn_suffix(&bus_of(id)?, &id.name))))],
    is_dependent: true,
    left_out: &[
        left_out("Description", "for people"),
        left_out("Targets.RetryPolicy", "a delivery within this process is not tried again"),
    ],
    ..ResourceType::new("AWS::Events::Rule", PhysicalName::Property("Name"), read)
};

/// An EventBridge rule.
#[derive(Debug)]
pub(crate) struct RuleResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The name of the bus it listens on, `default` for the account's own.
    pub(crate) bus: String,
    /// The events that it matches.
    pub(crate) pattern: Value,
    /// The queues that get the events.
    pub(crate) targets: Vec<RuleTarget>,
    name: String,
    is_enabled: bool,
}

/// A rule's target: a queue.
#[derive(Clone, Debug)]
pub(crate) struct RuleTarget {
    /// The target's id within the rule.
    pub(super) id: String,
    /// The queue's ARN.
    pub(super) arn: String,
    /// The queue that undeliverable events go to.
    pub(super) dead_letter_arn: Option<String>,
}

#[cfg(test)]
impl RuleTarget {
    /// The queue's ARN.
    pub(crate) fn arn(&self) -> &str {
        &self.arn
    }
}

impl RuleResource {
    /// The rule as PutRule takes it.
    pub(super) fn as_json(&self) -> Value {
        json!({
            "Name": self.name,
            "EventBusName": self.bus,
            "EventPattern": self.pattern.to_string(),
            "State": if self.is_enabled { "ENABLED" } else { "DISABLED" },
        })
    }

    /// The rule's targets as PutTargets takes them.
    pub(super) fn targets_as_json(&self) -> Value {
        let target = |target: &RuleTarget| {
            let mut made = json!({"Id": target.id, "Arn": target.arn});
            if let Some(arn) = &target.dead_letter_arn {
                made["DeadLetterConfig"] = json!({"Arn": arn});
            }
            made
        };
        let targets: Vec<Value> = self.targets.iter().map(target).collect();
        json!({"Rule": self.name, "EventBusName": self.bus, "Targets": targets})
    }
}

/// A rule as it is.
pub(super) struct EventRule {
    /// The rule's ARN.
    pub(super) arn: String,
    /// Its targets.
    pub(super) targets: Vec<RuleTarget>,
    pattern: Value,
    is_enabled: bool,
}

impl EventRule {
    /// Whether the rule is for an event.
    pub(super) fn matches(&self, event: &Value) -> bool {
        self.is_enabled && event_pattern::matches(&self.pattern, event)
    }
}

impl Events {
    /// Answers PutRule. A rule that is there keeps its targets.
    pub(super) fn put_rule(&self, json: &Value, account_id: &str) -> Result<Value, ServiceError> {
        let name = required(json, "Name")?;
        let pattern: Value = serde_json::from_str(required(json, "EventPattern")?).unwrap_or_default();
        if !event_pattern::is_valid_structure(&pattern) {
            return Err(ServiceError::Other {
                status: axum::http::StatusCode::BAD_REQUEST,
                code: "InvalidEventPatternException",
                message: "Event pattern is not valid.".to_owned(),
            });
        }
        let is_enabled = json["State"] != "DISABLED";
        let bus = name_of(json["EventBusName"].as_str().unwrap_or(DEFAULT));
        let arn = format!("arn:aws:events:{}:{account_id}:{}", self.setup.region, arn_suffix(bus, name));
        self.with_bus(account_id, bus, |bus| {
            let targets = bus.rules.remove(name).map(|rule| rule.targets).unwrap_or_default();
            bus.rules.insert(name.to_owned(), EventRule { arn: arn.clone(), targets, pattern, is_enabled });
        })?;
        Ok(json!({"RuleArn": arn}))
    }

    /// Answers PutTargets. A target with the id of another takes its place.
    pub(super) fn put_targets(&self, json: &Value, account_id: &str) -> Result<Value, ServiceError> {
        let name = required(json, "Rule")?;
        let targets = json["Targets"].as_array().into_iter().flatten().map(|target| {
            Ok(RuleTarget {
                id: required(target, "Id")?.to_owned(),
                arn: required(target, "Arn")?.to_owned(),
                dead_letter_arn: target["DeadLetterConfig"]["Arn"].as_str().map(str::to_owned),
            })
        });
        let targets: Vec<RuleTarget> = targets.collect::<Result<_, ServiceError>>()?;
        if let Some(other) = targets.iter().find(|target| !target.arn.starts_with("arn:aws:sqs:")) {
            return Err(invalid(format!("The target {} is no queue, and this stand-in knows no others.", other.id)));
        }
        self.with_bus(account_id, json["EventBusName"].as_str().unwrap_or(DEFAULT), |bus| {
            let rule = bus.rules.get_mut(name).ok_or_else(|| ServiceError::Other {
                status: axum::http::StatusCode::BAD_REQUEST,
                code: "ResourceNotFoundException",
                message: format!("Rule {name} does not exist."),
            })?;
            rule.targets.retain(|kept| !targets.iter().any(|target| target.id == kept.id));
            rule.targets.extend(targets);
            Ok(json!({"FailedEntryCount": 0, "FailedEntries": []}))
        })?
    }
}

/// Reads a rule that sends the events of one of the stack's buses, or of the account's own, to queues.
fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    fields.string("Name")?;
    // The property takes a name or an ARN.
    let bus = fields.string("EventBusName")?.unwrap_or_else(|| DEFAULT.to_owned());
    let bus = name_of(&bus).to_owned();
    if bus != DEFAULT && !stack.all::<BusResource>().any(|other| other.name == bus) {
        return Err(fields.error(format!("the template has no bus {bus}")));
    }
    let is_enabled = match fields.string("State")?.as_deref() {
        None | Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(other) => return Err(fields.error(format!("there is no state {other}"))),
    };
    let pattern = fields.document("EventPattern")?.ok_or_else(|| fields.error("EventPattern is missing"))?;
    let mut targets = Vec::new();
    for fields in fields.maps("Targets")? {
        targets.extend(target(fields, stack)?);
    }
    fields.finish()?;
    let arn = resource.attribute("Arn")?;
    let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
    stack.add(RuleResource { logical_id: resource.logical_id.to_owned(), bus, pattern, targets, name, is_enabled });
    Ok(())
}

/// A queue of the template; `None` for an SNS topic, which is outside of the stack and tells people.
fn target(fields: Fields<'_>, stack: &Stack) -> Result<Option<RuleTarget>, TemplateError> {
    let mut dead_letter_arn = None;
    if let Some(config) = fields.map("DeadLetterConfig")? {
        dead_letter_arn = config.string("Arn")?;
        config.finish()?;
    }
    let target = RuleTarget { id: fields.required("Id")?, arn: fields.required("Arn")?, dead_letter_arn };
    if target.arn.starts_with("arn:aws:sns:") {
        tracing::debug!(target = target.id, "a rule's target is left out: the stand-in has no SNS");
        fields.finish()?;
        return Ok(None);
    }
    for arn in [&target.arn].into_iter().chain(&target.dead_letter_arn) {
        if QueueResource::find(stack, arn).is_none() {
            return Err(fields.error(format!("the template has no queue {arn}")));
        }
    }
    fields.finish()?;
    Ok(Some(target))
}

/// The name of the bus that a rule of the template is on; the property takes a name or an ARN.
fn bus_of(id: &PhysicalId<'_>) -> Result<String, TemplateError> {
    let bus = id.property("EventBusName")?.unwrap_or_else(|| DEFAULT.to_owned());
    Ok(name_of(&bus).to_owned())
}

fn arn_suffix(bus: &str, rule: &str) -> String {
    match bus {
        DEFAULT => format!("rule/{rule}"),
        bus => format!("rule/{bus}/{rule}"),
    }
}
