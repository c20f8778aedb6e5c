//! Lambda's API: ListFunctions, of an account without functions. Our own functions are run by [`crate::lambda`].

use std::sync::Arc;

use serde_json::json;

use super::error::ErrorWording;
use super::interface::ServiceDefinition;
use super::listing::ListingService;
use super::response::ServiceResponse;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[], start: |_, _| Ok(Arc::new(LISTING)) };

const LISTING: ListingService = ListingService {
    names: &["lambda"],
    operation: "ListFunctions",
    is_asked: |call| call.path.trim_end_matches('/') == "/2015-03-31/functions",
    action: "lambda:ListFunctions",
    wording: ErrorWording::DEFAULT,
    answer: |call| Ok(ServiceResponse::json(call, &json!({"Functions": []}))),
};
