//! A mail that names several providers is sent by the first that can, and by one.

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, age_hold, change_hold, mail_with, now, parked};

/// A mail of these providers, in the order of preference.
fn mail_of(provider_ids: &[&str], mail_id: &str) -> Value {
    mail_with(provider_ids[0], mail_id, &json!({ "provider_id": null, "provider_ids": provider_ids }))
}

#[tokio::test]
async fn the_next_provider_sends_what_the_preferred_one_cannot_and_nothing_is_sent_twice() {
    let stack = &Stack::shared().await;
    let (first, second) = (stack.classic_tenant().await, stack.classic_tenant().await);
    let preferred = stack.onboard_provider("failing-over", &first).await;
    let other = stack.onboard_provider("failing-over", &second).await;
    let ids = [preferred.as_str(), other.as_str()];

    stack.enqueue_mail(&mail_of(&ids, "preferred")).await.unwrap();
    let sent = stack.mail_in_state(&preferred, "preferred", &["sent"]).await;
    assert_eq!(sent["provider_id"], preferred.as_str());

    let body = json!({ "reason": "complaints" });
    let path = format!("/providers/{preferred}/hold");
    assert_eq!(stack.api(Method::PUT, &path, Some(&body)).await.unwrap().status, 200);
    stack.enqueue_mail(&mail_of(&ids, "held")).await.unwrap();
    let sent = stack.mail_in_state(&preferred, "held", &["sent"]).await;
    assert_eq!(sent["provider_id"], other.as_str());
    // Whichever provider is named: it is the tenant's mail, and it has been sent.
    stack.enqueue_mails(&[mail_of(&[&other, &preferred], "preferred"), mail_of(&[&other], "after")]).await;
    stack.mail_in_state(&other, "after", &["sent"]).await;
    assert_eq!(stack.accepted_copies(&first, "preferred").await, 1);
    assert_eq!(stack.accepted_copies(&second, "preferred").await, 0);

    stack.revoke_key(&first).await;
    stack.eventually_stopped(&preferred).await;
    stack.enqueue_mail(&mail_of(&ids, "revoked")).await.unwrap();
    let sent = stack.mail_in_state(&other, "revoked", &["sent", "rejected"]).await;
    assert_eq!((&sent["state"], &sent["provider_id"]), (&json!("sent"), &json!(other)));
}

#[tokio::test]
async fn a_used_up_quota_sends_the_mail_through_the_next_provider_and_a_stranger_s_makes_it_invalid() {
    let stack = &Stack::shared().await;
    let small = stack.tenant_with(&json!({ "max_send_rate": 50, "max_24_hour_send": 1 })).await;
    let preferred = stack.onboard_provider("running-out", &small).await;
    let other = stack.onboard_provider("running-out", &stack.classic_tenant().await).await;
    let ids = [preferred.as_str(), other.as_str()];
    stack.enqueue_mail(&mail_of(&ids, "within")).await.unwrap();
    stack.mail_in_state(&preferred, "within", &["sent"]).await;
    // The first one beyond the quota learns of it, and waits.
    stack.enqueue_mail(&mail_of(&ids, "beyond")).await.unwrap();
    stack.mail_in_state(&preferred, "beyond", &["waiting", "sent"]).await;
    stack.enqueue_mail(&mail_of(&ids, "next")).await.unwrap();
    let sent = stack.mail_in_state(&preferred, "next", &["sent"]).await;
    assert_eq!(sent["provider_id"], other.as_str());

    let (_, stranger) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail_of(&[&preferred, &stranger], "stranger")).await.unwrap();
    let event = stack.mail_event("Mail Rejected", &stranger, "stranger").await;
    assert_eq!(event["reason"], "tenant_mismatch:tenant_id");
}

#[tokio::test]
async fn mail_of_several_providers_that_are_all_held_for_long_is_parked_for_none_of_them() {
    let stack = &Stack::shared().await;
    let mut provider_ids = Vec::new();
    for _ in 0..2 {
        let tenant = stack.classic_tenant().await;
        provider_ids.push(stack.onboard_provider("waiting-for-any", &tenant).await);
    }
    for provider_id in &provider_ids {
        change_hold(stack, Method::PUT, provider_id).await;
        age_hold(stack, provider_id).await;
    }
    stack.enqueue_mail(&mail_of(&[&provider_ids[0], &provider_ids[1]], "waits")).await.unwrap();
    let waiting = stack.mail_in_state(&provider_ids[0], "waits", &["waiting"]).await;
    let eta: Timestamp = waiting["eta"].as_str().unwrap().parse().unwrap();
    let wait = eta.duration_since(now());
    assert!(SignedDuration::from_mins(13) < wait && wait <= SignedDuration::from_mins(15), "{waiting}");
    for provider_id in &provider_ids {
        assert!(parked(stack, provider_id).await.is_empty(), "parked, it would wait for one of them alone");
    }
}
