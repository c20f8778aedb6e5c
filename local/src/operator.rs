//! Drives a stack from outside, as the operator's own backend would, with the operator's AWS key.
//!
//! The demo, the end-to-end tests and the benchmark use it.

pub mod process;
pub mod verdict;

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// The Outputs of the template.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outputs {
    /// Base URL of the HTTP API.
    pub api_url: String,
    /// The queue for mail to be sent.
    pub send_queue_url: String,
    /// The dead-letter queue for mail that can never be sent.
    pub send_dead_letter_queue_url: String,
    /// The queue from `revoke` to `revoke-worker`.
    pub revocation_queue_url: String,
    /// The name of our event bus.
    pub bus_name: String,
    /// The name of the bucket for files of mails.
    pub attachments_bucket_name: String,
}

/// A tenant: an AWS account of its own, with an IAM user and that user's access key.
#[derive(Clone, Deserialize)]
pub struct Tenant {
    /// The id of the tenant's account.
    pub account_id: String,
    /// The ARN of the IAM user.
    pub user_arn: String,
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret of the access key. This type has no `Debug`, so that no log or panic message prints it.
    pub secret_access_key: String,
    /// The Region that the tenant's SES is set up in.
    pub region: String,
}

/// A response of the API, read to its end.
#[derive(Clone, Debug)]
pub struct ApiResponse {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as received.
    pub text: String,
    /// The body as JSON; `null` if it is not JSON.
    pub body: Value,
}

/// The operator's backend, connected to one stack.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The Outputs of the template.
    pub outputs: Outputs,
    /// SQS in the operator's account.
    pub sqs: aws_sdk_sqs::Client,
    /// EventBridge in the operator's account.
    pub eventbridge: aws_sdk_eventbridge::Client,
    http: reqwest::Client,
    local_url: String,
}

impl Operator {
    /// Connects to the stack whose API listens at `local_url`.
    ///
    /// # Errors
    /// The stack does not answer, or its outputs cannot be read.
    pub async fn connect(local_url: &str) -> Result<Self> {
        let http = reqwest::Client::builder().timeout(Duration::from_secs(40)).build()?;
        let outputs: Outputs = http
            .get(format!("{local_url}/_local/outputs"))
            .send()
            .await
            .context("GET /_local/outputs")?
            .error_for_status()?
            .json()
            .await?;
        let config = sdk_config(aws_url(&outputs)?);
        Ok(Self {
            sqs: aws_sdk_sqs::Client::new(&config),
            eventbridge: aws_sdk_eventbridge::Client::new(&config),
            http,
            local_url: local_url.to_owned(),
            outputs,
        })
    }

    /// Calls the API with a request that is signed with SigV4.
    ///
    /// # Errors
    /// The request cannot be signed, or nothing answers it. Every HTTP status is `Ok`.
    pub async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Result<ApiResponse> {
        self.api_with_headers(method, path, body, &[]).await
    }

