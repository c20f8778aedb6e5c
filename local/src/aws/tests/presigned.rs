//! Signatures in the query string, as a request to one of our own endpoints may have them.

use std::time::Duration;

use aws_sigv4::http_request::{SignableBody, SignableRequest, SignatureLocation, SigningSettings, sign};
use aws_sigv4::sign::v4;
use axum::http::{HeaderMap, HeaderValue, Request};
use chrono::{DateTime, Utc};

use super::fixtures::*;
use crate::aws::SignedRequest;
use crate::service::{Caller, ServiceError};

const HOST: &str = "127.0.0.1:9000";
const LIFETIME: Duration = Duration::from_secs(60);

/// The query string of a URL for `GET /policy` that is good for a minute.
fn presign(by: Credentials, body: &[u8], at: DateTime<Utc>) -> String {
    let mut settings = SigningSettings::default();
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFETIME);
    let identity = by.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("execute-api")
        .time(at.into())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("http://{HOST}/policy?style=classic");
    let signable = SignableRequest::new("GET", &url, [("host", HOST)].into_iter(), SignableBody::Bytes(body)).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut request = Request::builder().uri(url).body(()).unwrap();
    instructions.apply_to_request_http1x(&mut request);
    request.uri().query().unwrap().to_owned()
}

fn ask(world: &World, query: &str, body: &[u8]) -> Result<Caller, ServiceError> {
    let headers = HeaderMap::from_iter([("host".parse().unwrap(), HeaderValue::from_static(HOST))]);
    let request = SignedRequest { method: "GET", path: "/policy", query, headers: &headers, body };
    world.stand_in.authenticate("execute-api", &request)
}

#[tokio::test]
async fn a_presigned_url_says_who_signed_it_for_as_long_as_it_says() {
    let world = World::start().await;
    let now = Utc::now();
    assert!(ask(&world, &presign(operator(), b"", now), b"").unwrap().is_root());
    let session = world.session(&world.output("Worker"));
    let caller = ask(&world, &presign(session, b"", now), b"").unwrap();
    assert!(caller.arn().contains(":assumed-role/"), "{}", caller.arn());

    let old = ask(&world, &presign(operator(), b"", now - chrono::Duration::seconds(61)), b"");
    assert!(matches!(old, Err(ServiceError::Stale { .. })), "{:?}", old.err());
}

#[tokio::test]
async fn a_presigned_url_covers_its_query_and_the_body() {
    let world = World::start().await;
    let url = presign(operator(), b"", Utc::now());
    for (query, body) in [(url.replace("classic", "modern"), &b""[..]), (url, &b"{}"[..])] {
        let refused = ask(&world, &query, body);
        assert!(matches!(refused, Err(ServiceError::WrongSignature)), "{:?}", refused.err());
    }
    let stolen = world.session(&world.output("Worker"));
    let tokenless = Credentials::new(stolen.access_key_id(), stolen.secret_access_key(), None, None, "test");
    let refused = ask(&world, &presign(tokenless, b"", Utc::now()), b"");
    assert!(matches!(refused, Err(ServiceError::UnknownKey)), "{:?}", refused.err());
    let unsigned = ask(&world, "style=classic", b"");
    assert!(matches!(unsigned, Err(ServiceError::Unsigned)), "{:?}", unsigned.err());
}
