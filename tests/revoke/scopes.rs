//! Orders for more than one provider: pages, fences, counts, listings and evidence.

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::time::Duration;

use operator::Tenant;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::support::{Stack, Tables, eventually, mail};

/// More than fit on a page of an order.
const PROVIDERS: usize = 30;

async fn onboard_many(stack: &Stack, tenant_id: &str, count: usize) -> Vec<(Tenant, String)> {
    let mut providers = Vec::new();
    while providers.len() < count {
        let mut onboarding = JoinSet::new();
        for _ in 0..(count - providers.len()).min(8) {
            let (operator, tenant_id) = (stack.operator.clone(), tenant_id.to_owned());
            onboarding.spawn(async move { Stack::of(operator).create_provider(&tenant_id).await });
        }
        providers.extend(onboarding.join_all().await);
    }
    providers
}

async fn report(stack: &Stack, path: &str, body: &Value) -> Value {
    let response = stack.api(Method::POST, path, Some(body)).await.unwrap();
    assert_eq!(response.status, 202, "{}", response.text);
    assert_eq!(
        response.headers["location"].to_str().unwrap(),
        format!("/revocations/{}", response.body["order_id"].as_str().unwrap())
    );
    response.body
}

async fn get(stack: &Stack, path: &str) -> Value {
    let response = stack.api(Method::GET, path, None).await.unwrap();
    assert_eq!(response.status, 200, "{}", response.text);
    response.body
}

/// The order, once the condition holds. Its counts add up at any time.
async fn order_when(stack: &Stack, order_id: &str, what: &str, condition: impl Fn(&Value) -> bool) -> Value {
    eventually(&format!("{order_id}: {what}"), || async {
        let order = stack.get_order(order_id).await;
        let counts = &order["counts"];
        let sum: u64 = counts["by_status"].as_object().unwrap().values().map(|count| count.as_u64().unwrap()).sum();
        assert_eq!(sum, counts["keys"].as_u64().unwrap(), "{order}");
        if condition(&order) {
            return Some(order);
        }
        sleep(Duration::from_millis(300)).await;
        None
    })
    .await
}

/// All keys of an order, over its pages.
async fn all_keys(stack: &Stack, order_id: &str) -> Vec<Value> {
    let (mut keys, mut page) = (Vec::new(), Some(1));
    while let Some(number) = page {
        let order = get(stack, &format!("/revocations/{order_id}?page={number}")).await;
        keys.extend(order["keys"].as_array().unwrap().iter().cloned());
        page = order["next_page"].as_u64();
    }
    keys
}

