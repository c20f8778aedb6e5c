//! Reads a resource's resolved properties, and fails for those that are not known.

use std::cell::RefCell;
use std::time::Duration;

use super::error::TemplateError;
use super::left_out::LeftOut;
use super::yaml::{YamlContent, YamlEntry, YamlNode};

/// The properties of a mapping. [`Fields::finish`] reports those that were not read.
pub(crate) struct Fields<'a> {
    /// Properties that may stay unread.
    left_out: &'static [LeftOut],
    /// The property path within the type, as `left_out` has it; empty for the properties themselves.
    property: String,
    /// The path in the template, for errors.
    path: String,
    line: usize,
    entries: &'a [YamlEntry],
    read: RefCell<Vec<&'a str>>,
}

impl<'a> Fields<'a> {
    /// The properties in `node`, a mapping at `path`.
    pub(crate) fn new(left_out: &'static [LeftOut], path: &str, node: &'a YamlNode) -> Result<Self, TemplateError> {
        Self::at(left_out, String::new(), path.to_owned(), node)
    }

    fn at(
        left_out: &'static [LeftOut],
        property: String,
        path: String,
        node: &'a YamlNode,
    ) -> Result<Self, TemplateError> {
        let entries = match &node.content {
            YamlContent::Map(entries) => entries.as_slice(),
            YamlContent::Null => &[],
            _ => return Err(TemplateError::at(node.line, &path, "a mapping is wanted here")),
        };
        Ok(Self { left_out, property, path, line: node.line, entries, read: RefCell::default() })
    }

