//! If it is unknown whether SES accepted a mail, its `on_doubt` decides. And what leaves no doubt.

use std::sync::Arc;

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{SHORT_DOUBT_DELAY, Stack, eventually, mail, mail_with};

/// A failure between us and SES, and what must become of a mail.
struct Case {
    faults: Value,
    on_doubt: &'static str,
    copies: usize,
    state: &'static str,
    takeovers: u32,
}

#[tokio::test]
async fn a_mail_in_doubt_is_resent_or_held_as_its_on_doubt_says() {
    let case = |faults: Value, on_doubt, copies, state, takeovers| Case { faults, on_doubt, copies, state, takeovers };
    let cases = [
        // SES accepted the mail, and its response was lost.
        case(json!({ "reset_after": 1 }), "resend", 2, "sent", 1),
        case(json!({ "reset_after": 1 }), "hold", 1, "in_doubt", 0),
        // The second response is lost too. There are at most two copies.
        case(json!({ "reset_after": 9 }), "resend", 2, "in_doubt", 1),
        // SES did not accept the mail, which only this test knows.
        case(json!({ "reset_before": 1 }), "resend", 1, "sent", 1),
        case(json!({ "reset_before": 1 }), "hold", 0, "in_doubt", 0),
        case(json!({ "server_error": 1 }), "resend", 1, "sent", 1),
        case(json!({ "server_error": 1 }), "hold", 0, "in_doubt", 0),
        // There is no response within the timeout.
        case(json!({ "hang_ms": 60_000 }), "hold", 1, "in_doubt", 0),
    ];
    let stack = Arc::new(Stack::with_arguments(&SHORT_DOUBT_DELAY).await);
    let mut checks = JoinSet::new();
    for case in cases {
        checks.spawn(check(Arc::clone(&stack), case));
    }
    while let Some(checked) = checks.join_next().await {
        checked.unwrap();
    }
}

async fn check(stack: Arc<Stack>, case: Case) {
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &case.faults).await;
    stack.enqueue_mail(&mail_with(&provider_id, "doubtful", &json!({ "on_doubt": case.on_doubt }))).await.unwrap();

    let context = format!("{} with {}", case.faults, case.on_doubt);
    let mail = stack.mail_in_state(&provider_id, "doubtful", &["sent", "in_doubt", "rejected", "expired"]).await;
    assert_eq!(mail["state"], case.state, "{context}: {mail}");
    assert_eq!(stack.accepted_copies(&tenant, "doubtful").await, case.copies, "{context}");
    assert_eq!(stack.ledger_row(&provider_id, "doubtful").await.unwrap().takeovers, case.takeovers, "{context}");
    if case.state == "in_doubt" {
        let event = stack.mail_event("Mail In Doubt", &provider_id, "doubtful").await;
        assert_eq!(event["reason"], "no_answer", "{context}");
    }
}

#[tokio::test]
async fn a_refused_connection_leaves_no_doubt() {
    let stack = Stack::with_arguments(&[]).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "refuse_connections": true })).await;
    stack.enqueue_mail(&mail_with(&provider_id, "held", &json!({ "on_doubt": "hold" }))).await.unwrap();
    let mail = stack.mail_in_state(&provider_id, "held", &["not_accepted", "in_doubt", "sent"]).await;
    assert_eq!((&mail["state"], &mail["reason"]), (&json!("not_accepted"), &json!("not_written")), "{mail}");

    stack.set_faults(&tenant, &json!({})).await;
    stack.mail_in_state(&provider_id, "held", &["sent", "in_doubt"]).await;
    let row = eventually("the ledger row of the mail", || stack.ledger_row(&provider_id, "held")).await;
    assert_eq!(row.takeovers, 0);
    assert!(row.attempts >= 2, "{}", row.attempts);
    assert_eq!(row.state, shared::record::MailState::Sent);
    assert_eq!(stack.accepted_copies(&tenant, "held").await, 1);
    assert_eq!(stack.send_requests(&tenant).await.len(), 1);
    stack.eventually_delayed(0).await;
}

#[tokio::test]
async fn a_mail_with_a_null_first_seen_can_be_requeued() {
    let stack = Stack::with_arguments(&SHORT_DOUBT_DELAY).await;
    let (tenant, provider_id) = stack.create_provider("acme").await;
    stack.set_faults(&tenant, &json!({ "server_error": 1 })).await;
    // The requeued copy has a `first_seen`, whatever the original had.
    let body = mail(&provider_id, "empty").to_string().replacen('{', "{\"first_seen\": null, ", 1);
    stack.enqueue_mails(&[body]).await;
    let mail = stack.mail_in_state(&provider_id, "empty", &["sent", "rejected", "in_doubt"]).await;
    assert_eq!(mail["state"], "sent", "{mail}");
    assert_eq!(mail["attempts"], 2, "{mail}");
}
