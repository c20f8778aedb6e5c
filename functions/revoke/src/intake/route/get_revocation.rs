//! `GET /revocations/{order_id}`: an order, and the state of its keys.

use shared::http::{Problem, Request, RequestLog, Response, respond};
use shared::id::OrderId;

use super::{log_keys, parameter};
use crate::intake::Intake;
use crate::intake::revocation_view::RevocationView;

impl Intake {
    pub(super) async fn get_revocation(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let order_id =
            parameter(request, "order_id", OrderId::parse).ok_or_else(|| Problem::not_found("revocation"))?;
        log.order(&order_id);
        let order = self.providers.order(&order_id).await?.ok_or_else(|| Problem::not_found("revocation"))?;
        let mut keys = Vec::with_capacity(order.access_key_ids.len());
        for access_key_id in &order.access_key_ids {
            let key = self.providers.key(access_key_id).await?;
            keys.push((access_key_id.clone(), key));
        }
        log_keys(&keys, log);
        let view = RevocationView::from_order(&order, &keys);
        log.outcome(if view.done { "done" } else { "in_progress" });
        Ok(respond(200, &view))
    }
}
