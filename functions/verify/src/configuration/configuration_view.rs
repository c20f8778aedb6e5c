//! A configuration as callers see it, with what is missing in words for the tenant.

use jiff::Timestamp;
use serde::Serialize;
use shared::policy::PolicyStyle;
use shared::record::{
    Configuration, ConfigurationConsent, ConfigurationItem, ConfigurationState, IdentityState, MadeChange,
    MissingRight, Provider, StuckConfiguration, configuration_set_name,
};

/// The public form of a configuration.
#[derive(Serialize)]
pub(crate) struct ConfigurationView<'a> {
    configuration_set: String,
    state: ConfigurationState,
    /// What it means and what to do, where somebody has to act.
    #[serde(skip_serializing_if = "Option::is_none")]
    remedy: Option<String>,
    consent: &'a ConfigurationConsent,
    #[serde(skip_serializing_if = "Option::is_none")]
    withdrawn: Option<&'a ConfigurationConsent>,
    #[serde(skip_serializing_if = "Option::is_none")]
    looked_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_look_at: Option<Timestamp>,
    changes: &'a [MadeChange],
    missing_rights: Vec<MissingRightView<'a>>,
    identities: &'a [IdentityState],
    has_more_identities: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    stuck: Option<&'a StuckConfiguration>,
}

/// A right that is missing, in words.
#[derive(Serialize)]
struct MissingRightView<'a> {
    #[serde(flatten)]
    right: &'a MissingRight,
    explanation: String,
    remedy: String,
}

impl<'a> ConfigurationView<'a> {
    /// The configuration of a provider.
    pub(crate) fn new(provider: &Provider, item: &'a ConfigurationItem) -> Self {
        Self::of(provider, &item.configuration, item.next_attempt_at)
    }

    /// The same, with when it is looked at next.
    pub(crate) fn of(provider: &Provider, configuration: &'a Configuration, next_look_at: Option<Timestamp>) -> Self {
        let name = configuration_set_name(&provider.provider_id);
        let rights = configuration.missing_rights.iter();
        Self {
            remedy: state_remedy(configuration, &name),
            configuration_set: name,
            state: configuration.state,
            consent: &configuration.consent,
            withdrawn: configuration.withdrawn.as_ref(),
            looked_at: configuration.looked_at,
            next_look_at: next_look_at.filter(|_| !provider.is_stopped()),
            changes: &configuration.changes,
            missing_rights: rights.map(|right| MissingRightView::new(right, provider)).collect(),
            identities: &configuration.identities,
            has_more_identities: configuration.has_more_identities,
            stuck: configuration.stuck.as_ref(),
        }
    }
}

fn state_remedy(configuration: &Configuration, name: &str) -> Option<String> {
    match configuration.state {
        ConfigurationState::Foreign => Some(format!(
            "The account has a configuration set {name} that does not carry our tag. It is left alone: delete it in SES, or \
             rename it by making another, and ours is made with the next look."
        )),
        ConfigurationState::RightsMissing => {
            Some("The key may not do what is needed: `missing_rights` says what, and how to mend it.".to_owned())
        }
        ConfigurationState::Pending | ConfigurationState::Standing | ConfigurationState::Removed => None,
    }
}

impl<'a> MissingRightView<'a> {
    fn new(right: &'a MissingRight, provider: &Provider) -> Self {
        let MissingRight { action, resource, is_explicit, .. } = right;
        let what = match action.as_str() {
            "ses:GetConfigurationSet" => "look at its configuration set, so nothing is done with it",
            "ses:CreateConfigurationSet" => "make the configuration set",
            "ses:TagResource" => "tag the configuration set, by which we know ours, so none is made",
            "ses:PutConfigurationSetDeliveryOptions" => "require TLS for the configuration set",
            "ses:PutConfigurationSetSuppressionOptions" => "suppress bounces and complaints for the configuration set",
            "ses:DeleteConfigurationSet" => "delete the configuration set",
            "ses:ListEmailIdentities" => "list the account's identities, so nothing is known of their DNS records",
            "ses:GetEmailIdentity" => "look at the account's domains, so nothing is known of their DNS records",
            _ => "do a part of the configuration",
        };
        let remedy = if *is_explicit {
            format!(
                "A Deny statement forbids {action}. Take it out of the user's policies, its permissions boundary or the \
                 organization's policies. The hardened policy denies what it does not list: attach its version {} \
                 (GET /policy?account_id={}&consent=configure&style=hardened).",
                PolicyStyle::Hardened.version_with(false, true),
                provider.account_id
            )
        } else {
            format!(
                "Allow the user {action} on {resource}, or attach the policy of \
                 GET /policy?account_id={}&consent=configure&style=hardened.",
                provider.account_id
            )
        };
        Self { right, explanation: format!("The key may not {what} ({action} on {resource})."), remedy }
    }
}
