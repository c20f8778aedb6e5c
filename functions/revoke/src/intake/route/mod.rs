//! The HTTP routes, one file each. API Gateway has verified the signature of each request; whoever signed it reports. The
//! one route that it lets everybody in to is [`receive_webhook`], which verifies a signature itself.

mod attest_key;
mod create_revocation;
mod create_revocation_of_all;
mod delete_halt;
mod delete_hold;
mod delete_provider;
mod delete_webhook;
mod drill_view;
mod get_drill;
mod get_evidence;
mod get_halt;
mod get_revocation;
mod get_webhook;
mod list_audit_events;
mod list_drills;
mod list_keys;
mod list_revocations;
mod order_response;
mod put_halt;
mod put_hold;
mod receive_webhook;
mod register_webhook;
mod start_drill;
mod webhook_view;

use shared::http::{self, Problem, Request, RequestLog, Response};
use shared::id::AccessKeyId;
use shared::record::KeyItem;

use super::Intake;

/// The route keys of API Gateway that `revoke` serves.
pub const ROUTES: &[&str] = &[
    CREATE_REVOCATION,
    CREATE_REVOCATION_OF_ALL,
    LIST_REVOCATIONS,
    GET_REVOCATION,
    GET_EVIDENCE,
    LIST_KEYS,
    LIST_AUDIT_EVENTS,
    ATTEST_KEY,
    DELETE_PROVIDER,
    PUT_HOLD,
    DELETE_HOLD,
    GET_HALT,
    PUT_HALT,
    DELETE_HALT,
    REGISTER_WEBHOOK,
    GET_WEBHOOK,
    DELETE_WEBHOOK,
    RECEIVE_WEBHOOK,
    START_DRILL,
    LIST_DRILLS,
    GET_DRILL,
];

const CREATE_REVOCATION: &str = "POST /revocations";
/// A route of its own, so that an IAM policy can allow it to fewer people than the others.
const CREATE_REVOCATION_OF_ALL: &str = "POST /revocations/all";
const LIST_REVOCATIONS: &str = "GET /revocations";
const GET_REVOCATION: &str = "GET /revocations/{order_id}";
const GET_EVIDENCE: &str = "GET /revocations/{order_id}/evidence";
const LIST_KEYS: &str = "GET /keys";
const LIST_AUDIT_EVENTS: &str = "GET /providers/{provider_id}/audit";
const ATTEST_KEY: &str = "POST /revocations/{order_id}/attestation";
const GET_HALT: &str = "GET /halt";
const PUT_HALT: &str = "PUT /halt";
const DELETE_HALT: &str = "DELETE /halt";
const DELETE_PROVIDER: &str = "DELETE /providers/{provider_id}";
const PUT_HOLD: &str = "PUT /providers/{provider_id}/hold";
const DELETE_HOLD: &str = "DELETE /providers/{provider_id}/hold";
const REGISTER_WEBHOOK: &str = "PUT /webhooks/{name}";
const GET_WEBHOOK: &str = "GET /webhooks/{name}";
const DELETE_WEBHOOK: &str = "DELETE /webhooks/{name}";
const RECEIVE_WEBHOOK: &str = "POST /webhooks/{name}";
const START_DRILL: &str = "POST /drills";
const LIST_DRILLS: &str = "GET /drills";
const GET_DRILL: &str = "GET /drills/{drill_id}";

impl Intake {
    /// Answers a request and writes one log line about it.
    pub(super) async fn handle_request(&self, request: &Request) -> Response {
        let started = self.ambient.now();
        let mut log = RequestLog::default();
        let answer = self.route(request, &mut log).await;
        log.finish(answer, self.ambient.now().duration_since(started))
    }

