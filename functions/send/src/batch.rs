//! A batch: each mail is a task of its own, and the answer names the ones that have to come back.

use std::collections::{BTreeMap, HashSet};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use shared::record::{Provider, ProviderId};
use shared::runtime::Ambient;
use shared::telemetry::chain;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::delivery::Delivery;
use crate::fate::{Fate, Tally};
use crate::letter::Letter;
use crate::mail::Mail;
use crate::rate::Slot;
use crate::refusal::Refused;
use crate::snapshot::{Standing, View};
use crate::trouble::Trouble;
use crate::{Invocation, Parts, poison};

/// What is left of the invocation when unfinished mails are given up, so that the answer still gets out: without it the
/// finished ones would come back too.
const FOR_THE_ANSWER: Duration = Duration::from_millis(500);

/// What the mails of a batch share.
pub(crate) struct Batch {
    /// The invocation's id.
    pub(crate) request_id: String,
    /// When Lambda kills the invocation.
    pub(crate) deadline: Timestamp,
    /// Halt, providers and secrets.
    pub(crate) view: View,
    /// Providers that this batch has suspended, or found suspended.
    pub(crate) suspended: Mutex<HashSet<ProviderId>>,
    /// The longest that one of its mails has slept for its start.
    pub(crate) waited_ms: AtomicU64,
}

/// A message and what it is to this batch.
enum Entry {
    Mail(Box<Delivery>, Option<Slot>),
    Refused(Letter, Box<Refused>),
}

/// What an entry needs to be answered for.
struct Ticket {
    message_id: String,
    again: bool,
}

impl Batch {
    /// What is left of the invocation.
    pub(crate) fn remaining(&self, ambient: &Ambient) -> Duration {
        Duration::try_from(self.deadline.duration_since(ambient.now())).unwrap_or_default()
    }
}

/// Deals with a batch. Every message that is not named in the answer has a recorded fate or a copy in a queue.
pub(crate) async fn handle(parts: &Arc<Parts>, event: SqsEvent, invocation: Invocation) -> SqsBatchResponse {
    let now = parts.ambient.now();
    let letters: Vec<Option<Letter>> = event.records.into_iter().map(|record| Letter::of_record(record, now)).collect();
    let receives_max = letters.iter().flatten().map(|letter| letter.receives).max().unwrap_or(0);
    let hops_max = letters.iter().flatten().map(|letter| letter.hops).max().unwrap_or(0);
    let read: Vec<(Letter, Result<Mail, Box<Refused>>)> =
        letters.iter().flatten().map(|letter| (letter.clone(), Mail::parse(&letter.body, letter.sent_at))).collect();
    let wanted = read.iter().filter_map(|(_, read)| provider_id(read)).cloned().collect();
    let batch = Arc::new(Batch {
        request_id: invocation.request_id,
        deadline: invocation.deadline,
        view: View::new(parts.records.clone(), wanted),
        suspended: Mutex::default(),
        waited_ms: AtomicU64::new(0),
    });

    let mut response = SqsBatchResponse::default();
    let mut tally = Tally::default();
    // A message without an id cannot be named, and the empty id fails the whole batch (Lambda developer guide, "Handling
    // errors for an SQS event source in Lambda"): what was done about the others is found when they come back.
    for _ in letters.iter().filter(|letter| letter.is_none()) {
        tracing::error!(error = %Trouble::NoId, "comes back");
        tally.count(None);
        response.add_failure("");
    }

    let (mut entries, tickets): (Vec<Entry>, Vec<Ticket>) =
        read.into_iter().enumerate().map(|(place, (letter, read))| entry(parts, &batch, place, letter, read)).unzip();
    reserve_starts(parts, &batch, &mut entries, &tickets).await;

    // What was received before may be what killed its worker: it goes alone, when the others are through.
    let (again, first): (Vec<_>, Vec<_>) = entries.into_iter().zip(tickets).partition(|(_, ticket)| ticket.again);
    let tasks: Vec<_> =
        first.into_iter().map(|(entry, ticket)| (ticket, tokio::spawn(settle(parts, &batch, entry)))).collect();
    for (ticket, task) in tasks {
        answer(ticket, caught(task.await), &mut tally, &mut response);
    }
    for (entry, ticket) in again {
        let task = tokio::spawn(settle(parts, &batch, entry));
        answer(ticket, caught(task.await), &mut tally, &mut response);
    }

    let waited_ms = batch.waited_ms.load(Ordering::Relaxed);
    let Tally { mails, sent, settled, rejected, expired, in_doubt, requeued, failed } = tally;
    tracing::info!(
        mails,
        sent,
        settled,
        rejected,
        expired,
        in_doubt,
        requeued,
        failed,
        waited_ms,
        receives_max,
        hops_max,
        "batch"
    );
    response
}

