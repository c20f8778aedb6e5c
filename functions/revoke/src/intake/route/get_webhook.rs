//! `GET /webhooks/{name}`: a registered sender, without its secrets.

use shared::http::{Problem, Request, RequestLog, Response, respond};
use shared::record::SenderName;

use super::webhook_view::WebhookView;
use super::{parameter, signer};
use crate::intake::Intake;

impl Intake {
    pub(super) async fn get_webhook(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        signer(request)?;
        let name = parameter(request, "name", SenderName::parse).ok_or_else(|| Problem::not_found("webhook"))?;
        log.webhook(&name);
        let sender = self.providers.webhook_sender(&name).await?.ok_or_else(|| Problem::not_found("webhook"))?;
        Ok(respond(200, &WebhookView::new(&sender)))
    }
}
