//! Nobody knows whether SES took it: what the caller chose happens. And what is no doubt.

use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::{Stack, mail, mail_with, until};

/// Something between us and SES breaks, and what must come of a mail.
struct Case {
    faults: Value,
    on_doubt: &'static str,
    copies: usize,
    state: &'static str,
    takeovers: u32,
}

#[tokio::test]
async fn a_mail_in_doubt_is_sent_again_or_held_as_its_caller_chose() {
    let case = |faults: Value, on_doubt, copies, state, takeovers| Case { faults, on_doubt, copies, state, takeovers };
    let cases = [
        // SES took it, and its answer was lost.
        case(json!({ "reset_after": 1 }), "resend", 2, "sent", 1),
        case(json!({ "reset_after": 1 }), "hold", 1, "in_doubt", 0),
        // Lost again: two copies are the most.
        case(json!({ "reset_after": 9 }), "resend", 2, "in_doubt", 1),
        // SES did not take it, which only we here know.
        case(json!({ "reset_before": 1 }), "resend", 1, "sent", 1),
        case(json!({ "reset_before": 1 }), "hold", 0, "in_doubt", 0),
        case(json!({ "server_error": 1 }), "resend", 1, "sent", 1),
        case(json!({ "server_error": 1 }), "hold", 0, "in_doubt", 0),
        // No answer for longer than SES may take.
        case(json!({ "hang_ms": 60_000 }), "hold", 1, "in_doubt", 0),
    ];
    let mut running = JoinSet::new();
    for case in cases {
        running.spawn(check(case));
    }
    while let Some(checked) = running.join_next().await {
        checked.unwrap();
    }
}

async fn check(case: Case) {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &case.faults).await;
    stack.mail(&mail_with(&provider_id, "doubtful", &json!({ "on_doubt": case.on_doubt }))).await.unwrap();

    let said = format!("{} with {}", case.faults, case.on_doubt);
    let fate = stack.fate(&provider_id, "doubtful", &["sent", "in_doubt", "rejected", "expired"]).await;
    assert_eq!(fate["state"], case.state, "{said}: {fate}");
    assert_eq!(stack.copies(&tenant, "doubtful").await, case.copies, "{said}");
    assert_eq!(stack.row(&provider_id, "doubtful").await.unwrap().takeovers, case.takeovers, "{said}");
    if case.state == "in_doubt" {
        let event = stack.mail_event("Mail In Doubt", &provider_id, "doubtful").await;
        assert_eq!(event["reason"], "no_answer", "{said}");
    }
}

#[tokio::test]
async fn a_refused_connection_is_no_doubt() {
    let stack = Stack::with(&[]).await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "refuse_connections": true })).await;
    stack.mail(&mail_with(&provider_id, "held", &json!({ "on_doubt": "hold" }))).await.unwrap();
    let fate = stack.fate(&provider_id, "held", &["not_accepted", "in_doubt", "sent"]).await;
    assert_eq!((&fate["state"], &fate["reason"]), (&json!("not_accepted"), &json!("not_written")), "{fate}");

    stack.faults(&tenant, &json!({})).await;
    stack.fate(&provider_id, "held", &["sent", "in_doubt"]).await;
    let row = until("its row", || stack.row(&provider_id, "held")).await;
    assert_eq!(row.takeovers, 0);
    assert!(row.attempts >= 2, "{}", row.attempts);
    assert_eq!(row.state, shared::record::MailState::Sent);
    assert_eq!(stack.copies(&tenant, "held").await, 1);
    assert_eq!(stack.sends(&tenant).await.len(), 1);
    stack.until_delayed(0).await;
}

#[tokio::test]
async fn a_mail_that_leaves_first_seen_empty_survives_being_put_back() {
    let stack = Stack::shared().await;
    let (tenant, provider_id) = stack.provider("acme").await;
    stack.faults(&tenant, &json!({ "server_error": 1 })).await;
    // The copy that goes back to the queue carries a `first_seen`, whatever the original had in its place.
    let body = mail(&provider_id, "empty").to_string().replacen('{', "{\"first_seen\": null, ", 1);
    stack.hand_over(&[body]).await;
    let fate = stack.fate(&provider_id, "empty", &["sent", "rejected", "in_doubt"]).await;
    assert_eq!(fate["state"], "sent", "{fate}");
    assert_eq!(fate["attempts"], 2, "{fate}");
}
