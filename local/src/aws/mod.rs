//! The AWS stand-in: IAM, STS, SES, SQS, KMS, DynamoDB and EventBridge of any number of accounts in this process.
//!
//! What is of one service is in [`crate::service`]; here is what they have in common.
//!
//! - [`server`] takes connections; [`gate`] closes the tenants' endpoint for a fault.
//! - [`engine`] is the way of a request: [`signature`] finds out whose it is, [`authority`] whether policies allow it, then its
//!   service handles it; [`call_log`] remembers it.
//! - [`stand_in`] puts them together; [`tenant`] and [`routes`] serve people and tests.

mod authority;
mod call_log;
mod engine;
mod gate;
mod routes;
mod server;
mod signature;
mod stand_in;
mod tenant;

pub(crate) use self::routes::local_routes;
pub(crate) use self::server::bind;
pub(crate) use self::signature::SignedRequest;
pub(crate) use self::stand_in::StandIn;

#[cfg(test)]
mod tests;
