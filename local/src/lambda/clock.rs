//! The only place where `local` takes the time and makes ids for the services that it stands in for.

use std::time::Duration;

use jiff::Timestamp;

use crate::random;

/// The time now.
#[expect(
    clippy::disallowed_methods,
    reason = "a Lambda service has a clock of its own; the functions are given theirs"
)]
pub(crate) fn now() -> Timestamp {
    Timestamp::now()
}

/// The time `duration` after `now`, or the latest time there is if that is earlier.
pub(super) fn add(now: Timestamp, duration: Duration) -> Timestamp {
    now.checked_add(duration).unwrap_or(Timestamp::MAX)
}

/// A new request id.
pub(crate) fn request_id() -> String {
    random::uuid()
}

/// Random lower-case hexadecimal digits.
pub(super) fn random_hex<const DIGITS: usize>() -> String {
    random::text::<DIGITS>(b"0123456789abcdef")
}
