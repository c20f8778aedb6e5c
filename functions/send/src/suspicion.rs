//! What AWS holds against a provider, until it has done so for long enough.
//!
//! One answer proves nothing: a stranger who knows a key id can have a right signature refused, policies and pauses take time
//! to reach all of AWS, and some answers are wrong. So a provider is suspended only if the same was seen again, at least
//! [`Suspicion::confirmed_after`] later, and SES accepted nothing in between. Meanwhile the mail waits in the queue.
//!
//! All suspicions of a key are one item of the Mails table, with the first and the last time of each.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use jiff::{SignedDuration, Timestamp};
use shared::id::AccessKeyId;
use shared::record::{Item, Mails, RecordError};

use crate::write_limiter::WriteLimiter;

/// Observations further apart than this do not belong together. Longer than the delay with jitter of a suspected provider's
/// mail, and shorter than SQS's longest delay.
pub(crate) const MAX_GAP: SignedDuration = SignedDuration::from_mins(10);

/// An acceptance is written at most this often by a process, because every mail of a suspected key is accepted or not.
/// Shorter than the shortest [`Suspicion::confirmed_after`], so that no acceptance in between is missed.
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

/// What happened to a key, as far as a decision about a denial needs it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeyHistory {
    /// When SES accepted mail of it last while something was held against it.
    pub(crate) accepted_at: Option<Timestamp>,
    /// When a suspension of its provider was lifted last.
    pub(crate) resumed_at: Option<Timestamp>,
}

/// The suspicions of all keys.
#[derive(Debug)]
pub(crate) struct Suspicions {
    mails: Mails,
    acceptances: WriteLimiter<AccessKeyId>,
}

impl Suspicions {
    /// The suspicions in this table.
    pub(crate) fn new(mails: Mails) -> Self {
        Self { mails, acceptances: WriteLimiter::new(ACCEPTANCE_INTERVAL) }
    }

