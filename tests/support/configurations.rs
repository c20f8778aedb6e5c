//! Configurations of tenants' SES: agreeing to them, following them, and what is in the account.

use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::operation::get_configuration_set::GetConfigurationSetOutput;
use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Stack, eventually, seconds_between};

impl Stack {
    /// A request about the configuration of a provider.
    pub(crate) async fn configuration_api(&self, method: Method, provider_id: &str) -> ApiResponse {
        self.api(method, &format!("/providers/{provider_id}/configuration"), None).await.unwrap()
    }

    /// Records that a tenant agrees to the configuration of its SES.
    pub(crate) async fn agree_to_configuration(&self, provider_id: &str) -> Value {
        let response = self.configuration_api(Method::PUT, provider_id).await;
        assert_eq!(response.status, 202, "{}", response.text);
        response.body
    }

    /// Has `verify-worker` take up what is due, as the schedule does every minute. A process that is killed in it has done nothing.
    pub(crate) async fn run_watch_schedule(&self) {
        let event: Value = serde_json::from_str(include_str!("../../events/verify-worker-watch.json")).unwrap();
        eventually("the schedule of verify-worker", || async {
            let response = self.local_api(Method::POST, "/functions/verify-worker/invoke", Some(&event)).await.unwrap();
            assert_eq!(response.status, 200, "{}", response.text);
            (!response.headers.contains_key("x-amz-function-error")).then_some(())
        })
        .await;
    }

    /// The configuration of a provider, once its look is over and told, it has this state and the condition holds.
    pub(crate) async fn configuration_when(
        &self,
        provider_id: &str,
        state: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        // What is left to do is due within minutes.
        let is_over = |shown: &Value| {
            shown["next_look_at"].is_null() || seconds_between(&shown["looked_at"], &shown["next_look_at"]) > 1800.0
        };
        eventually(&format!("the configuration of {provider_id}: {state}"), || async {
            self.run_watch_schedule().await;
            let response = self.configuration_api(Method::GET, provider_id).await;
            assert_eq!(response.status, 200, "{}", response.text);
            let shown = response.body;
            (shown["state"] == state && is_over(&shown) && condition(&shown)).then_some(shown)
        })
        .await
    }

    /// The SES of a tenant's account, asked by its root.
    pub(crate) async fn ses_of_root(&self, tenant: &Tenant) -> Client {
        Client::new(&self.sdk_config(&self.root_of(tenant).await))
    }

    /// A tenant's key, onboarded with its consent to the configuration. Returns the provider's id.
    pub(crate) async fn onboard_configured(&self, tenant: &Tenant) -> String {
        let body = json!({
            "tenant_id": "acme", "name": "main", "region": tenant.region, "access_key_id": tenant.access_key_id,
            "secret_access_key": tenant.secret_access_key, "consent": { "configure": true },
        });
        let response = eventually("an environment of verify", || async {
            let response = self.api(Method::POST, "/providers", Some(&body)).await.unwrap();
            (response.body != json!({ "message": "Service Unavailable" })).then_some(response)
        })
        .await;
        assert_eq!(response.status, 201, "{}", response.text);
        response.body["provider_id"].as_str().unwrap().to_owned()
    }
}

/// The name of the configuration set of a provider.
pub(crate) fn set_name(provider_id: &str) -> String {
    format!("sendingbee-{provider_id}")
}

/// The configuration set of a provider, if there is one of its name.
pub(crate) async fn configuration_set(ses: &Client, provider_id: &str) -> Option<GetConfigurationSetOutput> {
    ses.get_configuration_set().configuration_set_name(set_name(provider_id)).send().await.ok()
}
