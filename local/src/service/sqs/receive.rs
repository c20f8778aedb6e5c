//! Long polls that end when a message comes, not at the next tenth of a second.

use std::time::Duration;

use axum::body::Bytes;
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::Sqs;
use crate::service::{Call, ServiceRequest, ServiceResponse};

/// How often a poll looks although nothing was sent: messages become visible by themselves when a delay or a visibility
/// timeout ends. Both are whole seconds.
const POLL_INTERVAL: Duration = Duration::from_millis(200);

impl Sqs {
    /// Answers ReceiveMessage, waiting at most so long for a message.
    pub(super) async fn receive(&self, request: &ServiceRequest<'_>, wait: Duration) -> ServiceResponse {
        let deadline = Instant::now() + wait;
        let mut json = request.call.json.clone();
        json["WaitTimeSeconds"] = Value::from(0);
        let call = Call { body: Bytes::from(json.to_string()), json, ..request.call.clone() };
        let request = ServiceRequest { call: &call, ..*request };
        loop {
            // Registered before looking, so that a message that comes in between is not slept through.
            let arrival = self.arrivals.notified();
            tokio::pin!(arrival);
            arrival.as_mut().enable();

            let response = self.embedded.handle(&request).await;
            if response.error.is_some() || !is_empty(&response) || Instant::now() >= deadline {
                return response;
            }
            let _ = timeout_at(deadline.min(Instant::now() + POLL_INTERVAL), arrival).await;
        }
    }
}

fn is_empty(response: &ServiceResponse) -> bool {
    serde_json::from_slice::<Value>(&response.body)
        .is_ok_and(|response| response["Messages"].as_array().is_none_or(Vec::is_empty))
}
