//! The edge where `local` takes the time and makes ids for the services it stands in for.

use std::time::Duration;

use jiff::Timestamp;

use crate::aws::random;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "a Lambda service has a clock of its own; the functions are given theirs"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The time in so long, the last there is if that is beyond it.
pub(super) fn later(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(wait).unwrap_or(Timestamp::MAX)
}

/// A new request id.
pub(crate) fn request_id() -> String {
    random::uuid()
}

/// Random lower-case hexadecimal digits.
pub(super) fn hex<const DIGITS: usize>() -> String {
    random::text::<DIGITS>(b"0123456789abcdef")
}
