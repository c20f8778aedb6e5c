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
//! | `mail`, `mailbox`, `encoded_word`, `header`, `first_seen` | what makes a message a mail, and what its copies carry |
//! | `digest`, `ses_request` | a mail's content: its digest, and the request to SES |
//! | `delivery`, `delay`, `delivery_error` | the steps of one mail's delivery, and why one fails |
//! | `failure_action` | what each failure of SES means for the mail and its provider |
//! | `snapshot`, `opened_secrets` | whether a mail may go out, by a fresh read, and with which secret |
//! | `ledger` | each mail's state, and how many copies of it there can be |
//! | `settle` | acceptances that could not be recorded in time |
//! | `rate`, `preparation` | when each mail of an account may start, and how long before that it wakes |
//! | `rejection`, `poison` | why a mail will never be sent; messages that are dead-lettered |
//! | `suspicion` | keys that AWS refuses |

mod batch;
mod context;
mod delay;
mod delivery;
mod delivery_error;
mod denied_resource;
mod digest;
mod disposition;
mod encoded_word;
mod failure_action;
mod first_seen;
#[cfg(test)]
mod fixtures;
mod header;
mod ledger;
mod mail;
mod mailbox;
mod opened_secrets;
mod poison;
mod preparation;
mod rate;
mod rejection;
mod ses_request;
mod settle;
mod snapshot;
mod suspicion;
mod write_limiter;

use std::sync::Arc;

use anyhow::anyhow;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use lambda_runtime::LambdaEvent;
use shared::runtime::{ColdStart, MissingVariable, serve};

use crate::context::Services;

pub use context::Invocation;

/// The handler: what a cold start builds once.
#[derive(Clone)]
pub struct Sender {
    services: Arc<Services>,
}

/// Serves batches until Lambda ends the process.
///
/// # Errors
/// A variable is missing, which is named, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let sender = Sender::new(&ColdStart::begin())?;
    serve(|event: LambdaEvent<SqsEvent>| {
        let sender = sender.clone();
        // Boxed, because the compiler cannot lay out so deep a future.
        Box::pin(async move { sender.handle(event.payload, Invocation::from_context(&event.context)).await })
    })
    .await
    .map_err(|error| anyhow!("{error}"))
}

impl Sender {
    /// Builds the clients of our own account and of the tenants' with one connector.
    ///
    /// # Errors
    /// [`MissingVariable`] names the variable.
    pub fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        Ok(Self { services: Arc::new(Services::new(start)?) })
    }

    /// Processes a batch. The response names the messages that SQS has to deliver again; every other message has a
    /// recorded disposition or a copy in a queue.
    pub async fn handle(&self, event: SqsEvent, invocation: Invocation) -> SqsBatchResponse {
        batch::process(&self.services, event, invocation).await
    }
}
