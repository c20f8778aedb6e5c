//! Events that a rule in another account forwards to one of the operator's buses.

use axum::http::StatusCode;
use chrono::{SecondsFormat, Utc};
use fakecloud_iam::evaluator::{self, EvalRequest, PolicyDocument};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::Events;
use super::bus::name_of;
use crate::random;
use crate::service::{ServiceError, account_of, base_context, root_principal};

/// An event of another account, as its own default bus has it. What AWS adds is added where it is absent.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForwardedEvent {
    /// The ARN of the bus that the account's rule has as its target.
    pub(crate) bus: String,
    /// Who made the event, such as `aws.health`.
    pub(crate) source: String,
    #[serde(rename = "detail-type")]
    pub(crate) detail_type: String,
    pub(crate) detail: Map<String, Value>,
    pub(crate) id: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) region: Option<String>,
    #[serde(default)]
    pub(crate) resources: Vec<Value>,
}

impl Events {
    /// Puts an event on a bus as a rule of another account does: the event keeps its source and account, which
    /// nobody who calls PutEvents can choose, and the bus's policy decides.
    /// <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-cross-account.html>
    ///
    /// # Errors
    /// There is no such bus, or its policy does not let the account.
    pub(crate) fn forward(&self, account_id: &str, event: &ForwardedEvent) -> Result<Value, ServiceError> {
        let owner = account_of(&event.bus).unwrap_or_default();
        let policy = self.with_bus(owner, &event.bus, |bus| bus.policy.clone())?;
        if !policy.is_some_and(|policy| self.lets_in(&policy, account_id, event)) {
            return Err(ServiceError::Other {
                status: StatusCode::FORBIDDEN,
                code: "AccessDeniedException",
                message: format!("The policy of {} does not let a rule of {account_id} put this event.", event.bus),
            });
        }
        let time = event.time.clone().unwrap_or_else(|| Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true));
        let forwarded = json!({
            "version": "0",
            "id": event.id.clone().unwrap_or_else(random::uuid),
            "detail-type": event.detail_type,
            "source": event.source,
            "account": account_id,
            "time": time,
            "region": event.region.as_deref().unwrap_or(&self.setup.region),
            "resources": event.resources,
            "detail": event.detail,
        });
        self.publish(owner, name_of(&event.bus), forwarded.clone());
        Ok(forwarded)
    }

    /// What the bus's policy says to an account whose own policies allow everything. A rule's call has the event's source and
    /// detail-type as condition keys: <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-conditions.html>.
    fn lets_in(&self, policy: &Value, account_id: &str, event: &ForwardedEvent) -> bool {
        let principal = root_principal(account_id);
        let mut context = base_context(&self.setup.region);
        context.aws_principal_account = Some(account_id.to_owned());
        for (key, value) in [("events:source", &event.source), ("events:detail-type", &event.detail_type)] {
            context.service_keys.insert(key.to_owned(), vec![value.clone()]);
        }
        let (action, resource) = ("events:PutEvents".to_owned(), event.bus.clone());
        let request = EvalRequest { principal: &principal, action, resource, context };
        evaluator::evaluate_resource_policy_only(&PolicyDocument::parse(&policy.to_string()), &request).is_allow()
    }
}
