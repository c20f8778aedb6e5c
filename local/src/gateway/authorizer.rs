//! The AWS_IAM authorizer: a SigV4 signature for `execute-api`, and `execute-api:Invoke` on the route's ARN (API Gateway developer
//! guide, "Control access to HTTP APIs with IAM authorization").

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::request::Parts;

use super::path::segments;
use crate::aws::{SignedRequest, StandIn};

/// Lets callers in by their IAM identity.
pub(super) struct Iam {
    stand_in: Arc<StandIn>,
    /// `arn:aws:execute-api:REGION:ACCOUNT:API/STAGE`.
    prefix: String,
}

/// Whom a request came from, as the event tells it.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    /// The access key id.
    pub(super) access_key: String,
    /// The caller's account.
    pub(super) account_id: String,
    /// The unique id, for a role's session with the session's name.
    pub(super) caller_id: String,
    /// The caller's ARN.
    pub(super) user_arn: String,
}

/// The caller is not let in; API Gateway does not say why.
#[derive(Debug)]
pub(super) struct Forbidden;

impl Iam {
    /// An authorizer over the stand-in's IAM.
    pub(super) fn new(stand_in: Arc<StandIn>, prefix: String) -> Self {
        Self { stand_in, prefix }
    }

    /// Who signed the request, if it is somebody who may invoke the route.
    pub(super) fn admit(&self, parts: &Parts, body: &[u8], source_ip: IpAddr) -> Result<Identity, Forbidden> {
        let signed = SignedRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: parts.uri.query().unwrap_or_default(),
            headers: &parts.headers,
            body,
        };
        let caller = self.stand_in.authenticate("execute-api", &signed).map_err(|refusal| {
            tracing::debug!(?refusal, "a request was not signed as it should be");
            Forbidden
        })?;
        let resource = self.resource(parts.method.as_str(), parts.uri.path());
        self.stand_in.authorize(&caller, "execute-api:Invoke", &resource, source_ip).map_err(|denial| {
            tracing::debug!(?denial, "a caller may not invoke a route");
            Forbidden
        })?;
        Ok(Identity {
            access_key: caller.access_key_id.clone(),
            account_id: caller.account_id().to_owned(),
            caller_id: caller.principal.user_id.clone(),
            user_arn: caller.arn().to_owned(),
        })
    }

    fn resource(&self, method: &str, path: &str) -> String {
        let path: Vec<&str> = segments(path).collect();
        format!("{}/{method}/{}", self.prefix, path.join("/"))
    }
}
