//! SQS clients that act as a role, as Lambda's pollers do.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use fakecloud_core::auth::SessionCredentialIssuer;

/// How long a poller's credentials live; the SDK asks for new ones before their end.
const LIFE: chrono::Duration = chrono::Duration::hours(1);

/// A client that signs with a role's credentials.
pub(super) fn as_role(
    endpoint: &str,
    region: &str,
    issuer: Arc<dyn SessionCredentialIssuer>,
    role_arn: &str,
    session: &str,
) -> Client {
    let role = Role { issuer, arn: role_arn.to_owned(), session: session.to_owned() };
    client(endpoint, region, role)
}

/// A client that acts as the service itself: nothing is refused to the operator's root key.
pub(super) fn as_service(endpoint: &str, region: &str) -> Client {
    client(endpoint, region, Credentials::from_keys("test", "test", None))
}

fn client(endpoint: &str, region: &str, credentials: impl ProvideCredentials + 'static) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        // A long poll is silent for as long as it takes.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Why a call failed: the service's code and message, or the chain of causes; never the raw response.
pub(super) fn reason<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or_default());
    }
    let mut reason = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        reason.push_str(&format!(": {error}"));
        cause = error.source();
    }
    reason
}

struct Role {
    issuer: Arc<dyn SessionCredentialIssuer>,
    arn: String,
    session: String,
}

impl std::fmt::Debug for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Role").field("arn", &self.arn).finish_non_exhaustive()
    }
}

impl ProvideCredentials for Role {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let issued = self.issuer.issue(&self.arn, &self.session, LIFE);
        let expiry = SystemTime::from(issued.expiration);
        future::ProvideCredentials::ready(Ok(Credentials::new(
            issued.access_key_id,
            issued.secret_access_key,
            Some(issued.session_token),
            Some(expiry),
            "execution role",
        )))
    }
}
