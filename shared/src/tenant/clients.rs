//! The tenant-side clients of a process.

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::stalled_stream_protection::StalledStreamProtectionConfig;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;

use super::Credential;
use crate::runtime::{Environment, lean_client};

/// The longest that a send may take. SES usually answers in 40 to 60 ms; a longer wait costs less than a mail in doubt.
pub const SES_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest that one attempt of a read may take.
const READ_TIMEOUT: Duration = Duration::from_secs(4);

/// SDK clients, one of each service for all tenants: credential and Region are given with each call.
#[derive(Clone, Debug)]
pub struct Clients {
    pub(super) sts: aws_sdk_sts::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) ses: aws_sdk_sesv2::Client,
    /// For calls of services that have no SDK client here.
    pub(super) http: SharedHttpClient,
    /// Where all tenant-side calls go instead of to AWS.
    pub(super) endpoint_url: Option<String>,
}

impl Clients {
    /// Clients that use the process's connector. They call real AWS unless `TENANT_AWS_ENDPOINT_URL` is set; the standard
    /// endpoint variables are for our own account and are ignored here.
    pub fn new(environment: &Environment, http: &SharedHttpClient) -> Self {
        let mut config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(http.clone())
            .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
            // It would not act before an attempt's timeout does.
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .retry_config(RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(READ_TIMEOUT)
                    .build(),
            );
        let endpoint_url = environment.optional("TENANT_AWS_ENDPOINT_URL").map(str::to_owned);
        config.set_endpoint_url(endpoint_url.clone());
        let config = config.build();
        Self {
            sts: lean_client!(aws_sdk_sts, &config),
            iam: lean_client!(aws_sdk_iam, &config),
            ses: lean_client!(aws_sdk_sesv2, &config),
            http: http.clone(),
            endpoint_url,
        }
    }
}

/// The settings of a call that is tried once: SES has no idempotency token, and the SDK would send again after a timeout.
pub(super) fn send_once() -> (RetryConfig, TimeoutConfig) {
    (
        RetryConfig::disabled(),
        TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_timeout(SES_TIMEOUT)
            .operation_attempt_timeout(SES_TIMEOUT)
            .build(),
    )
}

impl Credential {
    pub(super) fn provider(&self) -> SharedCredentialsProvider {
        SharedCredentialsProvider::new(Credentials::new(
            self.access_key_id.as_str(),
            self.secret_access_key.expose(),
            None,
            None,
            "Tenant",
        ))
    }

    pub(super) fn sdk_region(&self) -> aws_types::region::Region {
        self.region.to_sdk()
    }

    pub(super) fn sdk_home_region(&self) -> aws_types::region::Region {
        aws_types::region::Region::from_static(self.region.home())
    }
}
