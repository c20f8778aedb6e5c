//! `DELETE /webhooks/{name}`: a sender may not report any more.

use shared::http::{Problem, Request, RequestLog, Response};
use shared::record::SenderName;

use super::{parameter, signer};
use crate::intake::Intake;

impl Intake {
    pub(super) async fn delete_webhook(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let signer = signer(request)?;
        let name = parameter(request, "name", SenderName::parse).ok_or_else(|| Problem::not_found("webhook"))?;
        log.webhook(&name);
        if !self.providers.delete_webhook_sender(&name, signer, &self.ambient).await? {
            return Err(Problem::not_found("webhook"));
        }
        log.outcome("webhook_deleted");
        let mut response = Response::default();
        response.status_code = 204;
        Ok(response)
    }
}
