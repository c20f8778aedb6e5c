//! A breach is reported on the bus: from the report to `revoked`, once, whatever else happens.

use reqwest::Method;
use serde_json::{Value, json};
use shared::id::OrderId;

use crate::support::{Stack, Tables, assert_receipt, eventually, key_scope, mail, timestamp};

#[tokio::test]
async fn a_reported_key_deletes_itself_is_refused_afterwards_and_leaves_no_secret() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    assert_eq!(tables.sealed_lanes(&tenant).await, ["revoke", "send"]);

    let event_id = stack.report_breach(&key_scope(&tenant), "seen in a public repository").await.unwrap();
    let event = stack.provider_event("Provider Revoked", &provider_id).await;

    let order_id = order_id_of(&stack, &event_id).await;
    assert_eq!(event["source"], "sendingbee.revoke");
    assert_eq!(event["detail"]["state"], "revoked");
    assert_eq!(event["detail"]["orders"], json!([order_id]));
    assert_eq!(event["detail"]["account_id"], tenant.account_id.as_str());

    let shown = stack.get_order(&order_id).await;
    assert_eq!((&shown["done"], &shown["counts"]["by_status"]), (&json!(true), &json!({ "revoked": 1 })), "{shown}");
    assert_eq!(shown["reported_by"], "operator");
    assert_eq!(shown["reason"], "seen in a public repository");
    assert_receipt(&shown["keys"][0], "deleted");
    assert!(shown["keys"][0]["receipt"]["delete_request_id"].as_str().is_some_and(|id| !id.is_empty()), "{shown}");

    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
    assert!(!stack.has_key(&tenant).await);
    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
}

#[tokio::test]
async fn a_mail_after_the_report_is_rejected_with_an_event() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail(&provider_id, "before")).await.unwrap();
    stack.mail_in_state(&provider_id, "before", &["sent"]).await;

    stack.report_breach(&key_scope(&tenant), "seen in a public repository").await.unwrap();
    stack.eventually_stopped(&provider_id).await;
    stack.enqueue_mail(&mail(&provider_id, "after")).await.unwrap();
    let after = stack.mail_in_state(&provider_id, "after", &["sent", "rejected"]).await;
    assert_eq!(after["state"], "rejected", "{after}");
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 1);
    let rejected = stack.provider_event("Mail Rejected", &provider_id).await;
    assert_eq!(rejected["detail"]["mail_id"], "after");
}

#[tokio::test]
async fn a_replayed_report_has_no_second_effect() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let event_id = stack.report_breach(&key_scope(&tenant), "seen in a public repository").await.unwrap();
    stack.provider_event("Provider Revoked", &provider_id).await;
    let order_id = order_id_of(&stack, &event_id).await;

    let event = breach_event(&stack, &event_id).await.to_string();
    deliver(&stack, &[&event]).await;
    deliver(&stack, &[&event]).await;
    eventually("the log lines of both replays", || async {
        let stops = stops(&stack, &order_id).await;
        // The sweep may have processed the order as well.
        (stops.len() >= 3).then(|| assert!(stops[0] == "Stopped" && stops[1..].iter().all(|stop| stop == "Unchanged")))
    })
    .await;

    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
    assert_eq!(stack.provider_events("Provider Revoked", &provider_id).await.len(), 1);
    stack.assert_deleted_once(&tenant).await;
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
}

#[tokio::test]
async fn a_replay_enqueues_a_key_that_is_not_revoked_yet() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let event = report_event(&tenant.account_id, &key_scope(&tenant));
    deliver(&stack, &[event.to_string()]).await;
    eventually_ordered(&stack, &event).await;
    stack.key_in_state(&order_id(&event), "revocation_blocked{quarantined}").await;

    stack.set_faults(&tenant, &json!({})).await;
    // It may be that the process that received the first delivery died before it enqueued the order.
    deliver(&stack, &[event.to_string()]).await;
    assert_receipt(&stack.key_in_state(&order_id(&event), "revoked").await, "deleted");
}

#[tokio::test]
async fn ten_concurrent_deliveries_of_one_report_are_one_order() {
    let stack = Stack::shared().await;
    let tables = Tables::new(&stack).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let event = report_event(&tenant.access_key_id, &json!({ "provider_id": provider_id }));
    deliver(&stack, &vec![event.to_string(); 10]).await;

    let order_id = order_id(&event);
    eventually("the log lines of all deliveries", || async {
        (stops(&stack, &order_id).await.len() >= 10).then_some(())
    })
    .await;
    assert_eq!(stops(&stack, &order_id).await.iter().filter(|stop| *stop == "Stopped").count(), 1);
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    assert_eq!(tables.audit_trail(&provider_id).await, ["onboarded", "revoking", "revoked"]);
    stack.assert_deleted_once(&tenant).await;
}