#[tokio::test]
async fn all_keys_of_a_tenant_die_whatever_one_of_them_does_and_no_others() {
    let stack = Stack::with_arguments(&[]).await;
    let providers = onboard_many(&stack, "umbrella", PROVIDERS).await;
    let (other, other_id) = stack.create_provider("globex").await;
    let (blocked, _) = &providers[0];
    stack.set_faults(blocked, &json!({ "quarantine": true })).await;

    let scope = json!({ "tenant_id": "umbrella" });
    let unconfirmed = json!({ "scope": scope, "reason": "their laptop was stolen" });
    let refused = stack.api(Method::POST, "/revocations", Some(&unconfirmed)).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!("confirm")), "{}", refused.text);
    let body = json!({ "scope": scope, "reason": "their laptop was stolen", "confirm": "umbrella" });
    let run = stack.api(Method::POST, "/revocations?dry_run=true", Some(&body)).await.unwrap();
    assert_eq!(
        (run.status.as_u16(), run.body["providers"].as_array().unwrap().len()),
        (200, PROVIDERS),
        "{}",
        run.text
    );
    assert_eq!(stack.provider_status(&providers[1].1).await, "active");

    let order = report(&stack, "/revocations", &body).await;
    let order_id = order["order_id"].as_str().unwrap();
    let expected = u64::try_from(PROVIDERS).unwrap();
    assert_eq!(
        (&order["counts"]["keys"], &order["counts"]["stopped"]),
        (&json!(expected), &json!(expected)),
        "{order}"
    );
    order_when(&stack, order_id, "all but one dead", |order| order["counts"]["dead"] == expected - 1).await;
    let order =
        order_when(&stack, order_id, "one blocked", |order| order["counts"]["blocked"]["quarantined"] == 1).await;
    assert_eq!(
        (&order["counts"]["keys"], &order["counts"]["stopped"], &order["done"]),
        (&json!(expected), &json!(expected), &json!(false))
    );
    let keys = all_keys(&stack, order_id).await;
    let ids: BTreeSet<&str> = keys.iter().map(|key| key["access_key_id"].as_str().unwrap()).collect();
    let reported: BTreeSet<&str> = providers.iter().map(|(tenant, _)| tenant.access_key_id.as_str()).collect();
    assert_eq!((keys.len(), ids), (PROVIDERS, reported));
    for (tenant, _) in &providers[1..] {
        stack.assert_deleted_once(tenant).await;
    }
    assert_eq!(stack.provider_status(&other_id).await, "active");
    stack.assert_key_untouched(&other).await;

    // What is not dead can be listed, and the order is open.
    let open = get(&stack, "/keys").await;
    assert_eq!(open["keys"][0]["access_key_id"], blocked.access_key_id.as_str(), "{open}");
    let listed = get(&stack, "/revocations?scope=tenant_id&state=open").await;
    assert_eq!(listed["revocations"][0]["order_id"], order_id, "{listed}");
    assert!(get(&stack, "/revocations?scope=all").await["revocations"].as_array().unwrap().is_empty());

    // Nobody of this tenant is let in until the second pass is over.
    let late = stack.classic_tenant().await;
    let response = stack.onboard("umbrella", &late).await.unwrap();
    assert_eq!(
        (response.status.as_u16(), &response.body["type"]),
        (503, &json!("urn:sendingbee:problem:order-in-progress")),
        "{}",
        response.text
    );

    // The quarantine is lifted, and a new order has the key tried at once. The second pass finds nobody, and operators are told
    // at each step.
    stack.set_faults(blocked, &json!({})).await;
    stack.key_in_state(&stack.revoke_key(blocked).await, "revoked").await;
    // The scheduled sweep comes once a minute; this one looks as soon as the second pass is due.
    let completed = eventually("the end of the order", || async {
        stack.run_sweep().await;
        sleep(Duration::from_secs(3)).await;
        let order = stack.get_order(order_id).await;
        order["completed_at"].is_string().then_some(order)
    })
    .await;
    assert_eq!((&completed["done"], &completed["listing"]["pass"]), (&json!(true), &json!("over")), "{completed}");
    assert_eq!(completed["counts"]["by_status"], json!({ "revoked": PROVIDERS }));
    for detail_type in ["Revocation Ordered", "Revocation Stopped", "Revocation Complete"] {
        let mut events = stack.events(detail_type).await.unwrap();
        events.retain(|event| event["detail"]["order_id"] == order_id);
        assert_eq!(events.len(), 1, "{detail_type}");
        assert_eq!(events[0]["detail"]["scope"], scope);
    }
    // The later order for the one key may still be open.
    let open = get(&stack, "/revocations?state=open").await;
    assert!(open["revocations"].as_array().unwrap().iter().all(|order| order["order_id"] != order_id), "{open}");
}

#[tokio::test]
async fn an_order_for_all_halts_first_and_takes_keys_that_were_being_onboarded() {
    let stack = Stack::with_arguments(&[]).await;
    let providers = onboard_many(&stack, "umbrella", 3).await;
    let last = stack.classic_tenant().await;
    // It is verified while the order is placed.
    stack.set_faults(&last, &json!({ "on": ["iam:GetUser"], "latency_ms": 2500 })).await;
    let operator = stack.operator.clone();
    let onboarding = tokio::spawn(async move { Stack::of(operator).onboard("globex", &last).await.unwrap() });
    sleep(Duration::from_millis(1500)).await;

    let wrong_route = json!({ "scope": { "all": true }, "reason": "our table was read", "confirm": "all" });
    let refused = stack.api(Method::POST, "/revocations", Some(&wrong_route)).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!("scope")), "{}", refused.text);
    let unconfirmed = json!({ "reason": "our table was read", "confirm": "yes" });
    let refused = stack.api(Method::POST, "/revocations/all", Some(&unconfirmed)).await.unwrap();
    assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!("confirm")), "{}", refused.text);
    let order = report(&stack, "/revocations/all", &json!({ "reason": "our table was read", "confirm": "all" })).await;
    let order_id = order["order_id"].as_str().unwrap();
    stack.enqueue_mail(&mail(&providers[0].1, "late")).await.unwrap();

    let late = onboarding.await.unwrap();
    assert_eq!(
        (late.status.as_u16(), &late.body["type"]),
        (503, &json!("urn:sendingbee:problem:order-in-progress")),
        "{}",
        late.text
    );
    let order = order_when(&stack, order_id, "all dead", |order| order["counts"]["dead"] == 3).await;
    assert_eq!(order["counts"]["keys"], 3, "{order}");
    assert!(stack.inbox(&providers[0].0.account_id).await.unwrap().is_empty());
}

