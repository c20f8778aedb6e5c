//! The event source mapping by which Lambda polls a queue, as the API of our own account's Lambda switches it.
//!
//! There is no SDK client: one that is used for two calls would cost minutes of compile time. The requests are built by
//! hand, signed with the SDKs' own signer, and sent by the SDKs' own orchestrator over the process's connector.

use aws_credential_types::provider::ProvideCredentials as _;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_types::SdkConfig;
use serde::Deserialize;
use serde_json::json;
use thiserror::Error;

use crate::runtime::RequestSigner;

/// The error of an update while the mapping is still changing (AWS: Lambda API reference, "UpdateEventSourceMapping").
const IN_USE: &str = "ResourceInUseException";

/// An event source mapping of our own account.
#[derive(Clone, Debug)]
pub struct EventSourceMapping {
    config: SdkConfig,
    uuid: String,
}

/// What Lambda says of a mapping (AWS: Lambda API reference, "EventSourceMappingConfiguration", `State`).
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "String")]
pub enum MappingState {
    /// Lambda polls the queue.
    Enabled,
    /// Lambda does not poll the queue.
    Disabled,
    /// On the way to another state (`Enabling`, `Disabling`, `Updating`, …). Nothing can be changed meanwhile.
    Changing(String),
}

/// A call about a mapping failed. The cause is Lambda's of our own account, so it may be logged.
#[derive(Debug, Error)]
#[error("{operation} of the event source mapping {uuid} ({code})")]
pub struct MappingError {
    operation: &'static str,
    uuid: String,
    /// Lambda's error code, or that there was no answer.
    code: String,
}

impl MappingError {
    /// Whether the mapping is only busy with an earlier change.
    pub fn is_in_use(&self) -> bool {
        self.code == IN_USE
    }
}

impl MappingState {
    /// AWS's word for it.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Enabled => "Enabled",
            Self::Disabled => "Disabled",
            Self::Changing(word) => word,
        }
    }
}

impl From<String> for MappingState {
    fn from(word: String) -> Self {
        match word.as_str() {
            "Enabled" => Self::Enabled,
            "Disabled" => Self::Disabled,
            _ => Self::Changing(word),
        }
    }
}

/// A mapping as Lambda describes it, as far as it is read.
#[derive(Deserialize)]
struct Described {
    #[serde(rename = "State")]
    state: MappingState,
}

impl EventSourceMapping {
    /// The mapping with this id, for clients of this configuration.
    pub fn new(config: SdkConfig, uuid: impl Into<String>) -> Self {
        Self { config, uuid: uuid.into() }
    }

    /// What it does.
    ///
    /// # Errors
    /// Lambda refuses, or does not answer in three attempts.
    pub async fn state(&self) -> Result<MappingState, MappingError> {
        self.call("GetEventSourceMapping", "GET", String::new()).await
    }

    /// Lets Lambda poll the queue, or stops it. Batches that it has received already are still processed. Returns what the
    /// mapping does from now on, mostly `Enabling` or `Disabling` for some seconds.
    ///
    /// # Errors
    /// Lambda refuses, which it does while an earlier change is under way ([`MappingError::is_in_use`]), or does not answer
    /// in three attempts.
    pub async fn set_enabled(&self, enabled: bool) -> Result<MappingState, MappingError> {
        self.call("UpdateEventSourceMapping", "PUT", json!({ "Enabled": enabled }).to_string()).await
    }

    async fn call(
        &self,
        operation: &'static str,
        method: &'static str,
        body: String,
    ) -> Result<MappingState, MappingError> {
        let failed = |code: &str| MappingError { operation, uuid: self.uuid.clone(), code: code.to_owned() };
        let config = &self.config;
        let (Some(http), Some(region)) = (config.http_client(), config.region()) else {
            return Err(failed("no connector or Region"));
        };
        // AWS General Reference, "AWS Lambda endpoints and quotas".
        let endpoint = config.endpoint_url().map_or_else(|| regional_endpoint(region.as_ref()), str::to_owned);
        let path = format!("/2015-03-31/event-source-mappings/{}", self.uuid);
        let credentials = match config.credentials_provider() {
            Some(provider) => provider.provide_credentials().await.map_err(|_| failed("no credentials"))?,
            None => return Err(failed("no credentials")),
        };
        let signer = RequestSigner { credentials, region: region.to_string(), service: "lambda", body: body.clone() };
        let mut call = signer.operation(operation, http, &endpoint);
        if let Some(retry) = config.retry_config() {
            call = call.standard_retry(retry);
        }
        if let Some(timeout) = config.timeout_config() {
            call = call.timeout_config(timeout.clone());
        }
        let call = call.serializer(move |(): ()| unsigned(method, &path, &body)).deserializer(read_response).build();
        call.invoke(()).await.map_err(|error| failed(code(&error)))
    }
}

