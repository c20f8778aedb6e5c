//! Stops: what was ordered, halted or suspended sends nothing more, and nothing is lost over it.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use shared::record::{HALT_PK, HALT_SK};

use crate::support::{Stack, answered_before, classic, clock, look_on, mail, until};
use operator::Tenant;

/// Calls to SES that may still end after a stop: the one that is under way, and one that begins on a read from before the
/// stop, of which one is due within its half second (ARCHITECTURE.md).
const UNDER_WAY: usize = 2;

/// A provider whose mails start a second apart, so that a batch sleeps for its starts.
async fn slow_provider(stack: &Stack) -> (Tenant, String) {
    let tenant = stack
        .tenant(&json!({ "policies": [classic()], "identities": ["example.com"], "max_send_rate": 1 }))
        .await
        .unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    // The key cannot be deleted from now on, so that it is not AWS's refusal that keeps mail from leaving.
    stack.faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "server_error": 100_000 })).await;
    (tenant, provider_id)
}

fn batch(provider_id: &str) -> (Vec<String>, Vec<Value>) {
    let ids: Vec<String> = (0..10).map(|n| format!("order-{n}")).collect();
    let mails = ids.iter().map(|id| mail(provider_id, id)).collect();
    (ids, mails)
}

/// The first of a batch is out, and the others sleep.
async fn until_sending(stack: &Stack, tenant: &Tenant) {
    until("the first mail", || async { stack.inbox(&tenant.account_id).await.unwrap().into_iter().next() }).await;
}

/// Nothing was asked of SES after the stop but what was under way. Counted and not timed: a machine that pauses for a
/// moment pauses between a request and its answer too.
async fn assert_nothing_left_after(stack: &Stack, tenant: &Tenant, stopped: Timestamp) {
    let mut late = stack.sends(tenant).await;
    late.retain(|send| answered_before(send, stopped) < 0.0);
    assert!(late.len() <= UNDER_WAY, "after the stop at {stopped}: {late:?}");
}

#[tokio::test]
async fn nothing_leaves_after_an_order_while_a_batch_sleeps_for_its_starts() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = slow_provider(&stack).await;
    // So that the order need not wait for an environment of `revoke` to start.
    stack.api(Method::GET, "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", None).await.unwrap();
    let (ids, mails) = batch(&provider_id);
    stack.hand_over(&mails).await;
    until_sending(&stack, &tenant).await;

    let scope = json!({ "scope": { "provider_id": provider_id }, "reason": "leaked" });
    let order = stack.api(Method::POST, "/revocations", Some(&scope)).await.unwrap();
    let stopped = clock();
    assert_eq!(order.status, 202, "{}", order.text);

    let mut rejected = 0;
    for id in &ids {
        let fate = stack.fate(&provider_id, id, &["sent", "rejected", "in_doubt", "expired"]).await;
        match fate["state"].as_str().unwrap() {
            "sent" => assert_eq!(stack.copies(&tenant, id).await, 1),
            "rejected" => {
                rejected += 1;
                assert_eq!(fate["reason"], "provider_revoked", "{fate}");
                assert_eq!(stack.copies(&tenant, id).await, 0);
                let event = stack.mail_event("Mail Rejected", &provider_id, id).await;
                assert_eq!(event["reason"], "provider_revoked");
            }
            other => panic!("{id} is {other}"),
        }
    }
    assert!(rejected > 0, "all had left before the order came");
    look_on(4.0).await;
    assert_nothing_left_after(&stack, &tenant, stopped).await;

    // And what comes later.
    stack.mail(&mail(&provider_id, "later")).await.unwrap();
    let fate = stack.fate(&provider_id, "later", &["sent", "rejected"]).await;
    assert_eq!(fate["reason"], "provider_revoked", "{fate}");
}

