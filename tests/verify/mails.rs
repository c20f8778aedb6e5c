//! Mail over the API: handed over, asked for, taken back.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use operator::ApiResponse;
use reqwest::Method;
use serde_json::{Value, json};
use shared::record::MailState;

use crate::support::{Stack, Tables, eventually, mail, mail_with, string_of, wait_for_nothing};

async fn post(stack: &Stack, path: &str, body: &Value) -> ApiResponse {
    stack.api(Method::POST, path, Some(body)).await.unwrap()
}

/// A mail as a caller writes it who leaves out what the route says.
fn short(mail_id: &str) -> Value {
    json!({"mail_id": mail_id, "from": "jane@example.com", "to": ["ann@example.org"], "subject": mail_id, "text": "t"})
}

#[tokio::test]
async fn mails_are_handed_over_each_for_itself_and_sent_once_however_often() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let path = format!("/providers/{provider_id}/mails");
    let mut wrong = short("wrong");
    wrong["to"] = json!(["ann@example.org", "nobody"]);
    let mails = json!({"mails": [
        short("a b"), wrong, mail(&provider_id, "whole"), {"mail_id": "empty"}, 7, short("a b"),
        mail_with(&provider_id, "foreign", &json!({"tenant_id": "somebody"})),
    ]});
    let answer = post(&stack, &path, &mails).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    let results: Vec<_> = answer.body["mails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mail| (mail["result"].as_str().unwrap(), mail["mail_id"].as_str(), mail["field"].as_str()))
        .collect();
    assert_eq!(
        results,
        [
            ("accepted", Some("a b"), None),
            ("refused", Some("wrong"), Some("to[1]")),
            ("accepted", Some("whole"), None),
            ("refused", Some("empty"), Some("from")),
            ("refused", None, Some("body")),
            ("refused", Some("a b"), Some("mail_id")),
            ("refused", Some("foreign"), Some("tenant_id")),
        ],
        "{}",
        answer.text
    );
    assert!(!answer.text.contains("ann@example.org"), "{}", answer.text);
    let location = answer.body["mails"][0]["location"].as_str().unwrap();
    assert_eq!(location, format!("/providers/{provider_id}/mails/a%20b"));
    for mail_id in ["a%20b", "whole"] {
        stack.mail_in_state(&provider_id, mail_id, &["sent"]).await;
    }
    assert_eq!(post(&stack, &path, &mails).await.status, 202);
    wait_for_nothing(1.0).await;
    for mail_id in ["a b", "whole"] {
        assert_eq!(stack.accepted_copies(&tenant, mail_id).await, 1, "{mail_id}");
    }
    assert_eq!(stack.accepted_copies(&tenant, "wrong").await, 0);
}

#[tokio::test]
async fn a_hundred_mails_go_in_one_request_and_what_is_no_list_of_mails_is_refused() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.create_provider("acme").await;
    let path = format!("/providers/{provider_id}/mails");
    let many: Vec<_> = (0..101).map(|n| short(&format!("many-{n}"))).collect();
    let answer = post(&stack, &path, &json!({"mails": many[..100]})).await;
    assert_eq!(answer.status, 202, "{}", answer.text);
    assert!(answer.body["mails"].as_array().unwrap().iter().all(|mail| mail["result"] == "accepted"));
    for n in [0, 99] {
        stack.mail_in_state(&provider_id, &format!("many-{n}"), &["sent"]).await;
    }
    for (body, field) in [
        (json!({"mails": many}), "mails"),
        (json!({"mails": []}), "mails"),
        (json!({}), "mails"),
        (json!({"mails": {}}), "mails"),
        (json!({"mails": [short("m")], "priority": "high"}), "priority"),
    ] {
        let refused = post(&stack, &path, &body).await;
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{}", refused.text);
    }
    // Whoever looks at the status alone must not take it for accepted.
    let none = post(&stack, &path, &json!({"mails": [{"mail_id": "m"}]})).await;
    assert_eq!((none.status.as_u16(), &none.body["mails"][0]["field"]), (422, &json!("from")), "{}", none.text);
    let unknown =
        post(&stack, "/providers/prv_01ARZ3NDEKTSV4RRFFQ69G5FAV/mails", &json!({"mails": [short("m")]})).await;
    assert_eq!(unknown.status, 404, "{}", unknown.text);
}

