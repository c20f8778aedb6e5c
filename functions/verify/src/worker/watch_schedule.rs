//! When a provider is verified next, and how thoroughly. Pure.

use jiff::{SignedDuration, Timestamp};
use shared::id::ProviderId;
use shared::record::{Provider, StatusName, Watch, after_with_jitter, next_slot};
use shared::runtime::Ambient;

/// How long a failure has to last before it suspends: it is seen at least twice.
pub(crate) const CONFIRMED_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// Of so many verifications one makes all checks, each of which costs up to 14 denials that the tenant's intrusion detection sees.
const ALL_CHECKS_EVERY: i32 = 7;

/// After the first verification without an answer; doubled with each further one up to [`MAX_AGAIN_AFTER_NO_ANSWER`].
const AGAIN_AFTER_NO_ANSWER: SignedDuration = SignedDuration::from_mins(15);
const MAX_AGAIN_AFTER_NO_ANSWER: SignedDuration = SignedDuration::from_hours(6);

/// A suspended provider is verified again after a quarter of the time that it has been suspended, and not sooner than this.
const SUSPENDED_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// When something is tried again that whoever recorded it may have died before doing.
const UNTOLD_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// How thorough a verification is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// The checks whose calls a good key is allowed: STS, GetUser, the delete probe, GetAccount.
    Cheap,
    /// All of them, as at onboarding.
    All,
}

/// The template's parameter `WatchHours`, as a schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WatchSchedule {
    period: SignedDuration,
}

impl WatchSchedule {
    /// A verification of each provider in so many hours.
    pub(crate) fn from_hours(hours: u32) -> Self {
        Self { period: SignedDuration::from_hours(i64::from(hours.max(1))) }
    }

    /// How thorough the next verification has to be: whatever decides about the provider's status makes all checks.
    pub(crate) fn depth(self, provider: &Provider, watch: &Watch, now: Timestamp) -> Depth {
        // Half a period less, because a verification is up to half a period early.
        let due_after = self.period * ALL_CHECKS_EVERY - self.period / 2;
        let is_due = watch.verified_at.is_none_or(|verified_at| now.duration_since(verified_at) >= due_after);
        let decides = provider.status.status == StatusName::Suspended || watch.failing.is_some();
        match is_due || decides || watch.asked.is_some() {
            true => Depth::All,
            false => Depth::Cheap,
        }
    }

    /// When a provider is verified next whose status and watch are these.
    pub(crate) fn next(self, provider: &Provider, watch: &Watch, now: Timestamp, ambient: &Ambient) -> Timestamp {
        if watch.unanswered > 0 {
            let doubled = AGAIN_AFTER_NO_ANSWER * 2_i32.pow((watch.unanswered - 1).min(10));
            let wait = doubled.min(MAX_AGAIN_AFTER_NO_ANSWER).min(self.period);
            return after_with_jitter(now, wait, wait / 5, ambient);
        }
        let suspended_for = provider.status.suspension();
        if let Some(failing) = &watch.failing
            && suspended_for != Some(failing.reason)
        {
            let confirmed_at = failing.since.saturating_add(CONFIRMED_AFTER).unwrap_or(now);
            let wait = confirmed_at.duration_since(now).max(UNTOLD_AGAIN_AFTER);
            return after_with_jitter(now, wait, SignedDuration::from_mins(10), ambient);
        }
        if provider.status.status == StatusName::Suspended {
            let lasted = now.duration_since(provider.updated_at);
            let wait = (lasted / 4).max(SUSPENDED_AGAIN_AFTER).min(self.period);
            return after_with_jitter(now, wait, wait / 5, ambient);
        }
        self.next_slot(&provider.provider_id, now, ambient)
    }

    /// When a verification is made again, if operators could not be told of what this one found.
    pub(crate) fn untold(now: Timestamp) -> Timestamp {
        now.saturating_add(UNTOLD_AGAIN_AFTER).unwrap_or(now)
    }

    fn next_slot(self, provider_id: &ProviderId, now: Timestamp, ambient: &Ambient) -> Timestamp {
        next_slot(provider_id.as_str(), self.period, now, ambient)
    }
}

#[cfg(test)]
mod tests {
    use shared::record::{FailingVerification, Status, SuspensionReason};

    use super::*;
    use crate::fixtures::provider;

    const MINUTE: i64 = 60;
    const HOUR: i64 = 60 * MINUTE;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn ambient() -> Ambient {
        Ambient::new(|| Timestamp::UNIX_EPOCH, || 0)
    }

    fn active() -> Provider {
        Provider { updated_at: at(0), ..provider() }
    }

