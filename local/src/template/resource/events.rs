//! AWS::Events::EventBus and AWS::Events::Rule.

use super::Resource;
use crate::template::TemplateError;
use crate::template::fields::Fields;
use crate::template::intrinsic::Scope;
use crate::template::stack::{Bus, Rule, Target, Trigger};

/// A bus.
pub(super) fn bus(resource: &Resource<'_>) -> Result<Bus, TemplateError> {
    let fields = resource.fields()?;
    let name = fields.required("Name")?;
    fields.finish()?;
    Ok(Bus { logical_id: resource.logical_id.to_owned(), name })
}

/// A rule.
pub(super) fn rule(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<Rule, TemplateError> {
    let fields = resource.fields()?;
    fields.string("Name")?;
    let bus = bus_name(&fields)?;
    let enabled = match fields.string("State")?.as_deref() {
        None | Some("ENABLED") => true,
        Some("DISABLED") => false,
        Some(other) => return Err(fields.error(format!("there is no state {other}"))),
    };
    let trigger = match (fields.document("EventPattern")?, fields.string("ScheduleExpression")?) {
        (Some(pattern), None) => Trigger::Pattern(pattern),
        (None, Some(expression)) => Trigger::Schedule(expression),
        _ => return Err(fields.error("a rule has an EventPattern or a ScheduleExpression")),
    };
    let targets = fields.maps("Targets")?.into_iter().map(target).collect::<Result<_, _>>()?;
    fields.finish()?;
    let arn = resource.attribute(scope, "Arn")?;
    let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
    Ok(Rule { logical_id: resource.logical_id.to_owned(), name, arn, bus, trigger, enabled, targets })
}

/// The name of the bus; the property takes a name or an ARN.
pub(super) fn bus_name(fields: &Fields<'_>) -> Result<String, TemplateError> {
    let bus = fields.string("EventBusName")?.unwrap_or_else(|| "default".to_owned());
    Ok(bus.rsplit('/').next().unwrap_or_default().to_owned())
}

fn target(fields: Fields<'_>) -> Result<Target, TemplateError> {
    let mut dead_letter_arn = None;
    if let Some(config) = fields.map("DeadLetterConfig")? {
        dead_letter_arn = config.string("Arn")?;
        config.finish()?;
    }
    let mut message_group_id = None;
    if let Some(parameters) = fields.map("SqsParameters")? {
        message_group_id = parameters.string("MessageGroupId")?;
        parameters.finish()?;
    }
    let target = Target {
        id: fields.required("Id")?,
        arn: fields.required("Arn")?,
        input: fields.string("Input")?,
        input_path: fields.string("InputPath")?,
        dead_letter_arn,
        role_arn: fields.string("RoleArn")?,
        message_group_id,
    };
    fields.finish()?;
    Ok(target)
}