#[tokio::test]
async fn a_queue_that_takes_nothing_is_said_and_the_request_can_be_repeated() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let path = format!("/providers/{provider_id}/mails");
    let body = json!({"mails": [short("again"), {"mail_id": "bad"}]});
    let faults = |count| json!({"rules": [{"on": ["sqs:SendMessage", "sqs:SendMessageBatch"], "reset_after": count}]});
    assert!(stack.local_api(Method::PUT, "/faults", Some(&faults(100))).await.unwrap().status.is_success());
    let none = post(&stack, &path, &body).await;
    assert_eq!(
        (none.status.as_u16(), &none.body["mails"][0]["result"]),
        (503, &json!("not_enqueued")),
        "{}",
        none.text
    );
    assert!(none.headers.contains_key("retry-after"));
    assert!(stack.local_api(Method::PUT, "/faults", Some(&faults(0))).await.unwrap().status.is_success());
    assert_eq!(post(&stack, &path, &body).await.status, 202);
    stack.mail_in_state(&provider_id, "again", &["sent"]).await;
    wait_for_nothing(1.0).await;
    assert_eq!(stack.accepted_copies(&tenant, "again").await, 1, "the first request reached the queue too");

    stack.revoke_key(&tenant).await;
    stack.eventually_stopped(&provider_id).await;
    let stopped = post(&stack, &path, &body).await;
    let status = &stopped.body["provider_status"];
    assert_eq!((stopped.status.as_u16(), status.is_string()), (409, true), "{}", stopped.text);
}

#[tokio::test]
async fn a_campaign_that_is_taken_back_before_it_starts_is_never_sent() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let hold = format!("/providers/{provider_id}/hold");
    stack.enqueue_mail(&mail(&provider_id, "early")).await.unwrap();
    stack.mail_in_state(&provider_id, "early", &["sent"]).await;
    assert_eq!(stack.api(Method::PUT, &hold, Some(&json!({"reason": "a mistake"}))).await.unwrap().status, 200);
    let campaign: Vec<_> = (0..5).map(|n| mail(&provider_id, &format!("campaign-{n}"))).collect();
    stack.enqueue_mails(&campaign).await;

    let path = format!("/providers/{provider_id}/mails");
    let one = stack.api(Method::DELETE, &format!("{path}/campaign-0"), None).await.unwrap();
    assert_eq!((one.status.as_u16(), &one.body["state"]), (200, &json!("cancelled")), "{}", one.text);
    let late = stack.api(Method::DELETE, &format!("{path}/early"), None).await.unwrap();
    assert_eq!((late.status.as_u16(), &late.body["state"]), (409, &json!("sent")), "{}", late.text);
    let ids = json!({"mail_ids": ["campaign-0", "campaign-1", "campaign-2", "early", "never handed over"]});
    for _ in 0..2 {
        let many = post(&stack, &format!("{path}/cancel"), &ids).await;
        assert_eq!(many.status, 200, "{}", many.text);
        let results: Vec<_> = many.body["mails"]
            .as_array()
            .unwrap()
            .iter()
            .map(|mail| (mail["cancelled"].as_bool().unwrap(), mail["state"].as_str().unwrap()))
            .collect();
        let cancelled = (true, "cancelled");
        assert_eq!(results, [cancelled, cancelled, cancelled, (false, "sent"), cancelled]);
    }
    assert_eq!(stack.api(Method::DELETE, &hold, Some(&json!({"reason": "mended"}))).await.unwrap().status, 200);
    for n in [3, 4] {
        stack.mail_in_state(&provider_id, &format!("campaign-{n}"), &["sent"]).await;
    }
    // Whatever comes under such an id.
    stack.enqueue_mail(&mail_with(&provider_id, "never handed over", &json!({"text": "late"}))).await.unwrap();
    stack.enqueue_mail(&mail_with(&provider_id, "campaign-1", &json!({"text": "corrected"}))).await.unwrap();
    wait_for_nothing(2.0).await;
    for (mail_id, copies) in
        [("campaign-0", 0), ("campaign-1", 0), ("campaign-2", 0), ("campaign-3", 1), ("never handed over", 0)]
    {
        assert_eq!(stack.accepted_copies(&tenant, mail_id).await, copies, "{mail_id}");
    }
    assert_eq!(stack.ledger_row(&provider_id, "campaign-1").await.unwrap().state, MailState::Cancelled);
    let trail = Tables::new(&stack).await.audit_trail(&provider_id).await;
    assert_eq!(trail.iter().filter(|event| *event == "mails_cancelled").count(), 4, "{trail:?}");

    for (body, field) in [
        (json!({"mail_ids": []}), "mail_ids"),
        (json!({"mail_ids": vec!["m"; 101]}), "mail_ids"),
        (json!({"mail_ids": ["m", ""]}), "mail_ids[1]"),
        (json!({}), "mail_ids"),
        (json!({"mail_ids": ["m"], "all": true}), "all"),
    ] {
        let refused = post(&stack, &format!("{path}/cancel"), &body).await;
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{}", refused.text);
    }
}

