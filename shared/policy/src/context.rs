//! The request context: what is known of the keys that conditions and policy variables use.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The values of context keys. Names are compared without case (AWS: IAM user guide, "IAM JSON policy elements:
/// Condition").
///
/// A key that is not set is absent from the request. In a [partial](RequestContext::partial) context it is unknown
/// instead, and whatever depends on it is neither true nor false.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, ContextValue>", into = "BTreeMap<String, ContextValue>")]
pub struct RequestContext {
    values: BTreeMap<String, ContextValue>,
    absent: BTreeSet<String>,
    partial: bool,
}

/// The value of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContextValue {
    /// A single-valued key.
    One(String),
    /// A multivalued key; an empty list is present but has no value.
    Many(Vec<String>),
    /// A JSON boolean, compared as its text.
    Bool(bool),
    /// A JSON number, compared as its text.
    Number(serde_json::Number),
}

/// What a context knows about one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ContextLookup {
    One(String),
    Many(Vec<String>),
    Absent,
    Unknown,
}

impl RequestContext {
    /// A complete, empty context: every key is absent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context in which only some keys are known. The others may have any value or be absent.
    pub fn partial() -> Self {
        Self { partial: true, ..Self::default() }
    }

    /// Sets a single-valued key.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.insert(key, ContextValue::One(value.into()));
        self
    }

    /// Marks a key as certainly not in the request. Only a partial context needs this.
    pub fn without(mut self, key: &str) -> Self {
        self.values.remove(&key.to_ascii_lowercase());
        self.absent.insert(key.to_ascii_lowercase());
        self
    }

    /// Sets a key and replaces what was known about it.
    pub fn insert(&mut self, key: &str, value: ContextValue) {
        self.absent.remove(&key.to_ascii_lowercase());
        self.values.insert(key.to_ascii_lowercase(), value);
    }

    pub(crate) fn look_up(&self, key: &str) -> ContextLookup {
        let key = key.to_ascii_lowercase();
        match self.values.get(&key) {
            Some(ContextValue::One(value)) => ContextLookup::One(value.clone()),
            Some(ContextValue::Many(values)) => ContextLookup::Many(values.clone()),
            Some(ContextValue::Bool(value)) => ContextLookup::One(value.to_string()),
            Some(ContextValue::Number(value)) => ContextLookup::One(value.to_string()),
            None if self.partial && !self.absent.contains(&key) => ContextLookup::Unknown,
            None => ContextLookup::Absent,
        }
    }
}

impl From<BTreeMap<String, ContextValue>> for RequestContext {
    fn from(values: BTreeMap<String, ContextValue>) -> Self {
        let mut context = Self::new();
        for (key, value) in values {
            context.insert(&key, value);
        }
        context
    }
}

impl From<RequestContext> for BTreeMap<String, ContextValue> {
    fn from(context: RequestContext) -> Self {
        context.values
    }
}
