//! Rounds: how mail waits for something that a person ends, a hold or a suspension.
//!
//! Mail that waits is looked at in rounds, the oldest first, and once the wait is over mail goes from the next round on, in the same
//! order. SQS keeps none by itself: without rounds, mail would come back in the order of where each one stood in its wait.

use jiff::{SignedDuration, Timestamp};

/// How often waiting mail is looked at. With [`SPREAD`] this is the longest that mail waits after the end: less than a minute.
const ROUND: SignedDuration = SignedDuration::from_secs(40);

/// The same of a wait that has lasted for [`LONG`]: each look costs three SQS requests a mail.
const LONG_ROUND: SignedDuration = SignedDuration::from_secs(280);

/// From when on a suspension is a long wait.
const LONG: SignedDuration = SignedDuration::from_hours(1);

/// For how long the mail of a round is spread, by when it was handed over.
const SPREAD: SignedDuration = SignedDuration::from_secs(15);

/// A wait, from its beginning to its end if it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rounds {
    pub(super) began_at: Timestamp,
    pub(super) ended_at: Option<Timestamp>,
    /// Whether the rounds get longer after an hour.
    pub(super) get_longer: bool,
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
        let (start, round) = match self.get_longer && lasted >= LONG {
            true => (LONG, LONG_ROUND),
            false => (SignedDuration::ZERO, ROUND),
        };
        let rounds = (lasted - start).as_secs() / round.as_secs() + 1;
        let next = start + SignedDuration::from_secs(rounds * round.as_secs());
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

    fn rounds(ended_at: Option<i64>, get_longer: bool) -> Rounds {
        Rounds { began_at: at(0), ended_at: ended_at.map(at), get_longer }
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
            let until = rounds(ended, false).wait_until(at(first_seen), at(now));
            let seconds = until.map(|until| until.as_second() - at(0).as_second());
            assert_eq!(seconds, expected, "ended {ended:?}, first seen {first_seen}, now {now}");
        }
    }

    #[test]
    fn the_rounds_of_a_suspension_get_longer_after_an_hour() {
        for (looked_at, round) in [(0, 40), (3599, 3600), (3600, 3880), (3879, 3880), (86_400, 86_480)] {
            assert_eq!(rounds(None, true).next_round(at(looked_at)), at(round), "{looked_at}");
        }
        assert_eq!(rounds(None, false).next_round(at(3600)), at(3640));
    }

    proptest! {
        /// Whatever was handed over when: it waits, after the end for less than a minute, and nobody overtakes.
        #[test]
        fn after_the_end_mail_flows_within_a_minute_in_the_order_in_which_it_was_handed_over(
            lasted in 0_i64..1_000_000,
            first in -100_i64..1_000_100,
            later in 0_i64..1000,
            looked_at in 0_i64..1_000_000,
            get_longer: bool,
        ) {
            let (round, minutes) = match get_longer && looked_at >= 3600 { true => (LONG_ROUND, 5), false => (ROUND, 1) };
            let lasts = rounds(None, get_longer);
            let wait = lasts.wait_until(at(first), at(looked_at)).map(|until| until.duration_since(at(looked_at)));
            prop_assert!(wait.is_some_and(|wait| wait > SignedDuration::ZERO && wait <= round + SPREAD));

            let over = rounds(Some(lasted), get_longer);
            let go = |first_seen| over.wait_until(at(first_seen), at(lasted)).unwrap();
            prop_assert!(go(first) <= go(first + later));
            let minutes = if get_longer && lasted >= 3600 { minutes.max(5) } else { 1 };
            prop_assert!(go(first + later).duration_since(at(lasted)) < SignedDuration::from_mins(minutes));
            // When its turn has come it goes, and not sooner.
            prop_assert_eq!(over.wait_until(at(first), go(first)), None);
            // Mail that was looked at while it lasted, in the round of its end, comes back at its turn.
            if looked_at <= lasted && lasts.next_round(at(looked_at)) == over.next_round(at(lasted)) {
                prop_assert_eq!(lasts.wait_until(at(first), at(looked_at)), Some(go(first)));
            }
        }
    }
}
