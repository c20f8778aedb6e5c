//! The state of a key, as decisions use it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Status, StatusName};

/// A key's state. It is stored as the [`Status`] that it shows. A reason that this version does not know makes the key
/// item unreadable: a state that is not understood is never taken for a death.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "Status", try_from = "Status")]
pub enum KeyState {
    /// In use.
    Active,
    /// Reported, and never onboarded.
    UnknownKey,
    /// Being deleted. A block reason here is a suspicion that is not confirmed yet.
    Revoking(Option<BlockReason>),
    /// Proved dead.
    Revoked,
    /// Refused everywhere, but its deletion is not proved: it can come back.
    RefusedUnproven,
    /// Alive, and unable to delete itself.
    RevocationBlocked(BlockReason),
}

/// Declares the block reasons, each with its word, so that no reason lacks one.
macro_rules! block_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident = $word:literal,)+) => {
        /// What keeps a key from deleting itself.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum BlockReason {
            $($(#[doc = $doc])+ $name,)+
        }

        impl BlockReason {
            /// All of them.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The reason as it is stored and shown.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(Self::$name => $word,)+
                }
            }
        }
    };
}

block_reasons! {
    /// A policy denies the deletion explicitly, while SES accepts the key: AWS has found the key too.
    Quarantined = "quarantined",
    /// The deletion is denied for any other reason.
    DeleteDenied = "delete_denied",
    /// The secret that was handed over is not the key's.
    SecretRejected = "secret_rejected",
    /// The revoke lane does not exist.
    SecretMissing = "secret_missing",
    /// KMS does not open the revoke lane, or the lane does not hold a secret.
    SecretUnreadable = "secret_unreadable",
}

/// The error for a status that no key has.
const NO_SUCH_STATE: &str = "a key has no such status and reason";

impl KeyState {
    /// The status without its reason.
    pub fn name(self) -> StatusName {
        match self {
            Self::Active => StatusName::Active,
            Self::UnknownKey => StatusName::UnknownKey,
            Self::Revoking(_) => StatusName::Revoking,
            Self::Revoked => StatusName::Revoked,
            Self::RefusedUnproven => StatusName::RefusedUnproven,
            Self::RevocationBlocked(_) => StatusName::RevocationBlocked,
        }
    }

    /// The reason.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Self::Revoking(block_reason) => block_reason.map(BlockReason::as_str),
            Self::RevocationBlocked(block_reason) => Some(block_reason.as_str()),
            Self::Active | Self::UnknownKey | Self::Revoked | Self::RefusedUnproven => None,
        }
    }

    /// Whether an order has stopped it. That is final.
    pub fn is_stopped(self) -> bool {
        self != Self::Active
    }

    /// Whether it is proved dead. Nothing else is the end of a revocation.
    pub fn is_dead(self) -> bool {
        self == Self::Revoked
    }

    /// Whether `revoke-worker` has something to do for it. There is nothing that it could do for a key that it has no secret
    /// of.
    pub fn needs_worker(self) -> bool {
        !matches!(self, Self::Revoked | Self::UnknownKey)
    }
}

impl BlockReason {
    fn parse(word: &str) -> Result<Self, &'static str> {
        Self::ALL.iter().copied().find(|reason| reason.as_str() == word).ok_or(NO_SUCH_STATE)
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
        match (status, reason.as_deref()) {
            // Only the provider is suspended; the key is still in use.
            (StatusName::Active | StatusName::Suspended, _) => Ok(Self::Active),
            (StatusName::UnknownKey, _) => Ok(Self::UnknownKey),
            (StatusName::Revoking, None) => Ok(Self::Revoking(None)),
            (StatusName::Revoking, Some(reason)) => Ok(Self::Revoking(Some(BlockReason::parse(reason)?))),
            (StatusName::Revoked, None) => Ok(Self::Revoked),
            (StatusName::RefusedUnproven, _) => Ok(Self::RefusedUnproven),
            (StatusName::RevocationBlocked, Some(reason)) => Ok(Self::RevocationBlocked(BlockReason::parse(reason)?)),
            (StatusName::Revoked, Some(_)) | (StatusName::RevocationBlocked, None) => Err(NO_SUCH_STATE),
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
            (KeyState::UnknownKey, json!({"status": "unknown_key"})),
            (KeyState::Revoking(None), json!({"status": "revoking"})),
            (
                KeyState::Revoking(Some(BlockReason::SecretRejected)),
                json!({"status": "revoking", "reason": "secret_rejected"}),
            ),
            (KeyState::Revoked, json!({"status": "revoked"})),
            (KeyState::RefusedUnproven, json!({"status": "refused_unproven"})),
        ];
        let blocked = BlockReason::ALL.iter().map(|&block_reason| {
            let stored = json!({"status": "revocation_blocked", "reason": block_reason.as_str()});
            (KeyState::RevocationBlocked(block_reason), stored)
        });
        for (state, stored) in states.into_iter().chain(blocked) {
            assert_eq!(serde_json::to_value(state).unwrap(), stored);
            assert_eq!(serde_json::from_value::<KeyState>(stored).unwrap(), state);
        }
        let in_use = json!({"status": "suspended", "reason": "sending_paused"});
        assert_eq!(serde_json::from_value::<KeyState>(in_use).unwrap(), KeyState::Active);
        let unreadable: [Value; 4] = [
            json!({"status": "revoked", "reason": "refused_unproven"}),
            json!({"status": "revoked", "reason": "something_new"}),
            json!({"status": "revocation_blocked"}),
            json!({"status": "revocation_blocked", "reason": "something_new"}),
        ];
        for stored in unreadable {
            assert!(serde_json::from_value::<KeyState>(stored.clone()).is_err(), "{stored}");
        }
    }

    /// The part of README's "Operate" that begins with this heading in bold.
    fn operate(heading: &str) -> &'static str {
        let readme = include_str!("../../../README.md");
        let (_, rest) = readme.split_once(&format!("- **{heading}")).unwrap();
        rest.split("\n- **").next().unwrap()
    }

    #[test]
    fn readme_says_what_to_do_about_every_reason() {
        for reason in BlockReason::ALL {
            let word = format!("`{}`", reason.as_str());
            assert!(operate("`Revocation Blocked`").contains(&word), "README does not explain {word}");
        }
    }

    #[test]
    fn the_sample_event_of_a_blocked_key_has_a_state_that_exists() {
        let event: Value =
            serde_json::from_str(include_str!("../../../events/revoke-revocation-blocked.json")).unwrap();
        let detail = &event["detail"];
        let state = json!({"status": detail["state"], "reason": detail["reason"]});
        let state = serde_json::from_value::<KeyState>(state).unwrap();
        assert!(matches!(state, KeyState::RevocationBlocked(_)), "{state}");
    }
}
