//! Messages that can never be sent: told of, set aside, recorded, in this order.
//!
//! Killed in between, the message comes back and all of it happens again: an event and a copy in the dead-letter queue
//! more, and never one less.

use shared::id::{MailId, ProviderId};
use shared::telemetry::{Event, MailEvent};

use crate::Parts;
use crate::ledger::never_understood;
use crate::letter::Letter;
use crate::refusal::{Ids, Refusal, Refused};
use crate::snapshot::View;
use crate::trouble::Trouble;

/// Refuses a message that is no valid mail. Where it says whose it was, a row tells its fate to who asks for it.
pub(crate) async fn refuse(parts: &Parts, view: &View, letter: &Letter, refused: &Refused) -> Result<(), Trouble> {
    let row = match &refused.ids {
        Ids { tenant_id: Some(tenant_id), provider_id: Some(provider_id), mail_id: Some(mail_id) } => {
            // Nobody leaves a row under another tenant's provider: it would be in the way of a mail of theirs.
            let snapshot = view.fresh().await?;
            let own = snapshot.provider(provider_id).is_some_and(|provider| provider.tenant_id == *tenant_id);
            own.then_some((provider_id, mail_id))
        }
        _ => None,
    };
    set_aside(parts, letter, &refused.ids, &refused.refusal).await?;
    if let Some((provider_id, mail_id)) = row {
        record(parts, letter, provider_id, mail_id, &refused.refusal).await?;
    }
    Ok(())
}

/// Gives up a message that was received too often.
pub(crate) async fn give_up(parts: &Parts, view: &View, letter: &Letter) -> Result<(), Trouble> {
    let refused = Refused { refusal: Refusal::given_up(), ids: Ids::of_body(&letter.body) };
    refuse(parts, view, letter, &refused).await
}

/// Tells of a message that will never be sent and puts a copy of it into the dead-letter queue. No row is touched.
pub(crate) async fn set_aside(parts: &Parts, letter: &Letter, ids: &Ids, refusal: &Refusal) -> Result<(), Trouble> {
    parts.bus.put(&Event::MailRejected(event(letter, ids, refusal.code())), parts.ambient.now()).await?;
    parts.queues.set_aside(letter, refusal).await?;
    tracing::warn!(
        message_id = letter.message_id,
        provider_id = ids.provider_id.as_ref().map(ProviderId::as_str),
        mail_id = ids.mail_id.as_ref().map(MailId::as_str),
        reason = refusal.code(),
        "refused"
    );
    Ok(())
}

/// What an event about a mail says.
pub(crate) fn event(letter: &Letter, ids: &Ids, reason: String) -> MailEvent {
    MailEvent {
        tenant_id: ids.tenant_id.clone().map(String::from),
        provider_id: ids.provider_id.clone().map(String::from),
        mail_id: ids.mail_id.clone().map(String::from),
        message_id: letter.message_id.clone(),
        reason,
    }
}

/// Only where there is no row: what stands there is another mail's, or this one's from the last time.
async fn record(
    parts: &Parts,
    letter: &Letter,
    provider_id: &ProviderId,
    mail_id: &MailId,
    refusal: &Refusal,
) -> Result<(), Trouble> {
    let row =
        never_understood(provider_id.clone(), mail_id.clone(), refusal.code(), letter.sent_at, parts.ambient.now());
    parts.ledger.write(&row, None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::telemetry::ProviderEvent;

    use super::*;
    use crate::mail::tests::{SAMPLE, sample, time};

    #[test]
    fn the_samples_are_what_the_bus_gets() {
        let mail = sample();
        let letter = Letter {
            message_id: "059f36b4-87a3-44ab-83d2-661975830a7d".to_owned(),
            body: SAMPLE.to_owned(),
            sent_at: time("2026-11-23T10:00:00Z"),
            receives: 1,
            hops: 0,
        };
        let ids = Ids::of_body(&letter.body);
        let of_mail = |reason: &str| event(&letter, &ids, reason.to_owned());
        let suspended = ProviderEvent {
            tenant_id: mail.tenant_id.clone(),
            provider_id: mail.provider_id.clone(),
            account_id: "171436882533".to_owned(),
            reason: Some("sending_paused".to_owned()),
        };
        let cases = [
            (include_str!("../../../events/send-mail-rejected.json"), Event::MailRejected(of_mail("invalid:to[1]"))),
            (include_str!("../../../events/send-mail-in-doubt.json"), Event::MailInDoubt(of_mail("no_answer"))),
            (include_str!("../../../events/send-mail-expired.json"), Event::MailExpired(of_mail("expired"))),
            (include_str!("../../../events/send-provider-suspended.json"), Event::ProviderSuspended(suspended)),
        ];
        for (sample, event) in cases {
            let sample: Value = serde_json::from_str(sample).unwrap();
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["source"], "sendingbee.send");
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }
}
