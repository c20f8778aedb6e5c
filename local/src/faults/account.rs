//! The faults of an account, as their JSON says.

use std::time::Duration;

use serde::{Deserialize, Deserializer};
use shared::http::{FieldError, decode};

use super::rule::{FaultPlan, FaultRule, milliseconds, or_default};
use super::trigger::FaultTrigger;

/// Operations that a tenant's faults of timing and connection strike unless `on` names others.
const DEFAULT_OPERATIONS: &[&str] = &["ses:SendEmail"];

/// An account's faults; the default is none. A PUT replaces the whole set.
#[derive(Clone, Debug, Default)]
pub(crate) struct AccountFaults {
    /// Faults of its requests.
    rules: Vec<FaultRule>,
    /// The tenants' endpoint refuses connections.
    pub(crate) refuse_connections: bool,
    /// SES's sending rate is enforced.
    pub(crate) enforce_max_send_rate: bool,
    /// AWS has put the account's users into quarantine, with this version of its policy.
    pub(crate) quarantine: Option<Quarantine>,
    /// The users' keys are inactive.
    pub(crate) deactivate_key: bool,
    /// The account's sending is paused, and SendEmail says so in this way.
    pub(crate) paused: Option<PauseWording>,
    /// Services that the account has not subscribed to, by the names that requests are signed for.
    pub(crate) not_subscribed: Vec<String>,
    /// What SES's review has come to.
    pub(crate) enforcement: Option<Enforcement>,
    /// GetUser answers a PasswordLastUsed.
    pub(crate) console_login: bool,
    /// For how long a deleted or deactivated key still opens everything.
    pub(crate) deleted_key_honoured: Duration,
}

/// A version of AWSCompromisedKeyQuarantine. Each denies more than the one before; V4's document is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum Quarantine {
    /// Of 2020: creating keys and attaching policies, among others, but not DeleteAccessKey.
    V1,
    /// Of 2021; since October 2024 it is as V3 in what matters here, and that is the version attached.
    V2,
    /// Of 2024: DeleteAccessKey too.
    V3,
}

impl Quarantine {
    /// All of them.
    pub(crate) const ALL: [Self; 3] = [Self::V1, Self::V2, Self::V3];

    /// The policy's ARN.
    pub(crate) fn policy_arn(self) -> &'static str {
        match self {
            Self::V1 => "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantine",
            Self::V2 => "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV2",
            Self::V3 => "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3",
        }
    }
}

/// How SES says that an account's sending is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub(crate) enum PauseWording {
    /// As is seen (AWS re:Post, "Sending paused for this account"): the code is proven for v1, the text for v2.
    MessageRejected,
    /// As the model of SES v2 says.
    SendingPausedException,
}

/// A switch that is `true`, or one of several values by its name.
#[derive(Deserialize)]
#[serde(untagged)]
enum SwitchOr<T> {
    Switch(bool),
    Value(T),
}

impl<T> SwitchOr<T> {
    /// The value; `default` for `true`.
    fn or(self, default: T) -> Option<T> {
        match self {
            Self::Switch(is_on) => is_on.then_some(default),
            Self::Value(value) => Some(value),
        }
    }
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

/// The faults of a tenant's account as JSON. A field that is null is absent.
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TenantDocument {
    /// `on`: operations that latency, resets, errors and hanging strike, as [`FaultRule`] has them. `ses:SendEmail`, whatever the
    /// mail's content, where absent.
    #[serde(deserialize_with = "or_default")]
    on: Vec<String>,
    /// `latency_ms`: as [`FaultRule`] has it, and the next six too.
    #[serde(rename = "latency_ms", deserialize_with = "milliseconds")]
    latency: Duration,
    #[serde(rename = "hang_ms", deserialize_with = "milliseconds")]
    hang: Duration,
    reset_before: FaultTrigger,
    reset_after: FaultTrigger,
    server_error: FaultTrigger,
    server_error_after: FaultTrigger,
    no_answer: FaultTrigger,
    /// `throttle_chance` (0 to 1): 429 TooManyRequestsException, of IAM and STS 400 Throttling, by chance.
    #[serde(deserialize_with = "chance")]
    throttle_chance: FaultTrigger,
    /// `refuse_connections`: the tenants' endpoint refuses connections, so that clients know that nothing was written. A
    /// connection says nothing of accounts: this one strikes every tenant, until no account asks for it.
    #[serde(deserialize_with = "or_default")]
    refuse_connections: bool,
    /// `enforce_max_send_rate`: 429 above the account's `max_send_rate`, in recipients a second.
    #[serde(deserialize_with = "or_default")]
    enforce_max_send_rate: bool,
    /// `quarantine`: AWS's AWSCompromisedKeyQuarantine is attached to the account's users: `"V1"`, `"V2"` or `"V3"`; `true` is V3.
    quarantine: Option<SwitchOr<Quarantine>>,
    /// `deactivate_key`: the users' keys are inactive.
    #[serde(deserialize_with = "or_default")]
    deactivate_key: bool,
    /// `paused`: the account's sending is paused. `true` is answered to SendEmail as `"MessageRejected"`, which is what is seen;
    /// `"SendingPausedException"` is what the model has.
    #[serde(alias = "sending_paused")]
    paused: Option<SwitchOr<PauseWording>>,
    /// `not_subscribed`: services (`"s3"`, `"ec2"`, …) that the account has not subscribed to. Each says so in its own words.
    #[serde(deserialize_with = "or_default")]
    not_subscribed: Vec<String>,
    /// `enforcement`: SES's review has come to `PROBATION` or `SHUTDOWN`. Sending from an account that is shut down
    /// is refused with AccountSuspendedException.
    enforcement: Option<Enforcement>,
    /// `console_login`: GetUser answers a PasswordLastUsed.
    #[serde(deserialize_with = "or_default")]
    console_login: bool,
    /// `deleted_key_honoured_ms`: for how long a deleted or deactivated key still opens everything.
    #[serde(rename = "deleted_key_honoured_ms", deserialize_with = "milliseconds")]
    deleted_key_honoured: Duration,
}

/// The faults of our own account as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwnDocument {
    /// `rules`: faults of the requests that match. All rules that match a request add to its latency; the first that fails
    /// it decides.
    rules: Vec<FaultRule>,
}