/// `BREACH_KEYS` makes it a larger breach than the suite has the time for.
#[tokio::test]
async fn every_key_of_a_breach_is_counted_once_and_dies_though_both_functions_are_killed_every_second() {
    let keys = std::env::var("BREACH_KEYS").map_or(40, |keys| keys.parse().unwrap());
    let stack = Stack::with_arguments(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    // So many onboardings of one tenant in an hour are refused.
    let mut providers = Vec::new();
    while providers.len() < keys {
        let tenant_id = format!("acme-{}", providers.len());
        providers.extend(onboard_many(&stack, &tenant_id, (keys - providers.len()).min(100)).await);
    }
    let order = report(&stack, "/revocations/all", &json!({ "reason": "drill", "confirm": "all" })).await;
    let order_id = order["order_id"].as_str().unwrap();
    let started = Instant::now();
    while started.elapsed() < Duration::from_secs(20).max(Duration::from_millis(100) * u32::try_from(keys).unwrap()) {
        stack.kill_processes("revoke").await;
        stack.kill_processes("revoke-worker").await;
        sleep(Duration::from_secs(1)).await;
    }
    let expected = u64::try_from(keys).unwrap();
    // A large breach takes longer than anything else is waited for.
    while started.elapsed() < Duration::from_secs(expected)
        && stack.get_order(order_id).await["counts"]["dead"] != expected
    {
        sleep(Duration::from_secs(1)).await;
    }
    order_when(&stack, order_id, "all dead", |order| order["counts"]["dead"] == expected).await;
    let shown = all_keys(&stack, order_id).await;
    let ids: BTreeSet<&str> = shown.iter().map(|key| key["access_key_id"].as_str().unwrap()).collect();
    assert_eq!((shown.len(), ids.len()), (keys, keys));
    for (tenant, _) in &providers {
        assert!(!stack.has_key(tenant).await);
        stack.assert_deleted_once(tenant).await;
    }
}

#[tokio::test]
async fn an_event_for_an_account_finds_its_providers_and_can_be_found_by_its_id() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let event_id = stack.report_breach(&json!({ "account_id": tenant.account_id }), "reported by AWS").await.unwrap();
    stack.eventually_stopped(&provider_id).await;
    let order = eventually("the order of the event", || async {
        let found = get(&stack, &format!("/revocations?event_id={event_id}")).await;
        found["revocations"].as_array().unwrap().first().cloned()
    })
    .await;
    assert_eq!(order["scope"], json!({ "account_id": tenant.account_id }));
    let order_id = order["order_id"].as_str().unwrap();
    order_when(&stack, order_id, "dead", |order| order["counts"]["dead"] == 1).await;
    let evidence = stack.api(Method::GET, &format!("/revocations/{order_id}/evidence"), None).await.unwrap();
    assert_eq!(evidence.status, 200, "{}", evidence.text);
    assert_eq!(evidence.headers["content-type"], "application/jsonl");
    let records: Vec<Value> = evidence.text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let types: Vec<&str> = records.iter().map(|line| line["record"]["type"].as_str().unwrap()).collect();
    assert_eq!(types, ["order", "key", "audit", "audit", "audit"], "{}", evidence.text);
    assert!(!evidence.text.contains(&tenant.secret_access_key));
    assert!(is_verified(&evidence.text), "{}", evidence.text);
    assert!(!is_verified(&evidence.text.replace("reported by AWS", "reported by me")));
    assert_eq!(Tables::new(&stack).await.sealed_lanes(&tenant).await, Vec::<String>::new());
}

/// Whether the lines of shell in README accept an export.
fn is_verified(evidence: &str) -> bool {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("# verifies an export of evidence").unwrap();
    let script = rest.split("```").next().unwrap();
    let mut shell = Command::new("bash")
        .args(["-c", &format!("#{script}")])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut shell.stdin.take().unwrap(), evidence.as_bytes()).unwrap();
    shell.wait().unwrap().success()
}
