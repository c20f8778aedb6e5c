//! `GET /providers?cursor=&limit=&tenant_id=`: a tenant's providers, in pages; `GET /providers?cursor=&limit=&not_revocable_since=`:
//! those of all tenants of which nothing has proved since then that their revocation would work.

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::{AccessKeyId, ProviderId, TenantId};
use shared::record::{KeyState, RecordError, UnprovenPosition, VerifiedProvider};

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
    next_cursor: Option<String>,
}

/// The query of a caller.
#[derive(Debug, PartialEq)]
struct ListQuery {
    providers: ListedProviders,
    limit: i32,
}

/// Which providers, and after which.
#[derive(Debug, PartialEq)]
enum ListedProviders {
    OfTenant { tenant_id: TenantId, cursor: Option<ProviderId> },
    NotRevocable { since: Timestamp, cursor: Option<UnprovenPosition> },
}

impl Verify {
    /// Answers with one page. It comes from an index, so a provider that was onboarded a moment ago may be missing.
    pub(crate) async fn list_providers(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let query = ListQuery::from_request(request)?;
        let (providers, next_cursor) = match &query.providers {
            ListedProviders::OfTenant { tenant_id, cursor } => {
                log.tenant(tenant_id);
                let page = self.providers.list(tenant_id, cursor.as_ref(), query.limit).await?;
                (page.providers, page.next.map(|next| next.to_string()))
            }
            ListedProviders::NotRevocable { since, cursor } => {
                let (ids, next) = self.providers.list_unproven(*since, cursor.as_ref(), query.limit).await?;
                let next = next.map(|next| format!("{}~{}", next.unproven_since, next.access_key_id));
                (self.still_unproven(&ids, *since).await?, next)
            }
        };
        let providers = providers.iter().map(ProviderView::without_report).collect();
        Ok(respond(200, &ProviderList { providers, next_cursor }))
    }

    /// The providers of the keys that are still not proved revocable since then: the index may be seconds old.
    async fn still_unproven(
        &self,
        access_key_ids: &[AccessKeyId],
        since: Timestamp,
    ) -> Result<Vec<VerifiedProvider>, RecordError> {
        let mut provider_ids = Vec::new();
        for (_, key) in self.providers.keys(access_key_ids).await? {
            let Some(key) = key.filter(|key| key.state == KeyState::Active && key.unproven_since() < since) else {
                continue;
            };
            // A provider may have two keys while one replaces the other.
            if let Some(owner) = key.owner
                && !provider_ids.contains(&owner.provider_id)
            {
                provider_ids.push(owner.provider_id);
            }
        }
        self.providers.verified_providers(&provider_ids).await
    }
}

impl ListQuery {
    fn from_request(request: &Request) -> Result<Self, Problem> {
        let query = QueryParameters::from_request(request, &["tenant_id", "not_revocable_since", "limit", "cursor"])?;
        let limit = query.limit(DEFAULT_LIMIT, MAX_LIMIT)?;
        let bad_cursor = || invalid("cursor", "must be the `next_cursor` of the page before");
        let cursor = query.get("cursor");
        let providers = match (query.get("tenant_id"), query.get("not_revocable_since")) {
            (Some(_), Some(_)) => {
                return Err(invalid(
                    "not_revocable_since",
                    "must stand alone: it is about the providers of all tenants",
                ));
            }
            (None, Some(since)) => ListedProviders::NotRevocable {
                since: since
                    .parse()
                    .map_err(|_| invalid("not_revocable_since", "must be a time such as 2026-11-23T10:00:00Z"))?,
                cursor: cursor.map(|cursor| parse_position(&cursor).ok_or_else(bad_cursor)).transpose()?,
            },
            _ => {
                let tenant_id = query.required("tenant_id")?;
                ListedProviders::OfTenant {
                    tenant_id: TenantId::parse(&tenant_id).map_err(|error| invalid("tenant_id", error.to_string()))?,
                    cursor: cursor.map(|cursor| ProviderId::parse(&cursor)).transpose().map_err(|_| bad_cursor())?,
                }
            }
        };
        Ok(Self { providers, limit })
    }
}

fn parse_position(cursor: &str) -> Option<UnprovenPosition> {
    let (since, id) = cursor.split_once('~')?;
    Some(UnprovenPosition { unproven_since: since.parse().ok()?, access_key_id: AccessKeyId::from_pasted(id).ok()? })
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
        let ListedProviders::OfTenant { tenant_id, cursor: Some(after) } = valid.providers else { panic!("{valid:?}") };
        assert_eq!((valid.limit, tenant_id.as_str(), after.as_str()), (7, "acme,inc", cursor));
        assert_eq!(parse(json!({"tenant_id": "acme"})).unwrap().limit, 25);
        let since = "2026-11-23T10:00:00Z";
        let position = "2026-11-20T10:00:00.5Z~AKIASP2TPHJSQH3FJRUX";
        let valid = parse(json!({"not_revocable_since": since, "cursor": position})).unwrap();
        let expected = UnprovenPosition {
            unproven_since: "2026-11-20T10:00:00.5Z".parse().unwrap(),
            access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
        };
        let providers = ListedProviders::NotRevocable { since: since.parse().unwrap(), cursor: Some(expected) };
        assert_eq!(valid, ListQuery { providers, limit: 25 });
        let cases = [
            (json!({"not_revocable_since": since, "tenant_id": "acme"}), "not_revocable_since"),
            (json!({"not_revocable_since": "last week"}), "not_revocable_since"),
            (json!({"not_revocable_since": since, "cursor": cursor}), "cursor"),
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
