//! Messages that can never be sent: an event, a copy in the dead-letter queue and a ledger row, in this order.
//!
//! If the worker is killed in between, SQS delivers the message again and all of it is repeated: there may be an event and
//! a dead letter too many, and never one too few.

use shared::id::{MailId, ProviderId, TenantId};
use shared::mail::MailIds;
use shared::queue::{DeadLetter, Message};
use shared::telemetry::{Event, MailEvent};

use crate::context::{BatchContext, Services};
use crate::delivery_error::DeliveryError;
use crate::ledger::unparsed_row;
use crate::rejection::{RejectedMessage, Rejection, RejectionCode};

/// Rejects a message that is no valid mail. If it names its tenant, provider and mail, a row shows its state to whoever
/// asks for that mail.
pub(crate) async fn reject(
    services: &Services,
    batch: &BatchContext,
    message: &Message,
    rejected: &RejectedMessage,
) -> Result<(), DeliveryError> {
    let row = match &rejected.ids {
        MailIds { tenant_id: Some(tenant_id), provider_id: Some(provider_id), mail_id: Some(mail_id) } => {
            // Do not write a row under another tenant's provider: it would block that tenant's own mail with the same id.
            let snapshot = batch.snapshots.fresh().await?;
            let is_own = snapshot.provider(provider_id).is_some_and(|provider| provider.tenant_id == *tenant_id);
            is_own.then_some((tenant_id, provider_id, mail_id))
        }
        _ => None,
    };
    dead_letter(services, message, &rejected.ids, &rejected.rejection).await?;
    if let Some(ids) = row {
        record(services, message, ids, rejected.rejection.code()).await?;
    }
    Ok(())
}

/// Gives up a message that was received too often and is no valid mail.
pub(crate) async fn give_up(services: &Services, batch: &BatchContext, message: &Message) -> Result<(), DeliveryError> {
    let rejected = RejectedMessage { rejection: Rejection::given_up(), ids: MailIds::from_body(&message.body) };
    reject(services, batch, message, &rejected).await
}

/// Puts a copy of a message into the dead-letter queue.
pub(crate) async fn set_aside(
    services: &Services,
    message: &Message,
    rejection: &Rejection,
) -> Result<(), DeliveryError> {
    let Rejection { reason, field, problem } = rejection;
    services.dead_letter_queue.dead_letter(message, DeadLetter { reason: reason.as_str(), field, problem }).await?;
    Ok(())
}

/// Publishes the event about a message that will never be sent and puts a copy of it into the dead-letter queue. Writes no
/// row.
pub(crate) async fn dead_letter(
    services: &Services,
    message: &Message,
    ids: &MailIds,
    rejection: &Rejection,
) -> Result<(), DeliveryError> {
    let code = String::from(rejection.code());
    let event = Event::MailRejected(mail_event(message, ids, code.clone()));
    services.bus.put(&event, services.ambient.now()).await?;
    set_aside(services, message, rejection).await?;
    tracing::warn!(
        message_id = message.message_id,
        provider_id = ids.provider_id.as_ref().map(ProviderId::as_str),
        mail_id = ids.mail_id.as_ref().map(MailId::as_str),
        reason = code,
        "message rejected and dead-lettered"
    );
    Ok(())
}

/// The detail of an event about a mail.
pub(crate) fn mail_event(message: &Message, ids: &MailIds, reason: String) -> MailEvent {
    MailEvent {
        tenant_id: ids.tenant_id.clone().map(String::from),
        provider_id: ids.provider_id.clone().map(String::from),
        mail_id: ids.mail_id.clone().map(String::from),
        message_id: message.message_id.clone(),
        reason,
    }
}

/// Writes the row only if there is none: an existing row belongs to another mail, or to this one's last attempt.
async fn record(
    services: &Services,
    message: &Message,
    (tenant_id, provider_id, mail_id): (&TenantId, &ProviderId, &MailId),
    code: RejectionCode,
) -> Result<(), DeliveryError> {
    let (tenant_id, provider_id, mail_id) = (tenant_id.clone(), provider_id.clone(), mail_id.clone());
    let row = unparsed_row(tenant_id, provider_id, mail_id, code, message.sent_at, services.ambient.now());
    services.ledger.write(&row, None).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::record::{Status, StatusName, SuspensionReason};
    use shared::telemetry::{DailyQuotaEvent, ProviderEvent};

    use super::*;
    use crate::fixtures::{SAMPLE, message, provider};

    #[test]
    fn the_sample_events_are_what_the_bus_gets() {
        let message = message(SAMPLE.to_owned());
        let ids = MailIds::from_body(&message.body);
        let of_mail = |reason: &str| mail_event(&message, &ids, reason.to_owned());
        let (provider, paused) = (provider(Status::plain(StatusName::Active)), SuspensionReason::SendingPaused);
        let suspended = ProviderEvent::suspended(&provider, paused);
        let quota = DailyQuotaEvent {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            region: provider.region.to_string(),
            max_24_hour_send: 50_000,
            sent_last_24_hours: 40_000,
        };
        let resumed = ProviderEvent::new(&provider, Some(paused.as_str().to_owned()));
        let cases = [
            (include_str!("../../../events/send-mail-rejected.json"), Event::MailRejected(of_mail("invalid:to[1]"))),
            (include_str!("../../../events/send-mail-in-doubt.json"), Event::MailInDoubt(of_mail("no_answer"))),
            (include_str!("../../../events/send-mail-expired.json"), Event::MailExpired(of_mail("expired"))),
            (include_str!("../../../events/send-provider-suspended.json"), Event::ProviderSuspended(suspended)),
            (include_str!("../../../events/send-provider-resumed.json"), Event::ProviderResumed(resumed)),
            (include_str!("../../../events/send-daily-quota-nearly-used.json"), Event::DailyQuotaNearlyUsed(quota)),
        ];
        for (sample, event) in cases {
            let sample: Value = serde_json::from_str(sample).unwrap();
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["source"], "sendingbee.send");
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }
}
