//! What a tenant's AWS answered, in the terms in which the next step is decided.

use shared::tenant::{Failure, FailureKind as Kind};

/// How a plane answered a probe with the key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ProbeResult {
    /// The key was accepted.
    Alive,
    /// The key is unknown, deleted or inactive.
    Refused { code: String, request_id: Option<String> },
    /// The signature did not match.
    WrongSecret,
    /// The answer says nothing about the key.
    Unknown,
}

/// How AWS answered DeleteAccessKey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum DeletionResult {
    /// 200.
    Deleted { request_id: Option<String> },
    /// There is no such key: it was accepted once more after its deletion.
    NoSuchEntity { request_id: Option<String> },
    /// The key was refused, so the call did nothing.
    Refused,
    /// Not authorized. `quarantined`: by an explicit deny, while SES accepts the key.
    Denied { quarantined: bool },
    /// The signature did not match.
    WrongSecret,
    /// The call did nothing, for a reason that says nothing about the key: throttled, never sent, our clock.
    NotActed,
    /// There is no answer that says whether the call did something.
    Unanswered,
}

impl ProbeResult {
    /// Reads the answer to a probe. Only a key that was accepted gets a denial, so a denied key is alive.
    pub(super) fn from_answer<T>(answer: &Result<T, Failure>) -> Self {
        let failure = match answer {
            Ok(_) => return Self::Alive,
            Err(failure) => failure,
        };
        match &failure.kind {
            Kind::KeyRefused => {
                Self::Refused { code: failure.code.clone().unwrap_or_default(), request_id: failure.request_id.clone() }
            }
            Kind::SignatureRefused => Self::WrongSecret,
            Kind::Denied(_) | Kind::SendingPaused | Kind::AccountSuspended | Kind::DailyQuota => Self::Alive,
            _ => Self::Unknown,
        }
    }
}

impl DeletionResult {
    /// Reads the answer to DeleteAccessKey. A denial is a quarantine only if SES accepts the key, which takes another call.
    pub(super) fn from_answer(answer: &Result<Option<String>, Failure>) -> Self {
        let failure = match answer {
            Ok(request_id) => return Self::Deleted { request_id: request_id.clone() },
            Err(failure) => failure,
        };
        match &failure.kind {
            Kind::NotFound => Self::NoSuchEntity { request_id: failure.request_id.clone() },
            Kind::KeyRefused => Self::Refused,
            Kind::Denied(_) => Self::Denied { quarantined: false },
            Kind::SignatureRefused => Self::WrongSecret,
            Kind::Unknown => Self::Unanswered,
            _ => Self::NotActed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed<T>(code: &str, text: &str, status: u16) -> Result<T, Failure> {
        Err(Failure {
            kind: Kind::from_answer(code, text, status),
            code: Some(code.to_owned()),
            status: Some(status),
            request_id: Some("request-1".to_owned()),
        })
    }

    #[test]
    fn every_answer_to_a_probe_is_alive_refused_or_unknown() {
        let denied = "User: arn:aws:iam::1:user/u is not authorized to perform: ses:GetAccount with an explicit deny";
        let refused =
            |code: &str| ProbeResult::Refused { code: code.to_owned(), request_id: Some("request-1".to_owned()) };
        let cases = [
            ("InvalidClientTokenId", "", 403, refused("InvalidClientTokenId")),
            ("UnrecognizedClientException", "", 403, refused("UnrecognizedClientException")),
            ("AccessDeniedException", denied, 403, ProbeResult::Alive),
            ("AccountSuspendedException", "", 400, ProbeResult::Alive),
            ("SignatureDoesNotMatch", "does not match", 403, ProbeResult::WrongSecret),
            ("SignatureDoesNotMatch", "Signature expired: 2026", 403, ProbeResult::Unknown),
            ("Throttling", "", 400, ProbeResult::Unknown),
            ("SomethingNew", "", 400, ProbeResult::Unknown),
            ("InternalFailure", "", 500, ProbeResult::Unknown),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(ProbeResult::from_answer(&failed::<()>(code, text, status)), expected, "{code} {text}");
        }
        assert_eq!(ProbeResult::from_answer(&Ok(())), ProbeResult::Alive);
    }

    #[test]
    fn every_answer_to_a_deletion_is_proof_a_refusal_a_denial_or_nothing() {
        let request_id = Some("request-1".to_owned());
        let cases = [
            ("NoSuchEntity", "", 404, DeletionResult::NoSuchEntity { request_id: request_id.clone() }),
            ("InvalidClientTokenId", "", 403, DeletionResult::Refused),
            ("AccessDenied", "", 403, DeletionResult::Denied { quarantined: false }),
            ("SignatureDoesNotMatch", "does not match", 403, DeletionResult::WrongSecret),
            ("RequestExpired", "", 400, DeletionResult::NotActed),
            ("Throttling", "", 400, DeletionResult::NotActed),
            ("ValidationError", "", 400, DeletionResult::NotActed),
            ("ServiceFailure", "", 500, DeletionResult::Unanswered),
            ("ServiceUnavailable", "", 503, DeletionResult::Unanswered),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(DeletionResult::from_answer(&failed(code, text, status)), expected, "{code}");
        }
        assert_eq!(DeletionResult::from_answer(&Ok(request_id.clone())), DeletionResult::Deleted { request_id });
    }
}
