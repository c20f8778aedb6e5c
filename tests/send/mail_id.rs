//! The mail id is the idempotency key: the same mail is sent once.

use serde_json::json;

use crate::support::{FAST_REDELIVERY, Stack, eventually, mail, mail_with};

#[tokio::test]
async fn a_mail_that_is_enqueued_again_is_sent_once() {
    let stack = Stack::with_arguments(&FAST_REDELIVERY).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let mail = mail(&provider_id, "twice");
    // Two messages at the same time: one of them finds the claim or the result of the other one.
    stack.enqueue_mails(&[&mail, &mail]).await;
    let first = stack.mail_in_state(&provider_id, "twice", &["sent"]).await;
    // The same mail in another form and at another time.
    let later = mail_with(
        &provider_id,
        "twice",
        &json!({
            "first_seen": "2026-01-01T00:00:00Z", "expires_at": "2126-01-01T00:00:00Z", "cc": [], "on_doubt": "resend",
        }),
    );
    stack.enqueue_mails(&[serde_json::to_string_pretty(&later).unwrap()]).await;

    eventually("two mails that were already settled", || async {
        let settled: u64 = stack.batch_logs().await.iter().map(|batch| batch["settled"].as_u64().unwrap()).sum();
        (settled == 2).then_some(())
    })
    .await;
    stack.eventually_delayed(0).await;
    assert_eq!(stack.accepted_copies(&tenant, "twice").await, 1);
    assert_eq!(stack.mail_in_state(&provider_id, "twice", &["sent"]).await, first);
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
}

#[tokio::test]
async fn another_mail_with_the_same_id_is_rejected_and_the_first_one_stays_sent() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail(&provider_id, "taken")).await.unwrap();
    let first = stack.mail_in_state(&provider_id, "taken", &["sent"]).await;
    let changes =
        [json!({ "text": "Another text." }), json!({ "to": ["bob@example.org"] }), json!({ "on_doubt": "hold" })];
    for change in changes {
        let ids = stack.enqueue_mails(&[mail_with(&provider_id, "taken", &change)]).await;
        let event = eventually("an event Mail Rejected about the second mail", || async {
            let events = stack.events("Mail Rejected").await.unwrap();
            events.into_iter().find(|event| event["detail"]["message_id"] == ids[0].as_str())
        })
        .await;
        assert_eq!(event["detail"]["reason"], "mail_id_conflict:mail_id", "{change}");
    }
    assert_eq!(stack.mail_in_state(&provider_id, "taken", &["sent"]).await, first);
    assert_eq!(stack.accepted_copies(&tenant, "taken").await, 1);
}

#[tokio::test]
async fn each_tenant_has_its_own_mail_ids() {
    let stack = Stack::shared().await;
    let (one, other) = tokio::join!(stack.create_provider("acme"), stack.create_provider("acme"));
    stack.enqueue_mails(&[mail(&one.1, "same"), mail(&other.1, "same")]).await;
    for (tenant, provider_id) in [&one, &other] {
        stack.mail_in_state(provider_id, "same", &["sent"]).await;
        assert_eq!(stack.accepted_copies(tenant, "same").await, 1);
    }
}

#[tokio::test]
async fn a_mail_id_is_the_tenant_s_whichever_provider_sends_the_mail() {
    let stack = Stack::shared().await;
    let (one, first) = stack.create_provider("acme").await;
    let other = stack.tenant_with(&json!({ "user_name": "other", "account_id": one.account_id })).await;
    let second = stack.onboard_provider("acme", &other).await;
    stack.enqueue_mail(&mail(&first, "once")).await.unwrap();
    stack.mail_in_state(&first, "once", &["sent"]).await;
    stack.enqueue_mails(&[mail(&second, "once"), mail(&second, "after")]).await;
    stack.mail_in_state(&second, "after", &["sent"]).await;
    assert_eq!(stack.mail_in_state(&second, "once", &["sent"]).await["provider_id"], first.as_str());
    assert_eq!(stack.accepted_copies(&one, "once").await, 1);
}

#[tokio::test]
async fn a_corrected_mail_may_have_the_id_of_the_invalid_one() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail_with(&provider_id, "corrected", &json!({ "to": ["ann"] }))).await.unwrap();
    let invalid = stack.mail_in_state(&provider_id, "corrected", &["rejected", "sent"]).await;
    assert_eq!(invalid["reason"], "invalid:to[0]", "{invalid}");
    stack.enqueue_mail(&mail(&provider_id, "corrected")).await.unwrap();
    stack.mail_in_state(&provider_id, "corrected", &["sent"]).await;
    assert_eq!(stack.accepted_copies(&tenant, "corrected").await, 1);
}

#[tokio::test]
async fn a_corrected_mail_that_must_not_be_sent_has_a_state_of_its_own() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail_with(&provider_id, "too-late", &json!({ "to": ["ann"] }))).await.unwrap();
    stack.mail_in_state(&provider_id, "too-late", &["rejected"]).await;
    let late = json!({ "expires_at": "2026-01-02T00:00:00Z" });
    stack.enqueue_mail(&mail_with(&provider_id, "too-late", &late)).await.unwrap();
    stack.mail_in_state(&provider_id, "too-late", &["expired"]).await;
    stack.mail_event("Mail Expired", &provider_id, "too-late").await;
}
