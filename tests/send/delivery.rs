//! SES receives exactly the mail that was enqueued.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Stack, eventually, mail, mail_with};
use operator::Tenant;

/// Creates a configuration set in a tenant's account, with the tenant's own key.
async fn create_configuration_set(stack: &Stack, tenant: &Tenant, name: &str) {
    let ses = aws_sdk_sesv2::Client::new(&stack.sdk_config(tenant));
    ses.create_configuration_set().configuration_set_name(name).send().await.unwrap();
}

/// The first mail that SES accepted in a tenant's account, once there is one.
async fn first_mail(stack: &Stack, tenant: &Tenant) -> Value {
    eventually("a mail in the inbox", || async { stack.inbox(&tenant.account_id).await.unwrap().into_iter().next() })
        .await
}

#[tokio::test]
async fn every_field_arrives_unchanged() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    create_configuration_set(&stack, &tenant, "transactional").await;
    let mail = mail_with(
        &provider_id,
        "order-1234-receipt",
        &json!({
            "from": "Jürgen Groß <jane@example.com>",
            "to": ["a@example.org", "\"Doe, John\" <john@example.org>"],
            "cc": ["Ann O'Hara <ann@example.org>"],
            "bcc": ["audit@example.net"],
            "reply_to": ["help@example.com"],
            "subject": "Ihre Größe 🙂 — 50 % “off”",
            "text": "Grüße,\r\n.\r\nline two\n",
            "html": "<p>Grüße &amp; 日本語</p>",
            "headers": { "X-Campaign": "spring", "List-Unsubscribe": "<https://example.com/u?x=1&y=2>" },
            "tags": { "campaign": "spring", "cohort": "b_2" },
            "configuration_set": "transactional",
            "on_doubt": "hold",
            "expires_at": "2126-12-01T00:00:00Z",
        }),
    );
    stack.enqueue_mail(&mail).await.unwrap();

    let shown = stack.mail_in_state(&provider_id, "order-1234-receipt", &["sent"]).await;
    let arrived = first_mail(&stack, &tenant).await;
    for field in ["to", "cc", "bcc", "reply_to", "subject", "text", "html", "headers", "tags", "configuration_set"] {
        assert_eq!(arrived[field], mail[field], "{field}");
    }
    // SES accepts only ASCII names, so this one is sent as an encoded word.
    let name = format!("=?UTF-8?B?{}?= <jane@example.com>", STANDARD.encode("Jürgen Groß"));
    assert_eq!(arrived["from"], name);
    assert_eq!(arrived["access_key_id"], tenant.access_key_id);

    assert_eq!(shown["ses_message_id"], arrived["message_id"]);
    assert_eq!((&shown["attempts"], &shown["reason"]), (&json!(1), &Value::Null));
    assert_eq!((&shown["mail_id"], &shown["provider_id"]), (&mail["mail_id"], &mail["provider_id"]));
}

#[tokio::test]
async fn a_field_that_is_missing_is_missing_in_what_arrives() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail(&provider_id, "bare")).await.unwrap();
    let arrived = first_mail(&stack, &tenant).await;
    assert_eq!(arrived["from"], "Jane <jane@example.com>");
    for field in ["html", "raw", "configuration_set"] {
        assert_eq!(arrived[field], Value::Null, "{field}");
    }
    for field in ["cc", "bcc", "reply_to"] {
        assert_eq!(arrived[field], json!([]), "{field}");
    }
    for field in ["headers", "tags"] {
        assert_eq!(arrived[field], json!({}), "{field}");
    }
}

#[tokio::test]
async fn a_mail_with_the_most_recipients_and_a_large_body_is_sent() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let addresses = |name: &str, count: u32| (0..count).map(|n| format!("{name}{n}@example.org")).collect::<Vec<_>>();
    let html = "ä".repeat(400_000);
    let large = mail_with(
        &provider_id,
        "large",
        &json!({
            "to": addresses("to", 20), "cc": addresses("cc", 20), "bcc": addresses("bcc", 10), "html": html,
        }),
    );
    stack.enqueue_mail(&large).await.unwrap();
    let arrived = first_mail(&stack, &tenant).await;
    assert!(arrived["html"] == html.as_str());
    assert_eq!((&arrived["to"], &arrived["cc"], &arrived["bcc"]), (&large["to"], &large["cc"], &large["bcc"]));
}
