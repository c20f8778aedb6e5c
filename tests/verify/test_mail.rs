//! Test mails: through the queue that all mail takes, to SES's mailbox simulator or to an address.

use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Stack, wait_for_nothing};
use operator::ApiResponse;

async fn post(stack: &Stack, provider_id: &str, body: &Value) -> ApiResponse {
    stack.api(Method::POST, &format!("/providers/{provider_id}/test-mails"), Some(body)).await.unwrap()
}

#[tokio::test]
async fn a_test_mail_of_each_kind_is_sent_once_and_its_fate_is_where_the_answer_says() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for (to, address) in [
        ("success", "success@simulator.amazonses.com"),
        ("bounce", "bounce@simulator.amazonses.com"),
        ("complaint", "complaint@simulator.amazonses.com"),
        ("suppressed", "suppressionlist@simulator.amazonses.com"),
        ("ann@example.org", "ann@example.org"),
    ] {
        let accepted = post(&stack, &provider_id, &json!({ "to": to, "from": "Jane <jane@example.com>" })).await;
        assert_eq!((accepted.status.as_u16(), &accepted.body["to"]), (202, &json!(address)), "{}", accepted.text);
        let mail_id = accepted.body["mail_id"].as_str().unwrap();
        assert_eq!(accepted.headers["location"], format!("/providers/{provider_id}/mails/{mail_id}"));
        let fate = stack.mail_in_state(&provider_id, mail_id, &["sent", "rejected"]).await;
        assert!(fate["ses_message_id"].is_string(), "{fate}");
    }
    let inbox = stack.inbox(&tenant.account_id).await.unwrap();
    assert_eq!(inbox.len(), 5);
    assert!(inbox.iter().all(|mail| mail["subject"] == "Test mail"), "{inbox:?}");

    // With an id of the caller it is sent once, however often it is asked for.
    let body = json!({ "to": "success", "from": "jane@example.com", "mail_id": "try 1" });
    let first = post(&stack, &provider_id, &body).await;
    assert_eq!(first.headers["location"], format!("/providers/{provider_id}/mails/try%201"), "{}", first.text);
    let path = first.headers["location"].to_str().unwrap().to_owned();
    stack.mail_in_state(&provider_id, "try%201", &["sent"]).await;
    assert_eq!(post(&stack, &provider_id, &body).await.body, first.body);
    wait_for_nothing(2.0).await;
    assert_eq!(stack.inbox(&tenant.account_id).await.unwrap().len(), 6);
    assert_eq!(stack.api(Method::GET, &path, None).await.unwrap().body["state"], "sent");
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_or_told_as_of_any_mail() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for (body, field) in [
        (json!({ "to": "success" }), "from"),
        (json!({ "to": "delivered", "from": "jane@example.com" }), "to"),
        (json!({ "from": "jane@example.com" }), "to"),
        (json!({ "to": "success", "from": "jane@example.com", "subject": "x" }), "subject"),
    ] {
        let refused = post(&stack, &provider_id, &body).await;
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{}", refused.text);
    }
    let body = json!({ "to": "success", "from": "jane@not-verified.example" });
    assert_eq!(post(&stack, "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", &body).await.status, 404);
    let unverified = post(&stack, &provider_id, &body).await;
    let mail_id = unverified.body["mail_id"].as_str().unwrap();
    let fate = stack.mail_in_state(&provider_id, mail_id, &["sent", "rejected"]).await;
    assert_eq!(fate["reason"], "identity_not_verified", "{fate}");

    stack.revoke_key(&tenant).await;
    stack.eventually_stopped(&provider_id).await;
    let stopped = post(&stack, &provider_id, &body).await;
    assert_eq!(stopped.status, 409, "{}", stopped.text);
}
