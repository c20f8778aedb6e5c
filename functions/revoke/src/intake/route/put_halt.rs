//! `PUT /halt`: all sending is stopped.

use serde::Deserialize;
use shared::http::{Problem, Request, RequestLog, Response, body, respond};
use shared::record::HaltItem;

use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::checked_reason;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HaltRequest {
    reason: String,
}

impl Intake {
    pub(super) async fn put_halt(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let HaltRequest { reason } = body(request)?;
        let reason = checked_reason("reason", &reason).map_err(|invalid| Problem::bad_request(&invalid))?;
        let halt = HaltItem {
            halted: true,
            reason: Some(reason),
            changed_by: Some(signer.to_owned()),
            changed_at: Some(self.ambient.now()),
            // An order that halted keeps its hold.
            order_id: self.providers.halt_item().await?.order_id,
        };
        self.change_halt(&halt).await?;
        log.outcome("halted");
        Ok(respond(200, &halt))
    }
}
