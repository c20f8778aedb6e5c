//! `POST /providers/{provider_id}/mails/resend`: sends mails once more that are in doubt, were rejected or came too late, and only those.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use shared::http::{Problem, Request, RequestLog, Response, body, invalid, respond};
use shared::record::{MailState, Provider, ResendFilter, ResendOutcome};
use shared::telemetry::chain;

use super::check_not_stopped;
use super::create_mails::check_count;
use super::list_mails::listed_state;
use crate::Verify;
use crate::dead_letter::DeadLetterFilter;
use crate::hand_over::{HandOverResult, HandedOver, MailMessage};

/// The body.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ResendRequest {
    state: String,
    /// The reason of that state: a word, or a word and what is at fault.
    reason: Option<String>,
    /// Only what got there by this time.
    until: Timestamp,
    /// What is sent: nobody keeps the content. Without it, what was set aside.
    mails: Option<Vec<Box<RawValue>>>,
    /// That a recipient may get a mail in doubt twice.
    #[serde(default)]
    may_duplicate: bool,
}

/// What became of the mails, in the order of the request.
#[derive(Serialize)]
struct ResentList {
    mails: Vec<ResentView>,
}

/// What became of one mail.
#[derive(Serialize)]
struct ResentView {
    #[serde(flatten)]
    mail: HandedOver,
    /// Where it was not sent once more: the state in which it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<MailState>,
}

impl ResendRequest {
    fn filter(&self) -> Result<ResendFilter, Problem> {
        let state = listed_state(&self.state).filter(|state| *state != MailState::Cancelled);
        let state = state.ok_or_else(|| invalid("state", "must be in_doubt, rejected or expired"))?;
        if state == MailState::InDoubt && !self.may_duplicate {
            let problem = "must be true: SES may have taken a mail in doubt, and its recipients get it twice then";
            return Err(invalid("may_duplicate", problem));
        }
        Ok(ResendFilter { state, reason: self.reason.clone(), until: self.until })
    }
}

/// Which dead letters these are: what was set aside has the row's reason as its own, and what is at fault as its field.
fn set_aside(filter: &ResendFilter, provider: &Provider) -> Result<DeadLetterFilter, Problem> {
    if filter.state != MailState::Rejected {
        return Err(invalid("mails", "is missing: nobody keeps the content of mails in this state; give it again"));
    }
    let reason = filter.reason.as_deref().ok_or_else(|| invalid("reason", "is missing: what was set aside for it"))?;
    let (reason, field) = reason.split_once(':').map_or((reason, None), |(reason, field)| (reason, Some(field)));
    Ok(DeadLetterFilter {
        reason: Some(reason.to_owned()),
        field: field.map(str::to_owned),
        provider_id: Some(provider.provider_id.clone()),
        mail_ids: None::<HashSet<_>>,
    })
}

impl Verify {
    /// Sends mails once more. Repeated unchanged it sends nothing twice: what got into the state again is later than `until`.
    pub(crate) async fn resend_mails(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let asked: ResendRequest = body(request)?;
        let filter = asked.filter()?;
        if let Some(mails) = &asked.mails {
            check_count(mails.len())?;
        }
        let provider = self.provider_of_mails(request, log).await?;
        check_not_stopped(&provider, log)?;
        let count = asked.mails.as_ref().map_or_else(|| "set-aside".to_owned(), |mails| mails.len().to_string());
        let what = format!("{count} mails, {}, until {}", filter.state.as_str(), filter.until);
        self.note_in_trail(&provider.provider_id, "mails_resent", what, request).await?;
        let Some(mails) = &asked.mails else {
            let redrive = self.redrive(&set_aside(&filter, &provider)?, true).await?;
            log.outcome(if redrive.complete { "complete" } else { "incomplete" });
            return Ok(respond(200, &redrive));
        };
        let mut views = Vec::with_capacity(mails.len());
        let mut taken_up = Vec::new();
        for read in self.read_mails(mails, &provider) {
            let view = match read {
                Err(refused) => Some(ResentView { mail: refused, state: None }),
                Ok(message) => {
                    let view = self.take_up(&message, &filter).await;
                    if view.is_none() {
                        taken_up.push((views.len(), message));
                    }
                    view
                }
            };
            views.push(view);
        }
        let messages: Vec<&MailMessage> = taken_up.iter().map(|(_, message)| message).collect();
        for ((place, message), result) in taken_up.iter().zip(self.enqueue_mails(&messages).await) {
            let mail = HandedOver::enqueued(&provider.provider_id, &message.mail.mail_id, &result);
            views[*place] = Some(ResentView { mail, state: None });
        }
        log.outcome("resent");
        Ok(respond(200, &ResentList { mails: views.into_iter().flatten().collect() }))
    }

