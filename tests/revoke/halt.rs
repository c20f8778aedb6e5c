//! The halt: by whom and why, the queue that holds the mail meanwhile, and the way back.

use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use operator::ApiResponse;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, eventually, mail, now, string, string_of, wait_for_nothing, was_answered_after};

/// The operator's account, whose requests are those of our own functions.
const OPERATOR: &str = "123456789012";

impl Stack {
    async fn halt(&self) -> ApiResponse {
        let body = json!({ "reason": "somebody may have read our table", "halted_by": "ann" });
        self.api(Method::PUT, "/halt", Some(&body)).await.unwrap()
    }

    async fn resume(&self, force: bool) -> ApiResponse {
        let body = json!({ "reason": "all is well again", "force": force });
        self.api(Method::DELETE, "/halt", Some(&body)).await.unwrap()
    }

    /// Waits until the mapping of the send queue is in this state.
    async fn eventually_mapping(&self, state: &str) {
        eventually(&format!("a mapping that is {state}"), || async {
            let halt = self.api(Method::GET, "/halt", None).await.unwrap();
            (halt.body["mapping_state"] == state).then_some(())
        })
        .await;
    }

    async fn set_own_faults(&self, rules: Value) {
        let set = self.local_api(Method::PUT, "/faults", Some(&json!({ "rules": rules }))).await.unwrap();
        assert!(set.status.is_success(), "{}", set.text);
    }

    /// The trail of the halt, oldest first: what was done, by whom and why.
    async fn halt_trail(&self) -> Vec<[String; 2]> {
        let (dynamodb, table) = self.table("ProvidersTable").await;
        let query = dynamodb.query().table_name(table).key_condition_expression("pk = :pk AND begins_with(sk, :sk)");
        let query = query
            .expression_attribute_values(":pk", string("halt"))
            .expression_attribute_values(":sk", string("audit#"));
        let items = query.consistent_read(true).send().await.unwrap().items.unwrap();
        items.iter().map(|item| ["event", "reason"].map(|name| string_of(item, name))).collect()
    }
}

#[tokio::test]
async fn while_sending_is_halted_the_queue_holds_the_mail_and_nothing_goes_round() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.enqueue_mail(&mail(&provider_id, "before")).await.unwrap();
    stack.mail_in_state(&provider_id, "before", &["sent"]).await;
    let halted = stack.halt().await;
    assert_eq!(halted.status, 200, "{}", halted.text);
    assert_eq!(halted.body["halted"], true);
    assert_eq!((&halted.body["halted_by"], &halted.body["mapping_state"]), (&json!("ann"), &json!("Disabling")));
    assert!(halted.body["changed_by"].as_str().unwrap().starts_with("arn:aws:iam::"), "{}", halted.text);
    stack.eventually_mapping("Disabled").await;

    let since = now();
    let mails: Vec<Value> = (1..=20).map(|n| mail(&provider_id, &format!("order-{n}"))).collect();
    stack.enqueue_mails(&mails).await;
    wait_for_nothing(4.0).await;
    let depth = stack.send_queue_depth().await;
    assert_eq!((depth.visible, depth.in_flight, depth.delayed), (20, 0, 0));
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 1);
    // No request of the mapping or of `send` to the queue, so no copy of a mail either.
    let requests = stack.local_api(Method::GET, &format!("/requests?account_id={OPERATOR}"), None).await.unwrap();
    let by_send = requests.body["requests"].as_array().unwrap().iter().filter(|request| {
        request["service"] == "sqs" && request["principal"].as_str().unwrap_or_default().contains("-send/")
    });
    let (after, before): (Vec<_>, Vec<_>) = by_send.partition(|request| was_answered_after(request, since));
    assert!(!before.is_empty(), "the queue was polled before the halt");
    assert!(after.is_empty(), "{after:?}");

    let lifted = Instant::now();
    let resumed = stack.resume(false).await;
    assert_eq!(resumed.status, 200, "{}", resumed.text);
    assert_eq!((&resumed.body["halted"], &resumed.body["mapping_state"]), (&json!(false), &json!("Enabling")));
    eventually("20 mails sent", || async {
        (stack.inbox(&tenant.account_id).await.unwrap().len() == 21).then_some(())
    })
    .await;
    assert!(lifted.elapsed() < Duration::from_secs(30), "{:?}", lifted.elapsed());

    let reasons = ["first deployment", "somebody may have read our table", "all is well again"];
    let trail = stack.halt_trail().await;
    let expected = [["resumed", reasons[0]], ["halted", reasons[1]], ["resumed", reasons[2]]];
    assert_eq!(trail, expected.map(|entry| entry.map(str::to_owned)));
    let told: Vec<Value> = stack.events("Sending Halted").await.unwrap();
    assert_eq!(told.len(), 1, "{told:?}");
    assert_eq!((&told[0]["source"], &told[0]["detail"]["reason"]), (&json!("sendingbee.revoke"), &json!(reasons[1])));
    assert_eq!(stack.events("Sending Resumed").await.unwrap().len(), 2);
    // Lifted again, nothing happens.
    assert_eq!(stack.resume(false).await.status, 200);
    assert_eq!(stack.halt_trail().await.len(), 3);
}

