//! `GET /providers/{provider_id}/mails?cursor=&limit=&since=&state=`: the mails of a provider that were not sent, so that it is known who missed
//! them.

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::ProviderId;
use shared::record::{LedgerRow, MailPosition, MailState};

use super::get_mail::MailView;
use super::provider_id;
use crate::Verify;

/// The number of mails in a page if the caller does not say.
const DEFAULT_LIMIT: i32 = 25;

/// The largest page.
const MAX_LIMIT: i32 = 100;

/// One page.
#[derive(Serialize)]
struct MailList<'a> {
    mails: Vec<MailView<'a>>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// The query of a caller.
#[derive(Debug, PartialEq)]
struct MailQuery {
    listing: String,
    since: Option<Timestamp>,
    cursor: Option<MailPosition>,
    limit: i32,
}

impl MailQuery {
    fn from_request(request: &Request, provider_id: &ProviderId) -> Result<Self, Problem> {
        let query = QueryParameters::from_request(request, &["cursor", "limit", "since", "state"])?;
        let state = query.required("state")?;
        let listing = listed_state(&state).and_then(|state| LedgerRow::listing_of(provider_id, state));
        let since = query.get("since").map(|since| since.parse()).transpose();
        let cursor = query.get("cursor").map(|cursor| {
            MailPosition::parse(&cursor)
                .ok_or_else(|| invalid("cursor", "must be the `next_cursor` of the page before"))
        });
        Ok(Self {
            listing: listing.ok_or_else(|| {
                invalid("state", "must be rejected, in_doubt, expired or cancelled: no others are listed")
            })?,
            since: since.map_err(|_| invalid("since", "must be a time such as 2026-11-23T10:00:00Z"))?,
            cursor: cursor.transpose()?,
            limit: query.limit(DEFAULT_LIMIT, MAX_LIMIT)?,
        })
    }
}

/// The state of this word, if mails in it are listed.
pub(super) fn listed_state(word: &str) -> Option<MailState> {
    let states = [MailState::Rejected, MailState::InDoubt, MailState::Expired, MailState::Cancelled];
    states.into_iter().find(|state| state.as_str() == word)
}

impl Verify {
    /// Answers with one page. It comes from an index, so what changed a moment ago may be missing or have another state by now.
    pub(crate) async fn list_mails(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let query = MailQuery::from_request(request, &provider_id)?;
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        let (rows, next) = self.mails.list(&query.listing, query.since, query.cursor.as_ref(), query.limit).await?;
        let mails = rows.iter().map(MailView::from).collect();
        Ok(respond(200, &MailList { mails, next_cursor: next.map(|next| next.to_string()) }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_query_is_valid_as_a_whole_or_its_fault_is_named() {
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let parse = |parameters: Value| {
            let mut event: Value =
                serde_json::from_str(include_str!("../../../../events/verify-list-mails.json")).unwrap();
            event["queryStringParameters"] = parameters;
            let request: Request = serde_json::from_value(event).unwrap();
            MailQuery::from_request(&request, &provider_id).map_err(|problem| {
                let Some(aws_lambda_events::encodings::Body::Text(text)) = Response::from(problem).body else {
                    panic!("no body")
                };
                serde_json::from_str::<Value>(&text).unwrap()["field"].as_str().unwrap().to_owned()
            })
        };
        let cursor = format!("2026-11-23T10:00:00.5Z~{}", "0a".repeat(32));
        let query =
            parse(json!({"state": "in_doubt", "since": "2026-11-23T10:00:00Z", "limit": "7", "cursor": cursor}))
                .unwrap();
        assert_eq!((query.listing, query.limit), (format!("{provider_id}#in_doubt"), 7));
        assert_eq!((query.since.is_some(), query.cursor.map(|cursor| cursor.to_string())), (true, Some(cursor)));
        assert_eq!(parse(json!({"state": "expired"})).unwrap().limit, 25);
        for (parameters, field) in [
            (json!({}), "state"),
            (json!({"state": "sent"}), "state"),
            (json!({"state": "waiting"}), "state"),
            (json!({"state": "rejected,expired"}), "state"),
            (json!({"state": "rejected", "since": "yesterday"}), "since"),
            (json!({"state": "rejected", "cursor": "x"}), "cursor"),
            (json!({"state": "rejected", "limit": "101"}), "limit"),
            (json!({"state": "rejected", "page": "2"}), "page"),
        ] {
            assert_eq!(parse(parameters.clone()).unwrap_err(), field, "{parameters}");
        }
    }
}
