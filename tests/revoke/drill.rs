//! Drills: the breach of a canary, from the request to the dead key, and what no drill touches.

use std::time::Duration;

use operator::{ApiResponse, Tenant};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, eventually, timestamp};

async fn onboard_canary(stack: &Stack) -> (Tenant, String) {
    let tenant = stack.classic_tenant().await;
    let request = json!({
        "tenant_id": "operator", "name": "canary", "region": tenant.region, "canary": true,
        "access_key_id": tenant.access_key_id, "secret_access_key": tenant.secret_access_key,
    });
    let response = eventually("an environment of verify", || async {
        let response = stack.api(Method::POST, "/providers", Some(&request)).await.unwrap();
        (response.body != json!({ "message": "Service Unavailable" })).then_some(response)
    })
    .await;
    assert_eq!((response.status.as_u16(), &response.body["canary"]), (201, &json!(true)), "{}", response.text);
    (tenant, response.body["provider_id"].as_str().unwrap().to_owned())
}

async fn start_drill(stack: &Stack, request: &Value) -> ApiResponse {
    stack.api(Method::POST, "/drills", Some(request)).await.unwrap()
}

async fn finished_drill(stack: &Stack, drill_id: &str) -> Value {
    eventually(&format!("the end of {drill_id}"), || async {
        let drill = stack.api(Method::GET, &format!("/drills/{drill_id}"), None).await.unwrap();
        assert_eq!(drill.status, 200, "{}", drill.text);
        if drill.body["outcome"] == "dead" {
            return Some(drill.body);
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
        None
    })
    .await
}

/// The steps are in order, and each has a time.
fn assert_timed(drill: &Value) {
    let steps = ["started_at", "reported_at", "ordered_at", "stopped_at", "deleted_at", "seen_dead_at"];
    let times: Vec<_> = steps.iter().map(|step| timestamp(&drill[step])).collect();
    // The stop is noted on the order when all of it was stopped, beside the deletion.
    assert!(times[..4].is_sorted() && times[4] < times[5] && times[2] <= times[4], "{drill}");
    let dead_after = times[5].duration_since(times[1]).as_millis();
    assert_eq!(drill["dead_after_ms"].as_i64().map(i128::from), Some(dead_after), "{drill}");
}

#[tokio::test]
async fn a_drill_runs_from_the_bus_to_the_dead_key_and_is_timed() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = onboard_canary(&stack).await;
    let started = start_drill(&stack, &json!({ "provider_id": provider_id })).await;
    assert_eq!(started.status, 202, "{}", started.text);
    assert_eq!(started.body["outcome"], "running");
    let drill_id = started.body["drill_id"].as_str().unwrap();
    assert_eq!(started.headers["location"], format!("/drills/{drill_id}"));

    let drill = finished_drill(&stack, drill_id).await;
    assert_timed(&drill);
    assert!(!stack.has_key(&tenant).await);
    let order = stack.get_order(drill["order_id"].as_str().unwrap()).await;
    assert_eq!(order["reported_by"], format!("drill {drill_id}"));
    assert_eq!((&order["reason"], &order["scope"]), (&json!("drill"), &json!({ "provider_id": provider_id })));

    // The sweep looks at a drill a minute after its start; the test does not wait for its schedule.
    let event = eventually("the event Drill Finished", || async {
        stack.run_sweep().await;
        let event = stack.provider_events("Drill Finished", &provider_id).await.into_iter().next();
        if event.is_none() {
            tokio::time::sleep(Duration::from_secs(2)).await;
        }
        event
    })
    .await;
    assert_timed(&event["detail"]);
    assert_eq!((&event["detail"]["outcome"], &event["detail"]["drill_id"]), (&json!("dead"), &json!(drill_id)));
    // What is recorded then is what was shown before.
    let recorded = stack.api(Method::GET, &format!("/drills/{drill_id}"), None).await.unwrap().body;
    assert_eq!(recorded, drill);

    let listed = stack.api(Method::GET, "/drills?limit=100", None).await.unwrap().body;
    assert!(listed["drills"].as_array().unwrap().contains(&drill), "{listed}");
    let again = start_drill(&stack, &json!({ "provider_id": provider_id })).await;
    assert_eq!(again.status, 409, "{}", again.text);
    assert!(again.text.contains("onboard another canary"), "{}", again.text);
}

#[tokio::test]
async fn a_drill_never_touches_a_provider_that_is_no_canary() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    assert_eq!(stack.get_provider(&provider_id).await.body.get("canary"), None);
    let refused = start_drill(&stack, &json!({ "provider_id": provider_id })).await;
    assert_eq!(refused.status, 409, "{}", refused.text);
    let cases = [
        (json!({ "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV" }), "provider_id"),
        (json!({ "provider_id": "acme" }), "provider_id"),
        (json!({ "canary": true }), "canary"),
    ];
    for (request, field) in cases {
        let refused = start_drill(&stack, &request).await;
        assert_eq!(refused.status, 400, "{}", refused.text);
        assert!(refused.text.contains(field), "{}", refused.text);
    }
    stack.assert_key_untouched(&tenant).await;
    assert_eq!(stack.provider_status(&provider_id).await, "active");
    let unknown = stack.api(Method::GET, "/drills/drl_01ARZ3NDEKTSV4RRFFQ69G5FAV", None).await.unwrap();
    assert_eq!(unknown.status, 404);
}

#[tokio::test]
async fn the_schedule_takes_the_oldest_canary_and_says_so_when_none_is_left() {
    let stack = Stack::with_arguments(&["--parameter", "DrillSchedule=rate(7 days)"]).await;
    let (bystander, _) = stack.create_provider("acme").await;
    let none_left = start_drill(&stack, &json!({})).await;
    assert_eq!(none_left.status, 409, "{}", none_left.text);
    assert!(none_left.text.contains("POST /providers"), "{}", none_left.text);
    run_schedule(&stack).await;
    let errors = stack.log_lines("revoke").await;
    let is_it = |line: &Value| line["level"] == "ERROR" && line["message"] == "no drill started by the schedule";
    assert!(errors.iter().any(is_it), "{errors:?}");

    let (first, first_id) = onboard_canary(&stack).await;
    let (second, second_id) = onboard_canary(&stack).await;
    run_schedule(&stack).await;
    // A second delivery of the schedule's event.
    run_schedule(&stack).await;
    let drills = stack.api(Method::GET, "/drills", None).await.unwrap().body["drills"].take();
    let [drill] = drills.as_array().unwrap().as_slice() else { panic!("not one drill: {drills}") };
    assert_eq!((&drill["provider_id"], &drill["started_by"]), (&json!(first_id), &json!("schedule")));
    assert_timed(&finished_drill(&stack, drill["drill_id"].as_str().unwrap()).await);
    assert!(!stack.has_key(&first).await);

    let started = start_drill(&stack, &json!({})).await;
    assert_eq!(started.body["provider_id"], second_id.as_str(), "{}", started.text);
    finished_drill(&stack, started.body["drill_id"].as_str().unwrap()).await;
    assert!(!stack.has_key(&second).await);
    assert_eq!(start_drill(&stack, &json!({})).await.status, 409);
    stack.assert_key_untouched(&bystander).await;
}

/// Invokes `revoke` as the schedule does.
async fn run_schedule(stack: &Stack) {
    let event: Value = serde_json::from_str(include_str!("../../events/revoke-scheduled-drill.json")).unwrap();
    let response = stack.local_api(Method::POST, "/functions/revoke/invoke", Some(&event)).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.text);
}