#[tokio::test]
async fn a_halt_holds_without_lambda_and_the_mapping_follows_later() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_own_faults(json!([{ "on": ["lambda:*"], "server_error": 1.0 }])).await;
    let halted = stack.halt().await;
    assert_eq!((halted.status.as_u16(), &halted.body["mapping_state"]), (200, &Value::Null), "{}", halted.text);
    // The queue is still polled: a straggler is put back with a delay.
    stack.enqueue_mail(&mail(&provider_id, "straggler")).await.unwrap();
    stack.eventually_delayed(1).await;

    stack.set_own_faults(json!([])).await;
    stack.run_sweep().await;
    stack.eventually_mapping("Disabled").await;
    stack.enqueue_mail(&mail(&provider_id, "held")).await.unwrap();
    wait_for_nothing(2.0).await;
    let depth = stack.send_queue_depth().await;
    assert_eq!((depth.visible, depth.in_flight), (1, 0));

    // The way back is the same.
    stack.set_own_faults(json!([{ "on": ["lambda:UpdateEventSourceMapping"], "refuse": 1.0 }])).await;
    let resumed = stack.resume(false).await;
    assert_eq!((resumed.status.as_u16(), &resumed.body["halted"]), (200, &json!(false)), "{}", resumed.text);
    wait_for_nothing(2.0).await;
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());
    stack.set_own_faults(json!([])).await;
    stack.run_sweep().await;
    stack.mail_in_state(&provider_id, "held", &["sent"]).await;
}

#[tokio::test]
async fn a_halt_is_lifted_over_open_orders_only_by_force() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, _) = stack.create_provider("acme").await;
    assert_eq!(stack.halt().await.status, 200);
    stack.set_faults(&tenant, &json!({ "quarantine": true })).await;
    let order_id = stack.revoke_key(&tenant).await;
    for _ in 0..2 {
        let refused = stack.resume(false).await;
        assert_eq!(refused.status, 409, "{}", refused.text);
        assert_eq!(refused.body["open_orders"], json!([order_id]));
        // At once, and when the order is executed and its key is still alive.
        stack.key_in_state(&order_id, "revocation_blocked{quarantined}").await;
    }
    assert_eq!(stack.api(Method::GET, "/halt", None).await.unwrap().body["halted"], true);

    let resumed = stack.resume(true).await;
    assert_eq!(resumed.status, 200, "{}", resumed.text);
    assert_eq!(resumed.body["open_orders"], json!([order_id]));
    let told = stack.events("Sending Resumed").await.unwrap();
    assert_eq!(told.last().unwrap()["detail"]["open_orders"], json!([order_id]));

    // A dead key keeps nobody waiting.
    assert_eq!(stack.halt().await.status, 200);
    stack.set_faults(&tenant, &json!({})).await;
    let again = stack.revoke_key(&tenant).await;
    stack.key_in_state(&again, "revoked").await;
    let resumed = stack.resume(false).await;
    assert_eq!(resumed.status, 200, "{}", resumed.text);
}

#[tokio::test]
async fn a_first_deployment_is_halted_until_it_is_opened() {
    let stack = Stack::with_arguments(&["--halted"]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let halt = stack.api(Method::GET, "/halt", None).await.unwrap();
    assert_eq!((halt.status.as_u16(), &halt.body["halted"], &halt.body["reason"]), (200, &json!(true), &Value::Null));
    stack.run_sweep().await;
    stack.eventually_mapping("Disabled").await;
    stack.enqueue_mail(&mail(&provider_id, "early")).await.unwrap();
    wait_for_nothing(2.0).await;
    assert!(stack.inbox(&tenant.account_id).await.unwrap().is_empty());
    assert_eq!(stack.halt_trail().await, Vec::<[String; 2]>::new());

    let wrong = stack.api(Method::DELETE, "/halt", Some(&json!({ "force": true }))).await.unwrap();
    assert_eq!(wrong.status, 400, "a reason is wanted: {}", wrong.text);
    assert_eq!(stack.resume(false).await.status, 200);
    stack.mail_in_state(&provider_id, "early", &["sent"]).await;

    // An item that an operator wrote by hand, as before there was a route, can be lifted too.
    let (dynamodb, table) = stack.table("ProvidersTable").await;
    let put = dynamodb.put_item().table_name(table).item("pk", string("halt")).item("sk", string("halt"));
    put.item("halted", AttributeValue::Bool(true)).send().await.unwrap();
    assert_eq!(stack.api(Method::GET, "/halt", None).await.unwrap().body["halted"], true);
    assert_eq!(stack.resume(false).await.body["halted"], false);
}
