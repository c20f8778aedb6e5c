//! EC2: DescribeRegions as a dry run.

use std::sync::Arc;

use axum::http::StatusCode;

use super::error::{AccessDenied, ErrorWording, FixedError, ServiceError, UnknownKeyWording};
use super::interface::ServiceDefinition;
use super::listing::ListingService;
use super::response::ServiceResponse;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[], start: |_, _| Ok(Arc::new(LISTING)) };

/// EC2 API reference, "Error codes for the Amazon EC2 API", has the codes and texts.
const LISTING: ListingService = ListingService {
    names: &["ec2"],
    operation: "DescribeRegions",
    is_asked: |_| false,
    action: "ec2:DescribeRegions",
    wording: ErrorWording {
        throttled: FixedError::new(StatusCode::SERVICE_UNAVAILABLE, "RequestLimitExceeded", "Request limit exceeded."),
        internal: FixedError::new(StatusCode::INTERNAL_SERVER_ERROR, "InternalError", "An internal error has occurred"),
        unknown_key: UnknownKeyWording::Whole(FixedError::new(
            StatusCode::UNAUTHORIZED,
            "AuthFailure",
            "AWS was not able to validate the provided access credentials",
        )),
        not_subscribed: FixedError::new(
            StatusCode::UNAUTHORIZED,
            "OptInRequired",
            "You are not subscribed to this service. Please go to http://aws.amazon.com to subscribe.",
        ),
        denial,
    },
    answer: |call| match call.parameters.get("DryRun").map(String::as_str) {
        Some("true") => Err(ServiceError::Other {
            status: StatusCode::PRECONDITION_FAILED,
            code: "DryRunOperation",
            message: "Request would have succeeded, but DryRun flag is set.".to_owned(),
        }),
        _ => {
            let xml = format!(
                "<DescribeRegionsResponse xmlns=\"http://ec2.amazonaws.com/doc/2016-11-15/\"><requestId>{}</requestId>\
                 <regionInfo/></DescribeRegionsResponse>",
                call.request_id
            );
            Ok(ServiceResponse::xml(call, xml))
        }
    },
};

/// As accounts see it that are told the reason: mondoohq/mql#5143.
fn denial(denied: &AccessDenied) -> String {
    format!("You are not authorized to perform this operation. {}", denied.sentence_without_resource())
}
