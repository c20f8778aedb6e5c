//! The event `Mail Sent`, if the operator wants it.
//!
//! It tells of what is recorded already, after the whole batch is done, in one request, within [`TIMEOUT`], and once: a bus that does not
//! answer, or a process that dies, loses it. Telling at least once would need a write for each mail, before and after, and would hold
//! up what the ledger knows anyway.

use std::mem::take;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use shared::mail::Mail;
use shared::record::Provider;
use shared::telemetry::{Bus, Event, MAX_EVENTS, MailSentEvent, chain};
use tokio::time::timeout;

/// How long the response of a batch waits for the bus.
const TIMEOUT: Duration = Duration::from_secs(1);

/// The mails of a batch that SES has accepted.
pub(crate) struct SentMails {
    /// `None`: nobody is told.
    events: Option<Mutex<Vec<(Event, Timestamp)>>>,
}

impl SentMails {
    /// None so far.
    pub(crate) fn new(are_told: bool) -> Self {
        Self { events: are_told.then(Mutex::default) }
    }

    /// SES accepted a mail of this provider.
    pub(crate) fn note(&self, mail: &Mail, provider: &Provider, ses_message_id: &str, at: Timestamp) {
        let Some(events) = &self.events else { return };
        let event = Event::MailSent(MailSentEvent {
            tenant_id: mail.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            mail_id: mail.mail_id.clone(),
            ses_message_id: ses_message_id.to_owned(),
        });
        events.lock().unwrap_or_else(PoisonError::into_inner).push((event, at));
    }

    /// Tells operators of them, unless there is no time left for it.
    pub(crate) async fn tell(&self, bus: &Bus, remaining: Duration) {
        let Some(events) = &self.events else { return };
        let events = take(&mut *events.lock().unwrap_or_else(PoisonError::into_inner));
        let tell = async {
            for chunk in events.chunks(MAX_EVENTS) {
                if let Err(error) = bus.put_all(chunk).await {
                    tracing::warn!(mails = chunk.len(), error = chain(&error), "operators not told of sent mail");
                }
            }
        };
        if timeout(TIMEOUT.min(remaining), tell).await.is_err() {
            tracing::warn!(mails = events.len(), "operators not told of sent mail: the bus did not answer in time");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::record::{Status, StatusName};

    use super::*;
    use crate::fixtures::{provider, sample, time};

    #[test]
    fn the_sample_event_is_what_the_bus_gets_and_nothing_is_kept_where_nobody_is_told() {
        let provider = provider(Status::plain(StatusName::Active));
        let at = time("2026-11-23T10:00:00Z");
        let told = SentMails::new(true);
        told.note(&sample(), &provider, "0100018c2e-1", at);
        let events = take(&mut *told.events.as_ref().unwrap().lock().unwrap());
        assert_eq!((events.len(), events[0].1), (1, at));
        let sample_event: Value = serde_json::from_str(include_str!("../../../events/send-mail-sent.json")).unwrap();
        assert_eq!(
            (&sample_event["source"], &sample_event["detail-type"]),
            (&json!("sendingbee.send"), &json!(events[0].0.detail_type()))
        );
        assert_eq!(sample_event["detail"], serde_json::to_value(&events[0].0).unwrap());

        let silent = SentMails::new(false);
        silent.note(&sample(), &provider, "0100018c2e-1", at);
        assert!(silent.events.is_none());
    }
}
