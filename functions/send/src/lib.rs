//! Sends mail through the tenant's SES.
//!
//! ```text
//! SQS batch -> letter -> mail ─┬─ no valid mail: poison (event, dead-letter queue, row)
//!                              └─ delivery: snapshot -> rate -> secret -> claim -> snapshot -> SES -> outcome -> row
//! ```
//!
//! | module | what it keeps |
//! |---|---|
//! | `batch`, `fate` | a task for each mail, and the partial batch response |
//! | `letter`, `mail`, `mailbox`, `header`, `refusal`, `digest` | what a message is, and what makes it a mail |
//! | `delivery`, `outcome`, `delay`, `trouble` | one mail's way and what each answer of SES means for it |
//! | `snapshot`, `opened` | whether a mail may go out, by a read that is fresh, and with which secret |
//! | `ledger` | each mail's fate, and how many copies of it there can be |
//! | `rate` | when each mail of an account may start |
//! | `suspicion`, `poison`, `queues` | refused keys; refused messages; the two queues |

mod batch;
mod delay;
mod delivery;
mod digest;
mod fate;
mod header;
mod ledger;
mod letter;
mod mail;
mod mailbox;
mod opened;
mod outcome;
mod poison;
mod queues;
mod rate;
mod refusal;
mod snapshot;
mod suspicion;
mod trouble;

use std::sync::Arc;

use anyhow::anyhow;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use lambda_runtime::{Context, LambdaEvent};
use shared::custody::{Custody, Lane};
use shared::queue::Deadline;
use shared::record::{Mails, Providers, Secrets};
use shared::runtime::{Ambient, ColdStart, MissingVariable, serve};
use shared::telemetry::Bus;
use shared::tenant::Clients;

use crate::ledger::Ledger;
use crate::opened::OpenedSecrets;
use crate::queues::Queues;
use crate::rate::Rates;
use crate::snapshot::Records;
use crate::suspicion::Suspicions;

/// The handler: what a cold start builds once.
#[derive(Clone)]
pub struct Sender {
    parts: Arc<Parts>,
}

/// Which invocation it is and how long it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invocation {
    /// Lambda's id of it, which no other has.
    pub request_id: String,
    /// When Lambda kills it.
    pub deadline: Timestamp,
}

pub(crate) struct Parts {
    pub(crate) ambient: Ambient,
    pub(crate) records: Records,
    pub(crate) opened: OpenedSecrets,
    pub(crate) ledger: Ledger,
    pub(crate) rates: Rates,
    pub(crate) suspicions: Suspicions,
    pub(crate) queues: Queues,
    pub(crate) bus: Bus,
    pub(crate) tenants: Clients,
}

/// Serves batches until Lambda ends the process.
///
/// # Errors
/// A variable is missing, which is named, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let sender = Sender::new(&ColdStart::begin())?;
    serve(|event: LambdaEvent<SqsEvent>| {
        let sender = sender.clone();
        // Boxed, because the compiler gives up on the layout of so deep a future.
        Box::pin(async move { sender.handle(event.payload, Invocation::of_context(&event.context)).await })
    })
    .await
    .map_err(|error| anyhow!("{error}"))
}

impl Sender {
    /// Builds the clients of our own account and of the tenants' over one connector.
    ///
    /// # Errors
    /// [`MissingVariable`] names the variable.
    pub fn new(start: &ColdStart) -> Result<Self, MissingVariable> {
        let (dynamodb, environment) = (start.dynamodb()?, &start.environment);
        let mails = Mails::new(dynamodb.clone(), environment)?;
        Ok(Self {
            parts: Arc::new(Parts {
                ambient: start.ambient,
                records: Records {
                    providers: Providers::new(dynamodb.clone(), environment)?,
                    secrets: Secrets::new(dynamodb, environment)?,
                },
                opened: OpenedSecrets::new(Custody::new(start.kms()?, environment, Lane::Send)?),
                ledger: Ledger::new(mails.clone()),
                rates: Rates::new(mails.clone()),
                suspicions: Suspicions::new(mails),
                queues: Queues::new(start.sqs()?, environment)?,
                bus: start.bus("sendingbee.send")?,
                tenants: Clients::new(environment, &start.http),
            }),
        })
    }

    /// Deals with a batch. The answer names the messages that have to come back; every other one has a recorded fate or
    /// a copy in a queue.
    pub async fn handle(&self, event: SqsEvent, invocation: Invocation) -> SqsBatchResponse {
        batch::handle(&self.parts, event, invocation).await
    }
}

impl Invocation {
    /// As Lambda says it.
    fn of_context(context: &Context) -> Self {
        Self { request_id: context.request_id.clone(), deadline: Deadline::from_millis(context.deadline).time() }
    }
}
