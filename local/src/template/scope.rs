//! Gives every name, condition and intrinsic function of a template its value: Ref, Fn::GetAtt, Fn::Sub, Fn::Join and Fn::If,
//! in short and long form.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::condition::{self, ConditionContext};
use super::error::TemplateError;
use super::intrinsic::IntrinsicCall;
use super::parameter;
use super::resource_type::{PhysicalId, PhysicalName, References, ResourceType};
use super::settings::Settings;
use super::yaml::{YamlContent, YamlEntry, YamlNode};

/// What names in a template stand for.
pub(crate) struct TemplateScope<'a> {
    root: &'a YamlNode,
    settings: &'a Settings,
    types: &'a [&'static ResourceType],
    parameters: BTreeMap<String, String>,
    /// What is being resolved right now, so that a circle ends in an error.
    open: RefCell<Vec<String>>,
}

/// Keeps an entry in [`TemplateScope::enter`]'s list while it is being resolved.
struct OpenName<'a>(&'a RefCell<Vec<String>>);

impl Drop for OpenName<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().pop();
    }
}

impl<'a> TemplateScope<'a> {
    /// The scope of a template, its parameters and conditions checked, whether anything uses them or not.
    pub(crate) fn new(
        root: &'a YamlNode,
        settings: &'a Settings,
        types: &'a [&'static ResourceType],
    ) -> Result<Self, TemplateError> {
        let parameters = parameter::values(root, settings)?;
        let scope = Self { root, settings, types, parameters, open: RefCell::default() };
        for condition in root.get("Conditions").and_then(YamlNode::entries).unwrap_or_default() {
            scope.condition(&condition.key, condition.line)?;
        }
        Ok(scope)
    }

    /// The whole template.
    pub(super) fn root(&self) -> &'a YamlNode {
        self.root
    }

    /// The type of this name, if it is known.
    pub(super) fn resource_type(&self, name: &str) -> Option<&'static ResourceType> {
        self.types.iter().copied().find(|known| known.name == name)
    }

    /// The types of resources that are known.
    pub(super) fn resource_types(&self) -> &'a [&'static ResourceType] {
        self.types
    }

    /// Notes that `what` is being resolved until the guard is dropped.
    fn enter(&self, what: &str, line: usize) -> Result<OpenName<'_>, TemplateError> {
        let mut open = self.open.borrow_mut();
        if open.iter().any(|other| other == what) {
            return Err(TemplateError::at(line, what, "it depends on itself"));
        }
        open.push(what.to_owned());
        Ok(OpenName(&self.open))
    }

    /// The node with every intrinsic replaced by its value; `None` for `AWS::NoValue`.
    pub(crate) fn resolve(&self, node: &YamlNode, path: &str) -> Result<Option<YamlNode>, TemplateError> {
        if let Some(call) = IntrinsicCall::from_node(node, false) {
            return self.call(&call, node.line, path);
        }
        let content = match &node.content {
            YamlContent::List(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(item, &format!("{path}[{index}]"))?);
                }
                YamlContent::List(resolved)
            }
            YamlContent::Map(entries) => {
                let mut resolved = Vec::with_capacity(entries.len());
                for YamlEntry { key, line, value } in entries {
                    if let Some(name) = key.strip_prefix("Fn::") {
                        return Err(TemplateError::at(*line, path, format!("Fn::{name} must stand alone")));
                    }
                    if let Some(value) = self.resolve(value, &format!("{path}.{key}"))? {
                        resolved.push(YamlEntry { key: key.clone(), line: *line, value });
                    }
                }
                YamlContent::Map(resolved)
            }
            scalar => scalar.clone(),
        };
        Ok(Some(YamlNode { line: node.line, tag: None, content }))
    }

    fn call(&self, call: &IntrinsicCall<'_>, line: usize, path: &str) -> Result<Option<YamlNode>, TemplateError> {
        let IntrinsicCall { name, argument } = call;
        let fail = |reason: &str| Err(TemplateError::at(line, path, reason));
        let text = match name.as_str() {
            "Ref" => match argument.text().as_deref() {
                Some("AWS::NoValue") => return Ok(None),
                Some(target) => self.value_of(target, line, path)?,
                None => return fail("Ref takes a name"),
            },
            "GetAtt" => {
                let (target, attribute) = match (argument.text(), argument.items()) {
                    (Some(text), _) => match text.split_once('.') {
                        Some((target, attribute)) => (target.to_owned(), attribute.to_owned()),
                        None => return fail("Fn::GetAtt takes a name and an attribute"),
                    },
                    (None, Some([target, attribute])) => match (target.text(), attribute.text()) {
                        (Some(target), Some(attribute)) => (target, attribute),
                        _ => return fail("Fn::GetAtt takes a name and an attribute"),
                    },
                    _ => return fail("Fn::GetAtt takes a name and an attribute"),
                };
                self.attribute(&target, &attribute, line, path)?
            }
            "Sub" => match (argument.text(), argument.items()) {
                (Some(text), _) => self.substitute(&text, &BTreeMap::new(), line, path)?,
                (None, Some([text, variables])) => {
                    let mut values = BTreeMap::new();
                    for entry in variables.entries().unwrap_or_default() {
                        values.insert(entry.key.clone(), self.text(&entry.value, path)?);
                    }
                    match text.text() {
                        Some(text) => self.substitute(&text, &values, line, path)?,
                        None => return fail("Fn::Sub takes a string"),
                    }
                }
                _ => return fail("Fn::Sub takes a string, or a string and its variables"),
            },
            "Join" => {
                let Some([separator, list]) = argument.items() else {
                    return fail("Fn::Join takes a separator and a list");
                };
                let (separator, list) = (self.text(separator, path)?, self.resolve(list, path)?);
                let parts: Option<Vec<String>> = list
                    .as_ref()
                    .and_then(YamlNode::items)
                    .and_then(|items| items.iter().map(YamlNode::text).collect());
                match parts {
                    Some(parts) => parts.join(&separator),
                    None => return fail("Fn::Join takes a list of strings"),
                }
            }
            "If" => {
                let Some([condition, then, otherwise]) = argument.items() else {
                    return fail("Fn::If takes a condition and two values");
                };
                let Some(condition) = condition.text() else {
                    return fail("Fn::If takes the name of a condition");
                };
                let branch = if self.condition(&condition, line)? { then } else { otherwise };
                return self.resolve(branch, path);
            }
            other => return fail(&format!("the intrinsic {other} is not known to local")),
        };
        Ok(Some(YamlNode::string(line, text)))
    }

    /// What `Ref` gives: a parameter's value, a pseudo parameter, or a resource's physical id.
    fn value_of(&self, name: &str, line: usize, path: &str) -> Result<String, TemplateError> {
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        let settings = self.settings;
        match name {
            "AWS::AccountId" => Ok(settings.account_id.clone()),
            "AWS::Partition" => Ok("aws".to_owned()),
            "AWS::Region" => Ok(settings.region.clone()),
            "AWS::StackName" => Ok(settings.stack_name.clone()),
            "AWS::URLSuffix" => Ok("amazonaws.com".to_owned()),
            other if other.starts_with("AWS::") => {
                Err(TemplateError::at(line, path, format!("the pseudo parameter {other} is not known to local")))
            }
            resource => self.reference(resource, line, path),
        }
    }

    fn substitute(
        &self,
        text: &str,
        variables: &BTreeMap<String, String>,
        line: usize,
        path: &str,
    ) -> Result<String, TemplateError> {
        let mut result = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(start) = rest.find("${") {
            let (before, after) = rest.split_at(start);
            result.push_str(before);
            let Some(end) = after.find('}') else {
                return Err(TemplateError::at(line, path, "a `${` in Fn::Sub has no `}`"));
            };
            let name = &after[2..end];
            rest = &after[end + 1..];
            if let Some(literal) = name.strip_prefix('!') {
                result.push_str("${");
                result.push_str(literal);
                result.push('}');
            } else if let Some(value) = variables.get(name) {
                result.push_str(value);
            } else if let Some((target, attribute)) = name.split_once('.') {
                result.push_str(&self.attribute(target, attribute, line, path)?);
            } else {
                result.push_str(&self.value_of(name, line, path)?);
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    fn text(&self, node: &YamlNode, path: &str) -> Result<String, TemplateError> {
        self.resolve(node, path)?
            .as_ref()
            .and_then(YamlNode::text)
            .ok_or_else(|| TemplateError::at(node.line, path, "a string is wanted here"))
    }

    /// What `Ref` gives for a resource that is not written, because SAM makes it of one that is.
    fn generated_reference(&self, logical_id: &str, line: usize) -> Result<Option<String>, TemplateError> {
        let resources = self.root.get("Resources").and_then(YamlNode::entries).unwrap_or_default();
        if resources.iter().any(|resource| resource.key == logical_id) {
            return Ok(None);
        }
        for YamlEntry { key, value, .. } in resources {
            let Some(rest) = logical_id.strip_prefix(key.as_str()) else { continue };
            let kind = value.get("Type").and_then(YamlNode::text).unwrap_or_default();
            let Some(generated) = self.resource_type(&kind).and_then(|kind| kind.generated) else { continue };
            let is_made = match value.get("Condition").and_then(YamlNode::text) {
                Some(condition) => self.condition(&condition, line)?,
                None => true,
            };
            if let Some(reference) = generated(self.settings, value, logical_id, rest).filter(|_| is_made) {
                return Ok(Some(reference));
            }
        }
        Ok(None)
    }

    fn physical_id<'b>(
        &'b self,
        logical_id: &'b str,
        line: usize,
        path: &str,
    ) -> Result<(&'static ResourceType, PhysicalId<'b>), TemplateError> {
        let Some(node) = self.root.get("Resources").and_then(|resources| resources.get(logical_id)) else {
            return Err(TemplateError::at(line, path, format!("there is no parameter or resource {logical_id}")));
        };
        if let Some(condition) = node.get("Condition").and_then(YamlNode::text)
            && !self.condition(&condition, line)?
        {
            let reason = format!("{logical_id} is left out by its condition {condition}");
            return Err(TemplateError::at(line, path, reason));
        }
        let name = node.get("Type").and_then(YamlNode::text).unwrap_or_default();
        let unnamed = || {
            let reason = format!("resources of type {name} cannot be referred to in local");
            TemplateError::at(line, path, reason)
        };
        let resource_type = self.resource_type(&name).ok_or_else(unnamed)?;
        let name = match resource_type.physical_name {
            PhysicalName::Property(property) => match self.property(logical_id, property)? {
                Some(name) => name,
                None => self.settings.generated_name(logical_id),
            },
            PhysicalName::Assigned(assign) => assign(self.settings, logical_id),
            PhysicalName::Unnamed => return Err(unnamed()),
        };
        Ok((resource_type, PhysicalId { logical_id, name, template: self }))
    }
}

impl ConditionContext for TemplateScope<'_> {
    fn condition(&self, name: &str, line: usize) -> Result<bool, TemplateError> {
        let path = format!("Conditions.{name}");
        let Some(node) = self.root.get("Conditions").and_then(|conditions| conditions.get(name)) else {
            return Err(TemplateError::at(line, &path, "the template has no such condition"));
        };
        let _open = self.enter(&path, line)?;
        condition::evaluate(self, node, &path)
    }

    fn condition_text(&self, node: &YamlNode, path: &str) -> Result<Option<String>, TemplateError> {
        Ok(self.resolve(node, path)?.and_then(|node| node.text()))
    }
}

