//! Orders as the operator gives and follows them, and what they lead to in a tenant's account.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{Stack, until};
use operator::{Answer, Tenant};

/// Looks at a revocation are requests to a function like any other, so they leave it room for the tests beside this one.
const LOOK: Duration = Duration::from_millis(250);

/// Orders a scope's revocation.
pub(super) async fn report(stack: &Stack, scope: &Value) -> Answer {
    let body = json!({ "scope": scope, "reason": "seen in a public repository" });
    stack.api(Method::POST, "/revocations", Some(&body)).await.unwrap()
}

/// Orders the revocation of a tenant's key. Answers the order's id.
pub(super) async fn order(stack: &Stack, tenant: &Tenant) -> String {
    let answer = report(stack, &scope_of(tenant)).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    answer.body["order_id"].as_str().unwrap().to_owned()
}

/// The scope of a tenant's one key.
pub(super) fn scope_of(tenant: &Tenant) -> Value {
    json!({ "access_key_id": tenant.access_key_id })
}

/// An order as `GET /revocations/{id}` shows it now.
pub(super) async fn revocation(stack: &Stack, order_id: &str) -> Value {
    let answer = stack.api(Method::GET, &format!("/revocations/{order_id}"), None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

/// The only key of an order, once it is in a state to stay in, `status` or `status{reason}` as it is written in logs, and
/// that is told: until then it is due within the minute.
pub(super) async fn key_in(stack: &Stack, order_id: &str, state: &str) -> Value {
    key_when(stack, order_id, state, |key| written(key) == state && !is_due_soon(key)).await
}

fn is_due_soon(key: &Value) -> bool {
    key["next_attempt_at"].is_string() && seconds(&key["updated_at"], &key["next_attempt_at"]) < 120.0
}

/// The only key of an order, once something is so.
pub(super) async fn key_when(stack: &Stack, order_id: &str, what: &str, is: impl Fn(&Value) -> bool) -> Value {
    until(&format!("{order_id}: {what}"), || async {
        let shown = revocation(stack, order_id).await;
        let [key] = shown["keys"].as_array().unwrap().as_slice() else { panic!("one key: {shown}") };
        if is(key) {
            return Some(key.clone());
        }
        sleep(LOOK).await;
        None
    })
    .await
}

/// A state with its reason, as logs have it.
fn written(key: &Value) -> String {
    let status = key["status"].as_str().unwrap();
    key["reason"].as_str().map_or_else(|| status.to_owned(), |reason| format!("{status}{{{reason}}}"))
}

/// The event that tells a provider's state, once it is on the bus.
pub(super) async fn told(stack: &Stack, detail_type: &str, provider_id: &str) -> Value {
    until(&format!("{detail_type} of {provider_id}"), || async {
        all_told(stack, detail_type, provider_id).await.into_iter().next()
    })
    .await
}

/// All events of one detail-type about a provider.
pub(super) async fn all_told(stack: &Stack, detail_type: &str, provider_id: &str) -> Vec<Value> {
    let mut events = stack.events_of(detail_type).await.unwrap();
    events.retain(|event| event["detail"]["provider_id"] == provider_id);
    events
}

/// The event about a report that names this and matched nothing, once it is on the bus.
pub(super) async fn unmatched(stack: &Stack, field: &str, id: &str) -> Value {
    until(&format!("Breach Report Unmatched of {id}"), || async {
        let events = stack.events_of("Breach Report Unmatched").await.unwrap();
        events.into_iter().map(|event| event["detail"].clone()).find(|detail| detail[field] == id)
    })
    .await
}

/// Waits for the error in the worker's log that an alarm rings for.
pub(super) async fn alarmed(stack: &Stack, alarm: &str, provider_id: &str) {
    until(&format!("the alarm {alarm} of {provider_id}"), || async {
        let logs = stack.local(Method::GET, "/logs?function=sendingbee-revoke-worker", None).await.unwrap();
        let lines = logs.body["lines"].as_array().unwrap().iter();
        let mut lines = lines.filter_map(|line| serde_json::from_str::<Value>(line["line"].as_str()?).ok());
        lines
            .any(|line| line["level"] == "ERROR" && line["alarm"] == alarm && line["provider_id"] == provider_id)
            .then_some(())
    })
    .await;
}

/// Deletes a tenant's key as its administrator does.
pub(super) async fn delete_key(stack: &Stack, tenant: &Tenant) {
    let path = format!("/tenants/{}/access-keys/{}", tenant.account_id, tenant.access_key_id);
    let answer = stack.local(Method::DELETE, &path, None).await.unwrap();
    assert!(answer.status.is_success(), "{}", answer.text);
}

/// Whether the tenant's account has its key.
pub(super) async fn has_key(stack: &Stack, tenant: &Tenant) -> bool {
    let account = stack.local(Method::GET, &format!("/tenants/{}", tenant.account_id), None).await.unwrap();
    assert!(account.status.is_success(), "{}", account.text);
    account.text.contains(&tenant.access_key_id)
}

/// How the tenant's AWS answered the calls of one operation, oldest first: a code, or nothing for a success.
pub(super) async fn answers(stack: &Stack, tenant: &Tenant, operation: &str) -> Vec<Option<String>> {
    let requests =
        stack.local(Method::GET, &format!("/requests?account_id={}", tenant.account_id), None).await.unwrap();
    let requests = requests.body["requests"].as_array().unwrap().iter();
    requests
        .filter(|request| request["operation"] == operation)
        .map(|request| request["error"].as_str().map(str::to_owned))
        .collect()
}

/// The status of a provider, with its reason.
pub(super) async fn status(stack: &Stack, provider_id: &str) -> String {
    let provider = stack.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(provider.status, 200, "{}", provider.text);
    written(&provider.body)
}

/// Runs the sweep now, as the clock does every minute.
pub(super) async fn sweep(stack: &Stack) {
    let event: Value = serde_json::from_str(include_str!("../../events/revoke-sweep.json")).unwrap();
    let answer = stack.local(Method::POST, "/functions/revoke/invoke", Some(&event)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    assert!(!answer.headers.contains_key("x-amz-function-error"), "{}", answer.text);
}

/// A time of an answer.
pub(super) fn time(value: &Value) -> Timestamp {
    value.as_str().unwrap_or_else(|| panic!("{value} is no time")).parse().unwrap()
}

/// Seconds from one time of an answer to another.
pub(super) fn seconds(from: &Value, to: &Value) -> f64 {
    time(to).duration_since(time(from)).as_secs_f64()
}
