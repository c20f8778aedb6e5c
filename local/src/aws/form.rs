//! Reading a JSON object field by field, so that every error can name its field.

use std::time::Duration;

use serde_json::{Map, Value};

/// A field that is unknown, missing or bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FieldError {
    /// The field's name; empty where the whole body is at fault.
    pub(crate) field: String,
    /// What it must be.
    pub(crate) problem: &'static str,
}

impl FieldError {
    /// An error about a field.
    pub(crate) fn new(field: impl Into<String>, problem: &'static str) -> Self {
        Self { field: field.into(), problem }
    }
}

/// The fields that have not been read yet.
#[derive(Debug)]
pub(crate) struct Form(Map<String, Value>);

impl Form {
    /// An object's fields; anything but an object is an error.
    pub(crate) fn new(json: Value) -> Result<Self, FieldError> {
        match json {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(FieldError::new("", "the body must be a JSON object")),
        }
    }

    /// A field's value; an absent one and null are the same.
    pub(crate) fn take(&mut self, field: &str) -> Option<Value> {
        self.0.remove(field).filter(|value| !value.is_null())
    }

    /// A string.
    pub(crate) fn text(&mut self, field: &str) -> Result<Option<String>, FieldError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(FieldError::new(field, "must be a string")),
        }
    }

    /// A list of strings.
    pub(crate) fn strings(&mut self, field: &str) -> Result<Option<Vec<String>>, FieldError> {
        const EXPECTED: &str = "must be a list of strings";
        let Some(value) = self.take(field) else { return Ok(None) };
        let Value::Array(values) = value else { return Err(FieldError::new(field, EXPECTED)) };
        values
            .into_iter()
            .map(|value| match value {
                Value::String(text) => Ok(text),
                _ => Err(FieldError::new(field, EXPECTED)),
            })
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// A list of objects.
    pub(crate) fn objects(&mut self, field: &str) -> Result<Option<Vec<Value>>, FieldError> {
        match self.take(field) {
            None => Ok(None),
            Some(Value::Array(values)) if values.iter().all(Value::is_object) => Ok(Some(values)),
            Some(_) => Err(FieldError::new(field, "must be a list of JSON objects")),
        }
    }

    /// True or false; absent is false.
    pub(crate) fn flag(&mut self, field: &str) -> Result<bool, FieldError> {
        match self.take(field) {
            None => Ok(false),
            Some(Value::Bool(flag)) => Ok(flag),
            Some(_) => Err(FieldError::new(field, "must be true or false")),
        }
    }

    /// A number.
    pub(crate) fn number(&mut self, field: &str) -> Result<Option<f64>, FieldError> {
        match self.take(field) {
            None => Ok(None),
            Some(value) => match value.as_f64() {
                Some(number) => Ok(Some(number)),
                None => Err(FieldError::new(field, "must be a number")),
            },
        }
    }

    /// A number of milliseconds; absent is none.
    pub(crate) fn milliseconds(&mut self, field: &str) -> Result<Duration, FieldError> {
        match self.take(field) {
            None => Ok(Duration::ZERO),
            Some(value) => match value.as_u64() {
                Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
                None => Err(FieldError::new(field, "must be a whole number of milliseconds")),
            },
        }
    }

    /// Refuses what nobody asked for.
    pub(crate) fn finish(self) -> Result<(), FieldError> {
        match self.0.into_iter().next() {
            None => Ok(()),
            Some((field, _)) => Err(FieldError::new(field, "is not a known field")),
        }
    }
}
