//! What a tenant's AWS answered, in the words that the steps are decided in.

use shared::tenant::{Failure, Kind};

use super::step::{Deletion, Sight};

impl Sight {
    /// What an answer to a probe shows. A denial, too, is given only to a key that was let in.
    pub(super) fn of<T>(answer: &Result<T, Failure>) -> Self {
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

impl Deletion {
    /// What an answer to DeleteAccessKey shows. A denial is a quarantine only if SES lets the key in, which is asked
    /// apart.
    pub(super) fn of(answer: &Result<Option<String>, Failure>) -> Self {
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
            kind: Kind::of_answer(code, text, status),
            code: Some(code.to_owned()),
            status: Some(status),
            request_id: Some("request-1".to_owned()),
        })
    }

    #[test]
    fn every_answer_to_a_probe_shows_the_key_alive_refused_or_neither() {
        let denied = "User: arn:aws:iam::1:user/u is not authorized to perform: ses:GetAccount with an explicit deny";
        let refused = |code: &str| Sight::Refused { code: code.to_owned(), request_id: Some("request-1".to_owned()) };
        let cases = [
            ("InvalidClientTokenId", "", 403, refused("InvalidClientTokenId")),
            ("UnrecognizedClientException", "", 403, refused("UnrecognizedClientException")),
            ("AccessDeniedException", denied, 403, Sight::Alive),
            ("AccountSuspendedException", "", 400, Sight::Alive),
            ("SignatureDoesNotMatch", "does not match", 403, Sight::WrongSecret),
            ("SignatureDoesNotMatch", "Signature expired: 2026", 403, Sight::Unknown),
            ("Throttling", "", 400, Sight::Unknown),
            ("SomethingNew", "", 400, Sight::Unknown),
            ("InternalFailure", "", 500, Sight::Unknown),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(Sight::of(&failed::<()>(code, text, status)), expected, "{code} {text}");
        }
        assert_eq!(Sight::of(&Ok(())), Sight::Alive);
    }

    #[test]
    fn every_answer_to_a_deletion_is_proof_a_refusal_a_denial_or_nothing() {
        let request_id = Some("request-1".to_owned());
        let cases = [
            ("NoSuchEntity", "", 404, Deletion::NoSuchEntity { request_id: request_id.clone() }),
            ("InvalidClientTokenId", "", 403, Deletion::Refused),
            ("AccessDenied", "", 403, Deletion::Denied { quarantined: false }),
            ("SignatureDoesNotMatch", "does not match", 403, Deletion::WrongSecret),
            ("RequestExpired", "", 400, Deletion::NotActed),
            ("Throttling", "", 400, Deletion::NotActed),
            ("ValidationError", "", 400, Deletion::NotActed),
            ("ServiceFailure", "", 500, Deletion::Unanswered),
            ("ServiceUnavailable", "", 503, Deletion::Unanswered),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(Deletion::of(&failed(code, text, status)), expected, "{code}");
        }
        assert_eq!(Deletion::of(&Ok(request_id.clone())), Deletion::Deleted { request_id });
    }
}
