//! The events of a function: HttpApi, SQS and Schedule.

use std::time::Duration;

use super::function::FunctionResource;
use super::http_api::HttpApiResource;
use crate::service::sqs::QueueResource;
use crate::template::{Fields, Settings, Stack, TemplateError};

/// A route of the HTTP API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RouteResource {
    /// An upper-case method, or `ANY`.
    pub(crate) method: String,
    /// The path, with `{name}` and a trailing `{name+}` for what varies.
    pub(crate) path: String,
    /// Who is let in.
    pub(crate) authorizer: Authorizer,
}

/// Who is let in to a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Authorizer {
    /// Everybody.
    None,
    /// Who signs with IAM credentials and is allowed `execute-api:Invoke`.
    AwsIam,
}

/// An event source mapping from a queue.
#[derive(Clone, Debug)]
pub(crate) struct MappingResource {
    /// Its id, which `Ref` gives.
    pub(crate) uuid: String,
    /// The queue.
    pub(crate) queue_arn: String,
    /// Messages an invocation is given at most.
    pub(crate) batch_size: u32,
    /// How long a batch may be gathered.
    pub(crate) batching_window: Duration,
    /// Whether the function names the messages that failed (ReportBatchItemFailures).
    pub(crate) report_batch_item_failures: bool,
    /// Concurrent invocations at most (ScalingConfig.MaximumConcurrency).
    pub(crate) maximum_concurrency: Option<u32>,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
}

/// A schedule that invokes a function.
#[derive(Clone, Debug)]
pub(crate) struct ScheduleResource {
    /// The ARN of the rule that SAM makes of it.
    pub(crate) rule_arn: String,
    /// How often, first after one period. `None` for cron, which `local` does not run.
    pub(crate) period: Option<Duration>,
    /// The expression, as it is written.
    pub(crate) expression: String,
    /// What the function is given instead of the scheduled event.
    pub(crate) input: Option<String>,
    /// Whether it is switched on.
    pub(crate) enabled: bool,
}

/// Adds what one event means to the function.
pub(super) fn add(
    function: &mut FunctionResource,
    stack: &Stack,
    settings: &Settings,
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
            let taken = |other: &RouteResource| other.method == route.method && other.path == route.path;
            if stack.all::<FunctionResource>().chain([&*function]).flat_map(|function| &function.routes).any(taken) {
                return Err(properties.error(format!("{} {} is there twice", route.method, route.path)));
            }
            function.routes.push(route);
        }
        "SQS" => {
            let uuid = mapping_id(settings, &format!("{}{name}", function.logical_id));
            let mapping = mapping(stack, function, uuid, &properties)?;
            function.mappings.push(mapping);
        }
        "Schedule" => {
            let schedule = schedule(settings, function, name, &properties)?;
            function.schedules.push(schedule);
        }
        other => return Err(event.error(format!("events of type {other} are not known to local"))),
    }
    properties.finish()?;
    event.finish()
}

