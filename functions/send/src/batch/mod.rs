//! A batch: each message is processed in a task of its own, and the response names the messages that SQS has to deliver
//! again.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use shared::id::ProviderId;
use shared::mail::{Mail, MailIds, with_first_seen_if_mail};
use shared::queue::{Batch, Interrupted, Message, Outgoing, process_batch};
use shared::record::Provider;
use shared::telemetry::chain;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::context::{BatchContext, Invocation, Services};
use crate::delay::Delay;
use crate::delivery::Delivery;
use crate::delivery_error::DeliveryError;
use crate::disposition::{Disposition, Tally};
use crate::failover::provider_for;
use crate::parking::Release;
use crate::poison;
use crate::rate::{Slot, StartRequest};
use crate::rejection::RejectedMessage;
use crate::settle::Settlement;
use crate::snapshot::Eligibility;

/// How long starts may be reserved for the batch, so that mails have time left to reserve their own.
const RESERVATION_TIMEOUT: Duration = Duration::from_secs(3);

/// How often a message is received before it is given up. Half of the `maxReceiveCount` in template.yaml, after which SQS
/// moves it to the dead-letter queue without telling anybody why.
const MAX_RECEIVES: u32 = 50;

/// From which receive on a failure is an error that somebody has to know of.
const REPORTED_AFTER: u32 = 3;

/// A message of the batch.
struct BatchItem {
    message: Arc<Message>,
    parsed: ParsedMessage,
    /// The start that the batch has reserved for the mail.
    slot: Option<Slot>,
}

/// The result of parsing a message.
enum ParsedMessage {
    Mail(Box<Mail>),
    Settlement(Box<Settlement>),
    Release(Box<Release>),
    Rejected(Box<RejectedMessage>),
    Panicked,
}

/// The mails of an account and Region that need a start.
struct AccountMails {
    provider: Arc<Provider>,
    places: Vec<usize>,
    wanted: Vec<StartRequest>,
}

impl BatchItem {
    /// Parses a message. A panic must not affect the other messages.
    fn parse(message: &Arc<Message>) -> Self {
        if let Some(settlement) = Settlement::parse(&message.body) {
            let parsed = ParsedMessage::Settlement(Box::new(settlement));
            return Self { message: Arc::clone(message), parsed, slot: None };
        }
        if let Some(release) = Release::parse(&message.body) {
            let parsed = ParsedMessage::Release(Box::new(release));
            return Self { message: Arc::clone(message), parsed, slot: None };
        }
        let parsed = match catch_unwind(|| Mail::parse(&message.body, message.sent_at)) {
            Ok(Ok(mail)) => ParsedMessage::Mail(Box::new(mail)),
            Ok(Err(error)) => ParsedMessage::Rejected(Box::new(RejectedMessage::new(error, &message.body))),
            Err(_) => ParsedMessage::Panicked,
        };
        Self { message: Arc::clone(message), parsed, slot: None }
    }

    fn provider_ids(&self) -> &[ProviderId] {
        match &self.parsed {
            ParsedMessage::Mail(mail) => &mail.provider_ids,
            ParsedMessage::Rejected(rejected) => rejected.ids.provider_id.as_slice(),
            ParsedMessage::Settlement(_) | ParsedMessage::Release(_) | ParsedMessage::Panicked => &[],
        }
    }

    /// Whether it is processed alone, after the others: a message that was received before may have killed its worker.
    fn is_processed_alone(&self) -> bool {
        self.message.receives >= 2
    }
}

