//! The configuration of a tenant's SES, with the tenant's consent: a configuration set of our own, and what the account's
//! identities still need.
//!
//! | file | what it holds |
//! |---|---|
//! | `step` | what is done next: what is wanted against what is seen; pure |
//! | `outcome` | what an answer changes, and what a complete look comes to; pure |
//! | `dns` | the DNS records that a domain still needs; pure |
//! | `run` | the calls around these, one a second |
//! | `configuration_view` | how callers see it |

pub(crate) mod configuration_view;
mod dns;
mod outcome;
pub(crate) mod run;
mod step;