/// The error code; where there is none, what kind of failure it was.
fn code(error: &SdkError<ErrorMetadata, HttpResponse>) -> &str {
    match error {
        SdkError::ServiceError(refused) => refused.err().code().unwrap_or("no code"),
        SdkError::TimeoutError(_) => "timeout",
        _ => "no answer",
    }
}

fn regional_endpoint(region: &str) -> String {
    let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    format!("https://lambda.{region}.{suffix}")
}

fn unsigned(method: &str, path: &str, body: &str) -> Result<HttpRequest, BoxError> {
    let mut http = HttpRequest::new(SdkBody::from(body));
    http.set_method(method)?;
    http.set_uri(path)?;
    if !body.is_empty() {
        http.headers_mut().insert("content-type", "application/json");
        http.headers_mut().insert("content-length", body.len().to_string());
    }
    Ok(http)
}

/// Of a refusal only the code is kept, which Lambda sends in a header, with a URL after a colon if it likes (AWS: Smithy,
/// "AWS restJson1 protocol", operation error serialization).
fn read_response(response: &HttpResponse) -> Result<MappingState, OrchestratorError<ErrorMetadata>> {
    if response.status().is_success() {
        let body = response.body().bytes().unwrap_or_default();
        let described: Described = serde_json::from_slice(body).map_err(OrchestratorError::other)?;
        return Ok(described.state);
    }
    let typed = response.headers().get("x-amzn-errortype").unwrap_or_default();
    let code = typed.rsplit('#').next().unwrap_or_default().split(':').next().unwrap_or_default();
    let mut metadata = ErrorMetadata::builder();
    if !code.is_empty() {
        metadata = metadata.code(code);
    }
    Err(OrchestratorError::operation(metadata.build()))
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::runtime::{Ambient, ColdStart, Environment};
    use crate::testing::{FakeResponse, fake_aws};

    /// A mapping whose Lambda answers so, and the requests that were made.
    fn mapping(answer: FakeResponse) -> (EventSourceMapping, Arc<Mutex<Vec<String>>>) {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&requests);
        let http = fake_aws(move |request| {
            seen.lock().unwrap().push(format!("{} {}", request.uri, request.body));
            std::future::ready(answer.clone())
        });
        let environment = Environment::from_variables(&[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ]);
        let ambient = Ambient::new(|| jiff::Timestamp::UNIX_EPOCH, || 0);
        (ColdStart { environment, ambient, http }.event_source_mapping("uuid-1").unwrap(), requests)
    }

    const URL: &str = "https://lambda.eu-central-1.amazonaws.com/2015-03-31/event-source-mappings/uuid-1";

    #[tokio::test]
    async fn a_mapping_is_asked_for_and_switched_by_its_id() {
        for (word, state) in [
            ("Enabled", MappingState::Enabled),
            ("Disabled", MappingState::Disabled),
            ("Disabling", MappingState::Changing("Disabling".to_owned())),
        ] {
            let (mapping, requests) = mapping((200, json!({ "UUID": "uuid-1", "State": word }).to_string()));
            assert_eq!(mapping.state().await.unwrap(), state);
            assert_eq!(mapping.set_enabled(false).await.unwrap().as_str(), word);
            let requests = requests.lock().unwrap();
            assert_eq!(*requests, [format!("{URL} "), format!("{URL} {{\"Enabled\":false}}")]);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_names_the_operation_and_is_tried_again_where_that_may_help() {
        for (status, attempts) in [(500, 3), (400, 1)] {
            let (mapping, requests) = mapping((status, "{}".to_owned()));
            let error = mapping.set_enabled(true).await.unwrap_err();
            assert_eq!(error.to_string(), "UpdateEventSourceMapping of the event source mapping uuid-1 (no code)");
            assert_eq!(requests.lock().unwrap().len(), attempts);
        }
        let (mapping, _) = mapping((200, "garbage".to_owned()));
        assert!(mapping.state().await.is_err());
    }
}
