//! The verdict on a key.

use serde::{Deserialize, Serialize};

/// The answer to "may we accept this key?".
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Exactly what the product needs.
    Minimal,
    /// Everything that the product needs, and nothing that is too much.
    Sufficient,
    /// A required permission is missing.
    Insufficient,
    /// Something is allowed that must not be.
    Overprivileged,
}

impl Verdict {
    /// The name used in reports and case files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Sufficient => "sufficient",
            Self::Insufficient => "insufficient",
            Self::Overprivileged => "overprivileged",
        }
    }

    /// Whether a key with this verdict is accepted.
    pub const fn is_acceptable(self) -> bool {
        matches!(self, Self::Minimal | Self::Sufficient)
    }
}
