//! StartMessageMoveTask of messages that no queue's redrive policy put where they are.
//!
//! Without a DestinationArn messages go back to the queues that they came from (SQS API reference, StartMessageMoveTask). One that
//! was sent to a dead-letter queue came from none: the task fails, and ListMessageMoveTasks has CouldNotDetermineMessageSource. The embedded service sends it to the
//! queue that has the redrive policy.

use chrono::Utc;
use serde_json::{Value, json};

use super::{Sqs, queue_name};
use crate::random;
use crate::service::{ServiceRequest, ServiceResponse};

impl Sqs {
    /// Remembers messages that a request has sent to a dead-letter queue.
    pub(super) fn note_sent(&self, request: &ServiceRequest<'_>, response: &ServiceResponse) {
        let call = request.call;
        if !matches!(call.operation.as_str(), "SendMessage" | "SendMessageBatch") || response.error.is_some() {
            return;
        }
        let suffix = format!(":{}:{}", request.account_id, queue_name(call).unwrap_or_default());
        let accounts = self.state.read();
        let Some(state) = accounts.regional(request.account_id, request.region) else { return };
        let mut policies = state.queues.values().filter_map(|queue| queue.redrive_policy.as_ref());
        if !policies.any(|policy| policy.dead_letter_target_arn.ends_with(&suffix)) {
            return;
        }
        drop(accounts);
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let entries = answer["Successful"].as_array().into_iter().flatten().chain([&answer]);
        let ids = entries.filter_map(|entry| entry["MessageId"].as_str()).map(str::to_owned);
        self.sent_to_dead_letters.lock().extend(ids);
    }

    /// The answer to a StartMessageMoveTask whose task fails for want of a source; `None` for every other request.
    pub(super) fn fail_move_task(&self, request: &ServiceRequest<'_>) -> Option<ServiceResponse> {
        let json = &request.call.json;
        if request.call.operation != "StartMessageMoveTask" || json["DestinationArn"].is_string() {
            return None;
        }
        let source_arn = json["SourceArn"].as_str()?;
        let accounts = self.state.read();
        let state = accounts.regional(request.account_id, request.region)?;
        let queue = state.queues.values().find(|queue| queue.arn == source_arn)?;
        let sent = self.sent_to_dead_letters.lock();
        if !queue.messages.iter().any(|message| sent.contains(&message.message_id)) {
            return None;
        }
        let task_handle = format!("FailedMessageMoveTask-{}", random::uuid());
        self.failed_move_tasks.lock().push(json!({
            "Status": "FAILED",
            "SourceArn": source_arn,
            "ApproximateNumberOfMessagesMoved": 0,
            "ApproximateNumberOfMessagesToMove": queue.messages.len(),
            "FailureReason": "CouldNotDetermineMessageSource",
            "StartedTimestamp": Utc::now().timestamp_millis(),
        }));
        Some(ServiceResponse::json(request.call, &json!({"TaskHandle": task_handle})))
    }

    /// Adds the failed tasks of a queue to ListMessageMoveTasks's answer, the last one first.
    pub(super) fn list_failed_move_tasks(
        &self,
        request: &ServiceRequest<'_>,
        response: ServiceResponse,
    ) -> ServiceResponse {
        let call = request.call;
        if call.operation != "ListMessageMoveTasks" || response.error.is_some() {
            return response;
        }
        let failed = self.failed_move_tasks.lock();
        let failed = failed.iter().rev().filter(|task| task["SourceArn"] == call.json["SourceArn"]).cloned();
        let answer: Value = serde_json::from_slice(&response.body).unwrap_or(Value::Null);
        let others = answer["Results"].as_array().into_iter().flatten().cloned();
        let results: Vec<Value> =
            failed.chain(others).take(call.json["MaxResults"].as_u64().unwrap_or(1) as usize).collect();
        ServiceResponse::json(call, &json!({"Results": results}))
    }
}
