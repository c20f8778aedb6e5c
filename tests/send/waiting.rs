//! Mail that waits: in line, parked, and released in its order.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::SignedDuration;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, age_hold, change_hold, eventually, mail, mail_with, now, parked, string};
use operator::Tenant;

/// The parts of parked mails that are too long for one item.
async fn parked_parts(stack: &Stack) -> usize {
    let (client, table) = stack.table("MailsTable").await;
    let scan = client.scan().table_name(table).filter_expression("begins_with(pk, :pk)");
    scan.expression_attribute_values(":pk", string("parked-part#"))
        .send()
        .await
        .unwrap()
        .items
        .unwrap_or_default()
        .len()
}

/// Writes numbers into an account's rate item. A process of `send` sees them when a reservation of its fails.
async fn set_rate_item(stack: &Stack, tenant: &Tenant, numbers: &[(&str, i64)]) {
    let (client, table) = stack.table("MailsTable").await;
    for (name, value) in numbers {
        let update = client
            .update_item()
            .table_name(&table)
            .key("pk", string(&format!("rate#{}#{}", tenant.account_id, tenant.region)))
            .key("sk", string("rate"))
            .update_expression("SET #name = :value")
            .expression_attribute_names("#name", *name)
            .expression_attribute_values(":value", AttributeValue::N(value.to_string()));
        update.send().await.unwrap();
    }
}

async fn eventually_parked(stack: &Stack, provider_id: &str, ids: &[String]) {
    eventually(&format!("{ids:?} are parked"), || async { (parked(stack, provider_id).await == ids).then_some(()) })
        .await;
}

/// Runs the schedule until the account's inbox has so many mails. A release lasts for a minute, which the test takes away.
async fn eventually_released(stack: &Stack, tenant: &Tenant, provider_id: &str, count: usize) -> Vec<String> {
    eventually(&format!("{count} mails in the inbox"), || async {
        end_release(stack, provider_id).await;
        stack.run_send_schedule().await;
        let inbox = accepted(stack, tenant).await;
        (inbox.len() >= count).then_some(inbox)
    })
    .await
}

async fn end_release(stack: &Stack, provider_id: &str) {
    let (client, table) = stack.table("MailsTable").await;
    let update = client
        .update_item()
        .table_name(table)
        .key("pk", string("parking"))
        .key("sk", string(provider_id))
        .update_expression("REMOVE lease_ms")
        .condition_expression("attribute_exists(noted_ms)");
    // A provider without parked mail is not noted.
    update.send().await.ok();
}

