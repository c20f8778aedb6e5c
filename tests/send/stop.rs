//! Stops: after an order, a halt or a suspension nothing more is sent, and no mail is lost.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde_json::{Value, json};
use shared::record::{HALT_PK, HALT_SK};

use crate::support::{Stack, eventually, mail, now, sealed_secret_pk, string, wait_for_nothing, was_answered_after};
use operator::Tenant;

/// The most calls to SES that may still end after a stop: the one in flight, and one that starts within the half second for
/// which a read from before the stop is valid (ARCHITECTURE.md).
const MAX_CALLS_AFTER_STOP: usize = 2;

/// A provider whose mails start a second apart, so that a batch waits for its rate slots.
async fn slow_provider(stack: &Stack) -> (Tenant, String) {
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 1 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    // The key cannot be deleted from now on, so that it is not AWS that stops the mail.
    stack.set_faults(&tenant, &json!({ "on": ["iam:DeleteAccessKey"], "server_error": 100_000 })).await;
    (tenant, provider_id)
}

/// Ten mails and their ids.
fn ten_mails(provider_id: &str) -> (Vec<String>, Vec<Value>) {
    let ids: Vec<String> = (0..10).map(|n| format!("order-{n}")).collect();
    let mails = ids.iter().map(|id| mail(provider_id, id)).collect();
    (ids, mails)
}

/// Waits until the first mail of a batch is sent. The others wait for their rate slots then.
async fn eventually_sending(stack: &Stack, tenant: &Tenant) {
    eventually("the first mail in the inbox", || async {
        stack.inbox(&tenant.account_id).await.unwrap().into_iter().next()
    })
    .await;
}

/// Asserts that after the stop only those calls to SES ended that may. The calls are counted and not timed, because a slow
/// machine can pause between a request and its response too.
async fn assert_no_calls_after(stack: &Stack, tenant: &Tenant, stopped: Timestamp) {
    let mut late = stack.send_requests(tenant).await;
    late.retain(|send| was_answered_after(send, stopped));
    assert!(late.len() <= MAX_CALLS_AFTER_STOP, "after the stop at {stopped}: {late:?}");
}

#[tokio::test]
async fn nothing_is_sent_after_an_order_although_a_batch_waits_for_its_rate_slots() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = slow_provider(&stack).await;
    // This starts an environment of `revoke`, so that the order does not have to wait for one.
    stack.api(Method::GET, "/revocations/rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV", None).await.unwrap();
    let (ids, mails) = ten_mails(&provider_id);
    stack.enqueue_mails(&mails).await;
    eventually_sending(&stack, &tenant).await;

    let scope = json!({ "scope": { "provider_id": provider_id }, "reason": "leaked" });
    let order = stack.api(Method::POST, "/revocations", Some(&scope)).await.unwrap();
    let stopped = now();
    assert_eq!(order.status, 202, "{}", order.text);

    let mut rejected = 0;
    for id in &ids {
        let mail = stack.mail_in_state(&provider_id, id, &["sent", "rejected", "in_doubt", "expired"]).await;
        match mail["state"].as_str().unwrap() {
            "sent" => assert_eq!(stack.accepted_copies(&tenant, id).await, 1),
            "rejected" => {
                rejected += 1;
                assert_eq!(mail["reason"], "provider_revoked", "{mail}");
                assert_eq!(stack.accepted_copies(&tenant, id).await, 0);
                let event = stack.mail_event("Mail Rejected", &provider_id, id).await;
                assert_eq!(event["reason"], "provider_revoked");
            }
            other => panic!("{id} is {other}"),
        }
    }
    assert!(rejected > 0, "all mails were sent before the order");
    wait_for_nothing(4.0).await;
    assert_no_calls_after(&stack, &tenant, stopped).await;

    // A later mail is rejected as well.
    stack.enqueue_mail(&mail(&provider_id, "later")).await.unwrap();
    let later = stack.mail_in_state(&provider_id, "later", &["sent", "rejected"]).await;
    assert_eq!(later["reason"], "provider_revoked", "{later}");
}

