//! Rounds: how mail waits for something that a person ends, a hold or a suspension.
//!
//! Mail that waits is looked at in rounds, the oldest first, and once the wait is over mail goes from the next round on, in the same
//! order. SQS keeps none by itself: without rounds, mail would come back in the order of where each one stood in its wait.

use jiff::{SignedDuration, Timestamp};

/// How often waiting mail is looked at. With [`SPREAD`] this is the longest that mail waits after the end: less than a minute.
const ROUND: SignedDuration = SignedDuration::from_secs(40);

/// From when on mail is parked instead: a round costs requests, and whoever lets a wait last does not expect mail at once.
pub(super) const LONG: SignedDuration = SignedDuration::from_mins(2);

/// For how long the mail of a round is spread, by when it was handed over.
const SPREAD: SignedDuration = SignedDuration::from_secs(15);

/// A wait, from its beginning to its end if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounds {
    pub(super) began_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
}

impl Rounds {
    /// When a mail that was handed over at `first_seen` is looked at again; `None` if it may go.
    pub(super) fn wait_until(&self, first_seen: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let round = self.next_round(self.ended_at.unwrap_or(now));
        let turn = round.saturating_add(self.turn(first_seen, round)).unwrap_or(round);
        (now < turn).then_some(turn)
    }

    /// When the first round after `time` begins.
    fn next_round(&self, time: Timestamp) -> Timestamp {
        let lasted = time.duration_since(self.began_at).max(SignedDuration::ZERO);
        let rounds = lasted.as_secs() / ROUND.as_secs() + 1;
        let next = SignedDuration::from_secs(rounds * ROUND.as_secs());
        self.began_at.saturating_add(next).unwrap_or(Timestamp::MAX)
    }

    /// When it is the mail's turn in a round: its place in the time that the wait has lasted by then.
    fn turn(&self, first_seen: Timestamp, round: Timestamp) -> SignedDuration {
        let lasted = round.duration_since(self.began_at).as_millis().max(1);
        let place = first_seen.duration_since(self.began_at).as_millis().clamp(0, lasted);
        SignedDuration::from_millis(i64::try_from(SPREAD.as_millis() * place / lasted).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + seconds).unwrap()
    }

    fn rounds(ended_at: Option<i64>) -> Rounds {
        Rounds { began_at: at(0), ended_at: ended_at.map(at) }
    }

    #[test]
    fn mail_waits_for_its_turn_in_the_next_round_and_for_the_round_after_the_end() {
        let cases = [
            // Ended at, handed over at, looked at at, waits until.
            (None, -100, 0, Some(40)),
            (None, 40, 40, Some(80 + 7)),
            (None, 79, 79, Some(80 + 14)),
            (None, 0, 5000, Some(5040)),
            (Some(50), 0, 50, Some(80)),
            (Some(50), 0, 80, None),
            (Some(50), 40, 86, Some(80 + 7)),
            (Some(50), 40, 88, None),
            // What is handed over after the end does not overtake what has waited.
            (Some(50), 60, 60, Some(80 + 11)),
            (Some(50), 90, 90, Some(80 + 15)),
            (Some(50), 95, 95, None),
            (Some(50), 5000, 5000, None),
        ];
        for (ended, first_seen, now, expected) in cases {
            let until = rounds(ended).wait_until(at(first_seen), at(now));
            let seconds = until.map(|until| until.as_second() - at(0).as_second());
            assert_eq!(seconds, expected, "ended {ended:?}, first seen {first_seen}, now {now}");
        }
    }

    proptest! {
        /// Whatever was handed over when: it waits, after the end for less than a minute, and nobody overtakes.
        #[test]
        fn after_the_end_mail_flows_within_a_minute_in_the_order_in_which_it_was_handed_over(
            lasted in 0_i64..1_000_000,
            first in -100_i64..1_000_100,
            later in 0_i64..1000,
            looked_at in 0_i64..1_000_000,
        ) {
            let lasts = rounds(None);
            let wait = lasts.wait_until(at(first), at(looked_at)).map(|until| until.duration_since(at(looked_at)));
            prop_assert!(wait.is_some_and(|wait| wait > SignedDuration::ZERO && wait <= ROUND + SPREAD));

            let over = rounds(Some(lasted));
            let go = |first_seen| over.wait_until(at(first_seen), at(lasted)).unwrap();
            prop_assert!(go(first) <= go(first + later));
            prop_assert!(go(first + later).duration_since(at(lasted)) < SignedDuration::from_mins(1));
            // When its turn has come it goes, and not sooner.
            prop_assert_eq!(over.wait_until(at(first), go(first)), None);
            // Mail that was looked at while it lasted, in the round of its end, comes back at its turn.
            if looked_at <= lasted && lasts.next_round(at(looked_at)) == over.next_round(at(lasted)) {
                prop_assert_eq!(lasts.wait_until(at(first), at(looked_at)), Some(go(first)));
            }
        }
    }
}
