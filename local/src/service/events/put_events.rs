//! PutEvents, and the delivery of events to queues.

use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use serde_json::{Value, json};

use super::bus::{DEFAULT, name_of};
use super::rule::RuleTarget;
use super::{Events, invalid};
use crate::random;
use crate::service::sqs::DeliveringService;
use crate::service::{ServiceError, ServiceRequest, account_of};

/// Events kept for `GET /_local/events`.
const MAX_KEPT: usize = 10_000;

/// Entries of one PutEvents.
const MAX_ENTRIES: usize = 10;

impl Events {
    /// Answers PutEvents. Entries fail one by one, as on AWS.
    pub(super) fn put_events(&self, json: &Value, request: &ServiceRequest<'_>) -> Result<Value, ServiceError> {
        let entries = json["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
        if !(1..=MAX_ENTRIES).contains(&entries.len()) {
            return Err(invalid(format!(
                "1 validation error detected: Value at 'entries' failed to satisfy constraint: Member must have length \
                 from 1 to {MAX_ENTRIES}"
            )));
        }
        let results: Vec<Value> = entries
            .iter()
            .map(|entry| match check_entry(entry) {
                Err((code, message)) => json!({"ErrorCode": code, "ErrorMessage": message}),
                Ok(detail) => {
                    let id = random::uuid();
                    let time = match &entry["Time"] {
                        Value::Number(seconds) => seconds
                            .as_f64()
                            .and_then(|seconds| chrono::DateTime::from_timestamp_millis((seconds * 1000.0) as i64)),
                        _ => None,
                    };
                    let event = json!({
                        "version": "0",
                        "id": id,
                        "detail-type": entry["DetailType"],
                        "source": entry["Source"],
                        "account": request.caller.account_id(),
                        "time": time.unwrap_or_else(Utc::now).to_rfc3339_opts(SecondsFormat::Secs, true),
                        "region": request.region,
                        "resources": entry["Resources"].as_array().cloned().unwrap_or_default(),
                        "detail": detail,
                    });
                    let bus = entry["EventBusName"].as_str().unwrap_or(DEFAULT);
                    let owner = account_of(bus).unwrap_or(request.caller.account_id());
                    self.publish(owner, name_of(bus), event);
                    json!({"EventId": id})
                }
            })
            .collect();
        let failed = results.iter().filter(|result| result["ErrorCode"].is_string()).count();
        Ok(json!({"FailedEntryCount": failed, "Entries": results}))
    }

    /// The events that passed the operator's buses, oldest first.
    pub(crate) fn passed(&self) -> Vec<Arc<Value>> {
        self.passed.lock().clone()
    }

    /// Puts an event on an account's bus and delivers it by the bus's rules. An event for a bus that is not there is lost, and
    /// AWS does not say so: <https://github.com/aws/aws-sdk/issues/186>.
    pub(super) fn publish(&self, account_id: &str, bus: &str, event: Value) {
        let targets = self.with_bus(account_id, bus, |bus| {
            let rules = bus.rules.values().filter(|rule| rule.matches(&event));
            rules.flat_map(|rule| rule.targets.iter().map(|target| (rule.arn.clone(), target.clone()))).collect()
        });
        let Ok(targets): Result<Vec<(String, RuleTarget)>, _> = targets else { return };
        let payload = event.to_string();
        if account_id == self.setup.account_id {
            let mut passed = self.passed.lock();
            if passed.len() == MAX_KEPT {
                passed.remove(0);
            }
            passed.push(Arc::new(event));
        }
        for (rule_arn, target) in targets {
            self.deliver(&rule_arn, &target, &payload);
        }
    }

    /// Delivers to one target of a rule. What a queue's policy refuses goes to the target's dead-letter queue, and is
    /// lost where there is none or its policy refuses too.
    fn deliver(&self, rule_arn: &str, target: &RuleTarget, payload: &str) {
        if !self.send(rule_arn, &target.arn, payload)
            && !target.dead_letter_arn.as_ref().is_some_and(|arn| self.send(rule_arn, arn, payload))
        {
            tracing::warn!(rule = rule_arn, target = target.arn, "an event is lost: its rule could not deliver it");
        }
    }

    fn send(&self, rule_arn: &str, queue_arn: &str, payload: &str) -> bool {
        let rule = DeliveringService { principal: "events.amazonaws.com", source_arn: rule_arn };
        let delivered = self.queues.deliver(&rule, queue_arn, payload);
        if let Err(error) = &delivered {
            tracing::warn!(%error, rule = rule_arn, queue = queue_arn, "a rule could not deliver an event to a queue");
        }
        delivered.is_ok()
    }
}

/// What PutEvents demands of an entry; answers the parsed detail.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
fn check_entry(entry: &Value) -> Result<Value, (&'static str, &'static str)> {
    let text = |field: &str| entry[field].as_str().filter(|text| !text.is_empty());
    let missing = "InvalidArgument";
    let source =
        text("Source").ok_or((missing, "Parameter Source is not valid. Reason: Source is a required argument."))?;
    text("DetailType")
        .ok_or((missing, "Parameter DetailType is not valid. Reason: DetailType is a required argument."))?;
    let detail =
        text("Detail").ok_or((missing, "Parameter Detail is not valid. Reason: Detail is a required argument."))?;
    if source.starts_with("aws.") {
        return Err(("NotAuthorizedForSourceException", "Not authorized for the source."));
    }
    match serde_json::from_str(detail) {
        Ok(detail @ Value::Object(_)) => Ok(detail),
        _ => Err(("MalformedDetail", "Detail is malformed.")),
    }
}
