//! Reads a resource's resolved properties, and fails for those that nobody asked for.

use std::cell::RefCell;
use std::time::Duration;

use super::TemplateError;
use super::ignored::is_ignored;
use super::yaml::{Content, Entry, Node};

/// The properties of a mapping. [`Fields::finish`] reports those that were not read.
pub(super) struct Fields<'a> {
    /// The resource type, for the ignored list.
    kind: &'a str,
    /// The property path within the type, for the ignored list; empty for the properties themselves.
    property: String,
    /// The path in the template, for errors.
    path: String,
    line: usize,
    entries: &'a [Entry],
    read: RefCell<Vec<&'a str>>,
}

impl<'a> Fields<'a> {
    /// The properties in `node`, a mapping at `path`.
    pub(super) fn new(kind: &'a str, path: &str, node: &'a Node) -> Result<Self, TemplateError> {
        Self::at(kind, String::new(), path.to_owned(), node)
    }

    fn at(kind: &'a str, property: String, path: String, node: &'a Node) -> Result<Self, TemplateError> {
        let entries = match &node.content {
            Content::Map(entries) => entries.as_slice(),
            Content::Null => &[],
            _ => return Err(TemplateError::at(node.line, &path, "a mapping is wanted here")),
        };
        Ok(Self { kind, property, path, line: node.line, entries, read: RefCell::default() })
    }

    /// The value of a property, marked as read.
    pub(super) fn node(&self, name: &'a str) -> Option<&'a Node> {
        self.read.borrow_mut().push(name);
        self.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.value)
    }

    /// A string, if it is there.
    pub(super) fn string(&self, name: &'a str) -> Result<Option<String>, TemplateError> {
        self.scalar(name, "a string", |text| Some(text.to_owned()))
    }

    /// A string that must be there.
    pub(super) fn required(&self, name: &'a str) -> Result<String, TemplateError> {
        self.string(name)?.ok_or_else(|| self.error(format!("{name} is missing")))
    }

    /// A whole number from 0, if it is there; a string of digits counts, as a Ref gives one.
    pub(super) fn number(&self, name: &'a str) -> Result<Option<u32>, TemplateError> {
        self.scalar(name, "a whole number", |text| text.parse().ok())
    }

    /// A duration in seconds, if it is there.
    pub(super) fn seconds(&self, name: &'a str) -> Result<Option<Duration>, TemplateError> {
        Ok(self.number(name)?.map(|seconds| Duration::from_secs(seconds.into())))
    }

    /// A boolean, if it is there.
    pub(super) fn flag(&self, name: &'a str) -> Result<Option<bool>, TemplateError> {
        self.scalar(name, "true or false", |text| text.parse().ok())
    }

    /// A mapping's own properties, if it is there.
    pub(super) fn map(&self, name: &'a str) -> Result<Option<Self>, TemplateError> {
        self.node(name).map(|node| self.child(name, "", node)).transpose()
    }

    /// A list of mappings; empty if it is not there.
    pub(super) fn maps(&self, name: &'a str) -> Result<Vec<Self>, TemplateError> {
        let items = self.items(name)?;
        items.iter().enumerate().map(|(index, node)| self.child(name, &format!("[{index}]"), node)).collect()
    }

    /// A mapping from free names to mappings; empty if it is not there.
    pub(super) fn named(&self, name: &'a str) -> Result<Vec<(&'a str, Self)>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(Vec::new()) };
        let Some(entries) = node.entries() else {
            return Err(self.error_at(node.line, name, "a mapping is wanted here"));
        };
        let child =
            |entry: &'a Entry| Ok((entry.key.as_str(), self.child(name, &format!(".{}", entry.key), &entry.value)?));
        entries.iter().map(child).collect()
    }

    /// A list of strings; empty if it is not there. A single string counts as a list of one.
    pub(super) fn strings(&self, name: &'a str) -> Result<Vec<String>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(Vec::new()) };
        let items = match (node.text(), node.items()) {
            (Some(text), _) => Some(vec![text]),
            (None, Some(items)) => items.iter().map(Node::text).collect(),
            (None, None) => None,
        };
        items.ok_or_else(|| self.error_at(node.line, name, "a list of strings is wanted here"))
    }

    /// A mapping from free names to strings; empty if it is not there.
    pub(super) fn variables(&self, name: &'a str) -> Result<Vec<(String, String)>, TemplateError> {
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
    pub(super) fn document(&self, name: &'a str) -> Result<Option<serde_json::Value>, TemplateError> {
        let Some(node) = self.node(name) else { return Ok(None) };
        match &node.content {
            Content::Map(_) => Ok(Some(node.json())),
            Content::String(text) => serde_json::from_str(text)
                .map(Some)
                .map_err(|_| self.error_at(node.line, name, "a JSON document is wanted here")),
            _ => Err(self.error_at(node.line, name, "a JSON document is wanted here")),
        }
    }

    /// A policy document, if it is there and `check` finds nothing wrong with it.
    pub(super) fn policy(
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
    pub(super) fn error(&self, reason: impl Into<String>) -> TemplateError {
        TemplateError::at(self.line, &self.path, reason)
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// A property was not read and is not on the ignored list.
    pub(super) fn finish(self) -> Result<(), TemplateError> {
        let read = self.read.borrow();
        for entry in self.entries {
            let property = join(&self.property, &entry.key);
            if !read.contains(&entry.key.as_str()) && !is_ignored(self.kind, &property) {
                return Err(self.error_at(entry.line, &entry.key, "this property is not known to local"));
            }
        }
        Ok(())
    }

    fn items(&self, name: &'a str) -> Result<&'a [Node], TemplateError> {
        match self.node(name) {
            None => Ok(&[]),
            Some(node) => node.items().ok_or_else(|| self.error_at(node.line, name, "a list is wanted here")),
        }
    }

    fn child(&self, name: &str, place: &str, node: &'a Node) -> Result<Self, TemplateError> {
        Self::at(self.kind, join(&self.property, name), format!("{}.{name}{place}", self.path), node)
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
