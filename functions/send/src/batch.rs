//! A batch: each mail is a task of its own, and the answer names the ones that have to come back.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::panic::catch_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};
use jiff::Timestamp;
use shared::id::ProviderId;
use shared::record::Provider;
use shared::runtime::Ambient;
use shared::telemetry::chain;
use tokio::sync::Mutex;
use tokio::task::{JoinHandle, JoinSet};
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

/// The longest that starts are reserved for the batch, so that there is time left for mails that reserve their own.
const FOR_THE_STARTS: Duration = Duration::from_secs(3);

/// How often a message is received before it is given up. Half of what SQS moves it to the dead-letter queue after
/// (`maxReceiveCount` in template.yaml), where nobody would be told why.
const MOST_RECEIVES: u32 = 50;

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

/// A message of the batch.
struct Entry {
    letter: Arc<Letter>,
    read: Read,
    slot: Option<Slot>,
}

/// What a message turned out to be.
enum Read {
    Mail(Box<Mail>),
    Refused(Box<Refused>),
    Panicked,
}

/// The starts that an account and Region needs.
struct Wanted {
    provider: Arc<Provider>,
    places: Vec<usize>,
    recipients: Vec<u32>,
}

impl Batch {
    /// What is left of the invocation.
    pub(crate) fn remaining(&self, ambient: &Ambient) -> Duration {
        Duration::try_from(self.deadline.duration_since(ambient.now())).unwrap_or_default()
    }
}

impl Entry {
    /// Reads a message. A panic over one must not take the others along.
    fn of_letter(letter: Letter) -> Self {
        let read = match catch_unwind(|| Mail::parse(&letter.body, letter.sent_at)) {
            Ok(Ok(mail)) => Read::Mail(Box::new(mail)),
            Ok(Err(refused)) => Read::Refused(refused),
            Err(_) => Read::Panicked,
        };
        Self { letter: Arc::new(letter), read, slot: None }
    }

    fn provider_id(&self) -> Option<&ProviderId> {
        match &self.read {
            Read::Mail(mail) => Some(&mail.provider_id),
            Read::Refused(refused) => refused.ids.provider_id.as_ref(),
            Read::Panicked => None,
        }
    }

    /// Whether it has to be dealt with when the others are through: what was received before may be what killed its worker.
    fn goes_alone(&self) -> bool {
        self.letter.receives >= 2
    }
}

