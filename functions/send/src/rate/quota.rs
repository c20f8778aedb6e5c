//! What is known of an account's quotas: the daily quota has a memory, and MaxSendRate follows what SES says. Pure.
//!
//! SES counts recipients over the last 24 hours. `GetAccount` tells how many that were; what was reserved since then is added.
//! That is close, not exact: others may send from the account, and a start that was not used counts. So the count alone keeps
//! mail back only until the account can be read again, and SES's own answer always counts.

use jiff::{SignedDuration, Timestamp};

use super::millis;

/// How often the account is read while mail is sent.
pub(super) const READ_EVERY: SignedDuration = SignedDuration::from_mins(15);

/// For how long mail waits after SES's answer that the quota is used up: its window frees it bit by bit.
pub(super) const USED_UP_FOR: SignedDuration = SignedDuration::from_mins(15);

/// For how long a MaxSendRate that was read counts instead of the one that the provider's verification has seen.
const RATE_KNOWN_FOR: SignedDuration = SignedDuration::from_hours(26);

/// From which part of the quota on operators are told, in hundredths, and how long until they are told again.
const NEARLY_USED: i64 = 80;
const TOLD_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What is known of the quotas, as it is stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct AccountQuota {
    /// Until when nothing is sent because the daily quota is used up, in epoch milliseconds.
    pub(crate) until_ms: i64,
    /// When the account was read last, in epoch milliseconds.
    pub(crate) read_at_ms: i64,
    /// MaxSendRate, in thousandths of a recipient a second; 0 = not read yet.
    pub(crate) rate_milli: i64,
    /// Max24HourSend; 0 = not read yet, less = no limit (SES v2 API, `SendQuota`: -1).
    pub(crate) max_24_hour_send: i64,
    /// SentLast24Hours at that time.
    pub(crate) sent_last_24_hours: i64,
    /// The recipients for whom starts were reserved since then.
    pub(crate) reserved: i64,
    /// When operators were told last that it is nearly used up, in epoch milliseconds.
    pub(crate) told_at_ms: i64,
}

/// What `GetAccount` says of the quotas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct AccountReading {
    /// MaxSendRate, in thousandths of a recipient a second.
    pub(crate) rate_milli: i64,
    /// Max24HourSend.
    pub(crate) max_24_hour_send: i64,
    /// SentLast24Hours.
    pub(crate) sent_last_24_hours: i64,
}

impl AccountReading {
    /// The numbers as SES gives them.
    pub(crate) fn new(max_send_rate: f64, max_24_hour_send: f64, sent_last_24_hours: f64) -> Self {
        #[expect(clippy::cast_possible_truncation, reason = "quotas are far below 2^53, and a cast saturates")]
        let whole = |value: f64| if value.is_finite() { value.round() as i64 } else { 0 };
        Self {
            rate_milli: whole(max_send_rate * 1000.0),
            max_24_hour_send: whole(max_24_hour_send),
            sent_last_24_hours: whole(sent_last_24_hours),
        }
    }

    /// Whether so much of the quota is used that operators want to know.
    pub(crate) fn is_nearly_used(&self) -> bool {
        self.max_24_hour_send > 0 && self.sent_last_24_hours * 100 >= self.max_24_hour_send * NEARLY_USED
    }
}

impl AccountQuota {
    /// Until when nothing may be sent; `None` if mail may go.
    pub(crate) fn blocks_until(&self, now: Timestamp) -> Option<Timestamp> {
        let now_ms = now.as_millisecond();
        let read_again_ms = self.read_at_ms + millis(READ_EVERY);
        let is_counted_out = self.max_24_hour_send > 0
            && self.sent_last_24_hours + self.reserved >= self.max_24_hour_send
            && now_ms < read_again_ms;
        let until_ms = if is_counted_out { self.until_ms.max(read_again_ms) } else { self.until_ms };
        (now_ms < until_ms).then(|| Timestamp::from_millisecond(until_ms).unwrap_or(now))
    }

    /// Until when nothing may be sent because SES said so.
    pub(crate) fn used_up_until(&self, now: Timestamp) -> Option<Timestamp> {
        let is_used_up = now.as_millisecond() < self.until_ms;
        is_used_up.then(|| Timestamp::from_millisecond(self.until_ms).unwrap_or(now))
    }

    /// Whether the account has to be read.
    pub(crate) fn is_reading_due(&self, now: Timestamp) -> bool {
        now.as_millisecond() >= self.read_at_ms + millis(READ_EVERY)
    }

    /// Whether operators were told lately that the quota is nearly used up.
    pub(crate) fn is_told(&self, now: Timestamp) -> bool {
        now.as_millisecond() < self.told_at_ms + millis(TOLD_FOR)
    }

    /// MaxSendRate as it was read, if that was lately.
    pub(crate) fn max_send_rate(&self, now: Timestamp) -> Option<f64> {
        let is_known = self.rate_milli > 0 && now.as_millisecond() < self.read_at_ms + millis(RATE_KNOWN_FOR);
        let rate = f64::from(i32::try_from(self.rate_milli).unwrap_or(i32::MAX)) / 1000.0;
        is_known.then_some(rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000_000;
    const MINUTE: i64 = 60_000;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millisecond(ms).unwrap()
    }

    fn read(read_at_ms: i64, max_24_hour_send: i64, sent_last_24_hours: i64, reserved: i64) -> AccountQuota {
        AccountQuota { read_at_ms, max_24_hour_send, sent_last_24_hours, reserved, ..AccountQuota::default() }
    }

    #[test]
    fn a_used_up_quota_blocks_until_it_may_be_asked_again() {
        let cases = [
            // Nothing is known.
            (AccountQuota::default(), None),
            // SES said so.
            (AccountQuota { until_ms: NOW + 1, ..AccountQuota::default() }, Some(NOW + 1)),
            (AccountQuota { until_ms: NOW, ..AccountQuota::default() }, None),
            // Our count says so, until the account is read again.
            (read(NOW - MINUTE, 200, 150, 49), None),
            (read(NOW - MINUTE, 200, 150, 50), Some(NOW + 14 * MINUTE)),
            (read(NOW - 15 * MINUTE, 200, 150, 50), None),
            // No limit.
            (read(NOW - MINUTE, -1, 150, 50), None),
        ];
        for (quota, until_ms) in cases {
            assert_eq!(quota.blocks_until(at(NOW)), until_ms.map(at), "{quota:?}");
        }
    }

    #[test]
    fn the_account_is_read_every_fifteen_minutes_and_its_rate_counts_for_a_day() {
        let mut quota = read(NOW, 200, 0, 0);
        assert!(AccountQuota::default().is_reading_due(at(NOW)));
        assert!(!quota.is_reading_due(at(NOW + 15 * MINUTE - 1)) && quota.is_reading_due(at(NOW + 15 * MINUTE)));
        assert_eq!(quota.max_send_rate(at(NOW)), None);
        quota.rate_milli = 14_500;
        assert_eq!(quota.max_send_rate(at(NOW)), Some(14.5));
        assert_eq!(quota.max_send_rate(at(NOW + 26 * 60 * MINUTE)), None);
    }

    #[test]
    fn operators_are_told_at_four_fifths() {
        let reading = |max, sent| AccountReading::new(14.0, max, sent).is_nearly_used();
        assert!(!reading(200.0, 159.0) && reading(200.0, 160.0) && reading(200.0, 500.0) && !reading(-1.0, 1e9));
        assert_eq!(AccountReading::new(f64::NAN, f64::INFINITY, 1.4).sent_last_24_hours, 1);
    }
}
