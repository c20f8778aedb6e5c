//! AWS::Events::EventBus and AWS::Events::Rule.

use super::Resource;
use crate::template::TemplateError;
use crate::template::fields::Fields;
use crate::template::intrinsic::Scope;
use crate::template::stack::{Bus, Rule, Stack, Target};

/// A bus.
pub(super) fn bus(resource: &Resource<'_>) -> Result<Bus, TemplateError> {
    let fields = resource.fields()?;
    let name = fields.required("Name")?;
    fields.finish()?;
    Ok(Bus { logical_id: resource.logical_id.to_owned(), name })
}

/// A rule that sends the events of one of the stack's buses, or of the account's own, to queues.
pub(super) fn rule(resource: &Resource<'_>, stack: &Stack, scope: &Scope<'_>) -> Result<Rule, TemplateError> {
    let fields = resource.fields()?;
    fields.string("Name")?;
    // The property takes a name or an ARN.
    let bus = fields.string("EventBusName")?.unwrap_or_else(|| "default".to_owned());
    let bus = bus.rsplit('/').next().unwrap_or_default().to_owned();
    if bus != "default" && !stack.buses.iter().any(|other| other.name == bus) {
        return Err(fields.error(format!("the template has no bus {bus}")));
    }
    let enabled = match fields.string("State")?.as_deref() {
        None | Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(other) => return Err(fields.error(format!("there is no state {other}"))),
    };
    let pattern = fields.document("EventPattern")?.ok_or_else(|| fields.error("EventPattern is missing"))?;
    let targets = fields.maps("Targets")?.into_iter().map(|fields| target(fields, stack)).collect::<Result<_, _>>()?;
    fields.finish()?;
    let arn = resource.attribute(scope, "Arn")?;
    let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Rule { logical_id: resource.logical_id.to_owned(), name, bus, pattern, enabled, targets })
}

fn target(fields: Fields<'_>, stack: &Stack) -> Result<Target, TemplateError> {
    let mut dead_letter_arn = None;
    if let Some(config) = fields.map("DeadLetterConfig")? {
        dead_letter_arn = config.string("Arn")?;
        config.finish()?;
    }
    let target = Target { id: fields.required("Id")?, arn: fields.required("Arn")?, dead_letter_arn };
    for arn in [&target.arn].into_iter().chain(&target.dead_letter_arn) {
        if stack.queue_by_arn(arn).is_none() {
            return Err(fields.error(format!("the template has no queue {arn}")));
        }
    }
    fields.finish()?;
    Ok(target)
}