/// Processes a batch. Every message that the response does not name has a recorded disposition or a copy in a queue.
pub(crate) async fn process(services: &Arc<Services>, event: SqsEvent, invocation: Invocation) -> SqsBatchResponse {
    let batch = Batch::from_event(event, services.ambient.now());
    let receives_max = batch.messages.iter().map(|message| message.receives).max().unwrap_or(0);
    let hops_max = batch.messages.iter().map(|message| message.hops).max().unwrap_or(0);
    let mut items: Vec<_> = batch.messages.iter().map(BatchItem::parse).collect();
    let provider_ids = items.iter().flat_map(BatchItem::provider_ids).cloned().collect();
    let Invocation { request_id, deadline } = invocation;
    let context = Arc::new(BatchContext::new(services, request_id, deadline, provider_ids));
    if timeout(RESERVATION_TIMEOUT, reserve_starts(services, &context, &mut items)).await.is_err() {
        tracing::warn!("reserving send starts for the batch timed out; each mail reserves its own");
    }

    let handle = |place, item| process_item(Arc::clone(services), Arc::clone(&context), place, item);
    let remaining = || context.remaining(&services.ambient);
    let results = process_batch(items, BatchItem::is_processed_alone, remaining, handle).await;

    let mut tally = Tally::default();
    (0..batch.without_id).for_each(|_| tally.count(None));
    let mut failed = Vec::new();
    for (message, result) in batch.messages.iter().zip(results) {
        let disposition = match result.unwrap_or_else(|interrupted| Err(interrupted.into())) {
            Ok(disposition) => Some(disposition),
            Err(error) => give_up_if_hopeless(services, &context, message, &error).await,
        };
        tally.count(disposition);
        if disposition.is_none() {
            // AWS's metric of the oldest message leaves out messages that were received three times or more (SQS developer
            // guide, "Available CloudWatch metrics for Amazon SQS"), so that no alarm on it sees this one.
            if message.receives >= REPORTED_AFTER {
                tracing::error!(
                    message_id = message.message_id,
                    receives = message.receives,
                    "a message failed again that was received three times or more"
                );
            }
            failed.push(message.message_id.as_str());
        }
    }
    context.sent_mails.tell(&services.bus, remaining()).await;
    let waited_ms = context.waited_ms.load(Ordering::Relaxed);
    let Tally { mails, sent, settled, rejected, expired, in_doubt, requeued, parked, failed: failed_mails } = tally;
    tracing::info!(
        mails,
        sent,
        settled,
        rejected,
        expired,
        in_doubt,
        requeued,
        parked,
        failed = failed_mails,
        waited_ms,
        receives_max,
        hops_max,
        "batch processed"
    );
    batch.response(failed)
}

/// Reserves the starts of all mails that are sent concurrently: one write for each account and Region, all writes at the
/// same time. If a write fails, each of its mails reserves its own start.
async fn reserve_starts(services: &Arc<Services>, context: &BatchContext, items: &mut [BatchItem]) {
    let Ok(snapshot) = context.snapshots.fresh().await else { return };
    let now = services.ambient.now();
    for item in items.iter_mut() {
        if let ParsedMessage::Mail(mail) = &mut item.parsed
            && mail.provider_ids.len() > 1
        {
            mail.provider_id = provider_for(mail, &snapshot, &services.rates, now);
        }
    }
    let mut accounts: BTreeMap<_, AccountMails> = BTreeMap::new();
    for (place, item) in items.iter().enumerate() {
        let ParsedMessage::Mail(mail) = &item.parsed else { continue };
        // A mail that reads files first does not know when it could start.
        let starts_later =
            mail.not_before.is_some_and(|not_before| not_before > now) || mail.stored_files().next().is_some();
        if item.is_processed_alone() || mail.expiry() <= now || starts_later {
            continue;
        }
        if let Eligibility::Eligible(provider) = snapshot.eligibility(mail, now) {
            let key = (provider.account_id.clone(), provider.region.as_str());
            let mails = accounts.entry(key).or_insert_with(|| AccountMails {
                provider,
                places: Vec::new(),
                wanted: Vec::new(),
            });
            mails.places.push(place);
            mails.wanted.push(StartRequest::of(mail, &item.message));
        }
    }
    let mut reservations = JoinSet::new();
    for AccountMails { provider, places, wanted } in accounts.into_values() {
        let services = Arc::clone(services);
        let lead = services.preparation.reservation_lead();
        reservations.spawn(async move {
            let reserved = services.rates.reserve(&provider, &wanted, lead, &services.ambient).await;
            (provider, places, reserved)
        });
    }
    while let Some(reserved) = reservations.join_next().await {
        match reserved {
            Ok((_, places, Ok(slots))) => {
                for (place, slot) in places.into_iter().zip(slots) {
                    items[place].slot = Some(slot);
                }
            }
            Ok((provider, _, Err(error))) => tracing::warn!(
                account_id = provider.account_id,
                region = %provider.region,
                error = chain(&error),
                "reserving send starts of an account failed; each mail reserves its own"
            ),
            Err(error) => tracing::error!(%error, "reserving send starts of an account panicked"),
        }
    }
}