/// Parked mail is not looked for: it is found cancelled when it is released.
#[tokio::test]
async fn parked_mail_that_is_taken_back_is_released_and_not_sent() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    for mail_id in ["kept", "taken-back"] {
        stack.park(&provider_id, mail_id, mail(&provider_id, mail_id).to_string()).await;
    }
    let path = format!("/providers/{provider_id}/mails/taken-back");
    assert_eq!(stack.api(Method::DELETE, &path, None).await.unwrap().status, 200);
    stack.mail_in_state(&provider_id, "kept", &["sent"]).await;
    let (client, table) = stack.table("MailsTable").await;
    eventually("the release of both", || async {
        let items = client.scan().table_name(&table).consistent_read(true).send().await.unwrap().items.unwrap();
        let is_parked = |item: &HashMap<String, AttributeValue>| string_of(item, "pk").starts_with("parked#");
        (!items.iter().any(is_parked)).then_some(())
    })
    .await;
    wait_for_nothing(1.0).await;
    assert_eq!(stack.mail_in_state(&provider_id, "taken-back", &["cancelled"]).await["attempts"], 0);
    assert_eq!(stack.accepted_copies(&tenant, "taken-back").await, 0);
    assert_eq!(stack.accepted_copies(&tenant, "kept").await, 1);
}

#[tokio::test]
async fn who_missed_a_mail_is_listed_by_state_in_pages() {
    let stack = Stack::shared().await;
    let (_, provider_id) = stack.create_provider("acme").await;
    let unverified = |n| mail_with(&provider_id, &format!("missed-{n}"), &json!({"from": "jane@not-verified.example"}));
    let past = json!({"first_seen": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"});
    stack.enqueue_mails(&(0..5).map(unverified).collect::<Vec<_>>()).await;
    stack.enqueue_mails(&[mail_with(&provider_id, "late", &past), mail(&provider_id, "sent")]).await;
    for n in 0..5 {
        stack.mail_in_state(&provider_id, &format!("missed-{n}"), &["rejected"]).await;
    }
    stack.mail_in_state(&provider_id, "late", &["expired"]).await;
    stack.mail_in_state(&provider_id, "sent", &["sent"]).await;

    let base = format!("/providers/{provider_id}/mails");
    let mut listed = Vec::new();
    let mut path = format!("{base}?limit=2&since=2026-01-01T00:00:00Z&state=rejected");
    loop {
        let page = stack.api(Method::GET, &path, None).await.unwrap();
        assert_eq!(page.status, 200, "{}", page.text);
        let mails = page.body["mails"].as_array().unwrap();
        assert!(
            mails.len() <= 2 && mails.iter().all(|mail| mail["reason"] == "identity_not_verified"),
            "{}",
            page.text
        );
        listed.extend(mails.iter().map(|mail| mail["mail_id"].as_str().unwrap().to_owned()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("{base}?cursor={cursor}&limit=2&state=rejected"),
            None => break,
        }
    }
    listed.sort();
    assert_eq!(listed, (0..5).map(|n| format!("missed-{n}")).collect::<Vec<_>>());
    let expired = stack.api(Method::GET, &format!("{base}?state=expired"), None).await.unwrap();
    assert_eq!(expired.body["mails"].as_array().unwrap().len(), 1, "{}", expired.text);
    let none =
        stack.api(Method::GET, &format!("{base}?since=2126-01-01T00:00:00Z&state=rejected"), None).await.unwrap();
    assert_eq!(none.body, json!({"mails": []}));
    for (query, field) in [("", "state"), ("?state=sent", "state"), ("?cursor=x&state=expired", "cursor")] {
        let refused = stack.api(Method::GET, &format!("{base}{query}"), None).await.unwrap();
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{}", refused.text);
    }
}
