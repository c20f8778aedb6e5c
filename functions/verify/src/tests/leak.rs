//! The secret leaks into no response and no log line, whatever fails.

use std::io::Write;
use std::sync::{Arc, Mutex};

use base64::Engine as _;
use serde_json::json;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;

use crate::fixtures::fake_aws::{FakeAws, IAM_PROBES, LIST_PROBES, json_error, query_error};
use crate::fixtures::{SECRET, create, create_rotation, event, post, submission, verify};

/// Log lines of this process.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Whatever fails, and even if AWS repeats the secret in its texts: no response and no log line at TRACE contains it.
#[tokio::test(start_paused = true)]
async fn the_secret_is_in_no_response_and_in_no_log_line_whatever_fails() {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = tracing_subscriber::fmt::layer()
        .json()
        .with_writer(move || writer.clone())
        .with_filter(Targets::new().with_targets([("verify", LevelFilter::TRACE), ("shared", LevelFilter::TRACE)]));
    // Not for this thread only: a line that another test's thread is the first to reach would stay off for all.
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();

    let sealed = base64::engine::general_purpose::STANDARD.encode(SECRET);
    let repeats = format!("{SECRET} {sealed} is not authorized to perform: {SECRET} on resource: arn:{SECRET}");
    let steps = [
        "tenant:GetCallerIdentity",
        "tenant:GetUser",
        "tenant:DeleteAccessKey",
        "tenant:DeleteAccessKey elsewhere",
        "tenant:GetAccount",
        "tenant:SendEmail",
        "tenant:GetSessionToken",
        "own:Encrypt",
        "own:GetItem",
        "own:UpdateItem",
        "own:TransactWriteItems",
        "own:PutEvents",
    ];
    for step in steps.into_iter().chain(IAM_PROBES).chain(LIST_PROBES) {
        for (status, code) in [(403, "AccessDenied"), (400, "Nonsense"), (500, "InternalFailure"), (200, "Garbage")] {
            let aws = FakeAws::new();
            // Our own DynamoDB and EventBridge never get the secret, so they cannot repeat it.
            let text = if step.starts_with("tenant:") || step == "own:Encrypt" { repeats.as_str() } else { "no" };
            let answer = match status {
                200 => (200, text.to_owned()),
                _ if ["List", "Get", "Update", "Attach", "Create", "Put", "Add", "Delete", "Describe"]
                    .iter()
                    .any(|verb| step.contains(verb)) =>
                {
                    query_error(status, code, text)
                }
                _ => json_error(status, code, text),
            };
            aws.answer(step, answer);
            let (status, body, response) = post(&aws, &submission(), Some("once")).await;
            assert!((200..600).contains(&status), "{step} {body}");
            let answer = format!("{response:?}");
            assert!(!answer.contains(SECRET) && !answer.contains(&sealed), "{step} {code}: {answer}");
        }
    }
    // The same for a key that replaces another one.
    let rotation = json!({"access_key_id": "AKIASP2TPHJSQH3FJRUY", "secret_access_key": SECRET});
    for step in steps {
        for (status, code) in [(403, "AccessDenied"), (500, "InternalFailure"), (200, "Garbage")] {
            let aws = FakeAws::new();
            let (_, view, _) = post(&aws, &submission(), None).await;
            let text = if step.starts_with("tenant:") || step == "own:Encrypt" { repeats.as_str() } else { "no" };
            aws.answer(step, if status == 200 { (200, text.to_owned()) } else { query_error(status, code, text) });
            let mut request = create_rotation(&rotation);
            let provider_id = view["provider_id"].as_str().unwrap().to_owned();
            request.path_parameters.insert("provider_id".to_owned(), provider_id);
            let answer = format!("{:?}", verify(&aws).handle(request).await);
            assert!(!answer.contains(SECRET) && !answer.contains(&sealed), "{step} {code}: {answer}");
        }
    }
    let mut misplaced = submission();
    misplaced["access_key_id"] = json!(SECRET);
    misplaced["name"] = json!(SECRET);
    let response = verify(&FakeAws::new()).handle(create(&misplaced, None)).await;
    assert!(!format!("{response:?}").contains(SECRET), "{response:?}");

    let mut named = submission();
    named[SECRET] = json!(1);
    named[format!("x{SECRET}")] = json!(1);
    let response = verify(&FakeAws::new()).handle(create(&named, None)).await;
    assert!(response.status_code == 400 && !format!("{response:?}").contains(SECRET), "{response:?}");
    // Policies are no secrets of ours, and still nobody else's business: the caller gets them back, the log never does.
    for policies in [
        json!([{"Version": SECRET}]),
        json!([{"Statement": {"Effect": "Allow", "Action": format!("s3:{SECRET}"), "Resource": "*"}}]),
    ] {
        let mut request = event(include_str!("../../../../events/verify-check-policy.json"));
        request.body = Some(json!({"policies": policies}).to_string());
        let response = verify(&FakeAws::new()).handle(request).await;
        assert!([200, 422].contains(&response.status_code) && format!("{response:?}").contains(SECRET), "{response:?}");
    }

    let lines = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    assert!(lines.lines().count() > steps.len(), "there is nothing to look through");
    assert!(!lines.contains(SECRET) && !lines.contains(&sealed), "{lines}");
}
