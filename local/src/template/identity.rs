//! Physical ids: what Ref and Fn::GetAtt give for each type of resource.
//!
//! They follow from the template and the settings alone, so that everything can be resolved before anything is created, and
//! they are the same at every start.

use sha2::{Digest, Sha256};

use super::TemplateError;
use super::intrinsic::Scope;
use super::yaml::Node;

/// A resource of the template: its type and its physical name.
struct Resource {
    kind: String,
    name: String,
}

/// What `Ref` gives for a resource.
pub(super) fn reference(scope: &Scope<'_>, logical_id: &str, line: usize, path: &str) -> Result<String, TemplateError> {
    let Resource { kind, name } = resource(scope, logical_id, line, path)?;
    let value = match kind.as_str() {
        "AWS::SQS::Queue" => queue_url(scope, &name),
        "AWS::Events::Rule" => match rule_bus(scope, logical_id)?.as_str() {
            "default" => name,
            bus => format!("{bus}|{name}"),
        },
        _ => name,
    };
    Ok(value)
}

/// What `Fn::GetAtt` gives for a resource.
pub(super) fn attribute(
    scope: &Scope<'_>,
    logical_id: &str,
    attribute: &str,
    line: usize,
    path: &str,
) -> Result<String, TemplateError> {
    let Resource { kind, name } = resource(scope, logical_id, line, path)?;
    let value = match (kind.as_str(), attribute) {
        ("AWS::DynamoDB::Table", "Arn") => arn(scope, "dynamodb", &format!("table/{name}")),
        ("AWS::SQS::Queue", "Arn") => arn(scope, "sqs", &name),
        ("AWS::SQS::Queue", "QueueName") => name,
        ("AWS::SQS::Queue", "QueueUrl") => queue_url(scope, &name),
        ("AWS::KMS::Key", "Arn") => arn(scope, "kms", &format!("key/{name}")),
        ("AWS::KMS::Key", "KeyId") => name,
        ("AWS::Events::EventBus", "Arn") => arn(scope, "events", &format!("event-bus/{name}")),
        ("AWS::Events::EventBus", "Name") => name,
        ("AWS::Events::Rule", "Arn") => match rule_bus(scope, logical_id)?.as_str() {
            "default" => arn(scope, "events", &format!("rule/{name}")),
            bus => arn(scope, "events", &format!("rule/{bus}/{name}")),
        },
        ("AWS::IAM::Role", "Arn") => format!(
            "arn:aws:iam::{}:role{}{name}",
            scope.settings.account_id,
            naming_property(scope, logical_id, "Path")?.unwrap_or_else(|| "/".to_owned()),
        ),
        // CloudFormation: AWS::Logs::LogGroup, "Arn" ends in `:*`.
        ("AWS::Logs::LogGroup", "Arn") => arn(scope, "logs", &format!("log-group:{name}:*")),
        ("AWS::Serverless::Function", "Arn") => arn(scope, "lambda", &format!("function:{name}")),
        ("AWS::Serverless::HttpApi", "ApiId") => name,
        ("AWS::Serverless::HttpApi", "ApiEndpoint") => scope.settings.api_endpoint.clone(),
        (kind, attribute) => {
            let reason = format!("the attribute {attribute} of {kind} is not known to local");
            return Err(TemplateError::at(line, path, reason));
        }
    };
    Ok(value)
}

/// An ARN in the stack's Region and account.
pub(super) fn arn(scope: &Scope<'_>, service: &str, resource: &str) -> String {
    format!("arn:aws:{service}:{}:{}:{resource}", scope.settings.region, scope.settings.account_id)
}

/// A name as CloudFormation makes one for a resource that has none: stack, logical id and a random part, which here is
/// taken from the first two so that it stays.
pub(super) fn generated_name(scope: &Scope<'_>, logical_id: &str) -> String {
    const ALPHABET: &[u8; 36] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    let suffix: String =
        digest(scope, logical_id)[..12].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 36)])).collect();
    format!("{}-{logical_id}-{suffix}", scope.settings.stack_name)
}

fn queue_url(scope: &Scope<'_>, name: &str) -> String {
    format!("{}/{}/{name}", scope.settings.aws_endpoint, scope.settings.account_id)
}

fn resource(scope: &Scope<'_>, logical_id: &str, line: usize, path: &str) -> Result<Resource, TemplateError> {
    let Some(node) = scope.root.get("Resources").and_then(|resources| resources.get(logical_id)) else {
        return Err(TemplateError::at(line, path, format!("there is no parameter or resource {logical_id}")));
    };
    if let Some(condition) = node.get("Condition").and_then(Node::text)
        && !scope.condition(&condition, line)?
    {
        let reason = format!("{logical_id} is left out by its condition {condition}");
        return Err(TemplateError::at(line, path, reason));
    }
    let kind = node.get("Type").and_then(Node::text).unwrap_or_default();
    let property = match kind.as_str() {
        "AWS::DynamoDB::Table" => "TableName",
        "AWS::SQS::Queue" => "QueueName",
        "AWS::Events::EventBus" | "AWS::Events::Rule" => "Name",
        "AWS::IAM::Role" => "RoleName",
        "AWS::Logs::LogGroup" => "LogGroupName",
        "AWS::Serverless::Function" => "FunctionName",
        "AWS::KMS::Alias" => "AliasName",
        "AWS::CloudWatch::Alarm" => "AlarmName",
        "AWS::KMS::Key" => return Ok(Resource { kind, name: uuid(scope, logical_id) }),
        "AWS::Serverless::HttpApi" => return Ok(Resource { kind, name: api_id(scope, logical_id) }),
        other => {
            let reason = format!("resources of type {other} cannot be referred to in local");
            return Err(TemplateError::at(line, path, reason));
        }
    };
    let name = match naming_property(scope, logical_id, property)? {
        Some(name) => name,
        None => generated_name(scope, logical_id),
    };
    Ok(Resource { kind, name })
}

/// The value of a property that a physical id is made of.
fn naming_property(scope: &Scope<'_>, logical_id: &str, property: &str) -> Result<Option<String>, TemplateError> {
    let path = format!("Resources.{logical_id}.Properties.{property}");
    let Some(node) = scope
        .root
        .get("Resources")
        .and_then(|resources| resources.get(logical_id))
        .and_then(|resource| resource.get("Properties"))
        .and_then(|properties| properties.get(property))
    else {
        return Ok(None);
    };
    let _guard = scope.enter(&path, node.line)?;
    Ok(scope.resolve(node, &path)?.as_ref().and_then(Node::text))
}

/// The name of the bus a rule is on; the property takes a name or an ARN.
fn rule_bus(scope: &Scope<'_>, logical_id: &str) -> Result<String, TemplateError> {
    let bus = naming_property(scope, logical_id, "EventBusName")?.unwrap_or_else(|| "default".to_owned());
    Ok(bus.rsplit('/').next().unwrap_or_default().to_owned())
}

/// A key id: 36 characters of a UUID (version 4 in form).
fn uuid(scope: &Scope<'_>, logical_id: &str) -> String {
    let hex: String = digest(scope, logical_id)[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{}-4{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..])
}

/// An API id: ten lower-case letters and digits.
fn api_id(scope: &Scope<'_>, logical_id: &str) -> String {
    const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    digest(scope, logical_id)[..10].iter().map(|byte| char::from(ALPHABET[usize::from(byte % 36)])).collect()
}

fn digest(scope: &Scope<'_>, logical_id: &str) -> [u8; 32] {
    let settings = scope.settings;
    Sha256::digest(format!("{}/{}/{}/{logical_id}", settings.account_id, settings.region, settings.stack_name)).into()
}
