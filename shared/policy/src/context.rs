//! The request context: what is known of the keys that conditions and variables ask for.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// The values of context keys. Names are compared without case (AWS: IAM user guide, "IAM JSON policy elements:
/// Condition").
///
/// A key that is not set is absent from the request, unless the context [is partial](Context::partial): then it is
/// unknown, and whatever depends on it is neither true nor false.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "BTreeMap<String, ContextValue>", into = "BTreeMap<String, ContextValue>")]
pub struct Context {
    values: BTreeMap<String, ContextValue>,
    absent: BTreeSet<String>,
    partial: bool,
}

/// What a key holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum ContextValue {
    /// A single-valued key.
    One(String),
    /// A multivalued key; empty is "present, with no value".
    Many(Vec<String>),
    /// A JSON boolean, compared as its text.
    Bool(bool),
    /// A JSON number, compared as its text.
    Number(serde_json::Number),
}

/// What is known of one key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Known {
    One(String),
    Many(Vec<String>),
    Absent,
    Unknown,
}

impl Context {
    /// A complete and empty context: every key is absent.
    pub fn new() -> Self {
        Self::default()
    }

    /// A context of which only some keys are known; the others may hold anything or be absent.
    pub fn partial() -> Self {
        Self { partial: true, ..Self::default() }
    }

    /// Sets a single-valued key.
    pub fn with(mut self, key: &str, value: impl Into<String>) -> Self {
        self.insert(key, ContextValue::One(value.into()));
        self
    }

    /// Says that a key is certainly not in the request. Only needed in a partial context.
    pub fn without(mut self, key: &str) -> Self {
        self.values.remove(&key.to_ascii_lowercase());
        self.absent.insert(key.to_ascii_lowercase());
        self
    }

    /// Sets a key, replacing what was known of it.
    pub fn insert(&mut self, key: &str, value: ContextValue) {
        self.absent.remove(&key.to_ascii_lowercase());
        self.values.insert(key.to_ascii_lowercase(), value);
    }

    pub(crate) fn look_up(&self, key: &str) -> Known {
        let key = key.to_ascii_lowercase();
        match self.values.get(&key) {
            Some(ContextValue::One(value)) => Known::One(value.clone()),
            Some(ContextValue::Many(values)) => Known::Many(values.clone()),
            Some(ContextValue::Bool(value)) => Known::One(value.to_string()),
            Some(ContextValue::Number(value)) => Known::One(value.to_string()),
            None if self.partial && !self.absent.contains(&key) => Known::Unknown,
            None => Known::Absent,
        }
    }
}

impl From<BTreeMap<String, ContextValue>> for Context {
    fn from(values: BTreeMap<String, ContextValue>) -> Self {
        let mut context = Self::new();
        for (key, value) in values {
            context.insert(&key, value);
        }
        context
    }
}

impl From<Context> for BTreeMap<String, ContextValue> {
    fn from(context: Context) -> Self {
        context.values
    }
}
