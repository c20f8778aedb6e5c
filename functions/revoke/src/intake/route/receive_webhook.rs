//! `POST /webhooks/{name}`: a breach report that a registered sender signed. The route has no authorizer.

use shared::http::{FieldError, Problem, Request, RequestLog, Response};
use shared::id::OrderId;
use shared::record::{SenderName, WebhookSender};

use super::order_response::{order_not_written, order_response};
use super::parameter;
use crate::intake::order_execution::OrderError;
use crate::intake::webhook::{Delivery, Refusal, ReportError, WebhookReport};
use crate::intake::{Intake, unknown_provider};

impl Intake {
    pub(super) async fn receive_webhook(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let now = self.ambient.now();
        // First what costs nothing: a stranger's request reads no record and calls no KMS before it is complete and recent.
        let delivery = Delivery::from_request(request, now).map_err(|refusal| refused(refusal, log))?;
        let sender = match parameter(request, "name", SenderName::parse) {
            Some(name) => self.providers.webhook_sender(&name).await?,
            None => None,
        };
        let sender = self.signer_of(&delivery, sender, log).await?;
        log.webhook(&sender.name);
        let report =
            WebhookReport::parse(&delivery.body, &sender.name, &sender.allowed_scopes).map_err(
                |error| match error {
                    ReportError::NotAllowed(field) => forbidden(&field),
                    ReportError::Invalid(field) => Problem::bad_request(&field),
                },
            )?;
        let scope = report.scope.clone();
        let execution = match self.order_revocation(order_id(&sender, &delivery.id), report).await {
            Ok(execution) => execution,
            Err(OrderError::UnknownProvider) => {
                // A sender is a machine: nobody may ever read its 400.
                self.notify_unmatched(unknown_provider(scope)).await;
                return Err(Problem::bad_request(&FieldError::new("scope.provider_id", "names no provider")));
            }
            Err(OrderError::Record(error)) => return Err(order_not_written(&error)),
        };
        if execution.order.scope != scope {
            // 202 would say that this report was acted on.
            log.order(&execution.order.order_id);
            log.outcome("webhook_id_reused");
            let detail = "This `webhook-id` was used for a report of another scope, and this one was not acted on. \
                          Send it with an id of its own.";
            return Err(Problem::new(409, detail).with("order_id", &execution.order.order_id));
        }
        order_response(&execution, log)
    }

    /// The sender, if it signed the delivery.
    ///
    /// A sender that does not exist takes the same way but for KMS, which is asked at most once a minute for a secret: what
    /// a stranger could learn from the time of that one answer is a name, and names are no secrets.
    async fn signer_of(
        &self,
        delivery: &Delivery,
        sender: Option<WebhookSender>,
        log: &mut RequestLog,
    ) -> Result<WebhookSender, Problem> {
        let Some(sender) = sender else {
            delivery.is_signed_by([]);
            return Err(refused(Refusal::UnknownSender, log));
        };
        let live = self.webhook_secrets.open(&sender, self.ambient.now()).await;
        if delivery.is_signed_by(live.opened.iter().map(|secret| secret.expose())) {
            return Ok(sender);
        }
        log.webhook(&sender.name);
        match live.failure {
            // It may be signed by the secret that could not be opened.
            Some(error) => Err(Problem::unavailable().caused_by(&error)),
            None => Err(refused(Refusal::WrongSignature, log)),
        }
    }
}

/// The order of a report. Each attempt of the sender to deliver it has the same id, and a later timestamp, so the time in
/// the order's id is that of the sender's registration.
fn order_id(sender: &WebhookSender, webhook_id: &str) -> OrderId {
    OrderId::from_event(&format!("webhook#{}#{webhook_id}", sender.name), sender.created_at)
}

/// The one answer to whatever is not signed as it should be: it tells nobody how near a forgery came.
fn refused(refusal: Refusal, log: &mut RequestLog) -> Problem {
    log.outcome(refusal.as_str());
    Problem::new(
        401,
        "Nothing was acted on. A report has a body of at most 64 KB, and `webhook-id`, `webhook-timestamp` (within 300 s of \
         now) and `webhook-signature` of a registered sender, as Standard Webhooks says.",
    )
}

