//! What arrives is what was handed over.

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use crate::support::{Stack, mail, mail_with, until};
use operator::{self, Tenant};

/// Makes a configuration set in a tenant's account, with the tenant's own key.
async fn make_configuration_set(stack: &Stack, tenant: &Tenant, name: &str) {
    let key = Credentials::new(&tenant.access_key_id, &tenant.secret_access_key, None, None, "Tenant");
    let config = operator::config(&stack.aws_url())
        .into_builder()
        .credentials_provider(SharedCredentialsProvider::new(key))
        .build();
    let ses = aws_sdk_sesv2::Client::new(&config);
    ses.create_configuration_set().configuration_set_name(name).send().await.unwrap();
}

async fn arrived(stack: &Stack, tenant: &Tenant) -> Value {
    until("a mail in the inbox", || async { stack.inbox(&tenant.account_id).await.unwrap().into_iter().next() }).await
}

#[tokio::test]
async fn every_field_arrives_as_it_was_handed_over() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    make_configuration_set(&stack, &tenant, "transactional").await;
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
    stack.mail(&mail).await.unwrap();

    let fate = stack.fate(&provider_id, "order-1234-receipt", &["sent"]).await;
    let arrived = arrived(&stack, &tenant).await;
    for field in ["to", "cc", "bcc", "reply_to", "subject", "text", "html", "headers", "tags", "configuration_set"] {
        assert_eq!(arrived[field], mail[field], "{field}");
    }
    // SES takes no name that is not ASCII, so it travels as an encoded word.
    let name = format!("=?UTF-8?B?{}?= <jane@example.com>", STANDARD.encode("Jürgen Groß"));
    assert_eq!(arrived["from"], name);
    assert_eq!(arrived["access_key_id"], tenant.access_key_id);

    assert_eq!(fate["ses_message_id"], arrived["message_id"]);
    assert_eq!((&fate["attempts"], &fate["reason"]), (&json!(1), &Value::Null));
    assert_eq!((&fate["mail_id"], &fate["provider_id"]), (&mail["mail_id"], &mail["provider_id"]));
}

#[tokio::test]
async fn a_field_that_is_left_out_is_left_out_of_what_arrives() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.mail(&mail(&provider_id, "bare")).await.unwrap();
    let arrived = arrived(&stack, &tenant).await;
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
async fn the_most_recipients_and_a_large_body_pass() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let addresses = |name: &str, count: u32| (0..count).map(|n| format!("{name}{n}@example.org")).collect::<Vec<_>>();
    let html = "ä".repeat(400_000);
    let large = mail_with(
        &provider_id,
        "large",
        &json!({
            "to": addresses("to", 20), "cc": addresses("cc", 20), "bcc": addresses("bcc", 10), "html": html,
        }),
    );
    stack.mail(&large).await.unwrap();
    let arrived = arrived(&stack, &tenant).await;
    assert!(arrived["html"] == html.as_str());
    assert_eq!((&arrived["to"], &arrived["cc"], &arrived["bcc"]), (&large["to"], &large["cc"], &large["bcc"]));
}
