//! The time that an invocation has left.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

/// The part of an invocation that is reserved for its response. Without a response, messages that are finished would be
/// delivered again too.
pub const RESPONSE_RESERVE: Duration = Duration::from_secs(1);

/// When Lambda ends an invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline(Timestamp);

impl Deadline {
    /// The deadline in Lambda's context, in milliseconds of Unix time. A value that cannot be read counts as passed, so
    /// nothing is started.
    pub fn from_millis(millis: u64) -> Self {
        let deadline = i64::try_from(millis).ok().and_then(|millis| Timestamp::from_millisecond(millis).ok());
        Self(deadline.unwrap_or(Timestamp::UNIX_EPOCH))
    }

    /// A deadline at this time.
    pub fn at(time: Timestamp) -> Self {
        Self(time)
    }

    /// The time itself.
    pub fn time(self) -> Timestamp {
        self.0
    }

    /// How long work may still take at `now`, so that the response gets out in time.
    pub fn remaining(self, now: Timestamp) -> Duration {
        let total: Duration = self.0.duration_since(now).try_into().unwrap_or_default();
        total.saturating_sub(RESPONSE_RESERVE)
    }

    /// Whether work that takes at most `work` may start at `now`.
    pub fn allows(self, work: SignedDuration, now: Timestamp) -> bool {
        self.0.duration_since(now) >= work
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(millis).unwrap()
    }

    #[test]
    fn work_starts_only_if_the_invocation_covers_it() {
        let deadline = Deadline::from_millis(10_000);
        assert!(deadline.allows(SignedDuration::from_secs(5), at(5_000)));
        assert!(!deadline.allows(SignedDuration::from_secs(5), at(5_001)));
    }

    #[test]
    fn a_second_is_kept_for_the_response() {
        let deadline = Deadline::from_millis(10_000);
        assert_eq!(deadline.remaining(at(5_000)), Duration::from_secs(4));
        assert_eq!(deadline.remaining(at(9_500)), Duration::ZERO);
        assert_eq!(deadline.remaining(at(10_500)), Duration::ZERO);
    }

    #[test]
    fn an_unreadable_deadline_has_passed() {
        assert_eq!(Deadline::from_millis(u64::MAX).remaining(at(0)), Duration::ZERO);
    }
}
