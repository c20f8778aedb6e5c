//! Secrets Manager: ListSecrets, of an account without secrets.

use std::sync::Arc;

use serde_json::json;

use super::error::{AccessDenied, ErrorWording};
use super::interface::ServiceDefinition;
use super::listing::ListingService;
use super::response::ServiceResponse;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[], start: |_, _| Ok(Arc::new(LISTING)) };

const LISTING: ListingService = ListingService {
    names: &["secretsmanager"],
    operation: "ListSecrets",
    is_asked: |_| false,
    action: "secretsmanager:ListSecrets",
    wording: ErrorWording { denial: AccessDenied::sentence_without_resource, ..ErrorWording::DEFAULT },
    answer: |call| Ok(ServiceResponse::json(call, &json!({"SecretList": []}))),
};