    /// Calls the API as [`Operator::api`] does, with further headers.
    ///
    /// # Errors
    /// As [`Operator::api`].
    pub async fn api_with_headers(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<ApiResponse> {
        let url = format!("{}{path}", self.outputs.api_url.trim_end_matches('/'));
        let body = body.map(Value::to_string).unwrap_or_default();
        let identity = root_credentials().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("execute-api")
            .time(now())
            .settings(SigningSettings::default())
            .build()?
            .into();
        let unsigned = [("content-type", "application/json")].into_iter().chain(headers.iter().copied());
        let signable =
            SignableRequest::new(method.as_str(), &url, unsigned.clone(), SignableBody::Bytes(body.as_bytes()))?;
        let (signed, _) = sign(signable, &parameters)?.into_parts();
        let mut request = self.http.request(method, &url);
        for (name, value) in unsigned {
            request = request.header(name, value);
        }
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        Self::receive(request.body(body)).await
    }

    /// Puts a file into the bucket for files of mails, and answers its entity tag. The key is taken as it is written in a URL.
    ///
    /// # Errors
    /// Nothing answers the request, or S3 refuses it.
    pub async fn put_file(&self, key: &str, content: Vec<u8>) -> Result<String> {
        let (aws_url, _) =
            self.outputs.send_queue_url.rsplit_once("/123456789012/").context("a queue of another account")?;
        let url = format!("{aws_url}/{}/{key}", self.outputs.attachments_bucket_name);
        let mut settings = SigningSettings::default();
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        let identity = root_credentials().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region("us-east-1")
            .name("s3")
            .time(now())
            .settings(settings)
            .build()?
            .into();
        let signable = SignableRequest::new("PUT", &url, std::iter::empty(), SignableBody::Bytes(&content))?;
        let (signed, _) = sign(signable, &parameters)?.into_parts();
        let mut request = self.http.put(&url);
        for (name, value) in signed.headers() {
            request = request.header(name, value);
        }
        let response = request.body(content).send().await?.error_for_status()?;
        let etag = response.headers().get("etag").and_then(|etag| etag.to_str().ok()).context("no entity tag")?;
        Ok(etag.trim_matches('"').to_owned())
    }

    /// Calls a route under `/_local`, which only the stack on one machine has.
    ///
    /// # Errors
    /// Nothing answers the request. Every HTTP status is `Ok`.
    pub async fn local_api(&self, method: Method, path: &str, body: Option<&Value>) -> Result<ApiResponse> {
        let mut request = self.http.request(method, format!("{}/_local{path}", self.local_url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Self::receive(request).await
    }

    /// Creates a tenant's account with a user, its policies, SES identities and access key.
    ///
    /// # Errors
    /// The stack refuses the request.
    pub async fn create_tenant(&self, request: &Value) -> Result<Tenant> {
        let response = self.local_api(Method::POST, "/tenants", Some(request)).await?;
        if !response.status.is_success() {
            bail!("POST /_local/tenants: {} {}", response.status, response.text);
        }
        Ok(serde_json::from_value(response.body)?)
    }

    /// Hands a tenant's key to `verify` for onboarding.
    ///
    /// # Errors
    /// As [`Operator::api`].
    pub async fn onboard(&self, tenant_id: &str, tenant: &Tenant) -> Result<ApiResponse> {
        let request = json!({
            "tenant_id": tenant_id,
            "name": "main",
            "region": tenant.region,
            "access_key_id": tenant.access_key_id,
            "secret_access_key": tenant.secret_access_key,
        });
        self.api(Method::POST, "/providers", Some(&request)).await
    }

    /// Puts a mail into the send queue. Returns the id of the SQS message.
    ///
    /// # Errors
    /// SQS refuses the message.
    pub async fn enqueue_mail(&self, mail: &Value) -> Result<String> {
        let group = mail["provider_id"].as_str().unwrap_or("none");
        let output = self
            .sqs
            .send_message()
            .queue_url(&self.outputs.send_queue_url)
            .message_group_id(group)
            .message_body(mail.to_string())
            .send()
            .await
            .context("SendMessage to the send queue")?;
        Ok(output.message_id.unwrap_or_default())
    }

    /// Reports a breach on our event bus. Returns the id of the event.
    ///
    /// # Errors
    /// The bus refuses the event.
    pub async fn report_breach(&self, scope: &Value, reason: &str) -> Result<String> {
        let detail = json!({ "scope": scope, "reason": reason, "reported_by": "operator" });
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name(&self.outputs.bus_name)
            .source("sendingbee.security")
            .detail_type("Credential Breach")
            .detail(detail.to_string())
            .build();
        let output =
            self.eventbridge.put_events().entries(entry).send().await.context("PutEvents of a breach report")?;
        match output.entries().first().and_then(|entry| entry.event_id()) {
            Some(id) => Ok(id.to_owned()),
            None => bail!("PutEvents: the bus refused the breach report"),
        }
    }

    /// The mails that SES accepted in an account.
    ///
    /// # Errors
    /// As [`Operator::local_api`].
    pub async fn inbox(&self, account_id: &str) -> Result<Vec<Value>> {
        let response = self.local_api(Method::GET, &format!("/inbox?account_id={account_id}"), None).await?;
        Ok(response.body["mails"].as_array().cloned().unwrap_or_default())
    }

    /// The events of one detail-type that passed our bus, oldest first.
    ///
    /// # Errors
    /// As [`Operator::local_api`].
    pub async fn events(&self, detail_type: &str) -> Result<Vec<Value>> {
        let response = self.local_api(Method::GET, "/events", None).await?;
        let events = response.body["events"].as_array().cloned().unwrap_or_default();
        Ok(events.into_iter().filter(|event| event["detail-type"] == detail_type).collect())
    }

    async fn receive(request: reqwest::RequestBuilder) -> Result<ApiResponse> {
        let response = request.send().await?;
        let status = response.status();
        let headers = response.headers().clone();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(ApiResponse { status, headers, text, body })
    }
}

/// The URL of the stand-in, which that of a queue begins with.
fn aws_url(outputs: &Outputs) -> Result<&str> {
    let end = outputs.send_queue_url.match_indices('/').nth(2).map(|(end, _)| end);
    end.and_then(|end| outputs.send_queue_url.get(..end)).context("the output SendQueueUrl is not a URL")
}

/// The SDK configuration of the operator.
pub fn sdk_config(aws_url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(aws_url)
        .http_client(Builder::new().build_http())
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .credentials_provider(SharedCredentialsProvider::new(root_credentials()))
        .build()
}

/// The root key of the operator's account. The stand-in refuses nothing to it.
fn root_credentials() -> Credentials {
    Credentials::new("test", "test", None, None, "Operator")
}

#[expect(clippy::disallowed_methods, reason = "a signature covers the time at which it is made")]
fn now() -> SystemTime {
    SystemTime::now()
}
