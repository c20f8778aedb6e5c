//! The status of a provider, and of its key.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Where a provider or key is on its way from `active` to `revoked`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StatusName {
    /// Mail goes out.
    Active,
    /// No mail goes out for now; the reason says why.
    Suspended,
    /// Reported before it was ever onboarded: a tombstone that keeps it out.
    Reported,
    /// Stopped for good; the key is being made to delete itself.
    Revoking,
    /// The key was seen dead. Reason `refused_unproven`: it is refused, but that it was deleted is not proved.
    Revoked,
    /// The key is alive and cannot delete itself; the reason says what stands in the way. Retried all the same.
    RevocationBlocked,
}

/// A status with its reason, as it is stored and shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The status.
    pub status: StatusName,
    /// Why, where the status alone does not say it: `sending_paused`, `refused_unproven`, `quarantined`, ….
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl StatusName {
    /// The name as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
            Self::Reported => "reported",
            Self::Revoking => "revoking",
            Self::Revoked => "revoked",
            Self::RevocationBlocked => "revocation_blocked",
        }
    }
}

impl Status {
    /// A status without a reason.
    pub fn plain(status: StatusName) -> Self {
        Self { status, reason: None }
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
