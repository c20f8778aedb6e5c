//! Calls of AWS, each signed by hand: one client for the five services that a drill asks, with AWS's own words in the answer.
//!
//! An SDK client a service would cost minutes of compile time, and classifies what a drill wants to see as it stands.

use std::fmt;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_async::time::SystemTimeSource;
use aws_smithy_runtime::client::orchestrator::operation::Operation;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use shared::runtime::{Ambient, Connector};
use shared::tenant::Region;
use tokio::time::sleep;

use super::aws_answer::AwsAnswer;
use super::aws_service::{AwsService, EndpointOverrides};

/// The longest that one call may take. The API answers an onboarding within 30 s.
const CALL_TIMEOUT: Duration = Duration::from_secs(40);

/// How often a call is made whose repetition changes nothing, and the pause in between.
const ATTEMPTS: u32 = 4;
const PAUSE: Duration = Duration::from_secs(1);

/// Who asks, and where.
#[derive(Clone)]
pub(super) struct AwsClient {
    http: SharedHttpClient,
    ambient: Ambient,
    credentials: Credentials,
    region: Region,
    endpoints: EndpointOverrides,
}

/// One request, before it is signed.
struct Unsigned<'a> {
    service: &'a str,
    region: &'a str,
    endpoint: &'a str,
    method: &'a str,
    path: &'a str,
    content_type: &'a str,
    target: &'a str,
    body: String,
}

/// A signed request. It has no contents in `Debug`: it may hold a secret.
struct Signed(HttpRequest);

impl fmt::Debug for Signed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Signed")
    }
}

impl AwsClient {
    /// A client by the standard environment variables.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub(super) fn from_environment(region: Option<&str>) -> Result<Self> {
        Self::from_variables(region, |name| std::env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn from_variables(region: Option<&str>, variable: impl Fn(&str) -> Option<String>) -> Result<Self> {
        let found = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| variable(name).ok_or(name));
        let (id, secret) = match found {
            [Ok(id), Ok(secret)] => (id, secret),
            missing => bail!(
                "{} not set: `eval \"$(aws configure export-credentials --format env)\"` sets the AWS credentials of the AWS CLI \
                 (with `--profile NAME` those of another profile)",
                missing.into_iter().filter_map(Result::err).collect::<Vec<_>>().join(" and ")
            ),
        };
        let region = region
            .map(str::to_owned)
            .or_else(|| variable("AWS_REGION"))
            .or_else(|| variable("AWS_DEFAULT_REGION"))
            .context("no Region: give --region, or set AWS_REGION, to where the stack is deployed")?;
        let region = Region::parse(&region).map_err(|error| anyhow::anyhow!("the Region {region} {error}"))?;
        let ambient = Ambient::system();
        Ok(Self {
            http: SharedHttpClient::new(Connector::new(ambient)),
            ambient,
            credentials: Credentials::new(id, secret, variable("AWS_SESSION_TOKEN"), None, "Environment"),
            region,
            endpoints: EndpointOverrides::from_variables(variable),
        })
    }

    /// The same client with another key.
    pub(super) fn with_key(&self, access_key_id: &str, secret_access_key: &str) -> Self {
        let credentials = Credentials::new(access_key_id, secret_access_key, None, None, "ThrowAway");
        Self { credentials, ..self.clone() }
    }

    /// Clock and randomness.
    pub(super) fn ambient(&self) -> Ambient {
        self.ambient
    }