#[tokio::test]
async fn nothing_leaves_after_a_breach_was_reported_on_the_bus() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = slow_provider(&stack).await;
    let (ids, mails) = batch(&provider_id);
    stack.hand_over(&mails).await;
    until_sending(&stack, &tenant).await;
    stack.report_breach(&json!({ "access_key_id": tenant.access_key_id }), "found on a paste site").await.unwrap();
    until("the stop", || async {
        let provider = stack.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap();
        (provider.body["status"] != "active").then_some(())
    })
    .await;
    let stopped = clock();
    for id in &ids {
        stack.fate(&provider_id, id, &["sent", "rejected"]).await;
    }
    look_on(4.0).await;
    assert_nothing_left_after(&stack, &tenant, stopped).await;
    let fates = stack.inbox(&tenant.account_id).await.unwrap().len();
    assert!(fates < 10, "all had left before the report was taken");
}

/// Writes the halt item, or takes it away.
async fn set_halt(stack: &Stack, halted: Option<AttributeValue>) {
    let (dynamodb, table) = stack.table("ProvidersTable").await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    match halted {
        Some(halted) => {
            let put = dynamodb.put_item().table_name(table).item("pk", text(HALT_PK)).item("sk", text(HALT_SK));
            put.item("halted", halted).send().await.map(drop).unwrap();
        }
        None => {
            let delete = dynamodb.delete_item().table_name(table).key("pk", text(HALT_PK)).key("sk", text(HALT_SK));
            delete.send().await.map(drop).unwrap();
        }
    }
}

#[tokio::test]
async fn a_halted_fleet_sends_nothing_and_keeps_its_mail() {
    let stack = Stack::with(&[]).await;
    let (tenant, provider_id) = slow_provider(&stack).await;
    // In the middle of a batch.
    let (_, mails) = batch(&provider_id);
    stack.hand_over(&mails).await;
    until_sending(&stack, &tenant).await;
    set_halt(&stack, Some(AttributeValue::Bool(true))).await;
    let stopped = clock();
    until("an empty queue but for the delayed ones", || async {
        let waiting = stack.waiting().await;
        let sent = stack.inbox(&tenant.account_id).await.unwrap().len();
        (waiting.visible + waiting.in_flight == 0 && sent + waiting.delayed as usize == 10).then_some(())
    })
    .await;
    assert_nothing_left_after(&stack, &tenant, stopped).await;
    let sent = stack.inbox(&tenant.account_id).await.unwrap().len();
    let kept = u32::try_from(10 - sent).unwrap();
    assert!(kept > 0, "all had left before the halt came");

    // An item that is not there, and one that cannot be read, halt as well.
    for (more, halted) in [(1, None), (2, Some(AttributeValue::S("false".to_owned())))] {
        set_halt(&stack, halted).await;
        stack.mail(&mail(&provider_id, &format!("halted-{more}"))).await.unwrap();
        stack.until_delayed(kept + more).await;
    }
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), sent);

    set_halt(&stack, Some(AttributeValue::Bool(false))).await;
    stack.mail(&mail(&provider_id, "lifted")).await.unwrap();
    stack.fate(&provider_id, "lifted", &["sent"]).await;
    assert!(stack.events_of("Mail Rejected").await.unwrap().is_empty());
}

/// The provider is suspended for this reason, with an event about it.
async fn assert_suspended(stack: &Stack, provider_id: &str, reason: &str) {
    let event = until("Provider Suspended", || async {
        let events = stack.events_of("Provider Suspended").await.unwrap();
        events.into_iter().find(|event| event["detail"]["provider_id"] == provider_id)
    })
    .await;
    assert_eq!(event["detail"]["reason"], reason);
    let provider = stack.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!((&provider.body["status"], &provider.body["reason"]), (&json!("suspended"), &json!(reason)));
}

