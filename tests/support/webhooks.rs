//! Signed webhooks, as a sender with a library of Standard Webhooks makes them.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use jiff::Timestamp;
use operator::ApiResponse;
use reqwest::Method;
use serde_json::{Value, json};
use sha2::Sha256;

use super::Stack;

/// A request to a webhook's URL. Its headers can be changed after it was signed.
#[derive(Clone)]
pub(crate) struct Webhook {
    /// The sender's name in the URL.
    pub(crate) name: String,
    /// The headers beside `content-type`.
    pub(crate) headers: Vec<(&'static str, String)>,
    /// The body.
    pub(crate) body: String,
}

impl Webhook {
    /// A report that is signed now with each of these secrets.
    pub(crate) fn signed(name: &str, id: &str, secrets: &[&str], body: &Value) -> Self {
        #[expect(clippy::disallowed_methods, reason = "a sender signs with its own clock")]
        let now = Timestamp::now().as_second();
        Self::signed_at(name, id, secrets, body, now)
    }

    /// A report that was signed at a time, in seconds.
    pub(crate) fn signed_at(name: &str, id: &str, secrets: &[&str], body: &Value, at: i64) -> Self {
        let body = body.to_string();
        let signatures: Vec<String> = secrets
            .iter()
            .map(|secret| {
                let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
                let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
                mac.update(format!("{id}.{at}.{body}").as_bytes());
                format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
            })
            .collect();
        let headers = vec![
            ("webhook-id", id.to_owned()),
            ("webhook-timestamp", at.to_string()),
            ("webhook-signature", signatures.join(" ")),
        ];
        Self { name: name.to_owned(), headers, body }
    }

    /// The same with another value of a header.
    pub(crate) fn with(&self, name: &'static str, value: &str) -> Self {
        let mut webhook = self.without(name);
        webhook.headers.push((name, value.to_owned()));
        webhook
    }

    /// The same without a header.
    pub(crate) fn without(&self, name: &'static str) -> Self {
        let mut webhook = self.clone();
        webhook.headers.retain(|(other, _)| *other != name);
        webhook
    }
}

impl Stack {
    /// Registers a sender, or changes it.
    pub(crate) async fn put_webhook(&self, name: &str, body: &Value) -> ApiResponse {
        self.api(Method::PUT, &format!("/webhooks/{name}"), Some(body)).await.unwrap()
    }

    /// Registers a sender that may report keys and providers. Returns its secret.
    pub(crate) async fn register_webhook(&self, name: &str) -> String {
        let response = self.put_webhook(name, &json!({ "allowed_scopes": ["access_key_id", "provider_id"] })).await;
        assert_eq!(response.status, 201, "{name}");
        response.body["secret"].as_str().unwrap().to_owned()
    }

    /// Sends a webhook as its sender does: without a signature of AWS.
    pub(crate) async fn send_webhook(&self, webhook: &Webhook) -> ApiResponse {
        let url = format!("{}/webhooks/{}", self.outputs.api_url.trim_end_matches('/'), webhook.name);
        let mut request =
            reqwest::Client::new().post(url).header("content-type", "application/json").body(webhook.body.clone());
        for (name, value) in &webhook.headers {
            request = request.header(*name, value);
        }
        let response = request.send().await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let text = response.text().await.unwrap();
        let body = serde_json::from_str(&text).unwrap_or(Value::Null);
        ApiResponse { status, headers, text, body }
    }
}
