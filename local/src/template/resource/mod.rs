//! Builds the stack from the template's resources, a file for each service.

mod dynamodb;
mod events;
mod function;
mod function_event;
mod iam;
mod kms;
mod sqs;

use super::fields::Fields;
use super::ignored::is_ignored;
use super::intrinsic::Scope;
use super::stack::{HttpApi, Stack};
use super::yaml::{Content, Entry, Node};
use super::{Settings, TemplateError, identity};

/// The whole stack.
pub(super) fn build(scope: &Scope<'_>, settings: &Settings) -> Result<Stack, TemplateError> {
    let mut stack = Stack {
        account_id: settings.account_id.clone(),
        region: settings.region.clone(),
        tables: Vec::new(),
        queues: Vec::new(),
        keys: Vec::new(),
        buses: Vec::new(),
        rules: Vec::new(),
        roles: Vec::new(),
        functions: Vec::new(),
        http_api: None,
        outputs: Default::default(),
    };
    let resources = present(scope)?;
    // Those that give another resource something (a policy, an alias) or check it come after it.
    for resource in resources.iter().filter(|resource| !resource.is_dependent()) {
        resource.add_to(&mut stack, scope)?;
    }
    for resource in resources.iter().filter(|resource| resource.is_dependent()) {
        resource.add_to(&mut stack, scope)?;
    }
    outputs(scope, &mut stack)?;
    Ok(stack)
}

/// A resource with its properties resolved.
pub(super) struct Resource<'a> {
    /// Its name in the template.
    pub(super) logical_id: &'a str,
    /// Its type.
    pub(super) kind: String,
    /// Where it starts.
    pub(super) line: usize,
    properties: Node,
    /// The whole resource as written.
    node: &'a Node,
}

impl Resource<'_> {
    /// The properties, to be read.
    pub(super) fn fields(&self) -> Result<Fields<'_>, TemplateError> {
        Fields::new(&self.kind, &format!("Resources.{}.Properties", self.logical_id), &self.properties)
    }

    /// What `Ref` gives for it.
    pub(super) fn reference(&self, scope: &Scope<'_>) -> Result<String, TemplateError> {
        identity::reference(scope, self.logical_id, self.line, self.logical_id)
    }

    /// What `Fn::GetAtt` gives for it.
    pub(super) fn attribute(&self, scope: &Scope<'_>, name: &str) -> Result<String, TemplateError> {
        identity::attribute(scope, self.logical_id, name, self.line, self.logical_id)
    }

    fn is_dependent(&self) -> bool {
        matches!(
            self.kind.as_str(),
            "AWS::SQS::QueuePolicy" | "AWS::KMS::Alias" | "AWS::Events::Rule" | "AWS::Serverless::Function"
        )
    }

    fn add_to(&self, stack: &mut Stack, scope: &Scope<'_>) -> Result<(), TemplateError> {
        match self.kind.as_str() {
            "AWS::DynamoDB::Table" => stack.tables.push(dynamodb::table(self, scope)?),
            "AWS::SQS::Queue" => stack.queues.push(sqs::queue(self, scope)?),
            "AWS::SQS::QueuePolicy" => sqs::apply_policy(self, stack)?,
            "AWS::KMS::Key" => stack.keys.push(kms::key(self, scope)?),
            "AWS::KMS::Alias" => kms::apply_alias(self, stack)?,
            "AWS::Events::EventBus" => stack.buses.push(events::bus(self)?),
            "AWS::Events::Rule" => {
                let rule = events::rule(self, stack, scope)?;
                stack.rules.push(rule);
            }
            "AWS::IAM::Role" => stack.roles.push(iam::role(self, scope)?),
            "AWS::Serverless::HttpApi" => {
                if stack.http_api.is_some() {
                    return Err(self.error("local knows one HTTP API"));
                }
                stack.http_api = Some(http_api(self, scope)?);
            }
            "AWS::Serverless::Function" => function::add(self, stack, scope)?,
            other if is_ignored(other, "*") => {}
            other => return Err(self.error(format!("resources of type {other} are not known to local"))),
        }
        Ok(())
    }

    /// An error about the whole resource.
    pub(super) fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(self.line, &format!("Resources.{}", self.logical_id), reason)
    }

    /// The resource as written, for attributes beside Properties.
    pub(super) fn node(&self) -> &Node {
        self.node
    }
}

/// The resources whose condition holds, with Globals merged in and their properties resolved.
fn present<'a>(scope: &Scope<'a>) -> Result<Vec<Resource<'a>>, TemplateError> {
    let globals = globals(scope)?;
    let mut present = Vec::new();
    for Entry { key, line, value } in scope.root.get("Resources").and_then(Node::entries).unwrap_or_default() {
        let path = format!("Resources.{key}");
        let fail = |line: usize, reason: &str| Err(TemplateError::at(line, &path, reason));
        for attribute in value.entries().unwrap_or_default() {
            check_attribute(scope, attribute).map_err(|reason| TemplateError::at(attribute.line, &path, reason))?;
        }
        let Some(kind) = value.get("Type").and_then(Node::text) else { return fail(*line, "it has no Type") };
        if let Some(condition) = value.get("Condition") {
            let Some(name) = condition.text() else { return fail(condition.line, "Condition takes a name") };
            if !scope.condition(&name, condition.line)? {
                continue;
            }
        }
        let empty = Node { line: *line, tag: None, content: Content::Map(Vec::new()) };
        let written = value.get("Properties").unwrap_or(&empty);
        let merged;
        let properties = match globals {
            Some(globals) if kind == "AWS::Serverless::Function" => {
                merged = merge(globals, written);
                &merged
            }
            _ => written,
        };
        let properties = scope.resolve(properties, &format!("{path}.Properties"))?.unwrap_or(empty);
        present.push(Resource { logical_id: key, kind, line: *line, properties, node: value });
    }
    Ok(present)
}

