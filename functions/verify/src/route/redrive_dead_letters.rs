//! `POST /dead-letters/redrive`: moves mail that was set aside back to the send queue.

use serde::Deserialize;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, invalid, respond, signer};
use shared::id::{MailId, ProviderId};

use crate::Verify;
use crate::dead_letter::DeadLetterFilter;

/// The most mail ids of a request.
const MAX_MAIL_IDS: usize = 100;

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RedriveRequest {
    /// Never everything by oversight: one reason at a time is mended.
    reason: String,
    field: Option<String>,
    provider_id: Option<String>,
    mail_ids: Option<Vec<String>>,
}

impl RedriveRequest {
    fn check(self) -> Result<DeadLetterFilter, Problem> {
        let provider_id = self.provider_id.map(|id| ProviderId::parse(&id)).transpose();
        Ok(DeadLetterFilter {
            reason: Some(self.reason),
            field: self.field,
            provider_id: provider_id.map_err(|error| invalid("provider_id", error.to_string()))?,
            mail_ids: self.mail_ids.map(|ids| check_mail_ids(&ids)).transpose()?.map(|ids| ids.into_iter().collect()),
        })
    }
}

/// The ids of a list, at least one and at most 100.
pub(super) fn check_mail_ids(ids: &[String]) -> Result<Vec<MailId>, Problem> {
    if ids.is_empty() || ids.len() > MAX_MAIL_IDS {
        return Err(invalid("mail_ids", format!("must be 1 to {MAX_MAIL_IDS} ids")));
    }
    let parse = |(index, id): (usize, &String)| {
        MailId::parse(id).map_err(FieldError::from_display(format!("mail_ids[{index}]")))
    };
    ids.iter().enumerate().map(parse).collect::<Result<_, _>>().map_err(|error| Problem::bad_request(&error))
}

impl Verify {
    /// Moves back what matches and can be sent by now. It can be repeated: the ledger sends a mail once.
    pub(crate) async fn redrive_dead_letters(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let filter = body::<RedriveRequest>(request)?.check()?;
        let redrive = self.redrive(&filter, true).await?;
        log.outcome(if redrive.complete { "complete" } else { "incomplete" });
        tracing::info!(
            reason = filter.reason,
            moved = redrive.moved,
            kept = redrive.kept,
            not_taken = redrive.redrivable,
            moved_by = signer(request),
            "dead letters moved back"
        );
        Ok(respond(200, &redrive))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_named_and_what_is_no_id_is_refused() {
        let parse = |text: &str| {
            let mut event: serde_json::Value =
                serde_json::from_str(include_str!("../../../../events/verify-redrive-dead-letters.json")).unwrap();
            event["body"] = text.into();
            let request: Request = serde_json::from_value(event).unwrap();
            body::<RedriveRequest>(&request)?.check()
        };
        let filter = parse(r#"{"reason": "given_up", "mail_ids": ["a", "b"]}"#).unwrap();
        assert_eq!((filter.reason.as_deref(), filter.mail_ids.unwrap().len()), (Some("given_up"), 2));
        for wrong in [
            r#"{}"#,
            r#"{"reason": "given_up", "mail_ids": []}"#,
            r#"{"reason": "given_up", "mail_ids": [""]}"#,
            r#"{"reason": "given_up", "provider_id": "x"}"#,
            r#"{"reason": "given_up", "everything": true}"#,
        ] {
            assert_eq!(parse(wrong).map(drop).unwrap_err().status(), 400, "{wrong}");
        }
    }
}
