//! End-to-end tests over HTTP: the stack on one machine, with its functions as processes and the real SDKs.
//!
//! Each function has a folder. If `FUNCTIONS` names a folder, the functions are the binaries in it, as
//! `cargo lambda build` makes them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot continue fails")]

mod support;

mod local;
mod revoke;
mod rotation;
mod secrets;
mod send;
mod verify;
