//! `PUT /webhooks/{name}`: registers a sender of webhooks, changes what it may report, or gives it another secret.

use std::collections::BTreeSet;

use serde::Deserialize;
use shared::custody::{WebhookCustodyError, WebhookSecret};
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use shared::record::{SenderName, WebhookChange, WebhookScope, WebhookSender};

use super::signer;
use super::webhook_view::WebhookView;
use crate::intake::Intake;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RegistrationRequest {
    allowed_scopes: Vec<String>,
    #[serde(default)]
    rotate: bool,
}

impl RegistrationRequest {
    /// The scopes that are asked for.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn scopes(&self) -> Result<BTreeSet<WebhookScope>, FieldError> {
        let words = || WebhookScope::ALL.map(|scope| format!("`{}`", scope.as_str())).join(", ");
        if self.allowed_scopes.is_empty() {
            return Err(FieldError::new("allowed_scopes", format!("must name one or more of {}", words())));
        }
        let parse = |(index, word): (usize, &String)| {
            WebhookScope::parse(word).ok_or_else(|| {
                FieldError::new(format!("allowed_scopes[{index}]"), format!("must be one of {}", words()))
            })
        };
        self.allowed_scopes.iter().enumerate().map(parse).collect()
    }
}

impl Intake {
    pub(super) async fn register_webhook(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let name = request.path_parameters.get("name").map(String::as_str).unwrap_or_default();
        let name =
            SenderName::parse(name).map_err(|error| Problem::bad_request(&FieldError::from_display("name")(error)))?;
        log.webhook(&name);
        let asked: RegistrationRequest = body(request)?;
        let allowed_scopes = asked.scopes().map_err(|invalid| Problem::bad_request(&invalid))?;
        let former = self.providers.webhook_sender(&name).await?;
        let event = match &former {
            None => "webhook_registered",
            Some(_) if asked.rotate => "webhook_secret_rotated",
            Some(former) if former.allowed_scopes != allowed_scopes => "webhook_scopes_changed",
            Some(former) => {
                log.outcome("unchanged");
                return Ok(respond(200, &WebhookView::new(former)));
            }
        };
        let secret = match &former {
            Some(_) if !asked.rotate => None,
            _ => Some(WebhookSecret::generate().map_err(|error| Problem::internal().caused_by(&error))?),
        };
        let new_secret = match &secret {
            Some(secret) => Some(self.webhook_secrets.seal(&name, secret).await.map_err(|error| not_sealed(&error))?),
            None => None,
        };
        let change = WebhookChange { allowed_scopes, new_secret, by: signer.to_owned(), at: self.ambient.now() };
        let sender = match &former {
            Some(former) => former.changed(change),
            None => WebhookSender::registered(name, change),
        };
        if !self.providers.put_webhook_sender(former.as_ref(), &sender, event, &self.ambient).await? {
            return Err(Problem::new(
                409,
                "The sender was changed by somebody else meanwhile. Look at it and try again.",
            ));
        }
        log.outcome(event);
        let secret = secret.map(|secret| secret.to_text());
        let view = WebhookView::with_secret(&sender, secret.as_ref().map(|text| text.as_str()));
        Ok(respond(if former.is_some() { 200 } else { 201 }, &view))
    }
}

fn not_sealed(error: &WebhookCustodyError) -> Problem {
    Problem::unavailable().caused_by(error)
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use serde_json::{Value, json};
    use shared::testing::FakeResponse;

    use super::*;
    use crate::fixtures::{cold_start, operations};

    /// The response to the registration of a new sender while KMS and DynamoDB answer so, and what was called.
    async fn registration(encrypt: FakeResponse, write: FakeResponse) -> (i64, Value, Vec<String>) {
        let (start, calls) = cold_start(move |operation| match operation {
            "Encrypt" => Some(encrypt.clone()),
            "TransactWriteItems" => Some(write.clone()),
            _ => None,
        });
        let sample = include_str!("../../../../../events/revoke-register-webhook.json");
        let response =
            Intake::new(&start).unwrap().handle_request(&serde_json::from_str::<Request>(sample).unwrap()).await;
        let Some(Body::Text(text)) = response.body else { panic!("no body") };
        (response.status_code, serde_json::from_str(&text).unwrap(), operations(&calls))
    }

    #[tokio::test]
    async fn a_secret_is_shown_only_if_it_is_stored() {
        let sealed = (200, json!({"CiphertextBlob": "c2VhbGVk"}).to_string());
        let written = (200, "{}".to_owned());
        let changed = json!({
            "__type": "com.amazonaws.dynamodb.v20120810#TransactionCanceledException",
            "CancellationReasons": [{"Code": "ConditionalCheckFailed"}, {"Code": "None"}],
        });
        let refused = (400, json!({"__type": "AccessDeniedException"}).to_string());
        let denied = (400, json!({"__type": "com.amazon.coral.service#AccessDeniedException"}).to_string());
        let whole = ["GetItem providers", "Encrypt", "TransactWriteItems"];
        for (encrypt, write, status, calls) in [
            (sealed.clone(), written.clone(), 201, &whole[..]),
            (sealed.clone(), (400, changed.to_string()), 409, &whole[..]),
            (sealed, denied, 503, &whole[..]),
            (refused, written, 503, &whole[..2]),
        ] {
            let (actual, body, made) = registration(encrypt, write).await;
            assert_eq!(
                (actual, made.as_slice()),
                (status, calls.iter().map(|&call| call.to_owned()).collect::<Vec<_>>().as_slice())
            );
            assert_eq!(
                body["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")),
                status == 201,
                "{body}"
            );
        }
    }
}
