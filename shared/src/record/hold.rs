//! An operator's hold: a provider sends nothing until the operator lifts it, whatever its status is meanwhile.
//!
//! It stands in the provider's item beside the status, so no verification that ends a suspension lifts it, and no revocation
//! asks for it. Mail that waits is looked at in rounds, the oldest first, and a lifted hold lets mail go from the next round
//! on, in the same order. SQS keeps none by itself: without rounds, mail would come back in the order of where each one stood in its wait.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::string;
use super::item_update::ItemUpdate;
use super::transaction::{Transaction, back_off, contended};
use super::{AuditEvent, Provider, Providers, RecordError, StatusName};
use crate::id::ProviderId;
use crate::runtime::Ambient;

/// How often held mail is looked at. With [`SPREAD`] this is the longest that mail waits after a lift: less than a minute.
const ROUND: SignedDuration = SignedDuration::from_secs(40);

/// For how long the mail of a round is spread, by when it was handed over.
const SPREAD: SignedDuration = SignedDuration::from_secs(15);

/// Attempts of a change, if other writers come first.
const MAX_ATTEMPTS: u32 = 4;

/// A hold, in force or lifted. The latest one stays in the provider's item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, in words.
    pub reason: String,
    /// The ARN that signed the request.
    pub held_by: String,
    /// Since when.
    pub held_at: Timestamp,
    /// When it was lifted; absent while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Timestamp>,
}

/// What a request to hold a provider, or to lift its hold, did.
#[derive(Clone, Debug, PartialEq)]
pub enum HoldOutcome {
    /// This call changed it. The provider as it is now.
    Changed(Box<Provider>),
    /// It was so before, and nothing was written.
    Unchanged(Box<Provider>),
    /// An order has stopped the provider for good: there is nothing to hold.
    Stopped(Box<Provider>),
    /// There is no such provider.
    NoSuchProvider,
}

impl Hold {
    /// Whether it is in force.
    pub fn is_in_force(&self) -> bool {
        self.lifted_at.is_none()
    }

    /// When a mail that was handed over at `first_seen` is looked at again; `None` if it may go.
    pub fn wait_until(&self, first_seen: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let round = self.next_round(self.lifted_at.unwrap_or(now));
        let turn = round.saturating_add(self.turn(first_seen, round)).unwrap_or(round);
        (now < turn).then_some(turn)
    }

    /// When the first round after `time` begins.
    fn next_round(&self, time: Timestamp) -> Timestamp {
        let rounds = time.duration_since(self.held_at).as_secs().max(0) / ROUND.as_secs() + 1;
        self.held_at.saturating_add(SignedDuration::from_secs(rounds * ROUND.as_secs())).unwrap_or(Timestamp::MAX)
    }

    /// When it is the mail's turn in a round: its place in the time that the hold has lasted by then.
    fn turn(&self, first_seen: Timestamp, round: Timestamp) -> SignedDuration {
        let lasted = round.duration_since(self.held_at).as_millis().max(1);
        let place = first_seen.duration_since(self.held_at).as_millis().clamp(0, lasted);
        SignedDuration::from_millis(i64::try_from(SPREAD.as_millis() * place / lasted).unwrap_or(0))
    }
}

