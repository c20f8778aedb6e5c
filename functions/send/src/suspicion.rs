//! What AWS holds against a provider, until it has done so for long enough.
//!
//! One answer proves nothing: a stranger who knows a key id can have a right signature refused, policies and pauses take time
//! to reach all of AWS, and some answers are wrong. So a provider is suspended only if the same was seen again, at least
//! [`Suspicion::confirmed_after`] later, and SES accepted nothing in between. Meanwhile the mail waits in the queue.
//!
//! All suspicions of a key are one item of the Mails table, with the first and the last time of each.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use shared::id::AccessKeyId;
use shared::record::{Item, Mails, RecordError};

/// Observations further apart than this do not belong together. Longer than the delay with jitter of a suspected provider's
/// mail, and shorter than SQS's longest delay.
pub(crate) const MAX_GAP: SignedDuration = SignedDuration::from_mins(10);

/// An acceptance is written at most this often by a process: every mail of a suspected key is accepted or not.
const ACCEPTANCE_INTERVAL: SignedDuration = SignedDuration::from_secs(5);

/// A suspended provider is looked at again at most this often.
const LOOK_INTERVAL: SignedDuration = SignedDuration::from_mins(5);

/// How long an item lives after its last write.
const ITEM_LIFE: SignedDuration = SignedDuration::from_hours(24);

/// Nobody else has looked lately.
const IF_LOOK_DUE: &str = "(attribute_not_exists(looked_at) OR looked_at < :last)";

/// What is held against a provider's key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Suspicion {
    /// SES and STS refuse the key. After two calls within a few seconds with one key id and different secrets, AWS can refuse
    /// the right secret.
    KeyRefused,
    /// SES refuses a key that STS accepts, as in a Region that the account has disabled.
    KeyRefusedBySes,
    /// A policy denies the key explicitly.
    DeniedExplicitly,
    /// SES says that sending is paused, and the account does not say so itself.
    SendingPaused,
}

/// How sure a suspicion is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuspicionLevel {
    /// It has not lasted for long enough.
    Suspected,
    /// It has lasted for so long that it is no accident.
    Confirmed,
}

impl Suspicion {
    const ALL: [Self; 4] = [Self::KeyRefused, Self::KeyRefusedBySes, Self::DeniedExplicitly, Self::SendingPaused];

    /// The time between the first and the last observation after which it is confirmed.
    const fn confirmed_after(self) -> SignedDuration {
        match self {
            Self::DeniedExplicitly => SignedDuration::from_secs(10),
            Self::KeyRefused => SignedDuration::from_secs(60),
            Self::SendingPaused => SignedDuration::from_mins(15),
            Self::KeyRefusedBySes => SignedDuration::from_hours(1),
        }
    }

    const fn word(self) -> &'static str {
        match self {
            Self::KeyRefused => "refused",
            Self::KeyRefusedBySes => "refused_by_ses",
            Self::DeniedExplicitly => "denied",
            Self::SendingPaused => "paused",
        }
    }
}

/// The suspicions of all keys.
#[derive(Debug)]
pub(crate) struct Suspicions {
    mails: Mails,
    accepted: Mutex<HashMap<AccessKeyId, Timestamp>>,
}

