//! Lambda stops a mail that goes round and round, unless the template says that it may.

use std::path::Path;

use aws_sdk_sqs::types::Message;
use serde_json::{Value, json};

use crate::support::{Stack, classic, mail, until};
use operator::Tenant;

/// How often `local` lets a mail come round where Lambda says "approximately 16 times" (Lambda developer guide, "Use
/// Lambda recursive loop detection to prevent infinite loops").
const ROUNDS: usize = 16;

#[tokio::test]
async fn a_mail_that_goes_round_is_set_aside_unless_the_template_allows_it() {
    let template = std::env::temp_dir().join(format!("template-without-recursion-{}.yaml", std::process::id()));
    std::fs::write(&template, without_allowance()).unwrap();
    let stopping = Stack::with(&["--template", template.to_str().unwrap()]).await;
    std::fs::remove_file(&template).unwrap();
    let allowing = Stack::shared().await;
    let (stopped, _) = send_round(&stopping).await;
    let (allowed, allowed_provider) = send_round(&allowing).await;

    let dead = until("the mail is set aside", || set_aside(&stopping)).await;
    let body: Value = serde_json::from_str(dead.body().unwrap()).unwrap();
    assert_eq!(body["mail_id"], "round");
    // Lambda and not `send`, which says why.
    assert!(!dead.message_attributes().unwrap().contains_key("reason"), "{dead:?}");
    assert_eq!(throttled(&stopping, &stopped).await, ROUNDS);
    stopping.until_delayed(0).await;
    assert_eq!(stopping.copies(&stopped, "round").await, 0);

    until("the mail goes on", || async { (throttled(&allowing, &allowed).await > ROUNDS).then_some(()) }).await;
    allowing.faults(&allowed, &json!({})).await;
    allowing.fate(&allowed_provider, "round", &["sent"]).await;
}

/// The project's template, with Lambda's detection of recursive loops left on for `send`.
fn without_allowance() -> String {
    const ALLOWANCE: &str = "      RecursiveLoop: Allow\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = std::fs::read_to_string(path).unwrap();
    let (before, function) = template.split_once("\n  SendFunction:\n").unwrap();
    let (head, tail) = function.split_once(ALLOWANCE).unwrap();
    assert!(!head.contains("\n  RevokeFunction:"), "`send` has no allowance to take away");
    format!("{before}\n  SendFunction:\n{head}{tail}")
}

/// Hands over a mail that SES throttles each time, which sends it back to the queue for two seconds. The rate is so high
/// that the pace, which slows down with each, costs it no further time. Answers the provider's id with the tenant.
async fn send_round(stack: &Stack) -> (Tenant, String) {
    let request = json!({ "policies": [classic()], "identities": ["example.com"], "max_send_rate": 10_000 });
    let tenant = stack.tenant(&request).await.unwrap();
    let provider_id = stack.take("acme", &tenant).await;
    stack.faults(&tenant, &json!({ "throttle_chance": 1 })).await;
    stack.hand_over(&[mail(&provider_id, "round")]).await;
    (tenant, provider_id)
}

/// The message in the dead-letter queue.
async fn set_aside(stack: &Stack) -> Option<Message> {
    let answer = stack
        .sqs
        .receive_message()
        .queue_url(&stack.outputs.send_dead_letter_queue_url)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    answer.messages.unwrap_or_default().pop()
}

/// How often SES was asked to take the mail and did not.
async fn throttled(stack: &Stack, tenant: &Tenant) -> usize {
    stack.sends(tenant).await.iter().filter(|send| send["status"] == 429).count()
}
