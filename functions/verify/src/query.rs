//! Query parameters, as strictly read as bodies.

use shared::http::{FieldError, Problem, Request, is_identifier};

/// A request's query parameters, all of them known.
pub(crate) struct Query<'a>(&'a Request);

impl<'a> Query<'a> {
    /// The query of a request that takes these parameters.
    ///
    /// # Errors
    /// A 400 problem that names a parameter which is not among them, if it looks like a name.
    pub(crate) fn of(request: &'a Request, known: &[&str]) -> Result<Self, Problem> {
        let stranger = request.query_string_parameters.iter().map(|(name, _)| name).find(|name| !known.contains(name));
        match stranger {
            None => Ok(Self(request)),
            Some(name) if is_identifier(name) => Err(Self::bad(name, "is not a known query parameter; remove it")),
            Some(_) => Err(Self::bad("query", "has an unknown parameter; remove it")),
        }
    }

    /// The parameter's value. API Gateway joins repeated ones with a comma, and so does this: they are then no value
    /// that a parameter takes.
    pub(crate) fn get(&self, name: &str) -> Option<String> {
        self.0.query_string_parameters.all(name).map(|values| values.join(","))
    }

    /// The parameter's value.
    ///
    /// # Errors
    /// A 400 problem that names it where it is missing.
    pub(crate) fn required(&self, name: &str) -> Result<String, Problem> {
        self.get(name).ok_or_else(|| Self::bad(name, "is missing"))
    }

    /// The problem of a parameter that is not what it should be.
    pub(crate) fn bad(name: &str, problem: impl Into<String>) -> Problem {
        Problem::bad_request(&FieldError::new(name, problem))
    }
}
