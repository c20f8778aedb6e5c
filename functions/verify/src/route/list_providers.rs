//! `GET /providers?cursor=&limit=&tenant_id=`: a tenant's providers, in pages.

use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::{ProviderId, TenantId};

use crate::Verify;
use crate::provider_view::ProviderView;

/// The number of providers in a page if the caller does not say.
const DEFAULT_LIMIT: i32 = 25;

/// The largest page. A provider has about 5 KB, a response of API Gateway at most 6 MB.
const MAX_LIMIT: i32 = 100;

/// One page.
#[derive(Serialize)]
struct ProviderList<'a> {
    providers: Vec<ProviderView<'a>>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<ProviderId>,
}

/// The query of a caller.
#[derive(Debug, PartialEq)]
struct ListQuery {
    tenant_id: TenantId,
    limit: i32,
    cursor: Option<ProviderId>,
}

impl Verify {
    /// Answers with one page. It comes from an index, so a provider that was onboarded a moment ago may be missing.
    pub(crate) async fn list_providers(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let query = ListQuery::from_request(request)?;
        log.tenant(&query.tenant_id);
        let page = self.providers.list(&query.tenant_id, query.cursor.as_ref(), query.limit).await?;
        let providers = page.providers.iter().map(ProviderView::without_report).collect();
        Ok(respond(200, &ProviderList { providers, next_cursor: page.next }))
    }
}

impl ListQuery {
    fn from_request(request: &Request) -> Result<Self, Problem> {
        let query = QueryParameters::from_request(request, &["tenant_id", "limit", "cursor"])?;
        let tenant_id = query.required("tenant_id")?;
        let tenant_id = TenantId::parse(&tenant_id).map_err(|error| invalid("tenant_id", error.to_string()))?;
        let limit = query.get("limit").map_or(Ok(DEFAULT_LIMIT), |limit| {
            limit
                .parse()
                .ok()
                .filter(|limit| (1..=MAX_LIMIT).contains(limit))
                .ok_or_else(|| invalid("limit", format!("must be a number from 1 to {MAX_LIMIT}")))
        })?;
        let cursor = query
            .get("cursor")
            .map(|cursor| ProviderId::parse(&cursor))
            .transpose()
            .map_err(|_| invalid("cursor", "must be the `next_cursor` of the page before"))?;
        Ok(Self { tenant_id, limit, cursor })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parse(parameters: serde_json::Value) -> Result<ListQuery, String> {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../../events/verify-list-providers.json")).unwrap();
        event["queryStringParameters"] = parameters;
        let request: Request = serde_json::from_value(event).unwrap();
        ListQuery::from_request(&request).map_err(|problem| {
            let Some(aws_lambda_events::encodings::Body::Text(text)) = Response::from(problem).body else {
                panic!("no body")
            };
            let problem: serde_json::Value = serde_json::from_str(&text).unwrap();
            problem["field"].as_str().unwrap().to_owned()
        })
    }

    #[test]
    fn a_query_is_valid_as_a_whole_or_its_fault_is_named() {
        let cursor = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let valid = parse(json!({"tenant_id": "acme,inc", "limit": "7", "cursor": cursor})).unwrap();
        assert_eq!(valid.tenant_id.as_str(), "acme,inc");
        assert_eq!((valid.limit, valid.cursor.unwrap().to_string()), (7, cursor.to_owned()));
        assert_eq!(parse(json!({"tenant_id": "acme"})).unwrap().limit, 25);
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
            assert_eq!(parse(parameters.clone()).unwrap_err(), field, "{parameters}");
        }
    }
}
