//! Breach events from the bus: EventBridge's envelope in an SQS message.

use jiff::Timestamp;
use serde_json::Value;
use shared::http::{FieldError, decode};
use shared::id::OrderId;
use shared::queue::Message;

use super::breach_report::{BreachDetail, BreachReport};

/// A report, and the id of its order, which is the same for each delivery of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct BreachEvent {
    pub(super) order_id: OrderId,
    pub(super) report: BreachReport,
    /// What a person has to look at beside the order, because it was not acted on.
    pub(super) other_scope: Option<FieldError>,
}

pub(super) const SOURCE: &str = "sendingbee.security";
const DETAIL_TYPE: &str = "Credential Breach";

impl BreachEvent {
    /// Reads a message of the breach queue. The rule that fills the queue matches source, type and account already. They
    /// are checked again, because a rule is edited more easily than this code. Our own account is that of the queue.
    ///
    /// Beside that, only the scope has to be readable. Every delivery of a message must lead to the same order, so a missing
    /// id is replaced by the body, and a missing time by when SQS took the message.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(super) fn parse(message: &Message) -> Result<Self, FieldError> {
        let envelope: serde_json::Map<String, Value> = decode(message.body.as_bytes())?;
        let text = |name: &str| envelope.get(name).and_then(Value::as_str).unwrap_or_default();
        if text("source") != SOURCE {
            return Err(FieldError::new("source", format!("must be `{SOURCE}`")));
        }
        if text("detail-type") != DETAIL_TYPE {
            return Err(FieldError::new("detail-type", format!("must be `{DETAIL_TYPE}`")));
        }
        let own_account = message.queue_arn.as_deref().and_then(|arn| arn.split(':').nth(4));
        if own_account != Some(text("account")) {
            return Err(FieldError::new("account", "must be the account that this runs in"));
        }
        let BreachDetail { mut report, other_scope } =
            BreachDetail::parse(envelope.get("detail").unwrap_or(&Value::Null), SOURCE)?;
        let id = Some(text("id")).filter(|id| !id.is_empty()).unwrap_or_else(|| {
            report.oddities.push("id: is missing or not a text; the order's id is made from the message".to_owned());
            &message.body
        });
        report.event_id = Some(text("id")).filter(|id| !id.is_empty()).map(str::to_owned);
        let time = text("time").parse::<Timestamp>().unwrap_or_else(|_| {
            report.oddities.push("time: is missing or not a time; taken as now".to_owned());
            message.sent_at
        });
        Ok(Self { order_id: OrderId::from_event(id, time), report, other_scope })
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
    fn an_event_with_an_odd_envelope_is_acted_on_and_each_delivery_has_the_same_order() {
        let cases = [
            ("/id", json!(""), "id"),
            ("/id", json!(7), "id"),
            ("/time", json!("now"), "time"),
            ("/time", json!(1_795_428_000), "time"),
            ("/detail/reason", json!(7), "detail.reason"),
        ];
        let mut order_ids = vec![BreachEvent::parse(&sample()).unwrap().order_id];
        for (path, value, odd) in cases {
            let message = with(path, value);
            let breach = BreachEvent::parse(&message).unwrap();
            assert_eq!(breach.order_id, BreachEvent::parse(&message).unwrap().order_id, "{path}");
            let [oddity] = breach.report.oddities.as_slice() else { panic!("{:?}", breach.report.oddities) };
            assert!(oddity.starts_with(&format!("{odd}: ")), "{oddity}");
            assert_eq!(breach.report.scope, BreachEvent::parse(&sample()).unwrap().report.scope);
            order_ids.push(breach.order_id);
        }
        // Two messages without an id are two reports.
        assert_ne!(order_ids[1], order_ids[2]);
    }

    #[test]
    fn an_event_that_is_not_ours_or_not_supported_is_refused_by_its_field() {
        let cases = [
            ("/source", json!("aws.health"), "source"),
            ("/detail-type", json!("AWS Health Event"), "detail-type"),
            ("/account", json!("171436882533"), "account"),
            ("/detail", json!({}), "detail.scope"),
            ("/detail", json!("text"), "detail"),
            ("/detail/scope", json!({"all": "yes"}), "detail.scope.all"),
            ("/detail/scope", json!({"tenant_id": "a b"}), "detail.scope.tenant_id"),
            ("/detail/scope/access_key_id", json!("nonsense"), "detail.scope.access_key_id"),
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
