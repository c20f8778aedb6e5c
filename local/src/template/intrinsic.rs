//! Intrinsic functions: Ref, Fn::GetAtt, Fn::Sub, Fn::Join and Fn::If, in short and long form.

use std::cell::RefCell;
use std::collections::BTreeMap;

use super::yaml::{Content, Entry, Node};
use super::{Settings, TemplateError, condition, identity, parameter};

/// What names in a template stand for.
pub(super) struct Scope<'a> {
    /// The whole template.
    pub(super) root: &'a Node,
    /// What the deployment adds.
    pub(super) settings: &'a Settings,
    parameters: BTreeMap<String, String>,
    /// What is being resolved right now, so that a circle ends in an error.
    open: RefCell<Vec<String>>,
}

/// Keeps an entry in [`Scope::enter`]'s list while it is being resolved.
pub(super) struct Guard<'a>(&'a RefCell<Vec<String>>);

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.0.borrow_mut().pop();
    }
}

/// A use of an intrinsic function: its name without `Fn::`, and its argument.
pub(super) struct Function<'a> {
    /// `Ref`, `GetAtt`, `Sub`, …
    pub(super) name: String,
    /// The argument without the tag.
    pub(super) argument: &'a Node,
}

impl<'a> Function<'a> {
    /// The intrinsic that `node` is, if it is one. `Condition` counts only inside conditions: elsewhere it is the element of
    /// a policy statement.
    pub(super) fn of(node: &'a Node, in_condition: bool) -> Option<Self> {
        if let Some(tag) = &node.tag {
            return Some(Self { name: tag.clone(), argument: node });
        }
        let [Entry { key, value, .. }] = node.entries()? else { return None };
        let name = match key.as_str() {
            "Ref" => key,
            "Condition" if in_condition => key,
            other => other.strip_prefix("Fn::")?,
        };
        Some(Self { name: name.to_owned(), argument: value })
    }
}

impl<'a> Scope<'a> {
    /// The scope of a template, its parameters and conditions checked, whether anything uses them or not.
    pub(super) fn new(root: &'a Node, settings: &'a Settings) -> Result<Self, TemplateError> {
        let parameters = parameter::values(root, settings)?;
        let scope = Self { root, settings, parameters, open: RefCell::default() };
        for condition in root.get("Conditions").and_then(Node::entries).unwrap_or_default() {
            scope.condition(&condition.key, condition.line)?;
        }
        Ok(scope)
    }

    /// Notes that `what` is being resolved until the guard is dropped.
    pub(super) fn enter(&self, what: &str, line: usize) -> Result<Guard<'_>, TemplateError> {
        let mut open = self.open.borrow_mut();
        if open.iter().any(|other| other == what) {
            return Err(TemplateError::at(line, what, "it depends on itself"));
        }
        open.push(what.to_owned());
        Ok(Guard(&self.open))
    }

    /// Whether the named condition holds.
    pub(super) fn condition(&self, name: &str, line: usize) -> Result<bool, TemplateError> {
        condition::holds(self, name, line)
    }

    /// The node with every intrinsic replaced by its value; `None` for `AWS::NoValue`.
    pub(super) fn resolve(&self, node: &Node, path: &str) -> Result<Option<Node>, TemplateError> {
        if let Some(function) = Function::of(node, false) {
            return self.call(&function, node.line, path);
        }
        let content = match &node.content {
            Content::List(items) => {
                let mut resolved = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    resolved.extend(self.resolve(item, &format!("{path}[{index}]"))?);
                }
                Content::List(resolved)
            }
            Content::Map(entries) => {
                let mut resolved = Vec::with_capacity(entries.len());
                for Entry { key, line, value } in entries {
                    if let Some(name) = key.strip_prefix("Fn::") {
                        return Err(TemplateError::at(*line, path, format!("Fn::{name} must stand alone")));
                    }
                    if let Some(value) = self.resolve(value, &format!("{path}.{key}"))? {
                        resolved.push(Entry { key: key.clone(), line: *line, value });
                    }
                }
                Content::Map(resolved)
            }
            scalar => scalar.clone(),
        };
        Ok(Some(Node { line: node.line, tag: None, content }))
    }

    fn call(&self, function: &Function<'_>, line: usize, path: &str) -> Result<Option<Node>, TemplateError> {
        let Function { name, argument } = function;
        let fail = |reason: &str| Err(TemplateError::at(line, path, reason));
        let text = match name.as_str() {
            "Ref" => match argument.text().as_deref() {
                Some("AWS::NoValue") => return Ok(None),
                Some(target) => self.reference(target, line, path)?,
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
                identity::attribute(self, &target, &attribute, line, path)?
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
                let parts: Option<Vec<String>> =
                    list.as_ref().and_then(Node::items).and_then(|items| items.iter().map(Node::text).collect());
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
        Ok(Some(Node::string(line, text)))
    }

    /// What `Ref` gives: a parameter's value, a pseudo parameter, or a resource's physical id.
    fn reference(&self, name: &str, line: usize, path: &str) -> Result<String, TemplateError> {
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
            resource => identity::reference(self, resource, line, path),
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
                result.push_str(&identity::attribute(self, target, attribute, line, path)?);
            } else {
                result.push_str(&self.reference(name, line, path)?);
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    fn text(&self, node: &Node, path: &str) -> Result<String, TemplateError> {
        self.resolve(node, path)?
            .as_ref()
            .and_then(Node::text)
            .ok_or_else(|| TemplateError::at(node.line, path, "a string is wanted here"))
    }
}
