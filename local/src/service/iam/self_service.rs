//! IAM's operations on the caller: a request that names no user means the caller.
//!
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_DeleteAccessKey.html>: "If you do not specify a user name,
//! IAM determines the user name implicitly based on the access key ID signing the request."

use axum::http::StatusCode;

use super::credentials::Credentials;
use crate::service::{Call, Caller, ServiceError, ServiceResponse};

/// Operations that mean the caller where they name nobody.
const IMPLICIT_USER: &[&str] = &["GetUser", "CreateAccessKey", "DeleteAccessKey", "ListAccessKeys", "UpdateAccessKey"];

/// Puts the caller's name in where the request leaves it out.
///
/// # Errors
/// The caller is no user.
pub(super) fn name_user(call: &mut Call, caller: &Caller) -> Result<(), ServiceError> {
    if !IMPLICIT_USER.contains(&call.operation.as_str()) || call.parameters.contains_key("UserName") || caller.is_root()
    {
        return Ok(());
    }
    let Some(name) = caller.user_name() else {
        return Err(ServiceError::Other {
            status: StatusCode::BAD_REQUEST,
            code: "ValidationError",
            message: "Must specify userName when calling with non-User credentials".to_owned(),
        });
    };
    call.parameters.insert("UserName".to_owned(), name.to_owned());
    Ok(())
}

/// The answer to the account's root about itself; `None` for every operation that the embedded service answers.
pub(super) fn answer_root(
    call: &Call,
    caller: &Caller,
    credentials: &Credentials,
) -> Result<Option<ServiceResponse>, ServiceError> {
    if !caller.is_root() || call.parameters.contains_key("UserName") {
        return Ok(None);
    }
    let account_id = caller.account_id();
    let envelope = |operation: &str, result: &str| {
        format!(
            "<{operation}Response xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\">{result}<ResponseMetadata>\
             <RequestId>{}</RequestId></ResponseMetadata></{operation}Response>",
            call.request_id
        )
    };
    let xml = match call.operation.as_str() {
        // The root has neither a name nor a path.
        "GetUser" => envelope(
            "GetUser",
            &format!(
                "<GetUserResult><User><UserId>{account_id}</UserId><Arn>{}</Arn>\
                 <CreateDate>2020-01-01T00:00:00Z</CreateDate></User></GetUserResult>",
                caller.arn()
            ),
        ),
        "DeleteAccessKey" => {
            let id = call.parameters.get("AccessKeyId").map(String::as_str).unwrap_or_default();
            if !credentials.delete_root_key(account_id, id) {
                return Err(ServiceError::Other {
                    status: StatusCode::NOT_FOUND,
                    code: "NoSuchEntity",
                    message: format!("The Access Key with id {id} cannot be found."),
                });
            }
            envelope("DeleteAccessKey", "")
        }
        _ => return Ok(None),
    };
    Ok(Some(ServiceResponse::xml(call, xml)))
}

/// Puts errors of the embedded service into AWS's words.
pub(super) fn word_as_aws(call: &Call, response: &mut ServiceResponse) {
    let name = |parameter: &str| call.parameters.get(parameter).map(String::as_str).unwrap_or_default();
    let (user, group) = (name("UserName"), name("GroupName"));
    let (from, to) = match call.operation.as_str() {
        "AddUserToGroup" => {
            (format!("Group {group} not found"), format!("The group with name {group} cannot be found."))
        }
        "UpdateLoginProfile" => (
            format!("Login Profile for user {user} cannot be found."),
            format!("Login Profile for User {user} cannot be found."),
        ),
        _ => return,
    };
    if response.error.is_some() {
        response.body = String::from_utf8_lossy(&response.body).replace(&from, &to).into();
    }
}

/// Notes what a successful operation did to a key.
pub(super) fn note_key(call: &Call, response: &ServiceResponse, credentials: &Credentials) {
    let Some(id) = call.parameters.get("AccessKeyId") else { return };
    if response.error.is_some() {
        return;
    }
    match call.operation.as_str() {
        "DeleteAccessKey" => credentials.mark(id, true),
        "UpdateAccessKey" => {
            let inactive = call.parameters.get("Status").is_some_and(|status| status == "Inactive");
            credentials.mark(id, inactive);
        }
        _ => {}
    }
}

/// Makes GetUser say that the user has signed in to the console with a password.
pub(super) fn add_console_login(response: &mut ServiceResponse) {
    let xml = String::from_utf8_lossy(&response.body);
    let login = "<PasswordLastUsed>2026-01-01T00:00:00Z</PasswordLastUsed></User>";
    response.body = xml.replacen("</User>", login, 1).into();
}
