//! Whether a request is signed as Standard Webhooks 1.0.0 says
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>).

use std::hint::black_box;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use http::HeaderMap;
use jiff::Timestamp;
use sha2::Sha256;
use shared::http::Request;
use shared::record::MAX_LIVE_SECRETS;

/// The largest body. The specification recommends at most 20 KB.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// How far the timestamp may be from our clock, both ways: the tolerance of the reference implementations
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/index.ts>).
const TOLERANCE_S: u64 = 300;

/// The longest id. It is hashed, so this only bounds what is signed.
const MAX_ID_CHARS: usize = 256;

/// The version of symmetric signatures. Others (`v1a`) are passed over.
const VERSION: &str = "v1,";

/// The length of an HMAC-SHA256.
const SIGNATURE_BYTES: usize = 32;

/// What a signature is compared with where there is no secret. It makes nothing valid.
const NO_SECRET: &[u8] = &[0; 32];

/// A request that could be signed: it is complete and recent. Whether it is signed is not known yet.
pub(in crate::intake) struct Delivery {
    /// `webhook-id`, the same for each attempt of the sender to deliver this report.
    pub(in crate::intake) id: String,
    /// The body as it was signed.
    pub(in crate::intake) body: Vec<u8>,
    timestamp: String,
    signatures: Vec<[u8; SIGNATURE_BYTES]>,
}

/// Why a request is not taken. Callers are told the same whatever it is; the log has the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::intake) enum Refusal {
    /// A header is missing or not of its form, or there is no signature that could be one.
    Malformed,
    /// The timestamp is too far from our clock.
    Stale,
    /// The body is too large.
    TooLarge,
    /// There is no such sender.
    UnknownSender,
    /// No signature is by one of the sender's secrets.
    WrongSignature,
}

impl Refusal {
    /// The word in the log.
    pub(in crate::intake) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Stale => "stale",
            Self::TooLarge => "too_large",
            Self::UnknownSender => "unknown_sender",
            Self::WrongSignature => "wrong_signature",
        }
    }
}

impl Delivery {
    /// Reads a request. Nothing is looked up for it before this has succeeded.
    ///
    /// # Errors
    /// Why it cannot be signed.
    pub(in crate::intake) fn from_request(request: &Request, now: Timestamp) -> Result<Self, Refusal> {
        let id = header(&request.headers, "webhook-id").ok_or(Refusal::Malformed)?;
        let timestamp = header(&request.headers, "webhook-timestamp").ok_or(Refusal::Malformed)?;
        let signatures = header(&request.headers, "webhook-signature").map(signatures).unwrap_or_default();
        // With a full stop in it, the text that is signed could be cut at another place.
        let is_id = (1..=MAX_ID_CHARS).contains(&id.len()) && !id.contains('.');
        let is_timestamp = (1..=12).contains(&timestamp.len()) && timestamp.bytes().all(|byte| byte.is_ascii_digit());
        if !is_id || !is_timestamp || signatures.is_empty() {
            return Err(Refusal::Malformed);
        }
        let signed_at: i64 = timestamp.parse().map_err(|_| Refusal::Malformed)?;
        if signed_at.abs_diff(now.as_second()) > TOLERANCE_S {
            return Err(Refusal::Stale);
        }
        Ok(Self { body: raw_body(request)?, id: id.to_owned(), timestamp: timestamp.to_owned(), signatures })
    }

    /// Whether one of the signatures is by one of these secrets.
    ///
    /// It takes as long whoever signed, and as many signatures are computed however many secrets there are, so that the time
    /// tells neither how much of a signature is right nor whether there is such a sender.
    pub(in crate::intake) fn is_signed_by<'a>(&self, secrets: impl IntoIterator<Item = &'a [u8]>) -> bool {
        let mut secrets = secrets.into_iter();
        let mut is_signed = false;
        for _ in 0..MAX_LIVE_SECRETS {
            let secret = secrets.next();
            let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.unwrap_or(NO_SECRET)) else { continue };
            for part in [self.id.as_bytes(), b".", self.timestamp.as_bytes(), b".", &self.body] {
                mac.update(part);
            }
            for signature in &self.signatures {
                // Compared in constant time (<https://docs.rs/hmac/0.13.0/hmac/trait.Mac.html#method.verify_slice>).
                // Opaque, or the compiler leaves out what it sees to be of no consequence.
                let is_equal = black_box(mac.clone().verify_slice(signature).is_ok());
                is_signed |= is_equal & secret.is_some();
            }
        }
        is_signed
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The signatures that could be ours: of version 1, in base64, and as long as one is. An empty one is none.
fn signatures(header: &str) -> Vec<[u8; SIGNATURE_BYTES]> {
    header
        .split(' ')
        .filter_map(|signature| STANDARD.decode(signature.strip_prefix(VERSION)?).ok()?.try_into().ok())
        .collect()
}