#[tokio::test]
async fn an_invalid_report_is_dead_lettered_with_its_reason_and_the_others_are_processed() {
    let stack = Stack::shared().await;
    let (tenant, _) = stack.create_provider("acme").await;
    let marker = &tenant.account_id;
    let scope = |scope: Value| report_event(marker, &scope);
    let with = |name: &str, value: &str| {
        let mut event = report_event(marker, &key_scope(&tenant));
        event[name] = json!(value);
        event
    };
    let cases = [
        (format!("garbage {marker}"), "body"),
        (scope(json!({ "all": "SECRET" })).to_string(), "detail.scope.all: must be true"),
        (scope(json!({ "tenant_id": "S ECRET" })).to_string(), "detail.scope.tenant_id"),
        (scope(json!({ "account_id": "SECRET" })).to_string(), "detail.scope.account_id"),
        (scope(json!({ "SECRET": "x" })).to_string(), "detail.scope: has an unknown member"),
        (scope(json!({ "access_key_id": "SECRET" })).to_string(), "detail.scope.access_key_id"),
        (
            scope(json!({ "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV" })).to_string(),
            "detail.scope.provider_id: there is no such provider",
        ),
        (with("source", "SECRET").to_string(), "source"),
        (with("account", marker).to_string(), "account"),
    ];
    let good = report_event(marker, &key_scope(&tenant));
    let bodies: Vec<String> = cases.iter().map(|(body, _)| body.clone()).chain([good.to_string()]).collect();
    deliver(&stack, &bodies).await;

    for (body, expected) in &cases {
        let reason = stack.dead_letter_reason("BreachDeadLetterQueue", |dead| dead == body).await;
        assert!(reason.starts_with(expected), "{body}: {reason}");
        assert!(!reason.contains("SECRET"), "{reason}");
    }
    stack.unmatched_report("provider_id", "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").await;
    eventually_ordered(&stack, &good).await;
    stack.key_in_state(&order_id(&good), "revoked").await;
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
        let (tenant, provider_id) = stack.create_provider("acme").await;
        let mut event = report_event(&tenant.account_id, &key_scope(&tenant));
        let (parent, name) = path.rsplit_once('/').unwrap();
        event.pointer_mut(parent).unwrap()[name] = value;
        deliver(&stack, &[event]).await;
        let revoked = stack.provider_event("Provider Revoked", &provider_id).await;
        let shown = stack.get_order(revoked["detail"]["orders"][0].as_str().unwrap()).await;
        let noted = shown["oddities"].as_array().unwrap();
        assert!(noted.len() == 1 && noted[0].as_str().unwrap().starts_with(odd), "{path}: {shown}");
        assert!(!shown.to_string().contains("SECRET"), "{shown}");
    }
}

#[tokio::test]
async fn a_report_of_more_than_one_scope_is_acted_on_and_dead_lettered_too() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let scope = json!({ "access_key_id": tenant.access_key_id, "all": true });
    let body = report_event(&tenant.account_id, &scope).to_string();
    deliver(&stack, &[&body]).await;
    stack.provider_event("Provider Revoked", &provider_id).await;
    let reason = stack.dead_letter_reason("BreachDeadLetterQueue", |dead| dead == body).await;
    assert_eq!(reason, "detail.scope: names more than one scope; only `access_key_id` was acted on");
}

#[tokio::test]
async fn a_report_stops_the_provider_however_implausible_its_time_is() {
    let stack = Stack::shared().await;
    for time in ["1950-01-01T00:00:00Z", "9999-12-30T22:00:00Z"] {
        let (tenant, provider_id) = stack.create_provider("acme").await;
        let mut event = report_event(&format!("{time} {}", tenant.account_id), &json!({ "provider_id": provider_id }));
        event["time"] = json!(time);
        deliver(&stack, &[event.to_string()]).await;
        let order = eventually_ordered(&stack, &event).await;
        assert_eq!(order["keys"].as_array().unwrap().len(), 1, "{order}");
        // The order is written before it is executed.
        stack.eventually_stopped(&provider_id).await;
    }
}

/// A breach event as the bus delivered it.
async fn breach_event(stack: &Stack, event_id: &str) -> Value {
    let events = stack.events("Credential Breach").await.unwrap();
    events.into_iter().find(|event| event["id"] == event_id).unwrap()
}

/// The id of the order that an event leads to.
async fn order_id_of(stack: &Stack, event_id: &str) -> String {
    order_id(&breach_event(stack, event_id).await)
}

fn order_id(event: &Value) -> String {
    OrderId::from_event(event["id"].as_str().unwrap(), timestamp(&event["time"])).to_string()
}

/// The order that a report leads to, once it exists.
async fn eventually_ordered(stack: &Stack, event: &Value) -> Value {
    eventually("the order of a report", || async {
        let response = stack.api(Method::GET, &format!("/revocations/{}", order_id(event)), None).await.unwrap();
        (response.status == 200).then_some(response.body)
    })
    .await
}

/// A breach report as EventBridge delivers it. Its time is later than everything else in the test.
fn report_event(marker: &str, scope: &Value) -> Value {
    let id = format!("{marker}-{scope}");
    json!({
        "version": "0", "id": id, "detail-type": "Credential Breach", "source": "sendingbee.security",
        "account": "123456789012", "time": "2999-01-01T00:00:00Z", "region": "us-east-1", "resources": [],
        "detail": { "scope": scope, "reason": "test", "reported_by": "operator" },
    })
}

/// Puts events into the breach queue, as concurrently as SQS allows.
async fn deliver<B: ToString>(stack: &Stack, events: &[B]) {
    stack.send_messages(&stack.queue_url("BreachQueue").await, events).await;
}

/// What each delivery of an order's report did, according to the log of `revoke`, sorted.
async fn stops(stack: &Stack, order_id: &str) -> Vec<String> {
    let mut lines = stack.log_lines("revoke").await;
    lines.retain(|line| line["order_id"] == order_id);
    let mut stops: Vec<String> = lines.iter().filter_map(|line| line["stop"].as_str().map(str::to_owned)).collect();
    stops.sort_unstable();
    stops
}
