//! `GET /keys?cursor=`: keys that an order has stopped and that are not proved dead, the one that is due next first.

use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::AccessKeyId;

use crate::intake::Intake;
use crate::intake::revocation_view::KeyView;

/// Keys on a page.
const LIMIT: i32 = 100;

/// One page.
#[derive(Serialize)]
struct KeyList<'a> {
    keys: Vec<KeyView<'a>>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

impl Intake {
    /// Answers with one page. It comes from an index, so a key that was stopped a moment ago may be missing.
    pub(super) async fn list_keys(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let query = QueryParameters::from_request(request, &["cursor"])?;
        let after = query.get("cursor").map(|cursor| {
            let (due, id) = cursor.split_once('~').ok_or_else(|| invalid("cursor", CURSOR))?;
            let id = AccessKeyId::from_pasted(id).map_err(|_| invalid("cursor", CURSOR))?;
            let due = due.parse().map_err(|_| invalid("cursor", CURSOR))?;
            Ok::<_, Problem>((id, due))
        });
        let (ids, next) = self.providers.list_unfinished_keys(after.transpose()?, LIMIT).await?;
        let keys = self.providers.keys(&ids).await?;
        // The index may be seconds old.
        let open = keys.iter().filter(|(_, key)| key.as_ref().is_some_and(|key| key.state.needs_worker()));
        log.outcome("listed");
        Ok(respond(
            200,
            &KeyList {
                keys: open.map(|(id, key)| KeyView::from_key(id, key.as_ref())).collect(),
                next_cursor: next.map(|(id, due)| format!("{due}~{id}")),
            },
        ))
    }
}

const CURSOR: &str = "must be a `next_cursor` of this route";
