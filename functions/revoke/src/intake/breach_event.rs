//! Breach events from the bus: EventBridge's envelope in an SQS message.

use jiff::Timestamp;
use serde::Deserialize;
use shared::http::{FieldError, decode};
use shared::id::OrderId;
use shared::queue::Message;

use super::breach_report::{BreachDetail, BreachReport};

/// A report, and the id of its order, which is the same for each delivery of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BreachEvent {
    pub(super) order_id: OrderId,
    pub(super) report: BreachReport,
}

/// EventBridge's envelope. AWS may add members to it, so unknown ones are ignored here, and only here.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    account: String,
    time: Timestamp,
    detail: BreachDetail,
}

const SOURCE: &str = "sendingbee.security";
const DETAIL_TYPE: &str = "Credential Breach";

impl BreachEvent {
    /// Reads a message of the breach queue. The rule that fills the queue matches source, type and account already. They
    /// are checked again, because a rule is edited more easily than this code. Our own account is that of the queue.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(super) fn parse(message: &Message) -> Result<Self, FieldError> {
        let envelope: Envelope = decode(message.body.as_bytes())?;
        if envelope.source != SOURCE {
            return Err(FieldError::new("source", format!("must be `{SOURCE}`")));
        }
        if envelope.detail_type != DETAIL_TYPE {
            return Err(FieldError::new("detail-type", format!("must be `{DETAIL_TYPE}`")));
        }
        let own_account = message.queue_arn.as_deref().and_then(|arn| arn.split(':').nth(4));
        if own_account != Some(envelope.account.as_str()) {
            return Err(FieldError::new("account", "must be the account that this runs in"));
        }
        if envelope.id.is_empty() {
            return Err(FieldError::new("id", "must not be empty"));
        }
        Ok(Self {
            order_id: OrderId::from_event(&envelope.id, envelope.time),
            report: envelope.detail.into_report(&envelope.source)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::queue::Batch;
    use shared::record::BreachScope;

    use super::*;

    fn sample() -> Message {
        let event = serde_json::from_str(include_str!("../../../../events/revoke-breach.json")).unwrap();
        let batch = Batch::from_json(event, Timestamp::UNIX_EPOCH).unwrap();
        Message::clone(&batch.messages[0])
    }

    fn with(path: &str, value: Value) -> Message {
        let message = sample();
        let mut envelope: Value = serde_json::from_str(&message.body).unwrap();
        *envelope.pointer_mut(path).unwrap() = value;
        Message { body: envelope.to_string(), ..message }
    }

    #[test]
    fn the_sample_is_parsed_and_each_delivery_of_it_has_the_same_order() {
        let breach = BreachEvent::parse(&sample()).unwrap();
        assert!(matches!(breach.report.scope, BreachScope::AccessKeyId(_)));
        assert_eq!(breach, BreachEvent::parse(&sample()).unwrap());
        let other = with("/id", json!("another-event"));
        assert_ne!(breach.order_id, BreachEvent::parse(&other).unwrap().order_id);
    }

    #[test]
    fn an_event_without_a_reporter_is_reported_by_its_source() {
        let breach = BreachEvent::parse(&with("/detail/reported_by", Value::Null)).unwrap();
        assert_eq!((breach.report.reported_by.as_str(), breach.report.signed_by), (SOURCE, None));
    }

    #[test]
    fn an_event_that_is_not_ours_or_not_supported_is_refused_by_its_field() {
        let cases = [
            ("/source", json!("aws.health"), "source"),
            ("/detail-type", json!("AWS Health Event"), "detail-type"),
            ("/account", json!("171436882533"), "account"),
            ("/id", json!(""), "id"),
            ("/time", json!("now"), "time"),
            ("/detail", json!({}), "detail.scope"),
            ("/detail/scope", json!({"all": true}), "detail.scope"),
            ("/detail/scope", json!({"tenant_id": "acme"}), "detail.scope"),
            ("/detail/scope/access_key_id", json!("nonsense"), "detail.scope.access_key_id"),
            ("/detail/reason", json!(7), "detail.reason"),
        ];
        for (path, value, field) in cases {
            let error = BreachEvent::parse(&with(path, value)).unwrap_err();
            assert_eq!(error.field, field, "{path}: {error}");
        }
        let mut garbage = sample();
        garbage.body = "garbage".to_owned();
        assert_eq!(BreachEvent::parse(&garbage).unwrap_err().field, "body");
        let mut homeless = sample();
        homeless.queue_arn = None;
        assert_eq!(BreachEvent::parse(&homeless).unwrap_err().field, "account");
    }
}