impl AccountFaults {
    /// Parses the faults of a tenant's account.
    ///
    /// # Errors
    /// The field that is not what it should be.
    pub(crate) fn parse_tenant(json: &[u8]) -> Result<Self, FieldError> {
        let document: TenantDocument = decode(json)?;
        if !document.throttle_chance.is_possible() {
            return Err(FieldError::new("throttle_chance", "must be a chance from 0 to 1"));
        }
        let on = match document.on.as_slice() {
            [] => DEFAULT_OPERATIONS.iter().map(ToString::to_string).collect(),
            _ => document.on,
        };
        let rule = FaultRule {
            on,
            latency: document.latency,
            hang: document.hang,
            reset_before: document.reset_before,
            reset_after: document.reset_after,
            server_error: document.server_error,
            server_error_after: document.server_error_after,
            no_answer: document.no_answer,
            throttle: document.throttle_chance,
            ..FaultRule::default()
        };
        rule.check()?;
        Ok(Self {
            rules: vec![rule],
            refuse_connections: document.refuse_connections,
            enforce_max_send_rate: document.enforce_max_send_rate,
            quarantine: document.quarantine.and_then(|value| value.or(Quarantine::V3)),
            deactivate_key: document.deactivate_key,
            paused: document.paused.and_then(|value| value.or(PauseWording::MessageRejected)),
            not_subscribed: document.not_subscribed,
            enforcement: document.enforcement,
            console_login: document.console_login,
            deleted_key_honoured: document.deleted_key_honoured,
        })
    }

    /// Parses the faults of our own account.
    ///
    /// # Errors
    /// The field that is not what it should be.
    pub(crate) fn parse_own(json: &[u8]) -> Result<Self, FieldError> {
        let OwnDocument { rules } = decode(json)?;
        for (index, rule) in rules.iter().enumerate() {
            let at = |field: &str| format!("rules[{index}].{field}");
            if rule.on.is_empty() {
                return Err(FieldError::new(at("on"), "must name operations, such as dynamodb:PutItem"));
            }
            rule.check().map_err(|error| FieldError::new(at(&error.field), error.problem))?;
        }
        Ok(Self { rules, ..Self::default() })
    }

    /// What is to happen to a request for `operation` about these resources; uses up one of each fault that is counted.
    pub(super) fn plan(&mut self, operation: &str, resources: &[String]) -> FaultPlan {
        let mut plan = FaultPlan::default();
        for rule in &mut self.rules {
            rule.apply(&mut plan, operation, resources);
        }
        plan
    }
}

