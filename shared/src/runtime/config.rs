//! Configuration of the clients of our own account.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_runtime::client::identity::IdentityCache;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use super::{Environment, MissingVariable};

/// The configuration of our own services, from the variables that Lambda and the SDKs define.
///
/// `aws-config` is not used on purpose: its provider chain adds two more SDKs, and a function has exactly one source of
/// credentials. `service` is the identifier in `AWS_ENDPOINT_URL_<SERVICE>`, which overrides `AWS_ENDPOINT_URL`.
///
/// # Errors
/// [`MissingVariable`] names the variable.
pub fn own_config(
    environment: &Environment,
    http: &SharedHttpClient,
    service: &str,
) -> Result<SdkConfig, MissingVariable> {
    let credentials = Credentials::new(
        environment.required("AWS_ACCESS_KEY_ID")?,
        environment.required("AWS_SECRET_ACCESS_KEY")?,
        environment.optional("AWS_SESSION_TOKEN").map(str::to_owned),
        None,
        "Environment",
    );
    let endpoint = environment
        .optional(&format!("AWS_ENDPOINT_URL_{service}"))
        .or_else(|| environment.optional("AWS_ENDPOINT_URL"));
    let mut config = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(environment.required("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http.clone())
        .sleep_impl(TokioSleep::new())
        // It would not act before an attempt's timeout does.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        // The credentials are in memory already.
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::standard().with_max_attempts(3))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(3))
                .build(),
        );
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Ok(config.build())
}
