//! An operator's hold: mail waits, nothing is rejected, and it flows again in its order after the lift.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Stack, Tables, eventually, mail, now, string_of, wait_for_nothing, was_answered_after};
use operator::{ApiResponse, Tenant};

/// The calls to SES that may still end after a stop, as for `stop`.
const MAX_CALLS_AFTER_HOLD: usize = 2;

async fn change_hold(stack: &Stack, method: Method, provider_id: &str, body: &Value) -> ApiResponse {
    stack.api(method, &format!("/providers/{provider_id}/hold"), Some(body)).await.unwrap()
}

/// The subjects of what SES accepted.
async fn accepted(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    inbox.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_held_provider_s_mail_waits_in_its_order_and_flows_within_a_minute_after_the_lift() {
    let stack = &Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 2 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let early: Vec<String> = (0..10).map(|n| format!("early-{n}")).collect();
    let mails: Vec<Value> = early.iter().map(|id| mail(&provider_id, id)).collect();
    stack.enqueue_mails(&mails).await;
    eventually("the first mail in the inbox", || async { (!accepted(stack, &tenant).await.is_empty()).then_some(()) })
        .await;

    let held = change_hold(stack, Method::PUT, &provider_id, &json!({ "reason": "complaints" })).await;
    let held_at = now();
    assert_eq!(held.status, 200, "{}", held.text);
    assert_eq!((&held.body["status"], &held.body["hold"]["reason"]), (&json!("active"), &json!("complaints")));
    assert!(held.body["hold"]["held_by"].as_str().unwrap().starts_with("arn:aws:iam::123456789012:"), "{}", held.text);
    let repeated = change_hold(stack, Method::PUT, &provider_id, &json!({ "reason": "complaints" })).await;
    assert_eq!(repeated.body, held.body);
    let shown = stack.get_provider(&provider_id).await.body;
    assert_eq!((&shown["status"], &shown["hold"]), (&json!("active"), &held.body["hold"]));

    // What is handed over meanwhile waits with the rest, in its order. When SES gets it then also depends on how fast the machine is;
    // when it is looked at again does not.
    let late = ["late-0", "late-1", "late-2"];
    let mut turns = Vec::new();
    for id in late {
        sleep(Duration::from_secs(6)).await;
        stack.enqueue_mail(&mail(&provider_id, id)).await.unwrap();
        let waiting = stack.mail_in_state(&provider_id, id, &["waiting"]).await;
        assert_eq!(waiting["reason"], "held", "{waiting}");
        turns.push(waiting["eta"].as_str().unwrap().parse::<Timestamp>().unwrap());
    }
    wait_for_nothing(4.0).await;
    let mut calls = stack.send_requests(&tenant).await;
    calls.retain(|call| was_answered_after(call, held_at));
    assert!(calls.len() <= MAX_CALLS_AFTER_HOLD, "after the hold at {held_at}: {calls:?}");
    let before = accepted(stack, &tenant).await.len();
    assert!(before < early.len(), "all mails were sent before the hold");

    let lifted = change_hold(stack, Method::DELETE, &provider_id, &json!({ "reason": "it is over" })).await;
    let lifted_at = Instant::now();
    assert_eq!((lifted.status.as_u16(), &lifted.body["hold"]), (200, &Value::Null), "{}", lifted.text);
    stack.enqueue_mail(&mail(&provider_id, "after")).await.unwrap();
    let after = stack.mail_in_state(&provider_id, "after", &["waiting", "sent"]).await;
    if after["state"] == "waiting" {
        turns.push(after["eta"].as_str().unwrap().parse().unwrap());
    }
    assert!(turns.is_sorted_by(|one, next| one < next), "{turns:?}");
    eventually("a first mail after the lift", || async {
        (accepted(stack, &tenant).await.len() > before).then_some(())
    })
    .await;
    assert!(lifted_at.elapsed() < Duration::from_secs(60), "{:?}", lifted_at.elapsed());
    stack.mail_in_state(&provider_id, "after", &["sent"]).await;
    for id in early.iter().map(String::as_str).chain(late) {
        stack.mail_in_state(&provider_id, id, &["sent"]).await;
    }
    let sent = accepted(stack, &tenant).await;
    assert_eq!(sent.len(), early.len() + late.len() + 1, "each once: {sent:?}");

    let repeated = change_hold(stack, Method::DELETE, &provider_id, &json!({ "reason": "it is over" })).await;
    assert_eq!((repeated.status.as_u16(), &repeated.body["hold"]), (200, &Value::Null));
    let trail = Tables::new(stack).await.audit_items(&provider_id).await;
    let trail: Vec<String> = trail.iter().map(|item| string_of(item, "event")).collect();
    assert_eq!(trail, ["onboarded", "held", "hold_lifted"]);
    for (detail_type, reason) in [("Provider Held", "complaints"), ("Provider Hold Lifted", "it is over")] {
        let event = stack.provider_event(detail_type, &provider_id).await;
        assert_eq!(event["detail"]["reason"], reason);
    }
}

#[tokio::test]
async fn a_hold_never_stops_a_revocation_and_a_stopped_provider_is_not_held() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let body = json!({ "reason": "complaints" });
    for (faulty, field) in [(json!({}), "reason"), (json!({ "reason": "" }), "reason")] {
        let refused = change_hold(stack, Method::PUT, &provider_id, &faulty).await;
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{}", refused.text);
    }
    let unknown = change_hold(stack, Method::PUT, "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", &body).await;
    assert_eq!(unknown.status, 404);
    assert_eq!(change_hold(stack, Method::PUT, &provider_id, &body).await.status, 200);
    stack.enqueue_mail(&mail(&provider_id, "waiting")).await.unwrap();

    stack.revoke_key(&tenant).await;
    stack.eventually_stopped(&provider_id).await;
    for method in [Method::PUT, Method::DELETE] {
        let stopped = change_hold(stack, method, &provider_id, &body).await;
        assert_eq!(stopped.status, 409, "{}", stopped.text);
        assert!(stopped.body["type"].as_str().unwrap().ends_with("provider-stopped"), "{}", stopped.text);
    }
    // The held mail learns of it when it is looked at next.
    let waiting = stack.mail_in_state(&provider_id, "waiting", &["rejected", "sent"]).await;
    assert_eq!(waiting["reason"], "provider_revoked", "{waiting}");
}
