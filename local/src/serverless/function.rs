//! AWS::Serverless::Function.

use std::collections::BTreeMap;
use std::time::Duration;

use super::event::{self, MappingResource, RouteResource, ScheduleResource};
use crate::service::iam::RoleResource;
use crate::template::{
    DeclaredResource, Fields, PhysicalName, ResourceType, Settings, Stack, TemplateError, YamlNode, left_out,
};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[("Arn", |id| Ok(id.arn("lambda", &format!("function:{}", id.name))))],
    globals: Some("Function"),
    is_dependent: true,
    generated: Some(generated),
    left_out: &[
        left_out("Description", "for people"),
        left_out("Architectures", "the binaries run on this machine"),
        left_out("Tags", "nothing reads them"),
        left_out("Tracing", "no trace is collected"),
        left_out("LoggingConfig.LogFormat", "lines are kept as they are written"),
        left_out("Events.Properties.Description", "for people"),
        left_out("Events.Properties.RetryPolicy", "a delivery within this process is not tried again"),
    ],
    ..ResourceType::new("AWS::Serverless::Function", PhysicalName::Property("FunctionName"), read)
};

/// A Lambda function.
#[derive(Clone, Debug)]
pub(crate) struct FunctionResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The function's name.
    pub(crate) name: String,
    /// The function's ARN.
    pub(crate) arn: String,
    /// The binary it runs: the last folder of `CodeUri` (`target/lambda/verify/` runs `verify`).
    pub(crate) binary: String,
    /// The template's Handler (`_HANDLER`).
    pub(crate) handler: String,
    /// After which an invocation is killed.
    pub(crate) timeout: Duration,
    /// The memory it is given, in MB.
    pub(crate) memory_mb: u32,
    /// The template's environment variables.
    pub(crate) environment: BTreeMap<String, String>,
    /// The execution role.
    pub(crate) role_arn: String,
    /// How many environments it has at most (and has for itself).
    pub(crate) reserved_concurrency: Option<u32>,
    /// What Lambda does when the function feeds its own queue.
    pub(crate) recursive_loop: RecursiveLoop,
    /// The log group it writes to.
    pub(crate) log_group: String,
    /// Its HTTP routes.
    pub(crate) routes: Vec<RouteResource>,
    /// The queues it takes messages from.
    pub(crate) mappings: Vec<MappingResource>,
    /// The schedules that invoke it.
    pub(crate) schedules: Vec<ScheduleResource>,
}

/// Lambda's answer to queue -> function -> same queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RecursiveLoop {
    /// Go on for ever.
    Allow,
    /// Stop after about 16 hops (the default).
    Terminate,
}

fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    fields.string("FunctionName")?;
    let runtime = fields.required("Runtime")?;
    if runtime != "provided.al2023" {
        return Err(fields.error(format!("local runs provided.al2023, not {runtime}")));
    }
    let name = resource.reference()?;
    let role_arn = fields.required("Role")?;
    let mut environment = Vec::new();
    if let Some(map) = fields.map("Environment")? {
        environment = map.variables("Variables")?;
        map.finish()?;
    }
    let mut log_group = format!("/aws/lambda/{name}");
    if let Some(config) = fields.map("LoggingConfig")? {
        log_group = config.string("LogGroup")?.unwrap_or(log_group);
        config.finish()?;
    }
    let mut function = FunctionResource {
        logical_id: resource.logical_id.to_owned(),
        arn: resource.attribute("Arn")?,
        binary: binary(resource, &fields)?,
        handler: fields.required("Handler")?,
        // Lambda's defaults (Lambda API reference, CreateFunction): 3 seconds and 128 MB.
        timeout: fields.seconds("Timeout")?.unwrap_or(Duration::from_secs(3)),
        memory_mb: fields.number("MemorySize")?.unwrap_or(128),
        environment: environment.into_iter().collect(),
        role_arn,
        reserved_concurrency: fields.number("ReservedConcurrentExecutions")?,
        recursive_loop: match fields.string("RecursiveLoop")?.as_deref() {
            Some("Allow") => RecursiveLoop::Allow,
            None | Some("Terminate") => RecursiveLoop::Terminate,
            Some(other) => return Err(fields.error(format!("RecursiveLoop is Allow or Terminate, not {other}"))),
        },
        log_group,
        routes: Vec::new(),
        mappings: Vec::new(),
        schedules: Vec::new(),
        name,
    };
    if let Some(reserved) = function.environment.keys().find(|name| is_reserved(name)) {
        return Err(fields.error(format!("Environment: Lambda sets {reserved} itself")));
    }
    for (name, event) in fields.named("Events")? {
        event::add(&mut function, stack, resource.settings(), name, event)?;
    }
    check_role(&function, stack, resource.settings()).map_err(|reason| fields.error(reason))?;
    fields.finish()?;
    stack.add(function);
    Ok(())
}

