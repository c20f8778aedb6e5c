//! The `Idempotency-Key` header: the same request again has the same answer.

use sha2::{Digest as _, Sha256};
use shared::http::{FieldError, Problem, Request};
use shared::id::AccessKeyId;

use crate::submission::Submission;

/// A caller's key for one onboarding: 1 to 255 visible ASCII characters.
pub(crate) struct IdempotencyKey(String);

impl IdempotencyKey {
    /// The request's key, if it has one.
    ///
    /// # Errors
    /// A 400 problem if the header has a value that is not such a key.
    pub(crate) fn from_request(request: &Request) -> Result<Option<Self>, Problem> {
        let Some(value) = request.headers.get("idempotency-key") else {
            return Ok(None);
        };
        let bytes = value.as_bytes();
        let visible = (1..=255).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic);
        match value.to_str() {
            Ok(text) if visible => Ok(Some(Self(text.to_owned()))),
            _ => Err(Problem::bad_request(&FieldError::new(
                "Idempotency-Key",
                "must be 1 to 255 visible ASCII characters",
            ))),
        }
    }

    /// The key's text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A caller's key and the request that it was sent with.
pub(crate) struct IdempotentRequest {
    /// The key.
    pub(crate) key: IdempotencyKey,
    /// Differs if another request is sent with the same key.
    pub(crate) fingerprint: String,
}

impl IdempotentRequest {
    /// A submission of this access key with this idempotency key.
    pub(crate) fn new(key: IdempotencyKey, submission: &Submission, access_key_id: &AccessKeyId) -> Self {
        Self { key, fingerprint: fingerprint(submission, access_key_id) }
    }
}

/// A digest of the request without its secret: nothing derived from a secret is stored except what KMS sealed. Each
/// field is preceded by its length, so that no two requests have the same digest by moving text between fields.
fn fingerprint(submission: &Submission, access_key_id: &AccessKeyId) -> String {
    let fields =
        [submission.tenant_id.as_str(), submission.name.as_str(), submission.region.as_str(), access_key_id.as_str()];
    // Absent without one, so that a request has the digest that it had before there were consents. Who signed is no part of
    // the request.
    let consent = submission.consent_signed_by.as_ref().map(|_| "consent:pause_sending");
    let digest = fields
        .into_iter()
        .chain(consent)
        .chain(submission.configure_signed_by.as_ref().map(|_| "consent:configure"))
        .chain(submission.canary.then_some("canary"))
        .fold(Sha256::new(), |digest, field| {
            digest.chain_update((field.len() as u64).to_be_bytes()).chain_update(field)
        })
        .finalize();
    let hex = base16ct::lower::encode_string(&digest);
    format!("v1:{hex}")
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;
    use crate::fixtures::submission_from;

    #[test]
    fn only_visible_ascii_is_a_key() {
        let parse = |value: HeaderValue| {
            let mut request = Request::default();
            request.headers.insert("Idempotency-Key", value);
            IdempotencyKey::from_request(&request).map(|key| key.map(|key| key.0)).map_err(|problem| problem.status())
        };
        assert_eq!(parse(HeaderValue::from_static("order-1")), Ok(Some("order-1".to_owned())));
        assert_eq!(parse(HeaderValue::from_str(&"x".repeat(255)).unwrap()).map(|key| key.is_some()), Ok(true));
        assert_eq!(parse(HeaderValue::from_static("")), Err(400));
        assert_eq!(parse(HeaderValue::from_static("a b")), Err(400));
        assert_eq!(parse(HeaderValue::from_bytes("é".as_bytes()).unwrap()), Err(400));
        assert_eq!(parse(HeaderValue::from_str(&"x".repeat(256)).unwrap()), Err(400));
        assert!(IdempotencyKey::from_request(&Request::default()).is_ok_and(|key| key.is_none()));
    }

    #[test]
    fn another_request_has_another_fingerprint_and_another_secret_has_not() {
        let id = AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap();
        let fingerprint_of = |tenant: &str, name: &str, secret: &str| {
            let body = serde_json::json!({"tenant_id": tenant, "name": name, "region": "us-east-1",
                "access_key_id": id, "secret_access_key": secret});
            fingerprint(&submission_from(&body), &id)
        };
        assert_eq!(fingerprint_of("a", "bc", "x"), fingerprint_of("a", "bc", "y"));
        assert_ne!(fingerprint_of("a", "bc", "x"), fingerprint_of("ab", "c", "x"));
        let with_consent = |signed_by: Option<&str>| {
            let mut submission = submission_from(&serde_json::json!({"tenant_id": "a", "name": "bc",
                "region": "us-east-1", "access_key_id": id, "secret_access_key": "x"}));
            submission.consent_signed_by = signed_by.map(str::to_owned);
            fingerprint(&submission, &id)
        };
        assert_eq!(with_consent(None), fingerprint_of("a", "bc", "x"));
        assert_ne!(with_consent(Some("arn")), with_consent(None));
        assert_eq!(with_consent(Some("arn")), with_consent(Some("another")));
        let canary = serde_json::json!({"tenant_id": "a", "name": "bc", "region": "us-east-1", "access_key_id": id,
            "secret_access_key": "x", "canary": true});
        assert_ne!(fingerprint(&submission_from(&canary), &id), with_consent(None));
        let mut configured = submission_from(&serde_json::json!({"tenant_id": "a", "name": "bc",
            "region": "us-east-1", "access_key_id": id, "secret_access_key": "x"}));
        configured.configure_signed_by = Some("arn".to_owned());
        assert!(![None, Some("arn")].map(with_consent).contains(&fingerprint(&configured, &id)));
    }
}
