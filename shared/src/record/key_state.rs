//! The state of a key, as far as decisions hang on it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Status, StatusName};

/// A key's state, which is stored as the [`Status`] that it shows. A reason that this version does not know makes a key
/// item unreadable: what is not understood is never taken for a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Status", try_from = "Status")]
pub enum KeyState {
    /// In use.
    Active,
    /// Reported before it was ever onboarded.
    Reported,
    /// On its way to being deleted; something may be in the way that is not believed yet.
    Revoking(Option<BlockReason>),
    /// Proved dead.
    Revoked,
    /// Refused everywhere, but that it was deleted is not proved: it can come back.
    RefusedUnproven,
    /// Alive, and something keeps it from deleting itself.
    RevocationBlocked(BlockReason),
}

/// What keeps a key from deleting itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BlockReason {
    /// A policy denies the deletion explicitly, while SES lets the key in: AWS has found the key too.
    Quarantined,
    /// The deletion is denied for any other reason.
    DeleteDenied,
    /// The secret that was handed over is not the key's.
    SecretRejected,
    /// The revoke lane is not there.
    SecretMissing,
    /// KMS does not open the revoke lane, or it holds something else.
    SecretUnreadable,
}

/// What is said of a status that no key has.
const NO_SUCH_STATE: &str = "a key has no such status and reason";

/// Reason of [`KeyState::RefusedUnproven`].
const REFUSED_UNPROVEN: &str = "refused_unproven";

impl KeyState {
    /// The status without its reason.
    pub fn name(self) -> StatusName {
        match self {
            Self::Active => StatusName::Active,
            Self::Reported => StatusName::Reported,
            Self::Revoking(_) => StatusName::Revoking,
            Self::Revoked | Self::RefusedUnproven => StatusName::Revoked,
            Self::RevocationBlocked(_) => StatusName::RevocationBlocked,
        }
    }

    /// The reason.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::RefusedUnproven => Some(REFUSED_UNPROVEN),
            Self::Revoking(block_reason) => block_reason.map(BlockReason::as_str),
            Self::RevocationBlocked(block_reason) => Some(block_reason.as_str()),
            Self::Active | Self::Reported | Self::Revoked => None,
        }
    }

    /// Whether an order has stopped it already. There is no way back from here.
    pub fn is_stopped(self) -> bool {
        self != Self::Active
    }

    /// Whether nothing is left to do: proved dead, or kept out before anybody handed it over.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Revoked | Self::Reported)
    }
}

impl BlockReason {
    const ALL: [Self; 5] =
        [Self::Quarantined, Self::DeleteDenied, Self::SecretRejected, Self::SecretMissing, Self::SecretUnreadable];

    fn as_str(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::DeleteDenied => "delete_denied",
            Self::SecretRejected => "secret_rejected",
            Self::SecretMissing => "secret_missing",
            Self::SecretUnreadable => "secret_unreadable",
        }
    }
}

impl From<KeyState> for Status {
    fn from(state: KeyState) -> Self {
        Self { status: state.name(), reason: state.reason().map(str::to_owned) }
    }
}

impl TryFrom<Status> for KeyState {
    type Error = &'static str;

    fn try_from(Status { status, reason }: Status) -> Result<Self, &'static str> {
        let block_reason =
            || BlockReason::ALL.into_iter().find(|block_reason| Some(block_reason.as_str()) == reason.as_deref());
        match (status, reason.as_deref()) {
            // A suspension is its provider's: the key is in use all the same.
            (StatusName::Active | StatusName::Suspended, _) => Ok(Self::Active),
            (StatusName::Reported, _) => Ok(Self::Reported),
            (StatusName::Revoking, None) => Ok(Self::Revoking(None)),
            (StatusName::Revoking, Some(_)) => block_reason().map(|it| Self::Revoking(Some(it))).ok_or(NO_SUCH_STATE),
            (StatusName::Revoked, None) => Ok(Self::Revoked),
            (StatusName::Revoked, Some(REFUSED_UNPROVEN)) => Ok(Self::RefusedUnproven),
            (StatusName::Revoked, Some(_)) => Err(NO_SUCH_STATE),
            (StatusName::RevocationBlocked, _) => block_reason().map(Self::RevocationBlocked).ok_or(NO_SUCH_STATE),
        }
    }
}

impl fmt::Display for KeyState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        Status::from(*self).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn a_key_state_is_stored_as_status_and_reason_and_none_but_revoked_reads_as_a_death() {
        let states = [
            (KeyState::Active, json!({"status": "active"})),
            (KeyState::Reported, json!({"status": "reported"})),
            (KeyState::Revoking(None), json!({"status": "revoking"})),
            (
                KeyState::Revoking(Some(BlockReason::SecretRejected)),
                json!({"status": "revoking", "reason": "secret_rejected"}),
            ),
            (KeyState::Revoked, json!({"status": "revoked"})),
            (KeyState::RefusedUnproven, json!({"status": "revoked", "reason": "refused_unproven"})),
        ];
        let blocked = BlockReason::ALL.map(|block_reason| {
            let stored = json!({"status": "revocation_blocked", "reason": block_reason.as_str()});
            (KeyState::RevocationBlocked(block_reason), stored)
        });
        for (state, stored) in states.into_iter().chain(blocked) {
            assert_eq!(serde_json::to_value(state).unwrap(), stored);
            assert_eq!(serde_json::from_value::<KeyState>(stored).unwrap(), state);
        }
        let in_use = json!({"status": "suspended", "reason": "sending_paused"});
        assert_eq!(serde_json::from_value::<KeyState>(in_use).unwrap(), KeyState::Active);
        let unreadable: [Value; 3] = [
            json!({"status": "revoked", "reason": "something_new"}),
            json!({"status": "revocation_blocked"}),
            json!({"status": "revocation_blocked", "reason": "something_new"}),
        ];
        for stored in unreadable {
            assert!(serde_json::from_value::<KeyState>(stored.clone()).is_err(), "{stored}");
        }
    }
}
