//! What a tenant's administrator has to be told about a key that could not be deleted: a text that operators pass on. Pure.

use std::fmt::Write as _;

use jiff::Timestamp;
use shared::record::{BlockReason, KeyItem, KeyState, Owner, PauseOutcome, Removal};

/// The text for the tenant. There is one while the key cannot be deleted, and afterwards as long as something has to be
/// switched on again; otherwise `None`.
pub(crate) fn tenant_notice(key: &KeyItem) -> Option<String> {
    let owner = key.owner.as_ref()?;
    match key.state {
        KeyState::RevocationBlocked(reason) => Some(blocked_notice(key, owner, reason)),
        KeyState::Revoked => paused_at(key).map(|at| ended_notice(key, owner, at, "is deleted")),
        KeyState::RefusedUnproven => {
            paused_at(key).map(|at| ended_notice(key, owner, at, "is not accepted by AWS any more"))
        }
        KeyState::Active | KeyState::UnknownKey | KeyState::Revoking(_) => None,
    }
}

fn blocked_notice(key: &KeyItem, owner: &Owner, reason: BlockReason) -> String {
    let why = match reason {
        BlockReason::Quarantined => {
            "it is alive, and a Deny statement forbids it to delete itself, as AWS's quarantine of keys found in public does"
        }
        BlockReason::DeleteDenied => "it is alive, and your account does not let it delete itself",
        BlockReason::SecretRejected => "it may be alive, and the secret that we were given for it is not its secret",
        BlockReason::SecretMissing | BlockReason::SecretUnreadable => {
            "it may be alive, and we cannot read its secret any more"
        }
    };
    let mut paragraphs = vec![
        format!(
            "We have stopped sending with {}, but we cannot delete it: {why}. Whoever has it can use it until you delete it.",
            described(key, owner)
        ),
        format!(
            "Delete it now: sign in to account {} and open {}. Under \"Access keys\" choose this key, \"Actions\", \"Delete\".",
            owner.account_id,
            console_link(owner)
        ),
    ];
    match paused_at(key) {
        Some(at) => {
            paragraphs.push(format!("{} {}", paused_sentence(owner, at), resume_sentence(owner, "the key is deleted")))
        }
        None => {
            let tried = match key.receipt.containment.as_ref().map(|containment| containment.sending) {
                Some(PauseOutcome::Denied) => " With your consent we tried to, and your account did not let us.",
                Some(PauseOutcome::Failed | PauseOutcome::Paused) => {
                    " With your consent we tried to, and Amazon SES did not do it yet; we try again."
                }
                Some(PauseOutcome::Withheld) | None => "",
            };
            paragraphs.push(format!(
                "We have not paused sending by Amazon SES in your account.{tried} To pause it until the key is deleted:\n  aws \
                 sesv2 put-account-sending-attributes --no-sending-enabled --region {}",
                owner.region
            ));
        }
    }
    let policies = key.receipt.residual_access.as_ref().map(|seen| &seen.identity_policies.foreign);
    let removed = policies.map_or(0, |all| all.iter().filter(|policy| policy.removal == Removal::Removed).count());
    let left = policies.map_or(0, |all| all.len() - removed);
    if removed + left > 0 {
        paragraphs.push(format!(
            "SES identity policies that let other accounts send as you in {}: {removed} removed by us, {left} left for you to look \
             at.",
            owner.region
        ));
    }
    paragraphs.push("Then look in CloudTrail for what was done with the key.".to_owned());
    paragraphs.join("\n")
}

fn ended_notice(key: &KeyItem, owner: &Owner, at: Timestamp, how: &str) -> String {
    format!(
        "Now {} {how}.\n{} {}",
        described(key, owner),
        paused_sentence(owner, at),
        resume_sentence(owner, "you have seen in CloudTrail what was done with the key")
    )
}

/// When SES confirmed that sending is paused.
fn paused_at(key: &KeyItem) -> Option<Timestamp> {
    key.receipt.containment.as_ref()?.sending_paused_at
}

fn described(key: &KeyItem, owner: &Owner) -> String {
    let user = owner.user_name.as_ref().map(|name| format!(" of IAM user {name}")).unwrap_or_default();
    format!("the AWS access key {}{user} in account {}", key.access_key_id, owner.account_id)
}

fn paused_sentence(owner: &Owner, at: Timestamp) -> String {
    format!(
        "With your consent we paused sending by Amazon SES in {} for the whole account at {}, whoever sends.",
        owner.region,
        at.strftime("%Y-%m-%d %H:%M:%S UTC")
    )
}

/// What AWS itself has paused, nobody but AWS resumes (SES API v2 reference, `PutAccountSendingAttributes`).
fn resume_sentence(owner: &Owner, once: &str) -> String {
    format!(
        "We do not switch it on again. Once {once}, do it yourself:\n  aws sesv2 put-account-sending-attributes \
         --sending-enabled --region {}",
        owner.region
    )
}