    /// Records an observation. Repeating it only changes the time of the last one.
    pub(crate) async fn record(
        &self,
        access_key_id: &AccessKeyId,
        suspicion: Suspicion,
        now: Timestamp,
    ) -> Result<SuspicionLevel, RecordError> {
        self.acceptances.forget(access_key_id);
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

    /// Forgets all suspicions of a key, because SES accepted its mail, and keeps the time of that. Does nothing if this
    /// process did so a moment ago.
    pub(crate) async fn clear(&self, access_key_id: &AccessKeyId, now: Timestamp) -> Result<(), RecordError> {
        if !self.acceptances.begin(access_key_id.clone(), now) {
            return Ok(());
        }
        let cleared = self.begin_again(access_key_id, "accepted_at", now).await;
        if cleared.is_err() {
            self.acceptances.forget(access_key_id);
        }
        cleared
    }

    /// Forgets all suspicions of a key before its provider's suspension is lifted, and keeps the time of that: what was seen
    /// before must not turn the first late answer afterwards into a proof.
    pub(crate) async fn restart(&self, access_key_id: &AccessKeyId, now: Timestamp) -> Result<(), RecordError> {
        self.begin_again(access_key_id, "resumed_at", now).await
    }

    async fn begin_again(&self, access_key_id: &AccessKeyId, because: &str, now: Timestamp) -> Result<(), RecordError> {
        let words = Suspicion::ALL.map(Suspicion::word);
        let names: Vec<String> =
            words.iter().flat_map(|word| [format!("first_{word}_at"), format!("last_{word}_at")]).collect();
        let forget = self
            .update(access_key_id)
            .update_expression(format!("SET {because} = :now, expires_at = :expiry REMOVE {}", names.join(", ")))
            .expression_attribute_values(":now", number(now.as_millisecond()))
            .expression_attribute_values(":expiry", number((now + ITEM_LIFE).as_second()));
        update_if(forget, access_key_id).await.map(drop)
    }

    /// What happened to a key.
    pub(crate) async fn history(&self, access_key_id: &AccessKeyId) -> Result<KeyHistory, RecordError> {
        let item = self.mails.item(&pk(access_key_id)).await?.unwrap_or_default();
        Ok(KeyHistory { accepted_at: time(&item, "accepted_at"), resumed_at: time(&item, "resumed_at") })
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
        self.mails.update(&pk(access_key_id)).return_values(ReturnValue::AllNew)
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
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::{FakeMails, time};

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

    const FIRST: &str = "2026-11-23T10:00:00Z";

    fn key() -> AccessKeyId {
        AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap()
    }

    fn after(seconds: i64) -> Timestamp {
        time(FIRST) + SignedDuration::from_secs(seconds)
    }

    /// Otherwise a provider whose mail flows is suspended for one identity that is denied.
    #[tokio::test]
    async fn steady_acceptances_keep_the_time_of_the_last_one_true() {
        let table = FakeMails::default();
        let suspicions = Suspicions::new(table.mails());
        for second in 0..=1200 {
            suspicions.clear(&key(), after(second)).await.unwrap();
        }
        assert_eq!(suspicions.history(&key()).await.unwrap().accepted_at, Some(after(1200)));
        assert_eq!(table.updates(), 241);
    }

    #[tokio::test]
    async fn an_acceptance_that_could_not_be_written_is_written_by_the_next_mail() {
        let table = FakeMails::default();
        let suspicions = Suspicions::new(table.mails());
        table.set_failing(true);
        assert!(suspicions.clear(&key(), after(0)).await.is_err());
        table.set_failing(false);
        suspicions.clear(&key(), after(1)).await.unwrap();
        assert_eq!(suspicions.history(&key()).await.unwrap().accepted_at, Some(after(1)));
    }

    #[tokio::test]
    async fn one_late_answer_after_a_suspension_was_lifted_confirms_nothing() {
        let suspicions = Suspicions::new(FakeMails::default().mails());
        let key = key();
        let record = |second| suspicions.record(&key, Suspicion::DeniedExplicitly, after(second));
        assert_eq!(record(0).await.unwrap(), SuspicionLevel::Suspected);
        assert_eq!(record(15).await.unwrap(), SuspicionLevel::Confirmed);
        suspicions.restart(&key, after(300)).await.unwrap();
        assert_eq!(record(301).await.unwrap(), SuspicionLevel::Suspected);
        assert_eq!(suspicions.history(&key).await.unwrap().resumed_at, Some(after(300)));
    }

    #[tokio::test]
    async fn one_of_many_looks_at_a_suspension_and_not_before_the_interval_is_over() {
        let suspicions = Suspicions::new(FakeMails::default().mails());
        let mut looks = Vec::new();
        for second in (0..=900).step_by(50) {
            for _ in 0..3 {
                if suspicions.elect_look(&key(), after(second)).await.unwrap() {
                    looks.push(second);
                }
            }
        }
        assert_eq!(looks, [0, 350, 700]);
    }

    /// What happens to a key.
    #[derive(Clone, Copy, Debug)]
    enum Happening {
        Seen(Suspicion),
        Accepted,
        Resumed,
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// The model keeps every happening; the table keeps two times of each suspicion.
        #[test]
        fn a_suspicion_is_confirmed_only_if_it_lasted_without_a_gap_or_anything_to_the_contrary(
            happenings in prop::collection::vec(
                (1_i64..900, prop_oneof![
                    4 => prop::sample::select(Suspicion::ALL.to_vec()).prop_map(Happening::Seen),
                    1 => Just(Happening::Accepted),
                    1 => Just(Happening::Resumed),
                ]),
                1..40,
            ),
        ) {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let suspicions = Suspicions::new(FakeMails::default().mails());
            let mut now = 0;
            let mut seen: Vec<(Suspicion, i64)> = Vec::new();
            for (wait, happening) in happenings {
                now += wait;
                match happening {
                    Happening::Accepted => {
                        // Another process: this one may have written an acceptance a moment ago.
                        suspicions.acceptances.forget(&key());
                        runtime.block_on(suspicions.clear(&key(), after(now))).unwrap();
                        seen.clear();
                    }
                    Happening::Resumed => {
                        runtime.block_on(suspicions.restart(&key(), after(now))).unwrap();
                        seen.clear();
                    }
                    Happening::Seen(suspicion) => {
                        let level = runtime.block_on(suspicions.record(&key(), suspicion, after(now))).unwrap();
                        let (mut first, gap) = (now, MAX_GAP.as_secs());
                        for (_, at) in seen.iter().rev().filter(|(other, _)| *other == suspicion) {
                            if first - at > gap {
                                break;
                            }
                            first = *at;
                        }
                        let lasted = SignedDuration::from_secs(now - first) >= suspicion.confirmed_after();
                        prop_assert_eq!(level == SuspicionLevel::Confirmed, lasted && first < now);
                        seen.push((suspicion, now));
                    }
                }
            }
        }
    }
}