/// Whether Lambda can take the function's role and do with it what it does for every function: write the log and, for the mappings,
/// poll the queues (Lambda developer guide, "Defining Lambda function permissions with an execution role" and "Using Lambda
/// with Amazon SQS"). Nothing else in the stand-in would miss these grants.
fn check_role(function: &FunctionResource, stack: &Stack, settings: &Settings) -> Result<(), String> {
    let role_arn = &function.role_arn;
    let role =
        RoleResource::find(stack, role_arn).ok_or_else(|| format!("Role: the template has no role {role_arn}"))?;
    if !role.trusts_lambda() {
        return Err(format!("Role: {} does not let lambda.amazonaws.com assume it", role.name));
    }
    let log_stream = settings.arn("logs", &format!("log-group:{}:log-stream:any", function.log_group));
    let writes_log = ["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| (action, &log_stream));
    let polls = function.mappings.iter().flat_map(|mapping| {
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"].map(|action| (action, &mapping.queue_arn))
    });
    match writes_log.into_iter().chain(polls).find(|(action, resource)| !role.allows(action, resource)) {
        Some((action, resource)) => Err(format!("Role: {} does not allow {action} on {resource}", role.name)),
        None => Ok(()),
    }
}

/// What `Ref` gives for a resource that SAM makes of a function: the event source mapping of its SQS event `name` has the
/// logical id of the function with the event's name after it, and `Ref` gives its UUID (SAM developer guide, "CloudFormation
/// resources generated when AWS::Serverless::Function is specified"; CloudFormation, "AWS::Lambda::EventSourceMapping").
fn generated(settings: &Settings, function: &YamlNode, logical_id: &str, name: &str) -> Option<String> {
    let kind = function.get("Properties")?.get("Events")?.get(name)?.get("Type")?.text()?;
    (kind == "SQS").then(|| event::mapping_id(settings, logical_id))
}

/// The binary to run: the last folder of CodeUri, or what the cargo-lambda build method names.
fn binary(resource: &DeclaredResource<'_>, fields: &Fields<'_>) -> Result<String, TemplateError> {
    let code = fields.required("CodeUri")?;
    let named = resource
        .node
        .get("Metadata")
        .and_then(|metadata| metadata.get("BuildProperties"))
        .and_then(|properties| properties.get("Binary"))
        .and_then(YamlNode::text);
    let folder = || code.trim_end_matches('/').rsplit('/').next().filter(|folder| !folder.is_empty() && *folder != ".");
    named
        .or_else(|| folder().map(str::to_owned))
        .ok_or_else(|| fields.error("CodeUri names no folder that says which binary it is"))
}

/// Names that Lambda refuses in a function's environment (Lambda developer guide, "Defined runtime environment
/// variables").
fn is_reserved(name: &str) -> bool {
    const RESERVED: [&str; 15] = [
        "_HANDLER",
        "_X_AMZN_TRACE_ID",
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_DEFAULT_REGION",
        "AWS_EXECUTION_ENV",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE",
        "AWS_LAMBDA_FUNCTION_NAME",
        "AWS_LAMBDA_FUNCTION_VERSION",
        "AWS_LAMBDA_INITIALIZATION_TYPE",
        "AWS_LAMBDA_LOG_GROUP_NAME",
        "AWS_LAMBDA_LOG_STREAM_NAME",
        "AWS_LAMBDA_RUNTIME_API",
        "AWS_REGION",
        "LAMBDA_TASK_ROOT",
    ];
    RESERVED.contains(&name) || name.starts_with("AWS_SECRET_ACCESS_KEY") || name == "AWS_SESSION_TOKEN"
}
