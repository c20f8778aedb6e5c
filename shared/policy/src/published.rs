//! The policies that tenants are told to attach. Each has a version, which the provider's record names.

use serde::Serialize;

use crate::account_id::is_account_id;

/// The version of [`classic`].
pub const CLASSIC_VERSION: &str = "classic-1";

/// The version of [`hardened`]. It changes with every change of the document.
pub const HARDENED_VERSION: &str = "hardened-1";

const CLASSIC: &str = include_str!("../data/classic.json");
const HARDENED: &str = include_str!("../data/hardened.json");

/// Which of the two published policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyStyle {
    /// `ses:*`, and two IAM actions on all users.
    Classic,
    /// Only the actions that the product calls, only on the tenant's own resources, with denies that keep it so.
    Hardened,
}

impl PolicyStyle {
    /// Reads `classic` or `hardened`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "classic" => Some(Self::Classic),
            "hardened" => Some(Self::Hardened),
            _ => None,
        }
    }

    /// The current version of the document.
    pub const fn version(self) -> &'static str {
        match self {
            Self::Classic => CLASSIC_VERSION,
            Self::Hardened => HARDENED_VERSION,
        }
    }
}

/// The classic policy, byte for byte as tenants are told to paste it.
pub const fn classic() -> &'static str {
    CLASSIC
}

/// The hardened policy for an account; `None` unless `account_id` has twelve digits.
///
/// It fits a user's inline quota of 2,048 characters (AWS: "IAM and AWS STS quotas"). A user below a path has the ARN
/// `user/path/name`. That is why the policy names a pair of resources, as AWS's own `IAMUserChangePassword` does.
pub fn hardened(account_id: &str) -> Option<String> {
    is_account_id(account_id).then(|| HARDENED.replace("ACCOUNT", account_id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PolicyDocument;

    #[test]
    fn the_documents_are_sound_and_fit_a_user() {
        let hardened = hardened("123456789012").unwrap();
        for text in [classic(), &hardened] {
            assert!(text.chars().filter(|character| !character.is_whitespace()).count() <= 2_048);
            assert_eq!(PolicyDocument::parse(text).unwrap().warnings(), []);
        }
        assert!(!hardened.contains("ACCOUNT"));
        assert_eq!(super::hardened("12345678901"), None);
    }

    #[test]
    fn the_versions_follow_the_documents() {
        // Whoever changes a document changes its version, and then these lengths.
        assert_eq!((CLASSIC_VERSION, classic().len()), ("classic-1", 407));
        assert_eq!((HARDENED_VERSION, HARDENED.len()), ("hardened-1", 1_253));
    }
}
