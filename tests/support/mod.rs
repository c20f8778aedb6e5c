//! What the tests share: a stack, and what they set up and read in it.

mod configurations;
mod events;
mod logs;
mod page;
mod policies;
mod queues;
mod revocations;
mod rotations;
mod send;
mod stack;
mod tables;
mod tenants;
mod verifications;
mod wait;
mod webhooks;

pub(crate) use configurations::{configuration_set, set_name};
pub(crate) use page::PageVisitor;
pub(crate) use policies::*;
pub(crate) use queues::attribute;
pub(crate) use revocations::*;
pub(crate) use send::*;
pub(crate) use stack::Stack;
pub(crate) use tables::{Tables, sealed_secret_pk, string, string_of};
pub(crate) use tenants::tenant_of;
pub(crate) use wait::*;
pub(crate) use webhooks::Webhook;
