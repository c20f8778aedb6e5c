//! Who signed a request.

use super::Request;

/// The ARN that signed the request, whose signature API Gateway has verified; `None` on a route without IAM authorizer.
pub fn signer(request: &Request) -> Option<&str> {
    request.request_context.authorizer.as_ref()?.iam.as_ref()?.user_arn.as_deref()
}
