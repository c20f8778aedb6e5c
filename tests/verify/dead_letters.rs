//! The queues as operators see them, and what they do about mail that was set aside.

use std::time::Duration;

use aws_sdk_sqs::types::MessageAttributeValue;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, eventually, mail, mail_with};

/// Puts a message into the dead-letter queue, as `send` does.
async fn set_aside(stack: &Stack, body: &str, reason: Option<&str>) {
    let request = stack.sqs.send_message().queue_url(&stack.outputs.send_dead_letter_queue_url).message_body(body);
    let request = match reason {
        Some(reason) => {
            let reason = MessageAttributeValue::builder().data_type("String").string_value(reason).build().unwrap();
            request.message_attributes("reason", reason)
        }
        None => request,
    };
    request.send().await.unwrap();
}

async fn get(stack: &Stack, path: &str) -> Value {
    let answer = stack.api(Method::GET, path, None).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

async fn redrive(stack: &Stack, body: &Value) -> Value {
    let answer = stack.api(Method::POST, "/dead-letters/redrive", Some(body)).await.unwrap();
    assert_eq!(answer.status, 200, "{}", answer.text);
    answer.body
}

async fn visible(stack: &Stack, queue: &str) -> u64 {
    let queues = get(stack, "/queues").await;
    let views = queues["queues"].as_array().unwrap();
    assert_eq!(views.len(), 9, "{queues}");
    views.iter().find(|view| view["queue"] == queue).unwrap()["visible"].as_u64().unwrap()
}

#[tokio::test]
async fn a_mended_mail_is_moved_back_and_what_would_only_come_back_is_kept_with_an_explanation() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    set_aside(&stack, &mail(&provider_id, "given-up").to_string(), Some("given_up")).await;
    set_aside(&stack, &mail(&provider_id, "by-sqs").to_string(), None).await;
    set_aside(&stack, &mail_with(&provider_id, "bad", &json!({"to": ["no address"]})).to_string(), Some("invalid"))
        .await;
    let unknown = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    set_aside(&stack, &mail(unknown, "lost").to_string(), Some("provider_unknown")).await;
    set_aside(&stack, "no JSON", Some("malformed")).await;

    // Looking changes nothing, and can be repeated at once.
    assert_eq!(visible(&stack, "send_dead_letter").await, 5);
    for _ in 0..2 {
        let all = get(&stack, "/dead-letters").await;
        assert_eq!(
            (&all["complete"], &all["redrivable"], &all["kept"], &all["moved"]),
            (&json!(true), &json!(2), &json!(3), &json!(0)),
            "{all}"
        );
        assert_eq!(
            all["found"],
            json!({"given_up": 1, "invalid": 1, "malformed": 1, "moved_by_sqs": 1, "provider_unknown": 1})
        );
        let bad = all["letters"].as_array().unwrap().iter().find(|letter| letter["mail_id"] == "bad").unwrap();
        assert!(bad["advice"].as_str().unwrap().contains("`to[0]`"), "{bad}");
        assert!(!all.to_string().contains("ann@example.org"), "{all}");
    }
    let some = get(&stack, "/dead-letters?mail_id=lost&reason=provider_unknown").await;
    assert_eq!(some["letters"].as_array().unwrap().len(), 1, "{some}");

    // One reason at a time goes back, and only what can be sent.
    let moved = redrive(&stack, &json!({"reason": "given_up", "provider_id": provider_id})).await;
    assert_eq!((&moved["moved"], &moved["complete"]), (&json!(1), &json!(true)), "{moved}");
    assert_eq!((&moved["letters"][0]["moved"], &moved["letters"][0]["mail_id"]), (&json!(true), &json!("given-up")));
    stack.mail_in_state(&provider_id, "given-up", &["sent"]).await;
    let moved = redrive(&stack, &json!({"reason": "moved_by_sqs", "mail_ids": ["by-sqs", "another"]})).await;
    assert_eq!(moved["moved"], 1, "{moved}");
    stack.mail_in_state(&provider_id, "by-sqs", &["sent"]).await;
    for reason in ["invalid", "provider_unknown", "malformed"] {
        let kept = redrive(&stack, &json!({"reason": reason})).await;
        assert_eq!((&kept["moved"], &kept["kept"]), (&json!(0), &json!(1)), "{kept}");
    }
    assert_eq!(redrive(&stack, &json!({"reason": "given_up"})).await["moved"], 0, "it was moved before");
    assert_eq!(visible(&stack, "send_dead_letter").await, 3);
    for mail_id in ["given-up", "by-sqs"] {
        assert_eq!(stack.accepted_copies(&tenant, mail_id).await, 1, "{mail_id}");
    }
}

