//! When the sweep picks a key up again.

use jiff::{SignedDuration, Timestamp};
use shared::record::{KeyItem, KeyState};

/// Shortest and longest delay for a key that should be dead but is not yet, or whose AWS gives no answer.
const REVOKING_DELAY: [SignedDuration; 2] = [SignedDuration::from_secs(60), SignedDuration::from_mins(15)];

/// Shortest and longest delay for a blocked key: the tenant may remove what blocks it at any time.
const BLOCKED_DELAY: [SignedDuration; 2] = [SignedDuration::from_mins(5), SignedDuration::from_hours(6)];

/// When a key whose deletion is not proved is probed again, after its last change of state; after that, once a week for as
/// long as it lasts.
const UNPROVEN_PROBES_AFTER: [SignedDuration; 3] =
    [SignedDuration::from_hours(1), SignedDuration::from_hours(24), WEEK];
const WEEK: SignedDuration = SignedDuration::from_hours(7 * 24);

/// The longest delay for a key that should be dead.
pub(super) const MAX_REVOKING_DELAY: SignedDuration = REVOKING_DELAY[1];

/// When the key is due again. A delay as long as the time since the last change of state doubles each time, without a
/// counter.
pub(super) fn retry_at(key: &KeyItem, now: Timestamp) -> Option<Timestamp> {
    let elapsed = now.duration_since(key.updated_at);
    match key.state {
        KeyState::Revoking(_) => Some(later(now, elapsed.clamp(REVOKING_DELAY[0], REVOKING_DELAY[1]))),
        KeyState::RevocationBlocked(_) => Some(later(now, elapsed.clamp(BLOCKED_DELAY[0], BLOCKED_DELAY[1]))),
        KeyState::RefusedUnproven => {
            let early = UNPROVEN_PROBES_AFTER.into_iter().map(|after| later(key.updated_at, after));
            Some(early.into_iter().find(|probe| *probe > now).unwrap_or_else(|| {
                let weeks = elapsed.as_secs() / WEEK.as_secs() + 1;
                later(key.updated_at, WEEK.saturating_mul(i32::try_from(weeks).unwrap_or(i32::MAX)))
            }))
        }
        KeyState::Active | KeyState::UnknownKey | KeyState::Revoked => None,
    }
}

/// The time that is `by` later.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}
