//! The events of a function: HttpApi, SQS and Schedule.

use std::time::Duration;

use crate::template::fields::Fields;
use crate::template::intrinsic::Scope;
use crate::template::stack::{Authorizer, Function, Mapping, Route, Schedule, Stack};
use crate::template::{TemplateError, identity};

/// Adds what one event means to the function.
pub(super) fn add(
    function: &mut Function,
    stack: &Stack,
    scope: &Scope<'_>,
    name: &str,
    event: Fields<'_>,
) -> Result<(), TemplateError> {
    let kind = event.required("Type")?;
    let Some(properties) = event.map("Properties")? else {
        return Err(event.error("Properties is missing"));
    };
    match kind.as_str() {
        "HttpApi" => {
            let route = route(stack, &properties)?;
            let taken = |other: &Route| other.method == route.method && other.path == route.path;
            if stack.functions.iter().chain([&*function]).flat_map(|function| &function.routes).any(taken) {
                return Err(properties.error(format!("{} {} is there twice", route.method, route.path)));
            }
            function.routes.push(route);
        }
        "SQS" => {
            let mapping = mapping(stack, function, &properties)?;
            function.mappings.push(mapping);
        }
        "Schedule" => {
            let schedule = schedule(scope, function, name, &properties)?;
            function.schedules.push(schedule);
        }
        other => return Err(event.error(format!("events of type {other} are not known to local"))),
    }
    properties.finish()?;
    event.finish()
}

/// Who an authorizer lets in. SAM takes AWS_IAM only where the API enables it.
pub(super) fn authorizer(name: Option<&str>, iam_enabled: bool) -> Result<Authorizer, String> {
    match name {
        None | Some("NONE") => Ok(Authorizer::None),
        Some("AWS_IAM") if iam_enabled => Ok(Authorizer::AwsIam),
        Some("AWS_IAM") => Err("AWS_IAM wants EnableIamAuthorizer: true on the API".to_owned()),
        Some(other) => Err(format!("the authorizer {other} is not known to local")),
    }
}

fn route(stack: &Stack, fields: &Fields<'_>) -> Result<Route, TemplateError> {
    let api = stack.http_api.as_ref().ok_or_else(|| fields.error("the template has no HTTP API"))?;
    if fields.required("ApiId")? != api.id {
        return Err(fields.error("ApiId is not the template's HTTP API"));
    }
    let mut wanted = None;
    if let Some(auth) = fields.map("Auth")? {
        wanted = auth.string("Authorizer")?;
        auth.finish()?;
    }
    if fields.string("PayloadFormatVersion")?.is_some_and(|version| version != "2.0") {
        return Err(fields.error("local knows payload format 2.0 alone"));
    }
    let authorizer = match wanted {
        None => api.default_authorizer,
        Some(name) => authorizer(Some(&name), api.iam_enabled).map_err(|reason| fields.error(reason))?,
    };
    let method = fields.required("Method")?.to_ascii_uppercase();
    let path = fields.required("Path")?;
    if !path.starts_with('/') {
        return Err(fields.error("Path starts with a slash"));
    }
    Ok(Route { method, path, authorizer })
}

/// An SQS mapping. Defaults and bounds are those of Lambda's API reference, CreateEventSourceMapping.
fn mapping(stack: &Stack, function: &Function, fields: &Fields<'_>) -> Result<Mapping, TemplateError> {
    let mut maximum_concurrency = None;
    if let Some(scaling) = fields.map("ScalingConfig")? {
        maximum_concurrency = scaling.number("MaximumConcurrency")?;
        scaling.finish()?;
    }
    let response_types = fields.strings("FunctionResponseTypes")?;
    if let Some(other) = response_types.iter().find(|other| *other != "ReportBatchItemFailures") {
        return Err(fields.error(format!("there is no response type {other}")));
    }
    let mapping = Mapping {
        queue_arn: fields.required("Queue")?,
        batch_size: fields.number("BatchSize")?.unwrap_or(10),
        batching_window: fields.seconds("MaximumBatchingWindowInSeconds")?.unwrap_or_default(),
        report_batch_item_failures: !response_types.is_empty(),
        maximum_concurrency,
        enabled: fields.flag("Enabled")?.unwrap_or(true),
    };
    let Some(queue) = stack.queue_by_arn(&mapping.queue_arn) else {
        return Err(fields.error(format!("the template has no queue {}", mapping.queue_arn)));
    };
    if !(1..=10_000).contains(&mapping.batch_size) || mapping.batching_window > Duration::from_secs(300) {
        return Err(fields.error("BatchSize is from 1 to 10,000, the window at most 300 seconds"));
    }
    if mapping.batch_size > 10 && mapping.batching_window.is_zero() {
        return Err(fields.error("a BatchSize above 10 wants MaximumBatchingWindowInSeconds of at least 1"));
    }
    if mapping.maximum_concurrency.is_some_and(|most| !(2..=1000).contains(&most)) {
        return Err(fields.error("MaximumConcurrency is from 2 to 1,000"));
    }
    if queue.visibility_timeout < function.timeout {
        return Err(fields.error("the queue's VisibilityTimeout is shorter than the function's Timeout"));
    }
    Ok(mapping)
}

fn schedule(
    scope: &Scope<'_>,
    function: &Function,
    name: &str,
    fields: &Fields<'_>,
) -> Result<Schedule, TemplateError> {
    let rule = match fields.string("Name")? {
        Some(rule) => rule,
        None => identity::generated_name(scope, &format!("{}{name}", function.logical_id)),
    };
    let enabled = match (fields.flag("Enabled")?, fields.string("State")?.as_deref()) {
        (Some(enabled), None) => enabled,
        (None, None | Some("ENABLED")) => true,
        (None, Some("DISABLED")) => false,
        _ => return Err(fields.error("Enabled or State, and that ENABLED or DISABLED")),
    };
    let expression = fields.required("Schedule")?;
    crate::lambda::schedule::Expression::parse(&expression).map_err(|reason| fields.error(reason))?;
    Ok(Schedule { rule_arn: identity::arn(scope, "events", &format!("rule/{rule}")), expression, enabled })
}
