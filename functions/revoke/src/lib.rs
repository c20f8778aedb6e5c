//! Revocation: on a breach every key dies.
//!
//! One crate, two functions, two roles. `revoke` takes reports from HTTP and from the bus, writes orders and stops sending;
//! it opens no secret. `revoke-worker` opens the revoke lane, has keys delete themselves and proves them dead; no HTTP route
//! reaches it. The key item in the Providers table holds all state between them.

mod intake;
mod queue;
mod worker;

use std::sync::Arc;

use shared::custody::{Custody, Lane};
use shared::record::{Providers, Secrets};
use shared::runtime::{ColdStart, MissingVariable, serve};
use shared::tenant::Clients;

use crate::intake::Intake;
use crate::queue::Queue;
use crate::worker::Worker;

/// Serves `revoke` until Lambda ends the process.
///
/// # Errors
/// A variable of the environment is missing, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let start = ColdStart::begin();
    let (providers, secrets) = tables(&start)?;
    let sqs = start.sqs()?;
    let intake = Arc::new(Intake {
        providers,
        secrets,
        queue: Queue::new(sqs.clone(), start.required("REVOCATION_QUEUE_URL")?),
        dead_letters: Queue::new(sqs, start.required("BREACH_DEAD_LETTER_QUEUE_URL")?),
        ambient: start.ambient,
    });
    // Boxed, because the SDK's futures nest deeper than the compiler's layout computation goes.
    serve(move |event| Box::pin(Arc::clone(&intake).handle(event))).await.map_err(anyhow::Error::from_boxed)
}

/// Serves `revoke-worker` until Lambda ends the process.
///
/// # Errors
/// A variable of the environment is missing, or the Runtime API is gone.
pub async fn run_worker() -> anyhow::Result<()> {
    let start = ColdStart::begin();
    let (providers, secrets) = tables(&start)?;
    let sqs = start.sqs()?;
    let worker = Arc::new(Worker {
        providers,
        secrets,
        custody: Custody::new(start.kms()?, &start.environment, Lane::Revoke)?,
        tenants: Clients::new(&start.environment, &start.http),
        queue: Queue::new(sqs.clone(), start.required("REVOCATION_QUEUE_URL")?),
        dead_letters: Queue::new(sqs, start.required("REVOCATION_DEAD_LETTER_QUEUE_URL")?),
        bus: start.bus("sendingbee.revoke")?,
        ambient: start.ambient,
    });
    serve(move |event| Arc::clone(&worker).handle(event)).await.map_err(anyhow::Error::from_boxed)
}

fn tables(start: &ColdStart) -> Result<(Providers, Secrets), MissingVariable> {
    let dynamodb = start.dynamodb()?;
    Ok((Providers::new(dynamodb.clone(), &start.environment)?, Secrets::new(dynamodb, &start.environment)?))
}
