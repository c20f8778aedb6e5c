//! Who has lined up for a start: estimates of when mail without one can start. Pure.
//!
//! There are two lines. Mail that is received for the first time goes behind all who came before, and comes back when it is
//! likely to find a start. Mail that came back and found none lines up before the new: it has waited already. What would wait
//! for longer than a message may be delayed is parked, and then so is all new mail, or it would overtake what is parked.

use jiff::{SignedDuration, Timestamp};
use shared::mail::Priority;

use super::{HIGH_HORIZON, HORIZON, Pace, ParkedSlot, Slot, StartRequest, cost_us, millis};
use crate::delay::Delay;
use crate::wait_reason::WaitReason;

/// For how long a note that mail is parked holds: whoever releases it writes it again every minute.
const PARKED_NOTED_FOR: SignedDuration = SignedDuration::from_secs(180);

/// Both lines and what is parked, as they are stored. Estimates: nothing is reserved by them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// When the mail that was put back once is expected to have started, in epoch milliseconds.
    pub(crate) new_ms: i64,
    /// When the mail that came back is, in epoch milliseconds.
    pub(crate) returned_ms: i64,
    /// When somebody saw last that mail is parked, in epoch milliseconds.
    pub(crate) parked_seen_ms: i64,
    /// The time that the parked mail takes, in milliseconds.
    pub(crate) parked_cost_ms: i64,
}

/// What lining up changes in the stored lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LineUp {
    /// The new end of the line of new mail, and by how much it grew.
    pub(crate) new: Option<Growth>,
    /// The same of the line of mail that came back.
    pub(crate) returned: Option<Growth>,
    /// The time that the mail takes which is parked; 0 for none.
    pub(crate) parked_cost_ms: i64,
}

/// A line that grew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Growth {
    /// Where the mail begins to line up, in epoch milliseconds.
    pub(crate) from_ms: i64,
    /// The time that it takes, in milliseconds.
    pub(crate) total_ms: i64,
}

/// Whether new mail lines up without trying for a start, because others were there before it.
pub(crate) fn is_behind_others(pace: &Pace, wanted: StartRequest, now: Timestamp) -> bool {
    let ends_ms = pace.lines.new_ms.max(pace.lines.returned_ms);
    let is_line = ends_ms > now.as_millisecond() + millis(HORIZON);
    wanted.is_new && wanted.priority == Priority::Normal && (is_line || is_parked(pace, now))
}

/// Whether mail of the account is parked.
pub(crate) fn is_parked(pace: &Pace, now: Timestamp) -> bool {
    pace.lines.parked_seen_ms > now.as_millisecond() - millis(PARKED_NOTED_FOR)
}

/// When the next mail that comes back can start, in epoch milliseconds: behind all who have lined up.
pub(crate) fn line_from_ms(pace: &Pace, now: Timestamp) -> i64 {
    let lines_ms = pace.lines.new_ms.max(pace.lines.returned_ms);
    (pace.tat_us / 1000).max(lines_ms).max(now.as_millisecond())
}

/// Estimates when mails without a start can start, from what is ahead of them: the reservations, the lines, and the next try
/// while the breaker is open, after which all may flow.
pub(crate) fn line_up(pace: &Pace, wanted: &[StartRequest], max_send_rate: f64, now: Timestamp) -> (Vec<Slot>, LineUp) {
    let (now_ms, mut lines, mut change) = (now.as_millisecond(), pace.lines, LineUp::default());
    let probe_ms = pace.breaker.probe.map_or(0, |probe| probe.at_ms);
    let longest_ms = Delay::MAX.as_millis();
    let ahead_ms = (pace.tat_us / 1000).max(probe_ms).max(now_ms);
    let slots = wanted
        .iter()
        .map(|mail| {
            let cost_ms = line_cost_ms(mail.recipients, max_send_rate, pace.share);
            if mail.priority == Priority::High {
                let start_ms = (pace.tat_us.max(pace.high_tat_us) / 1000).max(probe_ms) - millis(HIGH_HORIZON);
                return slot(start_ms - now_ms, now);
            }
            let returned_from_ms = ahead_ms.max(lines.returned_ms);
            let new_from_ms = returned_from_ms.max(lines.new_ms);
            let from_ms = if mail.is_new { new_from_ms } else { returned_from_ms };
            let is_parked = from_ms - now_ms >= longest_ms || (mail.is_new && is_parked(pace, now));
            if is_parked {
                let parked_ms = lines.parked_cost_ms.max(0) + change.parked_cost_ms;
                change.parked_cost_ms += cost_ms;
                let eta = Timestamp::from_millisecond(from_ms.saturating_add(parked_ms)).unwrap_or(now);
                return Slot::Parked(ParkedSlot { reason: WaitReason::Rate, eta });
            }
            let (line_ms, growth) = match mail.is_new {
                true => (&mut lines.new_ms, &mut change.new),
                false => (&mut lines.returned_ms, &mut change.returned),
            };
            *line_ms = from_ms + cost_ms;
            growth.get_or_insert(Growth { from_ms, total_ms: 0 }).total_ms += cost_ms;
            slot(from_ms - now_ms, now)
        })
        .collect();
    (slots, change)
}

