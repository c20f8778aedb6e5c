//! How long mails need from their wake-up to their request: for the claim and the last look at the tables.
//!
//! A mail that wakes at its start is late by that. That is nothing where the tables answer in milliseconds; where they take
//! a third of a second a call, every mail would miss its start and go back to the queue for ever. So a process measures it,
//! wakes its mails earlier by it, and reserves no start that they cannot reach.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;

/// The most that a mail wakes early. A claim that is held longer than needed can end in doubt if the worker dies.
const MAX_MS: u64 = 2_000;

/// The time that the mails of this process needed lately.
#[derive(Debug, Default)]
pub(crate) struct Preparation(AtomicU64);

impl Preparation {
    /// Takes note of the time that a mail needed. A longer time counts at once, and a shorter one bit by bit: a mail that
    /// is early waits, and one that is late has to come again.
    pub(crate) fn observe(&self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).min(MAX_MS);
        let known_ms = self.0.load(Ordering::Relaxed);
        let next_ms = if took_ms >= known_ms { took_ms } else { known_ms - (known_ms - took_ms).div_ceil(8) };
        self.0.store(next_ms, Ordering::Relaxed);
    }

    /// How long before its start a mail wakes.
    pub(crate) fn lead(&self) -> SignedDuration {
        SignedDuration::from_millis(i64::try_from(self.0.load(Ordering::Relaxed)).unwrap_or(0))
    }

    /// How far ahead the first start is reserved: the reservation itself and a read before the wake-up take as many calls
    /// again.
    pub(crate) fn reservation_lead(&self) -> SignedDuration {
        self.lead() * 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_longer_time_counts_at_once_and_a_shorter_one_bit_by_bit() {
        let preparation = Preparation::default();
        assert_eq!(preparation.reservation_lead(), SignedDuration::ZERO);
        preparation.observe(Duration::from_millis(600));
        assert_eq!(preparation.lead(), SignedDuration::from_millis(600));
        preparation.observe(Duration::from_millis(10));
        assert_eq!(preparation.lead(), SignedDuration::from_millis(526));
        for _ in 0..60 {
            preparation.observe(Duration::from_millis(10));
        }
        assert_eq!(preparation.lead(), SignedDuration::from_millis(10));
        preparation.observe(Duration::from_secs(60));
        assert_eq!(preparation.reservation_lead(), SignedDuration::from_secs(4));
    }
}