/// Killed between send and deletion, or refused the deletion, a letter is in both queues.
#[tokio::test]
async fn a_redrive_that_dies_anywhere_loses_nothing_and_sends_nothing_twice() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for n in 0..12 {
        set_aside(&stack, &mail(&provider_id, &format!("m-{n}")).to_string(), Some("given_up")).await;
    }
    // Its deletions fail: the copies are sent, and the letters show up again.
    let queue = stack.outputs.send_dead_letter_queue_url.rsplit('/').next().unwrap();
    let faults = json!({"rules": [{"on": ["sqs:DeleteMessageBatch"], "resource": queue, "server_error": 100}]});
    assert!(stack.local_api(Method::PUT, "/faults", Some(&faults)).await.unwrap().status.is_success());
    let first = redrive(&stack, &json!({"reason": "given_up"})).await;
    assert_eq!(first["moved"], 12, "{first}");
    for n in 0..12 {
        stack.mail_in_state(&provider_id, &format!("m-{n}"), &["sent"]).await;
    }
    // A process that is killed while it goes through the queue.
    let request = tokio::spawn({
        let operator = operator::Operator::connect(&stack.outputs.api_url).await.unwrap();
        async move { operator.api(Method::GET, "/dead-letters", None).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    stack.kill_processes("verify").await;
    let _ = request.await;
    assert!(stack.local_api(Method::PUT, "/faults", Some(&json!({"rules": []}))).await.unwrap().status.is_success());
    // What was not deleted is shown again once it is not hidden any more.
    eventually("an empty dead-letter queue", || async {
        // The first request may still meet the killed process.
        let request = json!({"reason": "given_up"});
        let answer = stack.api(Method::POST, "/dead-letters/redrive", Some(&request)).await.unwrap();
        if answer.status != 200 {
            return None;
        }
        assert_eq!(answer.body["kept"], 0, "{}", answer.text);
        let queues = get(&stack, "/queues").await;
        let queue = queues["queues"].as_array()?.iter().find(|view| view["queue"] == "send_dead_letter")?.clone();
        (queue["visible"] == 0 && queue["in_flight"] == 0).then_some(())
    })
    .await;
    eventually("an empty send queue", || async { (stack.send_queue_depth().await.visible == 0).then_some(()) }).await;
    for n in 0..12 {
        assert_eq!(stack.accepted_copies(&tenant, &format!("m-{n}")).await, 1, "m-{n}");
    }
}

#[tokio::test]
async fn a_redrive_without_a_reason_and_unknown_parameters_are_refused() {
    let stack = Stack::shared().await;
    for (method, path, body, field) in [
        (Method::POST, "/dead-letters/redrive", Some(json!({})), "reason"),
        (Method::POST, "/dead-letters/redrive", Some(json!({"reason": "given_up", "mail_ids": []})), "mail_ids"),
        (Method::POST, "/dead-letters/redrive", Some(json!({"reason": "given_up", "provider_id": "x"})), "provider_id"),
        (Method::POST, "/dead-letters/redrive", Some(json!({"reason": "given_up", "all": true})), "all"),
        (Method::GET, "/dead-letters?state=x", None, "state"),
        (Method::GET, "/dead-letters?provider_id=x", None, "provider_id"),
        (Method::GET, "/queues?queue=send", None, "queue"),
    ] {
        let refused = stack.api(method, path, body.as_ref()).await.unwrap();
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{path}: {}", refused.text);
    }
}
