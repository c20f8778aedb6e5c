//! Faults of a tenant's AWS account, switched on by a test or by hand with `PUT /_local/tenants/{account_id}/faults`.
//!
//! They sit in front of the stand-in and are keyed by the account that the request's access key belongs to.

mod occasion;
mod send_rate;
mod setting;

pub(crate) use occasion::Occasion;
pub(crate) use send_rate::SendRate;
pub(crate) use setting::{Enforcement, Faults};

use std::time::Duration;

/// What is to happen to one request.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Plan {
    /// How long the request waits before anything else.
    pub(crate) latency: Duration,
    /// Close the connection before the service has seen the request.
    pub(crate) reset_before: bool,
    /// Answer 429 once the caller is known and allowed.
    pub(crate) throttle: bool,
    /// Answer 500 once the caller is known and allowed.
    pub(crate) server_error: bool,
    /// How long the answer waits after the service has done its work.
    pub(crate) hang: Duration,
    /// Close the connection in place of answering, after the service has done its work.
    pub(crate) reset_after: bool,
}

impl Faults {
    /// What is to happen to a request of `operation` (`service:Operation`); uses up one of each counted fault.
    pub(crate) fn plan(&mut self, operation: &str) -> Plan {
        if !self.concerns(operation) {
            return Plan::default();
        }
        // A request dies of one thing only, so that `1` of each hits as many requests as there are faults.
        let reset_before = self.reset_before.strikes();
        let server_error = !reset_before && self.server_error.strikes();
        let throttle = !reset_before && !server_error && self.throttle_chance.strikes();
        let reset_after = !reset_before && !server_error && !throttle && self.reset_after.strikes();
        Plan { latency: self.latency, reset_before, throttle, server_error, hang: self.hang, reset_after }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(json: Value) -> Faults {
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn a_counted_fault_hits_that_many_requests_and_then_no_more() {
        let mut faults = read(json!({"reset_before": 2, "reset_after": 1}));
        let resets: Vec<_> =
            (0..4).map(|_| faults.plan("ses:SendEmail")).map(|plan| (plan.reset_before, plan.reset_after)).collect();
        assert_eq!(resets, [(true, false), (true, false), (false, true), (false, false)]);
    }

    #[test]
    fn faults_are_for_sending_unless_they_name_other_operations() {
        let mut faults = read(json!({"latency_ms": 5}));
        assert_eq!(faults.plan("iam:GetUser"), Plan::default());
        assert_eq!(faults.plan("ses:SendEmail").latency, Duration::from_millis(5));

        let mut faults = read(json!({"latency_ms": 5, "on": ["iam:*"]}));
        assert_eq!(faults.plan("iam:GetUser").latency, Duration::from_millis(5));
        assert_eq!(faults.plan("ses:SendEmail"), Plan::default());
    }
}
