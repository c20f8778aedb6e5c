//! What somebody else's key can do to a revocation: nothing.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_types::SdkConfig;
use serde_json::json;

use super::order::{key_in, order, scope_of, status};
use super::records::queue;
use crate::support::{Stack, only};
use operator::{self, Tenant};

#[tokio::test]
async fn a_tenant_can_neither_report_on_our_bus_nor_write_to_our_queues() {
    let stack = Stack::shared().await;
    let (victim, provider_id) = stack.provider("acme").await;
    let request = json!({ "policies": [only(&["events:*", "sqs:*"])], "identities": [] });
    let outsider = stack.tenant(&request).await.unwrap();
    let config = config_of(&stack, &outsider);
    let detail = json!({ "scope": scope_of(&victim), "reason": "mischief", "reported_by": "operator" }).to_string();

    let events = aws_sdk_eventbridge::Client::new(&config);
    let entry = |bus: &str| {
        let entry = PutEventsRequestEntry::builder().source("sendingbee.security").detail_type("Credential Breach");
        entry.event_bus_name(bus).detail(&detail).build()
    };
    let ours = format!("arn:aws:events:us-east-1:123456789012:event-bus/{}", stack.outputs.bus_name);
    let denied = events.put_events().entries(entry(&ours)).send().await.unwrap_err();
    assert_eq!(denied.into_service_error().meta().code(), Some("AccessDeniedException"));
    // A name means a bus of the caller's own account, whatever ours is called: what is taken goes nowhere.
    let own = events.put_events().entries(entry(&stack.outputs.bus_name)).send().await.unwrap();
    let id = own.entries()[0].event_id().unwrap();
    let breaches = stack.events_of("Credential Breach").await.unwrap();
    assert!(breaches.iter().all(|breach| breach["id"] != id), "{breaches:?}");

    let sqs = aws_sdk_sqs::Client::new(&config);
    for name in ["BreachQueue", "BreachDeadLetterQueue", "RevocationQueue", "RevocationDeadLetterQueue"] {
        let sent = sqs.send_message().queue_url(queue(&stack, name).await).message_body("{}").send().await;
        let denied = sent.unwrap_err().into_service_error();
        assert_eq!(denied.meta().code(), Some("AccessDeniedException"), "{name}");
    }

    // What went the same way after it has arrived, and it has not.
    let (sentinel, _) = stack.provider("acme").await;
    stack.report_breach(&scope_of(&sentinel), "the operator's own").await.unwrap();
    let order_id = order(&stack, &sentinel).await;
    key_in(&stack, &order_id, "revoked").await;
    assert_eq!(status(&stack, &provider_id).await, "active");
}

/// The SDK's configuration with a tenant's key.
pub(super) fn config_of(stack: &Stack, tenant: &Tenant) -> SdkConfig {
    let key = Credentials::new(&tenant.access_key_id, &tenant.secret_access_key, None, None, "Tenant");
    let config = operator::config(&stack.aws_url()).to_builder();
    config.credentials_provider(SharedCredentialsProvider::new(key)).build()
}
