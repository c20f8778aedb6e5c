//! Sessions of users, and of roles as Lambda takes them for its execution environments.

use axum::http::StatusCode;
use chrono::{Duration, SecondsFormat, Utc};
use fakecloud_core::auth::{PrincipalType, SessionCredentialIssuer, SessionCredentials};
use fakecloud_iam::StsTempCredential;

use super::{Iam, access_key};
use crate::random;
use crate::serverless::FunctionResource;
use crate::service::{AccessDenied, Caller, DenialReason, ServiceError, ServiceRequest, ServiceResponse};

/// The characters of a secret and of a token.
const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/// How long a session of GetSessionToken lasts, and the bounds of it, in seconds:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html>.
const DEFAULT_SECONDS: i64 = 43_200;
const SECONDS: std::ops::RangeInclusive<i64> = 900..=129_600;

/// Whether the caller is a session of a user, of GetSessionToken. None here has an MFA.
fn is_user_session(caller: &Caller) -> bool {
    caller.token_issued_at.is_some() && caller.principal.principal_type == PrincipalType::User
}

/// "You cannot call any IAM API operations unless MFA authentication information is included in the request" (same page). What is
/// answered is that the token is invalid: aws/aws-sdk-js#460, 99designs/aws-vault#15.
///
/// # Errors
/// The caller is such a session.
pub(super) fn refuse_user_session(caller: &Caller) -> Result<(), ServiceError> {
    if is_user_session(caller) { Err(ServiceError::UnknownKey) } else { Ok(()) }
}

impl Iam {
    /// Answers GetSessionToken: a key and token that stand for the calling user, carry the user's policies as they are at each
    /// request, and outlive the key that they were made with.
    pub(super) fn get_session_token(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let ServiceRequest { call, caller, account_id, .. } = *request;
        if caller.token_issued_at.is_some() {
            return Err(ServiceError::Denied(AccessDenied {
                principal: caller.arn().to_owned(),
                action: "sts:GetSessionToken".to_owned(),
                resource: String::new(),
                reason: DenialReason::Session,
            }));
        }
        let seconds = match call.parameters.get("DurationSeconds") {
            Some(text) => text.parse().unwrap_or(0),
            None => DEFAULT_SECONDS,
        };
        if !SECONDS.contains(&seconds) {
            return Err(ServiceError::Other {
                status: StatusCode::BAD_REQUEST,
                code: "ValidationError",
                message: format!(
                    "1 validation error detected: Value '{seconds}' at 'durationSeconds' failed to satisfy constraint: Member \
                     must have value from {} to {}",
                    SECONDS.start(),
                    SECONDS.end()
                ),
            });
        }
        let issued_at = Utc::now();
        let access_key_id = access_key::encode(access_key::SESSION, account_id, random::bytes()).unwrap_or_default();
        let made = StsTempCredential {
            access_key_id: access_key_id.clone(),
            secret_access_key: random::text::<40>(ALPHABET),
            session_token: random::text::<120>(ALPHABET),
            principal_arn: caller.arn().to_owned(),
            user_id: caller.principal.user_id.clone(),
            account_id: account_id.to_owned(),
            expiration: issued_at + Duration::seconds(seconds),
            session_policies: Vec::new(),
            mfa_present: false,
            issued_at,
            federated_provider: None,
        };
        let xml = format!(
            "<GetSessionTokenResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetSessionTokenResult><Credentials>\
             <AccessKeyId>{}</AccessKeyId><SecretAccessKey>{}</SecretAccessKey><SessionToken>{}</SessionToken>\
             <Expiration>{}</Expiration></Credentials></GetSessionTokenResult><ResponseMetadata><RequestId>{}</RequestId>\
             </ResponseMetadata></GetSessionTokenResponse>",
            made.access_key_id,
            made.secret_access_key,
            made.session_token,
            made.expiration.to_rfc3339_opts(SecondsFormat::Secs, true),
            call.request_id
        );
        self.state.write().get_or_create(account_id).sts_temp_credentials.insert(access_key_id, made);
        Ok(ServiceResponse::xml(call, xml))
    }
}

/// A function, by what its sessions show of it.
pub(super) struct FunctionIdentity {
    arn: String,
    name: String,
    role_arn: String,
}

impl FunctionIdentity {
    /// The identity of one of the stack's functions.
    pub(super) fn of(function: &FunctionResource) -> Self {
        Self { arn: function.arn.clone(), name: function.name.clone(), role_arn: function.role_arn.clone() }
    }
}

impl Iam {
    /// The function whose code a session was issued to: Lambda names such a session after the function. Lambda's own calls,
    /// as those of an event source mapping, do not carry `lambda:SourceFunctionArn`, and have another session name here
    /// (<https://docs.aws.amazon.com/lambda/latest/dg/permissions-source-function-arn.html>).
    pub(super) fn function_of(&self, caller: &Caller) -> Option<String> {
        let role_arn = caller.role_arn.as_ref()?;
        let session_name = caller.arn().rsplit('/').next()?;
        let functions = self.functions.lock();
        let function = functions.iter().find(|one| one.role_arn == *role_arn && one.name == session_name)?;
        Some(function.arn.clone())
    }
}

/// A role that does not exist gets credentials too, which open nothing: it has no policies.
impl SessionCredentialIssuer for Iam {
    fn issue(&self, role_arn: &str, session_name: &str, duration: Duration) -> SessionCredentials {
        let account_id = &self.setup.account_id;
        let mut accounts = self.state.write();
        let state = accounts.get_or_create(account_id);
        let role = state.roles.values().find(|role| role.arn == role_arn);
        let role_name = role_arn.rsplit('/').next().unwrap_or(role_arn);
        let role_id = role.map_or("AROAUNKNOWN", |role| role.role_id.as_str());
        let user_id = format!("{role_id}:{session_name}");

        let issued_at = Utc::now();
        // The account is twelve digits since the stack was resolved with it.
        let access_key_id = access_key::encode(access_key::SESSION, account_id, random::bytes()).unwrap_or_default();
        let credentials = SessionCredentials {
            access_key_id: access_key_id.clone(),
            secret_access_key: random::text::<40>(ALPHABET),
            session_token: random::text::<120>(ALPHABET),
            expiration: issued_at + duration,
            account_id: account_id.clone(),
        };
        let made = StsTempCredential {
            access_key_id: access_key_id.clone(),
            secret_access_key: credentials.secret_access_key.clone(),
            session_token: credentials.session_token.clone(),
            principal_arn: format!("arn:aws:sts::{account_id}:assumed-role/{role_name}/{session_name}"),
            user_id,
            account_id: account_id.clone(),
            expiration: credentials.expiration,
            session_policies: Vec::new(),
            mfa_present: false,
            issued_at,
            federated_provider: None,
        };
        state.sts_temp_credentials.insert(access_key_id, made);
        credentials
    }

    fn revoke(&self, credentials: &SessionCredentials) {
        let mut accounts = self.state.write();
        if let Some(state) = accounts.get_mut(&credentials.account_id) {
            state.sts_temp_credentials.remove(&credentials.access_key_id);
        }
    }
}
