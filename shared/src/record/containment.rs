//! Containment: what was done in a tenant's account because a key could not be deleted.
//!
//! Nothing of it is undone by itself. Identity policies that were removed stand in
//! [`ResidualAccess`](super::ResidualAccess).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The pause of an account's sending in the provider's Region.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BreachContainment {
    /// What the last try came to.
    pub sending: PauseOutcome,
    /// When SES last confirmed the pause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sending_paused_at: Option<Timestamp>,
    /// AWS's request id of the last answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// AWS's error code, if there was an answer and it was an error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it was last tried.
    pub tried_at: Timestamp,
    /// How many orders there were for the key then: a further one tries again.
    pub order_count: u32,
}

/// What became of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PauseOutcome {
    /// SES confirmed it.
    Paused,
    /// The key may not do it.
    Denied,
    /// There was no answer, or one that says nothing about the permission.
    Failed,
    /// It was not tried: the key was off-boarded, and nothing says that others know it.
    Withheld,
}

impl PauseOutcome {
    /// The outcome as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Denied => "denied",
            Self::Failed => "failed",
            Self::Withheld => "withheld",
        }
    }

    /// Whether there is nothing to gain from another try.
    pub fn is_settled(self) -> bool {
        self != Self::Failed
    }
}
