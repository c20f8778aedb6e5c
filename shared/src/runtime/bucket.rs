//! A bucket of our own account, of which objects are read whole, listed and deleted.
//!
//! There is no SDK client for it: its four requests are built by hand (`RequestSigner`).

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse, OrchestratorError};
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::error::ErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_smithy_xml::decode::{Document, try_data};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use thiserror::Error;

use super::{Environment, MissingVariable, RequestSigner};

/// The longest that one attempt to read an object may take: 28 MB at 35 Mbit a second.
const READ_TIMEOUT: Duration = Duration::from_secs(6);

/// The longest that one attempt of anything else may take.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(2);

/// What is left as it is in a path (S3 API reference, "Create a canonical request", `UriEncode`).
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~').remove(b'/');

/// The same in a query.
const QUERY: &AsciiSet = &PATH.add(b'/');

/// A bucket.
pub struct Bucket {
    credentials: Credentials,
    region: String,
    /// The scheme and host that keys are below, and the path before them.
    endpoint: String,
    prefix: String,
    http: SharedHttpClient,
}

/// What is known of an object before it is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectHead {
    /// Its length in bytes.
    pub size: u64,
    /// Its entity tag, without quotes.
    pub etag: String,
}

/// An object was not read. It names no key: a key may be an address.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum BucketError {
    /// There is no such object.
    #[error("S3 {operation}: there is no such object")]
    Missing {
        /// The operation.
        operation: &'static str,
    },
    /// It has another entity tag.
    #[error("S3 {operation}: the object has changed")]
    Changed {
        /// The operation.
        operation: &'static str,
    },
    /// S3 did not answer, or refused for another reason.
    #[error("S3 {operation}: {problem}")]
    Unavailable {
        /// The operation.
        operation: &'static str,
        /// The status, or that there was none.
        problem: String,
    },
}

/// One of the requests: of an object by its key, or of the keys that begin so.
#[derive(Clone, Copy)]
enum BucketRequest<'a> {
    Head(&'a str),
    Get { key: &'a str, etag: &'a str },
    List { prefix: &'a str },
    Delete(&'a str),
}

/// What S3 answered. It has no contents in `Debug`: they are a mail's.
struct BucketAnswer {
    size: Option<u64>,
    etag: Option<String>,
    bytes: Vec<u8>,
}

impl fmt::Debug for BucketAnswer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("BucketAnswer")
    }
}

impl BucketRequest<'_> {
    fn operation(self) -> &'static str {
        match self {
            Self::Head(_) => "HeadObject",
            Self::Get { .. } => "GetObject",
            Self::List { .. } => "ListObjectsV2",
            Self::Delete(_) => "DeleteObject",
        }
    }

    fn method(self) -> &'static str {
        match self {
            Self::Head(_) => "HEAD",
            Self::Get { .. } | Self::List { .. } => "GET",
            Self::Delete(_) => "DELETE",
        }
    }

    fn attempt_timeout(self) -> Duration {
        match self {
            Self::Get { .. } => READ_TIMEOUT,
            Self::Head(_) | Self::List { .. } | Self::Delete(_) => ATTEMPT_TIMEOUT,
        }
    }

    /// What comes after the bucket.
    fn path_and_query(self) -> String {
        match self {
            Self::Head(key) | Self::Get { key, .. } | Self::Delete(key) => utf8_percent_encode(key, PATH).to_string(),
            Self::List { prefix } => {
                // Not every character of a key can be written in XML.
                format!("?list-type=2&encoding-type=url&prefix={}", utf8_percent_encode(prefix, QUERY))
            }
        }
    }
}

impl Bucket {
    /// The bucket of this name, in the Region and with the credentials of the environment.
    ///
    /// # Errors
    /// A variable that Lambda sets is missing.
    pub fn new(environment: &Environment, http: &SharedHttpClient, name: &str) -> Result<Self, MissingVariable> {
        let region = environment.required("AWS_REGION")?;
        let own = environment.optional("AWS_ENDPOINT_URL_S3").or_else(|| environment.optional("AWS_ENDPOINT_URL"));
        // AWS General Reference, "Amazon S3 endpoints".
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let (endpoint, prefix) = match own {
            Some(endpoint) => (endpoint.to_owned(), format!("/{name}")),
            None => (format!("https://{name}.s3.{region}.{suffix}"), String::new()),
        };
        let credentials = Credentials::new(
            environment.required("AWS_ACCESS_KEY_ID")?,
            environment.required("AWS_SECRET_ACCESS_KEY")?,
            environment.optional("AWS_SESSION_TOKEN").map(str::to_owned),
            None,
            "Environment",
        );
        Ok(Self { credentials, region, endpoint, prefix, http: http.clone() })
    }

