//! SigV4: who signed a request, and whether they did.

use axum::body::Bytes;
use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use fakecloud_aws::sigv4::{self, ParsedSigV4, SigV4Error, VerifyRequest};
use fakecloud_core::protocol;
use sha2::{Digest, Sha256};

use crate::service::iam::SignerCredential;
use crate::service::{AsymmetricRequest, Caller, ServiceError, is_asymmetric, is_signed_by};

/// The header that claims the body's digest.
const DIGEST: &str = "x-amz-content-sha256";

/// What SigV4 signs of a request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedRequest<'a> {
    /// The HTTP method, upper case.
    pub(crate) method: &'a str,
    /// The path as sent, still encoded.
    pub(crate) path: &'a str,
    /// The query string without its `?`.
    pub(crate) query: &'a str,
    /// All headers as sent.
    pub(crate) headers: &'a HeaderMap,
    /// The body as sent.
    pub(crate) body: &'a [u8],
}

impl SignedRequest<'_> {
    /// Checks the signature against a credential and answers whose it is.
    ///
    /// # Errors
    /// It is not the credential's, or too old.
    pub(super) fn verify(
        &self,
        signature: &ParsedSigV4,
        credential: &SignerCredential,
        now: DateTime<Utc>,
    ) -> Result<Caller, ServiceError> {
        // A session's key is worth nothing without its token.
        let token = if signature.is_presigned {
            protocol::parse_query_body(&Bytes::copy_from_slice(self.query.as_bytes())).remove("X-Amz-Security-Token")
        } else {
            self.header("x-amz-security-token").map(str::to_owned)
        };
        if credential.session_token != token {
            return Err(ServiceError::UnknownKey);
        }
        if is_asymmetric(self.headers) {
            let query = if self.query.is_empty() { String::new() } else { format!("?{}", self.query) };
            let (method, headers, body) = (self.method, self.headers, self.body);
            let request = AsymmetricRequest { method, path_and_query: format!("{}{query}", self.path), headers, body };
            return match is_signed_by(&request, &signature.access_key, &credential.secret_access_key) {
                true => Ok(credential.caller.clone()),
                false => Err(ServiceError::WrongSignature),
            };
        }
        let mut headers = sigv4::headers_from_http(self.headers);
        if signature.is_presigned && self.header(DIGEST).is_none() {
            // Unlike S3, other services sign the body of a presigned request too; the verifier has to be told.
            headers.push((DIGEST.to_owned(), hex(&Sha256::digest(self.body))));
        }
        let request = VerifyRequest {
            method: self.method,
            path: self.path,
            query: self.query,
            headers: &headers,
            body: self.body,
        };
        sigv4::verify(signature, &request, &credential.secret_access_key, now).map_err(|error| match error {
            SigV4Error::SignatureMismatch => ServiceError::WrongSignature,
            SigV4Error::RequestTimeTooSkewed { .. } | SigV4Error::PresignedUrlExpired { .. } => ServiceError::Stale {
                signed: signature.amz_date.clone(),
                now: now.format("%Y%m%dT%H%M%SZ").to_string(),
            },
            _ => ServiceError::Malformed,
        })?;
        // The signature covers the header that claims the body's digest; this binds the body to the header.
        if let Some(claimed) = self.header(DIGEST).filter(|claimed| claimed.len() == 64)
            && claimed != hex(&Sha256::digest(self.body))
        {
            return Err(ServiceError::WrongSignature);
        }
        Ok(credential.caller.clone())
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

fn hex(bytes: &[u8]) -> String {
    use std::fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
