//! Writes that only repeat what was written a moment ago.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Keys a process remembers; all are forgotten if there are more, which costs a write each.
const MAX_REMEMBERED: usize = 1024;

/// Lets a process write each key once in an interval. Only a write starts the interval, so a key that is asked for all the
/// time is written again and again.
#[derive(Debug)]
pub(crate) struct WriteLimiter<Key> {
    interval: SignedDuration,
    written: Mutex<HashMap<Key, Timestamp>>,
}

impl<Key: Eq + Hash> WriteLimiter<Key> {
    /// A limiter with this interval.
    pub(crate) fn new(interval: SignedDuration) -> Self {
        Self { interval, written: Mutex::default() }
    }

    /// Whether the key has to be written. If so, it counts as written: who fails to write it forgets it.
    pub(crate) fn begin(&self, key: Key, now: Timestamp) -> bool {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        if written.get(&key).is_some_and(|last| now.duration_since(*last) < self.interval) {
            return false;
        }
        if written.len() >= MAX_REMEMBERED {
            written.clear();
        }
        written.insert(key, now);
        true
    }

    /// The next [`WriteLimiter::begin`] lets the key be written.
    pub(crate) fn forget(&self, key: &Key) {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::time;

    #[test]
    fn a_key_is_written_once_in_an_interval_however_often_it_is_asked_for() {
        let limiter = WriteLimiter::new(SignedDuration::from_secs(5));
        let begin = |key, second| limiter.begin(key, time("2026-11-23T10:00:00Z") + SignedDuration::from_secs(second));
        let written: Vec<_> = (0..=20).filter(|second| begin("a", *second)).collect();
        assert_eq!(written, [0, 5, 10, 15, 20]);
        assert!(begin("b", 20), "keys do not share an interval");
        assert!(!begin("a", 21));
        limiter.forget(&"a");
        assert!(begin("a", 21));
    }
}
