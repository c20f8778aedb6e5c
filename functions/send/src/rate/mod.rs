//! The pace of an account in a Region: GCRA in recipients, from SES's MaxSendRate. Pure; [`table`] does the writing.
//!
//! Every mail gets a start, and the next mail starts after the time that SES's rate allows for this one's recipients.
//! There are no bursts: SES tolerates short ones, but publishes no size. A reservation reaches at most [`HORIZON`] ahead, because
//! a batch sleeps for its slowest mail and an environment does nothing else meanwhile. The worker sleeps until the start; it is
//! never stored: a mail without one lines up ([`line`]), which reserves nothing.
//!
//! Mail of high priority reserves up to [`HIGH_HORIZON`] ahead, so it finds a start while others fill theirs. It may take four
//! fifths of the rate, so the others always get a fifth.
//!
//! The account may have other senders, so the rate adapts: a 429 halves our share of MaxSendRate, and times without a 429
//! restore it step by step.
//!
//! While SES gives no answers, there are no starts: see [`breaker`]. While the daily quota is used up, there are none
//! either: see [`quota`].

mod breaker;
mod breaker_table;
mod line;
mod quota;
mod quota_table;
mod table;

use jiff::{SignedDuration, Timestamp};
use shared::mail::{Mail, Priority};
use shared::queue::Message;

use crate::delay::Delay;
use crate::wait_reason::WaitReason;

pub(crate) use breaker::Breaker;
pub(crate) use line::{Lines, line_cost_ms, line_from_ms};
pub(crate) use quota::{AccountQuota, AccountReading};
pub(crate) use table::{Rates, max_send_rate};

/// How far ahead a start may lie. The start and not the end: a mail to 50 recipients passes at one a second.
pub(crate) const HORIZON: SignedDuration = SignedDuration::from_secs(1);

/// The same for mail of high priority.
pub(crate) const HIGH_HORIZON: SignedDuration = SignedDuration::from_secs(4);

/// How much of the rate mail of high priority may take, in thousandths.
const HIGH_SHARE: i64 = 800;

/// The whole of MaxSendRate, in thousandths.
const FULL_SHARE: i64 = 1000;

/// How much more time a mail takes where the account may send one a second. SES publishes no size for the bursts that it
/// tolerates. Where it is a second's worth, this account has nothing in reserve: a request that comes some milliseconds early is over its rate, and
/// the 429 costs half of the pace for most of a minute.
const SLOW_COST: f64 = 1.04;

/// The smallest share after 429s, in thousandths.
const MIN_SHARE: i64 = 50;

/// How much each interval without a 429 restores, in thousandths, and how long it is.
const RECOVERY_STEP: i64 = 100;
const RECOVERY_INTERVAL: SignedDuration = SignedDuration::from_secs(10);

/// 429s at the same moment have one cause: the share is halved at most once in this time.
const HALVING_INTERVAL: SignedDuration = SignedDuration::from_secs(1);

/// The pace of an account in a Region as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pace {
    /// When the next mail may start (the theoretical arrival time of GCRA), in epoch microseconds: at 300 a
    /// second, whole milliseconds would cost a fifth of the rate.
    pub(crate) tat_us: i64,
    /// The same for mail of high priority alone, at the share of the rate that it may take.
    pub(crate) high_tat_us: i64,
    /// Who has lined up for a start.
    pub(crate) lines: Lines,
    /// Our share of MaxSendRate, in thousandths.
    pub(crate) share: i64,
    /// When the share last changed, in epoch milliseconds.
    pub(crate) share_changed_ms: i64,
    /// Until when a key of the account is under suspicion, in epoch milliseconds.
    pub(crate) suspected_until_ms: i64,
    /// Whether SES gives answers.
    pub(crate) breaker: Breaker,
    /// What is known of the account's quotas.
    pub(crate) quota: AccountQuota,
}

/// When a mail may start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Slot {
    /// At this time.
    At(Timestamp),
    /// There is no start within the horizon: the mail is requeued with this delay.
    Later(Delay),
    /// It would wait for longer than a message may be delayed.
    Parked(ParkedSlot),
    /// SES gives no answers: the mail is requeued with this delay, unless it is the one that tries.
    BreakerOpen(Delay),
}

/// Why a mail is parked, and when it may start at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ParkedSlot {
    /// Why.
    pub(crate) reason: WaitReason,
    /// When.
    pub(crate) eta: Timestamp,
}

