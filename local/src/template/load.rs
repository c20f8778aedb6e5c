//! Builds the stack from the template's resources, each by its type.

use super::condition::ConditionContext as _;
use super::error::TemplateError;
use super::resource_type::{DeclaredResource, ResourceType};
use super::scope::TemplateScope;
use super::settings::Settings;
use super::stack::Stack;
use super::yaml::{YamlContent, YamlEntry, YamlNode};

/// Reads a template whose resources are of the given types.
///
/// # Errors
/// The first thing in it that is wrong, or that is not known here.
pub(crate) fn load(text: &str, settings: &Settings, types: &[&'static ResourceType]) -> Result<Stack, TemplateError> {
    let root = YamlNode::parse(text)?;
    check_sections(&root)?;
    let scope = TemplateScope::new(&root, settings, types)?;
    let mut stack = Stack::new(&settings.stack_name, &settings.account_id, &settings.region);
    let resources = present(&scope)?;
    let (dependent, first): (Vec<_>, Vec<_>) =
        resources.iter().partition(|resource| resource.resource_type.is_dependent);
    for resource in first.into_iter().chain(dependent) {
        (resource.resource_type.read)(resource, &mut stack)?;
    }
    outputs(&scope, &mut stack)?;
    Ok(stack)
}

/// CloudFormation's top-level sections, those that mean something here.
fn check_sections(root: &YamlNode) -> Result<(), TemplateError> {
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

/// The resources whose condition holds, with Globals merged in and their properties resolved.
fn present<'a>(scope: &'a TemplateScope<'a>) -> Result<Vec<DeclaredResource<'a>>, TemplateError> {
    let globals = globals(scope)?;
    let mut present = Vec::new();
    for YamlEntry { key, line, value } in scope.root().get("Resources").and_then(YamlNode::entries).unwrap_or_default()
    {
        let path = format!("Resources.{key}");
        let fail = |line: usize, reason: &str| Err(TemplateError::at(line, &path, reason));
        for attribute in value.entries().unwrap_or_default() {
            check_attribute(scope, attribute).map_err(|reason| TemplateError::at(attribute.line, &path, reason))?;
        }
        let Some(name) = value.get("Type").and_then(YamlNode::text) else { return fail(*line, "it has no Type") };
        if let Some(condition) = value.get("Condition") {
            let Some(condition_name) = condition.text() else { return fail(condition.line, "Condition takes a name") };
            if !scope.condition(&condition_name, condition.line)? {
                continue;
            }
        }
        let Some(resource_type) = scope.resource_type(&name) else {
            return fail(*line, &format!("resources of type {name} are not known to local"));
        };
        let empty = YamlNode { line: *line, tag: None, content: YamlContent::Map(Vec::new()) };
        let written = value.get("Properties").unwrap_or(&empty);
        let merged;
        let properties = match globals.iter().find(|section| resource_type.globals == Some(&section.key)) {
            Some(section) => {
                merged = merge(&section.value, written);
                &merged
            }
            None => written,
        };
        let properties = scope.resolve(properties, &format!("{path}.Properties"))?.unwrap_or(empty);
        present.push(DeclaredResource {
            logical_id: key,
            resource_type,
            line: *line,
            node: value,
            properties,
            template: scope,
        });
    }
    Ok(present)
}

/// Whether an attribute beside a resource's properties is one that CloudFormation takes. DependsOn and the policies on deletion
/// change nothing here: the order of creation follows from the references, and nothing outlives the process.
fn check_attribute(scope: &TemplateScope<'_>, attribute: &YamlEntry) -> Result<(), String> {
    let YamlEntry { key, value, .. } = attribute;
    match key.as_str() {
        "Type" | "Properties" | "Condition" | "Metadata" => Ok(()),
        "DependsOn" => {
            let one = std::slice::from_ref(value);
            let resources = scope.root().get("Resources");
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

/// The sections of Globals, each of a type of resource that is known.
fn globals<'a>(scope: &TemplateScope<'a>) -> Result<&'a [YamlEntry], TemplateError> {
    let sections = scope.root().get("Globals").and_then(YamlNode::entries).unwrap_or_default();
    let is_known =
        |section: &&YamlEntry| scope.resource_types().iter().any(|known| known.globals == Some(&section.key));
    match sections.iter().find(|section| !is_known(section)) {
        Some(other) => Err(TemplateError::at(other.line, &format!("Globals.{}", other.key), "not known to local")),
        None => Ok(sections),
    }
}

/// SAM's merge of Globals (SAM developer guide, "Globals section"): mappings are merged, lists are joined with the global
/// items first, the resource's own value wins otherwise.
fn merge(global: &YamlNode, own: &YamlNode) -> YamlNode {
    if global.tag.is_some() || own.tag.is_some() {
        return own.clone();
    }
    let content = match (&global.content, &own.content) {
        (YamlContent::Map(global), YamlContent::Map(own)) => {
            let mut entries = own.clone();
            for entry in global {
                match entries.iter_mut().find(|other| other.key == entry.key) {
                    Some(other) => other.value = merge(&entry.value, &other.value),
                    None => entries.push(entry.clone()),
                }
            }
            YamlContent::Map(entries)
        }
        (YamlContent::List(global), YamlContent::List(own)) => {
            YamlContent::List(global.iter().chain(own).cloned().collect())
        }
        (_, own) => own.clone(),
    };
    YamlNode { line: own.line, tag: None, content }
}

fn outputs(scope: &TemplateScope<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    for YamlEntry { key, line, value } in scope.root().get("Outputs").and_then(YamlNode::entries).unwrap_or_default() {
        let path = format!("Outputs.{key}");
        let mut text = None;
        let mut is_present = true;
        for YamlEntry { key, line, value } in value.entries().unwrap_or_default() {
            match key.as_str() {
                "Description" | "Export" => {}
                "Condition" => is_present = scope.condition(&value.text().unwrap_or_default(), *line)?,
                "Value" => text = Some(value),
                other => return Err(TemplateError::at(*line, &path, format!("{other} is not known to local"))),
            }
        }
        if !is_present {
            continue;
        }
        let Some(node) = text else { return Err(TemplateError::at(*line, &path, "it has no Value")) };
        let Some(text) = scope.resolve(node, &path)?.as_ref().and_then(YamlNode::text) else {
            return Err(TemplateError::at(node.line, &path, "a string is wanted here"));
        };
        stack.outputs.insert(key.clone(), text);
    }
    Ok(())
}
