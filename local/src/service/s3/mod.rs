//! S3: the buckets of a stack and their objects, by path-style requests. An account that has none can still ask for a list.

mod bucket;
mod chunked;
mod store;

use std::sync::Arc;

use async_trait::async_trait;
use axum::http::{Method, StatusCode, header};
use fakecloud_aws::xml::xml_escape;
use fakecloud_core::auth::ResourcePolicyProvider;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

pub(crate) use self::bucket::BucketResource;
use self::store::{Object, Store};
use super::call::Call;
use super::error::{AccessDenied, ErrorWording, FixedError, ServiceError, UnknownKeyWording};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::template::Stack;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[bucket::RESOURCE_TYPE, bucket::POLICY_TYPE], start: S3::start };

/// The largest object of one PutObject: <https://docs.aws.amazon.com/AmazonS3/latest/userguide/upload-objects.html>.
const MAX_OBJECT_BYTES: usize = 5 * 1024 * 1024 * 1024;

/// What a key is written as with `encoding-type=url`: as Java's URLEncoder does, but for slashes (the SDKs decode it so).
const KEY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'*').remove(b'/');

/// The most keys of a list (S3 API reference, ListObjectsV2).
const MAX_KEYS: usize = 1_000;

/// S3 API reference, "Error responses", has the codes and texts.
const WORDING: ErrorWording = ErrorWording {
    throttled: FixedError::new(StatusCode::SERVICE_UNAVAILABLE, "SlowDown", "Please reduce your request rate."),
    internal: FixedError::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "InternalError",
        "We encountered an internal error. Please try again.",
    ),
    unknown_key: UnknownKeyWording::Whole(FixedError::new(
        StatusCode::FORBIDDEN,
        "InvalidAccessKeyId",
        "The AWS Access Key Id you provided does not exist in our records.",
    )),
    not_subscribed: FixedError::new(
        StatusCode::FORBIDDEN,
        "NotSignedUp",
        "Your account is not signed up for the Amazon S3 service. You must sign up before you can use Amazon S3.",
    ),
    denial: AccessDenied::sentence_without_resource,
};

/// S3 of all accounts.
pub(crate) struct S3 {
    store: Arc<Store>,
    setup: Setup,
}

impl S3 {
    fn start(setup: &Setup, _services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        Ok(Arc::new(Self { store: Arc::default(), setup: setup.clone() }))
    }

    fn get(&self, call: &Call, (bucket, key): (&str, &str)) -> Result<ServiceResponse, ServiceError> {
        let Some(object) = self.store.object(bucket, key) else {
            return Err(refuse(StatusCode::NOT_FOUND, "NoSuchKey", "The specified key does not exist."));
        };
        let wanted = call.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        if wanted.is_some_and(|wanted| wanted != object.etag) {
            let text = "At least one of the pre-conditions you specified did not hold";
            return Err(refuse(StatusCode::PRECONDITION_FAILED, "PreconditionFailed", text));
        }
        Ok(answer_of(call, &object))
    }

    /// S3 API reference, ListObjectsV2, "Response Syntax", without what nobody here reads.
    fn list(&self, call: &Call) -> Result<ServiceResponse, ServiceError> {
        let bucket = call.segments.first().map_or("", String::as_str);
        if !self.store.has_bucket(bucket) {
            return Err(no_such_bucket());
        }
        let prefix = call.parameters.get("prefix").map_or("", String::as_str);
        let (keys, is_more) = self.store.keys(bucket, prefix, MAX_KEYS);
        let is_encoded = call.parameters.get("encoding-type").is_some_and(|it| it == "url");
        let written = |key: &str| match is_encoded {
            true => utf8_percent_encode(key, KEY).to_string().replace("%20", "+"),
            false => xml_escape(key),
        };
        let contents: String =
            keys.iter().map(|key| format!("<Contents><Key>{}</Key></Contents>", written(key))).collect();
        let xml = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListBucketResult \
             xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>{bucket}</Name><Prefix>{}</Prefix>\
             <KeyCount>{}</KeyCount><MaxKeys>{MAX_KEYS}</MaxKeys><IsTruncated>{is_more}</IsTruncated>{contents}\
             </ListBucketResult>",
            written(prefix),
            keys.len(),
        );
        Ok(ServiceResponse::xml(call, xml))
    }

    fn put(&self, call: &Call, (bucket, key): (&str, &str)) -> Result<ServiceResponse, ServiceError> {
        let content = chunked::content(call).ok_or_else(|| {
            refuse(StatusCode::BAD_REQUEST, "IncompleteBody", "The request body terminated unexpectedly")
        })?;
        if content.len() > MAX_OBJECT_BYTES {
            let text = "Your proposed upload exceeds the maximum allowed size";
            return Err(refuse(StatusCode::BAD_REQUEST, "EntityTooLarge", text));
        }
        let object = Object::new(content);
        let mut response = ServiceResponse::xml(call, String::new());
        response.set(header::ETAG, &object.etag);
        self.store.put(bucket, key, object);
        Ok(response)
    }
}

