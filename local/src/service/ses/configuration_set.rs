//! SES v2: what the embedded service gets wrong about configuration sets, put right.
//!
//! Codes and statuses are those of the SES API v2 reference (`CreateConfigurationSet`: AlreadyExistsException is a 400); the
//! texts are those that SES v1 has for the same (aws-cloudformation-resource-providers-ses#34); nobody has confirmed those of v2.

use axum::http::StatusCode;

use super::Ses;
use crate::service::{ServiceError, ServiceRequest};

/// The longest name (SES API v2 reference, `CreateConfigurationSet`).
const MAX_NAME_CHARACTERS: usize = 64;

impl Ses {
    /// Whether a configuration set may be made, or is there for what is to be done with it.
    ///
    /// # Errors
    /// SES refuses it.
    pub(super) fn check_configuration_set(&self, request: &ServiceRequest<'_>) -> Result<(), ServiceError> {
        let call = request.call;
        let is_new = call.operation == "CreateConfigurationSet";
        let name = if is_new {
            call.json["ConfigurationSetName"].as_str().unwrap_or_default()
        } else {
            call.segments.get(3).map(String::as_str).unwrap_or_default()
        };
        if is_new && !is_name(name) {
            let message = format!(
                "Invalid configuration set name <{name}>: only alphanumeric ASCII characters, '_', '-' are allowed."
            );
            return refuse(StatusCode::BAD_REQUEST, "BadRequestException", message);
        }
        let is_there = {
            let accounts = self.state.read();
            accounts.get(request.account_id).is_some_and(|state| state.configuration_sets.contains_key(name))
        };
        match (is_new, is_there) {
            (true, true) => {
                let message = format!("Configuration set <{name}> already exists.");
                refuse(StatusCode::BAD_REQUEST, "AlreadyExistsException", message)
            }
            (false, false) => {
                let message = format!("Configuration set <{name}> does not exist.");
                refuse(StatusCode::NOT_FOUND, "NotFoundException", message)
            }
            _ => Ok(()),
        }
    }
}

fn refuse(status: StatusCode, code: &'static str, message: String) -> Result<(), ServiceError> {
    Err(ServiceError::Other { status, code, message })
}

fn is_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=MAX_NAME_CHARACTERS).contains(&name.len()) && name.bytes().all(plain)
}
