//! The policies that tenants are told to attach, each with a version that a provider's record names.

use std::sync::LazyLock;

use serde::Serialize;

use crate::document::{Document, MAX_CHARACTERS};

/// The version of [`classic`].
pub const CLASSIC_VERSION: &str = "classic-1";

/// The version of [`hardened`]. It changes with every change of the document.
pub const HARDENED_VERSION: &str = "hardened-1";

const CLASSIC: &str = include_str!("../data/classic.json");
const HARDENED: &str = include_str!("../data/hardened.json");

/// Which of the two policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Style {
    /// `ses:*`, and two IAM actions on all users.
    Classic,
    /// The actions that are used and nothing else, on the tenant's own resources, with denies that keep it so.
    Hardened,
}

impl Style {
    /// Reads `classic` or `hardened`.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "classic" => Some(Self::Classic),
            "hardened" => Some(Self::Hardened),
            _ => None,
        }
    }

    /// The version of the document as it is today.
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

/// The hardened policy for an account; `None` unless `account_id` is twelve digits.
///
/// It fits a user's inline quota of 2,048 characters (AWS: "IAM and AWS STS quotas"). A user below a path has the ARN
/// `user/path/name`, hence the pair of resources, which AWS's own `IAMUserChangePassword` uses as well.
pub fn hardened(account_id: &str) -> Option<String> {
    is_account_id(account_id).then(|| HARDENED.replace("ACCOUNT", account_id))
}

pub(crate) fn is_account_id(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `sts:GetCallerIdentity` needs no permission and cannot be denied (AWS: STS API reference), so granting it is never
/// too much.
const ALWAYS_ALLOWED: &str = r#"{"Statement":{"Effect":"Allow","Action":"sts:GetCallerIdentity","Resource":"*"}}"#;

static CEILING: LazyLock<Vec<Document>> =
    LazyLock::new(|| read(&[CLASSIC, &CLASSIC.replace("arn:aws:", "arn:*:"), ALWAYS_ALLOWED]));

/// What no key may exceed: the classic policy as it stands, which most are compared with at a glance, the same in any
/// partition, and what everybody may.
pub(crate) fn ceiling() -> &'static [Document] {
    &CEILING
}

/// What a key needs and nothing else, with the own user under any path.
pub(crate) fn floor(partition: &str, user_name: &str) -> Vec<Document> {
    let user = user_name.replace('$', "${$}").replace('*', "${*}").replace('?', "${?}");
    let statements = serde_json::json!([
        {"Effect": "Allow", "Action": SES_ACTIONS, "Resource": "*"},
        {"Effect": "Allow", "Action": IAM_ACTIONS, "Resource": [format!("arn:{partition}:iam::*:user/{user}"), format!("arn:{partition}:iam::*:user/*/{user}")]},
    ]);
    read(&[&serde_json::json!({"Version": "2012-10-17", "Statement": statements}).to_string()])
}

/// What the product calls with a tenant's key (ARCHITECTURE.md).
pub(crate) const SES_ACTIONS: [&str; 6] = [
    "ses:GetAccount",
    "ses:SendEmail",
    "ses:SendRawEmail",
    "ses:ListEmailIdentities",
    "ses:CreateConfigurationSet",
    "ses:CreateConfigurationSetEventDestination",
];

/// What the key does with itself.
pub(crate) const IAM_ACTIONS: [&str; 2] = ["iam:GetUser", "iam:DeleteAccessKey"];

/// Our own documents are sound (a test reads them all); one that is not would allow nothing, so that everything is
/// excess.
fn read(texts: &[&str]) -> Vec<Document> {
    texts.iter().filter_map(|text| Document::parse_with_limit(text, MAX_CHARACTERS).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documents_are_sound_and_fit_a_user() {
        let hardened = hardened("123456789012").unwrap();
        for text in [classic(), &hardened] {
            assert!(text.chars().filter(|character| !character.is_whitespace()).count() <= 2_048);
            assert_eq!(Document::parse(text).unwrap().warnings(), []);
        }
        assert!(!hardened.contains("ACCOUNT"));
        assert_eq!(super::hardened("12345678901"), None);
        assert_eq!(ceiling().len(), 3);
        for partition in ["aws", "aws-cn"] {
            assert_eq!(floor(partition, "a*b$c").len(), 1);
        }
    }

    #[test]
    fn the_versions_follow_the_documents() {
        // Whoever changes a document changes its version, and then these lengths.
        assert_eq!((CLASSIC_VERSION, classic().len()), ("classic-1", 407));
        assert_eq!((HARDENED_VERSION, HARDENED.len()), ("hardened-1", 1_253));
    }
}
