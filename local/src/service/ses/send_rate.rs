//! SES's limit on recipients a second.

use std::time::Instant;

/// A bucket of recipients that fills at the account's rate and holds a second's worth.
///
/// SES counts recipients, not mails, and tolerates short bursts:
/// <https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas.html>.
#[derive(Clone, Debug)]
pub(super) struct SendRate {
    level: f64,
    since: Instant,
}

impl SendRate {
    /// A full bucket.
    pub(super) fn new(per_second: f64, now: Instant) -> Self {
        Self { level: capacity(per_second), since: now }
    }

    /// Whether a mail to `recipients` may pass now. One to more recipients than a second's worth passes on a full
    /// bucket and leaves a debt.
    pub(super) fn admit(&mut self, recipients: usize, per_second: f64, now: Instant) -> bool {
        let capacity = capacity(per_second);
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        self.level = elapsed.mul_add(per_second, self.level).min(capacity);
        self.since = now;
        let recipients = u32::try_from(recipients).map_or(f64::MAX, f64::from);
        // Floating point must not refuse the mail that comes exactly on time.
        if self.level + 1e-6 < recipients.min(capacity) {
            return false;
        }
        self.level -= recipients;
        true
    }
}

fn capacity(per_second: f64) -> f64 {
    per_second.max(1.0)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_second_worth_passes_at_once_and_then_the_rate() {
        let start = Instant::now();
        let mut rate = SendRate::new(14.0, start);
        let passed = (0..100).filter(|_| rate.admit(1, 14.0, start)).count();
        assert_eq!(passed, 14);
        assert!(!rate.admit(1, 14.0, start + Duration::from_millis(50)));
        assert!(rate.admit(1, 14.0, start + Duration::from_millis(72)));
    }

    #[test]
    fn a_mail_to_fifty_passes_at_one_a_second_and_costs_fifty_seconds() {
        let start = Instant::now();
        let mut rate = SendRate::new(1.0, start);
        assert!(rate.admit(50, 1.0, start));
        assert!(!rate.admit(1, 1.0, start + Duration::from_secs(49)));
        assert!(rate.admit(1, 1.0, start + Duration::from_secs(51)));
    }
}
