//! What the functions share.
//!
//! | module | what it keeps |
//! |---|---|
//! | [`runtime`] | what a cold start builds once: environment, clock, connector, clients of our own account |
//! | [`id`] | ids: provider, order, tenant, mail, access key |
//! | [`mail`] | what makes a message a mail, what its copies carry, and the digest of its content |
//! | [`record`] | providers, key items, orders, the halt item, the audit trail, the ledger's rows |
//! | [`custody`] | sealing and opening secrets, one KMS lane each for sending and for revoking |
//! | [`tenant`] | calls into a tenant's AWS account and what their failures mean |
//! | [`queue`] | SQS: the messages of a batch and their partial batch response, requeueing, dead-lettering |
//! | [`http`] | JSON in, `application/problem+json` out |
//! | [`telemetry`] | log lines and the events an operator must know |
//! | [`policy`] | what an IAM policy allows, and what is too much |

pub use policy;

pub mod custody;
pub mod http;
pub mod id;
pub mod mail;
pub mod queue;
pub mod record;
pub mod runtime;
pub mod telemetry;
pub mod tenant;
#[cfg(feature = "testing")]
pub mod testing;
