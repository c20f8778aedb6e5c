//! The status of a provider, and of its key.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::rounds::Rounds;

/// Where a provider or key is on its way from `active` to `revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusName {
    /// Mail goes out.
    Active,
    /// No mail goes out for now; the reason says why.
    Suspended,
    /// Reported, and never onboarded: a tombstone that keeps it out.
    UnknownKey,
    /// Stopped for good; the key is being made to delete itself.
    Revoking,
    /// The key was seen dead.
    Revoked,
    /// The key is refused, but that it was deleted is not proved: it can come back.
    RefusedUnproven,
    /// The key is alive and cannot delete itself; the reason says what stands in the way. Retried all the same.
    RevocationBlocked,
}

/// A status with its reason, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The status.
    pub status: StatusName,
    /// Why, where the status alone does not say it: `sending_paused`, `quarantined`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why a provider is suspended. README.md ("Operate") tells operators what to do about each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SuspensionReason {
    /// The tenant or AWS paused the account's sending.
    SendingPaused,
    /// AWS suspended the account's sending.
    AccountSuspended,
    /// AWS refuses the key: it is unknown, deleted, inactive, or its secret is another one.
    KeyRejected,
    /// No policy allows the key to send.
    PermissionMissing,
    /// A policy denies the key to send, as AWS's quarantine policy for keys found in public does.
    Quarantined,
    /// AWS does not know the key any more: the tenant has deleted or deactivated it, or its user.
    KeyGone,
    /// The key may not delete itself any more, or not read its user: a breach would find it alive.
    NotRevocable,
    /// The key may do more than it has to.
    ExcessPermissions,
    /// It is known less well than the operator requires that the key can do nothing else.
    AssuranceLost,
    /// SES does not answer the key in the provider's Region: the Region is disabled, or `ses:GetAccount` denied.
    SesUnavailable,
}

/// The latest suspension of a provider, which lasts or is over. Its mail waits in rounds, and is parked if it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspension {
    /// Since when.
    pub since: Timestamp,
    /// When it ended; absent while it lasts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
}

impl Suspension {
    /// One that begins.
    pub fn begins(now: Timestamp) -> Self {
        Self { since: now, ended_at: None }
    }

    /// When a mail that was handed over at `first_seen` is looked at again; `None` if it may go.
    pub fn wait_until(&self, first_seen: Timestamp, now: Timestamp) -> Option<Timestamp> {
        Rounds { began_at: self.since, ended_at: self.ended_at }.wait_until(first_seen, now)
    }
}

impl SuspensionReason {
    /// Every reason.
    pub const ALL: [Self; 10] = [
        Self::SendingPaused,
        Self::AccountSuspended,
        Self::KeyRejected,
        Self::PermissionMissing,
        Self::Quarantined,
        Self::KeyGone,
        Self::NotRevocable,
        Self::ExcessPermissions,
        Self::AssuranceLost,
        Self::SesUnavailable,
    ];

    /// The reason that is stored as this word; `None` for a word that is none.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }

    /// Whether it is the key that is refused, so that another key may send. The others are about the account.
    pub fn is_about_key(self) -> bool {
        match self {
            Self::KeyRejected
            | Self::PermissionMissing
            | Self::Quarantined
            | Self::KeyGone
            | Self::NotRevocable
            | Self::ExcessPermissions
            | Self::AssuranceLost => true,
            Self::SendingPaused | Self::AccountSuspended | Self::SesUnavailable => false,
        }
    }

    /// Whether a request to send shows when it is over. What is left only a verification finds.
    pub fn is_seen_by_sending(self) -> bool {
        match self {
            Self::SendingPaused
            | Self::AccountSuspended
            | Self::KeyRejected
            | Self::PermissionMissing
            | Self::Quarantined
            | Self::KeyGone => true,
            Self::NotRevocable | Self::ExcessPermissions | Self::AssuranceLost | Self::SesUnavailable => false,
        }
    }

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::SendingPaused => "sending_paused",
            Self::AccountSuspended => "account_suspended",
            Self::KeyRejected => "key_rejected",
            Self::PermissionMissing => "permission_missing",
            Self::Quarantined => "quarantined",
            Self::KeyGone => "key_gone",
            Self::NotRevocable => "not_revocable",
            Self::ExcessPermissions => "excess_permissions",
            Self::AssuranceLost => "assurance_lost",
            Self::SesUnavailable => "ses_unavailable",
        }
    }
}

impl StatusName {
    /// The name as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::UnknownKey => "unknown_key",
            Self::Revoking => "revoking",
            Self::Revoked => "revoked",
            Self::RefusedUnproven => "refused_unproven",
            Self::RevocationBlocked => "revocation_blocked",
        }
    }
}

impl Status {
    /// A status without a reason.
    pub fn plain(status: StatusName) -> Self {
        Self { status, reason: None }
    }

    /// Whether it is a suspension because of the key.
    pub fn is_suspended_for_key(&self) -> bool {
        let reason = self.reason.as_deref().and_then(SuspensionReason::parse);
        self.status == StatusName::Suspended && reason.is_some_and(SuspensionReason::is_about_key)
    }

    /// A status with its reason.
    pub fn because(status: StatusName, reason: impl Into<String>) -> Self {
        Self { status, reason: Some(reason.into()) }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.status.as_str())?;
        match &self.reason {
            Some(reason) => write!(formatter, "{{{reason}}}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn readme_and_sample_event_name_the_suspension_reasons() {
        let readme = include_str!("../../../README.md");
        for reason in SuspensionReason::ALL.map(SuspensionReason::as_str) {
            assert!(readme.contains(&format!("`{reason}`")), "README.md does not say what `{reason}` means");
        }
        let event: Value = serde_json::from_str(include_str!("../../../events/send-provider-suspended.json")).unwrap();
        let reason = event["detail"]["reason"].as_str().unwrap();
        assert!(SuspensionReason::ALL.iter().any(|known| known.as_str() == reason), "{reason}");
    }
}
