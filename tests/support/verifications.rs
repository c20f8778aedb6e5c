//! Verifications of providers that are in use.

use operator::ApiResponse;
use reqwest::Method;
use serde_json::Value;

use super::{Stack, eventually};

impl Stack {
    /// Asks for a verification of a provider.
    pub(crate) async fn ask_verification(&self, provider_id: &str) -> ApiResponse {
        self.api(Method::POST, &format!("/providers/{provider_id}/verifications"), None).await.unwrap()
    }

    /// A verification as the API shows it.
    pub(crate) async fn get_verification(&self, provider_id: &str, verification_id: &str) -> ApiResponse {
        let path = format!("/providers/{provider_id}/verifications/{verification_id}");
        self.api(Method::GET, &path, None).await.unwrap()
    }

    /// Has a provider verified. Returns the verification when it is finished.
    pub(crate) async fn verify_provider(&self, provider_id: &str) -> Value {
        let asked = self.ask_verification(provider_id).await;
        assert_eq!(asked.status, 202, "{}", asked.text);
        let verification_id = asked.body["verification_id"].as_str().unwrap().to_owned();
        self.finished_verification(provider_id, &verification_id).await
    }

    /// A verification, once it is finished.
    pub(crate) async fn finished_verification(&self, provider_id: &str, verification_id: &str) -> Value {
        eventually(&format!("the end of {verification_id}"), || async {
            let verification = self.get_verification(provider_id, verification_id).await.body;
            (verification["state"] == "finished").then_some(verification)
        })
        .await
    }

    /// Enqueues verifications that are due, as the schedule does every minute.
    pub(crate) async fn run_watch(&self) {
        let event: Value = serde_json::from_str(include_str!("../../events/verify-worker-watch.json")).unwrap();
        let response = self.local_api(Method::POST, "/functions/verify-worker/invoke", Some(&event)).await.unwrap();
        assert_eq!(response.status, 200, "{}", response.text);
        assert!(!response.headers.contains_key("x-amz-function-error"), "{}", response.text);
    }

    /// A provider as it is shown, once it fulfils a condition.
    pub(crate) async fn provider_when(
        &self,
        provider_id: &str,
        what: &str,
        condition: impl Fn(&Value) -> bool,
    ) -> Value {
        eventually(&format!("{provider_id}: {what}"), || async {
            let provider = self.get_provider(provider_id).await.body;
            condition(&provider).then_some(provider)
        })
        .await
    }
}