/// Processes one message.
async fn process_item(
    services: Arc<Services>,
    context: Arc<BatchContext>,
    place: usize,
    item: BatchItem,
) -> Result<Disposition, DeliveryError> {
    let BatchItem { message, parsed, slot } = item;
    match parsed {
        ParsedMessage::Mail(mail) => {
            let delivery = Delivery::new(services, context, message, *mail, place);
            Box::pin(delivery.run(slot)).await
        }
        ParsedMessage::Settlement(settlement) => Box::pin(settlement.record(&services)).await.inspect_err(|error| {
            tracing::warn!(
                message_id = message.message_id,
                provider_id = %settlement.provider_id,
                mail_id = %settlement.mail_id,
                ses_message_id = settlement.ses_message_id,
                error = chain(error),
                "recording an accepted mail later failed; SQS delivers its message again"
            );
        }),
        ParsedMessage::Release(release) => {
            Box::pin(release.run(&services, context.deadline)).await.inspect_err(|error| {
                tracing::warn!(
                    message_id = message.message_id,
                    error = chain(error),
                    "releasing parked mail failed; what is left is released in a minute"
                );
            })
        }
        ParsedMessage::Rejected(rejected) => {
            let result = poison::reject(&services, &context, &message, &rejected).await;
            result.map(|()| Disposition::Rejected).inspect_err(|error| {
                tracing::warn!(
                    message_id = message.message_id,
                    error = chain(error),
                    "dead-lettering an invalid message failed; SQS delivers it again"
                );
            })
        }
        ParsedMessage::Panicked => Err(Interrupted::Panicked.into()),
    }
}

/// Gives a message up that has failed too often and may itself be the cause; if something that we depend on is the cause,
/// sends it to the queue as a new message, because SQS would soon move it to the dead-letter queue without telling anybody.
/// Returns `None` if SQS has to deliver it again.
async fn give_up_if_hopeless(
    services: &Arc<Services>,
    context: &Arc<BatchContext>,
    message: &Arc<Message>,
    error: &DeliveryError,
) -> Option<Disposition> {
    // Other errors were logged where they happened.
    match error {
        DeliveryError::Interrupted(Interrupted::Panicked) => {
            tracing::error!(message_id = message.message_id, "processing a message panicked; SQS delivers it again");
        }
        DeliveryError::Interrupted(Interrupted::OutOfTime) => {
            tracing::warn!(
                message_id = message.message_id,
                "processing a message ran out of time; SQS delivers it again"
            );
        }
        _ => {}
    }
    if message.receives < MAX_RECEIVES {
        return None;
    }
    let is_caused_by_message = error.is_caused_by_message();
    // A task of its own, because what panicked before may panic again.
    let (services, context, message) = (Arc::clone(services), Arc::clone(context), Arc::clone(message));
    let (remaining, message_id) = (context.remaining(&services.ambient), message.message_id.clone());
    let given_up = tokio::spawn(timeout(remaining, async move {
        if is_caused_by_message {
            give_up(&services, &context, &message).await
        } else {
            start_again(&services, &message).await
        }
    }));
    let given_up = match given_up.await {
        Ok(Ok(given_up)) => given_up,
        Ok(Err(_)) => Err(Interrupted::OutOfTime.into()),
        Err(_) => Err(Interrupted::Panicked.into()),
    };
    match given_up {
        Ok(disposition) => Some(disposition),
        Err(error) => {
            tracing::error!(message_id, error = chain(&error), "giving a message up failed; SQS delivers it again");
            None
        }
    }
}

/// Gives a message up. What is told of a mail depends on its row; a message that cannot be read has none.
async fn give_up(
    services: &Arc<Services>,
    context: &Arc<BatchContext>,
    message: &Arc<Message>,
) -> Result<Disposition, DeliveryError> {
    let delivery = catch_unwind(AssertUnwindSafe(|| {
        let mail = Mail::parse(&message.body, message.sent_at).ok()?;
        Some(Delivery::new(Arc::clone(services), Arc::clone(context), Arc::clone(message), mail, 0))
    }));
    match delivery {
        Ok(Some(delivery)) => delivery.give_up().await,
        Ok(None) | Err(_) => poison::give_up(services, context, message).await.map(|()| Disposition::Rejected),
    }
}

/// Sends a message to the queue as a new one, which nobody has received yet.
async fn start_again(services: &Services, message: &Message) -> Result<Disposition, DeliveryError> {
    let body = with_first_seen_if_mail(&message.body, message.sent_at);
    let provider_id = MailIds::from_body(&message.body).provider_id;
    let copy = Outgoing {
        subject: &message.message_id,
        body: &body,
        group: provider_id.as_ref().map_or("-", ProviderId::as_str),
        delay: Delay::MAX.with_jitter(&services.ambient),
        hops: Some(message.hops.saturating_add(1)),
        lined_up: false,
    };
    services.send_queue.send(copy).await?;
    tracing::error!(
        message_id = message.message_id,
        receives = message.receives,
        "a message that failed again and again waits as a new message"
    );
    Ok(Disposition::Requeued)
}
