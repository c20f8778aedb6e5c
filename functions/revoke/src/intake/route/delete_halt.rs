//! `DELETE /halt`: sending begins again, once every order is complete. The first deployment is opened by it.

use serde::Deserialize;
use shared::http::{Problem, Request, RequestLog, Response, body, respond};
use shared::id::OrderId;
use shared::record::{HaltItem, OrderFilter, OrderMilestone, RecordError};

use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::checked_reason;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LiftRequest {
    reason: String,
    /// Whether to lift it although orders are open.
    force: Option<bool>,
}

/// Open orders that an answer names.
const MAX_NAMED: i32 = 20;

impl Intake {
    pub(super) async fn delete_halt(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let LiftRequest { reason, force } = body(request)?;
        let reason = checked_reason("reason", &reason).map_err(|invalid| Problem::bad_request(&invalid))?;
        let open = self.open_orders().await?;
        if !open.is_empty() && force != Some(true) {
            log.outcome("orders_open");
            return Err(Problem::new(
                409,
                "Orders are open: keys may still live. Look at them, or lift the halt all the same with `force`.",
            )
            .kind("orders-open")
            .with("open_orders", &open));
        }
        let halt = HaltItem {
            halted: false,
            reason: Some(reason),
            changed_by: Some(signer.to_owned()),
            changed_at: Some(self.ambient.now()),
            order_id: None,
        };
        self.change_halt(&halt).await?;
        log.outcome("lifted");
        Ok(respond(200, &halt))
    }

    /// Some orders that are not complete. The index may not have the order that halted yet, so that one is read by its id.
    async fn open_orders(&self) -> Result<Vec<OrderId>, RecordError> {
        let filter = OrderFilter { open: true, ..OrderFilter::default() };
        let mut open = Vec::new();
        let mut before = None;
        loop {
            let (orders, next) = self.providers.list_orders(&filter, before.as_ref(), MAX_NAMED).await?;
            open.extend(orders.into_iter().map(|order| order.order_id));
            before = next;
            if before.is_none() || !open.is_empty() {
                break;
            }
        }
        if let Some(order_id) = self.providers.halt_item().await?.order_id
            && !open.contains(&order_id)
            && self.providers.order(&order_id).await?.is_some_and(|order| order.told != OrderMilestone::Complete)
        {
            open.push(order_id);
        }
        Ok(open)
    }
}
