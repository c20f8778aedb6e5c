//! Looks at live keys: whether their revocation would work, told before a breach needs it.

use std::time::Duration;

use operator::Tenant;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::support::{
    Stack, Tables, assert_receipt, eventually, key_scope, now, policy_allowing, timestamp, wait_for_nothing,
};

/// What a tenant's key may do that cannot be deleted by itself.
const WITHOUT_DELETION: [&str; 3] = ["ses:SendEmail", "ses:GetAccount", "iam:GetUser"];

/// Has the key looked at now: makes it due, and runs the sweep, which enqueues the look.
async fn look(stack: &Stack, tenant: &Tenant) {
    assert!(Tables::new(stack).await.make_due(tenant).await);
    stack.run_sweep().await;
}

async fn not_revocable(stack: &Stack, provider_id: &str, reason: &str) -> Value {
    stack
        .provider_when(provider_id, reason, |provider| {
            provider["revocability"]["state"] == "not_revocable" && provider["revocability"]["reason"] == reason
        })
        .await
}

/// What the looks at a key have shown, as it is stored, once it fulfils a condition.
async fn looks_when(stack: &Stack, tenant: &Tenant, what: &str, condition: impl Fn(&str) -> bool) -> String {
    let tables = Tables::new(stack).await;
    eventually(what, || async {
        let looks = format!("{:?}", tables.key_item(tenant).await.get("revocability_looks"));
        condition(&looks).then_some(looks)
    })
    .await
}

