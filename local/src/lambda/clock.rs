//! The edge where `local` takes the time and makes ids for the services it stands in for.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

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
    Uuid::new_v4().to_string()
}

/// Random lower-case hexadecimal digits, at most 32.
pub(super) fn hex(digits: usize) -> String {
    let mut hex = Uuid::new_v4().simple().to_string();
    // The thirteenth digit of a UUID is its version and the seventeenth its variant: take from the random ends.
    hex.replace_range(12..13, "a");
    hex.truncate(digits);
    hex
}
