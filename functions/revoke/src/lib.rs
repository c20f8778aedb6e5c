//! Revocation: on a breach every key dies.
//!
//! One crate, two functions, two roles. `revoke` takes reports from HTTP and from the bus, writes orders and stops sending;
//! it opens no secret. `revoke-worker` opens the revoke lane, has keys delete themselves and proves them dead; no HTTP route
//! reaches it. The key item in the Providers table holds all state between them.

mod intake;
mod queue;
mod worker;

use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use shared::custody::{Custody, Lane};
use shared::record::{Providers, Secrets};
use shared::runtime::{Ambient, Connector, Environment, MissingVariable, own_config, serve};
use shared::telemetry::{self, Bus};
use shared::tenant::Clients;

use crate::intake::Intake;
use crate::queue::Queue;
use crate::worker::Worker;

/// Serves `revoke` until Lambda ends the process.
///
/// # Errors
/// A variable of the environment is missing, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let environment = Environment::of_process();
    telemetry::init(environment.optional("LOG_LEVEL"));
    let ambient = Ambient::system();
    let http = SharedHttpClient::new(Connector::new(ambient));
    let (providers, secrets) = records(&environment, &http)?;
    let sqs = aws_sdk_sqs::Client::new(&own_config(&environment, &http, "SQS")?);
    let intake = Arc::new(Intake {
        providers,
        secrets,
        queue: Queue::new(sqs.clone(), environment.required("REVOCATION_QUEUE_URL")?),
        dead_letters: Queue::new(sqs, environment.required("BREACH_DEAD_LETTER_QUEUE_URL")?),
        ambient,
    });
    // Boxed, because the SDK's futures nest deeper than the compiler follows when it lays them out.
    serve(move |event| Box::pin(Arc::clone(&intake).handle(event))).await.map_err(anyhow::Error::from_boxed)
}

/// Serves `revoke-worker` until Lambda ends the process.
///
/// # Errors
/// A variable of the environment is missing, or the Runtime API is gone.
pub async fn run_worker() -> anyhow::Result<()> {
    let environment = Environment::of_process();
    telemetry::init(environment.optional("LOG_LEVEL"));
    let ambient = Ambient::system();
    let http = SharedHttpClient::new(Connector::new(ambient));
    let (providers, secrets) = records(&environment, &http)?;
    let kms = aws_sdk_kms::Client::new(&own_config(&environment, &http, "KMS")?);
    let sqs = aws_sdk_sqs::Client::new(&own_config(&environment, &http, "SQS")?);
    let eventbridge = aws_sdk_eventbridge::Client::new(&own_config(&environment, &http, "EVENTBRIDGE")?);
    let worker = Arc::new(Worker {
        providers,
        secrets,
        custody: Custody::new(kms, &environment, Lane::Revoke)?,
        tenants: Clients::new(&environment, &http),
        queue: Queue::new(sqs.clone(), environment.required("REVOCATION_QUEUE_URL")?),
        dead_letters: Queue::new(sqs, environment.required("REVOCATION_DEAD_LETTER_QUEUE_URL")?),
        bus: Bus::new(eventbridge, &environment, "sendingbee.revoke")?,
        ambient,
    });
    serve(move |event| Arc::clone(&worker).handle(event)).await.map_err(anyhow::Error::from_boxed)
}

fn records(environment: &Environment, http: &SharedHttpClient) -> Result<(Providers, Secrets), MissingVariable> {
    let dynamodb = aws_sdk_dynamodb::Client::new(&own_config(environment, http, "DYNAMODB")?);
    Ok((Providers::new(dynamodb.clone(), environment)?, Secrets::new(dynamodb, environment)?))
}
