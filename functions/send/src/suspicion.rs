//! Keys that SES refused, until STS has confirmed it for long enough.
//!
//! One refusal proves nothing: two calls within a few seconds with one key id and different secrets can make AWS refuse
//! the right one, so a stranger who knows the id could stop a tenant's mail. A provider is suspended only when SES and
//! STS both refuse its key, and both did so at least [`CONFIRMED_AFTER`] ago too. In between the mail waits in the queue.

use std::collections::HashMap;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use shared::record::{AccessKeyId, Mails, RecordError};

/// Time between the first and the last refusal that count.
const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Refusals further apart than this have nothing to do with each other. Longer than the delay of a suspected provider's
/// mail with its jitter, and shorter than SQS's longest delay.
const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(10);

/// The last refusal was not long ago.
const IF_RECENT: &str = "last_refused_at >= :gap_ago";

/// What is known of a suspected key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Not refused for long enough.
    Suspected,
    /// Refused, and no accident.
    Confirmed,
}

/// Suspicions, an item each beside the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Suspicions {
    mails: Mails,
}

impl Suspicions {
    /// The suspicions in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails }
    }

    /// Notes that SES and STS refused the key. Repeating it changes nothing but the time of the last one.
    pub(crate) async fn note(&self, access_key_id: &AccessKeyId, now: Timestamp) -> Result<Verdict, RecordError> {
        let pk = pk(access_key_id);
        let error = |error| RecordError::dynamodb("UpdateItem", pk.clone())(error);
        let values = values(now);
        let update = |expression: &str| {
            self.mails
                .client
                .update_item()
                .table_name(&self.mails.table)
                .key("pk", AttributeValue::S(pk.clone()))
                .update_expression(expression)
                .set_expression_attribute_values(Some(values.clone()))
                .return_values(ReturnValue::AllNew)
        };
        let again = update("SET last_refused_at = :now, expires_at = :expiry")
            .expression_attribute_values(":gap_ago", number((now - LONGEST_GAP).as_millisecond()))
            .condition_expression(IF_RECENT)
            .send()
            .await;
        match again {
            Ok(answer) => {
                let first = answer.attributes.as_ref().and_then(|item| item.get("first_refused_at"));
                let first = first.and_then(|first| first.as_n().ok()).and_then(|first| first.parse().ok());
                Ok(first
                    .and_then(|ms| Timestamp::from_millisecond(ms).ok())
                    .map_or(Verdict::Suspected, |first| verdict(first, now)))
            }
            Err(failed)
                if matches!(failed.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) =>
            {
                update("SET first_refused_at = :now, last_refused_at = :now, expires_at = :expiry")
                    .send()
                    .await
                    .map(|_| Verdict::Suspected)
                    .map_err(error)
            }
            Err(failed) => Err(error(failed)),
        }
    }

    /// Notes that STS accepted the key: what was held against it is forgotten.
    pub(crate) async fn clear(&self, access_key_id: &AccessKeyId, now: Timestamp) -> Result<(), RecordError> {
        let pk = pk(access_key_id);
        let mut values = values(now);
        values.remove(":now");
        self.mails
            .client
            .update_item()
            .table_name(&self.mails.table)
            .key("pk", AttributeValue::S(pk.clone()))
            .update_expression("SET expires_at = :expiry REMOVE first_refused_at, last_refused_at")
            .set_expression_attribute_values(Some(values))
            .send()
            .await
            .map(drop)
            .map_err(RecordError::dynamodb("UpdateItem", pk))
    }
}

fn verdict(first_refused_at: Timestamp, now: Timestamp) -> Verdict {
    if now.duration_since(first_refused_at) >= CONFIRMED_AFTER { Verdict::Confirmed } else { Verdict::Suspected }
}

/// The key's id may stand in the clear: it is no secret, and the table's other keys of this kind are accounts.
fn pk(access_key_id: &AccessKeyId) -> String {
    format!("refused#{access_key_id}")
}

fn values(now: Timestamp) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (":now".to_owned(), number(now.as_millisecond())),
        (":expiry".to_owned(), number((now + SignedDuration::from_hours(24)).as_second())),
    ])
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::tests::time;

    #[test]
    fn a_key_is_refused_for_good_only_after_a_minute() {
        let first = time("2026-11-23T10:00:00Z");
        for (now, expected) in [
            ("2026-11-23T10:00:00Z", Verdict::Suspected),
            ("2026-11-23T10:00:59.999Z", Verdict::Suspected),
            ("2026-11-23T10:01:00Z", Verdict::Confirmed),
            ("2026-11-23T09:59:00Z", Verdict::Suspected),
        ] {
            assert_eq!(verdict(first, time(now)), expected, "{now}");
        }
    }
}
