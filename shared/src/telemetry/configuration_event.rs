//! The event of a configuration of a tenant's SES.

use serde::Serialize;

use crate::id::{ProviderId, TenantId};
use crate::record::{
    Configuration, ConfigurationNews, ConfigurationState, Provider, SetChange, configuration_set_name,
};

/// What a look at a configuration changed. It names no identity: that may be an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConfigurationEvent {
    /// The operator's name for the tenant.
    pub tenant_id: TenantId,
    /// The provider.
    pub provider_id: ProviderId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// The name of the configuration set.
    pub configuration_set: String,
    /// What the look came to.
    pub state: ConfigurationState,
    /// What it changed in the account: `create`, `require_tls`, `suppress`, `delete`.
    pub changes: Vec<SetChange>,
    /// The IAM actions that the key lacks.
    pub missing_rights: Vec<String>,
}

impl ConfigurationEvent {
    /// The news of a provider's configuration.
    pub fn new(provider: &Provider, configuration: &Configuration, news: &ConfigurationNews) -> Self {
        Self {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            configuration_set: configuration_set_name(&provider.provider_id),
            state: configuration.state,
            changes: news.changes.clone(),
            missing_rights: configuration.missing_rights.iter().map(|right| right.action.clone()).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::record::MissingRight;
    use crate::telemetry::Event;

    #[test]
    fn the_sample_event_is_what_is_put() {
        let sample: Value =
            serde_json::from_str(include_str!("../../../events/verify-configuration-changed.json")).unwrap();
        let at = jiff::Timestamp::UNIX_EPOCH;
        let provider: Provider = serde_json::from_value(json!({
            "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "name": "Main",
            "region": "eu-central-1", "account_id": "171436882533", "user_name": "mailer",
            "user_arn": "arn:aws:iam::171436882533:user/mailer", "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "status": "active", "max_send_rate": 14.0, "max_24_hour_send": -1.0, "sandbox": false,
            "created_at": at, "updated_at": at,
        }))
        .unwrap();
        let missing = MissingRight {
            action: "ses:GetEmailIdentity".to_owned(),
            resource: "*".to_owned(),
            is_explicit: false,
            since: at,
        };
        let configuration = Configuration {
            state: ConfigurationState::Standing,
            missing_rights: vec![missing],
            ..Configuration::agreed(at, "arn")
        };
        let news = ConfigurationNews { changes: vec![SetChange::Create] };
        let event = Event::ConfigurationChanged(ConfigurationEvent::new(&provider, &configuration, &news));
        assert_eq!(serde_json::to_value(&event).unwrap(), sample["detail"]);
        assert_eq!(sample["detail-type"], event.detail_type());
    }
}