/// Deals with a batch. Every message that is not named in the answer has a recorded fate or a copy in a queue.
pub(crate) async fn handle(parts: &Arc<Parts>, event: SqsEvent, invocation: Invocation) -> SqsBatchResponse {
    let now = parts.ambient.now();
    let mut response = SqsBatchResponse::default();
    let mut tally = Tally::default();
    let mut entries = Vec::with_capacity(event.records.len());
    for record in event.records {
        match Letter::of_record(record, now) {
            Some(letter) => entries.push(Entry::of_letter(letter)),
            // A message without an id cannot be named, and the empty id fails the whole batch (Lambda developer guide,
            // "Handling errors for an SQS event source in Lambda"): what was done about the others is found when they
            // come back.
            None => {
                tracing::error!(error = %Trouble::NoId, "comes back");
                tally.count(None);
                response.add_failure("");
            }
        }
    }
    let receives_max = entries.iter().map(|entry| entry.letter.receives).max().unwrap_or(0);
    let hops_max = entries.iter().map(|entry| entry.letter.hops).max().unwrap_or(0);
    let wanted = entries.iter().filter_map(Entry::provider_id).cloned().collect();
    let batch = Arc::new(Batch {
        request_id: invocation.request_id,
        deadline: invocation.deadline,
        view: View::new(parts.records.clone(), wanted),
        suspended: Mutex::default(),
        waited_ms: AtomicU64::new(0),
    });
    if timeout(FOR_THE_STARTS, reserve_starts(parts, &batch, &mut entries)).await.is_err() {
        tracing::warn!("starts not reserved for the batch in time");
    }

    let mut count = |letter: &Letter, fate: Option<Fate>| {
        tally.count(fate);
        if fate.is_none() {
            response.add_failure(&letter.message_id);
        }
    };
    let (alone, together): (Vec<_>, Vec<_>) =
        entries.into_iter().enumerate().partition(|(_, entry)| entry.goes_alone());
    let tasks: Vec<_> = together.into_iter().map(|(place, entry)| spawn(parts, &batch, place, entry)).collect();
    for (letter, task) in tasks {
        count(&letter, conclude(parts, &batch, &letter, task).await);
    }
    for (place, entry) in alone {
        let (letter, task) = spawn(parts, &batch, place, entry);
        count(&letter, conclude(parts, &batch, &letter, task).await);
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

/// Reserves the starts of all mails that go out at once, in one write for each account and Region, all at the same time.
/// What fails here is left to each mail by itself.
async fn reserve_starts(parts: &Arc<Parts>, batch: &Batch, entries: &mut [Entry]) {
    let Ok(snapshot) = batch.view.fresh().await else { return };
    let now = parts.ambient.now();
    let mut accounts: BTreeMap<_, Wanted> = BTreeMap::new();
    for (place, entry) in entries.iter().enumerate() {
        let Read::Mail(mail) = &entry.read else { continue };
        if entry.goes_alone() || mail.expiry() <= now {
            continue;
        }
        if let Standing::Good(provider) = snapshot.standing(mail) {
            let key = (provider.account_id.clone(), provider.region.as_str());
            let wanted =
                accounts.entry(key).or_insert_with(|| Wanted { provider, places: Vec::new(), recipients: Vec::new() });
            wanted.places.push(place);
            wanted.recipients.push(mail.recipients());
        }
    }
    let mut reservations = JoinSet::new();
    for Wanted { provider, places, recipients } in accounts.into_values() {
        let parts = Arc::clone(parts);
        reservations.spawn(async move { (places, parts.rates.reserve(&provider, &recipients, &parts.ambient).await) });
    }
    while let Some(reserved) = reservations.join_next().await {
        match reserved {
            Ok((places, Ok(slots))) => {
                for (place, slot) in places.into_iter().zip(slots) {
                    entries[place].slot = Some(slot);
                }
            }
            Ok((_, Err(error))) => tracing::warn!(error = chain(&error), "starts not reserved for the batch"),
            Err(error) => tracing::error!(%error, "starts not reserved for the batch"),
        }
    }
}

type Task = JoinHandle<Result<Fate, Trouble>>;

/// Begins to settle an entry, in a task of its own.
fn spawn(parts: &Arc<Parts>, batch: &Arc<Batch>, place: usize, entry: Entry) -> (Arc<Letter>, Task) {
    let letter = Arc::clone(&entry.letter);
    (letter, tokio::spawn(settle(Arc::clone(parts), Arc::clone(batch), place, entry)))
}

/// Settles one entry, or leaves it in time for the answer.
async fn settle(parts: Arc<Parts>, batch: Arc<Batch>, place: usize, entry: Entry) -> Result<Fate, Trouble> {
    let left = batch.remaining(&parts.ambient).saturating_sub(FOR_THE_ANSWER);
    let Entry { letter, read, slot } = entry;
    let settled = async {
        match read {
            Read::Mail(mail) => {
                let delivery = Delivery::new(Arc::clone(&parts), Arc::clone(&batch), letter, *mail, place);
                Box::pin(delivery.run(slot)).await
            }
            Read::Refused(refused) => poison::refuse(&parts, &batch.view, &letter, &refused)
                .await
                .map(|()| Fate::Rejected)
                .inspect_err(|trouble| {
                    tracing::warn!(message_id = letter.message_id, error = chain(trouble), "comes back");
                }),
            Read::Panicked => Err(Trouble::Panicked),
        }
    };
    timeout(left, settled).await.unwrap_or(Err(Trouble::OutOfTime))
}

/// What became of a message in the end; nothing where it has to come back.
async fn conclude(parts: &Parts, batch: &Batch, letter: &Letter, task: Task) -> Option<Fate> {
    let trouble = match task.await.unwrap_or(Err(Trouble::Panicked)) {
        Ok(fate) => return Some(fate),
        Err(trouble) => trouble,
    };
    match trouble {
        Trouble::Panicked => tracing::error!(message_id = letter.message_id, error = %trouble, "comes back"),
        Trouble::OutOfTime => tracing::warn!(message_id = letter.message_id, error = %trouble, "comes back"),
        _ => {}
    }
    if letter.receives < MOST_RECEIVES || !trouble.is_of_message() {
        return None;
    }
    let left = batch.remaining(&parts.ambient).saturating_sub(FOR_THE_ANSWER);
    match timeout(left, poison::give_up(parts, &batch.view, letter)).await.unwrap_or(Err(Trouble::OutOfTime)) {
        Ok(()) => Some(Fate::Rejected),
        Err(trouble) => {
            tracing::error!(message_id = letter.message_id, error = chain(&trouble), "not given up");
            None
        }
    }
}
