//! The process's environment variables, read once at cold start.

use std::collections::HashMap;

use thiserror::Error;

/// A required variable is missing or empty.
#[derive(Debug, Error)]
#[error("environment variable {0} is missing or empty")]
pub struct MissingVariable(String);

/// The environment variables as a value. It has no `Debug`, because it contains the function's own credentials.
pub struct Environment(HashMap<String, String>);

impl Environment {
    /// The environment of this process. Variables that are not UTF-8 are left out.
    pub fn from_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
                .collect(),
        )
    }

    /// An environment of exactly these variables.
    pub fn from_variables(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// The variable's value.
    ///
    /// # Errors
    /// [`MissingVariable`] names it if it is not set or empty: there is no default for anything that guards something.
    pub fn required(&self, name: &str) -> Result<String, MissingVariable> {
        self.optional(name).map(str::to_owned).ok_or_else(|| MissingVariable(name.to_owned()))
    }

    /// The variable's value as a number.
    ///
    /// # Errors
    /// [`MissingVariable`] names it, also if it is no such number.
    pub fn required_number(&self, name: &str) -> Result<u32, MissingVariable> {
        self.required(name)?.parse().map_err(|_| MissingVariable(format!("{name} as a number")))
    }

    /// The variable's value, if it is set and not empty.
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}
