//! Rotations of providers' keys.

use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use super::{Stack, Tables, eventually};

impl Stack {
    /// A further key of a tenant's user.
    pub(crate) async fn further_key(&self, tenant: &Tenant) -> Tenant {
        let path = format!("/tenants/{}/access-keys", tenant.account_id);
        let user_name = tenant.user_arn.rsplit('/').next().unwrap();
        let response = self.local_api(Method::POST, &path, Some(&json!({ "user_name": user_name }))).await.unwrap();
        assert_eq!(response.status, 201, "{}", response.text);
        serde_json::from_value(response.body).unwrap()
    }

    /// A key of another user of a tenant's account, with the classic policy and with these fields added or replaced.
    pub(crate) async fn other_user(&self, tenant: &Tenant, fields: &Value) -> Tenant {
        let mut request = json!({ "account_id": tenant.account_id, "user_name": "mailer-2" });
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        self.tenant_with(&request).await
    }

    /// Replaces the policies of one user.
    pub(crate) async fn set_user_policies(&self, tenant: &Tenant, policies: &[Value]) {
        let path = format!("/tenants/{}/policies", tenant.account_id);
        let body = json!({ "policies": policies, "user_name": tenant.user_arn.rsplit('/').next().unwrap() });
        let response = self.local_api(Method::PUT, &path, Some(&body)).await.unwrap();
        assert!(response.status.is_success(), "{}", response.text);
    }

    /// Hands a key over that is to replace the one of a provider.
    pub(crate) async fn rotate(&self, provider_id: &str, key: &Tenant, grace_seconds: Option<u32>) -> ApiResponse {
        let mut body = json!({ "access_key_id": key.access_key_id, "secret_access_key": key.secret_access_key });
        if let Some(grace_seconds) = grace_seconds {
            body["grace_seconds"] = json!(grace_seconds);
        }
        let path = format!("/providers/{provider_id}/rotations");
        // While every environment of `verify` is busy, the API answers 503 in the gateway's words.
        eventually("an environment of verify", || async {
            let response = self.api(Method::POST, &path, Some(&body)).await.unwrap();
            (response.body != json!({ "message": "Service Unavailable" })).then_some(response)
        })
        .await
    }

    /// The same, which must succeed. Returns the rotation's id.
    pub(crate) async fn begin_rotation(&self, provider_id: &str, key: &Tenant, grace_seconds: u32) -> String {
        let response = self.rotate(provider_id, key, Some(grace_seconds)).await;
        assert_eq!(response.status, 201, "{}", response.text);
        response.body["rotation_id"].as_str().unwrap().to_owned()
    }

    /// A rotation as the API shows it.
    pub(crate) async fn get_rotation(&self, provider_id: &str, rotation_id: &str) -> Value {
        let path = format!("/providers/{provider_id}/rotations/{rotation_id}");
        let response = self.api(Method::GET, &path, None).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text);
        response.body
    }

    /// A rotation, once it is in this phase.
    pub(crate) async fn rotation_in_phase(&self, provider_id: &str, rotation_id: &str, phase: &str) -> Value {
        eventually(&format!("{rotation_id} in the phase {phase}"), || async {
            let rotation = self.get_rotation(provider_id, rotation_id).await;
            (rotation["phase"] == phase).then_some(rotation)
        })
        .await
    }

    /// A rotation, once its new key is known to be failing for this reason. That is noted after the mail is sent.
    pub(crate) async fn failing_rotation(&self, provider_id: &str, rotation_id: &str, reason: &str) -> Value {
        eventually(&format!("{rotation_id} failing because of {reason}"), || async {
            let rotation = self.get_rotation(provider_id, rotation_id).await;
            (rotation["failing"]["reason"] == reason).then_some(rotation)
        })
        .await
    }

    /// Ends a rotation's grace now.
    pub(crate) async fn end_grace(&self, tables: &Tables, provider_id: &str, rotation_id: &str) {
        tables.set_rotation_time(provider_id, "rotation.grace_ends_at").await;
        assert!(tables.make_rotation_due(provider_id, rotation_id).await);
    }

    /// A rotation, once nothing is left to do for it. The test does not wait until the sweep would run.
    pub(crate) async fn closed_rotation(&self, tables: &Tables, provider_id: &str, rotation_id: &str) -> Value {
        eventually(&format!("the end of {rotation_id}"), || async {
            let rotation = self.get_rotation(provider_id, rotation_id).await;
            if rotation["closed_at"].is_string() {
                return Some(rotation);
            }
            tables.make_rotation_due(provider_id, rotation_id).await;
            self.run_sweep().await;
            None
        })
        .await
    }

    /// Has `send` release parked mail and try new keys that no mail has proved, as the schedule does every minute.
    pub(crate) async fn run_send_schedule(&self) {
        let event: Value = serde_json::from_str(include_str!("../../events/send-candidates.json")).unwrap();
        let response = self.local_api(Method::POST, "/functions/send/invoke", Some(&event)).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text);
        assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    }
}
