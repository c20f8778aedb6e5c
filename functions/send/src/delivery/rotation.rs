//! What the delivery of a mail finds out about a key that is being replaced, and about the one that replaces it.

use shared::custody::CustodyError;
use shared::record::{PromotedBy, Provider, RotationPhase};
use shared::telemetry::chain;
use shared::tenant::{Failure, FailureKind};
use tokio::time::timeout;

use super::Delivery;
use super::admission::SigningKey;
use crate::rotation::SECRET_UNREADABLE;

/// Whether an answer says that the key may not send, so that SES does not have the mail and another key may: the key or its
/// signature is refused, or a policy denies.
pub(super) fn is_of_key(kind: &FailureKind) -> bool {
    matches!(kind, FailureKind::KeyRefused | FailureKind::SignatureRefused | FailureKind::Denied(_))
}

/// Which of two failed requests decides what becomes of the mail. What the second says about the mail or the account, or that
/// it is in doubt, counts; if both keys are refused, the refusal of the one that the provider sends with.
pub(super) fn decisive<'a>(
    provider: &Provider,
    first: (&'a SigningKey, Failure),
    second: (&'a SigningKey, Failure),
) -> (&'a SigningKey, Failure) {
    let is_first = first.0.provider.access_key_id == provider.access_key_id;
    if is_first && is_of_key(&second.1.kind) { first } else { second }
}

impl Delivery {
    /// Takes note of an acceptance: it promotes a candidate, and ends that a new key is failing.
    pub(super) async fn note_accepted_by(&self, provider: &Provider, signed_by: &Provider) {
        let Some(rotation) = provider.running_rotation() else { return };
        if rotation.new_key.access_key_id != signed_by.access_key_id {
            return;
        }
        let noted = async {
            if rotation.phase == RotationPhase::Candidate {
                self.services.promote(provider, PromotedBy::Mail).await
            } else if rotation.failing.is_some() {
                self.services.rotations.forget_refusal(rotation);
                self.services.tables.providers.clear_failing(provider).await
            } else {
                Ok(())
            }
        };
        // The mail is sent whatever becomes of this; the next one tries it again.
        if let Ok(Err(error)) = timeout(self.remaining_before_acknowledgement(), noted).await {
            tracing::warn!(
                provider_id = %provider.provider_id,
                rotation_id = %rotation.rotation_id,
                error = chain(&error),
                "SES accepted a new key, but its rotation was not written; the next mail tries again"
            );
        }
    }

    /// Takes note that AWS refused a key, if it is a new one.
    pub(super) async fn note_refusal(&self, provider: &Provider, signed_by: &Provider, failure: &Failure) {
        self.note_failing(provider, signed_by, failure.kind.as_str()).await;
    }

    /// Takes note that a secret could not be opened, if it is that of a new key. That KMS does not answer says nothing.
    pub(super) async fn note_unopened(&self, provider: &Provider, signed_by: &Provider, error: &CustodyError) {
        match error {
            CustodyError::Unavailable { .. } => {}
            CustodyError::Refused { .. } | CustodyError::Content { .. } => {
                self.note_failing(provider, signed_by, SECRET_UNREADABLE).await;
            }
        }
    }

    async fn note_failing(&self, provider: &Provider, signed_by: &Provider, reason: &str) {
        let rotation = provider.running_rotation();
        let Some(rotation) = rotation.filter(|it| it.new_key.access_key_id == signed_by.access_key_id) else { return };
        let noted =
            timeout(self.remaining_before_acknowledgement(), self.services.note_failing(provider, reason)).await;
        if let Ok(Err(error)) = noted {
            tracing::warn!(
                provider_id = %provider.provider_id,
                rotation_id = %rotation.rotation_id,
                error = chain(&error),
                "a new key is refused, but that was not written; the next mail tries again"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use shared::id::AccessKeyId;
    use shared::record::{Status, StatusName};
    use shared::tenant::{Credential, SecretAccessKey};

    use super::*;
    use crate::fixtures::provider;

    const OLD: &str = "AKIASP2TPHJSQH3FJRUX";
    const NEW: &str = "AKIASP2TPHJSQH3FJRUY";

    fn signer(id: &str) -> SigningKey {
        let mut provider = provider(Status::plain(StatusName::Active));
        provider.access_key_id = AccessKeyId::from_pasted(id).unwrap();
        let credential = Credential {
            access_key_id: provider.access_key_id.clone(),
            secret_access_key: SecretAccessKey::from_pasted(&"x".repeat(40)).unwrap(),
            region: provider.region,
        };
        SigningKey { provider: Arc::new(provider), credential }
    }

    fn failed(code: &str, text: &str, status: u16) -> Failure {
        let kind = FailureKind::from_answer(code, text, status);
        Failure { kind, code: None, status: Some(status), request_id: None }
    }

    const DENIED: &str = "User `arn:aws:iam::171436882533:user/u' is not authorized to perform `ses:SendEmail' on resource `arn:aws:ses:eu-central-1:171436882533:identity/example.com'";

    /// What SES may have taken, what is about the account, and what is about the mail, is no reason for a second request.
    #[test]
    fn only_answers_that_refuse_the_key_lead_to_the_other_one() {
        for (failure, expected) in [
            (failed("InvalidClientTokenId", "", 403), true),
            (
                failed("UnrecognizedClientException", "The security token included in the request is invalid.", 403),
                true,
            ),
            (failed("SignatureDoesNotMatch", "The request signature we calculated does not match", 403), true),
            (failed("AccessDeniedException", DENIED, 403), true),
            (failed("", "", 503), false),
            (failed("InternalFailure", "", 500), false),
            (failed("TooManyRequestsException", "Maximum sending rate exceeded.", 429), false),
            (failed("LimitExceededException", "Daily message quota exceeded.", 400), false),
            (failed("SendingPausedException", "", 400), false),
            (failed("AccountSuspendedException", "", 400), false),
            (failed("MessageRejected", "Email address is not verified.", 400), false),
            (failed("BadRequestException", "Missing final '@domain'", 400), false),
            (Failure { kind: FailureKind::Unknown, code: None, status: None, request_id: None }, false),
            (Failure { kind: FailureKind::NotWritten, code: None, status: None, request_id: None }, false),
        ] {
            assert_eq!(is_of_key(&failure.kind), expected, "{failure:?}");
        }
    }

    #[test]
    fn of_two_failures_the_one_that_says_most_decides() {
        let (old, new) = (signer(OLD), signer(NEW));
        let refused = || failed("InvalidClientTokenId", "", 403);
        let unknown = || failed("", "", 503);
        let throttled = || failed("TooManyRequestsException", "Maximum sending rate exceeded.", 429);
        // The key that the provider sends with, what the second request met, which of the two decides.
        for (serving, second, expected) in [
            (OLD, refused(), OLD),
            (OLD, unknown(), OLD),
            (OLD, throttled(), OLD),
            (NEW, refused(), NEW),
            (NEW, unknown(), OLD),
            (NEW, throttled(), OLD),
        ] {
            let provider = &signer(serving).provider;
            let kind = second.kind.clone();
            let (decisive, failure) = decisive(provider, (&new, refused()), (&old, second));
            assert_eq!(decisive.provider.access_key_id.as_str(), expected, "{serving} {kind:?}");
            let is_of_second = decisive.provider.access_key_id.as_str() == OLD;
            assert!(!is_of_second || failure.kind == kind, "{serving} {kind:?}");
        }
    }
}
