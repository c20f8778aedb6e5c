//! The faults of an account, as their JSON says.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use shared::http::{FieldError, decode};

use super::Occasion;

/// Operations that the faults of timing and connection strike unless `on` names others.
const DEFAULT_OPERATIONS: &[&str] = &["ses:SendEmail"];

/// An account's faults; the default is none. A PUT replaces the whole set. A field that is null is absent.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Faults {
    /// `on`: operations that latency, resets, errors and hanging strike, as `service:Operation`, `service:*` or `*`.
    /// `ses:SendEmail`, whatever the mail's content, where absent.
    #[serde(deserialize_with = "or_default")]
    pub(crate) on: Vec<String>,
    /// `latency_ms`: how long each request waits before it is looked at.
    #[serde(rename = "latency_ms", deserialize_with = "milliseconds")]
    pub(crate) latency: Duration,
    /// `hang_ms`: how long each answer waits after the work is done. Longer than the client waits: in doubt.
    #[serde(rename = "hang_ms", deserialize_with = "milliseconds")]
    pub(crate) hang: Duration,
    /// `reset_before`: the connection is closed before SES took the mail, though after the client wrote it. A whole
    /// number hits the next so many requests, a fraction each with that chance.
    pub(crate) reset_before: Occasion,
    /// `reset_after`: SES took the mail, then the connection is closed without an answer. As `reset_before`.
    pub(crate) reset_after: Occasion,
    /// `server_error`: 500 InternalFailure, nothing taken. As `reset_before`.
    pub(crate) server_error: Occasion,
    /// `throttle_chance` (0 to 1): 429 TooManyRequestsException, of IAM and STS 400 Throttling, by chance.
    #[serde(deserialize_with = "chance")]
    pub(crate) throttle_chance: Occasion,
    /// `refuse_connections`: the tenants' endpoint refuses connections, so that clients know that nothing was written.
    /// A connection says nothing of accounts: this one strikes every tenant, until no account asks for it.
    #[serde(deserialize_with = "or_default")]
    pub(crate) refuse_connections: bool,
    /// `enforce_max_send_rate`: 429 above the account's `max_send_rate`, in recipients a second.
    #[serde(deserialize_with = "or_default")]
    pub(crate) enforce_max_send_rate: bool,
    /// `quarantine`: AWS's AWSCompromisedKeyQuarantineV3 is attached to the account's users.
    #[serde(deserialize_with = "or_default")]
    pub(crate) quarantine: bool,
    /// `deactivate_key`: the users' keys are inactive.
    #[serde(deserialize_with = "or_default")]
    pub(crate) deactivate_key: bool,
    /// `paused`: the account's sending is paused.
    #[serde(deserialize_with = "or_default")]
    pub(crate) paused: bool,
    /// `enforcement`: SES's review has come to `PROBATION` or `SHUTDOWN`. Sending from an account that is shut down
    /// is refused with AccountSuspendedException.
    pub(crate) enforcement: Option<Enforcement>,
    /// `console_login`: GetUser answers a PasswordLastUsed.
    #[serde(deserialize_with = "or_default")]
    pub(crate) console_login: bool,
    /// `deleted_key_honoured_ms`: for how long a deleted or deactivated key still opens everything.
    #[serde(rename = "deleted_key_honoured_ms", deserialize_with = "milliseconds")]
    pub(crate) deleted_key_honoured: Duration,
}

/// What SES's review of an account has come to:
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_GetAccount.html>.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Enforcement {
    /// Reviewed, sending goes on.
    Probation,
    /// Sending is over.
    Shutdown,
}

impl Enforcement {
    /// GetAccount's word for it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Probation => "PROBATION",
            Self::Shutdown => "SHUTDOWN",
        }
    }
}

impl Faults {
    /// Reads the JSON of a request.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, FieldError> {
        let faults: Self = decode(json)?;
        let often = "must be a count, or a chance from 0 to 1";
        for (field, occasion, right) in [
            ("reset_before", faults.reset_before, often),
            ("reset_after", faults.reset_after, often),
            ("server_error", faults.server_error, often),
            ("throttle_chance", faults.throttle_chance, "must be a chance from 0 to 1"),
        ] {
            if !occasion.is_possible() {
                return Err(FieldError::new(field, right));
            }
        }
        Ok(faults)
    }

    /// Whether timing and connection faults strike this operation.
    pub(super) fn concerns(&self, operation: &str) -> bool {
        if self.on.is_empty() {
            return DEFAULT_OPERATIONS.contains(&operation);
        }
        self.on.iter().any(|name| match name.strip_suffix('*') {
            Some(prefix) => operation.starts_with(prefix),
            None => name == operation,
        })
    }
}

fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(deserializer: D) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn milliseconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    or_default(deserializer).map(Duration::from_millis)
}

/// A chance alone: `1` is always, not once.
fn chance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Occasion, D::Error> {
    or_default(deserializer).map(Occasion::Chance)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::faults::Plan;

    #[test]
    fn a_whole_number_is_a_count_and_a_fraction_a_chance() {
        let faults = Faults::parse(br#"{"reset_before": 1, "reset_after": 0.25, "throttle_chance": 1}"#).unwrap();
        assert_eq!(faults.reset_before, Occasion::Times(1));
        assert_eq!(faults.reset_after, Occasion::Chance(0.25));
        assert_eq!(faults.throttle_chance, Occasion::Chance(1.0));
    }

    #[test]
    fn a_field_that_is_null_is_absent() {
        let every = json!({
            "on": null, "latency_ms": null, "hang_ms": null, "reset_before": null, "reset_after": null, "server_error": null,
            "throttle_chance": null, "refuse_connections": null, "enforce_max_send_rate": null, "quarantine": null,
            "deactivate_key": null, "paused": null, "enforcement": null, "console_login": null,
            "deleted_key_honoured_ms": null,
        });
        let some = json!({"on": null, "latency_ms": null, "quarantine": null, "reset_before": null});
        for json in [every, some] {
            let mut faults = Faults::parse(json.to_string().as_bytes()).unwrap();
            assert_eq!(faults.plan("ses:SendEmail"), Plan::default(), "{json}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_answered_with_what_would_be_right() {
        for (json, problem) in [
            (json!({"reset_before": -1}), "must be a count, or a chance from 0 to 1"),
            (json!({"reset_after": 1.5}), "must be a count, or a chance from 0 to 1"),
            (json!({"throttle_chance": 2}), "must be a chance from 0 to 1"),
        ] {
            assert_eq!(Faults::parse(json.to_string().as_bytes()).unwrap_err().problem, problem, "{json}");
        }
    }

    #[test]
    fn a_bad_value_is_refused_by_the_name_of_its_field() {
        for (json, field) in [
            (json!({"latencyms": 5}), "latencyms"),
            (json!({"latency_ms": -1}), "latency_ms"),
            (json!({"server_error": "often"}), "server_error"),
            (json!({"throttle_chance": 2}), "throttle_chance"),
            (json!({"reset_after": 1.5}), "reset_after"),
            (json!({"quarantine": "yes"}), "quarantine"),
            (json!({"enforcement": "HEALTHY"}), "enforcement"),
            (json!([]), "body"),
        ] {
            assert_eq!(Faults::parse(json.to_string().as_bytes()).unwrap_err().field, field, "{json}");
        }
    }
}
