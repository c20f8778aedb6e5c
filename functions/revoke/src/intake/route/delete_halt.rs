//! `DELETE /halt`: lifts a halt, and opens a first deployment for sending.

use jiff::Timestamp;
use serde::Deserialize;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use shared::id::OrderId;
use shared::record::{Halt, HaltChange};
use shared::telemetry::chain;

use super::get_halt::HaltView;
use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::checked_reason;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ResumeRequest {
    reason: String,
    #[serde(default)]
    force: bool,
}

impl ResumeRequest {
    /// The change that `signer` asks for, although these orders are open.
    ///
    /// # Errors
    /// The field that is wrong.
    pub(super) fn into_change(
        self,
        signer: &str,
        now: Timestamp,
        open_orders: Vec<OrderId>,
    ) -> Result<HaltChange, FieldError> {
        Ok(HaltChange {
            reason: checked_reason("reason", &self.reason)?,
            changed_by: signer.to_owned(),
            halted_by: None,
            changed_at: now,
            order_id: None,
            open_orders,
        })
    }
}

impl Intake {
    pub(super) async fn delete_halt(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let resume = body::<ResumeRequest>(request)?;
        let force = resume.force;
        let read = self.providers.halt_state().await?;
        let mut change = resume
            .into_change(signer, self.ambient.now(), Vec::new())
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        if read.halt == Halt::Open {
            log.outcome("already_open");
            let mapping = self.follow_halt(&read).await;
            return Ok(respond(200, &HaltView::new(&read, mapping.as_ref())));
        }
        change.open_orders = match self.open_orders(&read).await {
            Ok(open) if open.is_empty() || force => open,
            Ok(open) => {
                log.outcome("orders_open");
                let detail = "Orders are open: keys that they revoke are not proved dead, or are still being listed. Look at the revocations in \
                              `open_orders`, or lift the halt with `force: true`.";
                return Err(Problem::new(409, detail).kind("orders-open").with("open_orders", &open));
            }
            Err(error) if force => {
                tracing::warn!(error = chain(&error), "open orders not listed: the halt is lifted by force");
                Vec::new()
            }
            Err(error) => return Err(error.into()),
        };
        let resumed = self.providers.resume_sending(&read, change, &self.ambient).await.map_err(|error| {
            Problem::new(503, "It is not known whether sending is resumed. Look at it again.")
                .retry_after(1)
                .caused_by(&error)
        })?;
        let Some(state) = resumed else {
            log.outcome("changed_meanwhile");
            return Err(
                Problem::new(409, "Somebody has changed the halt meanwhile. Look at it again.").kind("halt-changed")
            );
        };
        log.outcome(if force { "resumed_by_force" } else { "resumed" });
        tracing::warn!(force, "sending resumed");
        let mapping = self.follow_halt(&state).await;
        Ok(respond(200, &HaltView::new(&state, mapping.as_ref())))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::testing::FakeResponse;

    use super::*;
    use crate::fixtures::{cold_start, item, operations};

    /// The status of the answer, and whether the halt item was written.
    async fn resume(
        force: bool,
        halted: bool,
        query: impl Fn() -> FakeResponse + Send + Sync + 'static,
        transact: impl Fn() -> FakeResponse + Send + Sync + 'static,
    ) -> (u16, bool) {
        let (start, calls) = cold_start(move |operation| match operation {
            "GetItem providers" => Some(item(&json!({ "halted": { "BOOL": halted }, "change_id": { "S": "c1" } }))),
            "Query" => Some(query()),
            "TransactWriteItems" => Some(transact()),
            _ => None,
        });
        let intake = Intake::new(&start).unwrap();
        let sample = include_str!("../../../../../events/revoke-delete-halt.json");
        let mut request: Request = serde_json::from_str(sample).unwrap();
        request.body = Some(json!({ "reason": "over", "force": force }).to_string());
        let answer = intake.delete_halt(&request, &mut RequestLog::default()).await;
        let status = answer.map_or_else(|problem| i64::from(problem.status()), |response| response.status_code);
        (u16::try_from(status).unwrap(), operations(&calls).contains(&"TransactWriteItems".to_owned()))
    }

    fn ok() -> FakeResponse {
        (200, "{}".to_owned())
    }

    fn none_open() -> FakeResponse {
        (200, json!({ "Items": [] }).to_string())
    }

    fn one_open() -> FakeResponse {
        let order = json!({
            "pk": { "S": "order#rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV" }, "sk": { "S": "order" },
            "order_id": { "S": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV" },
            "scope": { "M": { "access_key_id": { "S": "AKIASP2TPHJSQH3FJRUX" } } },
            "access_key_ids": { "L": [{ "S": "AKIASP2TPHJSQH3FJRUX" }] }, "reason": { "S": "leaked" }, "reported_by": { "S": "ops" }, "created_at": { "S": "2026-11-23T10:00:00Z" },
        });
        (200, json!({ "Items": [order] }).to_string())
    }

    fn unavailable() -> FakeResponse {
        (500, "{}".to_owned())
    }

    fn halted_meanwhile() -> FakeResponse {
        let kind = "com.amazonaws.dynamodb.v20120810#TransactionCanceledException";
        let reasons = json!([{ "Code": "ConditionalCheckFailed" }, { "Code": "None" }]);
        (400, json!({ "__type": kind, "CancellationReasons": reasons }).to_string())
    }

    #[tokio::test(start_paused = true)]
    async fn a_halt_is_lifted_when_no_order_is_open_or_by_force_and_never_over_a_newer_halt() {
        assert_eq!(resume(false, true, none_open, ok).await, (200, true));
        assert_eq!(resume(false, true, one_open, ok).await, (409, false));
        assert_eq!(resume(true, true, one_open, ok).await, (200, true));
        // Whether orders are open is not known.
        assert_eq!(resume(false, true, unavailable, ok).await, (503, false));
        assert_eq!(resume(true, true, unavailable, ok).await, (200, true));
        // Force does not mean: whatever has happened meanwhile.
        assert_eq!(resume(true, true, none_open, halted_meanwhile).await, (409, true));
        // Nothing is halted.
        assert_eq!(resume(false, false, one_open, ok).await, (200, false));
    }
}