/// What `Ref` gives for the mapping that SAM makes of a function's SQS event, by the mapping's logical id.
pub(super) fn mapping_id(settings: &Settings, logical_id: &str) -> String {
    settings.derived_uuid(logical_id)
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

fn route(stack: &Stack, fields: &Fields<'_>) -> Result<RouteResource, TemplateError> {
    let api = HttpApiResource::find(stack).ok_or_else(|| fields.error("the template has no HTTP API"))?;
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
    Ok(RouteResource { method, path, authorizer })
}

/// An SQS mapping. Defaults and bounds are those of Lambda's API reference, CreateEventSourceMapping.
fn mapping(
    stack: &Stack,
    function: &FunctionResource,
    uuid: String,
    fields: &Fields<'_>,
) -> Result<MappingResource, TemplateError> {
    let mut maximum_concurrency = None;
    if let Some(scaling) = fields.map("ScalingConfig")? {
        maximum_concurrency = scaling.number("MaximumConcurrency")?;
        scaling.finish()?;
    }
    let response_types = fields.strings("FunctionResponseTypes")?;
    if let Some(other) = response_types.iter().find(|other| *other != "ReportBatchItemFailures") {
        return Err(fields.error(format!("there is no response type {other}")));
    }
    let mapping = MappingResource {
        uuid,
        queue_arn: fields.required("Queue")?,
        batch_size: fields.number("BatchSize")?.unwrap_or(10),
        batching_window: fields.seconds("MaximumBatchingWindowInSeconds")?.unwrap_or_default(),
        report_batch_item_failures: !response_types.is_empty(),
        maximum_concurrency,
        enabled: fields.flag("Enabled")?.unwrap_or(true),
    };
    let Some(queue) = QueueResource::find(stack, &mapping.queue_arn) else {
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
    settings: &Settings,
    function: &FunctionResource,
    name: &str,
    fields: &Fields<'_>,
) -> Result<ScheduleResource, TemplateError> {
    let rule = match fields.string("Name")? {
        Some(rule) => rule,
        None => settings.generated_name(&format!("{}{name}", function.logical_id)),
    };
    let enabled = match (fields.flag("Enabled")?, fields.string("State")?.as_deref()) {
        (Some(enabled), None) => enabled,
        (None, None | Some("ENABLED")) => true,
        (None, Some("DISABLED")) => false,
        _ => return Err(fields.error("Enabled or State, and that ENABLED or DISABLED")),
    };
    let expression = fields.required("Schedule")?;
    let period = parse_rate(&expression);
    if period.is_none() && !is_cron(&expression) {
        return Err(fields.error(format!(
            "`{expression}` is not a rate such as rate(5 minutes), nor a cron expression such as cron(0 10 ? * MON *)"
        )));
    }
    // EventBridge's PutTargets: "Valid JSON text passed to the target. In this case, nothing from the event itself is passed
    // to the target."
    let input = fields.string("Input")?;
    if input.as_ref().is_some_and(|input| serde_json::from_str::<serde_json::Value>(input).is_err()) {
        return Err(fields.error("Input is no JSON"));
    }
    Ok(ScheduleResource {
        rule_arn: settings.arn("events", &format!("rule/{rule}")),
        period,
        expression,
        input,
        enabled,
    })
}

/// The period of a `rate(…)` expression (EventBridge user guide, "Creating a rule that runs on a schedule"), which wants
/// `1 minute` but `5 minutes`.
fn parse_rate(expression: &str) -> Option<Duration> {
    let (value, unit) = expression.strip_prefix("rate(")?.strip_suffix(')')?.split_once(' ')?;
    let value: u64 = value.parse().ok().filter(|value| *value > 0)?;
    let (unit, plural) = match unit.strip_suffix('s') {
        Some(unit) => (unit, true),
        None => (unit, false),
    };
    let seconds: u64 = match unit {
        "minute" => 60,
        "hour" => 3600,
        "day" => 86_400,
        _ => return None,
    };
    if plural != (value > 1) {
        return None;
    }
    Some(Duration::from_secs(value.checked_mul(seconds)?))
}

/// Whether it has the shape of a `cron(…)` expression: six fields, one of the days being `?` (EventBridge user guide, "Cron
/// expressions": "You can't use an asterisk in both the Day-of-month and Day-of-week fields"). What each field says is not
/// read, because `local` does not run it.
fn is_cron(expression: &str) -> bool {
    let Some(fields) = expression.strip_prefix("cron(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    let fields: Vec<_> = fields.split(' ').collect();
    fields.len() == 6 && fields.iter().all(|field| !field.is_empty()) && (fields[2] == "?") != (fields[4] == "?")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_period() {
        assert_eq!(parse_rate("rate(1 minute)"), Some(Duration::from_secs(60)));
        assert_eq!(parse_rate("rate(2 days)"), Some(Duration::from_secs(172_800)));
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for expression in [
            "rate(1 minutes)",
            "rate(5 minute)",
            "rate(0 minutes)",
            "rate(5 seconds)",
            "every day",
            "cron(0 10 * * * *)",
            "cron(0 10 ? * ? *)",
            "cron(0 10 ? * MON)",
            "cron(0 10  ? * MON *)",
            "0 10 ? * MON *",
        ] {
            assert!(parse_rate(expression).is_none() && !is_cron(expression), "{expression}");
        }
        for expression in ["cron(0 10 ? * MON *)", "cron(15 12 L * ? *)"] {
            assert!(parse_rate(expression).is_none() && is_cron(expression), "{expression}");
        }
    }
}
