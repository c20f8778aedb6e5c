//! Errors as `application/problem+json`, with fixed texts.

use std::error::Error;

use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde::Serialize;
use serde_json::{Map, Value};

use super::json::build_response;
use super::{FieldError, Response};
use crate::record::RecordError;
use crate::telemetry::chain;

/// `Retry-After` if our own account did not answer, in seconds.
const OWN_RETRY_AFTER_S: u64 = 5;

/// An error as RFC 9457 describes it. `type` is `about:blank` if the status alone says what is wrong.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    kind: Option<&'static str>,
    status: u16,
    detail: String,
    members: Map<String, Value>,
    retry_after_s: Option<u64>,
    cause: Option<String>,
}

impl Problem {
    /// A problem with this HTTP status. `detail` says what is wrong and what the caller can do.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { kind: None, status, detail: detail.into(), members: Map::new(), retry_after_s: None, cause: None }
    }

    /// 400: a field is invalid.
    pub fn bad_request(error: &FieldError) -> Self {
        Self::new(400, format!("`{}` {}.", error.field, error.problem)).with("field", &error.field)
    }

    /// 404: `what` does not exist, or this caller may not know of it.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, format!("There is no such {what}."))
    }

    /// 500, without internal details.
    pub fn internal() -> Self {
        Self::new(500, "Something failed on our side. Nothing was left half done; try again.")
    }

    /// 503: something that we depend on did not answer.
    pub fn unavailable() -> Self {
        Self::new(503, "Something that we depend on did not answer. Try again later.").retry_after(OWN_RETRY_AFTER_S)
    }

    /// Sets the problem type, `urn:sendingbee:problem:<kind>`, for callers that branch on it.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Adds a member such as a report. Those of RFC 9457 (`type`, `title`, `status`, `detail`) are the problem's own.
    #[must_use]
    pub fn with(mut self, name: &str, value: &impl Serialize) -> Self {
        if let Ok(value) = serde_json::to_value(value) {
            self.members.insert(name.to_owned(), value);
        }
        self
    }

    /// Adds a `Retry-After` header, in seconds.
    #[must_use]
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// Adds the error on our side that caused the problem. It is logged and is not in the response.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn Error) -> Self {
        self.cause = Some(chain(error));
        self
    }

    /// The error on our side that caused the problem, with its own causes.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl From<RecordError> for Problem {
    /// 503. The error itself goes to the log only.
    fn from(error: RecordError) -> Self {
        Self::unavailable().caused_by(&error)
    }
}

impl From<Problem> for Response {
    fn from(problem: Problem) -> Self {
        let mut members = problem.members;
        let kind = problem.kind.map_or("about:blank".to_owned(), |kind| format!("urn:sendingbee:problem:{kind}"));
        members.insert("type".to_owned(), kind.into());
        members.insert("title".to_owned(), title(problem.status).into());
        members.insert("status".to_owned(), problem.status.into());
        members.insert("detail".to_owned(), problem.detail.into());
        let mut response =
            build_response(problem.status, "application/problem+json", Value::Object(members).to_string());
        if let Some(seconds) = problem.retry_after_s {
            response.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn title(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}
