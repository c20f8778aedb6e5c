//! Sends mail through the tenant's SES.
//!
//! ```text
//! SQS batch -> message -> mail ─┬─ no valid mail: poison (event, dead-letter queue, row)
//!                               └─ delivery: snapshot -> rate -> secret -> claim -> snapshot -> SES -> row
//! ```
//!
//! | module | what it keeps |
//! |---|---|
//! | `batch`, `disposition` | a task for each message, and the partial batch response |
//! | `context` | what the deliveries of a process and of a batch share |
//! | `ses_request` | a mail as the request to SES; what makes a message a mail is `shared::mail` |
//! | `delivery`, `delay`, `delivery_error` | the steps of one mail's delivery, and why one fails |
//! | `files` | files of the stack's bucket, within the memory that there is |
//! | `failure_action` | what each failure of SES means for the mail and its provider |
//! | `failover` | which of the providers that a mail names sends it |
//! | `snapshot`, `opened_secrets` | whether a mail may go out, by a fresh read, and with which secret |
//! | `ledger` | each mail's state, and how many copies of it there can be |
//! | `parking`, `put_backs`, `wait_reason` | mail that waits: in the queue, or parked if it is for long |
//! | `settle` | acceptances that could not be recorded in time |
//! | `rate`, `preparation` | when each mail of an account may start, and how long before that it wakes |
//! | `sent_mails` | the event about mail that was sent, if it is wanted |
//! | `rejection`, `poison` | why a mail will never be sent; messages that are dead-lettered |
//! | `rotation` | keys that are being replaced |
//! | `suspicion` | keys that AWS refuses |

mod batch;
mod context;
mod delay;
mod delivery;
mod delivery_error;
mod denied_resource;
mod disposition;
mod failover;
mod failure_action;
mod files;
#[cfg(test)]
mod fixtures;
mod ledger;
mod opened_secrets;
mod parking;
mod poison;
mod preparation;
mod put_backs;
mod rate;
mod rejection;
mod rotation;
mod sent_mails;
mod ses_request;
mod settle;
mod snapshot;
mod suspicion;
mod wait_reason;
mod write_limiter;

use std::sync::Arc;

use anyhow::anyhow;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use lambda_runtime::LambdaEvent;
use serde::{Deserialize, Serialize};
use shared::runtime::{ColdStart, MissingVariable, ScheduledDetailType, serve};

use crate::context::Services;

pub use context::Invocation;

/// The handler: what a cold start builds once.
#[derive(Clone)]
pub struct Sender {
    services: Arc<Services>,
}

/// What invokes the function: its queue, or the schedule.
#[derive(Deserialize)]
#[serde(try_from = "EventDocument")]
enum SendEvent {
    Batch(SqsEvent),
    Schedule,
}

/// Either event as it is received. Not `untagged`, which copies a whole batch before it looks what it is.
#[derive(Deserialize)]
struct EventDocument {
    #[serde(rename = "Records")]
    records: Option<Vec<SqsMessage>>,
    #[serde(rename = "detail-type")]
    scheduled: Option<ScheduledDetailType>,
}

/// The response to either.
#[derive(Serialize)]
#[serde(untagged)]
enum SendResponse {
    Batch(SqsBatchResponse),
    /// For the scheduler, which reads nothing.
    Empty,
}

/// Serves batches until Lambda ends the process.
///
/// # Errors
/// A variable is missing, which is named, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let sender = Sender::new(&ColdStart::begin())?;
    serve(|event: LambdaEvent<SendEvent>| {
        let sender = sender.clone();
        let invocation = Invocation::from_context(&event.context);
        // Boxed, because the compiler cannot lay out so deep a future.
        Box::pin(async move {
            match event.payload {
                SendEvent::Batch(batch) => SendResponse::Batch(sender.handle(batch, invocation).await),
                SendEvent::Schedule => {
                    sender.run_schedule(&invocation).await;
                    SendResponse::Empty
                }
            }
        })
    })
    .await
    .map_err(|error| anyhow!("{error}"))
}

impl TryFrom<EventDocument> for SendEvent {
    type Error = &'static str;

    fn try_from(event: EventDocument) -> Result<Self, Self::Error> {
        match event {
            EventDocument { records: Some(records), .. } => {
                let mut batch = SqsEvent::default();
                batch.records = records;
                Ok(Self::Batch(batch))
            }
            EventDocument { scheduled: Some(ScheduledDetailType::Scheduled), .. } => Ok(Self::Schedule),
            EventDocument { records: None, scheduled: None } => Err("neither a batch nor an event of the schedule"),
        }
    }
}

impl Sender {
    /// Builds the clients of our own account and of the tenants' with one connector.
    ///
    /// # Errors
    /// [`MissingVariable`] names the variable.
    pub fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        Ok(Self { services: Arc::new(Services::new(start)?) })
    }

    /// What is done each minute: parked mail is released, and new keys of providers are tried that no mail has proved.
    pub async fn run_schedule(&self, invocation: &Invocation) {
        let Invocation { deadline, .. } = *invocation;
        tokio::join!(self.services.enqueue_releases(deadline), self.services.try_candidates(deadline));
    }

    /// Processes a batch. The response names the messages that SQS has to deliver again; every other message has a
    /// recorded disposition or a copy in a queue.
    pub async fn handle(&self, event: SqsEvent, invocation: Invocation) -> SqsBatchResponse {
        batch::process(&self.services, event, invocation).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::mail::{Mail, MailContent};

    use super::*;

    #[test]
    fn each_sample_event_is_recognised_by_its_source() {
        let read = |event: &str| match serde_json::from_str(event) {
            Ok(SendEvent::Batch(batch)) => format!("{} messages", batch.records.len()),
            Ok(SendEvent::Schedule) => "schedule".to_owned(),
            Err(_) => "unknown".to_owned(),
        };
        assert!(read(include_str!("../../../events/send-batch.json")).ends_with("messages"));
        assert_eq!(read(include_str!("../../../events/send-content.json")), "3 messages");
        assert_eq!(read(include_str!("../../../events/send-candidates.json")), "schedule");
        for other in [r#"{"detail-type": "Something Else"}"#, r#"{"Records": null}"#, "{}", "[]"] {
            assert_eq!(read(other), "unknown", "{other}");
        }
        assert_eq!(serde_json::to_value(SendResponse::Empty).unwrap(), Value::Null);
        let batch = SendResponse::Batch(SqsBatchResponse::default());
        assert_eq!(serde_json::to_value(batch).unwrap(), json!({"batchItemFailures": []}));
    }

    #[test]
    fn the_samples_of_content_are_mails_of_each_kind() {
        let event: SqsEvent = serde_json::from_str(include_str!("../../../events/send-content.json")).unwrap();
        let sent_at = shared::testing::mail::time("2026-11-23T10:00:00Z");
        let kinds = event.records.iter().map(|record| {
            let body = record.body.as_deref().unwrap();
            match Mail::parse(body, sent_at).map(|mail| mail.content) {
                Ok(MailContent::Text(_)) => "text",
                Ok(MailContent::Raw(_)) => "raw",
                Ok(MailContent::Template(_)) => "template",
                Err(error) => panic!("{error}"),
            }
        });
        assert_eq!(kinds.collect::<Vec<_>>(), ["text", "raw", "template"]);
    }
}
