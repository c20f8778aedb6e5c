//! What SES will never take, and what came too late: that mail is rejected, and its neighbours are sent.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, classic, mail, mail_with};
use operator::Tenant;

/// The mail is rejected for this reason, which its fate and its event tell; a neighbour is sent, and the provider stays.
async fn assert_rejected(stack: &Stack, tenant: &Tenant, provider_id: &str, fields: &Value, reason: &str) {
    let good = mail_with(provider_id, "neighbour", &json!({ "to": ["ann@example.com"] }));
    stack.hand_over(&[mail_with(provider_id, "refused", fields), good]).await;
    let fate = stack.fate(provider_id, "refused", &["rejected", "sent", "in_doubt"]).await;
    assert_eq!((&fate["state"], &fate["reason"]), (&json!("rejected"), &json!(reason)), "{fate}");
    let event = stack.mail_event("Mail Rejected", provider_id, "refused").await;
    assert_eq!(event["reason"], reason);
    stack.fate(provider_id, "neighbour", &["sent"]).await;
    assert_eq!(stack.copies(tenant, "refused").await, 0);
    let provider = stack.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(provider.body["status"], "active", "{}", provider.text);
}

#[tokio::test]
async fn a_sender_that_is_not_verified() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let fields = json!({ "from": "jane@elsewhere.example" });
    assert_rejected(&stack, &tenant, &provider_id, &fields, "identity_not_verified").await;
}

#[tokio::test]
async fn a_configuration_set_that_does_not_exist() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let fields = json!({ "configuration_set": "nowhere" });
    assert_rejected(&stack, &tenant, &provider_id, &fields, "not_found:configuration_set").await;
}

#[tokio::test]
async fn a_recipient_that_the_sandbox_does_not_reach() {
    let stack = Stack::shared().await;
    let sandbox = json!({ "policies": [classic()], "identities": ["example.com"], "sandbox": true });
    let tenant = stack.tenant(&sandbox).await.unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    assert_rejected(&stack, &tenant, &provider_id, &json!({ "to": ["ann@example.org"] }), "sandbox_recipient").await;
}

#[tokio::test]
async fn a_sender_that_the_policy_does_not_cover() {
    let stack = Stack::shared().await;
    let account_id = "161803398874";
    let covered = format!("arn:aws:ses:*:{account_id}:identity/example.com");
    let policy = json!({
        "Version": "2012-10-17",
        "Statement": [
            { "Effect": "Allow", "Action": "ses:SendEmail", "Resource": covered },
            { "Effect": "Allow", "Action": ["ses:GetAccount", "ses:ListEmailIdentities"], "Resource": "*" },
            {
                "Effect": "Allow",
                "Action": ["iam:GetUser", "iam:DeleteAccessKey"],
                "Resource": format!("arn:aws:iam::{account_id}:user/*")
            },
        ]
    });
    let tenant = stack
        .tenant(
            &json!({ "account_id": account_id, "policies": [policy], "identities": ["example.com", "example.net"] }),
        )
        .await
        .unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    let reason = format!("permission_missing:arn:aws:ses:{}:{account_id}:identity/example.net", tenant.region);
    assert_rejected(&stack, &tenant, &provider_id, &json!({ "from": "jane@example.net" }), &reason).await;
}

#[tokio::test]
async fn the_hardened_policy_lets_mail_out() {
    let stack = Stack::shared().await;
    let account_id = "141421356237";
    let path = format!("/policy?style=hardened&account_id={account_id}");
    let policy = stack.api(Method::GET, &path, None).await.unwrap();
    let tenant = stack
        .tenant(&json!({ "account_id": account_id, "policies": [policy.body], "identities": ["example.com"] }))
        .await
        .unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    stack.mail(&mail(&provider_id, "hardened")).await.unwrap();
    stack.fate(&provider_id, "hardened", &["sent"]).await;
    assert_eq!(stack.copies(&tenant, "hardened").await, 1);
}

#[tokio::test]
async fn a_mail_that_came_too_late_expires() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack
        .hand_over(&[
            mail_with(
                &provider_id,
                "by-its-own-word",
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
    for mail_id in ["by-its-own-word", "after-thirty-days", "before-it-was-seen"] {
        let fate = stack.fate(&provider_id, mail_id, &["expired", "sent"]).await;
        assert_eq!(fate["state"], "expired", "{fate}");
        stack.mail_event("Mail Expired", &provider_id, mail_id).await;
    }
    stack.fate(&provider_id, "in-time", &["sent"]).await;
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    assert_eq!(inbox.len(), 1, "{inbox:?}");
}
