//! How long SQS hides a mail that is requeued.

use std::time::Duration;

use shared::runtime::Ambient;

/// A delay in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay(u16);

impl Delay {
    /// The longest delay that SQS accepts (SQS API, `SendMessage`).
    pub(crate) const MAX: Self = Self(900);

    /// The provider was suspended a moment ago. From then on its mail waits in rounds, of which the first is 40 s later.
    pub(crate) const SUSPENDED: Self = Self(20);

    /// All sending is halted. A person lifts a halt and then wants mail to flow, so this is short; a halt is also rare
    /// and brief, so the hops cost little.
    pub(crate) const HALTED: Self = Self(60);

    /// A policy denies the key explicitly: it is tried once more before the provider is suspended.
    pub(crate) const DENIED: Self = Self(15);

    /// The mail's configuration set is paused: the tenant resumes it.
    pub(crate) const CONFIGURATION_SET_PAUSED: Self = Self(300);

    /// The sender's identity or the configuration set is denied: it may be mended at any time.
    pub(crate) const RESOURCE_DENIED: Self = Self(60);

    /// SES refused the key, and STS has not confirmed it for long enough: the mail is tried again when that time is over.
    pub(crate) const SUSPECTED: Self = Self(60);

    /// Something on our side is broken, and a person has to repair it.
    pub(crate) const BROKEN: Self = Self(60);

    /// AWS refuses the caller for an unknown reason: a person has to act first.
    pub(crate) const FORBIDDEN: Self = Self::MAX;

    /// Our clock is wrong. It may be right in another environment, or in this one in a moment.
    pub(crate) const CLOCK: Self = Self(30);

    /// It is unknown whether SES accepted the mail: the second attempt is the last one, so whatever broke the first gets
    /// minutes to pass. `DOUBT_DELAY_S` overrides it.
    pub(crate) const DOUBT: Self = Self(180);

    /// The breaker is open, and nothing better is known.
    pub(crate) const BREAKER_OPEN: Self = Self(15);

    /// The ledger did not take the record of an accepted mail.
    pub(crate) const SETTLE: Self = Self(5);

    /// SES was not reached.
    pub(crate) const NOT_WRITTEN: Self = Self(5);

    /// SES answered 429: the pace is slower now, and the mail gets a start in it when it is received again.
    pub(crate) const THROTTLED: Self = Self(2);

    /// Reads of halt and providers are too slow to send on.
    pub(crate) const SLOW_READS: Self = Self(5);

    /// S3 does not answer for the mail's files.
    pub(crate) const BUCKET_UNAVAILABLE: Self = Self(30);

    /// Other mails hold the memory that the mail's files need.
    pub(crate) const NO_MEMORY: Self = Self(5);

    /// Too little of the invocation is left to begin.
    pub(crate) const SHORT_OF_TIME: Self = Self(1);

    /// The delay of a mail that can start after so many milliseconds. Rounded down, because a mail that is a little early
    /// waits for its start, and one that is late leaves the rate unused.
    pub(crate) fn from_millis(delay_ms: i64) -> Self {
        let seconds = (delay_ms / 1000).clamp(1, i64::from(Self::MAX.0));
        u16::try_from(seconds).map_or(Self::MAX, Self)
    }

    /// A delay of so many seconds.
    pub(crate) fn from_seconds(seconds: u16) -> Self {
        Self(seconds.clamp(1, Self::MAX.0))
    }

    /// The delay in milliseconds.
    pub(crate) fn as_millis(self) -> i64 {
        i64::from(self.0) * 1000
    }

    /// The delay with jitter, so that the mails of a batch are not all received at once again: up to a fifth and a second
    /// longer, or shorter where SQS accepts no longer delay.
    pub(crate) fn with_jitter(self, ambient: &Ambient) -> Duration {
        let spread = self.0 / 5 + 1;
        let latest = (self.0 + spread).min(Self::MAX.0);
        let jitter = u16::try_from(ambient.below(u64::from(spread) + 1)).unwrap_or(0);
        Duration::from_secs(u64::from(latest - jitter))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_delay_has_jitter_and_is_never_longer_than_sqs_accepts() {
        for (delay, least, most) in [
            (Delay::SHORT_OF_TIME, 1, 2),
            (Delay::THROTTLED, 2, 3),
            (Delay::HALTED, 60, 73),
            (Delay(800), 739, 900),
            (Delay::MAX, 719, 900),
        ] {
            let seconds = |random| delay.with_jitter(&Ambient::new(|| Timestamp::UNIX_EPOCH, random)).as_secs();
            assert_eq!(seconds(|| 0), most, "{delay:?}");
            for other in [seconds(|| 1), seconds(|| 12), seconds(|| 180), seconds(|| u64::MAX)] {
                assert!((least..=most).contains(&other), "{delay:?}: {other}");
            }
            assert!(seconds(|| 1) < most, "{delay:?}");
        }
    }

    #[test]
    fn a_delay_is_rounded_down_and_never_zero() {
        for (delay_ms, seconds) in
            [(i64::MIN, 1), (0, 1), (1_999, 1), (5_500, 5), (900_000, 900), (900_001, 900), (i64::MAX, 900)]
        {
            assert_eq!(Delay::from_millis(delay_ms).0, seconds, "{delay_ms}");
        }
    }
}
