//! `GET /dead-letters?field=&mail_id=&provider_id=&reason=`: what was set aside in the dead-letter queue of `send`, and what can be done about it.

use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::{MailId, ProviderId};

use crate::Verify;
use crate::dead_letter::DeadLetterFilter;

impl Verify {
    /// Answers with the dead letters that match. Each is hidden for the time of the request.
    pub(crate) async fn list_dead_letters(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let filter = filter(request)?;
        let redrive = self.redrive(&filter, false).await?;
        log.outcome(if redrive.complete { "complete" } else { "incomplete" });
        Ok(respond(200, &redrive))
    }
}

fn filter(request: &Request) -> Result<DeadLetterFilter, Problem> {
    let query = QueryParameters::from_request(request, &["field", "mail_id", "provider_id", "reason"])?;
    let provider_id = query.get("provider_id").map(|id| ProviderId::parse(&id)).transpose();
    let mail_id = query.get("mail_id").map(|id| MailId::parse(&id)).transpose();
    Ok(DeadLetterFilter {
        reason: query.get("reason"),
        field: query.get("field"),
        provider_id: provider_id.map_err(|error| invalid("provider_id", error.to_string()))?,
        mail_ids: mail_id
            .map_err(|error| invalid("mail_id", error.to_string()))?
            .map(|mail_id| std::iter::once(mail_id).collect()),
    })
}
