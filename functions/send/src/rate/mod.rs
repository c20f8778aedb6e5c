//! The pace of an account in a Region: GCRA in recipients, from SES's MaxSendRate. Pure; [`table`] does the writing.
//!
//! Every mail gets a start, and the next mail starts after the time that SES's rate allows for this one's recipients.
//! There are no bursts: SES tolerates short ones, but publishes no size. A reservation reaches at most [`HORIZON`] ahead.
//! The worker sleeps until it; it is never stored: a mail without one is requeued with a delay, which reserves nothing.
//!
//! The account may have other senders, so the rate adapts: a 429 halves our share of MaxSendRate, and times without a 429
//! restore it step by step.
//!
//! While SES gives no answers, there are no starts: see [`breaker`].

mod breaker;
mod table;

use jiff::{SignedDuration, Timestamp};

use crate::delay::Delay;

pub(crate) use breaker::Breaker;
pub(crate) use table::{Rates, Slot};

/// How far ahead a start may lie. The start and not the end: a mail to 50 recipients passes at one a second.
pub(crate) const HORIZON: SignedDuration = SignedDuration::from_secs(5);

/// The whole of MaxSendRate, in thousandths.
const FULL_SHARE: i64 = 1000;

/// The smallest share after 429s, in thousandths.
const MIN_SHARE: i64 = 50;

/// How much each interval without a 429 restores, in thousandths, and how long it is.
const RECOVERY_STEP: i64 = 100;
const RECOVERY_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// 429s at the same moment have one cause: the share is halved at most once in this time.
const HALVING_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// The pace of an account in a Region as it is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When the next mail may start (the theoretical arrival time of GCRA), in epoch milliseconds.
    pub(crate) tat_ms: i64,
    /// When the requeued mails are expected to have started, in epoch milliseconds. An estimate.
    pub(crate) deferred_ms: i64,
    /// Our share of MaxSendRate, in thousandths.
    pub(crate) share: i64,
    /// When the share last changed, in epoch milliseconds.
    pub(crate) share_changed_ms: i64,
    /// Until when a key of the account is under suspicion, in epoch milliseconds.
    pub(crate) suspected_until_ms: i64,
    /// Whether SES gives answers.
    pub(crate) breaker: Breaker,
}

/// A reservation to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReservationPlan {
    /// When each mail starts, in milliseconds after the first; the mails at the end that do not fit are left out.
    pub(crate) offsets_ms: Vec<i64>,
    /// The time that these mails take together, in milliseconds.
    pub(crate) total_ms: i64,
    /// When the first one starts, which is also the condition of the write.
    pub(crate) first: FirstStart,
    /// The share that it was planned with, in thousandths.
    pub(crate) share: i64,
    /// The stored share that the plan is based on; if it differs from `share`, the write changes it.
    pub(crate) was_share: Option<i64>,
}

/// When mails that found no start are expected to find one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Estimate {
    /// The delay of each mail.
    pub(crate) delays: Vec<Delay>,
    /// What the stored estimate grows by, in milliseconds.
    pub(crate) total_ms: i64,
    /// When the first of them is expected to start, in epoch milliseconds.
    pub(crate) from_ms: i64,
}

/// When a reservation's first mail starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstStart {
    /// Now, if no reservation reaches beyond now.
    Now,
    /// When the last reservation ends, if that is not later than `latest_ms`.
    BehindOthers {
        /// The latest first start with which the last mail still starts within the horizon, in epoch milliseconds.
        latest_ms: i64,
    },
}

/// Plans the starts of mails with these numbers of recipients, in this order. `None` if not even the first one fits.
pub(crate) fn plan_starts(
    pace: Option<&Pace>,
    recipients: &[u32],
    max_send_rate: f64,
    now: Timestamp,
) -> Option<ReservationPlan> {
    let now_ms = now.as_millisecond();
    let busy = pace.filter(|pace| pace.tat_ms >= now_ms);
    let ahead_ms = busy.map_or(0, |pace| pace.tat_ms - now_ms);
    let share = pace.map_or(FULL_SHARE, |pace| recovered_share(pace, now));
    let horizon_ms = millis(HORIZON);
    let mut offsets_ms = Vec::with_capacity(recipients.len());
    let mut total_ms = 0;
    for count in recipients {
        if ahead_ms + total_ms > horizon_ms {
            break;
        }
        offsets_ms.push(total_ms);
        total_ms += cost_ms(*count, max_send_rate, share);
    }
    let last_ms = *offsets_ms.last()?;
    let first = match busy {
        None => FirstStart::Now,
        Some(_) => FirstStart::BehindOthers { latest_ms: now_ms + horizon_ms - last_ms },
    };
    Some(ReservationPlan { offsets_ms, total_ms, first, share, was_share: pace.map(|pace| pace.share) })
}

