//! Residual access: what may still give access to the tenant's account when a key is dead.
//!
//! Whoever had the key may have minted sessions, made a second key, or attached identity policies that let another
//! account send. None of it dies with the key. It is read with the key itself right before the deletion, because nobody can
//! ask afterwards; what could not be read is said to be unknown, never to be absent.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

/// How long a session that was minted with a key can live: `sts:GetSessionToken` and `sts:GetFederationToken` take up to
/// 129,600 s (STS API reference). Deleting the key does not end it.
pub const MAX_SESSION_DURATION: SignedDuration = SignedDuration::from_hours(36);

/// What was seen right before the deletion.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResidualAccess {
    /// When it was read.
    pub checked_at: Timestamp,
    /// Other access keys of the same user.
    pub other_keys: OtherKeys,
    /// Identity policies of SES in the provider's Region.
    pub identity_policies: IdentityPolicies,
}

/// How much of a list could be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReadOutcome {
    /// All of it.
    Complete,
    /// Some of it: the time was over, or there is more than is read.
    Partial,
    /// The key may not read it.
    Denied,
    /// There was no answer in time.
    Unknown,
}

/// The user's other access keys, by `iam:ListAccessKeys`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherKeys {
    /// How much could be read.
    pub outcome: ReadOutcome,
    /// The keys.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<OtherKey>,
}

/// Another access key of the user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OtherKey {
    /// Its id, as IAM has it: one that is no key id to us is there all the same.
    pub access_key_id: String,
    /// Whether it is active.
    pub active: bool,
}

/// Identity policies that let another account use an identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct IdentityPolicies {
    /// How much could be read.
    pub outcome: ReadOutcome,
    /// Of how many identities.
    pub identities_read: usize,
    /// The policies that name another account, at most [`MAX_FOREIGN_POLICIES`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub foreign: Vec<ForeignPolicy>,
}

/// The most policies that are kept. The list says that it is partial if there are more.
pub const MAX_FOREIGN_POLICIES: usize = 20;

/// An identity policy that names another account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ForeignPolicy {
    /// The identity; of an address only the domain, as `…@example.com`.
    pub identity: String,
    /// The policy's name.
    pub policy_name: String,
    /// The accounts; `*` = anybody, `unreadable` = the policy could not be read.
    pub account_ids: BTreeSet<String>,
    /// Whether it was removed.
    pub removal: Removal,
    /// AWS's error code, if the removal failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removal_error: Option<String>,
}

/// What became of a foreign policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Removal {
    /// No order asked for it, and the tenant has not agreed to it or the key is not known to be undeletable.
    NotOrdered,
    /// It is to be removed, and it was not tried, or the answer was lost.
    NotDone,
    /// The key removed it, or it was gone.
    Removed,
    /// AWS refused.
    Failed,
}

impl ResidualAccess {
    /// Whether AWS said anything at all. If not, it is worth asking again.
    pub fn says_something(&self) -> bool {
        [self.other_keys.outcome, self.identity_policies.outcome].iter().any(|outcome| *outcome != ReadOutcome::Unknown)
    }

    /// How many foreign policies were found and are still there.
    pub fn remaining_policies(&self) -> usize {
        self.identity_policies.foreign.iter().filter(|policy| policy.removal != Removal::Removed).count()
    }
}

impl ReadOutcome {
    /// Whether the list says anything about what is there.
    pub fn was_read(self) -> bool {
        matches!(self, Self::Complete | Self::Partial)
    }
}
