//! S3: ListBuckets, of an account without buckets.

use std::sync::Arc;

use axum::http::{Method, StatusCode};

use super::error::{AccessDenied, ErrorWording, FixedError, UnknownKeyWording};
use super::interface::ServiceDefinition;
use super::listing::ListingService;
use super::response::ServiceResponse;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[], start: |_, _| Ok(Arc::new(LISTING)) };

/// S3 API reference, "Error responses", has the codes and texts.
const LISTING: ListingService = ListingService {
    names: &["s3"],
    operation: "ListBuckets",
    is_asked: |call| call.method == Method::GET && call.segments.is_empty(),
    action: "s3:ListAllMyBuckets",
    wording: ErrorWording {
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
    },
    answer: |call| {
        let xml = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<ListAllMyBucketsResult \
                   xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Buckets></Buckets></ListAllMyBucketsResult>";
        Ok(ServiceResponse::xml(call, xml.to_owned()))
    },
};
