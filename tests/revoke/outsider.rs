//! A tenant's key has no access to our bus and queues.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use serde_json::json;

use crate::support::{Stack, key_scope, policy_allowing};

#[tokio::test]
async fn a_tenant_can_neither_report_a_breach_on_our_bus_nor_write_to_our_queues() {
    let stack = Stack::shared().await;
    let (victim, provider_id) = stack.create_provider("acme").await;
    let request = json!({ "policies": [policy_allowing(&["events:*", "sqs:*"])], "identities": [] });
    let outsider = stack.create_tenant(&request).await.unwrap();
    let config = stack.sdk_config(&outsider);
    let detail = json!({ "scope": key_scope(&victim), "reason": "mischief", "reported_by": "operator" }).to_string();

    let events = aws_sdk_eventbridge::Client::new(&config);
    let entry = |bus: &str| {
        let entry = PutEventsRequestEntry::builder().source("sendingbee.security").detail_type("Credential Breach");
        entry.event_bus_name(bus).detail(&detail).build()
    };
    let ours = format!("arn:aws:events:us-east-1:123456789012:event-bus/{}", stack.outputs.bus_name);
    let denied = events.put_events().entries(entry(&ours)).send().await.unwrap_err();
    assert_eq!(denied.into_service_error().meta().code(), Some("AccessDeniedException"));
    // A bus name means a bus of the caller's own account, even if ours has the same name. Nobody receives that event.
    let own = events.put_events().entries(entry(&stack.outputs.bus_name)).send().await.unwrap();
    let own_id = own.entries()[0].event_id().unwrap();

    let sqs = aws_sdk_sqs::Client::new(&config);
    for name in ["BreachQueue", "BreachDeadLetterQueue", "RevocationQueue", "RevocationDeadLetterQueue"] {
        let sent = sqs.send_message().queue_url(stack.queue_url(name).await).message_body("{}").send().await;
        let denied = sent.unwrap_err().into_service_error();
        assert_eq!(denied.meta().code(), Some("AccessDeniedException"), "{name}");
    }

    // A later event that took the same way has arrived, and the tenant's has not.
    let (sentinel, _) = stack.create_provider("acme").await;
    let sentinel_id = stack.report_breach(&key_scope(&sentinel), "the operator's own").await.unwrap();
    let order_id = stack.revoke_key(&sentinel).await;
    stack.key_in_state(&order_id, "revoked").await;
    let breaches = stack.events("Credential Breach").await.unwrap();
    assert!(breaches.iter().any(|breach| breach["id"] == sentinel_id.as_str()), "{breaches:?}");
    assert!(breaches.iter().all(|breach| breach["id"] != own_id), "{breaches:?}");
    assert_eq!(stack.provider_status(&provider_id).await, "active");
}
