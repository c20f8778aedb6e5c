//! The secret-marker test: every step is made to fail at the highest log level, and no log line, event, response, message or
//! table item contains a secret of a tenant or of a sender of webhooks in any encoding.
//!
//! What the stand-in itself shows is not searched: the inbox holds what SES received, and the Secrets table ciphertexts.

mod drive;
mod sampler;
mod search;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use drive::Driven;
use sampler::Sampler;
use search::Marker;

use crate::support::Stack;

/// A folder that is deleted at the end of the test.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("secrets-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The lines of all files that contain one of these secrets, with the secret redacted, because the output of a test is
    /// stored too.
    fn lines_with(&self, markers: &[Marker]) -> Vec<String> {
        let mut found = Vec::new();
        for file in std::fs::read_dir(&self.0).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_string_lossy();
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            for line in text.lines() {
                let markers = markers.iter().filter(|marker| marker.is_in(line));
                found.extend(markers.map(|marker| format!("{marker} in {name}: {}", marker.redact(line))));
            }
        }
        found
    }

    fn text_of(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap_or_default()
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn no_log_event_response_message_or_item_contains_a_secret_whatever_fails() {
    let folder = TemporaryFolder::new();
    let stderr = std::fs::File::create(folder.0.join("local.stderr")).unwrap();
    let log_dir = folder.0.to_str().unwrap();
    // Each function has one environment, so that messages stay in the queues long enough to be read there.
    let arguments = ["--log-dir", log_dir, "--verbose", "--parameter", "LogLevel=trace", "--max-environments", "1"];
    let stack = Stack::with_stderr(&arguments, Stdio::from(stderr)).await;
    let sampler = Sampler::start(&stack).await;
    let Driven { stored, shown, pasted, responses, request_bodies } = drive::run(&stack).await;
    let messages = sampler.stop().await;
    let events = stack.local_api(reqwest::Method::GET, "/events", None).await.unwrap();
    let own_events: Vec<&serde_json::Value> = events.body["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["source"] != "sendingbee.security")
        .collect();
    let items = [drive::items(&stack, "ProvidersTable").await, drive::items(&stack, "MailsTable").await].concat();
    drop(stack);

    // The places that are searched contain what they should.
    for function in ["verify", "verify-worker", "send", "revoke", "revoke-worker"] {
        let log = folder.text_of(&format!("sendingbee-{function}.log"));
        assert!(log.contains("\"level\":"), "there is no log of {function}");
    }
    assert!(folder.text_of("sendingbee-send.log").contains("\"level\":\"DEBUG\""));
    assert!(folder.text_of("local.stderr").contains("local::function"));
    for queue in [
        "SendQueue",
        "SendDeadLetterQueue",
        "RevocationQueue",
        "RevocationDeadLetterQueue",
        "VerificationQueue",
        "VerificationDeadLetterQueue",
    ] {
        assert!(messages.iter().any(|message| message.queue.contains(queue)), "no message was read from {queue}");
    }
    assert!(stored.iter().all(|marker| marker.is_in(&request_bodies)), "a secret was not even sent to the API");
    assert!(own_events.len() >= 5 && items.len() >= 1000);

    let markers = [&stored[..], &shown[..], &pasted[..]].concat();
    assert_eq!(folder.lines_with(&markers), Vec::<String>::new());
    // The search finds a secret in every encoding.
    let control = folder.0.join("control.log");
    for marker in &markers {
        for form in marker.forms() {
            std::fs::write(&control, format!("{{\"x\":\"{form}\"}}")).unwrap();
            let found = folder.lines_with(std::slice::from_ref(marker));
            assert_eq!(found, [format!("{marker} in control.log: {{\"x\":\"…\"}}")]);
        }
    }

    for marker in &markers {
        for response in &responses {
            assert!(!marker.is_in(response), "{marker} is in a response: {}", marker.redact(response));
        }
        for event in &own_events {
            let event = event.to_string();
            assert!(!marker.is_in(&event), "{marker} is in an event: {}", marker.redact(&event));
        }
        assert!(!marker.is_in(&items), "{marker} is in an item of a table");
        for message in &messages {
            let attributes = marker.redact(&message.attributes);
            assert!(!marker.is_in(&message.attributes), "{marker} is in an attribute: {attributes}");
        }
    }
    // A secret that somebody pastes into a message is still in its dead-lettered copy. The stored secrets are in no message.
    for marker in stored.iter().chain(&shown) {
        for message in &messages {
            assert!(!marker.is_in(&message.body), "{marker} is in a message of {}", message.queue);
        }
    }
}
