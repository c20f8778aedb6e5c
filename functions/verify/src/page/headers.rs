//! What every answer of the page says to the browser: load nothing from elsewhere, run nothing that stands in the page, be in
//! nobody's frame, keep nothing, tell nobody where you come from.

use http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use http::{HeaderName, HeaderValue};
use shared::http::Response;

use super::PageSettings;

/// Headers that are the same for every answer.
const FIXED: [(HeaderName, &str); 6] = [
    (REFERRER_POLICY, "no-referrer"),
    (STRICT_TRANSPORT_SECURITY, "max-age=63072000; includeSubDomains"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
    (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
];

/// What the page needs none of. The clipboard it writes to, when somebody clicks.
const PERMISSIONS: &str = "accelerometer=(), camera=(), display-capture=(), geolocation=(), gyroscope=(), magnetometer=(), \
    microphone=(), midi=(), payment=(), publickey-credentials-get=(), usb=(), clipboard-write=(self)";

/// Adds them. What has no cache rule of its own is not kept.
pub(crate) fn secure(response: &mut Response, settings: &PageSettings) {
    for (name, value) in FIXED {
        response.headers.insert(name, HeaderValue::from_static(value));
    }
    response.headers.insert(HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS));
    if let Ok(policy) = HeaderValue::from_str(&content_security_policy(settings.logo_url.as_deref())) {
        response.headers.insert(CONTENT_SECURITY_POLICY, policy);
    }
    if !response.headers.contains_key(CACHE_CONTROL) {
        response.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
}

/// The policy. The operator's logo is the one thing that may come from elsewhere.
fn content_security_policy(logo_url: Option<&str>) -> String {
    let logo = logo_url.map(|url| format!(" {url}")).unwrap_or_default();
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'{logo}; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
}
