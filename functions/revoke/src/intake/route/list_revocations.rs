//! `GET /revocations?state=&scope=&since=&event_id=&cursor=&limit=`: orders, newest first.

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::OrderId;
use shared::record::{BreachScope, FanOut, Order, OrderFilter, OrderMilestone, OrderPosition};

use crate::intake::Intake;
use crate::intake::breach_report::SCOPE_WORDS;

const DEFAULT_LIMIT: i32 = 25;
const MAX_LIMIT: i32 = 100;

/// Orders that are read at a time, matching or not.
const READ_AT_A_TIME: i32 = 100;

/// Orders that are read for one response, matching or not.
const MAX_READ: usize = 2_000;

/// One page.
#[derive(Serialize)]
struct RevocationList {
    revocations: Vec<RevocationSummary>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_cursor: Option<String>,
}

/// An order, without its keys.
#[derive(Serialize)]
struct RevocationSummary {
    order_id: OrderId,
    scope: BreachScope,
    reason: String,
    reported_by: String,
    created_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_id: Option<String>,
    /// How far it had come when it was looked at last.
    milestone: OrderMilestone,
    #[serde(skip_serializing_if = "Option::is_none")]
    listing: Option<FanOut>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    completed_at: Option<Timestamp>,
}

impl From<Order> for RevocationSummary {
    fn from(order: Order) -> Self {
        Self {
            order_id: order.order_id,
            scope: order.scope,
            reason: order.reason,
            reported_by: order.reported_by,
            created_at: order.created_at,
            event_id: order.event_id,
            milestone: order.told,
            listing: order.fan_out,
            stopped_at: order.stopped_at,
            completed_at: order.completed_at,
        }
    }
}

impl Intake {
    /// Answers with one page. It comes from an index, so an order that was placed a moment ago may be missing.
    pub(super) async fn list_revocations(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let known = ["state", "scope", "since", "event_id", "cursor", "limit"];
        let query = QueryParameters::from_request(request, &known)?;
        let filter = filter(&query)?;
        let limit = usize::try_from(query.limit(DEFAULT_LIMIT, MAX_LIMIT)?).unwrap_or_default();
        let mut before = query.get("cursor").map(|cursor| parse_cursor(&cursor)).transpose()?;
        let (mut orders, mut read) = (Vec::new(), 0);
        loop {
            let (found, next) = self.providers.list_orders(&filter, before.as_ref(), READ_AT_A_TIME).await?;
            orders.extend(found);
            read += usize::try_from(READ_AT_A_TIME).unwrap_or_default();
            before = next;
            if before.is_none() || orders.len() >= limit || read >= MAX_READ {
                break;
            }
        }
        if orders.len() > limit {
            orders.truncate(limit);
            before = orders.last().map(OrderPosition::of);
        }
        log.outcome("listed");
        Ok(respond(
            200,
            &RevocationList {
                revocations: orders.into_iter().map(RevocationSummary::from).collect(),
                next_cursor: before.map(|position| format!("{}~{}", position.created_at, position.order_id)),
            },
        ))
    }
}

fn filter(query: &QueryParameters<'_>) -> Result<OrderFilter, Problem> {
    let open = match query.get("state").as_deref() {
        None => false,
        Some("open") => true,
        Some(_) => return Err(invalid("state", "must be `open`, or left out")),
    };
    let scope = query.get("scope");
    if let Some(word) = &scope
        && !SCOPE_WORDS.contains(&word.as_str())
    {
        return Err(invalid("scope", format!("must be one of {}", SCOPE_WORDS.join(", "))));
    }
    let since = query.get("since").map(|since| since.parse()).transpose();
    let since = since.map_err(|_| invalid("since", "must be a time such as 2026-11-23T10:00:00Z"))?;
    Ok(OrderFilter { open, scope, event_id: query.get("event_id"), since })
}

fn parse_cursor(cursor: &str) -> Result<OrderPosition, Problem> {
    let position = cursor.split_once('~').and_then(|(created_at, order_id)| {
        Some(OrderPosition { created_at: created_at.parse().ok()?, order_id: OrderId::parse(order_id).ok()? })
    });
    position.ok_or_else(|| invalid("cursor", "must be a `next_cursor` of this route"))
}
