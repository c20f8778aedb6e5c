//! Tenants and their providers.

use std::collections::BTreeMap;
use std::sync::Mutex;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_types::SdkConfig;
use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Stack, classic_policy, eventually};

/// The tenants of the providers that tests have onboarded.
static TENANT_IDS: Mutex<BTreeMap<String, String>> = Mutex::new(BTreeMap::new());

/// The tenant of a provider; `acme` if it is not one of [`Stack::onboard_provider`].
pub(crate) fn tenant_of(provider_id: &str) -> String {
    TENANT_IDS.lock().unwrap().get(provider_id).cloned().unwrap_or_else(|| "acme".to_owned())
}

impl Stack {
    /// A tenant with the classic policy and the verified domain `example.com`.
    pub(crate) async fn classic_tenant(&self) -> Tenant {
        self.tenant_with(&json!({})).await
    }

    /// A tenant as [`Stack::classic_tenant`], with these fields of the request added or replaced.
    pub(crate) async fn tenant_with(&self, fields: &Value) -> Tenant {
        let mut request = json!({ "policies": [classic_policy()], "identities": ["example.com"] });
        for (name, value) in fields.as_object().unwrap() {
            request[name] = value.clone();
        }
        self.create_tenant(&request).await.unwrap()
    }

    /// A tenant with the hardened policy, and with these fields of the request added or replaced. The policy names the
    /// account, so the account's id comes first.
    pub(crate) async fn hardened_tenant(&self, account_id: &str, fields: &Value) -> Tenant {
        let path = format!("/policy?style=hardened&account_id={account_id}");
        let policy = self.api(Method::GET, &path, None).await.unwrap().body;
        let mut request = json!({ "account_id": account_id, "policies": [policy] });
        for (name, value) in fields.as_object().unwrap() {
            request[name] = value.clone();
        }
        self.tenant_with(&request).await
    }

    /// The root user of a tenant's account, which may do everything that its administrator may.
    pub(crate) async fn root_of(&self, tenant: &Tenant) -> Tenant {
        let request = json!({ "account_id": tenant.account_id, "principal": "root", "policies": [], "identities": [] });
        self.create_tenant(&request).await.unwrap()
    }

    /// Replaces the policies of a tenant's user.
    pub(crate) async fn set_policies(&self, tenant: &Tenant, policies: &[Value]) {
        let path = format!("/tenants/{}/policies", tenant.account_id);
        let body = json!({ "policies": policies });
        let response = self.local_api(Method::PUT, &path, Some(&body)).await.unwrap();
        assert!(response.status.is_success(), "{}", response.text);
    }

    /// Onboards a tenant's key, which must succeed. Returns the provider's id. Mail ids are unique among a tenant's mails and
    /// tests share a stack, so `acme`, which stands for any tenant, gets an id of its own for each account;
    /// [`mail`](super::mail) knows it.
    pub(crate) async fn onboard_provider(&self, tenant_id: &str, tenant: &Tenant) -> String {
        let own = format!("acme-{}", tenant.account_id);
        let tenant_id = if tenant_id == "acme" { own.as_str() } else { tenant_id };
        // All tests share one stack: while every environment of `verify` is busy, the API answers 503 in the gateway's words.
        let response = eventually("an environment of verify", || async {
            let response = self.onboard(tenant_id, tenant).await.unwrap();
            (response.body != json!({ "message": "Service Unavailable" })).then_some(response)
        })
        .await;
        assert_eq!(response.status, 201, "{}", response.text);
        let provider_id = response.body["provider_id"].as_str().unwrap().to_owned();
        TENANT_IDS.lock().unwrap().insert(provider_id.clone(), tenant_id.to_owned());
        provider_id
    }

    /// A tenant with the classic policy whose key is onboarded, and its provider's id.
    pub(crate) async fn create_provider(&self, tenant_id: &str) -> (Tenant, String) {
        let tenant = self.classic_tenant().await;
        let provider_id = self.onboard_provider(tenant_id, &tenant).await;
        (tenant, provider_id)
    }

    /// A provider as `GET /providers/{id}` shows it.
    pub(crate) async fn get_provider(&self, provider_id: &str) -> ApiResponse {
        self.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap()
    }

    /// Replaces the faults of a tenant's account.
    pub(crate) async fn set_faults(&self, tenant: &Tenant, faults: &Value) {
        let path = format!("/tenants/{}/faults", tenant.account_id);
        let response = self.local_api(Method::PUT, &path, Some(faults)).await.unwrap();
        assert!(response.status.is_success(), "{}", response.text);
    }

    /// The requests to a tenant's account, oldest first, as `GET /_local/requests` shows them.
    pub(crate) async fn requests(&self, tenant: &Tenant) -> Vec<Value> {
        let path = format!("/requests?account_id={}", tenant.account_id);
        let response = self.local_api(Method::GET, &path, None).await.unwrap();
        response.body["requests"].as_array().unwrap().clone()
    }

    /// The SDK configuration with a tenant's key.
    pub(crate) fn sdk_config(&self, tenant: &Tenant) -> SdkConfig {
        let key = Credentials::new(&tenant.access_key_id, &tenant.secret_access_key, None, None, "Tenant");
        let config = operator::sdk_config(&self.aws_url()).to_builder();
        config.credentials_provider(SharedCredentialsProvider::new(key)).build()
    }

    /// The URL of the stand-in for AWS.
    pub(crate) fn aws_url(&self) -> String {
        let mut url: reqwest::Url = self.outputs.send_queue_url.parse().unwrap();
        url.set_path("");
        url.to_string()
    }
}