/// A mail that needs a start.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct StartRequest {
    /// Its recipients, which SES counts.
    pub(crate) recipients: u32,
    /// Its priority.
    pub(crate) priority: Priority,
    /// Whether it has not stood in a line yet: others may have lined up before it.
    pub(crate) is_new: bool,
}

impl StartRequest {
    /// A mail, and the message that carries it.
    pub(crate) fn of(mail: &Mail, message: &Message) -> Self {
        Self { recipients: mail.recipients(), priority: mail.priority, is_new: !message.lined_up }
    }
}

/// A reservation to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ReservationPlan {
    /// When each mail starts, in microseconds after the first; the mails at the end that do not fit are left out.
    pub(crate) offsets_us: Vec<i64>,
    /// The time that these mails take together, in microseconds.
    pub(crate) total_us: i64,
    /// When the first one starts, which is also the condition of the write.
    pub(crate) first: FirstStart,
    /// The same among mail of high priority, if it is that.
    pub(crate) high: Option<HighPlan>,
    /// The recipients.
    pub(crate) recipients: u32,
    /// The share that it was planned with, in thousandths.
    pub(crate) share: i64,
    /// The stored share that the plan is based on; if it differs from `share`, the write changes it.
    pub(crate) was_share: Option<i64>,
}

/// When a reservation's first mail starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FirstStart {
    /// Now, if no reservation reaches beyond now.
    Now,
    /// When the last reservation ends, if that is not later than `latest_us`.
    BehindOthers {
        /// The latest first start with which the last mail still starts within the horizon, in epoch microseconds.
        latest_us: i64,
    },
}

/// What mails of high priority take of what such mail may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct HighPlan {
    /// When the first one may start.
    pub(crate) first: FirstStart,
    /// The time that these mails take together, in microseconds.
    pub(crate) total_us: i64,
}

/// Plans the starts of mails of one priority with these numbers of recipients, in this order. `None` if not even the first one
/// fits.
pub(crate) fn plan_starts(
    pace: Option<&Pace>,
    recipients: &[u32],
    priority: Priority,
    max_send_rate: f64,
    now: Timestamp,
) -> Option<ReservationPlan> {
    let now_us = now.as_microsecond();
    let horizon_us = millis(horizon(priority)) * 1000;
    let ahead = |tat_us: Option<i64>| tat_us.filter(|tat_us| *tat_us >= now_us).map(|tat_us| tat_us - now_us);
    let (busy_us, high_busy_us) = (ahead(pace.map(|pace| pace.tat_us)), ahead(pace.map(|pace| pace.high_tat_us)));
    let share = pace.map_or(FULL_SHARE, |pace| recovered_share(pace, now));
    let mut offsets_us = Vec::with_capacity(recipients.len());
    let (mut total_us, mut high_total_us, mut high_last_us) = (0, 0, 0);
    for count in recipients {
        let is_full = busy_us.unwrap_or(0) + total_us > horizon_us;
        let is_high_full = high_busy_us.unwrap_or(0) + high_total_us > horizon_us;
        if is_full || (priority == Priority::High && is_high_full) {
            break;
        }
        offsets_us.push(total_us);
        high_last_us = high_total_us;
        let cost_us = cost_us(*count, max_send_rate, share);
        total_us += cost_us;
        high_total_us += cost_us * FULL_SHARE / HIGH_SHARE;
    }
    let last_us = *offsets_us.last()?;
    let first = |busy_us: Option<i64>, last_us: i64| match busy_us {
        None => FirstStart::Now,
        Some(_) => FirstStart::BehindOthers { latest_us: now_us + horizon_us - last_us },
    };
    let high = HighPlan { first: first(high_busy_us, high_last_us), total_us: high_total_us };
    Some(ReservationPlan {
        recipients: recipients.iter().take(offsets_us.len()).sum(),
        offsets_us,
        total_us,
        first: first(busy_us, last_us),
        high: (priority == Priority::High).then_some(high),
        share,
        was_share: pace.map(|pace| pace.share),
    })
}