fn provider_id(read: &Result<Mail, Box<Refused>>) -> Option<&ProviderId> {
    match read {
        Ok(mail) => Some(&mail.provider_id),
        Err(refused) => refused.ids.provider_id.as_ref(),
    }
}

fn entry(
    parts: &Arc<Parts>,
    batch: &Arc<Batch>,
    place: usize,
    letter: Letter,
    read: Result<Mail, Box<Refused>>,
) -> (Entry, Ticket) {
    let ticket = Ticket { message_id: letter.message_id.clone(), again: letter.receives >= 2 };
    let entry = match read {
        Ok(mail) => {
            let delivery = Delivery::new(Arc::clone(parts), Arc::clone(batch), letter, mail, place);
            Entry::Mail(Box::new(delivery), None)
        }
        Err(refused) => Entry::Refused(letter, refused),
    };
    (entry, ticket)
}

/// Reserves the starts of all mails that go out at once, in one write for each account and Region. What fails here is
/// left to each mail by itself.
async fn reserve_starts(parts: &Parts, batch: &Batch, entries: &mut [Entry], tickets: &[Ticket]) {
    let Ok(snapshot) = batch.view.fresh().await else { return };
    let mut accounts: BTreeMap<_, (Arc<Provider>, Vec<usize>)> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let Entry::Mail(delivery, _) = entry else { continue };
        if tickets[place].again || delivery.is_expired() {
            continue;
        }
        if let Standing::Good(provider) = snapshot.standing(delivery.mail()) {
            let key = (provider.account_id.clone(), provider.region.as_str());
            accounts.entry(key).or_insert_with(|| (provider, Vec::new())).1.push(place);
        }
    }
    for (provider, places) in accounts.into_values() {
        let recipients: Vec<u32> = places
            .iter()
            .map(|place| match &entries[*place] {
                Entry::Mail(delivery, _) => delivery.mail().recipients(),
                Entry::Refused(..) => 0,
            })
            .collect();
        match parts.rates.reserve(&provider, &recipients, &parts.ambient).await {
            Ok(slots) => {
                for (place, reserved) in places.into_iter().zip(slots) {
                    if let Entry::Mail(_, slot) = &mut entries[place] {
                        *slot = Some(reserved);
                    }
                }
            }
            Err(error) => tracing::warn!(error = chain(&error), "starts not reserved for the batch"),
        }
    }
}

/// Settles one entry, or gives it up in time for the answer.
fn settle(
    parts: &Arc<Parts>,
    batch: &Arc<Batch>,
    entry: Entry,
) -> impl Future<Output = Result<Fate, Trouble>> + Send + 'static {
    let (parts, batch) = (Arc::clone(parts), Arc::clone(batch));
    async move {
        let left = batch.remaining(&parts.ambient).saturating_sub(FOR_THE_ANSWER);
        let settled = async {
            match entry {
                Entry::Mail(delivery, slot) => Box::pin(delivery.run(slot)).await,
                Entry::Refused(letter, refused) => poison::refuse(&parts, &batch.view, &letter, &refused)
                    .await
                    .map(|()| Fate::Rejected)
                    .inspect_err(|trouble| {
                        tracing::warn!(message_id = letter.message_id, error = chain(trouble), "comes back");
                    }),
            }
        };
        timeout(left, settled).await.unwrap_or(Err(Trouble::OutOfTime))
    }
}

fn caught(joined: Result<Result<Fate, Trouble>, tokio::task::JoinError>) -> Result<Fate, Trouble> {
    joined.unwrap_or(Err(Trouble::Panicked))
}

fn answer(ticket: Ticket, settled: Result<Fate, Trouble>, tally: &mut Tally, response: &mut SqsBatchResponse) {
    tally.count(settled.as_ref().ok().copied());
    if let Err(trouble) = settled {
        if matches!(trouble, Trouble::Panicked | Trouble::OutOfTime) {
            tracing::error!(message_id = ticket.message_id, error = %trouble, "comes back");
        }
        response.add_failure(ticket.message_id);
    }
}
