//! A suspension from its beginning to its end: mail waits, and flows again in the order in which it was handed over.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Stack, Tables, eventually, mail, string_of, wait_for_nothing};

#[tokio::test]
async fn a_paused_account_makes_mail_wait_and_once_freed_it_flows_within_a_minute_in_order() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "paused": true })).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.provider_when(&provider_id, "suspended", |shown| shown["reason"] == "sending_paused").await;
    for n in 0..4 {
        sleep(Duration::from_secs(5)).await;
        stack.enqueue_mail(&mail(&provider_id, &format!("later-{n}"))).await.unwrap();
    }
    wait_for_nothing(2.0).await;
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());
    let still = stack.verify_provider(&provider_id).await;
    assert_eq!(still["provider_status"]["reason"], "sending_paused", "{still}");

    stack.set_faults(&tenant, &json!({})).await;
    let freed_at = Instant::now();
    let freed = stack.verify_provider(&provider_id).await;
    assert_eq!(freed["provider_status"], json!({ "status": "active" }), "{freed}");
    assert_eq!(stack.provider_event("Provider Resumed", &provider_id).await["detail"]["reason"], "sending_paused");
    let subjects = || async {
        let inbox = stack.inbox(&tenant.account_id).await.unwrap();
        inbox.iter().map(|mail: &Value| mail["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually("all mail in the inbox", || async { (subjects().await.len() == 5).then_some(()) }).await;
    let took = freed_at.elapsed();
    assert!(took < Duration::from_secs(75), "{took:?}: the wait of a minute, and the verification before it");
    assert_eq!(subjects().await, ["first", "later-0", "later-1", "later-2", "later-3"]);
    let trail = Tables::new(stack).await.audit_items(&provider_id).await;
    let by: Vec<_> = trail.iter().map(|item| (string_of(item, "event"), string_of(item, "by"))).collect();
    let expected = [("onboarded", "verify"), ("suspended", "send"), ("resumed", "verify-worker")];
    assert_eq!(by, expected.map(|(event, by)| (event.to_owned(), by.to_owned())));
}

#[tokio::test]
async fn a_pass_lifts_no_hold_of_the_operator() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let hold = json!({ "reason": "complaints" });
    let path = format!("/providers/{provider_id}/hold");
    assert_eq!(stack.api(reqwest::Method::PUT, &path, Some(&hold)).await.unwrap().status, 200);
    Tables::new(stack).await.suspend_provider(&provider_id, "key_rejected").await;
    let passed = stack.verify_provider(&provider_id).await;
    assert_eq!(passed["provider_status"], json!({ "status": "active" }));
    stack.enqueue_mail(&mail(&provider_id, "held")).await.unwrap();
    wait_for_nothing(2.0).await;
    assert_eq!(stack.accepted_copies(&tenant, "held").await, 0);
    assert_eq!(stack.get_provider(&provider_id).await.body["hold"]["reason"], "complaints");
}
