//! Revocation orders: giving them, following them, and their effect in a tenant's account.

use std::time::Duration;

use jiff::Timestamp;
use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::{Stack, eventually};

/// The delay between two polls of an order. Each poll invokes `revoke`, which concurrent tests need as well.
const POLL_DELAY: Duration = Duration::from_millis(250);

impl Stack {
    /// Orders the revocation of a scope.
    pub(crate) async fn order_revocation(&self, scope: &Value) -> ApiResponse {
        let body = json!({ "scope": scope, "reason": "seen in a public repository" });
        self.api(Method::POST, "/revocations", Some(&body)).await.unwrap()
    }

    /// Orders the revocation of a tenant's key. Returns the order's id.
    pub(crate) async fn revoke_key(&self, tenant: &Tenant) -> String {
        let response = self.order_revocation(&key_scope(tenant)).await;
        assert_eq!(response.status, 202, "{}", response.text);
        response.body["order_id"].as_str().unwrap().to_owned()
    }

    /// An order as `GET /revocations/{id}` shows it.
    pub(crate) async fn get_order(&self, order_id: &str) -> Value {
        let response = self.api(Method::GET, &format!("/revocations/{order_id}"), None).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text);
        response.body
    }

    /// The only key of an order, once it stays in a state and operators are notified of it. The state is `status` or
    /// `status{reason}`. A key whose notification is pending is due within the minute.
    pub(crate) async fn key_in_state(&self, order_id: &str, state: &str) -> Value {
        self.key_when(order_id, state, |key| status_with_reason(key) == state && !is_due_soon(key)).await
    }

    /// The only key of an order, once the condition holds.
    pub(crate) async fn key_when(&self, order_id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
        eventually(&format!("the key of {order_id}: {what}"), || async {
            let order = self.get_order(order_id).await;
            let [key] = order["keys"].as_array().unwrap().as_slice() else { panic!("not one key: {order}") };
            if condition(key) {
                return Some(key.clone());
            }
            sleep(POLL_DELAY).await;
            None
        })
        .await
    }

    /// The status of a provider: `status` or `status{reason}`.
    pub(crate) async fn provider_status(&self, provider_id: &str) -> String {
        let provider = self.get_provider(provider_id).await;
        assert_eq!(provider.status, 200, "{}", provider.text);
        status_with_reason(&provider.body)
    }

    /// Waits until a provider is not active any more.
    pub(crate) async fn eventually_stopped(&self, provider_id: &str) {
        eventually(&format!("the stop of {provider_id}"), || async {
            (self.provider_status(provider_id).await != "active").then_some(())
        })
        .await;
    }

    /// Runs the sweep now, as the schedule does every minute.
    pub(crate) async fn run_sweep(&self) {
        let event: Value = serde_json::from_str(include_str!("../../events/revoke-sweep.json")).unwrap();
        let response = self.local_api(Method::POST, "/functions/revoke/invoke", Some(&event)).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text);
        assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    }

    /// Deletes a tenant's key as the administrator of its account does.
    pub(crate) async fn delete_key_as_admin(&self, tenant: &Tenant) {
        let path = format!("/tenants/{}/access-keys/{}", tenant.account_id, tenant.access_key_id);
        let response = self.local_api(Method::DELETE, &path, None).await.unwrap();
        assert!(response.status.is_success(), "{}", response.text);
    }

    /// Whether the tenant's account has its key.
    pub(crate) async fn has_key(&self, tenant: &Tenant) -> bool {
        let account = self.local_api(Method::GET, &format!("/tenants/{}", tenant.account_id), None).await.unwrap();
        assert!(account.status.is_success(), "{}", account.text);
        account.text.contains(&tenant.access_key_id)
    }

    /// The results of all calls of DeleteAccessKey in a tenant's account, oldest first: an error code, or `None` for a
    /// success. The first is a probe: onboarding asks for the deletion of a key that does not exist.
    pub(crate) async fn deletions(&self, tenant: &Tenant) -> Vec<Option<String>> {
        let mut requests = self.requests(tenant).await;
        requests.retain(|request| request["operation"] == "DeleteAccessKey");
        requests.iter().map(|request| request["error"].as_str().map(str::to_owned)).collect()
    }

    /// Asserts that exactly one call deleted the tenant's key.
    pub(crate) async fn assert_deleted_once(&self, tenant: &Tenant) {
        let results = self.deletions(tenant).await;
        assert_eq!(results.iter().filter(|code| code.is_none()).count(), 1, "{results:?}");
    }

    /// Asserts that the tenant has its key, and that no call but the probe of onboarding asked for a deletion with it.
    pub(crate) async fn assert_key_untouched(&self, tenant: &Tenant) {
        assert!(self.has_key(tenant).await);
        let results = self.deletions(tenant).await;
        assert!(!results.is_empty(), "the request log does not even have the probe of onboarding");
        assert!(results.iter().all(|code| code.as_deref() == Some("NoSuchEntity")), "{results:?}");
    }
}

/// The scope of a tenant's only key.
pub(crate) fn key_scope(tenant: &Tenant) -> Value {
    json!({ "access_key_id": tenant.access_key_id })
}

/// Asserts what a receipt proves: how the key was deleted, and that both planes refused it when AWS no longer honours a
/// deleted key.
pub(crate) fn assert_receipt(key: &Value, deleted_by: &str) {
    let receipt = &key["receipt"];
    assert_eq!(receipt["deleted_by"], deleted_by, "{key}");
    for (plane, code) in [("sts", "InvalidClientTokenId"), ("ses", "UnrecognizedClientException")] {
        let refused = &receipt["refused"][plane];
        assert_eq!(refused["code"], code, "{key}");
        assert!(refused["request_id"].is_string(), "{key}");
        assert!(seconds_between(&receipt["deleted_at"], &refused["at"]) >= 5.0, "{key}");
    }
    assert!(receipt["delete_sent_at"].is_null() && key["next_attempt_at"].is_null(), "{key}");
}

/// A time in a response.
pub(crate) fn timestamp(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("{value} is not a time")).parse().unwrap()
}

/// The seconds from one time in a response to another.
pub(crate) fn seconds_between(from: &Value, to: &Value) -> f64 {
    timestamp(to).duration_since(timestamp(from)).as_secs_f64()
}

fn is_due_soon(key: &Value) -> bool {
    key["next_attempt_at"].is_string() && seconds_between(&key["updated_at"], &key["next_attempt_at"]) < 120.0
}

fn status_with_reason(item: &Value) -> String {
    let status = item["status"].as_str().unwrap();
    item["reason"].as_str().map_or_else(|| status.to_owned(), |reason| format!("{status}{{{reason}}}"))
}