#[tokio::test]
async fn nothing_is_sent_after_a_breach_report_on_the_bus_has_stopped_the_provider() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = slow_provider(&stack).await;
    let (ids, mails) = ten_mails(&provider_id);
    stack.enqueue_mails(&mails).await;
    eventually_sending(&stack, &tenant).await;
    stack.report_breach(&json!({ "access_key_id": tenant.access_key_id }), "found on a paste site").await.unwrap();
    stack.eventually_stopped(&provider_id).await;
    let stopped = now();
    for id in &ids {
        stack.mail_in_state(&provider_id, id, &["sent", "rejected"]).await;
    }
    wait_for_nothing(4.0).await;
    assert_no_calls_after(&stack, &tenant, stopped).await;
    let sent = stack.inbox(&tenant.account_id).await.unwrap().len();
    assert!(sent < 10, "all mails were sent before the report was processed");
}

/// Writes the halt item with this value of `halted`, or deletes the item.
async fn set_halt(stack: &Stack, halted: Option<AttributeValue>) {
    let (dynamodb, table) = stack.table("ProvidersTable").await;
    match halted {
        Some(halted) => {
            let put = dynamodb.put_item().table_name(table).item("pk", string(HALT_PK)).item("sk", string(HALT_SK));
            put.item("halted", halted).send().await.map(drop).unwrap();
        }
        None => {
            let delete = dynamodb.delete_item().table_name(table).key("pk", string(HALT_PK)).key("sk", string(HALT_SK));
            delete.send().await.map(drop).unwrap();
        }
    }
}

#[tokio::test]
async fn while_everything_is_halted_nothing_is_sent_and_all_mail_is_kept() {
    let stack = Stack::with_arguments(&[]).await;
    // Mail goes round only where Lambda cannot be told to leave it in the queue.
    let rules = json!({ "rules": [{ "on": ["lambda:*"], "server_error": 1.0 }] });
    stack.local_api(Method::PUT, "/faults", Some(&rules)).await.unwrap();
    let (tenant, provider_id) = slow_provider(&stack).await;
    // The halt comes in the middle of a batch.
    let (_, mails) = ten_mails(&provider_id);
    stack.enqueue_mails(&mails).await;
    eventually_sending(&stack, &tenant).await;
    set_halt(&stack, Some(AttributeValue::Bool(true))).await;
    let stopped = now();
    eventually("a send queue with only delayed mails", || async {
        let depth = stack.send_queue_depth().await;
        let sent = stack.inbox(&tenant.account_id).await.unwrap().len();
        (depth.visible + depth.in_flight == 0 && sent + depth.delayed as usize == 10).then_some(())
    })
    .await;
    assert_no_calls_after(&stack, &tenant, stopped).await;
    let sent = stack.inbox(&tenant.account_id).await.unwrap().len();
    let kept = u32::try_from(10 - sent).unwrap();
    assert!(kept > 0, "all mails were sent before the halt");

    // A missing item and one that cannot be read halt everything as well.
    for (more, halted) in [(1, None), (2, Some(AttributeValue::S("false".to_owned())))] {
        set_halt(&stack, halted).await;
        stack.enqueue_mail(&mail(&provider_id, &format!("halted-{more}"))).await.unwrap();
        stack.eventually_delayed(kept + more).await;
    }
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), sent);

    set_halt(&stack, Some(AttributeValue::Bool(false))).await;
    stack.enqueue_mail(&mail(&provider_id, "lifted")).await.unwrap();
    stack.mail_in_state(&provider_id, "lifted", &["sent"]).await;
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
}

/// Asserts that the provider is suspended for this reason, with an event.
async fn assert_suspended(stack: &Stack, provider_id: &str, reason: &str) {
    let event = stack.provider_event("Provider Suspended", provider_id).await;
    assert_eq!(event["detail"]["reason"], reason);
    let provider = stack.get_provider(provider_id).await;
    assert_eq!((&provider.body["status"], &provider.body["reason"]), (&json!("suspended"), &json!(reason)));
}

