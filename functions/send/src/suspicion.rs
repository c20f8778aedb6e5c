//! Keys that SES refused, until STS has confirmed it for long enough.
//!
//! One refusal proves nothing: two calls within a few seconds with one key id and different secrets can make AWS refuse
//! the right one, so a stranger who knows the id could stop a tenant's mail. A provider is suspended only when SES and
//! STS both refuse its key, and both did so at least [`CONFIRMED_AFTER`] ago too, and neither accepted it in between.
//! Meanwhile the mail waits in the queue.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use shared::id::AccessKeyId;
use shared::record::{Item, Mails, RecordError};

/// Time between the first and the last refusal that count.
const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Refusals further apart than this have nothing to do with each other. Longer than the delay of a suspected provider's
/// mail with its jitter, and shorter than SQS's longest delay.
pub(crate) const LONGEST_GAP: SignedDuration = SignedDuration::from_mins(10);

/// How long an item lives after its last write.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The last refusal was not long ago.
const IF_RECENT: &str = "last_refused_at >= :gap_ago";

/// Something is held against the key.
const IF_NOTED: &str = "attribute_exists(first_refused_at)";

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
        let update = |expression: &str| {
            self.update(access_key_id)
                .update_expression(expression)
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
        };
        let again = update("SET last_refused_at = :now, expires_at = :expiry")
            .expression_attribute_values(":gap_ago", number((now - LONGEST_GAP).as_millisecond()))
            .condition_expression(IF_RECENT);
        match held(again, access_key_id).await? {
            Some(item) => {
                let first = item.get("first_refused_at").and_then(|first| first.as_n().ok());
                let first = first.and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok());
                Ok(first.map_or(Verdict::Suspected, |first| verdict(first, now)))
            }
            None => {
                let first = update("SET first_refused_at = :now, last_refused_at = :now, expires_at = :expiry");
                held(first, access_key_id).await?;
                Ok(Verdict::Suspected)
            }
        }
    }

    /// Notes that SES or STS accepted the key: what was held against it is forgotten.
    pub(crate) async fn clear(&self, access_key_id: &AccessKeyId) -> Result<(), RecordError> {
        let forget = self
            .update(access_key_id)
            .update_expression("REMOVE first_refused_at, last_refused_at")
            .condition_expression(IF_NOTED);
        held(forget, access_key_id).await.map(drop)
    }

    fn update(&self, access_key_id: &AccessKeyId) -> UpdateItemFluentBuilder {
        self.mails
            .client
            .update_item()
            .table_name(&self.mails.table)
            .key("pk", AttributeValue::S(pk(access_key_id)))
            .return_values(ReturnValue::AllNew)
    }
}

/// The item after the write; `None` where its condition did not hold.
async fn held(request: UpdateItemFluentBuilder, access_key_id: &AccessKeyId) -> Result<Option<Item>, RecordError> {
    match request.send().await {
        Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
        Err(error) if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) => {
            Ok(None)
        }
        Err(error) => Err(RecordError::dynamodb("UpdateItem", pk(access_key_id))(error)),
    }
}

fn verdict(first_refused_at: Timestamp, now: Timestamp) -> Verdict {
    if now.duration_since(first_refused_at) >= CONFIRMED_AFTER { Verdict::Confirmed } else { Verdict::Suspected }
}

/// The key's id may stand in the clear: it is no secret, and the table's other keys of this kind are accounts.
fn pk(access_key_id: &AccessKeyId) -> String {
    format!("refused#{access_key_id}")
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
