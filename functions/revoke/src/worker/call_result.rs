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

/// How SES answered the pause of the account's sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum PauseResult {
    /// 200.
    Paused { request_id: Option<String> },
    /// Not authorized.
    Denied { code: Option<String>, request_id: Option<String> },
    /// Not asked, not answered, or refused for another reason: a later try may succeed.
    NotPaused { code: Option<String>, request_id: Option<String> },
    /// Not asked, because no breach was reported.
    Withheld,
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

impl PauseResult {
    /// Reads the answer to PutAccountSendingAttributes.
    pub(super) fn from_answer(answer: &Result<Option<String>, Failure>) -> Self {
        match answer {
            Ok(request_id) => Self::Paused { request_id: request_id.clone() },
            Err(Failure { kind, code, request_id, .. }) => {
                let (code, request_id) = (code.clone(), request_id.clone());
                match kind {
                    Kind::Denied(_) => Self::Denied { code, request_id },
                    _ => Self::NotPaused { code, request_id },
                }
            }
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

    #[test]
    fn only_a_denial_says_that_sending_cannot_be_paused() {
        let said = |code: &str| (Some(code.to_owned()), Some("request-1".to_owned()));
        for (code, status) in
            [("TooManyRequestsException", 429), ("InternalFailure", 500), ("BadRequestException", 400)]
        {
            let (code, request_id) = said(code);
            let answer = failed(code.as_deref().unwrap(), "", status);
            assert_eq!(PauseResult::from_answer(&answer), PauseResult::NotPaused { code, request_id });
        }
        let (code, request_id) = said("AccessDeniedException");
        let answer = failed("AccessDeniedException", "", 403);
        assert_eq!(PauseResult::from_answer(&answer), PauseResult::Denied { code, request_id });
        let unanswered = Failure { kind: Kind::Unknown, code: None, status: None, request_id: None };
        let not_paused = PauseResult::NotPaused { code: None, request_id: None };
        assert_eq!(PauseResult::from_answer(&Err(unanswered)), not_paused);
        assert_eq!(PauseResult::from_answer(&Ok(None)), PauseResult::Paused { request_id: None });
    }
}
