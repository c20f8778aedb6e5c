//! What the functions publish on our bus.

use serde_json::Value;

use super::{Stack, eventually};

impl Stack {
    /// The detail of the event about a report that names this and matched nothing, once it is on the bus.
    pub(crate) async fn unmatched_report(&self, field: &str, id: &str) -> Value {
        eventually(&format!("Breach Report Unmatched of {id}"), || async {
            let events = self.events("Breach Report Unmatched").await.unwrap();
            events.into_iter().map(|event| event["detail"].clone()).find(|detail| detail[field] == id)
        })
        .await
    }

    /// The first event of this detail-type about a provider, once there is one.
    pub(crate) async fn provider_event(&self, detail_type: &str, provider_id: &str) -> Value {
        eventually(&format!("an event {detail_type} about {provider_id}"), || async {
            self.provider_events(detail_type, provider_id).await.into_iter().next()
        })
        .await
    }

    /// All events of this detail-type about a provider.
    pub(crate) async fn provider_events(&self, detail_type: &str, provider_id: &str) -> Vec<Value> {
        let mut events = self.events(detail_type).await.unwrap();
        events.retain(|event| event["detail"]["provider_id"] == provider_id);
        events
    }

    /// The detail of the event of this detail-type about a mail, once there is one.
    pub(crate) async fn mail_event(&self, detail_type: &str, provider_id: &str, mail_id: &str) -> Value {
        eventually(&format!("an event {detail_type} about {mail_id} of {provider_id}"), || async {
            let events = self.provider_events(detail_type, provider_id).await;
            events.into_iter().map(|mut event| event["detail"].take()).find(|detail| detail["mail_id"] == mail_id)
        })
        .await
    }
}
