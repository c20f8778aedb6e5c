//! A breach is reported on the bus: the whole way to `revoked`, once, whatever comes with it.

use aws_sdk_sqs::types::SendMessageBatchRequestEntry;
use reqwest::Method;
use serde_json::{Value, json};
use shared::id::OrderId;

use super::order::{all_told, answers, has_key, key_in, revocation, scope_of, seconds, status, time, told, unmatched};
use super::records::{Records, queue, set_aside};
use crate::support::{Stack, mail, until};

#[tokio::test]
async fn a_reported_key_deletes_itself_is_seen_dead_and_leaves_no_secret() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    assert_eq!(records.lanes(&tenant).await, ["revoke", "send"]);

    let event_id = stack.report_breach(&scope_of(&tenant), "seen in a public repository").await.unwrap();
    let event = told(&stack, "Provider Revoked", &provider_id).await;

    let order_id = order_of(&stack, &event_id).await;
    assert_eq!(event["source"], "sendingbee.revoke");
    assert_eq!(event["detail"]["state"], "revoked");
    assert_eq!(event["detail"]["orders"], json!([order_id]));
    assert_eq!(event["detail"]["account_id"], tenant.account_id.as_str());

    let shown = revocation(&stack, &order_id).await;
    assert_eq!((&shown["done"], &shown["counts"]), (&json!(true), &json!({ "revoked": 1 })), "{shown}");
    assert_eq!(shown["reported_by"], "operator");
    assert_eq!(shown["reason"], "seen in a public repository");
    assert_receipt(&shown["keys"][0], "deleted");
    assert!(shown["keys"][0]["receipt"]["delete_request_id"].as_str().is_some_and(|id| !id.is_empty()), "{shown}");

    assert_eq!(status(&stack, &provider_id).await, "revoked");
    assert!(records.lanes(&tenant).await.is_empty());
    assert!(!has_key(&stack, &tenant).await);
    assert_eq!(records.trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
}

#[tokio::test]
async fn a_mail_after_the_report_is_rejected_and_told() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.mail(&mail(&provider_id, "before")).await.unwrap();
    stack.fate(&provider_id, "before", &["sent"]).await;

    stack.report_breach(&scope_of(&tenant), "seen in a public repository").await.unwrap();
    until("the stop", || async { (status(&stack, &provider_id).await != "active").then_some(()) }).await;
    stack.mail(&mail(&provider_id, "after")).await.unwrap();
    let fate = stack.fate(&provider_id, "after", &["sent", "rejected"]).await;
    assert_eq!(fate["state"], "rejected", "{fate}");
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 1);
    let rejected = told(&stack, "Mail Rejected", &provider_id).await;
    assert_eq!(rejected["detail"]["mail_id"], "after");
}

#[tokio::test]
async fn a_replayed_report_does_nothing_twice() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let event_id = stack.report_breach(&scope_of(&tenant), "seen in a public repository").await.unwrap();
    told(&stack, "Provider Revoked", &provider_id).await;
    let order_id = order_of(&stack, &event_id).await;

    let event = breach(&stack, &event_id).await.to_string();
    let breach_queue = queue(&stack, "BreachQueue").await;
    for _ in 0..2 {
        stack.sqs.send_message().queue_url(&breach_queue).message_body(&event).send().await.unwrap();
    }
    until("both replays", || async {
        let stops = stops(&stack, &order_id).await;
        // The sweep is one more delivery.
        (stops.len() >= 3).then(|| assert!(stops[0] == "Stopped" && stops[1..].iter().all(|stop| stop == "Unchanged")))
    })
    .await;

    assert_eq!(records.trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
    assert_eq!(all_told(&stack, "Provider Revoked", &provider_id).await.len(), 1);
    assert_eq!(answers(&stack, &tenant, "DeleteAccessKey").await.iter().filter(|code| code.is_none()).count(), 1);
    assert_eq!(status(&stack, &provider_id).await, "revoked");
}

#[tokio::test]
async fn a_replay_hands_a_key_on_that_is_not_dead_yet() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "quarantine": true })).await;
    let event = envelope(&tenant.account_id, &scope_of(&tenant));
    send_all(&stack, &[event.to_string()]).await;
    ordered(&stack, &event).await;
    key_in(&stack, &order_id(&event), "revocation_blocked{quarantined}").await;

    stack.faults(&tenant, &json!({})).await;
    // For all that is known, whoever took the first delivery died before it handed the order on.
    send_all(&stack, &[event.to_string()]).await;
    assert_receipt(&key_in(&stack, &order_id(&event), "revoked").await, "deleted");
}

