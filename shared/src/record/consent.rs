//! What a tenant has agreed to before anything happens.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A tenant's consent, as it was recorded at onboarding.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Consent {
    /// Whether the key may contain a breach in the account that it cannot end by its own deletion: pause the account's
    /// sending in the provider's Region, and remove identity policies that name other accounts.
    pub pause_sending: bool,
    /// When it was recorded.
    pub given_at: Timestamp,
    /// The ARN that signed the request with it.
    pub signed_by: String,
}