    /// The length and the entity tag of an object.
    ///
    /// # Errors
    /// It is not there, or S3 does not say.
    pub async fn head(&self, key: &str) -> Result<ObjectHead, BucketError> {
        let asked = BucketRequest::Head(key);
        let answer = self.ask(asked).await?;
        let head = answer.size.zip(answer.etag).map(|(size, etag)| ObjectHead { size, etag });
        head.ok_or_else(|| unavailable(asked, "an answer without length or entity tag"))
    }

    /// The bytes of an object that still has this entity tag.
    ///
    /// # Errors
    /// It is not there or has changed, or S3 does not answer.
    pub async fn get(&self, key: &str, etag: &str) -> Result<Vec<u8>, BucketError> {
        Ok(self.ask(BucketRequest::Get { key, etag }).await?.bytes)
    }

    /// Keys that begin so, the first thousand of them (S3 API reference, ListObjectsV2).
    ///
    /// # Errors
    /// S3 does not answer.
    pub async fn list(&self, prefix: &str) -> Result<Vec<String>, BucketError> {
        let asked = BucketRequest::List { prefix };
        let answer = self.ask(asked).await?;
        keys(&String::from_utf8_lossy(&answer.bytes))
            .ok_or_else(|| unavailable(asked, "an answer that is no whole list"))
    }

    /// Deletes an object, if it is there.
    ///
    /// # Errors
    /// S3 does not answer.
    pub async fn delete(&self, key: &str) -> Result<(), BucketError> {
        self.ask(BucketRequest::Delete(key)).await?;
        Ok(())
    }

    async fn ask(&self, asked: BucketRequest<'_>) -> Result<BucketAnswer, BucketError> {
        let operation = asked.operation();
        let path = format!("{}/{}", self.prefix, asked.path_and_query());
        let wanted = match asked {
            BucketRequest::Get { etag, .. } => Some(format!("\"{etag}\"")),
            BucketRequest::Head(_) | BucketRequest::List { .. } | BucketRequest::Delete(_) => None,
        };
        let method = asked.method();
        let signer = RequestSigner {
            credentials: self.credentials.clone(),
            region: self.region.clone(),
            service: "s3",
            body: String::new(),
        };
        let call = signer
            .operation(operation, self.http.clone(), &self.endpoint)
            .standard_retry(&RetryConfig::standard().with_max_attempts(3))
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(1))
                    .operation_attempt_timeout(asked.attempt_timeout())
                    .build(),
            )
            .serializer(move |(): ()| unsigned(method, &path, wanted.as_deref()))
            .deserializer(read_answer)
            .build();
        call.invoke(()).await.map_err(|error| {
            let status = error.raw_response().map(|response| response.status().as_u16());
            match status {
                Some(404) => BucketError::Missing { operation },
                Some(412) => BucketError::Changed { operation },
                Some(status) => unavailable(asked, &format!("status {status}")),
                None => unavailable(asked, "no answer"),
            }
        })
    }
}

fn unavailable(asked: BucketRequest<'_>, problem: &str) -> BucketError {
    BucketError::Unavailable { operation: asked.operation(), problem: problem.to_owned() }
}

fn unsigned(method: &'static str, path: &str, if_match: Option<&str>) -> Result<HttpRequest, BoxError> {
    let mut http = HttpRequest::new(SdkBody::empty());
    http.set_method(method)?;
    http.set_uri(path)?;
    http.headers_mut().insert("user-agent", super::USER_AGENT);
    if let Some(etag) = if_match {
        http.headers_mut().insert("if-match", etag.to_owned());
    }
    Ok(http)
}

fn read_answer(response: &HttpResponse) -> Result<BucketAnswer, OrchestratorError<ErrorMetadata>> {
    if !response.status().is_success() {
        return Err(OrchestratorError::operation(ErrorMetadata::builder().build()));
    }
    Ok(BucketAnswer {
        size: response.headers().get("content-length").and_then(|size| size.parse().ok()),
        etag: response.headers().get("etag").map(|etag| etag.trim_matches('"').to_owned()),
        bytes: response.body().bytes().unwrap_or_default().to_vec(),
    })
}

