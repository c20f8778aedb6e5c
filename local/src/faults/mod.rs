//! Faults of AWS that a test or a person switches on. They sit in front of the stand-in's services and are kept by the account
//! that a request's access key belongs to.
//!
//! - `PUT /_local/tenants/{account_id}/faults` sets those of a tenant's account: [`AccountFaults::parse_tenant`].
//! - `PUT /_local/faults` sets those of our own account: [`AccountFaults::parse_own`]. They strike our functions and everybody
//!   else with a key of that account, except its root, which drives the stack from outside.

mod account;
mod book;
mod rule;
mod trigger;

pub(crate) use self::account::{AccountFaults, Enforcement, PauseWording, Quarantine};
pub(crate) use self::book::FaultBook;
pub(crate) use self::rule::{FaultEffect, FaultPlan};
