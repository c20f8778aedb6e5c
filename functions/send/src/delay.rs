//! How long a mail stays away when it goes back to the queue.

use shared::runtime::Ambient;

/// A delay in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay(u16);

impl Delay {
    /// The longest that SQS takes (SQS API, `SendMessage`).
    pub(crate) const LONGEST: Self = Self(900);

    /// The provider is suspended: somebody has to act first, and that takes longer than any delay.
    pub(crate) const SUSPENDED: Self = Self::LONGEST;

    /// The daily quota is used up: a rolling window frees it bit by bit.
    pub(crate) const DAILY_QUOTA: Self = Self::LONGEST;

    /// All sending is halted. A person lifts a halt and then wants mail to flow, so this is short; a halt is also rare
    /// and brief, so the hops cost little.
    pub(crate) const HALTED: Self = Self(60);

    /// SES refused the key and STS has not confirmed it for long enough: one sample more after the time it takes.
    pub(crate) const SUSPECTED: Self = Self(60);

    /// Something of ours is not what it should be, and a person has to mend it.
    pub(crate) const BROKEN: Self = Self(60);

    /// AWS does not let the caller in, and we do not know why: somebody has to act first.
    pub(crate) const FORBIDDEN: Self = Self::LONGEST;

    /// Our clock is off. Another environment, or this one in a moment, may do better.
    pub(crate) const CLOCK: Self = Self(30);

    /// Nobody knows whether SES took it: the second attempt is the last one, so what broke the first gets time to pass.
    pub(crate) const DOUBT: Self = Self(5);

    /// SES was not reached.
    pub(crate) const NOT_WRITTEN: Self = Self(5);

    /// SES said 429: the pace is slower now, and the mail finds its place in it when it comes back.
    pub(crate) const THROTTLED: Self = Self(2);

    /// Reads of halt and providers are too slow to send on.
    pub(crate) const SLOW_READS: Self = Self(5);

    /// The invocation ends too soon to begin.
    pub(crate) const SHORT_OF_TIME: Self = Self(1);

    /// The delay of a mail that can start after so many milliseconds. Rounded down, because a mail that is a little early
    /// waits for its start, and one that is late leaves the rate unused.
    pub(crate) fn of_millis(delay_ms: i64) -> Self {
        let seconds = (delay_ms / 1000).clamp(1, i64::from(Self::LONGEST.0));
        u16::try_from(seconds).map_or(Self::LONGEST, Self)
    }

    /// The delay in milliseconds.
    pub(crate) fn as_millis(self) -> i64 {
        i64::from(self.0) * 1000
    }

    /// The delay for one message, in seconds. Jitter keeps a batch from coming back as one: up to a fifth and a second
    /// longer, and where SQS takes no more, shorter instead.
    pub(crate) fn seconds(self, ambient: &Ambient) -> i32 {
        let spread = self.0 / 5 + 1;
        let latest = (self.0 + spread).min(Self::LONGEST.0);
        let jitter = u16::try_from(ambient.below(u64::from(spread) + 1)).unwrap_or(0);
        i32::from(latest - jitter)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_delay_has_jitter_and_is_never_longer_than_sqs_takes() {
        for (delay, least, most) in [
            (Delay::SHORT_OF_TIME, 1, 2),
            (Delay::THROTTLED, 2, 3),
            (Delay::HALTED, 60, 73),
            (Delay(800), 739, 900),
            (Delay::SUSPENDED, 719, 900),
        ] {
            let seconds = |random| delay.seconds(&Ambient::new(|| Timestamp::UNIX_EPOCH, random));
            assert_eq!(seconds(|| 0), most, "{delay:?}");
            for other in [seconds(|| 1), seconds(|| 12), seconds(|| 180), seconds(|| u64::MAX)] {
                assert!((least..=most).contains(&other), "{delay:?}: {other}");
            }
            assert!(seconds(|| 1) < most, "{delay:?}");
        }
    }

    #[test]
    fn a_mail_comes_back_a_little_early_and_never_at_once() {
        for (delay_ms, seconds) in
            [(i64::MIN, 1), (0, 1), (1_999, 1), (5_500, 5), (900_000, 900), (900_001, 900), (i64::MAX, 900)]
        {
            assert_eq!(Delay::of_millis(delay_ms).0, seconds, "{delay_ms}");
        }
    }
}
