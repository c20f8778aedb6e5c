//! The policies that tenants are told to attach. Each has a version, which the provider's record names.

use serde::Serialize;

use crate::account_id::is_account_id;

/// The version of [`classic`].
pub const CLASSIC_VERSION: &str = "classic-1";

/// The version of [`hardened`]. It changes with every change of the document.
pub const HARDENED_VERSION: &str = "hardened-3";

/// The version of the hardened policy that also lets the key pause the account's sending, for tenants who agree to that: what
/// it allows beyond [`HARDENED_VERSION`] serves only if the key cannot be deleted.
pub const HARDENED_PAUSE_VERSION: &str = "hardened-3-pause";

/// The version of the hardened policy that also lets the key keep a configuration set of ours (`sendingbee-…`) and see what the account's
/// identities still need, for tenants who agree to that.
pub const HARDENED_CONFIGURE_VERSION: &str = "hardened-3-configure";

/// The version that lets the key do both.
pub const HARDENED_CONFIGURE_PAUSE_VERSION: &str = "hardened-3-configure-pause";

/// The most characters of all inline policies of a user together, white space not counted (AWS: "IAM and AWS STS
/// quotas").
pub const MAX_INLINE_CHARACTERS: usize = 2_048;

/// Every version that was ever published, the current ones included: providers' records name the version that was
/// current when their key was checked.
pub const PUBLISHED: [PublishedPolicy; 10] = [
    PublishedPolicy {
        style: PolicyStyle::Classic,
        version: CLASSIC_VERSION,
        text: include_str!("../data/classic-1.json"),
    },
    of_hardened("hardened-1", include_str!("../data/hardened-1.json")),
    of_hardened("hardened-2", include_str!("../data/hardened-2.json")),
    of_hardened("hardened-2-pause", include_str!("../data/hardened-2-pause.json")),
    of_hardened("hardened-2-configure", include_str!("../data/hardened-2-configure.json")),
    of_hardened("hardened-2-configure-pause", include_str!("../data/hardened-2-configure-pause.json")),
    of_hardened(HARDENED_VERSION, HARDENED),
    of_hardened(HARDENED_PAUSE_VERSION, include_str!("../data/hardened-3-pause.json")),
    of_hardened(HARDENED_CONFIGURE_VERSION, include_str!("../data/hardened-3-configure.json")),
    of_hardened(HARDENED_CONFIGURE_PAUSE_VERSION, include_str!("../data/hardened-3-configure-pause.json")),
];

const fn of_hardened(version: &'static str, text: &'static str) -> PublishedPolicy {
    PublishedPolicy { style: PolicyStyle::Hardened, version, text }
}

const CLASSIC: &str = PUBLISHED[0].text;
const HARDENED: &str = include_str!("../data/hardened-3.json");

/// One version of a published policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublishedPolicy {
    /// Which policy it is a version of.
    pub style: PolicyStyle,
    /// Its name.
    pub version: &'static str,
    text: &'static str,
}

/// Which of the two published policies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum PolicyStyle {
    /// `ses:*`, and two IAM actions on all users.
    Classic,
    /// Only the actions that the product calls, only on the tenant's own resources, with denies that keep it so.
    Hardened,
}

/// How a policy can be attached to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AttachAs {
    /// As inline policy of the user, if it has no others; a managed policy does as well.
    Inline,
    /// As managed policy only: it is too long for an inline one.
    Managed,
}

impl AttachAs {
    /// How a document of this text can be attached.
    pub fn of_text(text: &str) -> Self {
        if text.chars().filter(|character| !character.is_whitespace()).count() <= MAX_INLINE_CHARACTERS {
            Self::Inline
        } else {
            Self::Managed
        }
    }

    /// The name used in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Inline => "inline",
            Self::Managed => "managed",
        }
    }
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

    /// The current version of the document for tenants who agree to the pause of their account's sending, to the configuration of their
    /// SES, or to both. The classic policy allows either as it is.
    pub const fn version_with(self, pause: bool, configure: bool) -> &'static str {
        match (self, pause, configure) {
            (Self::Classic, _, _) => CLASSIC_VERSION,
            (Self::Hardened, false, false) => HARDENED_VERSION,
            (Self::Hardened, true, false) => HARDENED_PAUSE_VERSION,
            (Self::Hardened, false, true) => HARDENED_CONFIGURE_VERSION,
            (Self::Hardened, true, true) => HARDENED_CONFIGURE_PAUSE_VERSION,
        }
    }

    /// The current version of the document.
    pub const fn version(self) -> &'static str {
        self.version_with(false, false)
    }
}

impl PublishedPolicy {
    /// The document for an account, as it is attached. The classic policy is the same for every account.
    pub fn document(&self, account_id: &str) -> Option<String> {
        match self.style {
            PolicyStyle::Classic => Some(self.text.to_owned()),
            PolicyStyle::Hardened => is_account_id(account_id).then(|| self.text.replace("ACCOUNT", account_id)),
        }
    }
}

/// The version with this name, whether current or not.
pub fn published(version: &str) -> Option<&'static PublishedPolicy> {
    PUBLISHED.iter().find(|policy| policy.version == version)
}

/// The classic policy, byte for byte as tenants are told to paste it.
pub const fn classic() -> &'static str {
    CLASSIC
}

