//! AWS::Serverless::Function.

use std::time::Duration;

use super::{Resource, function_event};
use crate::template::fields::Fields;
use crate::template::intrinsic::Scope;
use crate::template::stack::{Function, RecursiveLoop, Stack};
use crate::template::yaml::Node;
use crate::template::{TemplateError, identity, policy};

/// Adds a function, and the rules that its events make.
pub(super) fn add(resource: &Resource<'_>, stack: &mut Stack, scope: &Scope<'_>) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    fields.string("FunctionName")?;
    let runtime = fields.required("Runtime")?;
    if runtime != "provided.al2023" {
        return Err(fields.error(format!("local runs provided.al2023, not {runtime}")));
    }
    let name = resource.reference(scope)?;
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
    let mut function = Function {
        logical_id: resource.logical_id.to_owned(),
        arn: resource.attribute(scope, "Arn")?,
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
        function_event::add(&mut function, stack, scope, name, event)?;
    }
    check_role(&function, stack, scope).map_err(|reason| fields.error(reason))?;
    fields.finish()?;
    stack.functions.push(function);
    Ok(())
}

/// Whether Lambda can take the function's role and do with it what it does for every function: write the log and, for the mappings,
/// poll the queues (Lambda developer guide, "Defining Lambda function permissions with an execution role" and "Using Lambda
/// with Amazon SQS"). Nothing else in the stand-in would miss these grants.
fn check_role(function: &Function, stack: &Stack, scope: &Scope<'_>) -> Result<(), String> {
    let role_arn = &function.role_arn;
    let role = stack.role_by_arn(role_arn).ok_or_else(|| format!("Role: the template has no role {role_arn}"))?;
    if !policy::trusts_lambda(role) {
        return Err(format!("Role: {} does not let lambda.amazonaws.com assume it", role.name));
    }
    let log_stream = identity::arn(scope, "logs", &format!("log-group:{}:log-stream:any", function.log_group));
    let writes_log = ["logs:CreateLogStream", "logs:PutLogEvents"].map(|action| (action, &log_stream));
    let polls = function.mappings.iter().flat_map(|mapping| {
        ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"].map(|action| (action, &mapping.queue_arn))
    });
    match writes_log.into_iter().chain(polls).find(|(action, resource)| !policy::allows(role, action, resource)) {
        Some((action, resource)) => Err(format!("Role: {} does not allow {action} on {resource}", role.name)),
        None => Ok(()),
    }
}

/// The binary to run: the last folder of CodeUri, or what the cargo-lambda build method names.
fn binary(resource: &Resource<'_>, fields: &Fields<'_>) -> Result<String, TemplateError> {
    let code = fields.required("CodeUri")?;
    let named = resource
        .node()
        .get("Metadata")
        .and_then(|metadata| metadata.get("BuildProperties"))
        .and_then(|properties| properties.get("Binary"))
        .and_then(Node::text);
    let folder = || code.trim_end_matches('/').rsplit('/').next().filter(|folder| !folder.is_empty() && *folder != ".");
    named
        .or_else(|| folder().map(str::to_owned))
        .ok_or_else(|| fields.error("CodeUri names no folder that a binary could be told from"))
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