/// The time that so many recipients take, in milliseconds. A line is an estimate, so what is lost in rounding is made up for by
/// mail that comes back and finds no start.
pub(crate) fn line_cost_ms(recipients: u32, max_send_rate: f64, share: i64) -> i64 {
    (cost_us(recipients, max_send_rate, share) / 1000).max(1)
}

fn slot(delay_ms: i64, now: Timestamp) -> Slot {
    if delay_ms < Delay::MAX.as_millis() {
        return Slot::Later(Delay::from_millis(delay_ms));
    }
    let eta = Timestamp::from_millisecond(now.as_millisecond() + delay_ms).unwrap_or(now);
    Slot::Parked(ParkedSlot { reason: WaitReason::Rate, eta })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::super::{Breaker, FULL_SHARE, plan_starts};
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn pace(tat_ms: i64, new_ms: i64, returned_ms: i64) -> Pace {
        let lines = Lines { new_ms, returned_ms, ..Lines::default() };
        // An epoch that is long ago: nothing is parked.
        Pace { tat_us: tat_ms * 1000, share: FULL_SHARE, lines, ..Pace::default() }
    }

    const NEW: StartRequest = StartRequest { recipients: 1, priority: Priority::Normal, is_new: true };
    const BACK: StartRequest = StartRequest { is_new: false, ..NEW };
    const HIGH: StartRequest = StartRequest { priority: Priority::High, ..NEW };

    const START: i64 = 1_800_000_000_000;

    #[test]
    fn mail_lines_up_behind_who_came_before_and_who_came_back_before_the_new() {
        let later = |delays_ms: &[i64]| -> Vec<Slot> {
            delays_ms.iter().map(|delay_ms| Slot::Later(Delay::from_millis(*delay_ms))).collect()
        };
        let three = StartRequest { recipients: 3, ..NEW };
        let (slots, change) = line_up(&pace(START + 5_000, 0, 0), &[NEW, three, NEW], 2.0, at(START));
        assert_eq!(slots, later(&[5_000, 5_500, 7_000]));
        assert_eq!(
            change,
            LineUp { new: Some(Growth { from_ms: START + 5_000, total_ms: 2_500 }), ..LineUp::default() }
        );
        let stored = pace(START + 1_000, START + 60_000, START + 3_000);
        let (slots, change) = line_up(&stored, &[BACK, NEW, BACK], 2.0, at(START));
        assert_eq!(slots, later(&[3_000, 60_000, 3_500]));
        assert_eq!(change.returned, Some(Growth { from_ms: START + 3_000, total_ms: 1_000 }));
        assert_eq!(change.new, Some(Growth { from_ms: START + 60_000, total_ms: 500 }));
    }

    #[test]
    fn what_would_wait_for_longer_than_a_message_may_be_delayed_is_parked_and_knows_its_turn() {
        let stored = pace(START, START + 899_500, 0);
        let (slots, change) = line_up(&stored, &[NEW, NEW, NEW], 1.0, at(START));
        assert_eq!(slots[0], Slot::Later(Delay::from_millis(899_500)));
        let parked = |ms: i64| Slot::Parked(ParkedSlot { reason: WaitReason::Rate, eta: at(START + ms) });
        assert_eq!(slots[1..], [parked(900_540), parked(901_580)]);
        assert_eq!(change.parked_cost_ms, 2_080);
    }

    #[test]
    fn while_mail_is_parked_new_mail_is_too_and_no_other() {
        let mut stored = pace(START, 0, 0);
        stored.lines.parked_seen_ms = START - 60_000;
        stored.lines.parked_cost_ms = 7_000_000;
        assert!(is_behind_others(&stored, NEW, at(START)));
        assert!(!is_behind_others(&stored, BACK, at(START)) && !is_behind_others(&stored, HIGH, at(START)));
        let (slots, _) = line_up(&stored, &[NEW, BACK, HIGH], 1.0, at(START));
        assert_eq!(slots[0], Slot::Parked(ParkedSlot { reason: WaitReason::Rate, eta: at(START + 7_000_000) }));
        assert!(matches!(slots[1..], [Slot::Later(_), Slot::Later(_)]), "{slots:?}");
        // Nobody has seen parked mail for minutes.
        assert!(!is_behind_others(&stored, NEW, at(START + 121_000)));
    }

    #[test]
    fn new_mail_does_not_try_while_others_have_lined_up() {
        for (new_ms, returned_ms, is_behind) in [(0, 0, false), (900, 0, false), (1_001, 0, true), (0, 1_001, true)] {
            assert_eq!(is_behind_others(&pace(0, START + new_ms, START + returned_ms), NEW, at(START)), is_behind);
        }
    }

    /// How many mails start in ten minutes of an account that has more to send, if each copy comes late by up to 600 ms.
    fn started_in_ten_minutes(rate: f64) -> usize {
        let (mut stored, mut arrivals, mut started) = (pace(START, 0, 0), BTreeSet::new(), 0);
        let mut noise = 1_i64;
        let mut below = |limit: i64| {
            noise = (noise * 48_271) % 2_147_483_647;
            noise % limit
        };
        let mut come_back = |stored: &mut Pace, arrivals: &mut BTreeSet<(i64, usize)>, wanted, now_ms: i64, mail| {
            let (slots, change) = line_up(stored, &[wanted], rate, at(now_ms));
            let end = |growth: Growth| growth.from_ms + growth.total_ms;
            stored.lines.new_ms = change.new.map_or(stored.lines.new_ms, end);
            stored.lines.returned_ms = change.returned.map_or(stored.lines.returned_ms, end);
            let Slot::Later(delay) = slots[0] else { return };
            arrivals.insert((now_ms + delay.as_millis() + below(600), mail));
        };
        for mail in 0.. {
            let now_ms = START - 1_000 + i64::try_from(mail).unwrap() * 37 % 1_000;
            if stored.lines.new_ms >= START + 700_000 {
                break;
            }
            come_back(&mut stored, &mut arrivals, NEW, now_ms, mail);
        }
        while let Some((now_ms, mail)) = arrivals.pop_first().filter(|(now_ms, _)| *now_ms < START + 600_000) {
            if plan_starts(Some(&stored), &[1], Priority::Normal, rate, at(now_ms)).is_some() {
                stored.tat_us = stored.tat_us.max(now_ms * 1000) + cost_us(1, rate, FULL_SHARE);
                started += 1;
            } else {
                come_back(&mut stored, &mut arrivals, BACK, now_ms, mail);
            }
        }
        started
    }

    #[test]
    fn a_slow_account_s_rate_is_used_though_copies_come_late() {
        for (rate, wanted) in [(1.0, 570), (2.0, 1_140), (5.0, 2_850), (14.0, 7_980), (200.0, 114_000)] {
            let started = started_in_ten_minutes(rate);
            assert!(started >= wanted, "{started} of {} at {rate}/s", rate * 600.0);
        }
    }

    #[test]
    fn mail_of_high_priority_does_not_line_up() {
        let mut stored = pace(START + 1_000, START + 600_000, START + 60_000);
        stored.high_tat_us = (START + 9_000) * 1000;
        let (slots, change) = line_up(&stored, &[HIGH, HIGH], 2.0, at(START));
        assert_eq!((slots, change), (vec![Slot::Later(Delay::from_millis(5_000)); 2], LineUp::default()));
    }

    #[test]
    fn mail_that_finds_the_breaker_open_lines_up_behind_the_next_try() {
        let mut stored = pace(0, 0, 0);
        let breaker = Breaker::default();
        stored.breaker = (0..3).fold(breaker, |breaker, _| breaker.after_unknown(at(START)).unwrap());
        let (slots, change) = line_up(&stored, &[NEW, NEW, NEW], 2.0, at(START + 1_000));
        assert_eq!(slots, [14_000, 14_500, 15_000].map(|ms| Slot::Later(Delay::from_millis(ms))));
        assert_eq!(change.new.unwrap().from_ms, START + 15_000);
    }
}
