//! How long mails need from their wake-up to their request: for the claim and the last look at the tables.
//!
//! A mail that wakes at its start is late by that. That is nothing where the tables answer in milliseconds; where they take
//! a third of a second a call, every mail would miss its start and go back to the queue for ever. So a process measures it,
//! and if it is more than a mail may be late by, wakes its mails earlier and reserves no start that they cannot reach. Where
//! it is not, there is no lead: batches that wait longer for their starts keep more environments busy.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;

/// How late a mail is by design: half of what it may be, so that the time that it needs may vary by as much.
const LATE_MS: u64 = 250;

/// The most that counts as needed, and nearly the most that a mail wakes early. A claim that is held longer than needed can end in doubt if the worker dies.
const MAX_MS: u64 = 2_000;

/// The time that the mails of this process needed lately.
#[derive(Debug, Default)]
pub(crate) struct Preparation(AtomicU64);

impl Preparation {
    /// Takes note of the time that a mail needed. One that was slow by chance does not slow down the others.
    pub(crate) fn observe(&self, took: Duration) {
        let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX).min(MAX_MS);
        let known_ms = self.0.load(Ordering::Relaxed);
        self.0.store((known_ms * 3 + took_ms).div_ceil(4).min(MAX_MS), Ordering::Relaxed);
    }

    /// How long before its start a mail wakes.
    pub(crate) fn lead(&self) -> SignedDuration {
        lead(self.0.load(Ordering::Relaxed))
    }

    /// How far ahead the first start is reserved: the reservation itself and a read before the wake-up take as many calls
    /// again.
    pub(crate) fn reservation_lead(&self) -> SignedDuration {
        lead(self.0.load(Ordering::Relaxed) * 2)
    }
}

fn lead(needed_ms: u64) -> SignedDuration {
    SignedDuration::from_millis(i64::try_from(needed_ms.saturating_sub(LATE_MS)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_lead_only_where_mails_would_be_late_again_and_again() {
        let preparation = Preparation::default();
        for _ in 0..20 {
            preparation.observe(Duration::from_millis(20));
        }
        preparation.observe(Duration::from_millis(400));
        assert_eq!((preparation.lead(), preparation.reservation_lead()), (SignedDuration::ZERO, SignedDuration::ZERO));
        for _ in 0..20 {
            preparation.observe(Duration::from_millis(600));
        }
        assert_eq!(preparation.lead(), SignedDuration::from_millis(350));
        assert_eq!(preparation.reservation_lead(), SignedDuration::from_millis(950));
        for _ in 0..20 {
            preparation.observe(Duration::from_secs(60));
        }
        assert!(preparation.reservation_lead() <= SignedDuration::from_millis(3750), "{preparation:?}");
    }
}