#[tokio::test]
async fn ten_deliveries_of_one_report_at_once_are_one_order() {
    let stack = Stack::shared().await;
    let records = Records::of(&stack).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let event = envelope(&tenant.access_key_id, &json!({ "provider_id": provider_id }));
    send_all(&stack, &vec![event.to_string(); 10]).await;

    let order_id = order_id(&event);
    until("all deliveries", || async { (stops(&stack, &order_id).await.len() >= 10).then_some(()) }).await;
    assert_eq!(stops(&stack, &order_id).await.iter().filter(|stop| *stop == "Stopped").count(), 1);
    assert_receipt(&key_in(&stack, &order_id, "revoked").await, "deleted");
    assert_eq!(records.trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
    assert_eq!(answers(&stack, &tenant, "DeleteAccessKey").await.iter().filter(|code| code.is_none()).count(), 1);
}

#[tokio::test]
async fn a_report_that_cannot_be_taken_is_set_aside_with_its_reason_and_its_neighbours_are_handled() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.provider("acme").await;
    let mark = &tenant.account_id;
    let scope = |scope: Value| envelope(mark, &scope);
    let with = |name: &str, value: &str| {
        let mut event = envelope(mark, &scope_of(&tenant));
        event[name] = json!(value);
        event
    };
    let cases = [
        (format!("garbage {mark}"), "body"),
        (scope(json!({ "all": true })).to_string(), "detail.scope: `all` is not supported yet"),
        (scope(json!({ "tenant_id": "SECRET" })).to_string(), "detail.scope: `tenant_id` is not supported yet"),
        (scope(json!({ "account_id": mark })).to_string(), "detail.scope: `account_id` is not supported yet"),
        (scope(json!({ "SECRET": "x" })).to_string(), "detail.scope: has an unknown member"),
        (scope(json!({ "access_key_id": "SECRET" })).to_string(), "detail.scope.access_key_id"),
        (
            scope(json!({ "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV" })).to_string(),
            "detail.scope.provider_id: there is no such provider",
        ),
        (with("source", "SECRET").to_string(), "source"),
        (with("account", mark).to_string(), "account"),
    ];
    let good = envelope(mark, &scope_of(&tenant));
    let bodies: Vec<String> = cases.iter().map(|(body, _)| body.clone()).chain([good.to_string()]).collect();
    send_all(&stack, &bodies).await;

    let dead_letters = queue(&stack, "BreachDeadLetterQueue").await;
    for (body, reason) in &cases {
        let said = set_aside(&stack, &dead_letters, |letter| letter == body).await;
        assert!(said.starts_with(reason), "{body}: {said}");
        assert!(!said.contains("SECRET"), "{said}");
    }
    unmatched(&stack, "provider_id", "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").await;
    ordered(&stack, &good).await;
    key_in(&stack, &order_id(&good), "revoked").await;
}

#[tokio::test]
async fn an_odd_report_is_acted_on_if_its_scope_can_be_read() {
    let stack = Stack::shared().await;
    let oddities: [(&str, Value, &str); 6] = [
        ("/detail/reason", json!(7), "detail.reason: "),
        ("/detail/reported_by", json!(["SECRET"]), "detail.reported_by: "),
        ("/detail/SECRET", json!("SECRET"), "detail: "),
        ("/detail/scope/note", json!("SECRET"), "detail.scope: "),
        ("/time", json!("yesterday"), "time: "),
        ("/id", json!(""), "id: "),
    ];
    for (path, value, odd) in oddities {
        let (tenant, provider_id) = stack.provider("acme").await;
        let mut event = envelope(&tenant.account_id, &scope_of(&tenant));
        let (parent, name) = path.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        send_all(&stack, &[event.to_string()]).await;
        let revoked = told(&stack, "Provider Revoked", &provider_id).await;
        let shown = revocation(&stack, revoked["detail"]["orders"][0].as_str().unwrap()).await;
        let noted = shown["oddities"].as_array().unwrap();
        assert!(noted.len() == 1 && noted[0].as_str().unwrap().starts_with(odd), "{path}: {shown}");
        assert!(!shown.to_string().contains("SECRET"), "{shown}");
    }
}

#[tokio::test]
async fn a_report_of_more_than_one_scope_is_acted_on_and_left_to_a_person_too() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let event = envelope(&tenant.account_id, &json!({ "access_key_id": tenant.access_key_id, "all": true }));
    let body = event.to_string();
    send_all(&stack, std::slice::from_ref(&body)).await;
    told(&stack, "Provider Revoked", &provider_id).await;
    let dead_letters = queue(&stack, "BreachDeadLetterQueue").await;
    let said = set_aside(&stack, &dead_letters, |letter| letter == body).await;
    assert_eq!(said, "detail.scope: names more than one scope; only `access_key_id` was acted on");
}

