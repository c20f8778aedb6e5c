//! `GET /revocations/{order_id}?page=`: an order, the counts of its keys, and their states.

use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::{AccessKeyId, OrderId};
use shared::record::{KeyItem, Order, RecordError};

use super::{log_keys, parameter};
use crate::intake::Intake;
use crate::intake::revocation_view::RevocationView;
use crate::order_counts::{OrderCounts, order_counts};

/// Pages of an order whose keys are in one response: about 200 KB.
const PAGES_IN_A_RESPONSE: u32 = 4;

impl Intake {
    pub(super) async fn get_revocation(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let first_page = first_page(&QueryParameters::from_request(request, &["page"])?)?;
        let order = self.requested_order(request, log).await?;
        let keys = self.providers.keys(&self.keys_on_pages(&order, first_page).await?).await?;
        log_keys(&keys, log);
        let mut view = RevocationView::with_counts(&order, self.counts(&order, &keys).await?, &keys);
        view.next_page = next_page(&order, first_page);
        log.outcome(if view.done { "done" } else { "in_progress" });
        Ok(respond(200, &view))
    }

    /// The order that a request names.
    pub(super) async fn requested_order(&self, request: &Request, log: &mut RequestLog) -> Result<Order, Problem> {
        let order_id =
            parameter(request, "order_id", OrderId::parse).ok_or_else(|| Problem::not_found("revocation"))?;
        log.order(&order_id);
        self.providers.order(&order_id).await?.ok_or_else(|| Problem::not_found("revocation"))
    }

    /// The counts of all keys of an order, of which `shown` were read: all of them, if it is for one key or provider.
    pub(super) async fn counts(
        &self,
        order: &Order,
        shown: &[(AccessKeyId, Option<KeyItem>)],
    ) -> Result<OrderCounts, RecordError> {
        match &order.fan_out {
            Some(_) => order_counts(&self.providers, order).await,
            None => Ok(OrderCounts::of(shown)),
        }
    }

    /// The keys on some pages of an order; all keys of an order for one key or provider.
    pub(super) async fn keys_on_pages(&self, order: &Order, first_page: u32) -> Result<Vec<AccessKeyId>, RecordError> {
        if order.fan_out.is_none() {
            return Ok(order.access_key_ids.clone());
        }
        let pages = self.providers.pages(&order.order_id, first_page, PAGES_IN_A_RESPONSE).await?;
        Ok(pages.into_iter().flat_map(|page| page.access_key_ids).collect())
    }
}

/// The page that a request asks for, 1 if it does not say.
pub(super) fn first_page(query: &QueryParameters<'_>) -> Result<u32, Problem> {
    let Some(page) = query.get("page") else { return Ok(1) };
    page.parse().ok().filter(|page| *page > 0).ok_or_else(|| invalid("page", "must be a number from 1 on"))
}

/// The page after those of one response; `None` after the last.
pub(super) fn next_page(order: &Order, first_page: u32) -> Option<u32> {
    let next = first_page.saturating_add(PAGES_IN_A_RESPONSE);
    order.fan_out.as_ref().filter(|fan_out| next <= fan_out.pages).map(|_| next)
}
