//! What a tenant's administrator has to be told about a suspension, and can do about it: a text that operators pass on, and the remedy
//! that `GET /providers/{provider_id}` shows. Pure.

use shared::record::{Provider, SuspensionReason};

/// The text for the tenant: what happened, and its remedy.
pub(crate) fn tenant_notice(provider: &Provider, reason: SuspensionReason) -> String {
    let (what, remedy) = words(provider, reason);
    let Provider { account_id, region, user_name, .. } = provider;
    format!(
        "We do not send mail through Amazon SES of your account {account_id} in {region} (IAM user {user_name}, access key {}) for \
         now: {what} Your mail is kept. {remedy}",
        provider.access_key_id.masked()
    )
}

/// What the tenant can do about a suspension.
pub(crate) fn remedy(provider: &Provider, reason: SuspensionReason) -> String {
    words(provider, reason).1
}

fn words(provider: &Provider, reason: SuspensionReason) -> (&'static str, String) {
    let Provider { region, user_name, .. } = provider;
    let dashboard = format!("https://{region}.console.aws.amazon.com/ses/home?region={region}#/account");
    let user =
        format!("https://console.aws.amazon.com/iam/home#/users/details/{user_name}?section=security_credentials");
    match reason {
        SuspensionReason::SendingPaused => (
            "sending is paused in the account.",
            format!("Resume it in the SES console ({dashboard}), or with: aws sesv2 put-account-sending-attributes --sending-enabled --region {region}"),
        ),
        SuspensionReason::AccountSuspended => (
            "AWS has shut down sending for the account.",
            format!("Answer AWS's review in the SES console ({dashboard}). Mail flows again when AWS lets it."),
        ),
        SuspensionReason::KeyRejected => (
            "AWS does not accept the access key with the secret that we have.",
            format!("Look at the key in IAM ({user}): activate it if it is inactive, or create another one and hand it over."),
        ),
        SuspensionReason::KeyGone => (
            "AWS does not know the access key any more: it was deleted or deactivated, or its user was deleted.",
            format!(
                "If that was on purpose, nothing has to be done: we can send nothing any more. If not, activate the key in IAM ({user}), or create another one and hand it over."
            ),
        ),
        SuspensionReason::PermissionMissing => (
            "no policy allows the key to send.",
            "Attach the policy again that you were given, and wait a minute.".to_owned(),
        ),
        SuspensionReason::Quarantined => (
            "a Deny statement forbids it, as AWS's quarantine of keys found in public does.",
            format!("Delete the access key in IAM ({user}), look in CloudTrail for what was done with it, and hand over a key of a new user."),
        ),
        SuspensionReason::NotRevocable => (
            "the key may not read its own user or delete itself any more, so it could not be revoked if it leaked.",
            "Allow iam:GetUser and iam:DeleteAccessKey on the user itself again, as the policy that you were given does."
                .to_owned(),
        ),
        SuspensionReason::ExcessPermissions => (
            "the key may do more than send mail and delete itself.",
            "Take the policies off the user, and off its groups, that allow anything else.".to_owned(),
        ),
        SuspensionReason::AssuranceLost => (
            "it is not known well enough any more that the key can do nothing else.",
            "Attach the hardened policy that you were given.".to_owned(),
        ),
        SuspensionReason::SesUnavailable => (
            "Amazon SES does not answer the key in this Region.",
            format!("Enable Region {region} in the account's settings, and allow ses:GetAccount."),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::provider;

    #[test]
    fn every_suspension_says_what_happened_and_what_to_do_with_account_region_and_a_shortened_key() {
        let provider = provider();
        for reason in SuspensionReason::ALL {
            let text = tenant_notice(&provider, reason);
            assert!(text.contains(&provider.account_id) && text.contains(provider.region.as_str()), "{text}");
            assert!(text.contains("AKIA…JRUX") && !text.contains(provider.access_key_id.as_str()), "{text}");
            let remedy = remedy(&provider, reason);
            assert!(text.ends_with(&remedy) && remedy.len() > 40, "{text}");
        }
    }
}
