//! Amazon S3, by requests that are signed as the SDKs sign them.

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use chrono::Utc;
use reqwest::Method;

use super::fixtures::*;

/// Status, ETag and body of an answer.
#[derive(Debug)]
struct ObjectAnswer {
    status: u16,
    etag: String,
    body: Vec<u8>,
}

impl ObjectAnswer {
    fn code(&self) -> String {
        let text = String::from_utf8_lossy(&self.body);
        let code = text.split_once("<Code>").and_then(|(_, rest)| rest.split_once("</Code>"));
        code.map(|(code, _)| code.to_owned()).unwrap_or_default()
    }
}

async fn ask(
    world: &World,
    by: Credentials,
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> ObjectAnswer {
    let mut settings = SigningSettings::default();
    settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    let identity = by.into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("s3")
        .time(Utc::now().into())
        .settings(settings)
        .build()
        .unwrap()
        .into();
    let url = format!("{}{path}", world.stand_in.endpoint());
    let is_chunked = headers.iter().any(|(name, _)| *name == "content-encoding");
    let signable_body = match is_chunked {
        true => SignableBody::StreamingUnsignedPayloadTrailer,
        false => SignableBody::Bytes(body),
    };
    let signable = SignableRequest::new(method.as_str(), &url, headers.iter().copied(), signable_body).unwrap();
    let (instructions, _) = sign(signable, &parameters).unwrap().into_parts();
    let mut request = reqwest::Client::new().request(method, &url).body(body.to_vec());
    for (name, value) in headers.iter().copied().chain(instructions.headers()) {
        request = request.header(name, value);
    }
    let answer = request.send().await.unwrap();
    let etag = answer.headers().get("etag").map(|etag| etag.to_str().unwrap().to_owned()).unwrap_or_default();
    ObjectAnswer { status: answer.status().as_u16(), etag, body: answer.bytes().await.unwrap().to_vec() }
}

#[tokio::test]
async fn an_object_is_put_read_and_deleted_under_any_key() {
    let world = World::start().await;
    let files = world.output("Files");
    let path = format!("/{files}/acme/2026%20%28a%29/%C3%BC.pdf");
    let put = ask(&world, operator(), Method::PUT, &path, &[], b"content").await;
    assert_eq!((put.status, put.etag.len()), (200, 34), "{put:?}");
    let got = ask(&world, operator(), Method::GET, &path, &[("if-match", &put.etag)], b"").await;
    assert_eq!((got.status, got.body.as_slice(), got.etag.as_str()), (200, &b"content"[..], put.etag.as_str()));
    let head = ask(&world, operator(), Method::HEAD, &path, &[], b"").await;
    assert_eq!((head.status, head.etag), (200, put.etag.clone()));
    let other = ask(&world, operator(), Method::PUT, &path, &[], b"other").await;
    assert_ne!(other.etag, put.etag);
    let changed = ask(&world, operator(), Method::GET, &path, &[("if-match", &put.etag)], b"").await;
    assert_eq!((changed.status, changed.code().as_str()), (412, "PreconditionFailed"));
    assert_eq!(ask(&world, operator(), Method::DELETE, &path, &[], b"").await.status, 204);
    let gone = ask(&world, operator(), Method::GET, &path, &[], b"").await;
    assert_eq!((gone.status, gone.code().as_str()), (404, "NoSuchKey"));
    let nowhere = ask(&world, operator(), Method::GET, "/no-such-bucket/a", &[], b"").await;
    assert_eq!((nowhere.status, nowhere.code().as_str()), (404, "NoSuchBucket"));
}

#[tokio::test]
async fn an_object_may_be_sent_in_chunks() {
    let world = World::start().await;
    let path = format!("/{}/acme/a", world.output("Files"));
    let headers = [("content-encoding", "aws-chunked"), ("x-amz-decoded-content-length", "7")];
    let body = b"4\r\ncont\r\n3\r\nent\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
    assert_eq!(ask(&world, operator(), Method::PUT, &path, &headers, body).await.status, 200);
    assert_eq!(ask(&world, operator(), Method::GET, &path, &[], b"").await.body, b"content");
    let cut = ask(&world, operator(), Method::PUT, &path, &headers, b"ff\r\ncont").await;
    assert_eq!((cut.status, cut.code().as_str()), (400, "IncompleteBody"));
}

#[tokio::test]
async fn policies_say_who_reads_and_who_learns_that_there_is_nothing() {
    let world = World::start().await;
    let files = world.output("Files");
    let (reader, worker) = (world.session(&world.output("Reader")), world.session(&world.output("Worker")));
    for key in ["own/a", "theirs/a"] {
        ask(&world, operator(), Method::PUT, &format!("/{files}/{key}"), &[], b"x").await;
    }
    let get = |by: &Credentials, key: &str| {
        let path = format!("/{files}/{key}");
        let (world, by) = (&world, by.clone());
        async move {
            let answer = ask(world, by, Method::GET, &path, &[], b"").await;
            (answer.status, answer.code())
        }
    };
    assert_eq!(get(&worker, "own/a").await, (200, String::new()));
    assert_eq!(get(&worker, "theirs/a").await, (403, "AccessDenied".to_owned()));
    assert_eq!(get(&reader, "own/none").await, (404, "NoSuchKey".to_owned()));
    // Who may not list is not told that there is nothing.
    assert_eq!(get(&worker, "own/none").await, (403, "AccessDenied".to_owned()));
    let closed = ask(&world, reader.clone(), Method::PUT, &format!("/{files}/closed/a"), &[], b"x").await;
    assert_eq!((closed.status, closed.code().as_str()), (403, "AccessDenied"));
    // Another account needs the bucket's policy too, whatever its own allows.
    let everything =
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]});
    let tenant = world.tenant(json!({"policies": [everything]}));
    assert_eq!(get(&tenant.credentials(), "own/a").await, (403, "AccessDenied".to_owned()));
}
