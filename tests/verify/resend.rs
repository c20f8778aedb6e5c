//! Mail that is sent once more, because somebody asks for it.

use operator::ApiResponse;
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{SHORT_DOUBT_DELAY, Stack, Tables, mail, mail_with, now, wait_for_nothing};

async fn resend(stack: &Stack, provider_id: &str, body: &Value) -> ApiResponse {
    stack.api(Method::POST, &format!("/providers/{provider_id}/mails/resend"), Some(body)).await.unwrap()
}

#[tokio::test]
async fn a_mail_in_doubt_is_sent_once_more_and_repeating_the_request_sends_nothing() {
    let stack = Stack::with_arguments(&SHORT_DOUBT_DELAY).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let doubtful = mail_with(&provider_id, "doubtful", &json!({"on_doubt": "hold"}));
    // SES has it, and its answer was lost.
    stack.set_faults(&tenant, &json!({"reset_after": 1})).await;
    stack.enqueue_mail(&doubtful).await.unwrap();
    stack.mail_in_state(&provider_id, "doubtful", &["in_doubt"]).await;
    stack.enqueue_mail(&mail(&provider_id, "sent")).await.unwrap();
    stack.mail_in_state(&provider_id, "sent", &["sent"]).await;

    let until = now().to_string();
    let ask = |mails: Value| json!({"state": "in_doubt", "until": until, "may_duplicate": true, "mails": mails});
    let other = mail_with(&provider_id, "doubtful", &json!({"on_doubt": "hold", "text": "Other content."}));
    let request = ask(json!([mail(&provider_id, "sent"), mail(&provider_id, "unknown"), {"mail_id": "bad"}]));
    let kept = resend(&stack, &provider_id, &request).await;
    assert_eq!(kept.status, 200, "{}", kept.text);
    let results: Vec<_> = kept.body["mails"]
        .as_array()
        .unwrap()
        .iter()
        .map(|mail| (mail["result"].as_str().unwrap(), mail["field"].as_str().unwrap(), mail["state"].as_str()))
        .collect();
    assert_eq!(
        results,
        [("kept", "mail_id", Some("sent")), ("kept", "mail_id", None), ("refused", "from", None)],
        "{}",
        kept.text
    );
    let kept = resend(&stack, &provider_id, &ask(json!([other]))).await;
    assert_eq!(
        (&kept.body["mails"][0]["result"], &kept.body["mails"][0]["state"]),
        (&json!("kept"), &json!("in_doubt"))
    );
    assert_eq!(stack.accepted_copies(&tenant, "doubtful").await, 1);

    // In doubt again: the same request leaves it alone, because it got there later.
    stack.set_faults(&tenant, &json!({"reset_after": 1})).await;
    let request = ask(json!([doubtful]));
    let first = resend(&stack, &provider_id, &request).await;
    assert_eq!(first.body["mails"][0]["result"], "accepted", "{}", first.text);
    let doubt = stack.mail_in_state(&provider_id, "doubtful", &["in_doubt"]).await;
    assert_eq!(doubt["attempts"], 2, "{doubt}");
    let again = resend(&stack, &provider_id, &request).await;
    assert_eq!(
        (&again.body["mails"][0]["result"], &again.body["mails"][0]["field"]),
        (&json!("kept"), &json!("until"))
    );
    wait_for_nothing(1.0).await;
    assert_eq!(stack.accepted_copies(&tenant, "doubtful").await, 2);

    // Once more, and this time SES answers.
    let request = json!({"state": "in_doubt", "until": now().to_string(), "may_duplicate": true, "mails": [doubtful]});
    for _ in 0..3 {
        assert_eq!(resend(&stack, &provider_id, &request).await.status, 200);
    }
    stack.mail_in_state(&provider_id, "doubtful", &["sent"]).await;
    wait_for_nothing(1.0).await;
    assert_eq!(stack.accepted_copies(&tenant, "doubtful").await, 3);
    let trail = Tables::new(&stack).await.audit_trail(&provider_id).await;
    assert_eq!(trail.iter().filter(|event| *event == "mails_resent").count(), 7, "{trail:?}");
}

