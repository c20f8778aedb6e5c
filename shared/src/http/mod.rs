//! JSON in, JSON and `application/problem+json` (RFC 9457) out, in the shapes of API Gateway's payload format 2.0.

mod form;
mod json;
mod problem;
mod query_parameters;
mod request_log;
mod signer;

pub use aws_lambda_events::apigw::{ApiGatewayV2httpRequest as Request, ApiGatewayV2httpResponse as Response};
pub use form::Form;
pub use json::{FieldError, body, decode, is_identifier, respond};
pub use problem::Problem;
pub use query_parameters::{QueryParameters, invalid};
pub use request_log::RequestLog;
pub use signer::signer;
