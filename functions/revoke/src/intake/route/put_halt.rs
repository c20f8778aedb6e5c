//! `PUT /halt`: stops all sending, for every tenant.

use jiff::Timestamp;
use serde::Deserialize;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use shared::record::HaltChange;

use super::get_halt::HaltView;
use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::{MAX_REPORTED_BY_CHARS, checked_reason, checked_text};

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct HaltRequest {
    reason: String,
    halted_by: Option<String>,
}

impl HaltRequest {
    /// The change that `signer` asks for.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn into_change(self, signer: &str, now: Timestamp) -> Result<HaltChange, FieldError> {
        let checked_name = |name: String| checked_text("halted_by", &name, MAX_REPORTED_BY_CHARS);
        Ok(HaltChange {
            reason: checked_reason("reason", &self.reason)?,
            changed_by: signer.to_owned(),
            halted_by: self.halted_by.map(checked_name).transpose()?,
            changed_at: now,
            order_id: None,
            open_orders: Vec::new(),
        })
    }
}

impl Intake {
    pub(super) async fn put_halt(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let change = body::<HaltRequest>(request)?
            .into_change(signer, self.ambient.now())
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        let state = self.providers.halt_sending(change, &self.ambient).await.map_err(|error| {
            Problem::new(503, "It is not known whether sending is halted. Try again at once.")
                .retry_after(1)
                .caused_by(&error)
        })?;
        log.outcome("halted");
        tracing::warn!("all sending halted");
        let mapping = self.follow_halt(&state).await;
        Ok(respond(200, &HaltView::new(&state, mapping.as_ref())))
    }
}
