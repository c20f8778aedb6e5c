//! `POST /providers/{provider_id}/mails/cancel`: takes mails back that have not been started, such as a campaign.

use serde::{Deserialize, Serialize};
use shared::http::{Problem, Request, RequestLog, Response, body, respond};
use shared::telemetry::chain;

use super::cancel_mail::CancelledView;
use super::redrive_dead_letters::check_mail_ids;
use crate::Verify;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CancelMailsRequest {
    mail_ids: Vec<String>,
}

/// What became of the mails, in the order of the request.
#[derive(Serialize)]
struct CancelledList {
    mails: Vec<CancelledView>,
}

impl Verify {
    /// Takes mails back, each for itself.
    pub(crate) async fn cancel_mails(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let mail_ids = check_mail_ids(&body::<CancelMailsRequest>(request)?.mail_ids)?;
        let provider = self.provider_of_mails(request, log).await?;
        self.note_cancellation(&provider.provider_id, mail_ids.len(), request).await?;
        let mut mails = Vec::with_capacity(mail_ids.len());
        let mut failure = None;
        for mail_id in mail_ids {
            let (tenant_id, provider_id) = (&provider.tenant_id, &provider.provider_id);
            let outcome = self.mails.cancel(tenant_id, provider_id, &mail_id, &self.ambient).await;
            let outcome = outcome.map_err(|error| failure = Some(error)).ok();
            mails.push(CancelledView::new(mail_id, outcome));
        }
        if let Some(error) = failure {
            if mails.iter().all(|mail| mail.state.is_none()) {
                return Err(error.into());
            }
            log.outcome("partly_unknown");
            tracing::warn!(error = chain(&error), "mails of a request were perhaps not taken back");
        }
        Ok(respond(200, &CancelledList { mails }))
    }
}
