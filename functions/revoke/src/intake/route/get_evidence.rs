//! `GET /revocations/{order_id}/evidence?page=&previous=`: everything about an order as JSON lines, with a digest chain.
//!
//! Each line is `{"digest": …, "record": …}`. `digest` is the SHA-256, in hexadecimal, of the digest of the line before (empty
//! for the first) and of the record as JSON without blanks and with sorted keys. README has the lines of shell that verify
//! it. A large order comes in several responses: `previous` carries the last digest over.

use aws_lambda_events::encodings::Body;
use http::HeaderValue;
use http::header::{CONTENT_TYPE, LINK};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};

use super::get_revocation::{first_page, next_page};
use crate::intake::Intake;

/// The lines so far, and the digest of the last.
#[derive(Debug, Default)]
struct DigestChain {
    lines: String,
    digest: String,
}

/// One line.
#[derive(Serialize)]
struct Line<'a> {
    digest: &'a str,
    record: &'a Value,
}

impl DigestChain {
    /// A chain that goes on after this digest.
    fn after(digest: String) -> Self {
        Self { lines: String::new(), digest }
    }

    fn add(&mut self, record: &Value) {
        // A map of serde_json is sorted by its keys.
        let digest = Sha256::digest(format!("{}{record}", self.digest));
        self.digest = base16ct::lower::encode_string(&digest);
        let line = json!(Line { digest: &self.digest, record });
        self.lines.push_str(&line.to_string());
        self.lines.push('\n');
    }
}

impl Intake {
    pub(super) async fn get_evidence(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let query = QueryParameters::from_request(request, &["page", "previous"])?;
        let (page, previous) = (first_page(&query)?, query.get("previous").unwrap_or_default());
        if !previous.bytes().all(|byte| byte.is_ascii_hexdigit()) || ![0, 64].contains(&previous.len()) {
            return Err(invalid("previous", "must be the digest of the last line before"));
        }
        let order = self.requested_order(request, log).await?;
        let mut chain = DigestChain::after(previous);
        if page == 1 {
            chain.add(&json!({ "type": "order", "order": order }));
        }
        for (access_key_id, key) in self.providers.keys(&self.keys_on_pages(&order, page).await?).await? {
            chain.add(&json!({ "type": "key", "access_key_id": access_key_id, "key": key }));
            let Some(owner) = key.and_then(|key| key.owner) else { continue };
            for event in self.providers.audit_trail(&owner.provider_id).await? {
                chain.add(&json!({ "type": "audit", "provider_id": owner.provider_id, "event": event }));
            }
        }
        log.outcome("exported");
        let mut response = respond(200, &());
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/jsonl"));
        if let Some(next) = next_page(&order, page) {
            let link = format!(
                "</revocations/{}/evidence?page={next}&previous={}>; rel=\"next\"",
                order.order_id, chain.digest
            );
            if let Ok(link) = HeaderValue::from_str(&link) {
                response.headers.insert(LINK, link);
            }
        }
        response.body = Some(Body::Text(chain.lines));
        Ok(response)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_covers_its_record_and_all_before() {
        let mut chain = DigestChain::default();
        chain.add(&json!({"b": 1, "a": "é"}));
        // printf '%s' '{"a":"é","b":1}' | sha256sum
        let first = "aa58fba8483623bed37c1b02edfccbdd9a53123837c20bfa4cb4049993a2872e";
        let line: Value = serde_json::from_str(chain.lines.lines().next().unwrap()).unwrap();
        assert_eq!(line["record"], json!({"a": "é", "b": 1}));
        assert_eq!(line["digest"], first);
        let mut continued = DigestChain::after(chain.digest.clone());
        continued.add(&json!(2));
        chain.add(&json!(2));
        assert_eq!(chain.digest, continued.digest);
        let mut other = DigestChain::default();
        other.add(&json!(2));
        assert_ne!(other.digest, chain.digest);
    }
}