/// The page of the IAM console that deletes the user's keys, or what leads there.
fn console_link(owner: &Owner) -> String {
    let Some(host) = owner.region.console_host() else { return "the IAM console at the key's user".to_owned() };
    match &owner.user_name {
        Some(name) => {
            format!("https://{host}/iam/home#/users/details/{}?section=security_credentials", percent_encoded(name))
        }
        None => format!("https://{host}/iam/home#/users at the user of this key"),
    }
}

/// A user's name as a part of a URL. It may have `+=,.@_-` beside letters and digits (IAM API reference, `CreateUser`).
fn percent_encoded(name: &str) -> String {
    name.bytes().fold(String::new(), |mut text, byte| {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            let _ = write!(text, "%{byte:02X}");
        }
        text
    })
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn key(status: &Value, region: &str, user_name: Option<&str>, receipt: &Value) -> KeyItem {
        let mut key = json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "owner": {
                "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "account_id": "171436882533",
                "region": region, "user_name": user_name,
            },
            "updated_at": "2026-11-23T10:00:07Z",
            "receipt": receipt,
        });
        key.as_object_mut().unwrap().extend(status.as_object().unwrap().clone());
        serde_json::from_value(key).unwrap()
    }

    fn blocked(reason: &str) -> Value {
        json!({ "status": "revocation_blocked", "reason": reason })
    }

    fn paused() -> Value {
        json!({ "containment": {
            "sending": "paused", "sending_paused_at": "2026-11-23T10:00:06.5Z", "tried_at": "2026-11-23T10:00:06Z",
            "order_count": 1,
        } })
    }

    #[test]
    fn every_block_reason_has_a_notice_that_says_what_to_delete_and_where() {
        for reason in BlockReason::ALL {
            let key = key(&blocked(reason.as_str()), "eu-central-1", Some("mailer"), &json!({}));
            let text = tenant_notice(&key).unwrap();
            for part in [
                "AKIASP2TPHJSQH3FJRUX",
                "IAM user mailer in account 171436882533",
                "https://console.aws.amazon.com/iam/home#/users/details/mailer?section=security_credentials",
                "--no-sending-enabled --region eu-central-1",
            ] {
                assert!(text.contains(part), "{reason:?}: {text}");
            }
            assert_eq!(text.contains("quarantine"), *reason == BlockReason::Quarantined, "{text}");
        }
    }

    #[test]
    fn the_link_fits_the_partition_and_the_name() {
        let cases = [
            (
                "us-east-1",
                Some("a+b=c,d.e@f_g-h"),
                "https://console.aws.amazon.com/iam/home#/users/details/a%2Bb%3Dc%2Cd.e%40f_g-h?",
            ),
            ("us-gov-west-1", Some("mailer"), "https://console.amazonaws-us-gov.com/iam/home#/users/details/mailer?"),
            ("us-east-1", None, "https://console.aws.amazon.com/iam/home#/users at the user of this key"),
        ];
        for (region, user_name, expected) in cases {
            let text = tenant_notice(&key(&blocked("delete_denied"), region, user_name, &json!({}))).unwrap();
            assert!(text.contains(expected), "{text}");
        }
    }

    #[test]
    fn a_notice_says_whether_sending_is_paused_and_how_to_undo_it() {
        let resume = "aws sesv2 put-account-sending-attributes --sending-enabled --region eu-central-1";
        let notice = |status: &Value, receipt: &Value| tenant_notice(&key(status, "eu-central-1", Some("m"), receipt));
        let text = notice(&blocked("quarantined"), &paused()).unwrap();
        assert!(text.contains("at 2026-11-23 10:00:06 UTC") && text.contains(resume), "{text}");
        assert!(!text.contains("--no-sending-enabled"), "{text}");
        for (outcome, words) in [("denied", "did not let us"), ("failed", "we try again")] {
            let tried =
                json!({ "containment": { "sending": outcome, "tried_at": "2026-11-23T10:00:06Z", "order_count": 1 } });
            let text = notice(&blocked("quarantined"), &tried).unwrap();
            assert!(text.contains(words) && text.contains("--no-sending-enabled") && !text.contains(resume), "{text}");
        }
        for status in ["revoked", "refused_unproven"] {
            let status = json!({ "status": status });
            assert!(notice(&status, &paused()).unwrap().contains(resume));
            assert_eq!(notice(&status, &json!({})), None);
        }
        for status in ["active", "unknown_key", "revoking"] {
            assert_eq!(notice(&json!({ "status": status }), &paused()), None, "{status}");
        }
    }

    #[test]
    fn a_notice_counts_what_was_removed_and_what_was_not() {
        let policy = |name: &str, removal: &str| json!({"identity": "example.com", "policy_name": name, "account_ids": ["123456789012"], "removal": removal});
        let seen = json!({ "residual_access": {
            "checked_at": "2026-11-23T10:00:01Z", "other_keys": {"outcome": "denied"},
            "identity_policies": {"outcome": "complete", "identities_read": 1, "foreign": [
                policy("a", "removed"), policy("b", "removed"), policy("c", "failed"),
            ]},
        } });
        let text = tenant_notice(&key(&blocked("quarantined"), "eu-central-1", Some("m"), &seen)).unwrap();
        assert!(text.contains("in eu-central-1: 2 removed by us, 1 left for you"), "{text}");
    }
}
