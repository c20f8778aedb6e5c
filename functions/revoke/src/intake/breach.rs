//! Breach reports from the bus: EventBridge's envelope in an SQS message.

use aws_lambda_events::sqs::SqsMessage;
use jiff::Timestamp;
use serde::Deserialize;
use shared::http::{FieldError, decode};
use shared::id::OrderId;

use super::report::{Detail, Report};

/// A report, and the order that answers it: the same for each delivery of the event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Breach {
    pub(super) order_id: OrderId,
    pub(super) report: Report,
}

/// EventBridge's envelope. AWS may add to it, so unknown members are passed over here, and nowhere below.
#[derive(Deserialize)]
struct Envelope {
    id: String,
    source: String,
    #[serde(rename = "detail-type")]
    detail_type: String,
    account: String,
    time: Timestamp,
    detail: Detail,
}

const SOURCE: &str = "sendingbee.security";
const DETAIL_TYPE: &str = "Credential Breach";

impl Breach {
    /// Reads a message of the breach queue. The rule that fills the queue matches source, type and account already; they
    /// are checked again, because a rule is edited more easily than this. Our own account is that of the queue.
    ///
    /// # Errors
    /// The field that is wrong, without its value.
    pub(super) fn read(message: &SqsMessage) -> Result<Self, FieldError> {
        let body = message.body.as_deref().unwrap_or_default();
        let envelope: Envelope = decode(body.as_bytes())?;
        if envelope.source != SOURCE {
            return Err(FieldError::new("source", format!("must be `{SOURCE}`")));
        }
        if envelope.detail_type != DETAIL_TYPE {
            return Err(FieldError::new("detail-type", format!("must be `{DETAIL_TYPE}`")));
        }
        let own = message.event_source_arn.as_deref().and_then(|arn| arn.split(':').nth(4));
        if own != Some(envelope.account.as_str()) {
            return Err(FieldError::new("account", "must be the account that this runs in"));
        }
        if envelope.id.is_empty() {
            return Err(FieldError::new("id", "must not be empty"));
        }
        Ok(Self {
            order_id: OrderId::from_event(&envelope.id, envelope.time),
            report: envelope.detail.report(&envelope.source)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsEvent;
    use serde_json::{Value, json};
    use shared::record::BreachScope;

    use super::*;

    fn sample() -> SqsMessage {
        let event: SqsEvent = serde_json::from_str(include_str!("../../../../events/revoke-breach.json")).unwrap();
        event.records.into_iter().next().unwrap()
    }

    fn with(path: &str, value: Value) -> SqsMessage {
        let mut message = sample();
        let mut envelope: Value = serde_json::from_str(message.body.as_deref().unwrap()).unwrap();
        *envelope.pointer_mut(path).unwrap() = value;
        message.body = Some(envelope.to_string());
        message
    }

    #[test]
    fn the_sample_is_read_and_each_delivery_of_it_has_the_same_order() {
        let breach = Breach::read(&sample()).unwrap();
        assert!(matches!(breach.report.scope, BreachScope::AccessKeyId(_)));
        assert_eq!(breach, Breach::read(&sample()).unwrap());
        let other = with("/id", json!("another-event"));
        assert_ne!(breach.order_id, Breach::read(&other).unwrap().order_id);
    }

    #[test]
    fn an_event_without_a_reporter_is_reported_by_its_source() {
        let breach = Breach::read(&with("/detail/reported_by", Value::Null)).unwrap();
        assert_eq!((breach.report.reported_by.as_str(), breach.report.signed_by), (SOURCE, None));
    }

    #[test]
    fn what_is_not_ours_or_not_built_is_named_by_its_field() {
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
            let error = Breach::read(&with(path, value)).unwrap_err();
            assert_eq!(error.field, field, "{path}: {error}");
        }
        let mut garbage = sample();
        garbage.body = Some("garbage".to_owned());
        assert_eq!(Breach::read(&garbage).unwrap_err().field, "body");
        let mut homeless = sample();
        homeless.event_source_arn = None;
        assert_eq!(Breach::read(&homeless).unwrap_err().field, "account");
    }
}