/// The ids of the providers that are listed as not revocable since a time, page by page.
async fn listed(stack: &Stack, since: &str, limit: usize) -> Vec<String> {
    let (mut ids, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("/providers?{cursor}limit={limit}&not_revocable_since={since}");
        let page = stack.api(Method::GET, &path, None).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        let providers = page.body["providers"].as_array().unwrap();
        assert!(providers.len() <= limit);
        ids.extend(providers.iter().map(|provider| provider["provider_id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("cursor={}&", next.replace(':', "%3A").replace('~', "%7E")),
            None => return ids,
        }
    }
}

fn as_parameter(time: jiff::Timestamp) -> String {
    time.to_string().replace(':', "%3A")
}

#[tokio::test]
async fn a_look_proves_a_key_revocable_and_the_list_shows_the_others_page_by_page() {
    let stack = &Stack::with_arguments(&[]).await;
    let mut providers = Vec::new();
    for _ in 0..3 {
        providers.push(stack.create_provider("acme").await);
    }
    let onboarded = as_parameter(now());
    let ids: Vec<String> = providers.iter().map(|(_, provider_id)| provider_id.clone()).collect();
    eventually("all in the list", || async { (listed(stack, &onboarded, 1).await == ids).then_some(()) }).await;
    let (tenant, provider_id) = &providers[1];
    let before = stack.get_provider(provider_id).await.body;
    assert!(before.get("revocability").is_none() && before.get("revocable_at").is_none(), "{before}");

    look(stack, tenant).await;
    let shown = stack.provider_when(provider_id, "revocable", |provider| provider["revocable_at"].is_string()).await;
    assert_eq!(shown["revocability"], json!({ "state": "revocable", "since": shown["revocable_at"] }));
    stack.assert_key_untouched(tenant).await;
    let tables = Tables::new(stack).await;
    assert_eq!(tables.audit_trail(provider_id).await, ["onboarded", "revocable"]);
    let rest = [ids[0].clone(), ids[2].clone()];
    eventually("the others in the list", || async { (listed(stack, &onboarded, 1).await == rest).then_some(()) }).await;
    // In its turn it is in the list of a later time, and last.
    let later = as_parameter(now());
    eventually("it in the list", || async {
        (listed(stack, &later, 2).await.last() == Some(provider_id)).then_some(())
    })
    .await;

    // A later proof is a later time, and a stopped key is in no list.
    look(stack, tenant).await;
    let proved = timestamp(&shown["revocable_at"]);
    let again = stack
        .provider_when(provider_id, "proved again", |provider| timestamp(&provider["revocable_at"]) > proved)
        .await;
    assert_eq!(again["revocability"], shown["revocability"]);
    let order_id = stack.revoke_key(&providers[0].0).await;
    assert_receipt(&stack.key_in_state(&order_id, "revoked").await, "deleted");
    eventually("one left", || async { (listed(stack, &onboarded, 5).await == [ids[2].clone()]).then_some(()) }).await;
    assert!(stack.events("Provider Not Revocable").await.unwrap().is_empty());
}

#[tokio::test]
async fn a_shut_kms_key_is_found_before_the_breach_told_once_for_each_key_and_alarmed_about_in_time() {
    let stack = &Stack::with_arguments(&[]).await;
    let own_faults = |rules: Value| async move {
        let set = stack.local_api(Method::PUT, "/faults", Some(&json!({ "rules": rules }))).await.unwrap();
        assert!(set.status.is_success(), "{}", set.text);
    };
    let mut providers = Vec::new();
    for _ in 0..2 {
        providers.push(stack.create_provider("acme").await);
    }
    own_faults(json!([{ "on": ["kms:Decrypt"], "refuse": 100_000 }])).await;
    for (tenant, _) in &providers {
        look(stack, tenant).await;
    }
    for (tenant, provider_id) in &providers {
        not_revocable(stack, provider_id, "secret_unreadable").await;
        let event = stack.provider_event("Provider Not Revocable", provider_id).await;
        assert_eq!(
            (&event["detail"]["reason"], &event["detail"]["access_key_id"]),
            (&json!("secret_unreadable"), &json!(tenant.access_key_id))
        );
        // What it was told of is not told again.
        looks_when(stack, tenant, "told", |looks| looks.contains("\"notification_pending\": Bool(false)")).await;
        look(stack, tenant).await;
        looks_when(stack, tenant, "looked at again", |looks| looks.contains("\"writes\": N(\"3\")")).await;
    }
    wait_for_nothing(1.0).await;
    assert_eq!(stack.events("Provider Not Revocable").await.unwrap().len(), 2);
    let alarmed = stack
        .log_lines("revoke-worker")
        .await
        .into_iter()
        .filter(|line| line["level"] == "ERROR" && line["reason"] == "secret_unreadable");
    assert!(alarmed.count() >= 4, "each look is an error that somebody has to mend");

    // The alarm counts in this field, once it is twice the period.
    let counted = || async {
        stack.run_sweep().await;
        stack.log_lines("revoke").await.iter().filter_map(|line| line["not_revocable"].as_u64()).next_back()
    };
    assert_eq!(counted().await, None);
    for (tenant, _) in &providers {
        Tables::new(stack).await.set_unproven_since(tenant, "2020-01-01T00:00:00Z").await;
    }
    eventually("both counted", || async { (counted().await == Some(2)).then_some(()) }).await;

    // Mended, the next look proves it.
    own_faults(json!([])).await;
    for (tenant, provider_id) in &providers {
        look(stack, tenant).await;
        stack
            .provider_when(provider_id, "revocable", |provider| provider["revocability"]["state"] == "revocable")
            .await;
    }
    assert_eq!(listed(stack, &as_parameter(now()), 10).await.len(), 2);
    assert!(listed(stack, "2026-01-01T00%3A00%3A00Z", 10).await.is_empty());
}

#[tokio::test]
async fn what_the_tenant_took_away_is_a_fault_and_what_aws_failed_at_is_not() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    // Nobody's fault: errors, no answer in time.
    let failures = [
        json!({ "on": ["sts:GetCallerIdentity"], "server_error": 100_000 }),
        json!({ "on": ["iam:DeleteAccessKey"], "server_error": 100_000 }),
        json!({ "on": ["iam:DeleteAccessKey"], "latency_ms": 6_000 }),
    ];
    for (n, faults) in failures.into_iter().enumerate() {
        stack.set_faults(&tenant, &faults).await;
        look(stack, &tenant).await;
        let unanswered = format!("\"unanswered\": N(\"{}\")", n + 1);
        let looks = looks_when(stack, &tenant, &unanswered, |looks| looks.contains(&unanswered)).await;
        assert!(!looks.contains("fault"), "{faults}: {looks}");
    }
    stack.set_faults(&tenant, &json!({})).await;
    assert!(stack.get_provider(&provider_id).await.body.get("revocability").is_none());

    stack.set_policies(&tenant, &[policy_allowing(&WITHOUT_DELETION)]).await;
    look(stack, &tenant).await;
    not_revocable(stack, &provider_id, "delete_denied").await;
    let event = stack.provider_event("Provider Not Revocable", &provider_id).await;
    assert_eq!(event["detail"]["reason"], "delete_denied");

    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    look(stack, &tenant).await;
    not_revocable(stack, &provider_id, "quarantined").await;

    // One refusal proves nothing, because a stranger can cause it; the second, a minute later, does.
    stack.set_faults(&tenant, &json!({ "deactivate_key": true })).await;
    look(stack, &tenant).await;
    looks_when(stack, &tenant, "refused once", |looks| looks.contains("refused_since")).await;
    assert_eq!(stack.get_provider(&provider_id).await.body["revocability"]["reason"], "quarantined");
    sleep(Duration::from_secs(61)).await;
    look(stack, &tenant).await;
    not_revocable(stack, &provider_id, "key_rejected").await;

    // The lane is gone: nothing is asked with the key.
    let tables = Tables::new(stack).await;
    tables.delete_sealed_secret(&tenant, "revoke").await;
    look(stack, &tenant).await;
    not_revocable(stack, &provider_id, "secret_missing").await;
    eventually("an event for each cause", || async {
        let events = stack.provider_events("Provider Not Revocable", &provider_id).await;
        let mut reasons: Vec<_> =
            events.iter().map(|event| event["detail"]["reason"].as_str().unwrap().to_owned()).collect();
        reasons.dedup();
        (reasons == ["delete_denied", "quarantined", "key_rejected", "secret_missing"]).then_some(())
    })
    .await;
    let trail = tables.audit_trail(&provider_id).await;
    assert_eq!(trail, ["onboarded", "not_revocable", "not_revocable", "not_revocable", "not_revocable"]);
    assert!(stack.has_key(&tenant).await);
}

#[tokio::test]
async fn a_look_whose_worker_is_killed_is_made_again_and_a_fault_that_was_not_told_is_told_later() {
    let stack = &Stack::with_arguments(&["--parameter", "RevocationVisibilityTimeout=30"]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "latency_ms": 30_000 })).await;
    look(stack, &tenant).await;
    eventually("a process of revoke-worker", || async {
        (!stack.process_ids("revoke-worker").await.is_empty()).then_some(())
    })
    .await;
    sleep(Duration::from_secs(2)).await;
    assert!(stack.kill_processes("revoke-worker").await > 0);
    stack.set_faults(&tenant, &json!({})).await;
    assert!(stack.get_provider(&provider_id).await.body.get("revocability").is_none());
    // The message is delivered again.
    stack.provider_when(&provider_id, "revocable", |provider| provider["revocable_at"].is_string()).await;

    // The bus takes no events. The fault is recorded, and told by the next look.
    let set_bus = |rules: Value| async move {
        stack.local_api(Method::PUT, "/faults", Some(&json!({ "rules": rules }))).await.unwrap()
    };
    set_bus(json!([{ "on": ["events:PutEvents"], "server_error": 100_000 }])).await;
    stack.set_policies(&tenant, &[policy_allowing(&WITHOUT_DELETION)]).await;
    look(stack, &tenant).await;
    not_revocable(stack, &provider_id, "delete_denied").await;
    wait_for_nothing(2.0).await;
    assert!(stack.provider_events("Provider Not Revocable", &provider_id).await.is_empty());
    set_bus(json!([])).await;
    look(stack, &tenant).await;
    stack.provider_event("Provider Not Revocable", &provider_id).await;
    looks_when(stack, &tenant, "told", |looks| looks.contains("\"notification_pending\": Bool(false)")).await;
    assert_eq!(Tables::new(stack).await.audit_trail(&provider_id).await, ["onboarded", "revocable", "not_revocable"]);
}