/// The body as the sender sent it. API Gateway hands bodies that are no text over in base64.
fn raw_body(request: &Request) -> Result<Vec<u8>, Refusal> {
    let text = request.body.as_deref().unwrap_or_default();
    let body = if request.is_base64_encoded {
        if text.len() > MAX_BODY_BYTES.div_ceil(3) * 4 {
            return Err(Refusal::TooLarge);
        }
        STANDARD.decode(text).map_err(|_| Refusal::Malformed)?
    } else {
        if text.len() > MAX_BODY_BYTES {
            return Err(Refusal::TooLarge);
        }
        text.as_bytes().to_vec()
    };
    if body.len() > MAX_BODY_BYTES { Err(Refusal::TooLarge) } else { Ok(body) }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    const ID: &str = "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk";
    const AT: i64 = 1_649_367_553;
    const BODY: &str = r#"{"email":"test@example.com","username":"test_user"}"#;
    const SIGNATURE: &str = "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=";

    fn secret() -> Vec<u8> {
        STANDARD.decode(SECRET).unwrap()
    }

    fn request(headers: &[(&'static str, &str)], body: &str) -> Request {
        let mut request = Request::default();
        for (name, value) in headers {
            request.headers.insert(*name, value.parse().unwrap());
        }
        request.body = Some(body.to_owned());
        request
    }

    fn vector() -> Request {
        request(&[("webhook-id", ID), ("webhook-timestamp", &AT.to_string()), ("webhook-signature", SIGNATURE)], BODY)
    }

    fn with(name: &'static str, value: &str) -> Request {
        let mut request = vector();
        request.headers.insert(name, value.parse().unwrap());
        request
    }

    fn without(name: &'static str) -> Request {
        let mut request = vector();
        request.headers.remove(name);
        request
    }

    /// What becomes of a request at the time of the vector: `signed`, or why it is refused.
    fn outcome_at(request: &Request, now: i64, secrets: &[Vec<u8>]) -> &'static str {
        match Delivery::from_request(request, Timestamp::from_second(now).unwrap()) {
            Err(refusal) => refusal.as_str(),
            Ok(delivery) if delivery.is_signed_by(secrets.iter().map(Vec::as_slice)) => "signed",
            Ok(_) => "wrong_signature",
        }
    }

    fn outcome(request: &Request) -> &'static str {
        outcome_at(request, AT, &[secret()])
    }

    fn sign(id: &str, at: &str, body: &[u8], key: &[u8]) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
        for part in [id.as_bytes(), b".", at.as_bytes(), b".", body] {
            mac.update(part);
        }
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }

    /// The vector of the specification's own tests:
    /// <https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/webhook.test.ts>.
    #[test]
    fn the_vector_is_signed_and_every_forgery_of_it_is_refused() {
        let other = sign(ID, &AT.to_string(), BODY.as_bytes(), b"another secret of enough bytes");
        let zeros = sign(ID, &AT.to_string(), BODY.as_bytes(), NO_SECRET);
        let cases = [
            ("as it is", vector(), "signed"),
            ("another before it", with("webhook-signature", &format!("{other} {SIGNATURE}")), "signed"),
            ("another behind it", with("webhook-signature", &format!("{SIGNATURE} {other}")), "signed"),
            ("other versions", with("webhook-signature", &format!("v1a,abc= v2,x v1, {SIGNATURE} ")), "signed"),
            ("of another secret", with("webhook-signature", &other), "wrong_signature"),
            ("of what stands for no secret", with("webhook-signature", &zeros), "wrong_signature"),
            ("two of another secret", with("webhook-signature", &format!("{other} {zeros}")), "wrong_signature"),
            ("empty", with("webhook-signature", "v1,"), "malformed"),
            ("empty ones", with("webhook-signature", "v1, v1, v1,"), "malformed"),
            ("nothing", with("webhook-signature", ""), "malformed"),
            ("blank", with("webhook-signature", " "), "malformed"),
            ("no version", with("webhook-signature", &SIGNATURE[3..]), "malformed"),
            ("another version", with("webhook-signature", &SIGNATURE.replace("v1", "v2")), "malformed"),
            ("an asymmetric version", with("webhook-signature", &SIGNATURE.replace("v1", "v1a")), "malformed"),
            ("truncated", with("webhook-signature", &SIGNATURE[..40]), "malformed"),
            ("without padding", with("webhook-signature", SIGNATURE.trim_end_matches('=')), "malformed"),
            ("too short", with("webhook-signature", &format!("v1,{}", STANDARD.encode([0; 31]))), "malformed"),
            ("too long", with("webhook-signature", &format!("v1,{}", STANDARD.encode([0; 33]))), "malformed"),
            ("no base64", with("webhook-signature", "v1,%%%%"), "malformed"),
            ("in the URL alphabet", with("webhook-signature", &SIGNATURE.replace(['/', '+'], "_")), "malformed"),
            ("in upper case", with("webhook-signature", &SIGNATURE.to_uppercase()), "malformed"),
            // API Gateway joins the values of a repeated header with commas.
            ("repeated", with("webhook-signature", &format!("{SIGNATURE},{SIGNATURE}")), "malformed"),
            ("no id", without("webhook-id"), "malformed"),
            ("no timestamp", without("webhook-timestamp"), "malformed"),
            ("no signature", without("webhook-signature"), "malformed"),
            ("an empty id", with("webhook-id", ""), "malformed"),
            ("another id", with("webhook-id", "msg_1"), "wrong_signature"),
            ("a long id", with("webhook-id", &"x".repeat(257)), "malformed"),
            ("another timestamp", with("webhook-timestamp", "1649367554"), "wrong_signature"),
            ("a signed timestamp", with("webhook-timestamp", "+1649367553"), "malformed"),
            ("a fraction", with("webhook-timestamp", "1649367553.0"), "malformed"),
            ("milliseconds", with("webhook-timestamp", "1649367553000"), "malformed"),
            ("zeros in front", with("webhook-timestamp", "01649367553"), "wrong_signature"),
            ("a date", with("webhook-timestamp", "2022-04-07T21:39:13Z"), "malformed"),
            ("no number", with("webhook-timestamp", ""), "malformed"),
            ("long ago", with("webhook-timestamp", "0"), "stale"),
        ];
        for (what, request, expected) in cases {
            assert_eq!(outcome(&request), expected, "{what}");
        }
        for body in ["", "{}", &format!("{BODY} "), &BODY.replace("test_user", "root")] {
            let mut request = vector();
            request.body = Some(body.to_owned());
            assert_eq!(outcome(&request), "wrong_signature", "{body}");
        }
    }

    #[test]
    fn the_parts_of_what_is_signed_cannot_be_moved() {
        let id = "msg_1.1649367553";
        let signature = sign(id, "1649367553", BODY.as_bytes(), &secret());
        let at = AT.to_string();
        let headers =
            |id| [("webhook-id", id), ("webhook-timestamp", at.as_str()), ("webhook-signature", signature.as_str())];
        assert_eq!(outcome(&request(&headers(id), BODY)), "malformed");
        // The same text, cut one full stop earlier: only a body that is no JSON object comes of it.
        let moved = request(&headers("msg_1"), &format!("1649367553.{BODY}"));
        assert_eq!(outcome(&moved), "signed");
    }

    #[test]
    fn a_timestamp_is_recent_for_five_minutes_both_ways() {
        for (offset, expected) in [(-301, "stale"), (-300, "signed"), (0, "signed"), (300, "signed"), (301, "stale")] {
            assert_eq!(outcome_at(&vector(), AT + offset, &[secret()]), expected, "{offset}");
        }
    }

    #[test]
    fn each_live_secret_signs_and_no_other() {
        let other = b"another secret of enough bytes".to_vec();
        let cases = [
            (vec![], "wrong_signature"),
            (vec![other.clone()], "wrong_signature"),
            (vec![other.clone(), secret()], "signed"),
            (vec![secret(), other.clone()], "signed"),
            (vec![other.clone(), other, secret()], "wrong_signature"),
        ];
        for (secrets, expected) in cases {
            assert_eq!(outcome_at(&vector(), AT, &secrets), expected, "{}", secrets.len());
        }
    }

    #[test]
    fn the_body_is_read_raw_and_is_bounded() {
        let mut encoded = vector();
        encoded.body = Some(STANDARD.encode(BODY));
        encoded.is_base64_encoded = true;
        assert_eq!(outcome(&encoded), "signed");
        encoded.body = Some("%".to_owned());
        assert_eq!(outcome(&encoded), "malformed");

        for (length, expected) in [(MAX_BODY_BYTES, "signed"), (MAX_BODY_BYTES + 1, "too_large")] {
            for is_base64_encoded in [false, true] {
                let body = "x".repeat(length);
                let at = AT.to_string();
                let signature = sign(ID, &at, body.as_bytes(), &secret());
                let mut request = with("webhook-signature", &signature);
                request.body = Some(if is_base64_encoded { STANDARD.encode(&body) } else { body });
                request.is_base64_encoded = is_base64_encoded;
                assert_eq!(outcome(&request), expected, "{length} {is_base64_encoded}");
            }
        }
        let mut none = with("webhook-signature", &sign(ID, &AT.to_string(), b"", &secret()));
        none.body = None;
        assert_eq!(outcome(&none), "signed");
    }

    #[test]
    fn header_names_have_no_case() {
        let event = serde_json::json!({
            "headers": { "Webhook-Id": ID, "WEBHOOK-TIMESTAMP": AT.to_string(), "webhook-signature": SIGNATURE },
            "requestContext": { "http": { "method": "POST" } },
            "body": BODY, "isBase64Encoded": false,
        });
        assert_eq!(outcome(&serde_json::from_value(event).unwrap()), "signed");
    }
}
