//! Which refusals of a key are not final at once.

use std::time::Duration;

use shared::tenant::FailureKind as Kind;

/// How long an unknown key may still become known: a new one takes 5 to 10 s, sometimes more, until every part of AWS
/// knows it (AWS: IAM user guide, "Changes that I make are not always immediately visible").
const PROPAGATION_TIMEOUT: Duration = Duration::from_secs(15);

/// The delay between two tries of an unknown key.
const UNKNOWN_KEY_DELAY: Duration = Duration::from_secs(2);

/// The delay before the second try of a wrong signature. AWS can refuse the right secret if a wrong one was tried with
/// the same id in the last seconds.
const SIGNATURE_DELAY: Duration = Duration::from_secs(5);

/// Decides whether one call is made again.
#[derive(Default)]
pub(crate) struct RetryPolicy {
    signature_retried: bool,
}

impl RetryPolicy {
    /// The delay before the same call is made again, `elapsed` after the start of the verification. `None` if the refusal
    /// is final.
    pub(crate) fn next_delay(&mut self, kind: &Kind, elapsed: Duration) -> Option<Duration> {
        match kind {
            Kind::KeyRefused if elapsed + UNKNOWN_KEY_DELAY <= PROPAGATION_TIMEOUT => Some(UNKNOWN_KEY_DELAY),
            Kind::SignatureRefused if !self.signature_retried => {
                self.signature_retried = true;
                Some(SIGNATURE_DELAY)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_tried_until_it_propagates_and_a_wrong_signature_once_more() {
        let mut policy = RetryPolicy::default();
        let s = Duration::from_secs;
        assert_eq!(policy.next_delay(&Kind::KeyRefused, s(0)), Some(s(2)));
        assert_eq!(policy.next_delay(&Kind::KeyRefused, s(13)), Some(s(2)));
        assert_eq!(policy.next_delay(&Kind::KeyRefused, s(14)), None);
        assert_eq!(policy.next_delay(&Kind::SignatureRefused, s(14)), Some(s(5)));
        assert_eq!(policy.next_delay(&Kind::SignatureRefused, s(19)), None);
        for kind in [Kind::Clock, Kind::Throttled, Kind::Unknown, Kind::NotFound] {
            assert_eq!(policy.next_delay(&kind, s(0)), None);
        }
    }
}
