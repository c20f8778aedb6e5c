//! Revocation: on a breach every key deletes itself.
//!
//! One crate, two functions, two roles. `revoke` accepts breach reports from HTTP and from the bus, writes orders and stops
//! sending; it opens no tenant's secret. `revoke-worker` opens the revoke lane, makes keys delete themselves and proves them dead; no
//! HTTP route reaches it. The key item in the Providers table holds all state between the two.
//!
//! | module | what it holds |
//! |---|---|
//! | `intake` | `revoke`: routes, breach events, the execution of orders, the sweep |
//! | `worker` | `revoke-worker`: what to do next about a key, and the calls into the tenant's AWS |
//! | `fan_out` | the pages of an order for more than one provider |
//! | `look_schedule` | when live keys are looked at, for both |
//! | `order_counts` | how far an order has come, from its keys |
//! | `tenant_notice` | what a tenant is told about a key that could not be deleted, for both |
//! | `work_item` | the messages between them |

mod fan_out;
#[cfg(test)]
mod fixtures;
mod intake;
mod look_schedule;
mod order_counts;
mod tenant_notice;
mod work_item;
mod worker;

use std::sync::Arc;

use shared::runtime::{ColdStart, serve};

use crate::intake::Intake;
pub use crate::intake::ROUTES;
use crate::worker::Worker;

/// Serves `revoke` until Lambda ends the process.
///
/// # Errors
/// A variable of the environment is missing, or the Runtime API is gone.
pub async fn run() -> anyhow::Result<()> {
    let intake = Arc::new(Intake::new(&ColdStart::begin())?);
    // Boxed, because the SDK's futures nest deeper than the compiler's layout computation goes.
    serve(move |event| Box::pin(Arc::clone(&intake).handle(event))).await.map_err(anyhow::Error::from_boxed)
}

/// Serves `revoke-worker` until Lambda ends the process.
///
/// # Errors
/// A variable of the environment is missing, or the Runtime API is gone.
pub async fn run_worker() -> anyhow::Result<()> {
    let worker = Arc::new(Worker::new(&ColdStart::begin())?);
    serve(move |event| Arc::clone(&worker).handle(event)).await.map_err(anyhow::Error::from_boxed)
}