/// Whether an attribute beside a resource's properties is one that CloudFormation takes. DependsOn and the policies on deletion
/// change nothing here: the order of creation follows from the references, and nothing outlives the process.
fn check_attribute(scope: &Scope<'_>, attribute: &Entry) -> Result<(), String> {
    let Entry { key, value, .. } = attribute;
    match key.as_str() {
        "Type" | "Properties" | "Condition" | "Metadata" => Ok(()),
        "DependsOn" => {
            let one = std::slice::from_ref(value);
            let resources = scope.root.get("Resources");
            for name in value.items().unwrap_or(one).iter().map(|name| name.text().unwrap_or_default()) {
                if resources.and_then(|resources| resources.get(&name)).is_none() {
                    return Err(format!("DependsOn: there is no resource {name}"));
                }
            }
            Ok(())
        }
        // CloudFormation user guide, "DeletionPolicy attribute" and "UpdateReplacePolicy attribute"; nothing here takes snapshots.
        "DeletionPolicy" | "UpdateReplacePolicy" => match value.text().as_deref() {
            Some("Delete" | "Retain") => Ok(()),
            Some("RetainExceptOnCreate") if key == "DeletionPolicy" => Ok(()),
            _ => Err(format!("{key} is Delete or Retain")),
        },
        other => Err(format!("{other} is not known to local")),
    }
}

/// `Globals.Function`, the one section of Globals that is known.
fn globals<'a>(scope: &Scope<'a>) -> Result<Option<&'a Node>, TemplateError> {
    let entries = scope.root.get("Globals").and_then(Node::entries).unwrap_or_default();
    match entries.iter().find(|entry| entry.key != "Function") {
        Some(other) => Err(TemplateError::at(other.line, &format!("Globals.{}", other.key), "not known to local")),
        None => Ok(entries.first().map(|entry| &entry.value)),
    }
}

/// SAM's merge of Globals (SAM developer guide, "Globals section"): mappings are merged, lists are joined with the global
/// items first, the resource's own value wins otherwise.
fn merge(global: &Node, own: &Node) -> Node {
    if global.tag.is_some() || own.tag.is_some() {
        return own.clone();
    }
    let content = match (&global.content, &own.content) {
        (Content::Map(global), Content::Map(own)) => {
            let mut entries = own.clone();
            for entry in global {
                match entries.iter_mut().find(|other| other.key == entry.key) {
                    Some(other) => other.value = merge(&entry.value, &other.value),
                    None => entries.push(entry.clone()),
                }
            }
            Content::Map(entries)
        }
        (Content::List(global), Content::List(own)) => Content::List(global.iter().chain(own).cloned().collect()),
        (_, own) => own.clone(),
    };
    Node { line: own.line, tag: None, content }
}

fn http_api(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<HttpApi, TemplateError> {
    let fields = resource.fields()?;
    let stage = fields.string("StageName")?.unwrap_or_else(|| "$default".to_owned());
    if stage != "$default" {
        return Err(fields.error("local knows the stage $default alone"));
    }
    let mut default_authorizer = None;
    let mut iam_enabled = false;
    if let Some(auth) = fields.map("Auth")? {
        iam_enabled = auth.flag("EnableIamAuthorizer")?.unwrap_or(false);
        default_authorizer = auth.string("DefaultAuthorizer")?;
        auth.finish()?;
    }
    let default_authorizer = function_event::authorizer(default_authorizer.as_deref(), iam_enabled)
        .map_err(|reason| fields.error(reason))?;
    fields.finish()?;
    Ok(HttpApi { id: resource.reference(scope)?, stage, iam_enabled, default_authorizer })
}

fn outputs(scope: &Scope<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    for Entry { key, line, value } in scope.root.get("Outputs").and_then(Node::entries).unwrap_or_default() {
        let path = format!("Outputs.{key}");
        let mut text = None;
        let mut wanted = true;
        for Entry { key, line, value } in value.entries().unwrap_or_default() {
            match key.as_str() {
                "Description" | "Export" => {}
                "Condition" => wanted = scope.condition(&value.text().unwrap_or_default(), *line)?,
                "Value" => text = Some(value),
                other => return Err(TemplateError::at(*line, &path, format!("{other} is not known to local"))),
            }
        }
        if !wanted {
            continue;
        }
        let Some(node) = text else { return Err(TemplateError::at(*line, &path, "it has no Value")) };
        let Some(text) = scope.resolve(node, &path)?.as_ref().and_then(Node::text) else {
            return Err(TemplateError::at(node.line, &path, "a string is wanted here"));
        };
        stack.outputs.insert(key.clone(), text);
    }
    Ok(())
}