/// Estimates when mails without a start can start, from what is ahead of them: the reservations, the mails that were
/// requeued before, and the next try while the breaker is open, after which all may flow. Beyond the longest delay the order is lost anyway, so those mails are not counted.
pub(crate) fn estimate_delays(pace: &Pace, recipients: &[u32], max_send_rate: f64, now: Timestamp) -> Estimate {
    let probe_ms = pace.breaker.probe.map_or(0, |probe| probe.at_ms);
    let from_ms = pace.deferred_ms.max(pace.tat_ms).max(probe_ms).max(now.as_millisecond());
    let ahead_ms = from_ms - now.as_millisecond();
    let mut total_ms = 0;
    let delays = recipients
        .iter()
        .map(|count| {
            let delay_ms = ahead_ms + total_ms;
            if delay_ms <= Delay::MAX.as_millis() {
                total_ms += cost_ms(*count, max_send_rate, pace.share);
            }
            Delay::from_millis(delay_ms)
        })
        .collect();
    Estimate { delays, total_ms, from_ms }
}

/// The share after a 429; `None` if another 429 of the same moment has already halved it.
pub(crate) fn halved_share(pace: &Pace, now: Timestamp) -> Option<i64> {
    let is_halved = now.as_millisecond() - pace.share_changed_ms < millis(HALVING_INTERVAL) && pace.share < FULL_SHARE;
    (!is_halved).then(|| (pace.share / 2).max(MIN_SHARE))
}

/// The share that times without a 429 have restored by now.
fn recovered_share(pace: &Pace, now: Timestamp) -> i64 {
    let intervals = (now.as_millisecond() - pace.share_changed_ms).max(0) / millis(RECOVERY_INTERVAL);
    pace.share.saturating_add(intervals.saturating_mul(RECOVERY_STEP)).min(FULL_SHARE)
}

/// The time that so many recipients take, in milliseconds, rounded up so that it is never faster than the rate. SES has no
/// rate below one a second; it is read as one.
fn cost_ms(recipients: u32, max_send_rate: f64, share: i64) -> i64 {
    let share_of_one = f64::from(i32::try_from(share.clamp(MIN_SHARE, FULL_SHARE)).unwrap_or(1000)) / 1000.0;
    let rate = if max_send_rate.is_finite() { max_send_rate.max(1.0) } else { 1.0 };
    let cost = (f64::from(recipients.max(1)) * 1000.0 / (rate * share_of_one)).ceil();
    // Far below the limits of an i64: at most 50 recipients at a twentieth a second.
    #[expect(clippy::cast_possible_truncation, reason = "a whole number below 2^31 by its operands")]
    let cost = cost.min(f64::from(i32::MAX)) as i64;
    cost.max(1)
}

