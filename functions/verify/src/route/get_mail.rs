//! `GET /providers/{provider_id}/mails/{mail_id}`: the state of a mail, as callers see it.

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{Problem, Request, RequestLog, Response, respond};
use shared::id::{MailId, ProviderId};
use shared::record::{LedgerRow, MailState};

use super::{path_parameter, provider_id};
use crate::Verify;

/// The public form of a ledger row.
#[derive(Serialize)]
pub(super) struct MailView<'a> {
    mail_id: &'a MailId,
    provider_id: &'a ProviderId,
    state: MailState,
    reason: Option<&'a str>,
    ses_message_id: Option<&'a str>,
    first_seen: Timestamp,
    updated_at: Timestamp,
    attempts: u32,
    /// The earliest time at which a mail that waits is tried.
    eta: Option<Timestamp>,
}

impl<'a> From<&'a LedgerRow> for MailView<'a> {
    fn from(row: &'a LedgerRow) -> Self {
        Self {
            mail_id: &row.mail_id,
            provider_id: &row.provider_id,
            state: row.state,
            reason: row.reason.as_deref(),
            ses_message_id: row.ses_message_id.as_deref(),
            first_seen: row.first_seen,
            updated_at: row.updated_at,
            attempts: row.attempts,
            eta: row.eta,
        }
    }
}

impl Verify {
    /// Answers with the state of a mail. A mail that `send` has not received yet is not found either.
    pub(crate) async fn get_mail(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let mail_id = path_parameter(request, "mail_id")?;
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let mail_id = MailId::parse(mail_id).map_err(|_| Problem::not_found("mail"))?;
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("mail"))?;
        let row = self.mails.get(&provider.tenant_id, &mail_id).await?;
        let row = row.ok_or_else(|| Problem::not_found("mail"))?;
        Ok(respond(200, &MailView::from(&row)))
    }
}
