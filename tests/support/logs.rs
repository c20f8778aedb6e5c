//! What the functions log.

use reqwest::Method;
use serde_json::Value;

use super::{Stack, eventually};

impl Stack {
    /// Waits for the error of `revoke-worker` about a provider that an alarm rings for.
    pub(crate) async fn eventually_alarmed(&self, alarm: &str, provider_id: &str) {
        eventually(&format!("the alarm {alarm} of {provider_id}"), || async {
            let lines = self.log_lines("revoke-worker").await;
            let is_it =
                |line: &Value| line["level"] == "ERROR" && line["alarm"] == alarm && line["provider_id"] == provider_id;
            lines.iter().any(is_it).then_some(())
        })
        .await;
    }

    /// The log of a function as the stack returns it.
    pub(crate) async fn log_text(&self, function: &str) -> String {
        let path = format!("/logs?function=sendingbee-{function}");
        self.local_api(Method::GET, &path, None).await.unwrap().text
    }

    /// The JSON lines of a function's log, oldest first.
    pub(crate) async fn log_lines(&self, function: &str) -> Vec<Value> {
        let log: Value = serde_json::from_str(&self.log_text(function).await).unwrap();
        let lines = log["lines"].as_array().unwrap().iter();
        lines.filter_map(|line| serde_json::from_str(line["line"].as_str()?).ok()).collect()
    }

    /// The line that `send` logs for each batch.
    pub(crate) async fn batch_logs(&self) -> Vec<Value> {
        let mut lines = self.log_lines("send").await;
        lines.retain(|line| line["message"] == "batch processed");
        lines
    }
}