#[tokio::test]
async fn a_report_stops_the_provider_however_odd_its_time_is() {
    let stack = Stack::shared().await;
    for time in ["1950-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
        let (tenant, provider_id) = stack.provider("acme").await;
        let mut event = envelope(&format!("{time} {}", tenant.account_id), &json!({ "provider_id": provider_id }));
        event["time"] = json!(time);
        send_all(&stack, &[event.to_string()]).await;
        let order = ordered(&stack, &event).await;
        assert_eq!(order["keys"].as_array().unwrap().len(), 1, "{order}");
        // The order is written before it is executed.
        until("the stop", || async { (status(&stack, &provider_id).await != "active").then_some(()) }).await;
    }
}

#[tokio::test]
async fn a_report_on_the_bus_that_is_not_built_yet_is_set_aside() {
    let stack = Stack::shared().await;
    let event_id = stack.report_breach(&json!({ "all": true }), "everything").await.unwrap();
    let dead_letters = queue(&stack, "BreachDeadLetterQueue").await;
    let said = set_aside(&stack, &dead_letters, |letter| letter.contains(&event_id)).await;
    assert!(said.starts_with("detail.scope: `all` is not supported yet"), "{said}");
}

/// The key was deleted by its own hand, was refused on both planes when AWS honours no deleted key any more, and how.
pub(super) fn assert_receipt(key: &Value, deleted_by: &str) {
    let receipt = &key["receipt"];
    assert_eq!(receipt["deleted_by"], deleted_by, "{key}");
    for (plane, code) in [("sts", "InvalidClientTokenId"), ("ses", "UnrecognizedClientException")] {
        let refused = &receipt["refused"][plane];
        assert_eq!(refused["code"], code, "{key}");
        assert!(refused["request_id"].is_string(), "{key}");
        assert!(seconds(&receipt["deleted_at"], &refused["at"]) >= 5.0, "{key}");
    }
    assert!(receipt["delete_sent_at"].is_null() && key["next_attempt_at"].is_null(), "{key}");
}

/// An event as the bus delivered it.
async fn breach(stack: &Stack, event_id: &str) -> Value {
    let events = stack.events_of("Credential Breach").await.unwrap();
    events.into_iter().find(|event| event["id"] == event_id).unwrap()
}

/// The order that answers an event.
async fn order_of(stack: &Stack, event_id: &str) -> String {
    order_id(&breach(stack, event_id).await)
}

fn order_id(event: &Value) -> String {
    OrderId::from_event(event["id"].as_str().unwrap(), time(&event["time"])).to_string()
}

/// The order that a report led to, once it is there.
async fn ordered(stack: &Stack, event: &Value) -> Value {
    until("the order", || async {
        let answer = stack.api(Method::GET, &format!("/revocations/{}", order_id(event)), None).await.unwrap();
        (answer.status == 200).then_some(answer.body)
    })
    .await
}

/// A breach report as EventBridge would deliver it, of a time after all that there is.
fn envelope(mark: &str, scope: &Value) -> Value {
    let id = format!("{mark}-{scope}");
    json!({
        "version": "0", "id": id, "detail-type": "Credential Breach", "source": "sendingbee.security",
        "account": "123456789012", "time": "2999-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
        "detail": { "scope": scope, "reason": "test", "reported_by": "operator" },
    })
}

/// Puts messages into the breach queue, as nearly at once as SQS allows.
async fn send_all(stack: &Stack, bodies: &[String]) {
    let breach_queue = queue(stack, "BreachQueue").await;
    for bodies in bodies.chunks(10) {
        let entries = bodies.iter().enumerate().map(|(index, body)| {
            SendMessageBatchRequestEntry::builder().id(index.to_string()).message_body(body).build().unwrap()
        });
        let request = stack.sqs.send_message_batch().queue_url(&breach_queue);
        let answer = request.set_entries(Some(entries.collect())).send().await.unwrap();
        assert!(answer.failed().is_empty(), "{:?}", answer.failed());
    }
}

/// What each delivery of an order's report came to, by the log of `revoke`, sorted.
async fn stops(stack: &Stack, order_id: &str) -> Vec<String> {
    let logs = stack.local(Method::GET, "/logs?function=sendingbee-revoke", None).await.unwrap();
    let lines = logs.body["lines"].as_array().unwrap().iter();
    let mut stops: Vec<String> = lines
        .filter_map(|line| serde_json::from_str::<Value>(line["line"].as_str()?).ok())
        .filter(|line| line["order_id"] == order_id)
        .filter_map(|line| line["stop"].as_str().map(str::to_owned))
        .collect();
    stops.sort_unstable();
    stops
}