impl References for TemplateScope<'_> {
    fn settings(&self) -> &Settings {
        self.settings
    }

    fn property(&self, logical_id: &str, property: &str) -> Result<Option<String>, TemplateError> {
        let path = format!("Resources.{logical_id}.Properties.{property}");
        let Some(node) = self
            .root
            .get("Resources")
            .and_then(|resources| resources.get(logical_id))
            .and_then(|resource| resource.get("Properties"))
            .and_then(|properties| properties.get(property))
        else {
            return Ok(None);
        };
        let _open = self.enter(&path, node.line)?;
        Ok(self.resolve(node, &path)?.as_ref().and_then(YamlNode::text))
    }

    fn reference(&self, logical_id: &str, line: usize, path: &str) -> Result<String, TemplateError> {
        if let Some(reference) = self.generated_reference(logical_id, line)? {
            return Ok(reference);
        }
        let (resource_type, id) = self.physical_id(logical_id, line, path)?;
        (resource_type.reference)(&id)
    }

    fn attribute(&self, logical_id: &str, attribute: &str, line: usize, path: &str) -> Result<String, TemplateError> {
        let (resource_type, id) = self.physical_id(logical_id, line, path)?;
        match resource_type.attributes.iter().find(|(name, _)| *name == attribute) {
            Some((_, derive)) => derive(&id),
            None => {
                let reason = format!("the attribute {attribute} of {} is not known to local", resource_type.name);
                Err(TemplateError::at(line, path, reason))
            }
        }
    }
}
