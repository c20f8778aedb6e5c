//! End to end, over the wire: the stack on one machine, its functions as processes, the real SDKs.
//!
//! One folder a function. Where `FUNCTIONS` names a folder, the functions are the binaries in it, as
//! `cargo lambda build` makes them.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod support;

mod local;
mod revoke;
mod secrets;
mod send;
mod verify;