    /// The value of a property, marked as read.
    pub(crate) fn node(&self, name: &'a str) -> Option<&'a YamlNode> {
        self.read.borrow_mut().push(name);
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// A string, if it is there.
    pub(crate) fn string(&self, name: &'a str) -> Result<Option<String>, TemplateError> {
        self.scalar(name, "a string", |text| Some(text.to_owned()))
    }

    /// A string that must be there.
    pub(crate) fn required(&self, name: &'a str) -> Result<String, TemplateError> {
        self.string(name)?.ok_or_else(|| self.error(format!("{name} is missing")))
    }

    /// A whole number from 0, if it is there; a string of digits counts, as a Ref gives one.
    pub(crate) fn number(&self, name: &'a str) -> Result<Option<u32>, TemplateError> {
        self.scalar(name, "a whole number", |text| text.parse().ok())
    }

    /// A duration in seconds, if it is there.
    pub(crate) fn seconds(&self, name: &'a str) -> Result<Option<Duration>, TemplateError> {
        Ok(self.number(name)?.map(|seconds| Duration::from_secs(seconds.into())))
    }

    /// A boolean, if it is there.
    pub(crate) fn flag(&self, name: &'a str) -> Result<Option<bool>, TemplateError> {
        self.scalar(name, "true or false", |text| text.parse().ok())
    }

    /// A mapping's own properties, if it is there.
    pub(crate) fn map(&self, name: &'a str) -> Result<Option<Self>, TemplateError> {
        self.node(name).map(|node| self.child(name, "", node)).transpose()
    }

    /// A list of mappings; empty if it is not there.
    pub(crate) fn maps(&self, name: &'a str) -> Result<Vec<Self>, TemplateError> {
        let items = self.items(name)?;
        items.iter().enumerate().map(|(index, node)| self.child(name, &format!("[{index}]"), node)).collect()
    }

    /// A mapping from free names to mappings; empty if it is not there.
    pub(crate) fn named(&self, name: &'a str) -> Result<Vec<(&'a str, Self)>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(Vec::new()) };
        let Some(entries) = node.entries() else {
            return Err(self.error_at(node.line, name, "a mapping is wanted here"));
        };
        let child = |entry: &'a YamlEntry| {
            Ok((entry.key.as_str(), self.child(name, &format!(".{}", entry.key), &entry.value)?))
        };
        entries.iter().map(child).collect()
    }

    /// A list of strings; empty if it is not there. A single string counts as a list of one.
    pub(crate) fn strings(&self, name: &'a str) -> Result<Vec<String>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(Vec::new()) };
        let items = match (node.text(), node.items()) {
            (Some(text), _) => Some(vec![text]),
            (None, Some(items)) => items.iter().map(YamlNode::text).collect(),
            (None, None) => None,
        };
        items.ok_or_else(|| self.error_at(node.line, name, "a list of strings is wanted here"))
    }

    /// A mapping from free names to strings; empty if it is not there.
    pub(crate) fn variables(&self, name: &'a str) -> Result<Vec<(String, String)>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(Vec::new()) };
        let Some(entries) = node.entries() else {
            return Err(self.error_at(node.line, name, "a mapping is wanted here"));
        };
        entries
            .iter()
            .map(|entry| match entry.value.text() {
                Some(text) => Ok((entry.key.clone(), text)),
                None => Err(self.error_at(entry.line, &format!("{name}.{}", entry.key), "a string is wanted here")),
            })
            .collect()
    }

    /// A JSON document (written as YAML or as a string of JSON), if it is there.
    pub(crate) fn document(&self, name: &'a str) -> Result<Option<serde_json::Value>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(None) };
        match &node.content {
            YamlContent::Map(_) => Ok(Some(node.json())),
            YamlContent::String(text) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| self.error_at(node.line, name, "a JSON document is wanted here")),
            _ => Err(self.error_at(node.line, name, "a JSON document is wanted here")),
        }
    }

    /// A policy document, if it is there and `check` finds nothing wrong with it.
    pub(crate) fn policy(
        &self,
        name: &'a str,
        check: fn(&serde_json::Value) -> Result<(), String>,
    ) -> Result<Option<serde_json::Value>, TemplateError> {
        let document = self.document(name)?;
        match document.as_ref().map(check) {
            Some(Err(reason)) => Err(self.error(format!("{name}: {reason}"))),
            _ => Ok(document),
        }
    }

    /// An error about this mapping.
    pub(crate) fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(self.line, &self.path, reason)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A property was neither read nor left out on purpose.
    pub(crate) fn finish(self) -> Result<(), TemplateError> {
        let read = self.read.borrow();
        for entry in self.entries {
            let property = join(&self.property, &entry.key);
            if !read.contains(&entry.key.as_str()) && !self.is_left_out(&property) {
                return Err(self.error_at(entry.line, &entry.key, "this property is not known to local"));
            }
        }
        Ok(())
    }

    fn is_left_out(&self, property: &str) -> bool {
        let found = self.left_out.iter().find(|left_out| left_out.property == property);
        if let Some(LeftOut { reason, .. }) = found {
            tracing::debug!(path = self.path, property, reason, "a property is left out");
        }
        found.is_some()
    }

    fn items(&self, name: &'a str) -> Result<&'a [YamlNode], TemplateError> {
        match self.node(name) {
            None => Ok(&[]),
            Some(node) => node.items().ok_or_else(|| self.error_at(node.line, name, "a list is wanted here")),
        }
    }

    fn child(&self, name: &str, place: &str, node: &'a YamlNode) -> Result<Self, TemplateError> {
        Self::at(self.left_out, join(&self.property, name), format!("{}.{name}{place}", self.path), node)
    }

    fn scalar<T>(
        &self,
        name: &'a str,
        wanted: &str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(None) };
        match node.text().as_deref().and_then(read) {
            Some(value) => Ok(Some(value)),
            None => Err(self.error_at(node.line, name, format!("{wanted} is wanted here"))),
        }
    }

    fn error_at(&self, line: usize, name: &str, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(line, &format!("{}.{name}", self.path), reason)
    }
}

fn join(property: &str, name: &str) -> String {
    match property {
        "" => name.to_owned(),
        property => format!("{property}.{name}"),
    }
}
