//! `DELETE /providers/{provider_id}/mails/{mail_id}` and `POST /providers/{provider_id}/mails/cancel`: take back mails that have not been started.

use serde::{Deserialize, Serialize};
use shared::http::{Problem, Request, RequestLog, Response, body, respond, signer};
use shared::id::{MailId, ProviderId};
use shared::record::{AuditEvent, MailCancelled, MailState, Provider};

use super::redrive_dead_letters::check_mail_ids;
use super::{path_parameter, provider_id};
use crate::Verify;

/// The body of the second route.
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

/// What became of one mail.
#[derive(Serialize)]
struct CancelledView {
    mail_id: MailId,
    /// `null`: nobody knows; repeat it.
    state: Option<MailState>,
    /// Whether nothing of it is sent any more.
    cancelled: bool,
}

impl CancelledView {
    fn new(mail_id: MailId, outcome: Option<MailCancelled>) -> Self {
        let (state, cancelled) = match outcome {
            Some(MailCancelled::Cancelled) => (Some(MailState::Cancelled), true),
            Some(MailCancelled::TooLate(state)) => (Some(state), false),
            None => (None, false),
        };
        Self { mail_id, state, cancelled }
    }
}

impl Verify {
    /// Takes one mail back, or says in which state it is.
    pub(crate) async fn cancel_mail(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider = self.provider_of_mails(request, log).await?;
        let mail_id = MailId::parse(path_parameter(request, "mail_id")?).map_err(|_| Problem::not_found("mail"))?;
        self.note_cancellation(&provider.provider_id, 1, request).await?;
        let (tenant_id, provider_id) = (&provider.tenant_id, &provider.provider_id);
        match self.mails.cancel(tenant_id, provider_id, &mail_id, &self.ambient).await? {
            MailCancelled::TooLate(state) => {
                log.outcome("too_late");
                let detail = "The mail cannot be taken back: it is sent, may have been sent, or has ended.";
                Err(Problem::new(409, detail).kind("mail-started").with("state", &state))
            }
            cancelled @ MailCancelled::Cancelled => {
                log.outcome("cancelled");
                Ok(respond(200, &CancelledView::new(mail_id, Some(cancelled))))
            }
        }
    }

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
            tracing::warn!(error = shared::telemetry::chain(&error), "mails of a request were perhaps not taken back");
        }
        Ok(respond(200, &CancelledList { mails }))
    }

    /// The provider of the path, stopped or not.
    pub(super) async fn provider_of_mails(&self, request: &Request, log: &mut RequestLog) -> Result<Provider, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        Ok(provider)
    }

    async fn note_cancellation(
        &self,
        provider_id: &ProviderId,
        count: usize,
        request: &Request,
    ) -> Result<(), Problem> {
        self.note_in_trail(provider_id, "mails_cancelled", format!("{count} mails"), request).await
    }

    /// Says in the provider's trail who is about to do what with its mails.
    pub(super) async fn note_in_trail(
        &self,
        provider_id: &ProviderId,
        event: &'static str,
        reason: String,
        request: &Request,
    ) -> Result<(), Problem> {
        let by = signer(request).ok_or_else(|| Problem::new(403, "The request has no signer."))?.to_owned();
        let audit = AuditEvent { event, at: self.ambient.now(), by, reason: Some(reason) };
        Ok(self.providers.note(provider_id, &audit, &self.ambient).await?)
    }
}
