//! The response to a new order, which `POST /revocations` and `DELETE /providers/{provider_id}` share.

use http::HeaderValue;
use http::header::LOCATION;
use shared::http::{Problem, RequestLog, Response, respond};
use shared::record::{BreachScope, RecordError};

use super::log_keys;
use crate::intake::order_execution::OrderExecution;
use crate::intake::revocation_view::RevocationView;

/// Seconds after which a caller may retry what failed on our side.
const RETRY_AFTER_S: u64 = 5;

/// The problem if nothing was written.
pub(super) fn order_not_written(error: &RecordError) -> Problem {
    Problem::new(503, "No order was written and nothing was stopped. Try again at once.")
        .retry_after(RETRY_AFTER_S)
        .caused_by(error)
}

/// The response to a new order: 202 if its keys are stopped and it is enqueued; otherwise what was done and what was not.
pub(super) fn order_response(execution: &OrderExecution, log: &mut RequestLog) -> Result<Response, Problem> {
    log_execution(execution, log);
    let view = RevocationView::with_counts(&execution.order, execution.counts.clone(), &execution.keys);
    if execution.is_accepted() {
        let mut response = respond(202, &view);
        if let Ok(location) = HeaderValue::from_str(&format!("/revocations/{}", execution.order.order_id)) {
            response.headers.insert(LOCATION, location);
        }
        return Ok(response);
    }
    let not_stopped = execution.not_stopped();
    let detail = match (not_stopped.is_empty(), execution.is_enqueued) {
        (true, _) => {
            "The order is written and sending is stopped, but the order could not be enqueued. The sweep enqueues its keys \
             within minutes; look at the revocation."
        }
        (false, true) => {
            "The order is written and enqueued, but not all of its keys could be stopped: those in `not_stopped` may \
             still be in use until its worker has stopped them. Look at the revocation, or try again at once."
        }
        (false, false) => {
            "The order is written, but the keys in `not_stopped` could not be stopped and may still be in use. The sweep \
             retries within minutes; try again at once."
        }
    };
    Err(Problem::new(503, detail)
        .retry_after(RETRY_AFTER_S)
        .with("not_stopped", &not_stopped)
        .with("revocation", &view))
}

fn log_execution(execution: &OrderExecution, log: &mut RequestLog) {
    log.order(&execution.order.order_id);
    if let BreachScope::ProviderId(provider_id) = &execution.order.scope {
        log.provider(provider_id);
    }
    log_keys(&execution.keys, log);
    log.outcome(match (execution.not_stopped().is_empty(), execution.is_enqueued) {
        (true, true) => "accepted",
        (true, false) => "not_enqueued",
        (false, _) => "not_stopped",
    });
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::record::{KeyItem, Order};

    use crate::order_counts::OrderCounts;

    use super::*;

    #[test]
    fn a_response_says_what_was_done() {
        let order: Order = serde_json::from_value(json!({
            "order_id": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", "scope": {"access_key_id": "AKIASP2TPHJSQH3FJRUX"},
            "reason": "leaked", "reported_by": "ops",
            "created_at": "2026-11-23T10:00:01Z", "access_key_ids": ["AKIASP2TPHJSQH3FJRUX"],
        }))
        .unwrap();
        let key: KeyItem = serde_json::from_value(json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": "revoking", "updated_at": "2026-11-23T10:00:01Z",
        }))
        .unwrap();
        let id = order.access_key_ids[0].clone();
        let execution = |key: Option<&KeyItem>, is_enqueued| OrderExecution {
            order: order.clone(),
            keys: vec![(id.clone(), key.cloned())],
            is_enqueued,
            is_notified: true,
            counts: OrderCounts::default(),
        };
        let mut log = RequestLog::default();
        let response = order_response(&execution(Some(&key), true), &mut log).unwrap();
        assert_eq!(response.status_code, 202);
        assert_eq!(response.headers[LOCATION], "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV");
        for (key, is_enqueued, says) in [
            (Some(&key), false, "sending is stopped"),
            (None, true, "may still be in use until its worker"),
            (None, false, "could not be stopped"),
        ] {
            let problem = order_response(&execution(key, is_enqueued), &mut log).unwrap_err();
            assert_eq!(problem.status(), 503);
            assert!(format!("{problem:?}").contains(says), "{problem:?}");
        }
    }
}