#[tokio::test]
async fn mail_of_an_account_that_ses_has_stopped_waits_and_its_provider_is_suspended() {
    let stack = Stack::with(&[]).await;
    let cases =
        [(json!({ "paused": true }), "sending_paused"), (json!({ "enforcement": "SHUTDOWN" }), "account_suspended")];
    let mut delayed = 0;
    for (faults, reason) in cases {
        let (tenant, provider_id) = stack.provider("acme").await;
        stack.faults(&tenant, &faults).await;
        stack.hand_over(&[mail(&provider_id, "first"), mail(&provider_id, "second")]).await;
        delayed += 2;
        stack.until_delayed(delayed).await;
        assert_suspended(&stack, &provider_id, reason).await;

        // SES is not asked again, though it would take it now.
        let asked = stack.sends(&tenant).await.len();
        stack.faults(&tenant, &json!({})).await;
        stack.mail(&mail(&provider_id, "third")).await.unwrap();
        delayed += 1;
        stack.until_delayed(delayed).await;
        assert_eq!(stack.sends(&tenant).await.len(), asked);
        assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 0);
    }
    assert_eq!(stack.events_of("Provider Suspended").await.unwrap().len(), 2);
    assert!(stack.events_of("Mail Rejected").await.unwrap().is_empty());
    let batches = stack.batches().await;
    assert!(batches.iter().all(|batch| batch["failed"] == 0), "{batches:?}");
}

#[tokio::test]
async fn a_key_that_is_refused_suspends_its_provider_only_after_a_minute_of_refusals() {
    let stack = Stack::with(&[]).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "deactivate_key": true })).await;
    stack.mail(&mail(&provider_id, "first")).await.unwrap();
    stack.until_delayed(1).await;
    let provider = stack.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(provider.body["status"], "active");

    began_a_minute_ago(&stack, &tenant).await;
    // It is accepted in between, so all of that proves nothing.
    stack.faults(&tenant, &json!({})).await;
    stack.mail(&mail(&provider_id, "between")).await.unwrap();
    stack.fate(&provider_id, "between", &["sent"]).await;
    stack.faults(&tenant, &json!({ "deactivate_key": true })).await;
    stack.mail(&mail(&provider_id, "second")).await.unwrap();
    stack.until_delayed(2).await;
    let provider = stack.api(Method::GET, &format!("/providers/{provider_id}"), None).await.unwrap();
    assert_eq!(provider.body["status"], "active");

    began_a_minute_ago(&stack, &tenant).await;
    stack.mail(&mail(&provider_id, "third")).await.unwrap();
    stack.until_delayed(3).await;
    assert_suspended(&stack, &provider_id, "key_rejected").await;
}

/// Makes the first of the refusals that `send` has noted of a key a minute older.
async fn began_a_minute_ago(stack: &Stack, tenant: &Tenant) {
    let (dynamodb, table) = stack.table("MailsTable").await;
    let began = (clock() - SignedDuration::from_secs(61)).as_millisecond();
    dynamodb
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S(format!("refused#{}", tenant.access_key_id)))
        .update_expression("SET first_refused_at = :began")
        .condition_expression("attribute_exists(first_refused_at)")
        .expression_attribute_values(":began", AttributeValue::N(began.to_string()))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn mail_of_a_provider_whose_secret_is_gone_waits_as_a_new_message() {
    let stack = Stack::with(&[]).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    let (dynamodb, table) = stack.table("SecretsTable").await;
    let text = |value: &str| AttributeValue::S(value.to_owned());
    let delete = dynamodb.delete_item().table_name(table);
    delete.key("pk", text(&format!("send#{}", tenant.access_key_id))).send().await.unwrap();

    stack.mail(&mail(&provider_id, "waiting")).await.unwrap();
    stack.until_delayed(1).await;
    let batches = stack.batches().await;
    assert!(batches.iter().all(|batch| batch["failed"] == 0), "{batches:?}");
    assert!(stack.events_of("Mail Rejected").await.unwrap().is_empty());
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());
    let logs = stack.local(Method::GET, "/logs?function=sendingbee-send", None).await.unwrap();
    assert!(logs.text.contains("the provider is active and its secret is not there"), "nobody was told");
}
