//! `GET /providers/{provider_id}/mails/{mail_id}`: a mail's fate as callers see it.

use jiff::Timestamp;
use serde::Serialize;
use shared::http::{Problem, Response, respond};
use shared::id::{MailId, ProviderId};
use shared::record::{LedgerRow, MailState};

use super::provider_id;
use crate::Verify;
use crate::line::Line;

/// The public face of a ledger row.
#[derive(Serialize)]
struct MailView<'a> {
    mail_id: &'a MailId,
    provider_id: &'a ProviderId,
    state: MailState,
    reason: Option<&'a str>,
    ses_message_id: Option<&'a str>,
    first_seen: Timestamp,
    updated_at: Timestamp,
    attempts: u32,
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
        }
    }
}

impl Verify {
    /// Answers a mail's fate. A mail that `send` has not seen yet is not there either.
    pub(crate) async fn get_mail(&self, provider: &str, mail_id: &str, line: &mut Line) -> Result<Response, Problem> {
        let provider_id = provider_id(provider)?;
        line.provider(&provider_id);
        let mail_id = MailId::parse(mail_id).map_err(|_| Problem::not_found("mail"))?;
        let row = self.mails.get(&provider_id, &mail_id).await?;
        let row = row.ok_or_else(|| Problem::not_found("mail"))?;
        Ok(respond(200, &MailView::from(&row)))
    }
}
