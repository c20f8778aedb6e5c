//! `DELETE /providers/{provider_id}/mails/{mail_id}`: takes a mail back that has not been started.

use serde::Serialize;
use shared::http::{Problem, Request, RequestLog, Response, respond, signer};
use shared::id::{MailId, ProviderId};
use shared::record::{AuditEvent, MailCancelled, MailState, Provider};

use super::{path_parameter, provider_id};
use crate::Verify;

/// What became of one mail.
#[derive(Serialize)]
pub(super) struct CancelledView {
    mail_id: MailId,
    /// `null`: nobody knows; repeat it.
    pub(super) state: Option<MailState>,
    /// Whether nothing of it is sent any more.
    cancelled: bool,
}

impl CancelledView {
    pub(super) fn new(mail_id: MailId, outcome: Option<MailCancelled>) -> Self {
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

    /// The provider of the path, stopped or not.
    pub(super) async fn provider_of_mails(&self, request: &Request, log: &mut RequestLog) -> Result<Provider, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        Ok(provider)
    }

    pub(super) async fn note_cancellation(
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