fn forbidden(field: &FieldError) -> Problem {
    Problem::new(403, format!("`{}` {}.", field.field, field.problem)).with("field", &field.field)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use aws_lambda_events::encodings::Body;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use hmac::{Hmac, KeyInit as _, Mac as _};
    use serde_json::{Value, json};
    use sha2::Sha256;

    use super::*;
    use crate::fixtures::{Calls, NOW_MS, cold_start, item, operations};
    use crate::intake::InvocationResponse;

    /// What the fake KMS opens.
    const SECRET: &[u8] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJ+/01";

    fn intake(sender_exists: bool, kms: Option<(u16, Value)>) -> (Arc<Intake>, Calls) {
        let sender = json!({
            "pk": {"S": "webhook#scanner"}, "sk": {"S": "webhook"}, "name": {"S": "scanner"},
            "allowed_scopes": {"L": [{"S": "access_key_id"}]},
            "secrets": {"L": [{"M": {"created_at": {"S": "2026-11-23T09:00:00Z"}, "sealed": {"S": "b25l"}}}]},
            "created_at": {"S": "2026-11-23T09:00:00Z"}, "created_by": {"S": "arn"},
            "updated_at": {"S": "2026-11-23T09:00:00Z"}, "updated_by": {"S": "arn"}, "revision": {"N": "1"},
        });
        let reads = std::sync::atomic::AtomicUsize::new(0);
        let (start, calls) = cold_start(move |operation| match operation {
            // The first read is the sender's, the others are of orders and keys.
            "GetItem providers" if reads.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 && sender_exists => {
                Some(item(&sender))
            }
            "Decrypt" => kms.as_ref().map(|(status, body)| (*status, body.to_string())),
            _ => None,
        });
        (Arc::new(Intake::new(&start).unwrap()), calls)
    }

    fn signed(name: &str, body: &str) -> Request {
        let at = (NOW_MS / 1000).to_string();
        let mut mac = Hmac::<Sha256>::new_from_slice(SECRET).unwrap();
        mac.update(format!("msg_1.{at}.{body}").as_bytes());
        let mut request = Request::default();
        request.route_key = Some("POST /webhooks/{name}".to_owned());
        request.path_parameters.insert("name".to_owned(), name.to_owned());
        for (name, value) in [
            ("webhook-id", "msg_1"),
            ("webhook-timestamp", &at),
            ("webhook-signature", &format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))),
        ] {
            request.headers.insert(http::HeaderName::from_static(name), value.parse().unwrap());
        }
        request.body = Some(body.to_owned());
        request
    }

    fn report(scope: &Value) -> String {
        json!({"scope": scope, "reason": "found by the scanner"}).to_string()
    }

    async fn answer(intake: &Intake, request: &Request) -> (i64, String) {
        let InvocationResponse::Http(response) =
            InvocationResponse::Http(Box::new(intake.handle_request(request).await))
        else {
            unreachable!()
        };
        let Some(Body::Text(text)) = response.body else { panic!("no body") };
        (response.status_code, text)
    }

    #[tokio::test]
    async fn every_refusal_has_the_same_answer_and_costs_no_more_than_it_must() {
        let body = report(&json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"}));
        let good = signed("scanner", &body);
        let mut wrong = good.clone();
        wrong.body = Some(body.replace("RUX", "RUY"));
        let mut stale = good.clone();
        stale.headers.insert("webhook-timestamp", "1".parse().unwrap());
        let mut unsigned = good.clone();
        unsigned.headers.remove("webhook-signature");
        let mut empty = good.clone();
        empty.headers.insert("webhook-signature", "v1,".parse().unwrap());
        let mut large = good.clone();
        large.body = Some("x".repeat(64 * 1024 + 1));
        let mut misspelt = good.clone();
        misspelt.path_parameters.insert("name".to_owned(), "Scan/ner".to_owned());
        let cases: [(&str, Request, bool, &[&str]); 7] = [
            ("wrong", wrong, true, &["GetItem providers", "Decrypt"]),
            ("unknown", good.clone(), false, &["GetItem providers"]),
            ("misspelt", misspelt, true, &[]),
            ("stale", stale, true, &[]),
            ("unsigned", unsigned, true, &[]),
            ("empty", empty, true, &[]),
            ("large", large, true, &[]),
        ];
        let mut answers = Vec::new();
        for (what, request, exists, expected) in cases {
            let (intake, calls) = intake(exists, None);
            let (status, text) = answer(&intake, &request).await;
            assert_eq!(status, 401, "{what}: {text}");
            assert_eq!(operations(&calls), expected, "{what}");
            answers.push(text);
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
    }

    #[tokio::test]
    async fn a_signed_report_is_an_order_that_names_its_sender() {
        let (intake, calls) = intake(true, None);
        let (status, text) =
            answer(&intake, &signed("scanner", &report(&json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"})))).await;
        assert_eq!(status, 202, "{text}");
        let order: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(
            (&order["reported_by"], &order["signed_by"]),
            (&json!("webhook:scanner"), &json!("webhook:scanner"))
        );
        assert_eq!(operations(&calls)[..2], ["GetItem providers", "Decrypt"]);
        assert!(!text.contains("abcdefghij"), "{text}");
    }

    #[tokio::test]
    async fn what_a_sender_may_not_report_is_told_to_it_alone() {
        for (scope, status, field) in [
            (json!({"provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"}), 403, "scope"),
            (json!({"all": true}), 403, "scope"),
            (json!({"access_key_id": "x"}), 400, "scope.access_key_id"),
        ] {
            let (intake, calls) = intake(true, None);
            let (actual, text) = answer(&intake, &signed("scanner", &report(&scope))).await;
            assert_eq!(
                (actual, serde_json::from_str::<Value>(&text).unwrap()["field"].as_str()),
                (status, Some(field))
            );
            assert_eq!(operations(&calls), ["GetItem providers", "Decrypt"], "nothing is written for {scope}");
        }
    }

    #[tokio::test]
    async fn a_secret_that_cannot_be_opened_is_no_refusal() {
        for (status, code) in [(400, "AccessDeniedException"), (500, "KMSInternalException")] {
            let (intake, _) = intake(true, Some((status, json!({"__type": code}))));
            let body = report(&json!({"access_key_id": "AKIASP2TPHJSQH3FJRUX"}));
            assert_eq!(answer(&intake, &signed("scanner", &body)).await.0, 503, "{code}");
        }
    }

    #[test]
    fn an_order_s_id_depends_on_the_sender_and_the_webhook_id() {
        let sender = |name: &str, revision: u32| -> WebhookSender {
            serde_json::from_value(json!({
                "name": name, "allowed_scopes": [], "secrets": [], "created_at": "2026-11-23T09:00:00Z",
                "created_by": "arn", "updated_at": "2026-11-23T10:00:00Z", "updated_by": "arn", "revision": revision,
            }))
            .unwrap()
        };
        let id = order_id(&sender("scanner", 1), "msg_1");
        assert_eq!(id, order_id(&sender("scanner", 2), "msg_1"), "a change of the sender makes no other order");
        assert_ne!(id, order_id(&sender("scanner", 1), "msg_2"));
        assert_ne!(id, order_id(&sender("other", 1), "msg_1"));
        assert!(OrderId::parse(id.as_str()).is_ok());
    }
}