/// A chance alone: `1` is always, not once.
fn chance<'de, D: Deserializer<'de>>(deserializer: D) -> Result<FaultTrigger, D::Error> {
    or_default(deserializer).map(FaultTrigger::Chance)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::faults::FaultEffect;

    fn tenant(json: serde_json::Value) -> AccountFaults {
        AccountFaults::parse_tenant(json.to_string().as_bytes()).unwrap()
    }

    fn own(json: serde_json::Value) -> Result<AccountFaults, FieldError> {
        AccountFaults::parse_own(json.to_string().as_bytes())
    }

    #[test]
    fn a_whole_number_is_a_count_and_a_fraction_a_chance() {
        let faults =
            AccountFaults::parse_tenant(br#"{"reset_before": 1, "reset_after": 0.25, "throttle_chance": 1}"#).unwrap();
        assert_eq!(faults.rules[0].reset_before, FaultTrigger::Times(1));
        assert_eq!(faults.rules[0].reset_after, FaultTrigger::Chance(0.25));
        assert_eq!(faults.rules[0].throttle, FaultTrigger::Chance(1.0));
    }

    #[test]
    fn a_field_that_is_null_is_absent() {
        let every = json!({
            "on": null, "latency_ms": null, "hang_ms": null, "reset_before": null, "reset_after": null, "server_error": null,
            "throttle_chance": null, "refuse_connections": null, "enforce_max_send_rate": null, "quarantine": null,
            "deactivate_key": null, "paused": null, "enforcement": null, "console_login": null,
            "deleted_key_honoured_ms": null, "server_error_after": null, "no_answer": null,
        });
        let some = json!({"on": null, "latency_ms": null, "quarantine": null, "reset_before": null});
        for json in [every, some] {
            let mut faults = AccountFaults::parse_tenant(json.to_string().as_bytes()).unwrap();
            assert_eq!(faults.plan("ses:SendEmail", &[]), FaultPlan::default(), "{json}");
        }
    }

    #[test]
    fn what_is_out_of_range_is_answered_with_what_would_be_right() {
        for (json, problem) in [
            (json!({"reset_before": -1}), "must be a count, or a chance from 0 to 1"),
            (json!({"reset_after": 1.5}), "must be a count, or a chance from 0 to 1"),
            (json!({"no_answer": 1.5}), "must be a count, or a chance from 0 to 1"),
            (json!({"throttle_chance": 2}), "must be a chance from 0 to 1"),
        ] {
            assert_eq!(
                AccountFaults::parse_tenant(json.to_string().as_bytes()).unwrap_err().problem,
                problem,
                "{json}"
            );
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
            assert_eq!(AccountFaults::parse_tenant(json.to_string().as_bytes()).unwrap_err().field, field, "{json}");
        }
    }

    #[test]
    fn a_counted_fault_hits_that_many_requests_and_then_no_more() {
        let mut faults = tenant(json!({"reset_before": 2, "reset_after": 1}));
        let effects: Vec<_> = (0..4).map(|_| faults.plan("ses:SendEmail", &[]).effect).collect();
        let [before, after] = [FaultEffect::ResetBefore, FaultEffect::ResetAfter].map(Some);
        assert_eq!(effects, [before, before, after, None]);
    }

    #[test]
    fn faults_are_for_sending_unless_they_name_other_operations() {
        let mut faults = tenant(json!({"latency_ms": 5}));
        assert_eq!(faults.plan("iam:GetUser", &[]), FaultPlan::default());
        assert_eq!(faults.plan("ses:SendEmail", &[]).latency, Duration::from_millis(5));

        let mut faults = tenant(json!({"latency_ms": 5, "on": ["iam:*"]}));
        assert_eq!(faults.plan("iam:GetUser", &[]).latency, Duration::from_millis(5));
        assert_eq!(faults.plan("ses:SendEmail", &[]), FaultPlan::default());
    }

    #[test]
    fn a_rule_strikes_the_resource_that_it_names() {
        let rule =
            json!({"on": ["dynamodb:PutItem", "dynamodb:UpdateItem"], "resource": "mail-Ledger-*", "server_error": 1});
        let mut faults = own(json!({"rules": [rule, {"on": ["dynamodb:*"], "latency_ms": 7}]})).unwrap();
        let mut effect = |operation: &str, table: &str| {
            let plan = faults.plan(operation, &["other".to_owned(), table.to_owned()]);
            assert_eq!(plan.latency, Duration::from_millis(7));
            plan.effect
        };
        assert_eq!(effect("dynamodb:PutItem", "mail-Secrets-1"), None);
        assert_eq!(effect("dynamodb:GetItem", "mail-Ledger-1"), None);
        assert_eq!(effect("dynamodb:UpdateItem", "mail-Ledger-1"), Some(FaultEffect::ServerError));
        assert_eq!(effect("dynamodb:UpdateItem", "mail-Ledger-1"), None);
        assert_eq!(faults.plan("sqs:SendMessage", &[]), FaultPlan::default());
    }

    #[test]
    fn a_bad_rule_is_refused_by_the_path_of_its_field() {
        for (json, field) in [
            (json!({}), "rules"),
            (json!({"rules": [{}]}), "rules[0].on"),
            (json!({"rules": [{"on": ["*"]}, {"on": ["*"], "refuse": 1.5}]}), "rules[1].refuse"),
            (json!({"rules": [{"on": ["*"], "throttle_chance": 1}]}), "rules[0].throttle_chance"),
            (json!({"quarantine": true}), "quarantine"),
        ] {
            assert_eq!(own(json.clone()).unwrap_err().field, field, "{json}");
        }
    }
}
