//! Keys that SES refused, until STS has confirmed it for long enough.
//!
//! One refusal proves nothing: after two calls within a few seconds with one key id and different secrets, AWS can refuse
//! the right secret, so a stranger who knows the id could stop a tenant's mail. A provider is suspended only if SES and STS
//! both refuse its key, both also did so at least [`CONFIRMED_AFTER`] ago, and neither accepted it in between. Meanwhile
//! the mail waits in the queue.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use shared::id::AccessKeyId;
use shared::record::{Item, Mails, RecordError};

/// The time between the first and the last refusal after which a refusal is confirmed.
const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Refusals further apart than this do not belong together. Longer than the delay with jitter of a suspected provider's
/// mail, and shorter than SQS's longest delay.
pub(crate) const MAX_GAP: SignedDuration = SignedDuration::from_mins(10);

/// How long an item lives after its last write.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// The last refusal was within [`MAX_GAP`].
const IF_RECENT: &str = "last_refused_at >= :gap_ago";

/// A refusal of the key is recorded.
const IF_RECORDED: &str = "attribute_exists(first_refused_at)";

/// What is known about a refused key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuspicionLevel {
    /// It has not been refused for long enough.
    Suspected,
    /// It has been refused for so long that it is no accident.
    Confirmed,
}

/// Suspicions, each an item of the Mails table.
#[derive(Clone, Debug)]
pub(crate) struct Suspicions {
    mails: Mails,
}

impl Suspicions {
    /// The suspicions in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails }
    }

    /// Records that SES and STS refused the key. Repeating it only changes the time of the last refusal.
    pub(crate) async fn record_refusal(
        &self,
        access_key_id: &AccessKeyId,
        now: Timestamp,
    ) -> Result<SuspicionLevel, RecordError> {
        let update = |expression: &str| {
            self.update(access_key_id)
                .update_expression(expression)
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
        };
        let again = update("SET last_refused_at = :now, expires_at = :expiry")
            .expression_attribute_values(":gap_ago", number((now - MAX_GAP).as_millisecond()))
            .condition_expression(IF_RECENT);
        match update_if(again, access_key_id).await? {
            Some(item) => {
                let first = item.get("first_refused_at").and_then(|first| first.as_n().ok());
                let first = first.and_then(|ms| Timestamp::from_millisecond(ms.parse().ok()?).ok());
                Ok(first.map_or(SuspicionLevel::Suspected, |first| level(first, now)))
            }
            None => {
                let first = update("SET first_refused_at = :now, last_refused_at = :now, expires_at = :expiry");
                update_if(first, access_key_id).await?;
                Ok(SuspicionLevel::Suspected)
            }
        }
    }

    /// Removes the recorded refusals, because SES or STS accepted the key.
    pub(crate) async fn clear(&self, access_key_id: &AccessKeyId) -> Result<(), RecordError> {
        let forget = self
            .update(access_key_id)
            .update_expression("REMOVE first_refused_at, last_refused_at")
            .condition_expression(IF_RECORDED);
        update_if(forget, access_key_id).await.map(drop)
    }

    fn update(&self, access_key_id: &AccessKeyId) -> UpdateItemFluentBuilder {
        self.mails.update(pk(access_key_id)).return_values(ReturnValue::AllNew)
    }
}

/// Makes the write. Returns the item after it; `None` if its condition did not hold.
async fn update_if(request: UpdateItemFluentBuilder, access_key_id: &AccessKeyId) -> Result<Option<Item>, RecordError> {
    match request.send().await {
        Ok(answer) => Ok(Some(answer.attributes.unwrap_or_default())),
        Err(error) if matches!(error.as_service_error(), Some(UpdateItemError::ConditionalCheckFailedException(_))) => {
            Ok(None)
        }
        Err(error) => Err(RecordError::dynamodb("UpdateItem", pk(access_key_id))(error)),
    }
}

fn level(first_refused_at: Timestamp, now: Timestamp) -> SuspicionLevel {
    if now.duration_since(first_refused_at) >= CONFIRMED_AFTER {
        SuspicionLevel::Confirmed
    } else {
        SuspicionLevel::Suspected
    }
}

/// The key's id may be readable: it is no secret, and other partition keys of the table contain accounts.
fn pk(access_key_id: &AccessKeyId) -> String {
    format!("refused#{access_key_id}")
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::time;

    #[test]
    fn a_refusal_is_confirmed_only_after_a_minute() {
        let first = time("2026-11-23T10:00:00Z");
        for (now, expected) in [
            ("2026-11-23T10:00:00Z", SuspicionLevel::Suspected),
            ("2026-11-23T10:00:59.999Z", SuspicionLevel::Suspected),
            ("2026-11-23T10:01:00Z", SuspicionLevel::Confirmed),
            ("2026-11-23T09:59:00Z", SuspicionLevel::Suspected),
        ] {
            assert_eq!(level(first, time(now)), expected, "{now}");
        }
    }
}
