//! The secret-marker test: every step is driven into failure at the highest log level, and a tenant's secret turns up
//! nowhere: no log line, event, answer, message or record has it, in whatever writing.
//!
//! The stand-in's own view is left out: the inbox has what SES was given, and the Secrets table has ciphertexts.

mod drive;
mod sampler;
mod search;

use std::path::{Path, PathBuf};
use std::process::Stdio;

use drive::Driven;
use sampler::Sampler;
use search::Marker;

use crate::support::Stack;

/// A folder that is gone with the test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("secrets-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    /// The lines of all files in which one of these markers is, without the marker: a test's output is kept, too.
    fn lines_with(&self, markers: &[Marker]) -> Vec<String> {
        let mut found = Vec::new();
        for file in std::fs::read_dir(&self.0).unwrap() {
            let file = file.unwrap().path();
            let name = file.file_name().unwrap().to_string_lossy();
            let text = String::from_utf8_lossy(&std::fs::read(&file).unwrap()).into_owned();
            for line in text.lines() {
                let markers = markers.iter().filter(|marker| marker.is_in(line));
                found.extend(markers.map(|marker| format!("{marker} in {name}: {}", marker.cut_out_of(line))));
            }
        }
        found
    }

    fn text_of(&self, file: &str) -> String {
        std::fs::read_to_string(self.0.join(file)).unwrap_or_default()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_secret_is_in_no_log_event_answer_message_or_record_whatever_fails() {
    let folder = Folder::new();
    let stderr = std::fs::File::create(folder.0.join("local.stderr")).unwrap();
    let log_dir = folder.0.to_str().unwrap();
    // One environment a function, so that messages wait in the queues long enough to be seen there.
    let arguments = ["--log-dir", log_dir, "--verbose", "--parameter", "LogLevel=trace", "--max-environments", "1"];
    let stack = Stack::telling(&arguments, Stdio::from(stderr)).await;
    let sampler = Sampler::start(&stack).await;
    let Driven { kept, pasted, answers, asked } = drive::all(&stack).await;
    let messages = sampler.stop().await;
    let events = stack.local(reqwest::Method::GET, "/events", None).await.unwrap();
    let own_events: Vec<&serde_json::Value> = events.body["events"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event["source"] != "sendingbee.security")
        .collect();
    let records = [drive::table(&stack, "ProvidersTable").await, drive::table(&stack, "MailsTable").await].concat();
    drop(stack);

    // What is searched is what it is taken for.
    for function in ["verify", "send", "revoke", "revoke-worker"] {
        let log = folder.text_of(&format!("sendingbee-{function}.log"));
        assert!(log.contains("\"level\":"), "no log of {function}");
    }
    assert!(folder.text_of("sendingbee-send.log").contains("\"level\":\"DEBUG\""));
    assert!(folder.text_of("local.stderr").contains("local::function"));
    for queue in ["SendQueue", "SendDeadLetterQueue", "RevocationQueue", "RevocationDeadLetterQueue"] {
        assert!(messages.iter().any(|message| message.queue.contains(queue)), "nothing was seen in {queue}");
    }
    assert!(kept.iter().all(|marker| marker.is_in(&asked)), "a secret was not even handed over");
    assert!(own_events.len() >= 5 && records.len() >= 1000);

    let everywhere = [&kept[..], &pasted[..]].concat();
    assert_eq!(folder.lines_with(&everywhere), Vec::<String>::new());
    // The search finds what is there, in any writing.
    let control = folder.0.join("control.log");
    for marker in &everywhere {
        for form in marker.forms() {
            std::fs::write(&control, format!("{{\"x\":\"{form}\"}}")).unwrap();
            let found = folder.lines_with(std::slice::from_ref(marker));
            assert_eq!(found, [format!("{marker} in control.log: {{\"x\":\"…\"}}")]);
        }
    }

    for marker in &everywhere {
        for answer in &answers {
            assert!(!marker.is_in(answer), "{marker} is in an answer: {answer}");
        }
        for event in &own_events {
            assert!(!marker.is_in(&event.to_string()), "{marker} is in an event: {event}");
        }
        assert!(!marker.is_in(&records), "{marker} is in a record");
        for message in &messages {
            assert!(!marker.is_in(&message.attributes), "{marker} is in an attribute: {}", message.attributes);
        }
    }
    // Who pastes a secret into a message finds it in the copy that is set aside; nobody else does.
    for marker in &kept {
        for message in &messages {
            assert!(!marker.is_in(&message.body), "{marker} is in a message of {}", message.queue);
        }
    }
}
