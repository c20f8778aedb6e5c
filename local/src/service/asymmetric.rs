//! SigV4a: signatures that are good in several Regions. The SDKs use them for multi-region endpoints.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>: the credential scope has no Region,
//! and the header `X-Amz-Region-Set` says where the signature is good.

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4a;
use axum::http::{HeaderMap, header};
use chrono::NaiveDateTime;

const ALGORITHM: &str = "AWS4-ECDSA-P256-SHA256 ";

/// The Region in which such a request is answered here.
const REGION: &str = "us-east-1";

/// What an asymmetric signature is of.
pub(crate) struct AsymmetricRequest<'a> {
    /// The HTTP method, upper case.
    pub(crate) method: &'a str,
    /// Path and query string as sent.
    pub(crate) path_and_query: String,
    /// All headers as sent.
    pub(crate) headers: &'a HeaderMap,
    /// The body as sent.
    pub(crate) body: &'a [u8],
}

/// Whether a request is signed so.
pub(crate) fn is_asymmetric(headers: &HeaderMap) -> bool {
    text(headers, header::AUTHORIZATION.as_str()).is_some_and(|text| text.starts_with(ALGORITHM))
}

/// The Authorization header as SigV4 has it, so that it is read like any other; `None` if it is another one.
pub(super) fn symmetric_form(headers: &HeaderMap) -> Option<String> {
    let (_, rest) =
        text(headers, header::AUTHORIZATION.as_str())?.strip_prefix(ALGORITHM)?.split_once("Credential=")?;
    let (credential, tail) = rest.split_once(',')?;
    let [key, date, service, end] = credential.split('/').collect::<Vec<_>>()[..] else { return None };
    Some(format!("AWS4-HMAC-SHA256 Credential={key}/{date}/{REGION}/{service}/{end},{tail}"))
}

/// Whether this secret signed the request. Such signatures are deterministic (RFC 6979) as the SDKs make them, so it is
/// signed again.
pub(crate) fn is_signed_by(request: &AsymmetricRequest<'_>, access_key_id: &str, secret_access_key: &str) -> bool {
    signed_again(request, access_key_id, secret_access_key)
        .is_some_and(|again| text(request.headers, header::AUTHORIZATION.as_str()) == Some(&again))
}

fn signed_again(request: &AsymmetricRequest<'_>, access_key_id: &str, secret_access_key: &str) -> Option<String> {
    let headers = request.headers;
    let (_, signed) = text(headers, header::AUTHORIZATION.as_str())?.split_once("SignedHeaders=")?;
    let (signed, _) = signed.split_once(',')?;
    let (_, scope) = text(headers, header::AUTHORIZATION.as_str())?.split_once("Credential=")?;
    let service = scope.split('/').nth(2)?;
    let added = ["host", "x-amz-date", "x-amz-region-set"];
    let others =
        signed.split(';').filter(|name| !added.contains(name)).filter_map(|name| Some((name, text(headers, name)?)));
    let at = NaiveDateTime::parse_from_str(text(headers, "x-amz-date")?, "%Y%m%dT%H%M%SZ").ok()?.and_utc();
    let identity = Credentials::new(access_key_id, secret_access_key, None, None, "stand-in").into();
    let parameters = v4a::SigningParams::builder()
        .identity(&identity)
        .region_set(text(headers, "x-amz-region-set")?)
        .name(service)
        .time(SystemTime::from(at))
        .settings(SigningSettings::default())
        .build()
        .ok()?
        .into();
    let url = format!("http://{}{}", text(headers, "host")?, request.path_and_query);
    let signable = SignableRequest::new(request.method, &url, others, SignableBody::Bytes(request.body)).ok()?;
    let (instructions, _) = sign(signable, &parameters).ok()?.into_parts();
    instructions.headers().find(|(name, _)| *name == "authorization").map(|(_, value)| value.to_owned())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}
