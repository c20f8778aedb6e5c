//! `POST /providers/{provider_id}/mails`: hands mails over, for callers that cannot reach the send queue.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::http::{Problem, Request, RequestLog, Response, body, invalid, respond};

use super::{check_not_stopped, provider_id};
use crate::Verify;
use crate::hand_over::{HandOverResult, HandedOver, MAX_MAILS, MailMessage};

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailsRequest {
    mails: Vec<Box<RawValue>>,
}

/// What became of each mail, in the order of the request.
#[derive(Serialize)]
pub(super) struct HandOverView {
    pub(super) mails: Vec<HandedOver>,
}

impl HandOverView {
    /// 202 if a mail was accepted. Whoever looks at nothing but the status must not take a request for accepted of which nothing was: 503
    /// where that is ours, 422 where it is the mails'.
    fn response(self, log: &mut RequestLog) -> Result<Response, Problem> {
        let count = |result| self.mails.iter().filter(|mail| mail.result == result).count();
        let (accepted, not_enqueued) = (count(HandOverResult::Accepted), count(HandOverResult::NotEnqueued));
        if accepted > 0 {
            log.outcome(if accepted == self.mails.len() { "accepted" } else { "partly_accepted" });
            return Ok(respond(202, &self));
        }
        log.outcome("none_accepted");
        let problem = if not_enqueued > 0 {
            Problem::unavailable()
        } else {
            Problem::new(422, "None of the mails is valid: each one's `field` and `problem` say why.")
        };
        Err(problem.kind("no-mail-accepted").with("mails", &self.mails))
    }
}

/// Refuses a list of no mails or too many.
pub(super) fn check_count(count: usize) -> Result<(), Problem> {
    if (1..=MAX_MAILS).contains(&count) {
        return Ok(());
    }
    Err(invalid("mails", format!("must be 1 to {MAX_MAILS} mails")))
}

impl Verify {
    /// Hands mails over. It can be repeated: the ledger sends a mail once.
    pub(crate) async fn create_mails(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let MailsRequest { mails } = body(request)?;
        check_count(mails.len())?;
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        check_not_stopped(&provider, log)?;
        let read = self.read_mails(&mails, &provider);
        let valid: Vec<&MailMessage> = read.iter().filter_map(|mail| mail.as_ref().ok()).collect();
        let mut enqueued = self.enqueue_mails(&valid).await.into_iter();
        let mails = read.into_iter().map(|mail| match mail {
            Ok(message) => {
                // Each valid mail has its result.
                enqueued.next().map_or_else(
                    || Err(Problem::internal()),
                    |result| Ok(HandedOver::enqueued(&provider_id, &message.mail.mail_id, &result)),
                )
            }
            Err(refused) => Ok(refused),
        });
        HandOverView { mails: mails.collect::<Result<_, Problem>>()? }.response(log)
    }
}

#[cfg(test)]
mod tests {
    use shared::http::FieldError;

    use super::*;

    fn mail(result: HandOverResult) -> HandedOver {
        HandedOver { result, ..HandedOver::refused(None, FieldError::new("to", "is empty")) }
    }

    #[test]
    fn the_status_says_accepted_only_if_something_was() {
        use HandOverResult::{Accepted, NotEnqueued, Refused};
        for (results, status) in [
            (&[Accepted, Accepted][..], 202),
            (&[Refused, Accepted, NotEnqueued], 202),
            (&[Refused, Refused], 422),
            (&[Refused, NotEnqueued], 503),
        ] {
            let view = HandOverView { mails: results.iter().copied().map(mail).collect() };
            let answer = view.response(&mut RequestLog::default());
            let status_of = |response: Response| response.status_code;
            assert_eq!(answer.map_or_else(|problem| i64::from(problem.status()), status_of), status, "{results:?}");
        }
    }
}
