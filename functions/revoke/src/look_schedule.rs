//! When live keys are looked at: whether their revocation would work.
//!
//! Each key has a slot in the period, which follows from its id, so that looks are spread evenly however the keys were onboarded, and some
//! jitter on top, so that what a tenant's CloudTrail shows is not periodic. Two proofs are at most one and a half periods
//! apart, so a key that nothing has proved revocable for two is one whose looks fail or are not made.

use jiff::{SignedDuration, Timestamp};
use shared::id::AccessKeyId;
use shared::record::{RevocabilityFault, after_with_jitter, next_slot};
use shared::runtime::Ambient;

/// After a refusal by STS, until the look that confirms it. Only refusals at least [`LookSchedule::CONFIRMED_AFTER`] apart count.
const CONFIRM_AFTER: SignedDuration = SignedDuration::from_secs(90);

/// After a fault that lies with us.
const OWN_FAULT_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// After a fault that the tenant has to mend. Each look is a denial in its CloudTrail.
const TENANTS_FAULT_AGAIN_AFTER: SignedDuration = SignedDuration::from_hours(24);

/// After the first look without an answer; doubled with each further one up to [`MAX_AGAIN_AFTER_NO_ANSWER`].
const AGAIN_AFTER_NO_ANSWER: SignedDuration = SignedDuration::from_mins(15);
const MAX_AGAIN_AFTER_NO_ANSWER: SignedDuration = SignedDuration::from_hours(6);

/// The template's parameter `RevocabilityProofDays`, as a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct LookSchedule {
    period: SignedDuration,
}

impl LookSchedule {
    /// The time between two refusals by STS of which the second confirms the first: one proves nothing, because a stranger who
    /// calls AWS with the key's id can cause it.
    pub(crate) const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_secs(60);

    /// A proof of each key in so many days.
    pub(crate) fn from_days(days: u32) -> Self {
        Self { period: SignedDuration::from_hours(24 * i64::from(days.max(1))) }
    }

    /// Keys that nothing has proved revocable since then are overdue.
    pub(crate) fn overdue_since(self, now: Timestamp) -> Timestamp {
        now.saturating_sub(self.period * 2).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// The next look at a key that was just proved revocable: at its slot, half a period to one and a half from now.
    pub(crate) fn after_proof(self, access_key_id: &AccessKeyId, now: Timestamp, ambient: &Ambient) -> Timestamp {
        next_slot(access_key_id.as_str(), self.period, now, ambient)
    }

    /// The next look at a key with a fault.
    pub(crate) fn after_fault(self, fault: RevocabilityFault, now: Timestamp, ambient: &Ambient) -> Timestamp {
        let wait = if fault.is_ours() { OWN_FAULT_AGAIN_AFTER } else { TENANTS_FAULT_AGAIN_AFTER };
        let wait = wait.min(self.period);
        after_with_jitter(now, wait, wait / 6, ambient)
    }

    /// The look that confirms a refusal.
    pub(crate) fn after_refusal(self, now: Timestamp, ambient: &Ambient) -> Timestamp {
        after_with_jitter(now, CONFIRM_AFTER, SignedDuration::from_secs(60), ambient)
    }

    /// The next look after so many in a row that had no answer.
    pub(crate) fn after_no_answer(self, unanswered: u32, now: Timestamp, ambient: &Ambient) -> Timestamp {
        let doubled = AGAIN_AFTER_NO_ANSWER * 2_i32.pow(unanswered.saturating_sub(1).min(10));
        let wait = doubled.min(MAX_AGAIN_AFTER_NO_ANSWER);
        after_with_jitter(now, wait, wait / 5, ambient)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn ambient(random: fn() -> u64) -> Ambient {
        Ambient::new(|| Timestamp::UNIX_EPOCH, random)
    }

    fn key(n: u32) -> AccessKeyId {
        let digit = |place: u32| char::from(b'A' + u8::try_from(n / 26_u32.pow(place) % 26).unwrap());
        AccessKeyId::from_pasted(&format!("AKIASP2TPHJS{}{}{}{}RUX2", digit(3), digit(2), digit(1), digit(0))).unwrap()
    }

    #[test]
    fn the_looks_at_ten_thousand_keys_are_spread_evenly_over_the_week_whenever_they_were_proved() {
        let schedule = LookSchedule::from_days(7);
        let mut days = [0_u32; 7];
        for n in 0..10_000 {
            // All are onboarded in one night.
            let proved = at(i64::from(n) % (8 * HOUR));
            let next = schedule.after_proof(&key(n), proved, &ambient(|| 0));
            let wait = next.duration_since(proved).as_secs();
            assert!((84 * HOUR..252 * HOUR).contains(&wait), "{wait}");
            days[usize::try_from(next.as_second() / (24 * HOUR) % 7).unwrap()] += 1;
            // From then on it is looked at in its slot.
            let again = schedule.after_proof(&key(n), next, &ambient(|| 0));
            assert_eq!(again.duration_since(next).as_secs(), 168 * HOUR);
        }
        assert!(days.iter().all(|looks| (1_250..1_650).contains(looks)), "{days:?}");
    }

    #[test]
    fn with_the_latest_jitter_a_proof_comes_before_the_key_is_overdue() {
        for days in [1, 7, 90] {
            let schedule = LookSchedule::from_days(days);
            let period = i64::from(days) * 24 * HOUR;
            for n in 0..1_000 {
                for random in [|| 0, || u64::MAX, || 1 << 63] {
                    let wait = schedule.after_proof(&key(n), at(0), &ambient(random)).duration_since(at(0)).as_secs();
                    assert!((period / 2..period * 152 / 100).contains(&wait), "{days} {wait}");
                }
            }
            assert_eq!(schedule.overdue_since(at(0)), at(-2 * period));
        }
    }

    #[test]
    fn what_failed_is_looked_at_again_sooner() {
        let schedule = LookSchedule::from_days(7);
        let seconds = |time: Timestamp| time.duration_since(at(0)).as_secs();
        for fault in RevocabilityFault::ALL {
            let expected = if fault.is_ours() { HOUR } else { 24 * HOUR };
            let wait = seconds(schedule.after_fault(fault, at(0), &ambient(|| 0)));
            assert!((expected..=expected * 7 / 6).contains(&wait), "{fault:?}: {wait}");
        }
        for (unanswered, minutes) in [(0, 15), (1, 15), (2, 30), (3, 60), (5, 240), (6, 360), (7, 360), (u32::MAX, 360)]
        {
            let wait = seconds(schedule.after_no_answer(unanswered, at(0), &ambient(|| 0)));
            assert!((minutes * 60..=minutes * 72).contains(&wait), "{unanswered}: {wait}");
        }
        let wait = seconds(schedule.after_refusal(at(0), &ambient(|| 0)));
        assert!(wait > LookSchedule::CONFIRMED_AFTER.as_secs() && wait <= 150, "{wait}");
    }
}