    async fn route(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        match request.route_key.as_deref() {
            Some(CREATE_REVOCATION) => {
                log.route("create_revocation");
                self.create_revocation(request, log).await
            }
            Some(CREATE_REVOCATION_OF_ALL) => {
                log.route("create_revocation_of_all");
                self.create_revocation_of_all(request, log).await
            }
            Some(LIST_REVOCATIONS) => {
                log.route("list_revocations");
                self.list_revocations(request, log).await
            }
            Some(GET_EVIDENCE) => {
                log.route("get_evidence");
                self.get_evidence(request, log).await
            }
            Some(LIST_KEYS) => {
                log.route("list_keys");
                self.list_keys(request, log).await
            }
            Some(GET_REVOCATION) => {
                log.route("get_revocation");
                self.get_revocation(request, log).await
            }
            Some(ATTEST_KEY) => {
                log.route("attest_key");
                self.attest_key(request, log).await
            }
            Some(GET_HALT) => {
                log.route("get_halt");
                self.get_halt(request, log).await
            }
            Some(PUT_HALT) => {
                log.route("put_halt");
                self.put_halt(request, log).await
            }
            Some(DELETE_HALT) => {
                log.route("delete_halt");
                self.delete_halt(request, log).await
            }
            Some(DELETE_PROVIDER) => {
                log.route("delete_provider");
                self.delete_provider(request, log).await
            }
            Some(LIST_AUDIT_EVENTS) => {
                log.route("list_audit_events");
                self.list_audit_events(request, log).await
            }
            Some(PUT_HOLD) => {
                log.route("put_hold");
                self.put_hold(request, log).await
            }
            Some(DELETE_HOLD) => {
                log.route("delete_hold");
                self.delete_hold(request, log).await
            }
            Some(REGISTER_WEBHOOK) => {
                log.route("register_webhook");
                self.register_webhook(request, log).await
            }
            Some(GET_WEBHOOK) => {
                log.route("get_webhook");
                self.get_webhook(request, log).await
            }
            Some(DELETE_WEBHOOK) => {
                log.route("delete_webhook");
                self.delete_webhook(request, log).await
            }
            Some(RECEIVE_WEBHOOK) => {
                log.route("receive_webhook");
                // Boxed, because the compiler lays the whole of a future out within the one that awaits it.
                Box::pin(self.receive_webhook(request, log)).await
            }
            Some(START_DRILL) => {
                log.route("start_drill");
                self.start_drill(request, log).await
            }
            Some(LIST_DRILLS) => {
                log.route("list_drills");
                self.list_drills(request, log).await
            }
            Some(GET_DRILL) => {
                log.route("get_drill");
                self.get_drill(request, log).await
            }
            _ => Err(Problem::not_found("route")),
        }
    }
}

/// The ARN that signed the request. Without it, nobody reports.
fn signer(request: &Request) -> Result<&str, Problem> {
    http::signer(request).ok_or_else(|| {
        Problem::new(403, "Orders are accepted only from requests that are signed with IAM credentials.")
    })
}

/// Records the key of an order, and whose it is, if it has one.
fn log_keys(keys: &[(AccessKeyId, Option<KeyItem>)], log: &mut RequestLog) {
    if let [(access_key_id, key)] = keys {
        log.access_key(access_key_id);
        if let Some(owner) = key.as_ref().and_then(|key| key.owner.as_ref()) {
            log.provider(&owner.provider_id);
            log.tenant(&owner.tenant_id);
        }
    }
}