async fn accepted(stack: &Stack, tenant: &Tenant) -> Vec<String> {
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    inbox.iter().map(|mail| mail["subject"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn mail_of_high_priority_does_not_wait_behind_the_others_of_its_tenant() {
    let stack = &Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 2 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let bulk: Vec<Value> = (0..60).map(|n| mail(&provider_id, &format!("bulk-{n}"))).collect();
    stack.enqueue_mails(&bulk).await;
    stack.mail_in_state(&provider_id, "bulk-59", &["waiting", "sent"]).await;
    stack.enqueue_mail(&mail_with(&provider_id, "reset", &json!({ "priority": "high" }))).await.unwrap();
    stack.mail_in_state(&provider_id, "reset", &["sent"]).await;
    let before = accepted(stack, &tenant).await.len();
    assert!(before < 40, "{before} of 60 were sent before the one of high priority");
    let waiting = stack.mail_in_state(&provider_id, "bulk-59", &["waiting", "sent"]).await;
    if waiting["state"] == "waiting" {
        assert_eq!(waiting["reason"], "rate", "{waiting}");
        assert!(waiting["eta"].is_string(), "{waiting}");
    }
}

#[tokio::test]
async fn what_would_wait_for_a_quarter_of_an_hour_is_parked_and_released_in_its_order() {
    let stack = &Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 5 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.mail_in_state(&provider_id, "first", &["sent"]).await;
    // As if thousands had lined up.
    let end = (now() + SignedDuration::from_secs(896)).as_millisecond();
    let soon = (now() + SignedDuration::from_secs(2)).as_microsecond();
    set_rate_item(stack, &tenant, &[("deferred", end), ("tat", soon)]).await;
    let fifty: Vec<String> = (0..50).map(|n| format!("a{n}@example.org")).collect();
    let ids: Vec<String> = (0..4).map(|n| format!("parked-{n}")).collect();
    // Ten seconds for fifty recipients: the second and all after it are beyond a quarter of an hour.
    stack.enqueue_mail(&mail_with(&provider_id, "lined-up", &json!({ "to": fifty }))).await.unwrap();
    stack.mail_in_state(&provider_id, "lined-up", &["waiting"]).await;
    for id in &ids {
        stack.enqueue_mail(&mail(&provider_id, id)).await.unwrap();
        let waiting = stack.mail_in_state(&provider_id, id, &["waiting", "sent"]).await;
        assert_eq!((&waiting["state"], &waiting["reason"]), (&json!("waiting"), &json!("rate")), "{waiting}");
    }
    eventually_parked(stack, &provider_id, &ids).await;
    // It is not its turn yet.
    stack.run_send_schedule().await;
    eventually("a release that leaves all of it", || async {
        let lines = stack.log_lines("send").await;
        let left_all = |line: &Value| {
            (&line["message"], &line["provider_id"], &line["released"])
                == (&json!("parked mail released"), &json!(provider_id), &json!(0))
        };
        lines.iter().any(left_all).then_some(())
    })
    .await;
    eventually_parked(stack, &provider_id, &ids).await;
    // The line has gone; what comes now does not overtake what is parked.
    set_rate_item(stack, &tenant, &[("deferred", 0)]).await;
    stack.enqueue_mail(&mail(&provider_id, "late")).await.unwrap();
    eventually_parked(stack, &provider_id, &[ids.clone(), vec!["late".to_owned()]].concat()).await;
    let inbox = eventually_released(stack, &tenant, &provider_id, 6).await;
    assert_eq!(inbox, ["first", "parked-0", "parked-1", "parked-2", "parked-3", "late"]);
    assert!(parked(stack, &provider_id).await.is_empty());
}

#[tokio::test]
async fn mail_of_a_provider_that_is_held_for_long_is_parked_whole_and_flows_after_the_lift() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    change_hold(stack, Method::PUT, &provider_id).await;
    age_hold(stack, &provider_id).await;
    // What does not compress, and does not fit into one item.
    let long: String = (0..40_000_u64).map(|n| format!("{:x}", n.wrapping_mul(0x9E37_79B9_7F4A_7C15))).collect();
    stack.enqueue_mail(&mail_with(&provider_id, "long", &json!({ "text": long }))).await.unwrap();
    let waiting = stack.mail_in_state(&provider_id, "long", &["waiting", "sent"]).await;
    assert_eq!((&waiting["state"], &waiting["reason"]), (&json!("waiting"), &json!("held")), "{waiting}");
    stack.enqueue_mail(&mail(&provider_id, "short")).await.unwrap();
    stack.enqueue_mail(&mail_with(&provider_id, "urgent", &json!({ "priority": "high" }))).await.unwrap();
    let ids = ["urgent", "long", "short"].map(str::to_owned);
    eventually_parked(stack, &provider_id, &ids).await;
    assert!(parked_parts(stack).await >= 2);
    end_release(stack, &provider_id).await;
    stack.run_send_schedule().await;
    eventually_parked(stack, &provider_id, &ids).await;

    change_hold(stack, Method::DELETE, &provider_id).await;
    let inbox = eventually_released(stack, &tenant, &provider_id, 3).await;
    assert_eq!(inbox.len(), 3, "each once: {inbox:?}");
    let received = stack.inbox(&tenant.account_id).await.unwrap();
    let text = received.iter().find(|mail| mail["subject"] == "long").unwrap();
    assert!(text.to_string().contains(&long), "the long mail is whole");
    assert_eq!((parked(stack, &provider_id).await.len(), parked_parts(stack).await), (0, 0));
}

#[tokio::test]
async fn parked_mail_of_a_provider_that_is_revoked_is_told_so_and_an_expired_one_too() {
    let stack = &Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    change_hold(stack, Method::PUT, &provider_id).await;
    age_hold(stack, &provider_id).await;
    let soon = now() + SignedDuration::from_secs(8);
    stack
        .enqueue_mail(&mail_with(&provider_id, "short-lived", &json!({ "expires_at": soon.to_string() })))
        .await
        .unwrap();
    stack.enqueue_mail(&mail(&provider_id, "waits")).await.unwrap();
    eventually_parked(stack, &provider_id, &["short-lived", "waits"].map(str::to_owned)).await;
    eventually("the first mail has expired", || async { (now() > soon).then_some(()) }).await;
    stack.revoke_key(&tenant).await;
    stack.eventually_stopped(&provider_id).await;
    end_release(stack, &provider_id).await;
    stack.run_send_schedule().await;
    let rejected = stack.mail_in_state(&provider_id, "waits", &["rejected", "sent"]).await;
    assert_eq!(rejected["reason"], "provider_revoked", "{rejected}");
    stack.mail_in_state(&provider_id, "short-lived", &["expired"]).await;
    assert!(accepted(stack, &tenant).await.is_empty());
    eventually_parked(stack, &provider_id, &[]).await;
}

#[tokio::test]
async fn parked_mail_that_cannot_be_read_is_told_again_and_again() {
    let stack = &Stack::shared().await;
    let (_, provider_id) = stack.create_provider("acme").await;
    let (client, table) = stack.table("MailsTable").await;
    let spoiled = [("pk", format!("parked#{provider_id}")), ("sk", "1#0000000000000#spoiled".to_owned())];
    let spoiled = spoiled.map(|(name, text)| (name.to_owned(), string(&text)));
    client.put_item().table_name(&table).set_item(Some(spoiled.clone().into())).send().await.unwrap();
    let long_ago = (now() - SignedDuration::from_hours(1)).as_millisecond().to_string();
    let put = client.put_item().table_name(&table).item("pk", string("parking")).item("sk", string(&provider_id));
    put.item("noted_ms", AttributeValue::N(long_ago)).send().await.unwrap();
    let told = async || {
        let lines = stack.log_lines("send").await;
        let is_told = |line: &&Value| line["message"] == "parked mail cannot be read; it stays where it is";
        lines.iter().filter(is_told).filter(|line| line["provider_id"] == *provider_id).count()
    };
    // The second time shows that the first has not forgotten the provider.
    for round in 1..=2 {
        let before = told().await;
        stack.run_send_schedule().await;
        eventually(&format!("the error is logged in round {round}"), || async {
            (told().await > before).then_some(())
        })
        .await;
        // What follows the error in the same invocation.
        tokio::time::sleep(Duration::from_secs(1)).await;
        end_release(stack, &provider_id).await;
    }
    client.delete_item().table_name(&table).set_key(Some(spoiled.into())).send().await.unwrap();
}

#[tokio::test]
async fn the_daily_quota_has_a_memory() {
    let stack = &Stack::shared().await;
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 50, "max_24_hour_send": 5 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    for n in 0..5 {
        stack.enqueue_mail(&mail(&provider_id, &format!("within-{n}"))).await.unwrap();
        stack.mail_in_state(&provider_id, &format!("within-{n}"), &["sent"]).await;
    }
    let beyond: Vec<String> = (0..2).map(|n| format!("beyond-{n}")).collect();
    for id in &beyond {
        stack.enqueue_mail(&mail(&provider_id, id)).await.unwrap();
        let waiting = stack.mail_in_state(&provider_id, id, &["waiting", "sent"]).await;
        assert_eq!((&waiting["state"], &waiting["reason"]), (&json!("waiting"), &json!("daily_quota")), "{waiting}");
        assert!(waiting["eta"].is_string(), "{waiting}");
    }
    eventually_parked(stack, &provider_id, &beyond).await;
    let asked = || async { stack.send_requests(&tenant).await.iter().filter(|sent| sent["status"] != 200).count() };
    assert!(asked().await <= 1, "SES is asked once at most");
    // Until the quota may be less than used up nothing is released.
    stack.run_send_schedule().await;
    eventually_parked(stack, &provider_id, &beyond).await;

    // A quarter of an hour later, and AWS has raised the quota.
    stack.other_user(&tenant, &json!({ "max_24_hour_send": 7 })).await;
    let long_ago = (now() - SignedDuration::from_mins(20)).as_millisecond();
    set_rate_item(stack, &tenant, &[("quota_until", 0), ("read_at", long_ago)]).await;
    let mut inbox = eventually_released(stack, &tenant, &provider_id, 7).await;
    // At fifty a second they start at nearly the same time.
    inbox[5..].sort();
    assert_eq!(inbox[5..], beyond);
    let event = stack.provider_event("Daily Quota Nearly Used", &provider_id).await;
    assert_eq!(event["detail"]["max_24_hour_send"], 7, "{event}");
    let (client, table) = stack.table("MailsTable").await;
    let pk = string(&format!("rate#{}#{}", tenant.account_id, tenant.region));
    let found = client.get_item().table_name(table).key("pk", pk).key("sk", string("rate")).send().await.unwrap();
    let item = found.item.unwrap();
    assert_eq!(item["max_24_hour_send"], AttributeValue::N("7".to_owned()));
}
