//! EventBridge: events to buses, and from there by rules to queues and functions.
//!
//! PutEvents and the delivery are our own, so that a queue's policy is asked with the rule as `aws:SourceArn`, an
//! event may cross accounts, and every event that passed can be shown. Buses, rules and targets are kept by the
//! embedded service.

use std::sync::{Arc, OnceLock};

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

/// What a rule hands to a function: the function's ARN and the payload.
pub(crate) type FunctionTarget = Arc<dyn Fn(&str, String) + Send + Sync>;

/// The buses of all accounts.
pub(crate) struct Buses {
    state: SharedEventBridgeState,
    queues: SqsDeliveryImpl,
    authority: Arc<Authority>,
    arrivals: Arrivals,
    functions: OnceLock<FunctionTarget>,
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
        Self {
            state,
            queues: SqsDeliveryImpl::new(sqs),
            authority,
            arrivals,
            functions: OnceLock::new(),
            passed: Mutex::new(Vec::new()),
        }
    }

    /// Where rules deliver that target a function. The first call counts.
    pub(crate) fn deliver_to_functions(&self, target: FunctionTarget) {
        if self.functions.set(target).is_err() {
            tracing::warn!("functions are targets of rules already");
        }
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

    /// Puts an event on a bus (name or ARN; a name is one of the event's account) and delivers it by the bus's rules.
    pub(crate) fn publish(&self, bus: &str, event: Value) {
        let account = account_of(bus).unwrap_or_else(|| event["account"].as_str().unwrap_or_default().to_owned());
        let name = bus.rsplit('/').next().unwrap_or(bus);
        let targets: Vec<(String, EventTarget)> = {
            let accounts = self.state.read();
            let rules = accounts.get(&account).into_iter().flat_map(|state| state.rules.values());
            rules
                .filter(|rule| rule.event_bus_name == name && rule.state == "ENABLED")
                .filter(|rule| {
                    let pattern = rule.event_pattern.as_deref().map(serde_json::from_str::<Value>);
                    pattern.is_some_and(|pattern| {
                        pattern.is_ok_and(|pattern| fakecloud_aws::event_pattern::matches(&pattern, &event))
                    })
                })
                .flat_map(|rule| rule.targets.iter().map(|target| (rule.arn.clone(), target.clone())))
                .collect()
        };
        {
            let mut passed = self.passed.lock();
            if passed.len() == KEPT {
                passed.remove(0);
            }
            passed.push(Arc::new(event.clone()));
        }
        for (rule_arn, target) in targets {
            self.deliver(&rule_arn, &target, &event);
        }
    }

    /// Delivers to one target of a rule. What a queue's policy refuses goes to the target's dead-letter queue, and is
    /// lost where there is none or its policy refuses too.
    pub(crate) fn deliver(&self, rule_arn: &str, target: &EventTarget, event: &Value) {
        let payload = match (&target.input, &target.input_path) {
            (Some(input), _) => input.clone(),
            (None, Some(path)) => select(event, path).to_string(),
            (None, None) => event.to_string(),
        };
        if target.arn.contains(":lambda:") {
            match self.functions.get() {
                Some(invoke) => invoke(&target.arn, payload),
                None => tracing::warn!(rule = rule_arn, target = target.arn, "no function host takes the event"),
            }
            return;
        }
        if target.arn.contains(":event-bus/") {
            self.publish(&target.arn, event.clone());
            return;
        }
        let group = target.sqs_parameters.as_ref().and_then(|parameters| parameters["MessageGroupId"].as_str());
        if self.send(rule_arn, &target.arn, &payload, group) {
            return;
        }
        let dead_letters = target.dead_letter_config.as_ref().and_then(|config| config["Arn"].as_str());
        if !dead_letters.is_some_and(|arn| self.send(rule_arn, arn, &payload, None)) {
            tracing::warn!(rule = rule_arn, target = target.arn, "an event was refused by its target and is lost");
        }
    }

    /// The events that passed, oldest first.
    pub(crate) fn passed(&self) -> Vec<Arc<Value>> {
        self.passed.lock().clone()
    }

    fn send(&self, rule_arn: &str, queue_arn: &str, payload: &str, group: Option<&str>) -> bool {
        let source_account = account_of(rule_arn).unwrap_or_default();
        let need = Need::new("sqs:SendMessage", queue_arn);
        if !self.authority.check_service("events.amazonaws.com", &need, rule_arn, &source_account) {
            tracing::warn!(rule = rule_arn, queue = queue_arn, "the queue's policy refuses the rule");
            return false;
        }
        let sent =
            self.queues.try_deliver_to_queue_with_attrs(queue_arn, payload, &Default::default(), group, None).is_ok();
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

/// A JSON path of fields, `$.detail.x`; null where there is nothing.
fn select<'a>(event: &'a Value, path: &str) -> &'a Value {
    path.trim_start_matches('$').split('.').filter(|field| !field.is_empty()).fold(event, |value, field| &value[field])
}
