//! `POST /revocations`: a breach report becomes an order.

use shared::http::{FieldError, Problem, Request, RequestLog, Response, body};
use shared::id::OrderId;

use super::order_response::{order_not_written, order_response};
use super::signer;
use crate::intake::Intake;
use crate::intake::breach_report::RevocationRequest;
use crate::intake::order_execution::OrderError;

impl Intake {
    pub(super) async fn create_revocation(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let report = body::<RevocationRequest>(request)?
            .into_report(signer)
            .map_err(|invalid| Problem::bad_request(&invalid))?;
        let execution =
            self.order_revocation(OrderId::new(&self.ambient), report).await.map_err(|error| match error {
                OrderError::UnknownProvider => {
                    Problem::bad_request(&FieldError::new("scope.provider_id", "names no provider"))
                }
                OrderError::Record(error) => order_not_written(&error),
            })?;
        order_response(&execution, log)
    }
}
