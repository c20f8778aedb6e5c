//! A fault of some requests: which ones, what happens to them, and how often.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use shared::http::FieldError;

use super::trigger::FaultTrigger;

/// What is to happen to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct FaultPlan {
    /// How long the request waits before anything else.
    pub(crate) latency: Duration,
    /// What it fails of.
    pub(crate) effect: Option<FaultEffect>,
    /// How long the answer waits after the service has done its work.
    pub(crate) hang: Duration,
}

/// What a request fails of. It is one thing only, so that `1` of each hits as many requests as there are faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FaultEffect {
    /// The connection is closed before the service has seen the request.
    ResetBefore,
    /// 500 once the caller is known and allowed.
    ServerError,
    /// Too many requests, once the caller is known and allowed.
    Throttle,
    /// AccessDenied, as if no policy allowed the request.
    Refuse,
    /// A batch operation answers that it did none of its entries.
    Unprocessed,
    /// The connection is closed in place of answering, after the service has done its work.
    ResetAfter,
    /// 500 after the service has done its work.
    ServerErrorAfter,
    /// No answer after the service has done its work: the client waits until it gives up.
    NoAnswer,
}

/// Faults of the requests that match.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct FaultRule {
    /// `on`: operations, as `service:Operation`, `service:*` or `*`.
    pub(super) on: Vec<String>,
    /// `resource`: the name of a table, queue, bus or the id of a key, with `*` for any end. A request that names several
    /// matches with any of them. Any request where absent.
    pub(super) resource: Option<String>,
    /// `latency_ms`: how long each request waits before it is looked at.
    #[serde(rename = "latency_ms", deserialize_with = "milliseconds")]
    pub(super) latency: Duration,
    /// `hang_ms`: how long each answer waits after the work is done. If the client gives up earlier, it is in doubt.
    #[serde(rename = "hang_ms", deserialize_with = "milliseconds")]
    pub(super) hang: Duration,
    /// `reset_before`: the connection is closed before the service did anything, though after the client wrote the request.
    /// A whole number hits the next so many requests, a fraction each with that chance.
    pub(super) reset_before: FaultTrigger,
    /// `reset_after`: the service did its work, then the connection is closed without an answer. As `reset_before`.
    pub(super) reset_after: FaultTrigger,
    /// `server_error_after`: the service did its work, then answers 500 in its words. As `reset_before`.
    pub(super) server_error_after: FaultTrigger,
    /// `no_answer`: the service did its work and does not answer; the connection stays open for a minute. As `reset_before`.
    pub(super) no_answer: FaultTrigger,
    /// `server_error`: 500 in the service's words, nothing done. As `reset_before`.
    pub(super) server_error: FaultTrigger,
    /// `throttle`: too many requests, in the service's words, nothing done. As `reset_before`.
    pub(super) throttle: FaultTrigger,
    /// `refuse`: AccessDenied, nothing done. As `reset_before`.
    pub(super) refuse: FaultTrigger,
    /// `unprocessed`: BatchGetItem, BatchWriteItem and PutEvents answer that they did none of their entries. As
    /// `reset_before`.
    pub(super) unprocessed: FaultTrigger,
}

impl FaultRule {
    /// Whether its triggers can happen as they say.
    ///
    /// # Errors
    /// The field that cannot.
    pub(super) fn check(&self) -> Result<(), FieldError> {
        let triggers = [
            ("reset_before", self.reset_before),
            ("reset_after", self.reset_after),
            ("server_error_after", self.server_error_after),
            ("no_answer", self.no_answer),
            ("server_error", self.server_error),
            ("throttle", self.throttle),
            ("refuse", self.refuse),
            ("unprocessed", self.unprocessed),
        ];
        match triggers.into_iter().find(|(_, trigger)| !trigger.is_possible()) {
            Some((field, _)) => Err(FieldError::new(field, "must be a count, or a chance from 0 to 1")),
            None => Ok(()),
        }
    }

    /// Adds to a request's plan what this rule does to it, where it matches; uses up one of a count.
    pub(super) fn apply(&mut self, plan: &mut FaultPlan, operation: &str, resources: &[String]) {
        if !self.matches(operation, resources) {
            return;
        }
        plan.latency += self.latency;
        plan.hang += self.hang;
        if plan.effect.is_none() {
            let triggers = [
                (&mut self.reset_before, FaultEffect::ResetBefore),
                (&mut self.server_error, FaultEffect::ServerError),
                (&mut self.throttle, FaultEffect::Throttle),
                (&mut self.refuse, FaultEffect::Refuse),
                (&mut self.unprocessed, FaultEffect::Unprocessed),
                (&mut self.reset_after, FaultEffect::ResetAfter),
                (&mut self.server_error_after, FaultEffect::ServerErrorAfter),
                (&mut self.no_answer, FaultEffect::NoAnswer),
            ];
            plan.effect = triggers.into_iter().find_map(|(trigger, effect)| trigger.fire().then_some(effect));
        }
    }

    fn matches(&self, operation: &str, resources: &[String]) -> bool {
        let names = |pattern: &str, name: &str| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        };
        let is_meant = match &self.resource {
            Some(pattern) => resources.iter().any(|name| names(pattern, name)),
            None => true,
        };
        is_meant && self.on.iter().any(|pattern| names(pattern, operation))
    }
}

/// A field that is null is absent.
pub(super) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A duration in milliseconds.
pub(super) fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    or_default(deserializer).map(Duration::from_millis)
}
