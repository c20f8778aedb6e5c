//! `DELETE /providers/{provider_id}/hold`: the operator lifts a hold, and mail that waited goes out.

use shared::http::{Problem, Request, RequestLog, Response};

use super::put_hold::HoldRequest;
use crate::intake::Intake;

impl Intake {
    pub(super) async fn delete_hold(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let (provider_id, reason, signer) = HoldRequest::parse(request, log)?;
        let outcome = self.providers.lift_hold(&provider_id, &reason, signer, &self.ambient).await?;
        self.answer_hold(outcome, (&reason, signer), log).await
    }
}
