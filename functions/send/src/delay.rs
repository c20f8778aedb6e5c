//! How long a mail stays away when it goes back to the queue.

use shared::runtime::Ambient;

/// A delay in seconds, at least.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Delay(u32);

/// SQS's longest (SQS API, `SendMessage`).
const LONGEST_S: u32 = 900;

impl Delay {
    /// The provider is suspended: somebody has to act first, and that takes longer than any delay.
    pub(crate) const SUSPENDED: Self = Self(LONGEST_S);

    /// The daily quota is used up: a rolling window frees it bit by bit.
    pub(crate) const DAILY_QUOTA: Self = Self(LONGEST_S);

    /// All sending is halted. A person lifts a halt and then wants mail to flow, so this is short; a halt is also rare
    /// and brief, so the hops cost little.
    pub(crate) const HALTED: Self = Self(60);

    /// SES refused the key and STS has not confirmed it for long enough: one sample more after the time it takes.
    pub(crate) const SUSPECTED: Self = Self(60);

    /// Our clock is off. Another environment, or this one in a moment, may do better.
    pub(crate) const CLOCK: Self = Self(30);

    /// Nobody knows whether SES took it: the second attempt is the last one, so what broke the first gets time to pass.
    pub(crate) const DOUBT: Self = Self(5);

    /// SES was not reached.
    pub(crate) const NOT_WRITTEN: Self = Self(5);

    /// SES said 429: the pace is slower now, and the mail finds its place in it when it comes back.
    pub(crate) const THROTTLED: Self = Self(2);

    /// The invocation ends too soon to begin.
    pub(crate) const SHORT_OF_TIME: Self = Self(1);

    /// What the pace of the account told.
    pub(crate) fn told(seconds: u32) -> Self {
        Self(seconds.min(LONGEST_S))
    }

    /// The delay for one message, in seconds: up to a fifth longer, so that a batch does not come back as one.
    pub(crate) fn seconds(self, ambient: &Ambient) -> u32 {
        let jitter = u32::try_from(ambient.below(u64::from(self.0 / 5) + 1)).unwrap_or(0);
        (self.0 + jitter).min(LONGEST_S)
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    #[test]
    fn a_delay_is_never_longer_than_sqs_takes_nor_shorter_than_asked_for() {
        let ambient = Ambient::new(|| Timestamp::UNIX_EPOCH, || u64::MAX);
        for delay in [Delay::SUSPENDED, Delay::HALTED, Delay::SHORT_OF_TIME, Delay::told(5000), Delay::told(0)] {
            let seconds = delay.seconds(&ambient);
            assert!((delay.0..=LONGEST_S).contains(&seconds), "{delay:?}: {seconds}");
        }
    }
}
