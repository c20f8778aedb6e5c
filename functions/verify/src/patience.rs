//! Refusals that are not final at once.

use std::time::Duration;

use shared::tenant::Kind;

/// How long an unknown key may still become known: a new one takes 5 to 10 s, sometimes more, until every part of AWS
/// knows it (AWS: IAM user guide, "Changes that I make are not always immediately visible").
const KNOWN_AFTER: Duration = Duration::from_secs(15);

/// Between two tries of an unknown key.
const UNKNOWN_PAUSE: Duration = Duration::from_secs(2);

/// A right secret can be refused when a wrong one was tried with the same id in the last seconds.
const SIGNATURE_PAUSE: Duration = Duration::from_secs(5);

/// What one call has waited for so far.
#[derive(Default)]
pub(crate) struct Patience {
    signature_retried: bool,
}

impl Patience {
    /// How long to wait before the same call again, `elapsed` after the verification's start; `None` = the refusal
    /// stands.
    pub(crate) fn pause(&mut self, kind: &Kind, elapsed: Duration) -> Option<Duration> {
        match kind {
            Kind::KeyRefused if elapsed + UNKNOWN_PAUSE <= KNOWN_AFTER => Some(UNKNOWN_PAUSE),
            Kind::SignatureRefused if !self.signature_retried => {
                self.signature_retried = true;
                Some(SIGNATURE_PAUSE)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_key_is_waited_for_and_a_wrong_signature_once() {
        let mut patience = Patience::default();
        let s = Duration::from_secs;
        assert_eq!(patience.pause(&Kind::KeyRefused, s(0)), Some(s(2)));
        assert_eq!(patience.pause(&Kind::KeyRefused, s(13)), Some(s(2)));
        assert_eq!(patience.pause(&Kind::KeyRefused, s(14)), None);
        assert_eq!(patience.pause(&Kind::SignatureRefused, s(14)), Some(s(5)));
        assert_eq!(patience.pause(&Kind::SignatureRefused, s(19)), None);
        for kind in [Kind::Clock, Kind::Throttled, Kind::Unknown, Kind::NotFound] {
            assert_eq!(patience.pause(&kind, s(0)), None);
        }
    }
}
