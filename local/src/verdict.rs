//! What a fault run has shown: whether a mail fared as `send` promises, and whether an account was sent more than its rate.

/// A mail of a fault run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunMail {
    /// Its id, unique in the run.
    pub mail_id: String,
    /// The tenant's account.
    pub account_id: String,
    /// How many copies its `on_doubt` allows: two of `resend`, one of `hold`.
    pub max_copies: usize,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFate {
    /// The ledger's state; none without a row.
    pub state: Option<String>,
    /// The reason that the ledger gives.
    pub reason: Option<String>,
    /// The copies that SES accepted.
    pub copies: usize,
}

/// How a mail fared otherwise than promised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BrokenPromise {
    /// It was not sent, and nobody is told so.
    Lost,
    /// SES accepted more copies than `on_doubt` allows, or one of a mail that is said not to have been sent.
    TooManyCopies,
}

/// Whether this is one of the states in which nothing more happens to a mail.
#[must_use]
pub fn is_settled(state: Option<&str>) -> bool {
    matches!(state, Some("sent" | "in_doubt" | "rejected" | "expired"))
}

/// Whether a mail fared as promised, once everything is over.
#[must_use]
pub fn broken_promise(mail: &RunMail, fate: &RunFate) -> Option<BrokenPromise> {
    let max_copies = match fate.state.as_deref() {
        Some("rejected" | "expired") => 0,
        _ => mail.max_copies,
    };
    if fate.copies > max_copies {
        return Some(BrokenPromise::TooManyCopies);
    }
    let is_told = match fate.state.as_deref() {
        Some("sent") => fate.copies > 0,
        Some("rejected") => fate.reason.is_some(),
        Some("in_doubt" | "expired") => true,
        _ => false,
    };
    (!is_told).then_some(BrokenPromise::Lost)
}

/// The seconds in which an account was asked for more than its rate, as SES counts: a burst of a second's worth passes, more than that
/// only at the rate (SES developer guide, "Managing your Amazon SES sending limits", tolerates short bursts; their size is the stand-in's). `at_ms` are the times
/// of requests for one recipient each, in milliseconds, in their order.
#[must_use]
pub fn over_rate_seconds(at_ms: &[i64], per_second: f64) -> Vec<i64> {
    let capacity = per_second.max(1.0);
    let (mut level, mut since) = (capacity, at_ms.first().copied().unwrap_or_default());
    let mut seconds = Vec::new();
    for &at in at_ms {
        let elapsed = at.saturating_sub(since) as f64 / 1000.0;
        level = elapsed.mul_add(per_second, level).min(capacity);
        since = at;
        // Floating point must not refuse the request that comes exactly on time.
        if level + 1e-6 < 1.0 {
            let second = at.div_euclid(1000);
            if seconds.last() != Some(&second) {
                seconds.push(second);
            }
        } else {
            level -= 1.0;
        }
    }
    seconds
}

/// The most requests of one second of the clock.
#[must_use]
pub fn fullest_second(at_ms: &[i64]) -> usize {
    at_ms
        .chunk_by(|one, next| one.div_euclid(1000) == next.div_euclid(1000))
        .map(<[i64]>::len)
        .max()
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judge(state: Option<&str>, reason: Option<&str>, copies: usize, max_copies: usize) -> Option<BrokenPromise> {
        let mail = RunMail { mail_id: "m".to_owned(), account_id: "1".to_owned(), max_copies };
        let fate = RunFate { state: state.map(str::to_owned), reason: reason.map(str::to_owned), copies };
        broken_promise(&mail, &fate)
    }

    #[test]
    fn a_mail_is_sent_or_its_fate_is_known_and_copies_are_what_on_doubt_allows() {
        use BrokenPromise::{Lost, TooManyCopies};
        for (state, reason, copies, max_copies, expected) in [
            (Some("sent"), None, 1, 1, None),
            (Some("sent"), None, 2, 2, None),
            (Some("sent"), None, 0, 2, Some(Lost)),
            (Some("sent"), None, 2, 1, Some(TooManyCopies)),
            (Some("sent"), None, 3, 2, Some(TooManyCopies)),
            (Some("in_doubt"), Some("lease_ended"), 0, 1, None),
            (Some("in_doubt"), Some("lease_ended"), 2, 2, None),
            (Some("in_doubt"), Some("lease_ended"), 3, 2, Some(TooManyCopies)),
            (Some("rejected"), Some("provider_revoked"), 0, 1, None),
            (Some("rejected"), None, 0, 1, Some(Lost)),
            (Some("rejected"), Some("provider_revoked"), 1, 2, Some(TooManyCopies)),
            (Some("expired"), None, 0, 1, None),
            (Some("expired"), None, 1, 2, Some(TooManyCopies)),
            (Some("waiting"), Some("rate"), 0, 2, Some(Lost)),
            (Some("claimed"), None, 1, 2, Some(Lost)),
            (None, None, 0, 2, Some(Lost)),
            (None, None, 1, 2, Some(Lost)),
        ] {
            assert_eq!(
                judge(state, reason, copies, max_copies),
                expected,
                "{state:?} {reason:?} {copies} of {max_copies}"
            );
            let is_final = !matches!(state, Some("waiting" | "claimed") | None);
            assert_eq!(is_settled(state), is_final);
        }
    }

    #[test]
    fn a_burst_of_a_second_passes_and_what_is_beyond_is_over_the_rate() {
        let burst: Vec<i64> = vec![10_000; 14];
        assert!(over_rate_seconds(&burst, 14.0).is_empty());
        assert_eq!(over_rate_seconds(&[burst.clone(), vec![10_001]].concat(), 14.0), [10]);
        // The rate goes on at once after a burst.
        let at_the_rate = (1..60).map(|n| 10_000 + n * 1000 / 14 + 1);
        let times: Vec<i64> = burst.iter().copied().chain(at_the_rate).collect();
        assert!(over_rate_seconds(&times, 14.0).is_empty());
        let doubled: Vec<i64> = (0..100).map(|n| 20_000 + n * 1000 / 28).collect();
        assert_eq!(over_rate_seconds(&doubled, 14.0), [20, 21, 22, 23]);
        assert!(over_rate_seconds(&[], 14.0).is_empty());
        assert_eq!(fullest_second(&doubled), 28);
        assert_eq!(fullest_second(&[]), 0);
    }
}
