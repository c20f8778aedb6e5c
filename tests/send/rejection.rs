//! A mail that SES will never accept is rejected, one that is too late expires, and the other mails are sent.

use serde_json::{Value, json};

use crate::support::{Stack, mail, mail_with};
use operator::Tenant;

/// Asserts that a mail with these fields is rejected, with the reason in its state and its event, that another mail is sent,
/// and that the provider stays active.
async fn assert_rejected(stack: &Stack, tenant: &Tenant, provider_id: &str, fields: &Value, reason: &str) {
    let good = mail_with(provider_id, "neighbour", &json!({ "to": ["ann@example.com"] }));
    stack.enqueue_mails(&[mail_with(provider_id, "refused", fields), good]).await;
    let refused = stack.mail_in_state(provider_id, "refused", &["rejected", "sent", "in_doubt"]).await;
    assert_eq!((&refused["state"], &refused["reason"]), (&json!("rejected"), &json!(reason)), "{refused}");
    let event = stack.mail_event("Mail Rejected", provider_id, "refused").await;
    assert_eq!(event["reason"], reason);
    stack.mail_in_state(provider_id, "neighbour", &["sent"]).await;
    assert_eq!(stack.accepted_copies(tenant, "refused").await, 0);
    let provider = stack.get_provider(provider_id).await;
    assert_eq!(provider.body["status"], "active", "{}", provider.text);
}

#[tokio::test]
async fn a_mail_from_an_unverified_sender_is_rejected() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let fields = json!({ "from": "jane@elsewhere.example" });
    assert_rejected(&stack, &tenant, &provider_id, &fields, "identity_not_verified").await;
}

#[tokio::test]
async fn a_mail_with_an_unknown_configuration_set_is_rejected() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let fields = json!({ "configuration_set": "nowhere" });
    assert_rejected(&stack, &tenant, &provider_id, &fields, "not_found:configuration_set").await;
}

#[tokio::test]
async fn a_mail_to_an_unverified_recipient_in_the_sandbox_is_rejected() {
    let stack = Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "sandbox": true })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    assert_rejected(&stack, &tenant, &provider_id, &json!({ "to": ["ann@example.org"] }), "sandbox_recipient").await;
}

#[tokio::test]
async fn the_hardened_policy_allows_sending() {
    let stack = Stack::shared().await;
    let tenant = stack.hardened_tenant("264575131106", &json!({})).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.enqueue_mail(&mail(&provider_id, "hardened")).await.unwrap();
    stack.mail_in_state(&provider_id, "hardened", &["sent"]).await;
    assert_eq!(stack.accepted_copies(&tenant, "hardened").await, 1);
}

#[tokio::test]
async fn a_mail_that_is_too_late_expires() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack
        .enqueue_mails(&[
            mail_with(
                &provider_id,
                "at-its-expires-at",
                &json!({ "first_seen": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z" }),
            ),
            mail_with(
                &provider_id,
                "after-thirty-days",
                &json!({ "first_seen": "2026-01-01T00:00:00Z", "expires_at": "2126-01-02T00:00:00Z" }),
            ),
            mail_with(&provider_id, "before-it-was-seen", &json!({ "expires_at": "2026-01-02T00:00:00Z" })),
            mail(&provider_id, "in-time"),
        ])
        .await;
    for mail_id in ["at-its-expires-at", "after-thirty-days", "before-it-was-seen"] {
        let mail = stack.mail_in_state(&provider_id, mail_id, &["expired", "sent"]).await;
        assert_eq!(mail["state"], "expired", "{mail}");
        stack.mail_event("Mail Expired", &provider_id, mail_id).await;
    }
    stack.mail_in_state(&provider_id, "in-time", &["sent"]).await;
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    assert_eq!(inbox.len(), 1, "{inbox:?}");
}
