//! Query parameters, read as strictly as bodies.

use super::{FieldError, Problem, Request, is_identifier};

/// A request's query parameters, all of them known.
#[derive(Clone, Copy, Debug)]
pub struct QueryParameters<'a>(&'a Request);

impl<'a> QueryParameters<'a> {
    /// The query parameters of a request that takes the `known` ones.
    ///
    /// # Errors
    /// A 400 problem if there is an unknown parameter. It repeats the parameter's name only if it looks like a name.
    pub fn from_request(request: &'a Request, known: &[&str]) -> Result<Self, Problem> {
        let unknown = request.query_string_parameters.iter().map(|(name, _)| name).find(|name| !known.contains(name));
        match unknown {
            None => Ok(Self(request)),
            Some(name) if is_identifier(name) => Err(invalid(name, "is not a known query parameter; remove it")),
            Some(_) => Err(invalid("query", "has an unknown parameter; remove it")),
        }
    }

    /// The parameter's value. Repeated parameters are joined with a comma, as API Gateway does, so that no parser accepts
    /// them.
    pub fn get(&self, name: &str) -> Option<String> {
        self.0.query_string_parameters.all(name).map(|values| values.join(","))
    }

    /// The parameter's value.
    ///
    /// # Errors
    /// A 400 problem that names the parameter if it is missing.
    pub fn required(&self, name: &str) -> Result<String, Problem> {
        self.get(name).ok_or_else(|| invalid(name, "is missing"))
    }

    /// How many entries of a list are asked for in `limit`: from 1 to `max`, and `default` without it.
    ///
    /// # Errors
    /// A 400 problem if it is no such number.
    pub fn limit(&self, default: i32, max: i32) -> Result<i32, Problem> {
        let Some(limit) = self.get("limit") else { return Ok(default) };
        let limit = limit.parse().ok().filter(|limit| (1..=max).contains(limit));
        limit.ok_or_else(|| invalid("limit", format!("must be a number from 1 to {max}")))
    }
}

/// The 400 problem of an invalid parameter.
pub fn invalid(name: &str, problem: impl Into<String>) -> Problem {
    Problem::bad_request(&FieldError::new(name, problem))
}