impl Suspicions {
    /// The suspicions in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails, accepted: Mutex::default() }
    }

    /// Records an observation. Repeating it only changes the time of the last one.
    pub(crate) async fn record(
        &self,
        access_key_id: &AccessKeyId,
        suspicion: Suspicion,
        now: Timestamp,
    ) -> Result<SuspicionLevel, RecordError> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).remove(access_key_id);
        let (first, last) = (format!("first_{}_at", suspicion.word()), format!("last_{}_at", suspicion.word()));
        let update = |expression: &str| {
            self.update(access_key_id)
                .update_expression(expression)
                .expression_attribute_names("#last", &last)
                .expression_attribute_values(":now", number(now.as_millisecond()))
                .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
        };
        let again = update("SET #last = :now, expires_at = :expiry")
            .expression_attribute_values(":gap_ago", number((now - MAX_GAP).as_millisecond()))
            .condition_expression("#last >= :gap_ago");
        match update_if(again, access_key_id).await? {
            Some(item) => {
                Ok(time(&item, &first).map_or(SuspicionLevel::Suspected, |first| level(suspicion, first, now)))
            }
            None => {
                let request = update("SET #first = :now, #last = :now, expires_at = :expiry")
                    .expression_attribute_names("#first", &first);
                update_if(request, access_key_id).await?;
                Ok(SuspicionLevel::Suspected)
            }
        }
    }

    /// Forgets all suspicions of a key, because SES accepted it, and keeps the time of that. False if this process did so a
    /// moment ago.
    pub(crate) async fn clear(&self, access_key_id: &AccessKeyId, now: Timestamp) -> Result<bool, RecordError> {
        {
            let mut accepted = self.accepted.lock().unwrap_or_else(PoisonError::into_inner);
            let last = accepted.insert(access_key_id.clone(), now);
            if last.is_some_and(|last| now.duration_since(last) < ACCEPTANCE_INTERVAL) {
                return Ok(false);
            }
        }
        let words = Suspicion::ALL.map(Suspicion::word);
        let names: Vec<String> =
            words.iter().flat_map(|word| [format!("first_{word}_at"), format!("last_{word}_at")]).collect();
        let forget = self
            .update(access_key_id)
            .update_expression(format!("SET accepted_at = :now, expires_at = :expiry REMOVE {}", names.join(", ")))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()));
        update_if(forget, access_key_id).await.map(|_| true)
    }

    /// When SES accepted mail of a suspected key last.
    pub(crate) async fn accepted_at(&self, access_key_id: &AccessKeyId) -> Result<Option<Timestamp>, RecordError> {
        Ok(self.mails.item(&pk(access_key_id)).await?.and_then(|item| time(&item, "accepted_at")))
    }

    /// Elects the caller to look whether a suspension is over. False if somebody else has looked lately.
    pub(crate) async fn elect_look(&self, access_key_id: &AccessKeyId, now: Timestamp) -> Result<bool, RecordError> {
        let elect = self
            .update(access_key_id)
            .update_expression("SET looked_at = :now, expires_at = :expiry")
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":last", number((now - LOOK_INTERVAL).as_millisecond()))
            .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()))
            .condition_expression(IF_LOOK_DUE);
        Ok(update_if(elect, access_key_id).await?.is_some())
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

fn level(suspicion: Suspicion, first: Timestamp, now: Timestamp) -> SuspicionLevel {
    if now.duration_since(first) >= suspicion.confirmed_after() {
        SuspicionLevel::Confirmed
    } else {
        SuspicionLevel::Suspected
    }
}

/// The key's id may stand in the clear: it is no secret, and the table's other keys of this kind are accounts.
fn pk(access_key_id: &AccessKeyId) -> String {
    format!("refused#{access_key_id}")
}

fn number(value: i64) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

fn time(item: &Item, attribute: &str) -> Option<Timestamp> {
    Timestamp::from_millisecond(item.get(attribute)?.as_n().ok()?.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::time;

    #[test]
    fn a_suspicion_is_confirmed_only_after_its_time() {
        let first = time("2026-11-23T10:00:00Z");
        let cases = [
            (Suspicion::KeyRefused, "2026-11-23T10:00:59.999Z", SuspicionLevel::Suspected),
            (Suspicion::KeyRefused, "2026-11-23T10:01:00Z", SuspicionLevel::Confirmed),
            (Suspicion::KeyRefused, "2026-11-23T09:59:00Z", SuspicionLevel::Suspected),
            (Suspicion::KeyRefusedBySes, "2026-11-23T10:59:59Z", SuspicionLevel::Suspected),
            (Suspicion::KeyRefusedBySes, "2026-11-23T11:00:00Z", SuspicionLevel::Confirmed),
            (Suspicion::DeniedExplicitly, "2026-11-23T10:00:09Z", SuspicionLevel::Suspected),
            (Suspicion::DeniedExplicitly, "2026-11-23T10:00:10Z", SuspicionLevel::Confirmed),
            (Suspicion::SendingPaused, "2026-11-23T10:14:59Z", SuspicionLevel::Suspected),
            (Suspicion::SendingPaused, "2026-11-23T10:15:00Z", SuspicionLevel::Confirmed),
        ];
        for (suspicion, now, expected) in cases {
            assert_eq!(level(suspicion, first, time(now)), expected, "{suspicion:?} {now}");
        }
    }
}