fn millis(duration: SignedDuration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn pace(tat_ms: i64, share: i64, share_changed_ms: i64) -> Pace {
        Pace { tat_ms, deferred_ms: 0, share, share_changed_ms, suspected_until_ms: 0, breaker: Breaker::default() }
    }

    /// The table: what a plan's conditional write does to the stored pace. Returns the first start.
    fn write(stored: &mut Option<Pace>, plan: &ReservationPlan, now: Timestamp) -> Option<i64> {
        let now_ms = now.as_millisecond();
        let tat_ms = stored.map(|pace| pace.tat_ms);
        let first_ms = match (plan.first, tat_ms) {
            (FirstStart::Now, Some(tat_ms)) if tat_ms >= now_ms => return None,
            (FirstStart::Now, _) => now_ms,
            (FirstStart::BehindOthers { latest_ms }, Some(tat_ms)) if tat_ms >= now_ms && tat_ms <= latest_ms => tat_ms,
            (FirstStart::BehindOthers { .. }, _) => return None,
        };
        if stored.is_some_and(|pace| Some(pace.share) != plan.was_share) {
            return None;
        }
        let changed = stored.is_none_or(|pace| pace.share != plan.share);
        *stored = Some(Pace {
            tat_ms: first_ms + plan.total_ms,
            deferred_ms: stored.map_or(0, |pace| pace.deferred_ms),
            share: plan.share,
            share_changed_ms: if changed { now_ms } else { stored.map_or(now_ms, |pace| pace.share_changed_ms) },
            suspected_until_ms: 0,
            breaker: Breaker::default(),
        });
        Some(first_ms)
    }

    #[test]
    fn mails_are_spaced_by_their_recipients() {
        let plan = plan_starts(None, &[1, 1, 5, 1], 10.0, at(0)).unwrap();
        assert_eq!(plan.offsets_ms, [0, 100, 200, 700]);
        assert_eq!(plan.total_ms, 800);
        assert_eq!(plan.first, FirstStart::Now);
    }

    #[test]
    fn a_mail_to_fifty_passes_at_one_a_second() {
        let plan_of_one = plan_starts(None, &[50, 1], 1.0, at(0)).unwrap();
        assert_eq!(plan_of_one.offsets_ms, [0]);
        assert_eq!(plan_of_one.total_ms, 50_000);
        assert_eq!(plan_starts(Some(&pace(50_000, FULL_SHARE, 0)), &[1], 1.0, at(44_999)), None);
        assert!(plan_starts(Some(&pace(50_000, FULL_SHARE, 0)), &[1], 1.0, at(45_000)).is_some());
    }

    #[test]
    fn a_hundred_mails_at_fourteen_a_second_fill_the_horizon_and_no_more() {
        let plan = plan_starts(None, &[1; 100], 14.0, at(0)).unwrap();
        // One every 72 ms, the first at 0, the last not later than 5 s.
        assert_eq!(plan.offsets_ms.len(), 70);
    }

    #[test]
    fn a_429_halves_the_share_once_a_moment_and_quiet_times_restore_it() {
        let mut stored = pace(0, FULL_SHARE, -100_000);
        stored.share = halved_share(&stored, at(0)).unwrap();
        assert_eq!(stored.share, 500);
        stored.share_changed_ms = 0;
        assert_eq!(halved_share(&stored, at(900)), None);
        assert_eq!(halved_share(&stored, at(1_000)), Some(250));
        for (now_ms, share) in [(9_999, 500), (10_000, 600), (35_000, 800), (50_000, FULL_SHARE), (500_000, FULL_SHARE)]
        {
            assert_eq!(recovered_share(&stored, at(now_ms)), share, "{now_ms}");
        }
        assert_eq!(halved_share(&pace(0, MIN_SHARE, 0), at(5_000)), Some(MIN_SHARE));
    }

    #[test]
    fn requeued_mail_queues_up_behind_mail_that_was_requeued_before() {
        let mut stored = pace(5_000, FULL_SHARE, 0);
        let of = |delays_ms: &[i64], total_ms, from_ms| {
            let delays = delays_ms.iter().map(|delay_ms| Delay::from_millis(*delay_ms)).collect();
            Estimate { delays, total_ms, from_ms }
        };
        assert_eq!(estimate_delays(&stored, &[1, 3, 1], 2.0, at(0)), of(&[5_000, 5_500, 7_000], 2_500, 5_000));
        stored.deferred_ms = 6_000;
        assert_eq!(estimate_delays(&stored, &[1], 2.0, at(0)), of(&[6_000], 500, 6_000));
        stored.deferred_ms = 900_001;
        assert_eq!(estimate_delays(&stored, &[1], 2.0, at(0)), of(&[900_000], 0, 900_001));
        assert_eq!(estimate_delays(&stored, &[1, 1], 2.0, at(1)), of(&[900_000, 900_000], 500, 900_001));
    }

    #[test]
    fn mail_that_finds_the_breaker_open_lines_up_behind_the_next_try() {
        let mut stored = pace(0, FULL_SHARE, 0);
        for _ in 0..3 {
            stored.breaker = stored.breaker.after_unknown(at(0)).unwrap();
        }
        let estimate = estimate_delays(&stored, &[1, 1, 1], 2.0, at(1_000));
        assert_eq!(estimate.delays, [14_000, 14_500, 15_000].map(Delay::from_millis));
        assert_eq!(estimate.from_ms, 15_000);
    }

    proptest! {
        #[test]
        fn over_any_window_no_more_recipients_start_than_the_rate_allows(
            rate in prop_oneof![Just(1.0), Just(14.0), 1.0_f64..200.0],
            calls in prop::collection::vec((0_i64..3_000, prop::collection::vec(1_u32..=50, 1..10), any::<bool>()), 1..60),
        ) {
            let mut stored = None;
            let mut now_ms = 0;
            let mut starts: Vec<(i64, u32)> = Vec::new();
            for (wait_ms, recipients, knows) in calls {
                now_ms += wait_ms;
                let now = at(now_ms);
                // A process without a cached pace plans for an idle account; the write fails and returns the pace.
                let mut known = if knows { stored } else { None };
                for _ in 0..2 {
                    let Some(plan) = plan_starts(known.as_ref(), &recipients, rate, now) else { break };
                    if let Some(first_ms) = write(&mut stored, &plan, now) {
                        prop_assert!(first_ms >= now_ms);
                        for (offset_ms, count) in plan.offsets_ms.iter().zip(&recipients) {
                            prop_assert!(first_ms + offset_ms <= now_ms + millis(HORIZON));
                            starts.push((first_ms + offset_ms, *count));
                        }
                        break;
                    }
                    known = stored;
                }
            }
            for (from, (begin_ms, _)) in starts.iter().enumerate() {
                let mut before_last = 0_u32;
                for (start_ms, count) in &starts[from..] {
                    // The last mail may start whatever it costs; those before it must have had their time.
                    let window_s = f64::from(i32::try_from(start_ms - begin_ms).unwrap()) / 1000.0;
                    prop_assert!(f64::from(before_last) <= rate * window_s + 1e-6);
                    before_last += count;
                }
            }
        }
    }
}
