//! `DELETE /providers/{provider_id}`: off-boarding, an order for the provider's key.

use shared::http::{Problem, Request, RequestLog, Response};
use shared::id::{OrderId, ProviderId};
use shared::record::{BreachScope, OFF_BOARDING};

use super::order_response::{order_not_written, order_response};
use super::{parameter, signer};
use crate::intake::Intake;
use crate::intake::breach_report::BreachReport;
use crate::intake::order_execution::OrderError;

impl Intake {
    pub(super) async fn delete_provider(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let provider_id =
            parameter(request, "provider_id", ProviderId::parse).ok_or_else(|| Problem::not_found("provider"))?;
        log.provider(&provider_id);
        let report = BreachReport {
            scope: BreachScope::ProviderId(provider_id),
            reason: OFF_BOARDING.to_owned(),
            reported_by: signer.to_owned(),
            signed_by: Some(signer.to_owned()),
            remove_identity_policies: false,
            oddities: Vec::new(),
            event_id: None,
        };
        let execution =
            self.order_revocation(OrderId::new(&self.ambient), report).await.map_err(|error| match error {
                OrderError::UnknownProvider => Problem::not_found("provider"),
                OrderError::Record(error) => order_not_written(&error),
            })?;
        order_response(&execution, log)
    }
}