#[tokio::test]
async fn if_ses_stops_an_account_its_provider_is_suspended_and_its_mail_waits() {
    let stack = Stack::with_arguments(&[]).await;
    let cases =
        [(json!({ "paused": true }), "sending_paused"), (json!({ "enforcement": "SHUTDOWN" }), "account_suspended")];
    let mut delayed = 0;
    for (faults, reason) in cases {
        let (tenant, provider_id) = stack.create_provider("acme").await;
        stack.set_faults(&tenant, &faults).await;
        stack.enqueue_mails(&[mail(&provider_id, "first"), mail(&provider_id, "second")]).await;
        delayed += 2;
        stack.eventually_delayed(delayed).await;
        assert_suspended(&stack, &provider_id, reason).await;

        // SES is not called again, although it would accept the mail now.
        let calls = stack.send_requests(&tenant).await.len();
        stack.set_faults(&tenant, &json!({})).await;
        stack.enqueue_mail(&mail(&provider_id, "third")).await.unwrap();
        delayed += 1;
        stack.eventually_delayed(delayed).await;
        assert_eq!(stack.send_requests(&tenant).await.len(), calls);
        assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 0);
    }
    assert_eq!(stack.events("Provider Suspended").await.unwrap().len(), 2);
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
    let batches = stack.batch_logs().await;
    assert!(batches.iter().all(|batch| batch["failed"] == 0), "{batches:?}");
}

#[tokio::test]
async fn a_refused_key_suspends_its_provider_only_after_a_minute_of_refusals() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "deactivate_key": true })).await;
    stack.enqueue_mail(&mail(&provider_id, "first")).await.unwrap();
    stack.eventually_delayed(1).await;
    let provider = stack.get_provider(&provider_id).await;
    assert_eq!(provider.body["status"], "active");

    age_first_refusal(&stack, &tenant).await;
    // The key is accepted in between, so the earlier refusals prove nothing.
    stack.set_faults(&tenant, &json!({})).await;
    stack.enqueue_mail(&mail(&provider_id, "between")).await.unwrap();
    stack.mail_in_state(&provider_id, "between", &["sent"]).await;
    stack.set_faults(&tenant, &json!({ "deactivate_key": true })).await;
    stack.enqueue_mail(&mail(&provider_id, "second")).await.unwrap();
    stack.eventually_delayed(2).await;
    let provider = stack.get_provider(&provider_id).await;
    assert_eq!(provider.body["status"], "active");

    age_first_refusal(&stack, &tenant).await;
    stack.enqueue_mail(&mail(&provider_id, "third")).await.unwrap();
    stack.eventually_delayed(3).await;
    assert_suspended(&stack, &provider_id, "key_rejected").await;
}

/// Makes the first recorded refusal of a key a minute older.
async fn age_first_refusal(stack: &Stack, tenant: &Tenant) {
    let (dynamodb, table) = stack.table("MailsTable").await;
    let first_refused_at = (now() - SignedDuration::from_secs(61)).as_millisecond();
    dynamodb
        .update_item()
        .table_name(table)
        .key("pk", string(&format!("refused#{}", tenant.access_key_id)))
        .key("sk", string("refused"))
        .update_expression("SET first_refused_at = :time")
        .condition_expression("attribute_exists(first_refused_at)")
        .expression_attribute_values(":time", AttributeValue::N(first_refused_at.to_string()))
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn the_mail_of_a_provider_without_its_secret_is_requeued() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let (dynamodb, table) = stack.table("SecretsTable").await;
    let delete = dynamodb.delete_item().table_name(table).key("pk", sealed_secret_pk(&tenant, "send"));
    delete.send().await.unwrap();

    stack.enqueue_mail(&mail(&provider_id, "waiting")).await.unwrap();
    stack.eventually_delayed(1).await;
    let batches = stack.batch_logs().await;
    assert!(batches.iter().all(|batch| batch["failed"] == 0), "{batches:?}");
    assert!(stack.events("Mail Rejected").await.unwrap().is_empty());
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());
    let log = stack.log_text("send").await;
    assert!(log.contains("the provider is active and its secret is not there"), "the missing secret is not logged");
}
