//! One id, one mail: what is handed over again is not sent again.

use serde_json::json;

use crate::support::{SOON_AGAIN, Stack, mail, mail_with, until};

#[tokio::test]
async fn a_mail_handed_over_again_is_sent_once() {
    let stack = Stack::with(&SOON_AGAIN).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let mail = mail(&provider_id, "twice");
    // Both at once: one of them finds the other one's claim, or its result.
    stack.hand_over(&[&mail, &mail]).await;
    let first = stack.fate(&provider_id, "twice", &["sent"]).await;
    // The same mail, spelled in another way and handed over at another time.
    let later = mail_with(
        &provider_id,
        "twice",
        &json!({
            "first_seen": "2026-01-01T00:00:00Z", "expires_at": "2126-01-01T00:00:00Z", "cc": [], "on_doubt": "resend",
        }),
    );
    stack.hand_over(&[serde_json::to_string_pretty(&later).unwrap()]).await;

    until("two mails whose fate was known", || async {
        let settled: u64 = stack.batches().await.iter().map(|batch| batch["settled"].as_u64().unwrap()).sum();
        (settled == 2).then_some(())
    })
    .await;
    stack.until_delayed(0).await;
    assert_eq!(stack.copies(&tenant, "twice").await, 1);
    assert_eq!(stack.fate(&provider_id, "twice", &["sent"]).await, first);
    assert!(stack.events_of("Mail Rejected").await.unwrap().is_empty());
}

#[tokio::test]
async fn another_mail_under_an_id_that_is_taken_is_rejected_and_the_first_ones_fate_stays() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.mail(&mail(&provider_id, "taken")).await.unwrap();
    let first = stack.fate(&provider_id, "taken", &["sent"]).await;
    let changes =
        [json!({ "text": "Another text." }), json!({ "to": ["bob@example.org"] }), json!({ "on_doubt": "hold" })];
    for change in changes {
        let ids = stack.hand_over(&[mail_with(&provider_id, "taken", &change)]).await;
        let event = until("the rejection", || async {
            let events = stack.events_of("Mail Rejected").await.unwrap();
            events.into_iter().find(|event| event["detail"]["message_id"] == ids[0].as_str())
        })
        .await;
        assert_eq!(event["detail"]["reason"], "mail_id_conflict:mail_id", "{change}");
    }
    assert_eq!(stack.fate(&provider_id, "taken", &["sent"]).await, first);
    assert_eq!(stack.copies(&tenant, "taken").await, 1);
}

#[tokio::test]
async fn an_id_is_a_providers_own() {
    let stack = Stack::shared().await;
    let (one, other) = tokio::join!(stack.provider("acme"), stack.provider("acme"));
    stack.hand_over(&[mail(&one.1, "same"), mail(&other.1, "same")]).await;
    for (tenant, provider_id) in [&one, &other] {
        stack.fate(provider_id, "same", &["sent"]).await;
        assert_eq!(stack.copies(tenant, "same").await, 1);
    }
}

#[tokio::test]
async fn a_corrected_mail_may_have_the_id_of_one_that_was_refused() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.mail(&mail_with(&provider_id, "corrected", &json!({ "to": ["ann"] }))).await.unwrap();
    let fate = stack.fate(&provider_id, "corrected", &["rejected", "sent"]).await;
    assert_eq!(fate["reason"], "invalid:to[0]", "{fate}");
    stack.mail(&mail(&provider_id, "corrected")).await.unwrap();
    stack.fate(&provider_id, "corrected", &["sent"]).await;
    assert_eq!(stack.copies(&tenant, "corrected").await, 1);
}

#[tokio::test]
async fn a_corrected_mail_that_may_not_go_out_has_a_fate_of_its_own() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.provider("acme").await;
    stack.mail(&mail_with(&provider_id, "too-late", &json!({ "to": ["ann"] }))).await.unwrap();
    stack.fate(&provider_id, "too-late", &["rejected"]).await;
    let late = json!({ "expires_at": "2026-01-02T00:00:00Z" });
    stack.mail(&mail_with(&provider_id, "too-late", &late)).await.unwrap();
    stack.fate(&provider_id, "too-late", &["expired"]).await;
    stack.mail_event("Mail Expired", &provider_id, "too-late").await;
}
