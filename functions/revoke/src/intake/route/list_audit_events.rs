//! `GET /providers/{provider_id}/audit?cursor=&limit=`: a provider's audit trail, oldest event first, as the evidence of an order has it.

use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::ProviderId;
use shared::record::{AuditPosition, StoredAuditEvent};

use super::parameter;
use crate::intake::Intake;

const DEFAULT_LIMIT: i32 = 25;
const MAX_LIMIT: i32 = 100;

/// One page.
#[derive(Serialize)]
struct AuditTrailPage<'a> {
    provider_id: &'a ProviderId,
    events: Vec<StoredAuditEvent>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<AuditPosition>,
}

impl Intake {
    /// Answers with one page, read consistently. Events hold ids, states, codes, and the reasons that people gave.
    pub(super) async fn list_audit_events(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let query = QueryParameters::from_request(request, &["cursor", "limit"])?;
        let (limit, after) = (query.limit(DEFAULT_LIMIT, MAX_LIMIT)?, after(&query)?);
        let provider_id =
            parameter(request, "provider_id", ProviderId::parse).ok_or_else(|| Problem::not_found("provider"))?;
        log.provider(&provider_id);
        let (events, next_cursor) = self.providers.audit_page(&provider_id, after.as_ref(), limit).await?;
        // Each provider's trail begins with its onboarding.
        if events.is_empty() && after.is_none() {
            return Err(Problem::not_found("provider"));
        }
        log.outcome("listed");
        Ok(respond(200, &AuditTrailPage { provider_id: &provider_id, events, next_cursor }))
    }
}

fn after(query: &QueryParameters<'_>) -> Result<Option<AuditPosition>, Problem> {
    let position = query.get("cursor").map(|cursor| AuditPosition::parse(&cursor));
    position
        .map(|position| position.ok_or_else(|| invalid("cursor", "must be a `next_cursor` of this route")))
        .transpose()
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::encodings::Body;
    use serde_json::{Value, json};

    use super::*;

    fn request(parameters: Value) -> Request {
        let mut event: Value =
            serde_json::from_str(include_str!("../../../../../events/revoke-list-audit-events.json")).unwrap();
        event["queryStringParameters"] = parameters;
        serde_json::from_value(event).unwrap()
    }

    #[test]
    fn a_query_is_valid_as_a_whole_or_its_fault_is_named() {
        let parse = |parameters: Value| {
            let request = request(parameters);
            let query = QueryParameters::from_request(&request, &["cursor", "limit"])?;
            Ok::<_, Problem>((query.limit(DEFAULT_LIMIT, MAX_LIMIT)?, after(&query)?))
        };
        let ulid = "01ARZ3NDEKTSV4RRFFQ69G5FAV";
        assert_eq!(parse(json!({})).unwrap(), (25, None));
        assert_eq!(parse(json!({"limit": "7", "cursor": ulid})).unwrap(), (7, AuditPosition::parse(ulid)));
        for (parameters, field) in [
            (json!({"limit": "0"}), "limit"),
            (json!({"limit": "101"}), "limit"),
            (json!({"cursor": "x"}), "cursor"),
            (json!({"cursor": "audit#01ARZ3NDEKTSV4RRFFQ69G5FAV"}), "cursor"),
            (json!({"page": "2"}), "page"),
        ] {
            let Some(Body::Text(text)) = Response::from(parse(parameters.clone()).unwrap_err()).body else { panic!() };
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["field"], field, "{parameters}");
        }
    }
}