/// The keys in a list: `Key` in each `Contents`, as many as `KeyCount` says, encoded as in a URL's query (S3 API reference, ListObjectsV2,
/// "Response Syntax"). `None` for what is no list or not all of it.
fn keys(list: &str) -> Option<Vec<String>> {
    let mut document = Document::new(list);
    let mut root = document.root_element().ok().filter(|root| root.start_el().matches("ListBucketResult"))?;
    let (mut keys, mut count) = (Vec::new(), None);
    while let Some(mut element) = root.next_tag() {
        if element.start_el().matches("KeyCount") {
            count = try_data(&mut element).ok()?.parse::<usize>().ok();
        } else if element.start_el().matches("Contents") {
            while let Some(mut field) = element.next_tag() {
                if field.start_el().matches("Key") {
                    let encoded = try_data(&mut field).ok()?.replace('+', " ");
                    keys.push(percent_decode_str(&encoded).decode_utf8().ok()?.into_owned());
                }
            }
        }
    }
    (count == Some(keys.len())).then_some(keys)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::testing::fake_aws;

    const VARIABLES: [(&str, &str); 3] =
        [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "ASIAQ"), ("AWS_SECRET_ACCESS_KEY", "s")];

    /// What a bucket answers to a HEAD that S3 answers with `status`, and the URIs that it asked.
    async fn asked(status: u16, more: &[(&str, &str)]) -> (Result<ObjectHead, BucketError>, Vec<String>) {
        let uris = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&uris);
        let http = fake_aws(move |request| {
            seen.lock().unwrap().push(request.uri);
            std::future::ready((status, String::new()))
        });
        let variables: Vec<_> = VARIABLES.into_iter().chain(more.iter().copied()).collect();
        let bucket = Bucket::new(&Environment::from_variables(&variables), &http, "files").unwrap();
        let answer = bucket.head("acme/ä (1)+%.pdf").await;
        let uris = uris.lock().unwrap().clone();
        (answer, uris)
    }

    #[tokio::test(start_paused = true)]
    async fn a_key_is_encoded_below_the_bucket_s_host_or_the_endpoint_of_the_environment() {
        let encoded = "acme/%C3%A4%20%281%29%2B%25.pdf";
        let (_, uris) = asked(200, &[]).await;
        assert_eq!(uris, [format!("https://files.s3.eu-central-1.amazonaws.com/{encoded}")]);
        let (_, uris) = asked(200, &[("AWS_ENDPOINT_URL", "http://127.0.0.1:1")]).await;
        assert_eq!(uris, [format!("http://127.0.0.1:1/files/{encoded}")]);
        let (_, uris) = asked(200, &[("AWS_REGION", "cn-north-1")]).await;
        assert_eq!(uris, [format!("https://files.s3.cn-north-1.amazonaws.com.cn/{encoded}")]);
    }

    fn list_of(count: usize, contents: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>files</Name>\
             <Prefix>a%26b/</Prefix><KeyCount>{count}</KeyCount><MaxKeys>1000</MaxKeys>{contents}</ListBucketResult>"
        )
    }

    #[tokio::test]
    async fn what_begins_so_is_listed_and_deleted() {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        let http = fake_aws(move |request| {
            seen.lock().unwrap().push(request.uri);
            let list = list_of(
                2,
                "<Contents><Key>a%26b/1+%C3%A4%2B.pdf</Key><Size>1</Size></Contents><Contents><Key>a%26b/%01</Key></Contents>",
            );
            std::future::ready((200, list))
        });
        let bucket = Bucket::new(&Environment::from_variables(&VARIABLES), &http, "files").unwrap();
        assert_eq!(bucket.list("a&b/").await.unwrap(), ["a&b/1 ä+.pdf", "a&b/\u{1}"]);
        bucket.delete("a&b/1 ä.pdf").await.unwrap();
        let host = "https://files.s3.eu-central-1.amazonaws.com";
        let expected =
            [format!("{host}/?list-type=2&encoding-type=url&prefix=a%26b%2F"), format!("{host}/a%26b/1%20%C3%A4.pdf")];
        assert_eq!(*asked.lock().unwrap(), expected);
    }

    #[test]
    fn what_is_no_whole_list_is_not_an_empty_one() {
        let one = "<Contents><Key>a/1</Key></Contents>";
        assert_eq!(keys(&list_of(1, one)), Some(vec!["a/1".to_owned()]));
        assert_eq!(keys(&list_of(0, "")), Some(Vec::new()));
        let cut = list_of(1, one).split_once("<Key>").unwrap().0.to_owned();
        for no_list in ["", "no list", "<a/>", "<html><body>busy</body></html>", &list_of(2, one), &cut] {
            assert_eq!(keys(no_list), None, "{no_list}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_not_there_is_told_from_what_does_not_answer() {
        let operation = "HeadObject";
        for (status, expected, requests) in [
            (404, BucketError::Missing { operation }, 1),
            (412, BucketError::Changed { operation }, 1),
            (403, BucketError::Unavailable { operation, problem: "status 403".to_owned() }, 1),
            (503, BucketError::Unavailable { operation, problem: "status 503".to_owned() }, 3),
        ] {
            let (answer, uris) = asked(status, &[]).await;
            assert_eq!((answer, uris.len()), (Err(expected), requests), "{status}");
        }
        let (answer, _) = asked(200, &[]).await;
        assert!(matches!(answer, Err(BucketError::Unavailable { .. })), "{answer:?}");
    }
}
