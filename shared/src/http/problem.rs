//! Errors as `application/problem+json`, with fixed texts.

use std::error::Error;

use http::HeaderValue;
use http::header::RETRY_AFTER;
use serde::Serialize;
use serde_json::{Map, Value};

use super::json::answer;
use super::{FieldError, Response};
use crate::record::RecordError;
use crate::telemetry::chain;

/// When our own services are worth another try, in seconds.
const RETRY_OWN_S: u64 = 5;

/// What went wrong, as RFC 9457 puts it: `type` is `about:blank` where the status says it all.
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
    /// A problem of this HTTP status. `detail` says what is wrong and what to do about it.
    pub fn new(status: u16, detail: impl Into<String>) -> Self {
        Self { kind: None, status, detail: detail.into(), members: Map::new(), retry_after_s: None, cause: None }
    }

    /// 400: a field is not what it should be.
    pub fn bad_request(error: &FieldError) -> Self {
        Self::new(400, format!("`{}` {}.", error.field, error.problem)).with("field", &error.field)
    }

    /// 404: `what` does not exist, or not for this caller.
    pub fn not_found(what: &str) -> Self {
        Self::new(404, format!("There is no such {what}."))
    }

    /// 500 without a word about the inside.
    pub fn internal() -> Self {
        Self::new(500, "Something failed on our side. Nothing was left half done; try again.")
    }

    /// 503: something that we need did not answer.
    pub fn unavailable() -> Self {
        Self::new(503, "Something that we depend on did not answer. Try again later.").retry_after(RETRY_OWN_S)
    }

    /// Tells the problem type, `urn:sendingbee:problem:<kind>`, for callers that branch on it.
    #[must_use]
    pub fn kind(mut self, kind: &'static str) -> Self {
        self.kind = Some(kind);
        self
    }

    /// Adds a member such as a report.
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

    /// Adds the error on our side that caused it. It is logged and never shown.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn Error) -> Self {
        self.cause = Some(chain(error));
        self
    }

    /// The error on our side that caused it.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The HTTP status.
    pub fn status(&self) -> u16 {
        self.status
    }
}

impl From<RecordError> for Problem {
    /// 503; the error itself is for the log.
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
        let mut response = answer(problem.status, "application/problem+json", Value::Object(members).to_string());
        if let Some(seconds) = problem.retry_after_s {
            response.headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

fn title(status: u16) -> &'static str {
    http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason()).unwrap_or("Error")
}
