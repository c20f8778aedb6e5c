//! The operator: drives the stack from outside as its backend would, with the operator's own AWS key.
//!
//! The demo tells its story with it, the end-to-end tests and the benchmark use it.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::Builder;
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_types::SdkConfig;
use aws_types::region::Region;
use reqwest::{Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

/// The template's Outputs.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Outputs {
    /// Base URL of the HTTP API.
    pub api_url: String,
    /// Queue that takes mail.
    pub send_queue_url: String,
    /// Mail that can never be sent.
    pub send_dead_letter_queue_url: String,
    /// Orders on their way to `revoke-worker`.
    pub revocation_queue_url: String,
    /// Our bus.
    pub bus_name: String,
}

/// A tenant's side of the story: another account with a user and its key.
#[derive(Clone, Deserialize)]
pub struct Tenant {
    /// The tenant's account.
    pub account_id: String,
    /// The user's ARN.
    pub user_arn: String,
    /// The key's id.
    pub access_key_id: String,
    /// The key's secret; no `Debug` on this type.
    pub secret_access_key: String,
    /// The Region that its SES is set up in.
    pub region: String,
}

/// An answer of the API.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: StatusCode,
    /// The headers.
    pub headers: reqwest::header::HeaderMap,
    /// The body as it came.
    pub text: String,
    /// The body as JSON; `null` where it is none.
    pub body: Value,
}

/// The operator's backend.
#[derive(Clone, Debug)]
pub struct Operator {
    /// The template's Outputs.
    pub outputs: Outputs,
    /// The operator's queues.
    pub sqs: aws_sdk_sqs::Client,
    /// The operator's buses.
    pub events: aws_sdk_eventbridge::Client,
    http: reqwest::Client,
    local_url: String,
}

impl Operator {
    /// Connects to a stack whose API listens at `local_url`.
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
        let (aws_url, _) = outputs
            .send_queue_url
            .match_indices('/')
            .nth(2)
            .map(|(end, _)| outputs.send_queue_url.split_at(end))
            .context("SendQueueUrl is no URL")?;
        let config = config(aws_url);
        Ok(Self {
            sqs: aws_sdk_sqs::Client::new(&config),
            events: aws_sdk_eventbridge::Client::new(&config),
            http,
            local_url: local_url.to_owned(),
            outputs,
        })
    }

    /// Calls the API with an IAM-signed request.
    pub async fn api(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        self.api_with(method, path, body, &[]).await
    }

    /// Calls the API with an IAM-signed request and further headers.
    pub async fn api_with(
        &self,
        method: Method,
        path: &str,
        body: Option<&Value>,
        headers: &[(&str, &str)],
    ) -> Result<Answer> {
        let url = format!("{}{path}", self.outputs.api_url.trim_end_matches('/'));
        let body = body.map(Value::to_string).unwrap_or_default();
        let identity = root().into();
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
        Self::answer(request.body(body)).await
    }

    /// Calls one of the routes that only the stack on one machine has.
    pub async fn local(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Answer> {
        let mut request = self.http.request(method, format!("{}/_local{path}", self.local_url));
        if let Some(body) = body {
            request = request.header("content-type", "application/json").body(body.to_string());
        }
        Self::answer(request).await
    }

    /// Makes a tenant's account with a user, its policies, identities and key.
    pub async fn tenant(&self, request: &Value) -> Result<Tenant> {
        let answer = self.local(Method::POST, "/tenants", Some(request)).await?;
        if !answer.status.is_success() {
            bail!("POST /_local/tenants: {} {}", answer.status, answer.text);
        }
        Ok(serde_json::from_value(answer.body)?)
    }

    /// Hands a tenant's key over to `verify`.
    pub async fn onboard(&self, tenant_id: &str, tenant: &Tenant) -> Result<Answer> {
        let request = json!({
            "tenant_id": tenant_id,
            "name": "main",
            "region": tenant.region,
            "access_key_id": tenant.access_key_id,
            "secret_access_key": tenant.secret_access_key,
        });
        self.api(Method::POST, "/providers", Some(&request)).await
    }

    /// Hands a mail over to be sent. Answers the SQS message id.
    pub async fn mail(&self, mail: &Value) -> Result<String> {
        let group = mail["provider_id"].as_str().unwrap_or("none");
        let answer = self
            .sqs
            .send_message()
            .queue_url(&self.outputs.send_queue_url)
            .message_group_id(group)
            .message_body(mail.to_string())
            .send()
            .await
            .context("SendMessage to the send queue")?;
        Ok(answer.message_id.unwrap_or_default())
    }

    /// Reports a breach on our bus. Answers the event's id.
    pub async fn report_breach(&self, scope: &Value, reason: &str) -> Result<String> {
        let detail = json!({ "scope": scope, "reason": reason, "reported_by": "operator" });
        let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
            .event_bus_name(&self.outputs.bus_name)
            .source("sendingbee.security")
            .detail_type("Credential Breach")
            .detail(detail.to_string())
            .build();
        let answer = self.events.put_events().entries(entry).send().await.context("PutEvents")?;
        match answer.entries().first().and_then(|entry| entry.event_id()) {
            Some(id) => Ok(id.to_owned()),
            None => bail!("the bus did not take the event"),
        }
    }

    /// The mails that SES accepted in an account.
    pub async fn inbox(&self, account_id: &str) -> Result<Vec<Value>> {
        let answer = self.local(Method::GET, &format!("/inbox?account_id={account_id}"), None).await?;
        Ok(answer.body["mails"].as_array().cloned().unwrap_or_default())
    }

    /// The events that passed the bus, of one detail-type.
    pub async fn events_of(&self, detail_type: &str) -> Result<Vec<Value>> {
        let answer = self.local(Method::GET, "/events", None).await?;
        let events = answer.body["events"].as_array().cloned().unwrap_or_default();
        Ok(events.into_iter().filter(|event| event["detail-type"] == detail_type).collect())
    }

    async fn answer(request: reqwest::RequestBuilder) -> Result<Answer> {
        let response = request.send().await?;
        let status = response.status();
        let headers = response.headers().clone();
        let text = response.text().await?;
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        Ok(Answer { status, headers, text, body })
    }
}

/// The operator's SDK configuration.
pub fn config(aws_url: &str) -> SdkConfig {
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::from_static("us-east-1"))
        .endpoint_url(aws_url)
        .http_client(Builder::new().build_http())
        .sleep_impl(aws_smithy_async::rt::sleep::TokioSleep::new())
        .credentials_provider(SharedCredentialsProvider::new(root()))
        .build()
}

/// The operator's root in the stand-in.
fn root() -> Credentials {
    Credentials::new("test", "test", None, None, "Operator")
}

#[expect(clippy::disallowed_methods, reason = "a signature is over the time at which it is made")]
fn now() -> SystemTime {
    SystemTime::now()
}
