//! Stacks to test against.

mod mails;
mod policies;
mod stack;

pub(crate) use mails::*;
pub(crate) use policies::*;
pub(crate) use stack::{PATIENCE, Stack, until};