/// The hardened policy for an account; `None` unless `account_id` has twelve digits.
///
/// It fits a user's inline quota of [`MAX_INLINE_CHARACTERS`]. A user below a path has the ARN `user/path/name`. That is
/// why the policy names a pair of resources, as AWS's own `IAMUserChangePassword` does. The key may read all policies
/// that apply to it, so that an onboarding can prove what it may do: those of its own user only, but those of every
/// group and every managed policy, because the policy cannot name the user's groups.
///
/// `ses:SendEmail` and `ses:SendTemplatedEmail` are both allowed on templates, because AWS names templates as resources of
/// both (Service Authorization Reference, SES v2).
///
/// `NotAction` has patterns, so that the text is short enough. What is allowed is written out: a pattern there would allow
/// what AWS adds.
pub fn hardened(account_id: &str) -> Option<String> {
    is_account_id(account_id).then(|| HARDENED.replace("ACCOUNT", account_id))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::catalogue::{Action, CATALOGUE};
    use crate::document::{Effect, PolicyDocument, Statement};

    /// The listed actions that a statement names.
    fn actions_of(statement: &Statement) -> BTreeSet<&'static str> {
        let is_named = |action: &&Action| {
            statement.actions.patterns.iter().any(|pattern| pattern.matches(action.service, &action.lower))
        };
        let listed = CATALOGUE.services().flat_map(|(_, service)| &service.actions);
        listed.filter(is_named).map(|action| action.name.as_str()).collect()
    }

    #[test]
    fn the_documents_are_sound_and_fit_a_user() {
        for policy in &PUBLISHED {
            let text = policy.document("123456789012").unwrap();
            assert_eq!(AttachAs::of_text(&text), AttachAs::Inline, "{}", policy.version);
            assert_eq!(PolicyDocument::parse(&text).unwrap().warnings(), []);
            assert!(!text.contains("ACCOUNT"));
        }
        assert_eq!(hardened("12345678901"), None);
    }

    #[test]
    fn the_versions_follow_the_documents() {
        // Whoever changes a document changes its version, and then these lengths. What was published once stays.
        let lengths = PUBLISHED.map(|policy| (policy.version, policy.text.len()));
        assert_eq!(
            lengths,
            [
                ("classic-1", 407),
                ("hardened-1", 1_253),
                ("hardened-2", 1_897),
                ("hardened-2-pause", 1_965),
                ("hardened-2-configure", 1_958),
                ("hardened-2-configure-pause", 2_026),
                ("hardened-3", 1_880),
                ("hardened-3-pause", 1_948),
                ("hardened-3-configure", 1_941),
                ("hardened-3-configure-pause", 2_009),
            ]
        );
        for style in [PolicyStyle::Classic, PolicyStyle::Hardened] {
            for (pause, configure) in [(false, false), (true, false), (false, true), (true, true)] {
                let version = style.version_with(pause, configure);
                assert_eq!(published(version).unwrap().style, style);
                if style == PolicyStyle::Hardened {
                    assert_eq!((version.ends_with("-pause"), version.contains("-configure")), (pause, configure));
                }
            }
        }
        assert_eq!(published("hardened-3").unwrap().document("123456789012"), hardened("123456789012"));
        assert_eq!(published("classic-1").unwrap().document(""), Some(classic().to_owned()));
        assert_eq!(published("hardened-4"), None);
    }

    #[test]
    fn the_current_version_allows_templates_and_otherwise_exactly_what_the_one_before_it_did() {
        const TEMPLATE_ACTION: &str = "ses:SendTemplatedEmail";
        for variant in ["", "-pause", "-configure", "-configure-pause"] {
            let read = |version: &str| {
                let text = published(&format!("{version}{variant}")).unwrap().document("123456789012").unwrap();
                PolicyDocument::parse(text).unwrap()
            };
            let (before, now) = (read("hardened-2"), read(HARDENED_VERSION));
            assert_eq!(before.statements().len(), now.statements().len());
            for (before, now) in before.statements().iter().zip(now.statements()) {
                let place = format!("{:?} of hardened-3{variant}", now.sid());
                assert_eq!((before.sid(), before.effect()), (now.sid(), now.effect()));
                assert_eq!(before.excludes_actions(), now.excludes_actions(), "{place}");
                assert_eq!(before.excludes_resources(), now.excludes_resources(), "{place}");
                assert_eq!(before.conditions(), now.conditions(), "{place}");
                let (mut actions, mut resources) = (actions_of(before), before.resources().collect::<Vec<_>>());
                if matches!(before.sid(), Some("SesSend" | "NothingElse")) {
                    actions.insert(TEMPLATE_ACTION);
                }
                if before.sid() == Some("SesSend") {
                    resources.push("arn:aws:ses:*:123456789012:template/*");
                }
                assert_eq!(actions_of(now), actions, "{place}");
                assert_eq!(now.resources().collect::<Vec<_>>(), resources, "{place}");
                // Nothing is allowed of what AWS may add.
                let written = before.actions().chain([TEMPLATE_ACTION]).collect::<Vec<_>>();
                assert!(
                    now.effect() == Effect::Deny || now.actions().all(|action| written.contains(&action)),
                    "{place}"
                );
            }
        }
    }

    #[test]
    fn a_text_that_is_too_long_for_a_user_is_attached_as_managed_policy() {
        assert_eq!(AttachAs::of_text(&"x \n".repeat(MAX_INLINE_CHARACTERS)), AttachAs::Inline);
        assert_eq!(AttachAs::of_text(&"x".repeat(MAX_INLINE_CHARACTERS + 1)), AttachAs::Managed);
    }
}