    fn suspended(reason: SuspensionReason) -> Provider {
        Provider { status: Status::because(StatusName::Suspended, reason.as_str()), ..active() }
    }

    fn failing(reason: SuspensionReason, since: i64) -> Watch {
        let failing = FailingVerification { reason, since: at(since), access_key_id: active().access_key_id };
        Watch { failing: Some(failing), ..Watch::after_onboarding(at(0)) }
    }

    #[test]
    fn all_checks_are_made_weekly_and_whenever_they_decide_something() {
        let schedule = WatchSchedule::from_hours(24);
        let fresh = Watch::after_onboarding(at(0));
        let asked = Watch { asked: Some(shared::id::VerificationId::new(&ambient())), ..fresh.clone() };
        for (provider, watch, now, expected) in [
            (active(), fresh.clone(), at(24 * HOUR), Depth::Cheap),
            (active(), fresh.clone(), at(155 * HOUR), Depth::Cheap),
            (active(), fresh.clone(), at(156 * HOUR), Depth::All),
            (active(), asked, at(1), Depth::All),
            (active(), Watch::default(), at(1), Depth::All),
            (active(), failing(SuspensionReason::KeyGone, 0), at(1), Depth::All),
            (suspended(SuspensionReason::SendingPaused), fresh, at(1), Depth::All),
        ] {
            assert_eq!(schedule.depth(&provider, &watch, now), expected, "{watch:?} at {now}");
        }
    }

    #[test]
    fn what_fails_is_seen_again_after_an_hour_and_what_is_not_answered_ever_more_rarely() {
        let schedule = WatchSchedule::from_hours(24);
        let wait = |provider: &Provider, watch: &Watch, now: i64| {
            schedule.next(provider, watch, at(now), &ambient()).duration_since(at(now)).as_secs()
        };
        let gone = SuspensionReason::KeyGone;
        let within = |seconds: i64, least: i64, most: i64| assert!((least..=most).contains(&seconds), "{seconds}");
        within(wait(&active(), &failing(gone, 0), 0), HOUR, 70 * MINUTE);
        // Seen by a verification that somebody asked for meanwhile: the confirmation comes no later for that.
        within(wait(&active(), &failing(gone, 0), 50 * MINUTE), 10 * MINUTE, 20 * MINUTE);
        within(wait(&active(), &failing(gone, 0), 2 * HOUR), MINUTE, 11 * MINUTE);
        // Suspended: after a quarter of its age.
        within(wait(&suspended(gone), &failing(gone, 0), MINUTE), 15 * MINUTE, 18 * MINUTE);
        within(wait(&suspended(gone), &failing(gone, 0), 8 * HOUR), 2 * HOUR, 144 * MINUTE);
        within(wait(&suspended(gone), &failing(gone, 0), 1000 * HOUR), 24 * HOUR, 29 * HOUR);
        // Suspended for something else than what fails now: that has to be confirmed first.
        within(wait(&suspended(SuspensionReason::SendingPaused), &failing(gone, 0), 0), HOUR, 70 * MINUTE);
        for (unanswered, minutes) in [(1, 15), (2, 30), (3, 60), (6, 360), (u32::MAX, 360)] {
            let watch = Watch { unanswered, ..Watch::after_onboarding(at(0)) };
            within(wait(&active(), &watch, 0), minutes * MINUTE, minutes * MINUTE * 6 / 5);
        }
        within(wait(&active(), &Watch::after_onboarding(at(0)), 0), 12 * HOUR, 37 * HOUR);
    }

    #[test]
    fn the_verifications_of_ten_thousand_providers_are_spread_evenly_over_the_day() {
        let schedule = WatchSchedule::from_hours(24);
        let mut hours = [0_u32; 24];
        for n in 0..10_000_u64 {
            let id = ulid(n);
            let provider = Provider { provider_id: ProviderId::parse(&id).unwrap(), ..active() };
            // All are onboarded in one hour.
            let next = schedule.next(&provider, &Watch::after_onboarding(at(0)), at((n % 3600) as i64), &ambient());
            hours[usize::try_from(next.as_second() / HOUR % 24).unwrap()] += 1;
        }
        assert!(hours.iter().all(|looks| (300..540).contains(looks)), "{hours:?}");
    }

    fn ulid(n: u64) -> String {
        let alphabet = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";
        let mut tail = String::new();
        let mut rest = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        for _ in 0..12 {
            tail.push(char::from(alphabet[usize::try_from(rest % 32).unwrap()]));
            rest /= 32;
        }
        format!("prv_01ARZ3NDEKTSV4{tail}")
    }
}