/// How far ahead mail of this priority may start.
pub(crate) fn horizon(priority: Priority) -> SignedDuration {
    match priority {
        Priority::Normal => HORIZON,
        Priority::High => HIGH_HORIZON,
    }
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

/// The time that so many recipients take, in microseconds, rounded up so that it is never faster than the rate. SES has no
/// rate below one a second; it is read as one.
fn cost_us(recipients: u32, max_send_rate: f64, share: i64) -> i64 {
    let share_of_one = f64::from(i32::try_from(share.clamp(MIN_SHARE, FULL_SHARE)).unwrap_or(1000)) / 1000.0;
    let rate = if max_send_rate.is_finite() { max_send_rate.max(1.0) } else { 1.0 };
    let slower = if rate > 1.0 { 1.0 } else { SLOW_COST };
    let cost = (f64::from(recipients.max(1)) * 1_000_000.0 * slower / (rate * share_of_one)).ceil();
    #[expect(
        clippy::cast_possible_truncation,
        reason = "a whole number far below 2^63: at most 50 at a twentieth a second"
    )]
    let cost = cost as i64;
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
        Pace { tat_us: tat_ms * 1000, share, share_changed_ms, ..Pace::default() }
    }

    /// The table: what a plan's conditional write does to the stored pace. Returns the first start, in microseconds.
    fn write(stored: &mut Option<Pace>, plan: &ReservationPlan, now: Timestamp) -> Option<i64> {
        let now_us = now.as_microsecond();
        let tat_us = stored.map(|pace| pace.tat_us);
        let first_us = match (plan.first, tat_us) {
            (FirstStart::Now, Some(tat_us)) if tat_us >= now_us => return None,
            (FirstStart::Now, _) => now_us,
            (FirstStart::BehindOthers { latest_us }, Some(tat_us)) if tat_us >= now_us && tat_us <= latest_us => tat_us,
            (FirstStart::BehindOthers { .. }, _) => return None,
        };
        if stored.is_some_and(|pace| Some(pace.share) != plan.was_share) {
            return None;
        }
        let was = stored.unwrap_or_default();
        let high_tat_us = match plan.high {
            None => was.high_tat_us,
            Some(HighPlan { first: FirstStart::Now, .. }) if was.high_tat_us >= now_us && stored.is_some() => {
                return None;
            }
            Some(HighPlan { first: FirstStart::Now, total_us }) => now_us + total_us,
            Some(HighPlan { first: FirstStart::BehindOthers { latest_us }, total_us })
                if (now_us..=latest_us).contains(&was.high_tat_us) =>
            {
                was.high_tat_us + total_us
            }
            Some(_) => return None,
        };
        let changed = stored.is_none_or(|pace| pace.share != plan.share);
        *stored = Some(Pace {
            tat_us: first_us + plan.total_us,
            high_tat_us,
            share: plan.share,
            share_changed_ms: if changed { now.as_millisecond() } else { was.share_changed_ms },
            ..was
        });
        Some(first_us)
    }

    #[test]
    fn mails_are_spaced_by_their_recipients() {
        let plan = plan_starts(None, &[1, 1, 5, 1], Priority::Normal, 10.0, at(0)).unwrap();
        assert_eq!(plan.offsets_us, [0, 100_000, 200_000, 700_000]);
        assert_eq!(plan.total_us, 800_000);
        assert_eq!(plan.first, FirstStart::Now);
    }

    #[test]
    fn a_mail_to_fifty_passes_at_one_a_second() {
        let plan_of_one = plan_starts(None, &[50, 1], Priority::Normal, 1.0, at(0)).unwrap();
        assert_eq!(plan_of_one.offsets_us, [0]);
        assert_eq!(plan_of_one.total_us, 52_000_000);
        let plan_at = |now_ms| plan_starts(Some(&pace(50_000, FULL_SHARE, 0)), &[1], Priority::Normal, 1.0, at(now_ms));
        assert_eq!(plan_at(48_999), None);
        assert!(plan_at(49_000).is_some());
    }

    #[test]
    fn requests_that_come_some_milliseconds_early_or_late_are_within_the_rate() {
        let noise = (0..600_i64).map(|n| n * 7_919 % 35);
        for rate in [1.0, 14.0] {
            let at_ms: Vec<i64> = noise
                .clone()
                .enumerate()
                .map(|(n, late)| i64::try_from(n).unwrap() * cost_us(1, rate, FULL_SHARE) / 1000 + late)
                .collect();
            // SES counts with no more than a second's worth in reserve.
            let (mut reserve, mut last_ms) = (f64::max(rate, 1.0), 0);
            for now_ms in at_ms {
                #[expect(clippy::cast_precision_loss, reason = "milliseconds of some minutes")]
                let elapsed_s = (now_ms - last_ms) as f64 / 1000.0;
                reserve = (reserve + elapsed_s * rate).min(f64::max(rate, 1.0)) - 1.0;
                last_ms = now_ms;
                assert!(reserve > -1e-6, "over {rate}/s at {now_ms} ms");
            }
        }
    }

    #[test]
    fn a_hundred_mails_at_fourteen_a_second_fill_the_horizon_and_no_more() {
        // One every 71.4 ms, the first at 0, the last not later than the horizon.
        for (priority, count) in [(Priority::Normal, 14), (Priority::High, 45)] {
            assert_eq!(plan_starts(None, &[1; 100], priority, 14.0, at(0)).unwrap().offsets_us.len(), count);
        }
    }

    #[test]
    fn mail_of_high_priority_finds_a_start_while_others_fill_theirs() {
        let mut stored = None;
        let plan = plan_starts(None, &[1; 10], Priority::Normal, 2.0, at(0)).unwrap();
        write(&mut stored, &plan, at(0)).unwrap();
        assert_eq!(plan_starts(stored.as_ref(), &[1], Priority::Normal, 2.0, at(0)), None);
        let plan = plan_starts(stored.as_ref(), &[1], Priority::High, 2.0, at(0)).unwrap();
        assert_eq!(write(&mut stored, &plan, at(0)), Some(1_500_000));
    }

    #[test]
    fn mail_of_high_priority_leaves_a_fifth_of_the_rate_to_the_others() {
        // Both always have more to send than the rate allows, and mail of high priority is asked for first.
        let (mut stored, mut high, mut normal) = (None, 0_usize, 0_usize);
        for now_ms in (0..600_000).step_by(100) {
            for (priority, count) in [(Priority::High, &mut high), (Priority::Normal, &mut normal)] {
                if let Some(plan) = plan_starts(stored.as_ref(), &[1; 10], priority, 10.0, at(now_ms)) {
                    write(&mut stored, &plan, at(now_ms)).unwrap();
                    *count += plan.offsets_us.len();
                }
            }
        }
        let (all, rate) = (high + normal, 6_000);
        assert!(all.abs_diff(rate) < 60, "{all} of {rate}");
        assert!((1_100..1_400).contains(&normal), "{normal} of {all}");
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

    proptest! {
        #[test]
        fn over_any_window_no_more_recipients_start_than_the_rate_allows(
            rate in prop_oneof![Just(1.0), Just(14.0), 1.0_f64..200.0],
            calls in prop::collection::vec(
                (0_i64..3_000, prop::collection::vec(1_u32..=50, 1..10), any::<bool>(), any::<bool>()),
                1..60,
            ),
        ) {
            let mut stored = None;
            let mut now_ms = 0;
            let mut starts: Vec<(i64, u32)> = Vec::new();
            for (wait_ms, recipients, knows, is_high) in calls {
                let priority = if is_high { Priority::High } else { Priority::Normal };
                now_ms += wait_ms;
                let now = at(now_ms);
                // A process without a cached pace plans for an idle account; the write fails and returns the pace.
                let mut known = if knows { stored } else { None };
                for _ in 0..2 {
                    let Some(plan) = plan_starts(known.as_ref(), &recipients, priority, rate, now) else { break };
                    if let Some(first_us) = write(&mut stored, &plan, now) {
                        prop_assert!(first_us >= now_ms * 1000);
                        for (offset_us, count) in plan.offsets_us.iter().zip(&recipients) {
                            prop_assert!(first_us + offset_us <= (now_ms + millis(horizon(priority))) * 1000);
                            starts.push((first_us + offset_us, *count));
                        }
                        break;
                    }
                    known = stored;
                }
            }
            for (from, (begin_us, _)) in starts.iter().enumerate() {
                let mut before_last = 0_u32;
                for (start_us, count) in &starts[from..] {
                    // The last mail may start whatever it costs; those before it must have had their time.
                    let window_s = f64::from(i32::try_from(start_us - begin_us).unwrap_or(i32::MAX)) / 1_000_000.0;
                    prop_assert!(f64::from(before_last) <= rate * window_s + 1e-6);
                    before_last += count;
                }
            }
        }
    }
}
