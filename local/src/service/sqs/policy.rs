//! What SQS refuses of a queue's policy.

use axum::http::StatusCode;
use serde_json::Value;

use crate::service::{Call, ServiceError};

/// Checks a queue's policy.
///
/// A statement takes one queue: "SQS will only accept a single resource in its policy"
/// (<https://github.com/remind101/stacker_blueprints/pull/71>).
///
/// # Errors
/// What is wrong with it.
pub(super) fn check(policy: &Value) -> Result<(), &'static str> {
    let statements = match &policy["Statement"] {
        Value::Array(statements) => statements.as_slice(),
        statement => std::slice::from_ref(statement),
    };
    let has_many = |statement: &Value| {
        ["Resource", "NotResource"].iter().any(|field| statement[*field].as_array().is_some_and(|list| list.len() > 1))
    };
    if statements.iter().any(has_many) { Err("a statement of a queue's policy takes one resource") } else { Ok(()) }
}

/// Checks the policy that a call gives a queue, if it gives one.
///
/// # Errors
/// SQS's error for a policy that it does not take.
pub(super) fn check_call(call: &Call) -> Result<(), ServiceError> {
    if !matches!(call.operation.as_str(), "CreateQueue" | "SetQueueAttributes") {
        return Ok(());
    }
    let Some(policy) = call.json["Attributes"]["Policy"].as_str().filter(|policy| !policy.is_empty()) else {
        return Ok(());
    };
    let document: Option<Value> = serde_json::from_str(policy).ok();
    match document.is_some_and(|document| document.is_object() && check(&document).is_ok()) {
        true => Ok(()),
        false => Err(ServiceError::Other {
            status: StatusCode::BAD_REQUEST,
            code: "InvalidAttributeValue",
            message: "Invalid value for the parameter Policy.".to_owned(),
        }),
    }
}
