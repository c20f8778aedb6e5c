//! How long a key rests until the sweep takes it up again.

use jiff::{SignedDuration, Timestamp};
use shared::record::{KeyItem, KeyState};

/// Pauses of a key that should be dead but is not yet, or of which nothing can be learned.
const REVOKING_PAUSE: [SignedDuration; 2] = [SignedDuration::from_secs(60), SignedDuration::from_mins(15)];

/// Pauses of a blocked key: the tenant may lift what blocks it at any time.
const BLOCKED_PAUSE: [SignedDuration; 2] = [SignedDuration::from_mins(5), SignedDuration::from_hours(6)];

/// When a key whose deletion is not proved is looked at again.
const UNPROVEN_LOOKS: [SignedDuration; 3] =
    [SignedDuration::from_hours(1), SignedDuration::from_hours(24), SignedDuration::from_hours(7 * 24)];

/// The longest that a key rests which should be dead.
pub(super) const LONGEST: SignedDuration = REVOKING_PAUSE[1];

/// When the key is due again. Waiting as long as it has waited so far doubles the pause without a counter.
pub(super) fn pause(key: &KeyItem, now: Timestamp) -> Option<Timestamp> {
    let waited = now.duration_since(key.updated_at);
    match key.state {
        KeyState::Revoking(_) => Some(later(now, waited.clamp(REVOKING_PAUSE[0], REVOKING_PAUSE[1]))),
        KeyState::RevocationBlocked(_) => Some(later(now, waited.clamp(BLOCKED_PAUSE[0], BLOCKED_PAUSE[1]))),
        KeyState::RefusedUnproven => {
            UNPROVEN_LOOKS.into_iter().map(|look| later(key.updated_at, look)).find(|look| *look > now)
        }
        KeyState::Active | KeyState::Reported | KeyState::Revoked => None,
    }
}

/// A time and some more.
pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}