/// A path parameter. One that cannot be parsed is treated as one that does not exist.
fn parameter<T, E>(request: &Request, name: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
    parse(request.path_parameters.get(name)?).ok()
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use jiff::Timestamp;
    use shared::http::{body, decode};
    use shared::id::{DrillId, OrderId, ProviderId};
    use shared::record::SenderName;
    use shared::runtime::{Ambient, ColdStart, Environment};
    use shared::testing::fake_aws;

    use super::attest_key::AttestationRequest;
    use super::delete_halt::ResumeRequest;
    use super::put_halt::HaltRequest;
    use super::put_hold::HoldRequest;
    use super::register_webhook::RegistrationRequest;
    use super::start_drill::DrillRequest;
    use super::*;
    use crate::intake::breach_report::RevocationRequest;
    use crate::intake::webhook::{Delivery, WebhookReport};

    fn sample(json: &str) -> Request {
        serde_json::from_str(json).unwrap()
    }

    #[test]
    fn the_sample_requests_name_the_routes_and_their_signer() {
        let create = sample(include_str!("../../../../../events/revoke-create-revocation.json"));
        assert_eq!(create.route_key.as_deref(), Some(CREATE_REVOCATION));
        let report = body::<RevocationRequest>(&create).unwrap().into_report(signer(&create).unwrap()).unwrap();
        assert!(report.reported_by.starts_with("arn:aws:"));

        let show = sample(include_str!("../../../../../events/revoke-get-revocation.json"));
        assert_eq!(show.route_key.as_deref(), Some(GET_REVOCATION));
        assert!(parameter(&show, "order_id", OrderId::parse).is_some());

        let attest = sample(include_str!("../../../../../events/revoke-attest-key.json"));
        assert_eq!(attest.route_key.as_deref(), Some(ATTEST_KEY));
        let attestation = body::<AttestationRequest>(&attest).unwrap();
        assert!(attestation.into_attestation(signer(&attest).unwrap(), Timestamp::UNIX_EPOCH).is_ok());

        let off_board = sample(include_str!("../../../../../events/revoke-delete-provider.json"));
        assert_eq!(off_board.route_key.as_deref(), Some(DELETE_PROVIDER));
        assert!(parameter(&off_board, "provider_id", ProviderId::parse).is_some());

        let show = sample(include_str!("../../../../../events/revoke-get-halt.json"));
        assert_eq!(show.route_key.as_deref(), Some(GET_HALT));

        let halt = sample(include_str!("../../../../../events/revoke-put-halt.json"));
        assert_eq!(halt.route_key.as_deref(), Some(PUT_HALT));
        let change = body::<HaltRequest>(&halt).unwrap().into_change(signer(&halt).unwrap(), Timestamp::UNIX_EPOCH);
        assert_eq!(change.unwrap().halted_by.as_deref(), Some("on call"));

        let resume = sample(include_str!("../../../../../events/revoke-delete-halt.json"));
        assert_eq!(resume.route_key.as_deref(), Some(DELETE_HALT));
        let request = body::<ResumeRequest>(&resume).unwrap();
        assert!(request.into_change(signer(&resume).unwrap(), Timestamp::UNIX_EPOCH, Vec::new()).is_ok());
    }

    #[test]
    fn the_sample_drills_name_their_routes() {
        let start = sample(include_str!("../../../../../events/revoke-start-drill.json"));
        assert_eq!(start.route_key.as_deref(), Some(START_DRILL));
        assert!(signer(&start).is_ok() && body::<DrillRequest>(&start).unwrap().provider_id.is_some());
        let list = sample(include_str!("../../../../../events/revoke-list-drills.json"));
        assert_eq!(list.route_key.as_deref(), Some(LIST_DRILLS));
        let show = sample(include_str!("../../../../../events/revoke-get-drill.json"));
        assert_eq!(show.route_key.as_deref(), Some(GET_DRILL));
        assert!(parameter(&show, "drill_id", DrillId::parse).is_some());
    }

    #[test]
    fn the_sample_holds_name_their_routes() {
        for (json, route_key) in [
            (include_str!("../../../../../events/revoke-put-hold.json"), PUT_HOLD),
            (include_str!("../../../../../events/revoke-delete-hold.json"), DELETE_HOLD),
        ] {
            let hold = sample(json);
            assert_eq!(hold.route_key.as_deref(), Some(route_key));
            let (_, reason, by) = HoldRequest::parse(&hold, &mut RequestLog::default()).unwrap();
            assert!(!reason.is_empty() && by.starts_with("arn:aws:"));
        }
    }

    #[test]
    fn the_sample_webhooks_are_registered_and_signed_as_the_routes_want_it() {
        for (json, route_key) in [
            (include_str!("../../../../../events/revoke-register-webhook.json"), REGISTER_WEBHOOK),
            (include_str!("../../../../../events/revoke-get-webhook.json"), GET_WEBHOOK),
            (include_str!("../../../../../events/revoke-delete-webhook.json"), DELETE_WEBHOOK),
        ] {
            let request = sample(json);
            assert_eq!(request.route_key.as_deref(), Some(route_key));
            assert!(signer(&request).is_ok() && parameter(&request, "name", SenderName::parse).is_some());
        }
        let register = sample(include_str!("../../../../../events/revoke-register-webhook.json"));
        let scopes = body::<RegistrationRequest>(&register).unwrap().scopes().unwrap();
        assert_eq!(scopes.len(), 2);

        let receive = sample(include_str!("../../../../../events/revoke-receive-webhook.json"));
        assert_eq!(receive.route_key.as_deref(), Some(RECEIVE_WEBHOOK));
        assert!(receive.request_context.authorizer.is_none());
        let now = Timestamp::from_millisecond(receive.request_context.time_epoch).unwrap();
        let delivery = Delivery::from_request(&receive, now).unwrap();
        // The secret of the specification's own tests.
        let secret = STANDARD.decode("C2FVsBQIhrscChlQIMV+b5sSYspob7oD").unwrap();
        assert!(delivery.is_signed_by([secret.as_slice()]));
        let name = parameter(&receive, "name", SenderName::parse).unwrap();
        assert!(WebhookReport::parse(&delivery.body, &name, &scopes).is_ok());
    }

    #[test]
    fn a_registration_names_scopes_that_a_webhook_may_report() {
        let scopes = |body: &str| {
            let asked = decode::<RegistrationRequest>(body.as_bytes()).map_err(|error| error.field)?;
            asked.scopes().map(|scopes| scopes.len().to_string()).map_err(|error| error.field)
        };
        for (body, expected) in [
            (r#"{"allowed_scopes": ["access_key_id", "provider_id", "tenant_id"]}"#, Ok("3")),
            (r#"{"allowed_scopes": ["access_key_id", "access_key_id"], "rotate": true}"#, Ok("1")),
            (r#"{"allowed_scopes": []}"#, Err("allowed_scopes")),
            (r#"{"allowed_scopes": ["access_key_id", "all"]}"#, Err("allowed_scopes[1]")),
            (r#"{"allowed_scopes": ["account_id"]}"#, Err("allowed_scopes[0]")),
            (r#"{"allowed_scopes": "all"}"#, Err("allowed_scopes")),
            (r#"{"rotate": true}"#, Err("allowed_scopes")),
            (r#"{"allowed_scopes": ["access_key_id"], "secret": "x"}"#, Err("secret")),
        ] {
            assert_eq!(scopes(body).as_ref().map(String::as_str).map_err(String::as_str), expected, "{body}");
        }
    }

    #[test]
    fn a_request_without_a_signer_is_refused() {
        let mut create = sample(include_str!("../../../../../events/revoke-create-revocation.json"));
        create.request_context.authorizer = None;
        assert_eq!(signer(&create).map_err(|problem| problem.status()), Err(403));
    }

    #[tokio::test]
    async fn each_route_is_served_and_no_other() {
        let intake = Intake::new(&ColdStart {
            environment: Environment::from_variables(&[
                ("AWS_REGION", "eu-central-1"),
                ("AWS_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"),
                ("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
                ("PROVIDERS_TABLE", "providers"),
                ("SECRETS_TABLE", "secrets"),
                ("WEBHOOK_KEY", "arn:aws:kms:eu-central-1:111122223333:key/webhook"),
                ("REVOCATION_QUEUE_URL", "https://sqs.test/revocation"),
                ("REVOCABILITY_QUEUE_URL", "https://sqs.test/revocability"),
                ("REVOCABILITY_PROOF_DAYS", "7"),
                ("BREACH_DEAD_LETTER_QUEUE_URL", "https://sqs.test/breach-dead-letter"),
                ("SEND_MAPPING_ID", "mapping-1"),
                ("BUS_NAME", "bus"),
            ]),
            ambient: Ambient::new(|| Timestamp::UNIX_EPOCH, || 0),
            http: fake_aws(|_| async { (500, String::new()) }),
        })
        .unwrap();
        for route in ROUTES.iter().chain(&["POST /nothing", ""]) {
            let mut request = Request::default();
            request.route_key = Some((*route).to_owned());
            let Some(Body::Text(text)) = intake.handle_request(&request).await.body else { panic!("no body") };
            // The request has no signer and no parameters, so no route gets far.
            assert_eq!(!text.contains("no such route"), ROUTES.contains(route), "{route}: {text}");
        }
    }
}
