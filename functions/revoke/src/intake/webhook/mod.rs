//! Signed webhooks: breach reports of senders that have no AWS credentials, such as scanners.
//!
//! The route has no authorizer, so everything that it knows of a request is in its signature: [`signature`] checks it,
//! [`opened_secrets`] holds what it is checked with, and [`report`] reads what it says.

mod opened_secrets;
mod report;
mod signature;

pub(super) use self::opened_secrets::OpenedSecrets;
pub(super) use self::report::{ReportError, WebhookReport};
pub(super) use self::signature::{Delivery, Refusal};
