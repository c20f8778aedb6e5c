//! `GET /providers?cursor=&limit=&tenant_id=`: a tenant's providers, by pages.

use serde::Serialize;
use shared::http::{Problem, Request, Response, respond};
use shared::id::{ProviderId, TenantId};

use crate::Verify;
use crate::line::Line;
use crate::provider_view::ProviderView;
use crate::query::Query;

/// Providers in a page where the caller does not say.
const DEFAULT_LIMIT: i32 = 25;

/// The most that a page takes; a provider has some 5 KB, a response of API Gateway at most 6 MB.
const MAX_LIMIT: i32 = 100;

/// One page.
#[derive(Serialize)]
struct Listing<'a> {
    providers: Vec<ProviderView<'a>>,
    /// What the next page takes as `cursor`; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<ProviderId>,
}

/// What a caller asks for.
#[derive(Debug, PartialEq)]
struct Wanted {
    tenant_id: TenantId,
    limit: i32,
    cursor: Option<ProviderId>,
}

impl Verify {
    /// Answers a page. From an index: a provider taken a moment ago may be missing.
    pub(crate) async fn list_providers(&self, request: &Request, line: &mut Line) -> Result<Response, Problem> {
        let wanted = Wanted::of(request)?;
        line.tenant(&wanted.tenant_id);
        let page = self.providers.list(&wanted.tenant_id, wanted.cursor.as_ref(), wanted.limit).await?;
        let providers = page.providers.iter().map(ProviderView::listed).collect();
        Ok(respond(200, &Listing { providers, next_cursor: page.next }))
    }
}

impl Wanted {
    fn of(request: &Request) -> Result<Self, Problem> {
        let query = Query::of(request, &["tenant_id", "limit", "cursor"])?;
        let tenant_id = query.required("tenant_id")?;
        let tenant_id = TenantId::parse(&tenant_id).map_err(|invalid| Query::bad("tenant_id", invalid.to_string()))?;
        let limit = query.get("limit").map_or(Ok(DEFAULT_LIMIT), |limit| {
            limit
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| Query::bad("limit", format!("must be a number from 1 to {MAX_LIMIT}")))
        })?;
        let cursor = query
            .get("cursor")
            .map(|cursor| ProviderId::parse(&cursor))
            .transpose()
            .map_err(|_| Query::bad("cursor", "must be the `next_cursor` of the page before"))?;
        Ok(Self { tenant_id, limit, cursor })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn wanted(parameters: serde_json::Value) -> Result<Wanted, String> {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../../events/verify-list-providers.json")).unwrap();
        event["queryStringParameters"] = parameters;
        let request: Request = serde_json::from_value(event).unwrap();
        Wanted::of(&request).map_err(|problem| {
            let Some(aws_lambda_events::encodings::Body::Text(text)) = Response::from(problem).body else {
                panic!("no body")
            };
            let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
            problem["field"].as_str().unwrap().to_owned()
        })
    }

    #[test]
    fn a_query_is_taken_whole_or_its_fault_is_named() {
        let cursor = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let taken = wanted(json!({"tenant_id": "acme,inc", "limit": "7", "cursor": cursor})).unwrap();
        assert_eq!(taken.tenant_id.as_str(), "acme,inc");
        assert_eq!((taken.limit, taken.cursor.unwrap().to_string()), (7, cursor.to_owned()));
        assert_eq!(wanted(json!({"tenant_id": "acme"})).unwrap().limit, 25);
        let cases = [
            (json!({}), "tenant_id"),
            (json!({"tenant_id": "a b"}), "tenant_id"),
            (json!({"tenant_id": "acme", "limit": "0"}), "limit"),
            (json!({"tenant_id": "acme", "limit": "101"}), "limit"),
            (json!({"tenant_id": "acme", "limit": "1,2"}), "limit"),
            (json!({"tenant_id": "acme", "cursor": "x"}), "cursor"),
            (json!({"tenant_id": "acme", "page": "2"}), "page"),
        ];
        for (parameters, field) in cases {
            assert_eq!(wanted(parameters.clone()).unwrap_err(), field, "{parameters}");
        }
    }
}
