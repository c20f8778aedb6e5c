//! Operations that are built by hand, where a few calls do not justify an SDK in every function: signed with the SDKs' own signer, and sent
//! by the SDKs' own orchestrator over the process's connector.

use std::fmt;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::orchestrator::operation::{Operation, OperationBuilder};
use aws_smithy_runtime::client::retries::classifiers::{HttpStatusCodeClassifier, TransientErrorClassifier};
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextMut;
use aws_smithy_runtime_api::client::interceptors::{Intercept, dyn_dispatch_hint};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::error::ErrorMetadata;

/// Signs each attempt anew. It has no contents in `Debug`: it holds a secret.
pub(crate) struct RequestSigner {
    pub(crate) credentials: Credentials,
    pub(crate) region: String,
    /// The service, as in signatures.
    pub(crate) service: &'static str,
    pub(crate) body: String,
}

impl RequestSigner {
    /// An operation of the service at this endpoint, whose attempts are signed. Its errors are [`ErrorMetadata`]; retries, timeouts, and
    /// what it writes and reads, are still to be said.
    pub(crate) fn operation(self, name: &'static str, http: SharedHttpClient, endpoint: &str) -> OperationBuilder {
        Operation::builder()
            .service_name(self.service)
            .operation_name(name)
            .http_client(http)
            .endpoint_url(endpoint)
            .no_auth()
            .retry_classifier(HttpStatusCodeClassifier::default())
            .retry_classifier(TransientErrorClassifier::<ErrorMetadata>::new())
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .interceptor(self)
    }
}

impl fmt::Debug for RequestSigner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("RequestSigner")
    }
}

#[dyn_dispatch_hint]
impl Intercept for RequestSigner {
    fn name(&self) -> &'static str {
        "RequestSigner"
    }

    fn modify_before_transmit(
        &self,
        context: &mut BeforeTransmitInterceptorContextMut<'_>,
        components: &RuntimeComponents,
        _config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let now = components.time_source().ok_or("no time source")?.now();
        let request = context.request_mut();
        let identity = self.credentials.clone().into();
        let mut settings = SigningSettings::default();
        if self.service == "s3" {
            // AWS: "Signature Calculations for the Authorization Header" of the S3 API reference.
            settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
            settings.percent_encoding_mode = PercentEncodingMode::Single;
            settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        }
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service)
            .time(now)
            .settings(settings)
            .build()?
            .into();
        let headers: Vec<(String, String)> = request
            .headers()
            .iter()
            .filter(|(name, _)| *name != "user-agent" && *name != "content-length")
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        let signable = SignableRequest::new(
            request.method(),
            request.uri(),
            headers.iter().map(|(name, value)| (name.as_str(), value.as_str())),
            SignableBody::Bytes(self.body.as_bytes()),
        )?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        for (name, value) in instructions.headers() {
            request.headers_mut().insert(name.to_owned(), value.to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signer_does_not_show_its_secret() {
        let credentials =
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/EXAMPLEKEY", None, None, "test");
        let signer = RequestSigner { credentials, region: "us-east-1".to_owned(), service: "s3", body: String::new() };
        assert_eq!(format!("{signer:?}"), "RequestSigner");
    }
}