impl Providers {
    /// Holds a provider: from now on nothing is sent, until [`Providers::lift_hold`]. One that is held already gets the new reason and who
    /// gave it. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time: it may or may not be held.
    pub async fn hold(
        &self,
        provider_id: &ProviderId,
        reason: &str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<HoldOutcome, RecordError> {
        let change = |provider: &Provider, now| match &provider.hold {
            Some(hold) if hold.is_in_force() && hold.reason == reason && hold.held_by == by => None,
            before => Some(Hold {
                reason: reason.to_owned(),
                held_by: by.to_owned(),
                // Whoever says it once more does not begin a new one.
                held_at: before.as_ref().filter(|hold| hold.is_in_force()).map_or(now, |hold| hold.held_at),
                lifted_at: None,
            }),
        };
        self.change_hold(provider_id, "held", (reason, by), change, ambient).await
    }

    /// Lifts the hold of a provider, if it has one. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time: it may or may not be held.
    pub async fn lift_hold(
        &self,
        provider_id: &ProviderId,
        reason: &str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<HoldOutcome, RecordError> {
        let change = |provider: &Provider, now| match &provider.hold {
            Some(hold) if hold.is_in_force() => Some(Hold { lifted_at: Some(now), ..hold.clone() }),
            _ => None,
        };
        self.change_hold(provider_id, "hold_lifted", (reason, by), change, ambient).await
    }

    /// Writes the hold that `change` makes of a provider, with an event of its trail, in one transaction. The condition is that
    /// the provider's hold is the one that was read, and that no order has stopped it.
    async fn change_hold(
        &self,
        provider_id: &ProviderId,
        event: &'static str,
        (reason, by): (&str, &str),
        change: impl Fn(&Provider, Timestamp) -> Option<Hold>,
        ambient: &Ambient,
    ) -> Result<HoldOutcome, RecordError> {
        let pk = Provider::pk(provider_id);
        for round in 0..MAX_ATTEMPTS {
            let Some(mut provider) = self.provider(provider_id).await? else { return Ok(HoldOutcome::NoSuchProvider) };
            let now = ambient.now();
            if !matches!(provider.status.status, StatusName::Active | StatusName::Suspended) {
                return Ok(HoldOutcome::Stopped(Box::new(provider)));
            }
            let Some(hold) = change(&provider, now) else { return Ok(HoldOutcome::Unchanged(Box::new(provider))) };
            let shape = |_| RecordError::Shape { pk: pk.clone() };
            let stored = serde_dynamo::to_attribute_value(&hold).map_err(shape)?;
            let mut condition = "#status IN (:active, :suspended) AND ".to_owned();
            condition.push_str(if provider.hold.is_some() { "#hold = :read" } else { "attribute_not_exists(#hold)" });
            let mut update = ItemUpdate::new(pk.clone(), Provider::SK, "SET #hold = :hold", condition)
                .name("#status", "status")
                .name("#hold", "hold")
                .value(":active", string(StatusName::Active.as_str()))
                .value(":suspended", string(StatusName::Suspended.as_str()))
                .value(":hold", stored);
            if let Some(read) = &provider.hold {
                update = update.value(":read", serde_dynamo::to_attribute_value(read).map_err(shape)?);
            }
            let audit = AuditEvent { event, at: now, by: by.to_owned(), reason: Some(reason.to_owned()) };
            let writes = vec![self.update_in_transaction(update)?, self.put(audit.to_item(provider_id, ambient)?)?];
            match self.transact(&pk, writes).await? {
                Transaction::Committed => {
                    provider.hold = Some(hold);
                    return Ok(HoldOutcome::Changed(Box::new(provider)));
                }
                Transaction::ConditionFailed(_) | Transaction::Contended => back_off(round, ambient).await,
            }
        }
        Err(contended(pk))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn hold(lifted_at: Option<i64>) -> Hold {
        Hold {
            reason: "a complaint".to_owned(),
            held_by: "arn:aws:iam::111122223333:user/ops".to_owned(),
            held_at: at(0),
            lifted_at: lifted_at.map(at),
        }
    }

    #[test]
    fn held_mail_waits_for_its_turn_in_the_next_round_and_lifted_mail_for_the_round_after_the_lift() {
        let cases = [
            // Lifted at, handed over at, looked at at, waits until.
            (None, -100, 0, Some(40)),
            (None, 40, 40, Some(80 + 7)),
            (None, 79, 79, Some(80 + 14)),
            (None, 0, 5000, Some(5040)),
            (Some(50), 0, 50, Some(80)),
            (Some(50), 0, 80, None),
            (Some(50), 40, 86, Some(80 + 7)),
            (Some(50), 40, 88, None),
            // What is handed over after the lift does not overtake what has waited.
            (Some(50), 60, 60, Some(80 + 11)),
            (Some(50), 90, 90, Some(80 + 15)),
            (Some(50), 95, 95, None),
            (Some(50), 5000, 5000, None),
        ];
        for (lifted, first_seen, now, expected) in cases {
            let until = hold(lifted).wait_until(at(first_seen), at(now));
            let seconds = until.map(|until| until.as_second() - at(0).as_second());
            assert_eq!(seconds, expected, "lifted {lifted:?}, first seen {first_seen}, now {now}");
        }
    }

    proptest! {
        /// Whatever was handed over when: it waits, after a lift for less than a minute, and nobody overtakes.
        #[test]
        fn after_a_lift_mail_flows_within_a_minute_in_the_order_in_which_it_was_handed_over(
            held_for in 0_i64..1_000_000,
            first in -100_i64..1_000_100,
            later in 0_i64..1000,
            looked_at in 0_i64..1_000_000,
        ) {
            let in_force = hold(None);
            let wait = in_force.wait_until(at(first), at(looked_at)).map(|until| until.duration_since(at(looked_at)));
            prop_assert!(wait.is_some_and(|wait| wait > SignedDuration::ZERO && wait <= ROUND + SPREAD));

            let lifted = hold(Some(held_for));
            let go = |first_seen| lifted.wait_until(at(first_seen), at(held_for)).unwrap();
            prop_assert!(go(first) <= go(first + later));
            prop_assert!(go(first + later).duration_since(at(held_for)) < SignedDuration::from_mins(1));
            // When its turn has come it goes, and not sooner.
            prop_assert_eq!(lifted.wait_until(at(first), go(first)), None);
            // Mail that was looked at while the hold was in force, in the round of the lift, comes back at its turn.
            if looked_at <= held_for && in_force.next_round(at(looked_at)) == lifted.next_round(at(held_for)) {
                prop_assert_eq!(in_force.wait_until(at(first), at(looked_at)), Some(go(first)));
            }
        }
    }
}