#[tokio::test]
async fn a_revocation_neither_waits_for_looks_nor_is_undone_by_one() {
    let stack = &Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    // Looks that hang, as many as their queue may have at the same time and more.
    let mut slow = Vec::new();
    for n in 0..6 {
        let (tenant, _) = stack.create_provider(&format!("slow-{n}")).await;
        stack.set_faults(&tenant, &json!({ "on": ["sts:GetCallerIdentity"], "latency_ms": 30_000 })).await;
        slow.push(tenant);
    }
    stack.set_faults(&tenant, &json!({ "on": ["sts:GetCallerIdentity"], "latency_ms": 2_000 })).await;
    let tables = Tables::new(stack).await;
    for tenant in slow.iter().chain([&tenant]) {
        assert!(tables.make_due(tenant).await);
    }
    stack.run_sweep().await;
    stack.report_breach(&key_scope(&tenant), "leaked during its look").await.unwrap();
    stack.eventually_stopped(&provider_id).await;
    let started = tokio::time::Instant::now();
    eventually("the key's end", || async { (stack.provider_status(&provider_id).await == "revoked").then_some(()) })
        .await;
    // The deletion waits for the slow STS of its own, twice, and then five seconds for its death.
    assert!(started.elapsed() < Duration::from_secs(30), "{:?}", started.elapsed());
    wait_for_nothing(3.0).await;
    assert_eq!(stack.provider_status(&provider_id).await, "revoked");
    assert!(tables.sealed_lanes(&tenant).await.is_empty());
}
