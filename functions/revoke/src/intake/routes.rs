//! The HTTP routes. API Gateway has checked the signature; who signed is who reports.

use http::HeaderValue;
use http::header::LOCATION;
use shared::http::{FieldError, Problem, Request, Response, body, respond};
use shared::id::{OrderId, ProviderId};
use shared::record::{BreachScope, RecordError};
use shared::telemetry::chain;

use super::Intake;
use super::ordering::{OrderError, Ordered};
use super::receipt::RevocationView;
use super::report::{Body, Report};

/// Seconds after which a caller may try again what failed on our side.
const RETRY_AFTER_S: u64 = 5;

impl Intake {
    /// Answers a request.
    pub(super) async fn route(&self, request: &Request) -> Response {
        let answered = match request.route_key.as_deref() {
            Some("POST /revocations") => self.create(request).await,
            Some("GET /revocations/{order_id}") => self.show(request).await,
            Some("DELETE /providers/{provider_id}") => self.off_board(request).await,
            _ => Err(Problem::not_found("route")),
        };
        answered.unwrap_or_else(Response::from)
    }

    async fn create(&self, request: &Request) -> Result<Response, Problem> {
        let caller = caller(request)?;
        let report = body::<Body>(request)?.report(caller).map_err(|error| Problem::bad_request(&error))?;
        let ordered = self.order(OrderId::new(&self.ambient), report).await.map_err(|error| match error {
            OrderError::UnknownProvider => {
                Problem::bad_request(&FieldError::new("scope.provider_id", "names no provider"))
            }
            OrderError::Record(error) => not_ordered(&error),
        })?;
        accepted(&ordered)
    }

    async fn off_board(&self, request: &Request) -> Result<Response, Problem> {
        let caller = caller(request)?;
        let provider_id =
            parameter(request, "provider_id", ProviderId::parse).ok_or_else(|| Problem::not_found("provider"))?;
        let report = Report {
            scope: BreachScope::ProviderId(provider_id),
            reason: "off-boarding".to_owned(),
            reported_by: caller.to_owned(),
            signed_by: Some(caller.to_owned()),
        };
        let ordered = self.order(OrderId::new(&self.ambient), report).await.map_err(|error| match error {
            OrderError::UnknownProvider => Problem::not_found("provider"),
            OrderError::Record(error) => not_ordered(&error),
        })?;
        accepted(&ordered)
    }

    async fn show(&self, request: &Request) -> Result<Response, Problem> {
        let order_id =
            parameter(request, "order_id", OrderId::parse).ok_or_else(|| Problem::not_found("revocation"))?;
        let order = self.providers.order(&order_id).await?.ok_or_else(|| Problem::not_found("revocation"))?;
        let mut keys = Vec::with_capacity(order.access_key_ids.len());
        for access_key_id in &order.access_key_ids {
            let key = self.providers.key(access_key_id).await?;
            keys.push((access_key_id.clone(), key));
        }
        Ok(respond(200, &RevocationView::of(&order, &keys)))
    }
}

/// Who signed the request. Without it there is nobody to have reported.
fn caller(request: &Request) -> Result<&str, Problem> {
    request
        .request_context
        .authorizer
        .as_ref()
        .and_then(|authorizer| authorizer.iam.as_ref())
        .and_then(|iam| iam.user_arn.as_deref())
        .ok_or_else(|| Problem::new(403, "Orders are taken from requests that are signed with IAM credentials only."))
}

fn parameter<T, E>(request: &Request, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
    parse(request.path_parameters.get(name)?).ok()
}

fn not_ordered(error: &RecordError) -> Problem {
    tracing::error!(error = chain(error), "an order could not be written");
    Problem::new(503, "No order was written and nothing was stopped. Try again at once.").retry_after(RETRY_AFTER_S)
}

/// 202, if the stop is committed and the order is on its way; otherwise what was done and what was not.
fn accepted(ordered: &Ordered) -> Result<Response, Problem> {
    let shown = RevocationView::of(&ordered.order, &ordered.keys);
    if ordered.is_complete() {
        let mut response = respond(202, &shown);
        if let Ok(location) = HeaderValue::from_str(&format!("/revocations/{}", ordered.order.order_id)) {
            response.headers.insert(LOCATION, location);
        }
        return Ok(response);
    }
    let not_stopped = ordered.not_stopped();
    let detail = match (not_stopped.is_empty(), ordered.handed_on) {
        (true, _) => {
            "The order is written and sending is stopped, but handing it on failed. The sweep hands its keys on within \
             minutes; look at the revocation."
        }
        (false, true) => {
            "The order is written and handed on, but not all of its keys could be stopped: those in `not_stopped` may \
             still be in use until its worker has stopped them. Look at the revocation, or try again at once."
        }
        (false, false) => {
            "The order is written, but the keys in `not_stopped` could not be stopped and may still be in use. The sweep \
             tries again within minutes; try again at once."
        }
    };
    Err(Problem::new(503, detail)
        .retry_after(RETRY_AFTER_S)
        .with("not_stopped", &not_stopped)
        .with("revocation", &shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(json: &str) -> Request {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_sample_requests_name_the_routes_and_their_caller() {
        let create = sample(include_str!("../../../../events/revoke-create-revocation.json"));
        assert_eq!(create.route_key.as_deref(), Some("POST /revocations"));
        let report = body::<Body>(&create).unwrap().report(caller(&create).unwrap()).unwrap();
        assert!(report.reported_by.starts_with("arn:aws:"));

        let show = sample(include_str!("../../../../events/revoke-get-revocation.json"));
        assert_eq!(show.route_key.as_deref(), Some("GET /revocations/{order_id}"));
        assert!(parameter(&show, "order_id", OrderId::parse).is_some());

        let off_board = sample(include_str!("../../../../events/revoke-delete-provider.json"));
        assert_eq!(off_board.route_key.as_deref(), Some("DELETE /providers/{provider_id}"));
        assert!(parameter(&off_board, "provider_id", ProviderId::parse).is_some());
    }

    #[test]
    fn an_order_without_a_signer_is_refused() {
        let mut create = sample(include_str!("../../../../events/revoke-create-revocation.json"));
        create.request_context.authorizer = None;
        assert_eq!(caller(&create).map_err(|problem| problem.status()), Err(403));
    }

    #[test]
    fn an_answer_says_what_was_done() {
        let order: shared::record::Order = serde_json::from_value(serde_json::json!({
            "order_id": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", "scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"},
            "reason": "leaked", "reported_by": "ops",
            "created_at": "2026-11-23T10:00:01Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
        }))
        .unwrap();
        let key: shared::record::KeyItem = serde_json::from_value(serde_json::json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": "revoking", "updated_at": "2026-11-23T10:00:01Z",
        }))
        .unwrap();
        let id = order.access_key_ids[0].clone();
        let ordered = |key: Option<&shared::record::KeyItem>, handed_on| Ordered {
            order: order.clone(),
            keys: vec![(id.clone(), key.cloned())],
            handed_on,
        };
        let response = accepted(&ordered(Some(&key), true)).unwrap();
        assert_eq!(response.status_code, 202);
        assert_eq!(response.headers[LOCATION], "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV");
        for (key, handed_on, says) in [
            (Some(&key), false, "sending is stopped"),
            (None, true, "may still be in use until its worker"),
            (None, false, "could not be stopped"),
        ] {
            let problem = accepted(&ordered(key, handed_on)).unwrap_err();
            assert_eq!(problem.status(), 503);
            assert!(format!("{problem:?}").contains(says), "{problem:?}");
        }
    }
}
