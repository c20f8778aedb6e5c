//! What a cold start builds once: environment, clock, connector and the clients of our own account.
//!
//! Every ambient effect (time, randomness, environment) enters here as a value, so that everything else is a function
//! of its arguments.

mod ambient;
mod bucket;
mod cold_start;
mod config;
mod connector;
mod environment;
mod lean_headers;
mod request_signer;
mod scheduled_event;
mod serve;

pub use ambient::Ambient;
pub(crate) use ambient::{fill_secret, ulid_at};
pub use bucket::{Bucket, BucketError, ObjectHead};
pub use cold_start::ColdStart;
pub use config::own_config;
pub use connector::Connector;
pub use environment::{Environment, MissingVariable};
pub(crate) use lean_headers::{LeanHeaders, USER_AGENT, lean_client};
pub(crate) use request_signer::RequestSigner;
pub use scheduled_event::{ScheduledDetailType, ScheduledEvent};
pub use serve::serve;