#[async_trait]
impl StandInService for S3 {
    fn names(&self) -> &'static [&'static str] {
        &["s3"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        for bucket in stack.all::<BucketResource>() {
            self.store.create_bucket(bucket, &self.setup.account_id);
        }
        Ok(())
    }

    async fn run(self: Arc<Self>) {
        self.store.expire().await;
    }

    fn name_operation(&self, call: &mut Call) {
        let operation = match (&call.method, object_of(call)) {
            (&Method::GET, None) if call.segments.is_empty() => "ListBuckets",
            (&Method::GET, None) if is_list(call) => "ListObjectsV2",
            (&Method::GET, Some(_)) => "GetObject",
            (&Method::HEAD, Some(_)) => "HeadObject",
            (&Method::PUT, Some(_)) => "PutObject",
            (&Method::DELETE, Some(_)) => "DeleteObject",
            _ => return,
        };
        if call.operation.is_empty() {
            operation.clone_into(&mut call.operation);
        }
    }

    fn fault_targets(&self, call: &Call) -> Vec<String> {
        call.segments.first().cloned().into_iter().collect()
    }

    fn error_wording(&self) -> ErrorWording {
        WORDING
    }

    /// Actions and resources as "Actions, resources, and condition keys for Amazon S3" has them: HeadObject needs s3:GetObject.
    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let call = request.call;
        let action = match call.operation.as_str() {
            "ListBuckets" => return vec![RequiredPermission::new("s3:ListAllMyBuckets", "*")],
            "ListObjectsV2" => {
                let bucket = call.segments.first().map_or("", String::as_str);
                let mut permission = RequiredPermission::new("s3:ListBucket", format!("arn:aws:s3:::{bucket}"));
                if let Some(prefix) = call.parameters.get("prefix") {
                    permission.condition_keys.insert("s3:prefix".to_owned(), vec![prefix.clone()]);
                }
                return vec![permission];
            }
            "GetObject" | "HeadObject" => "s3:GetObject",
            "PutObject" => "s3:PutObject",
            "DeleteObject" => "s3:DeleteObject",
            _ => return Vec::new(),
        };
        let Some((bucket, key)) = object_of(call) else { return Vec::new() };
        let mut permissions = vec![RequiredPermission::new(action, format!("arn:aws:s3:::{bucket}/{key}"))];
        // "If the object you request doesn't exist, the error that Amazon S3 returns depends on whether you also have the
        // s3:ListBucket permission": without it, it is 403 (S3 API reference, GetObject).
        if action == "s3:GetObject" && self.store.object(&bucket, &key).is_none() {
            permissions.push(RequiredPermission::new("s3:ListBucket", format!("arn:aws:s3:::{bucket}")));
        }
        permissions
    }

    fn resource_policies(&self) -> Option<Arc<dyn ResourcePolicyProvider>> {
        Some(self.store.clone())
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let call = request.call;
        if is_list(call) {
            return self.list(call);
        }
        let Some((bucket, key)) = object_of(call) else {
            let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult \
                       xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Buckets></Buckets></ListAllMyBucketsResult>";
            return Ok(ServiceResponse::xml(call, xml.to_owned()));
        };
        if !self.store.has_bucket(&bucket) {
            return Err(no_such_bucket());
        }
        let name = (bucket.as_str(), key.as_str());
        match call.operation.as_str() {
            "PutObject" => self.put(call, name),
            "DeleteObject" => {
                self.store.delete(&bucket, &key);
                let mut response = ServiceResponse::xml(call, String::new());
                response.status = StatusCode::NO_CONTENT;
                Ok(response)
            }
            _ => self.get(call, name),
        }
    }
}

/// Whether a call asks for the keys of a bucket.
fn is_list(call: &Call) -> bool {
    call.method == Method::GET
        && call.segments.len() == 1
        && call.parameters.get("list-type").is_some_and(|it| it == "2")
}

fn no_such_bucket() -> ServiceError {
    refuse(StatusCode::NOT_FOUND, "NoSuchBucket", "The specified bucket does not exist")
}

/// The bucket and the key that a call is about.
fn object_of(call: &Call) -> Option<(String, String)> {
    let (bucket, key) = call.path.strip_prefix('/')?.split_once('/')?;
    let decode = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8().ok().map(Into::into);
    (!key.is_empty()).then_some((decode(bucket)?, decode(key)?))
}

fn answer_of(call: &Call, object: &Object) -> ServiceResponse {
    let mut response = ServiceResponse::xml(call, String::new());
    response.set(header::CONTENT_TYPE, "binary/octet-stream");
    response.set(header::ETAG, &object.etag);
    response.set(header::CONTENT_LENGTH, &object.content.len().to_string());
    if call.method != Method::HEAD {
        response.body = object.content.clone();
    }
    response
}

fn refuse(status: StatusCode, code: &'static str, message: &str) -> ServiceError {
    ServiceError::Other { status, code, message: message.to_owned() }
}