#[tokio::test]
async fn what_was_rejected_or_late_is_sent_with_the_content_that_is_given_again() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let invalid = mail_with(&provider_id, "corrected", &json!({"to": ["nobody"]}));
    let late = mail_with(
        &provider_id,
        "late",
        &json!({"first_seen": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"}),
    );
    stack.enqueue_mails(&[invalid, late.clone()]).await;
    stack.mail_in_state(&provider_id, "corrected", &["rejected"]).await;
    stack.mail_in_state(&provider_id, "late", &["expired"]).await;
    let until = now().to_string();
    let ask = |state: &str, reason: Option<&str>, mails: Value| json!({"state": state, "reason": reason, "until": until, "mails": mails});
    let corrected = json!([mail(&provider_id, "corrected")]);
    let kept = resend(&stack, &provider_id, &ask("rejected", Some("bad_request"), corrected.clone())).await;
    assert_eq!(kept.body["mails"][0]["result"], "kept", "another reason: {}", kept.text);
    let sent = resend(&stack, &provider_id, &ask("rejected", Some("invalid"), corrected)).await;
    assert_eq!(sent.body["mails"][0]["result"], "accepted", "{}", sent.text);
    let still_late = resend(&stack, &provider_id, &ask("expired", None, json!([late]))).await;
    assert_eq!(still_late.body["mails"][0]["field"], "expires_at", "{}", still_late.text);
    let sent = resend(&stack, &provider_id, &ask("expired", None, json!([mail(&provider_id, "late")]))).await;
    assert_eq!(sent.body["mails"][0]["result"], "accepted", "{}", sent.text);
    for mail_id in ["corrected", "late"] {
        stack.mail_in_state(&provider_id, mail_id, &["sent"]).await;
        assert_eq!(stack.accepted_copies(&tenant, mail_id).await, 1, "{mail_id}");
    }
    for (body, field) in [
        (json!({"state": "in_doubt", "until": until, "mails": [mail(&provider_id, "m")]}), "may_duplicate"),
        (json!({"state": "sent", "until": until}), "state"),
        (json!({"state": "rejected"}), "until"),
        (json!({"state": "rejected", "until": until}), "reason"),
        (json!({"state": "expired", "until": until}), "mails"),
        (json!({"state": "expired", "until": until, "mails": []}), "mails"),
        (json!({"state": "expired", "until": "now", "mails": []}), "until"),
    ] {
        let refused = resend(&stack, &provider_id, &body).await;
        assert_eq!((refused.status.as_u16(), &refused.body["field"]), (400, &json!(field)), "{body}: {}", refused.text);
    }
}

/// Killed between the ledger and the queue, nothing is lost: it stays listed, and the same request goes on.
#[tokio::test]
async fn a_mail_that_was_taken_up_and_not_enqueued_stays_listed_and_goes_with_the_same_request() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let late = json!({"first_seen": "2026-01-01T00:00:00Z", "expires_at": "2026-01-02T00:00:00Z"});
    stack.enqueue_mail(&mail_with(&provider_id, "late", &late)).await.unwrap();
    stack.mail_in_state(&provider_id, "late", &["expired"]).await;
    let request = json!({"state": "expired", "until": now().to_string(), "mails": [mail(&provider_id, "late")]});
    let faults = |count| json!({"rules": [{"on": ["sqs:SendMessage", "sqs:SendMessageBatch"], "server_error": count}]});
    assert!(stack.local_api(Method::PUT, "/faults", Some(&faults(100))).await.unwrap().status.is_success());
    let failed = resend(&stack, &provider_id, &request).await;
    assert_eq!(failed.body["mails"][0]["result"], "not_enqueued", "{}", failed.text);
    let path = format!("/providers/{provider_id}/mails?state=expired");
    let listed = stack.api(Method::GET, &path, None).await.unwrap();
    let shown = &listed.body["mails"][0];
    assert_eq!((&shown["state"], &shown["reason"]), (&json!("not_accepted"), &json!("resent")), "{}", listed.text);
    assert!(stack.local_api(Method::PUT, "/faults", Some(&faults(0))).await.unwrap().status.is_success());
    let sent = resend(&stack, &provider_id, &request).await;
    assert_eq!(sent.body["mails"][0]["result"], "accepted", "{}", sent.text);
    stack.mail_in_state(&provider_id, "late", &["sent"]).await;
    assert_eq!(stack.accepted_copies(&tenant, "late").await, 1);
    let listed = stack.api(Method::GET, &path, None).await.unwrap();
    assert_eq!(listed.body, json!({"mails": []}));
}

#[tokio::test]
async fn what_was_set_aside_is_sent_from_there() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    let queue = &stack.outputs.send_dead_letter_queue_url;
    let reason = aws_sdk_sqs::types::MessageAttributeValue::builder().data_type("String").string_value("given_up");
    let letter = stack.sqs.send_message().queue_url(queue).message_body(mail(&provider_id, "aside").to_string());
    letter.message_attributes("reason", reason.build().unwrap()).send().await.unwrap();
    let request = json!({"state": "rejected", "reason": "given_up", "until": now().to_string()});
    let sent = resend(&stack, &provider_id, &request).await;
    assert_eq!((&sent.body["moved"], &sent.body["complete"]), (&json!(1), &json!(true)), "{}", sent.text);
    stack.mail_in_state(&provider_id, "aside", &["sent"]).await;
    assert_eq!(resend(&stack, &provider_id, &request).await.body["moved"], 0);
    assert_eq!(stack.accepted_copies(&tenant, "aside").await, 1);
}
