//! Time and randomness as a value.

use std::fmt;

use jiff::Timestamp;
use ulid::Ulid;

/// The clock and the source of randomness of a process.
#[derive(Clone, Copy)]
pub struct Ambient {
    now: fn() -> Timestamp,
    random: fn() -> u64,
}

impl Ambient {
    /// A clock and a source of randomness. Functions take [`Ambient::system`], tests fixed ones.
    pub const fn new(now: fn() -> Timestamp, random: fn() -> u64) -> Self {
        Self { now, random }
    }

    /// The machine's wall clock and random source.
    pub const fn system() -> Self {
        Self::new(system_now, system_random)
    }

    /// The wall-clock time.
    pub fn now(&self) -> Timestamp {
        (self.now)()
    }

    /// A new ULID of the current time.
    pub fn ulid(&self) -> Ulid {
        let random = (u128::from((self.random)()) << 64) | u128::from((self.random)());
        ulid_at(self.now(), random)
    }

    /// A random number in `0..bound`, for jitter; 0 if `bound` is 0.
    pub fn below(&self, bound: u64) -> u64 {
        if bound == 0 { 0 } else { (self.random)() % bound }
    }
}

impl fmt::Debug for Ambient {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Ambient")
    }
}

/// The ULID of a time. Up to 80 bits distinguish it from other ULIDs of the same millisecond.
pub(crate) fn ulid_at(time: Timestamp, bits: u128) -> Ulid {
    Ulid::from_parts(u64::try_from(time.as_millisecond()).unwrap_or(0), bits)
}

#[expect(clippy::disallowed_methods, reason = "the one place that reads the clock; everything else takes an `Ambient`")]
fn system_now() -> Timestamp {
    Timestamp::now()
}

/// Zero if the source fails: that weakens only the uniqueness of ids, which conditional writes check anyway.
#[expect(clippy::disallowed_methods, reason = "the one source of randomness; everything else takes an `Ambient`")]
fn system_random() -> u64 {
    getrandom::u64().unwrap_or_default()
}

/// Fills a new secret with random bytes. It is no part of [`Ambient`], whose source goes on with zeros where it fails: a
/// secret that is known in advance is none.
///
/// # Errors
/// The source failed, and the bytes are no secret.
#[expect(
    clippy::disallowed_methods,
    reason = "the one source of randomness; secrets alone take it without an `Ambient`"
)]
pub(crate) fn fill_secret(bytes: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(bytes)
}
