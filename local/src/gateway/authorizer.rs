//! The AWS_IAM authorizer: requires a SigV4 signature for `execute-api` and the permission `execute-api:Invoke` on the
//! route's ARN (API Gateway developer guide, "Control access to HTTP APIs with IAM authorization").

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;

use super::path::segments;
use crate::aws::{SignedRequest, StandIn};

/// Authorizes requests with the IAM of the stand-in.
pub(super) struct IamAuthorizer {
    stand_in: Arc<StandIn>,
    /// `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE`.
    arn_prefix: String,
}

/// The caller of an authorized request, as the event describes it.
#[derive(Clone, Debug)]
pub(super) struct AuthorizedCaller {
    /// The id of the access key that signed the request.
    pub(super) access_key: String,
    /// The id of the caller's account.
    pub(super) account_id: String,
    /// The unique id of the caller; for a session of a role, followed by the session's name.
    pub(super) caller_id: String,
    /// The caller's ARN.
    pub(super) user_arn: String,
}

/// The request is not authorized. API Gateway does not tell the caller why.
#[derive(Debug)]
pub(super) struct Forbidden;

impl IamAuthorizer {
    /// An authorizer for the API stage whose routes' ARNs begin with `arn_prefix`.
    pub(super) fn new(stand_in: Arc<StandIn>, arn_prefix: String) -> Self {
        Self { stand_in, arn_prefix }
    }

    /// The caller who signed the request, if that caller may invoke the route.
    pub(super) fn authorize(
        &self,
        parts: &Parts,
        body: &[u8],
        source_ip: IpAddr,
    ) -> Result<AuthorizedCaller, Forbidden> {
        let signed = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        let caller = self.stand_in.authenticate("execute-api", &signed).map_err(|error| {
            tracing::debug!(?error, path = parts.uri.path(), "the HTTP API rejected the signature of a request");
            Forbidden
        })?;
        let resource = self.route_arn(parts.method.as_str(), parts.uri.path());
        self.stand_in.authorize(&caller, "execute-api:Invoke", &resource, source_ip).map_err(|denial| {
            tracing::debug!(?denial, resource, "the HTTP API denied execute-api:Invoke to a caller");
            Forbidden
        })?;
        Ok(AuthorizedCaller {
            access_key: caller.access_key_id.clone(),
            account_id: caller.account_id().to_owned(),
            caller_id: caller.principal.user_id.clone(),
            user_arn: caller.arn().to_owned(),
        })
    }

    fn route_arn(&self, method: &str, path: &str) -> String {
        let path: Vec<&str> = segments(path).collect();
        format!("{}/{method}/{}", self.arn_prefix, path.join("/"))
    }
}
