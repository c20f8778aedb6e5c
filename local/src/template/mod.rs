//! Reads `template.yaml` and says what it means: the stack with every parameter, condition and intrinsic resolved.
//!
//! Nothing is passed over in silence. A resource type, property or intrinsic that is not known here fails the start with its
//! line, except those that [`ignored`] lists, each with the reason why leaving it out changes nothing on one machine.

mod condition;
mod fields;
mod identity;
mod ignored;
mod intrinsic;
mod parameter;
mod policy;
mod resource;
pub(crate) mod stack;
mod yaml;

use std::collections::BTreeMap;

use self::intrinsic::Scope;
use self::stack::Stack;
use self::yaml::Node;

/// The template this binary was built with.
pub(crate) const EMBEDDED: &str = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../template.yaml"));

/// What a deployment would add to the template.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The stack's name (`AWS::StackName`).
    pub(crate) stack_name: String,
    /// The operator's account, 12 digits (`AWS::AccountId`).
    pub(crate) account_id: String,
    /// The Region (`AWS::Region`).
    pub(crate) region: String,
    /// Where the stand-in listens, without a trailing slash; queue URLs start with it.
    pub(crate) aws_endpoint: String,
    /// Where the HTTP API listens, without a trailing slash; what `!GetAtt Api.ApiEndpoint` gives.
    pub(crate) api_endpoint: String,
    /// Values of the template's Parameters; those not named take their defaults.
    pub(crate) parameters: BTreeMap<String, String>,
}

/// Where a template cannot be brought up, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TemplateError {
    line: usize,
    path: String,
    reason: String,
}

impl TemplateError {
    /// An error at a line (counted from 1) and a dotted path such as `Resources.SendQueue.Properties.DelaySeconds`.
    pub(crate) fn at(line: usize, path: &str, reason: impl Into<String>) -> Self {
        Self { line, path: path.to_owned(), reason: reason.into() }
    }
}

impl std::fmt::Display for TemplateError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "line {}: {}", self.line, self.reason),
            path => write!(f, "line {}: {path}: {}", self.line, self.reason),
        }
    }
}

impl std::error::Error for TemplateError {}

/// Reads a template.
///
/// # Errors
/// The first thing in it that is wrong, or that is not known here.
pub(crate) fn load(text: &str, settings: &Settings) -> Result<Stack, TemplateError> {
    let root = Node::parse(text)?;
    check_sections(&root)?;
    let scope = Scope::new(&root, settings)?;
    resource::build(&scope, settings)
}

/// CloudFormation's top-level sections, those that mean something here.
fn check_sections(root: &Node) -> Result<(), TemplateError> {
    let Some(entries) = root.entries() else {
        return Err(TemplateError::at(root.line, "", "a template is a mapping"));
    };
    for entry in entries {
        match entry.key.as_str() {
            "AWSTemplateFormatVersion" | "Description" | "Metadata" => {}
            "Parameters" | "Conditions" | "Globals" | "Resources" | "Outputs" => {}
            "Transform" => {
                if entry.value.text().as_deref() != Some("AWS::Serverless-2016-10-31") {
                    return Err(TemplateError::at(entry.line, "Transform", "only AWS::Serverless-2016-10-31 is known"));
                }
            }
            other => return Err(TemplateError::at(entry.line, other, "this section is not known to local")),
        }
    }
    Ok(())
}

#[cfg(test)]
mod house_rules;
#[cfg(test)]
mod tests;