    /// The Region.
    pub(super) fn region(&self) -> &'static str {
        self.region.as_str()
    }

    /// The partition, as in ARNs.
    pub(super) fn partition(&self) -> &'static str {
        self.region.partition()
    }

    /// The endpoint that stands for AWS; `None` where all calls go to AWS itself.
    pub(super) fn stand_in(&self) -> Option<&str> {
        self.endpoints.any()
    }

    /// One call of a query API.
    ///
    /// # Errors
    /// Nobody answered. An error of AWS's is an answer.
    pub(super) async fn query(
        &self,
        service: AwsService,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<AwsAnswer> {
        let fixed = [("Action", action), ("Version", service.version())];
        let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
        let body: Vec<String> =
            fixed.iter().chain(parameters).map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
        let body = body.join("&");
        self.call_service(service, "POST", "/", "application/x-www-form-urlencoded; charset=utf-8", "", body).await
    }

    /// [`AwsClient::query`] of what may be asked twice: it is, while AWS is too busy or does not answer.
    ///
    /// # Errors
    /// AWS refuses, in its words, or nobody answered.
    pub(super) async fn repeatable(
        &self,
        service: AwsService,
        action: &str,
        parameters: &[(&str, &str)],
    ) -> Result<AwsAnswer> {
        let mut attempt = 1;
        loop {
            let answer = self.query(service, action, parameters).await;
            let is_worth_it = answer.as_ref().map_or(true, AwsAnswer::is_passing);
            if is_worth_it && attempt < ATTEMPTS {
                attempt += 1;
                sleep(PAUSE).await;
                continue;
            }
            return answer?.successful(action);
        }
    }

    /// One call of SES's REST API, or with a `target` of a JSON service.
    ///
    /// # Errors
    /// As [`AwsClient::query`].
    pub(super) async fn json(
        &self,
        service: AwsService,
        method: &str,
        path: &str,
        target: &str,
        body: Option<&Value>,
    ) -> Result<AwsAnswer> {
        let content_type = match (target, body) {
            ("", None) => "",
            ("", Some(_)) => "application/json",
            _ => "application/x-amz-json-1.0",
        };
        let body = body.map(Value::to_string).unwrap_or_default();
        self.call_service(service, method, path, content_type, target, body).await
    }

    /// One call of the stack's own API.
    ///
    /// # Errors
    /// As [`AwsClient::query`].
    pub(super) async fn api(&self, api_url: &str, method: &str, path: &str, body: Option<&Value>) -> Result<AwsAnswer> {
        let unsigned = Unsigned {
            service: "execute-api",
            region: self.region.as_str(),
            endpoint: api_url,
            method,
            path,
            content_type: "application/json",
            target: "",
            body: body.map(Value::to_string).unwrap_or_default(),
        };
        self.send(unsigned).await.with_context(|| format!("{method} {api_url}{path}"))
    }

    async fn call_service(
        &self,
        service: AwsService,
        method: &str,
        path: &str,
        content_type: &str,
        target: &str,
        body: String,
    ) -> Result<AwsAnswer> {
        let (endpoint, region) = match self.endpoints.of(service) {
            Some(endpoint) => (endpoint.to_owned(), self.region.as_str()),
            None => service.place(self.region)?,
        };
        let unsigned =
            Unsigned { service: service.name(), region, endpoint: &endpoint, method, path, content_type, target, body };
        self.send(unsigned).await.with_context(|| format!("call {} at {endpoint}", service.name()))
    }

    async fn send(&self, unsigned: Unsigned<'_>) -> Result<AwsAnswer> {
        let request = self.sign(&unsigned)?;
        let operation = Operation::builder()
            .service_name(unsigned.service.to_owned())
            .operation_name("Call")
            .http_client(self.http.clone())
            .endpoint_url(unsigned.endpoint)
            .no_auth()
            .no_retry()
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(5))
                    .operation_attempt_timeout(CALL_TIMEOUT)
                    .build(),
            )
            .sleep_impl(TokioSleep::new())
            .time_source(SystemTimeSource::new())
            .serializer(|request: Signed| Ok(request.0))
            .deserializer(|response: &HttpResponse| -> Result<AwsAnswer, OrchestratorError<ErrorMetadata>> {
                let typed = response.headers().get("x-amzn-errortype").unwrap_or_default();
                let body = String::from_utf8_lossy(response.body().bytes().unwrap_or_default()).into_owned();
                Ok(AwsAnswer::new(response.status().as_u16(), typed, body))
            })
            .build();
        // Display alone: the Debug of such an error prints raw requests and answers.
        operation.invoke(request).await.map_err(|error| anyhow::anyhow!("{}", shared::telemetry::chain(&error)))
    }

    fn sign(&self, unsigned: &Unsigned<'_>) -> Result<Signed> {
        let Unsigned { service, region, endpoint, method, path, content_type, target, body } = unsigned;
        let identity = self.credentials.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name(service)
            .time(self.ambient.now().into())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let headers = [("content-type", *content_type), ("x-amz-target", *target)];
        let headers: Vec<(&str, &str)> = headers.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        let url = format!("{}{path}", endpoint.trim_end_matches('/'));
        let signable =
            SignableRequest::new(method, &url, headers.iter().copied(), SignableBody::Bytes(body.as_bytes()))?;
        let (instructions, _) = sign(signable, &parameters)?.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(body.as_str()));
        request.set_method(method)?;
        request.set_uri(path.to_owned())?;
        let http = request.headers_mut();
        http.insert("user-agent", "sendingbee-drill");
        http.insert("content-length", body.len().to_string());
        for (name, value) in headers {
            http.insert(name.to_owned(), value.to_owned());
        }
        for (name, value) in instructions.headers() {
            http.insert(name.to_owned(), value.to_owned());
        }
        Ok(Signed(request))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn variables(set: &'static [(&'static str, &'static str)]) -> impl Fn(&str) -> Option<String> {
        move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    }

    const KEY: (&str, &str) = ("AWS_ACCESS_KEY_ID", "AKIASP2TPHJSQH3FJRUX");
    const SECRET: (&str, &str) = ("AWS_SECRET_ACCESS_KEY", "MARKER");

    #[test]
    fn what_is_missing_is_named_with_the_remedy() {
        const SET: [(&str, &str); 3] = [KEY, SECRET, ("AWS_REGION", "mars-1")];
        let cases = [
            (&SET[..0], "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY not set: `eval"),
            (&SET[..1], "AWS_SECRET_ACCESS_KEY not set: `eval"),
            (&SET[..2], "give --region, or set AWS_REGION"),
            (&SET[..], "mars-1 is not an AWS Region"),
        ];
        for (set, expected) in cases {
            let error = AwsClient::from_variables(None, variables(set)).err().unwrap().to_string();
            assert!(error.contains(expected) && !error.contains("MARKER"), "{error}");
        }
        let client = AwsClient::from_variables(
            Some("eu-central-1"),
            variables(&[KEY, SECRET, ("AWS_REGION", "us-east-1"), ("AWS_SESSION_TOKEN", "token")]),
        )
        .unwrap();
        assert_eq!((client.region(), client.stand_in()), ("eu-central-1", None));
        assert_eq!(client.credentials.session_token(), Some("token"));
    }

    #[test]
    fn nothing_of_a_signed_request_is_in_its_debug() {
        let client = AwsClient::from_variables(Some("us-east-1"), variables(&[KEY, SECRET])).unwrap();
        let unsigned = Unsigned {
            service: "execute-api",
            region: "us-east-1",
            endpoint: "http://127.0.0.1:1",
            method: "POST",
            path: "/providers",
            content_type: "application/json",
            target: "",
            body: "MARKER".to_owned(),
        };
        assert_eq!(format!("{:?}", client.sign(&unsigned).unwrap()), "Signed");
    }
}
