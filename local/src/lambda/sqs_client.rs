//! SQS clients of the Lambda service: Lambda polls a queue under the function's role.

use std::sync::Arc;
use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::{ProvideCredentials, future};
use aws_sdk_sqs::Client;
use aws_sdk_sqs::config::{BehaviorVersion, Region, StalledStreamProtectionConfig};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use fakecloud_core::auth::SessionCredentialIssuer;

/// How long a poller's credentials are valid. The SDK asks for new ones before they expire.
const CREDENTIALS_LIFETIME: chrono::Duration = chrono::Duration::hours(1);

/// A client that signs with the credentials of a role.
pub(super) fn for_role(
    endpoint: &str,
    region: &str,
    issuer: Arc<dyn SessionCredentialIssuer>,
    role_arn: &str,
    session: &str,
) -> Client {
    let credentials = RoleCredentialsProvider { issuer, role_arn: role_arn.to_owned(), session: session.to_owned() };
    build(endpoint, region, credentials)
}

/// A client that acts as the Lambda service itself. It uses the operator's root key, to which nothing is denied.
pub(super) fn for_service(endpoint: &str, region: &str) -> Client {
    build(endpoint, region, Credentials::from_keys("test", "test", None))
}

fn build(endpoint: &str, region: &str, credentials: impl ProvideCredentials + 'static) -> Client {
    let config = aws_sdk_sqs::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .endpoint_url(endpoint)
        .region(Region::new(region.to_owned()))
        .credentials_provider(credentials)
        .http_client(aws_smithy_http_client::Builder::new().build_http())
        // During a long poll no bytes arrive, which is not a stalled stream.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .build();
    Client::from_conf(config)
}

/// Why a call failed: the service's code and message, or the chain of causes. Never the raw response.
pub(super) fn describe_error<E, R>(error: &SdkError<E, R>) -> String
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: std::fmt::Debug,
{
    if let Some(code) = error.code() {
        return format!("{code}: {}", error.message().unwrap_or_default());
    }
    let mut description = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        description.push_str(&format!(": {error}"));
        cause = error.source();
    }
    description
}

/// Issues credentials of a role to an SDK client.
struct RoleCredentialsProvider {
    issuer: Arc<dyn SessionCredentialIssuer>,
    role_arn: String,
    session: String,
}

impl std::fmt::Debug for RoleCredentialsProvider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RoleCredentialsProvider").field("role_arn", &self.role_arn).finish_non_exhaustive()
    }
}

impl ProvideCredentials for RoleCredentialsProvider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let issued = self.issuer.issue(&self.role_arn, &self.session, CREDENTIALS_LIFETIME);
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