    /// Has the ledger let a mail be sent once more; `None`: it does, and the mail has to be handed over now.
    async fn take_up(&self, message: &MailMessage, filter: &ResendFilter) -> Option<ResentView> {
        let mail = &message.mail;
        if mail.expiry() <= self.ambient.now() {
            return Some(ResentView::kept(message, "expires_at", "is over: give another one, or leave it out", None));
        }
        let view = match self.mails.resend(mail, filter, &self.ambient).await {
            Ok(ResendOutcome::TakenUp) => return None,
            Ok(ResendOutcome::Unknown) => {
                ResentView::kept(message, "mail_id", "is no mail's of this tenant: hand it over as a new one", None)
            }
            Ok(ResendOutcome::OtherState(state)) => {
                ResentView::kept(message, "mail_id", "names a mail with another state or reason", Some(state))
            }
            Ok(ResendOutcome::Later) => ResentView::kept(
                message,
                "until",
                "is earlier than when the mail got into this state",
                Some(filter.state),
            ),
            Ok(ResendOutcome::OtherContent) => ResentView::kept(
                message,
                "mail_id",
                "names a mail in doubt with other content, of which a copy may be out",
                Some(filter.state),
            ),
            Err(error) => {
                tracing::warn!(error = chain(&error), "a mail was perhaps not taken up again");
                let mut view = ResentView::kept(message, "mail_id", "was perhaps not taken up again; repeat it", None);
                view.mail.result = HandOverResult::NotEnqueued;
                view
            }
        };
        Some(view)
    }
}

impl ResentView {
    fn kept(message: &MailMessage, field: &str, problem: &str, state: Option<MailState>) -> Self {
        let error = shared::http::FieldError::new(field, problem);
        let refused = HandedOver::refused(Some(message.mail.mail_id.clone()), error);
        Self { mail: HandedOver { result: HandOverResult::Kept, ..refused }, state }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn request(text: &str) -> Result<ResendFilter, u16> {
        let mut event: serde_json::Value =
            serde_json::from_str(include_str!("../../../../events/verify-resend-mails.json")).unwrap();
        event["body"] = text.into();
        let request: Request = serde_json::from_value(event).unwrap();
        body::<ResendRequest>(&request).and_then(|asked| asked.filter()).map_err(|problem| problem.status())
    }

    #[test]
    fn a_second_copy_is_asked_for_in_so_many_words_and_a_repetition_is_told_by_its_time() {
        let until = r#""until": "2026-11-27T10:00:00Z""#;
        for state in ["rejected", "expired"] {
            assert_eq!(request(&format!(r#"{{"state": "{state}", {until}}}"#)).unwrap().state.as_str(), state);
        }
        let in_doubt = request(&format!(r#"{{"state": "in_doubt", "may_duplicate": true, {until}}}"#)).unwrap();
        assert_eq!(in_doubt.state, MailState::InDoubt);
        for wrong in [
            format!(r#"{{"state": "in_doubt", {until}}}"#),
            format!(r#"{{"state": "in_doubt", "may_duplicate": false, {until}}}"#),
            format!(r#"{{"state": "sent", {until}}}"#),
            format!(r#"{{"state": "cancelled", {until}}}"#),
            r#"{"state": "rejected"}"#.to_owned(),
        ] {
            assert_eq!(request(&wrong), Err(400), "{wrong}");
        }
    }

    #[test]
    fn only_what_was_set_aside_can_be_sent_without_its_content() {
        let provider = fixtures::provider();
        let filter = |state, reason: Option<&str>| ResendFilter {
            state,
            reason: reason.map(str::to_owned),
            until: Timestamp::UNIX_EPOCH,
        };
        let letters = set_aside(&filter(MailState::Rejected, Some("given_up:body")), &provider).unwrap();
        assert_eq!((letters.reason.as_deref(), letters.field.as_deref()), (Some("given_up"), Some("body")));
        assert_eq!(letters.provider_id, Some(provider.provider_id.clone()));
        for (state, reason) in [
            (MailState::Rejected, None),
            (MailState::Expired, Some("expired")),
            (MailState::InDoubt, Some("no_answer")),
        ] {
            assert!(set_aside(&filter(state, reason), &provider).is_err(), "{state:?}");
        }
    }
}
