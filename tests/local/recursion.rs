//! Lambda stops a mail that is requeued again and again, unless the template allows the recursive loop.

use std::path::Path;

use aws_sdk_sqs::types::Message;
use serde_json::{Value, json};

use crate::support::{Stack, eventually, mail};
use operator::Tenant;

/// How often `local` invokes a function in one loop. Lambda's documentation says "approximately 16 times" (Lambda developer
/// guide, "Use Lambda recursive loop detection to prevent infinite loops").
const MAX_INVOCATIONS: usize = 16;

#[tokio::test]
async fn a_mail_in_a_recursive_loop_is_dead_lettered_unless_the_template_allows_the_loop() {
    let template = std::env::temp_dir().join(format!("template-without-recursion-{}.yaml", std::process::id()));
    std::fs::write(&template, template_without_allowance()).unwrap();
    let stopping = Stack::with_arguments(&["--template", template.to_str().unwrap()]).await;
    std::fs::remove_file(&template).unwrap();
    let allowing = Stack::shared().await;
    let (stopped, _) = enqueue_throttled_mail(&stopping).await;
    let (allowed, allowed_provider) = enqueue_throttled_mail(&allowing).await;

    let dead = eventually("the mail in the dead-letter queue", || dead_letter(&stopping)).await;
    let body: Value = serde_json::from_str(dead.body().unwrap()).unwrap();
    assert_eq!(body["mail_id"], "looping");
    // Lambda has sent it there. `send` would have added a reason.
    assert!(!dead.message_attributes().unwrap().contains_key("reason"), "{dead:?}");
    assert_eq!(throttled_requests(&stopping, &stopped).await, MAX_INVOCATIONS);
    stopping.eventually_delayed(0).await;
    assert_eq!(stopping.accepted_copies(&stopped, "looping").await, 0);

    eventually("more invocations than Lambda allows in a loop", || async {
        (throttled_requests(&allowing, &allowed).await > MAX_INVOCATIONS).then_some(())
    })
    .await;
    allowing.set_faults(&allowed, &json!({})).await;
    allowing.mail_in_state(&allowed_provider, "looping", &["sent"]).await;
}

/// The project's template, with Lambda's detection of recursive loops left on for `send`.
fn template_without_allowance() -> String {
    const ALLOWANCE: &str = "      RecursiveLoop: Allow\n";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../template.yaml");
    let template = std::fs::read_to_string(path).unwrap();
    let (before, function) = template.split_once("\n  SendFunction:\n").unwrap();
    let (head, tail) = function.split_once(ALLOWANCE).unwrap();
    assert!(!head.contains("\n  RevokeFunction:"), "the template has no `RecursiveLoop: Allow` for `send`");
    format!("{before}\n  SendFunction:\n{head}{tail}")
}

/// Enqueues a mail that SES throttles each time, so that it is requeued with a delay of two seconds. The rate is so high that
/// the pace adds no delay, although each throttling slows it down. Returns the tenant and the provider's id.
async fn enqueue_throttled_mail(stack: &Stack) -> (Tenant, String) {
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 10_000 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    stack.set_faults(&tenant, &json!({ "throttle_chance": 1 })).await;
    stack.enqueue_mails(&[mail(&provider_id, "looping")]).await;
    (tenant, provider_id)
}

/// The message in the dead-letter queue.
async fn dead_letter(stack: &Stack) -> Option<Message> {
    let response = stack
        .sqs
        .receive_message()
        .queue_url(&stack.outputs.send_dead_letter_queue_url)
        .message_attribute_names("All")
        .send()
        .await
        .unwrap();
    response.messages.unwrap_or_default().pop()
}

/// How often SES refused the mail with a 429.
async fn throttled_requests(stack: &Stack, tenant: &Tenant) -> usize {
    stack.send_requests(tenant).await.iter().filter(|send| send["status"] == 429).count()
}
