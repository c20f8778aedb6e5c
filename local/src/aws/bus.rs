//! EventBridge: events to buses, and from there by rules to queues.
//!
//! PutEvents and the delivery are our own, so that a queue's policy is asked with the rule as `aws:SourceArn`, an
//! event may cross accounts, and every event that passed one of ours can be shown. Buses, rules and targets are kept by the
//! embedded service.

use std::sync::Arc;

use chrono::{SecondsFormat, Utc};
use fakecloud_core::delivery::SqsDelivery;
use fakecloud_eventbridge::{EventTarget, SharedEventBridgeState};
use fakecloud_sqs::SharedSqsState;
use fakecloud_sqs::delivery::SqsDeliveryImpl;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::authority::{Authority, account_of};
use super::call::Call;
use super::caller::Caller;
use super::need::Need;
use super::queue::Arrivals;
use super::random;

/// Events kept for `GET /_local/events`.
const KEPT: usize = 10_000;

/// The buses of all accounts.
pub(crate) struct Buses {
    state: SharedEventBridgeState,
    queues: SqsDeliveryImpl,
    authority: Arc<Authority>,
    arrivals: Arrivals,
    passed: Mutex<Vec<Arc<Value>>>,
}

impl Buses {
    /// Buses that deliver to the queues of `sqs`.
    pub(crate) fn new(
        state: SharedEventBridgeState,
        sqs: SharedSqsState,
        authority: Arc<Authority>,
        arrivals: Arrivals,
    ) -> Self {
        Self { state, queues: SqsDeliveryImpl::new(sqs), authority, arrivals, passed: Mutex::new(Vec::new()) }
    }

    /// Answers PutEvents. Entries fail one by one, as on AWS.
    pub(crate) fn put_events(&self, call: &Call, caller: &Caller, region: &str) -> Value {
        let entries = call.json["Entries"].as_array().map(Vec::as_slice).unwrap_or_default();
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
                        "account": caller.account_id(),
                        "time": time.unwrap_or_else(Utc::now).to_rfc3339_opts(SecondsFormat::Secs, true),
                        "region": region,
                        "resources": entry["Resources"].as_array().cloned().unwrap_or_default(),
                        "detail": detail,
                    });
                    self.publish(entry["EventBusName"].as_str().unwrap_or("default"), event);
                    json!({"EventId": id})
                }
            })
            .collect();
        let failed = results.iter().filter(|result| result["ErrorCode"].is_string()).count();
        json!({"FailedEntryCount": failed, "Entries": results})
    }

    /// The events that passed the operator's buses, oldest first.
    pub(crate) fn passed(&self) -> Vec<Arc<Value>> {
        self.passed.lock().clone()
    }

    /// Puts an event on a bus (name or ARN; a name is one of the event's account) and delivers it by the bus's rules. What is put on
    /// a bus that is not there is gone without a word: <https://github.com/aws/aws-sdk/issues/186>.
    fn publish(&self, bus: &str, event: Value) {
        let account = account_of(bus).unwrap_or_else(|| event["account"].as_str().unwrap_or_default().to_owned());
        let name = bus.rsplit('/').next().unwrap_or(bus);
        let (targets, ours): (Vec<(String, EventTarget)>, bool) = {
            let accounts = self.state.read();
            let Some(state) = accounts.get(&account).filter(|state| state.buses.contains_key(name)) else { return };
            let targets = state
                .rules
                .values()
                .filter(|rule| rule.event_bus_name == name && rule.state == "ENABLED")
                .filter(|rule| {
                    let pattern = rule.event_pattern.as_deref().map(serde_json::from_str::<Value>);
                    pattern.is_some_and(|pattern| {
                        pattern.is_ok_and(|pattern| fakecloud_aws::event_pattern::matches(&pattern, &event))
                    })
                })
                .flat_map(|rule| rule.targets.iter().map(|target| (rule.arn.clone(), target.clone())))
                .collect();
            (targets, account == accounts.default_account_id())
        };
        let payload = event.to_string();
        if ours {
            let mut passed = self.passed.lock();
            if passed.len() == KEPT {
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
    fn deliver(&self, rule_arn: &str, target: &EventTarget, payload: &str) {
        if self.send(rule_arn, &target.arn, payload) {
            return;
        }
        let dead_letters = target.dead_letter_config.as_ref().and_then(|config| config["Arn"].as_str());
        if !dead_letters.is_some_and(|arn| self.send(rule_arn, arn, payload)) {
            tracing::warn!(rule = rule_arn, target = target.arn, "an event was refused by its target and is lost");
        }
    }

    fn send(&self, rule_arn: &str, queue_arn: &str, payload: &str) -> bool {
        let source_account = account_of(rule_arn).unwrap_or_default();
        let need = Need::new("sqs:SendMessage", queue_arn);
        if !self.authority.check_service("events.amazonaws.com", &need, rule_arn, &source_account) {
            tracing::warn!(rule = rule_arn, queue = queue_arn, "the queue's policy refuses the rule");
            return false;
        }
        let sent =
            self.queues.try_deliver_to_queue_with_attrs(queue_arn, payload, &Default::default(), None, None).is_ok();
        self.arrivals.announce();
        sent
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
