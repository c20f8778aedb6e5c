//! Going through the dead letters of `send`: what matches is looked at, or moved back to the send queue.
//!
//! A message is sent before it is deleted, so killed in between it is in both queues, and both copies meet at the mail's row in
//! the ledger. What is not moved stays hidden until all of them were looked at, so that none is looked at twice, and is shown again
//! then. Where the time is over before, it stays hidden for the rest of [`HIDDEN_FOR`]: the next call sees the others first.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;
use shared::http::Problem;
use shared::id::{MailId, ProviderId, TenantId};
use shared::mail::{MailIds, with_first_seen};
use shared::queue::{MessageReceipt, Outgoing, QueueReadError};
use shared::record::{Provider, RecordError};
use shared::telemetry::chain;

use super::{DeadLetterView, Prospect, SetAsideMail};
use crate::Verify;

/// How long a message that was looked at is hidden: longer than a request takes, and no longer than an operator waits.
const HIDDEN_FOR: Duration = Duration::from_secs(60);

/// How long a call goes through the queue. The function has 29 s.
const TIME: SignedDuration = SignedDuration::from_secs(18);

/// How many letters an answer shows.
pub(crate) const MAX_SHOWN: usize = 100;

/// Which dead letters are meant. Each member that is absent matches all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DeadLetterFilter {
    pub(crate) reason: Option<String>,
    pub(crate) field: Option<String>,
    pub(crate) provider_id: Option<ProviderId>,
    pub(crate) mail_ids: Option<HashSet<MailId>>,
}

/// What going through the dead letters has shown.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Redrive {
    /// Whether all of them were looked at. If not, the same call goes on, perhaps only in a minute: somebody else looks at the others.
    pub(crate) complete: bool,
    /// How many there are for each reason, whether or not they match.
    pub(crate) found: BTreeMap<String, u32>,
    /// How many match, and were moved back.
    pub(crate) moved: u32,
    /// How many match, could be moved back, and were not: because nobody asked for it, or because SQS did not take them.
    pub(crate) redrivable: u32,
    /// How many match and would only come back.
    pub(crate) kept: u32,
    /// Those that match, as far as they fit.
    pub(crate) letters: Vec<ShownLetter>,
}

/// A letter, and whether it was moved back.
#[derive(Debug, Serialize)]
pub(crate) struct ShownLetter {
    #[serde(flatten)]
    letter: DeadLetterView,
    moved: bool,
}

impl DeadLetterFilter {
    /// Whether a letter is meant.
    fn matches(&self, letter: &SetAsideMail) -> bool {
        let has = |wanted: &Option<String>, is: Option<&str>| wanted.as_deref().is_none_or(|wanted| Some(wanted) == is);
        let is_provider = |id: &ProviderId| letter.ids.provider_id.as_ref() == Some(id);
        let is_mail = |ids: &HashSet<MailId>| letter.ids.mail_id.as_ref().is_some_and(|id| ids.contains(id));
        has(&self.reason, Some(letter.reason()))
            && has(&self.field, letter.message.field.as_deref())
            && self.provider_id.as_ref().is_none_or(is_provider)
            && self.mail_ids.as_ref().is_none_or(is_mail)
    }
}

impl Verify {
    /// Goes through the dead letters of `send` and, with `moves`, moves back those that match and can be sent by now.
    pub(crate) async fn redrive(&self, filter: &DeadLetterFilter, moves: bool) -> Result<Redrive, Problem> {
        let until = self.ambient.now() + TIME;
        let mut redrive = Redrive::default();
        let (mut seen, mut providers, mut hidden) = (HashSet::new(), HashMap::new(), Vec::new());
        while self.ambient.now() < until {
            let now = self.ambient.now();
            let received = self.send_dead_letter_queue.receive_set_aside(HIDDEN_FOR, now).await;
            let received = received.map_err(|error| Problem::unavailable().caused_by(&error))?;
            if received.is_empty() {
                redrive.complete = self.are_all_seen(hidden.len()).await?;
                break;
            }
            let mut movable = Vec::new();
            for letter in received.into_iter().map(SetAsideMail::new) {
                // SQS may deliver a message twice.
                if !seen.insert(letter.message.message_id.clone()) {
                    continue;
                }
                *redrive.found.entry(letter.reason().to_owned()).or_default() += 1;
                if !filter.matches(&letter) {
                    hidden.push(letter.message.receipt);
                    continue;
                }
                let provider = self.provider_of(&letter, &mut providers).await?;
                let prospect = letter.prospect(provider, now);
                if prospect.redrivable {
                    movable.push((letter, prospect));
                } else {
                    redrive.kept += 1;
                    redrive.show(&letter, prospect, false);
                    hidden.push(letter.message.receipt);
                }
            }
            let moved = if moves { self.move_back(&movable).await } else { vec![false; movable.len()] };
            for ((letter, prospect), moved) in movable.into_iter().zip(moved) {
                *(if moved { &mut redrive.moved } else { &mut redrive.redrivable }) += 1;
                redrive.show(&letter, prospect, moved);
                if !moved {
                    hidden.push(letter.message.receipt);
                }
            }
        }
        if redrive.complete {
            self.show_again(&hidden).await;
        }
        Ok(redrive)
    }

    /// Deletes the dead letters of a tenant. How many, and whether all were looked at by this time. What names no tenant stays.
    pub(crate) async fn erase_dead_letters(
        &self,
        tenant_id: &TenantId,
        until: Timestamp,
    ) -> Result<(u64, bool), Problem> {
        let unavailable = |error: QueueReadError| Problem::unavailable().caused_by(&error);
        let (mut deleted, mut hidden) = (0, Vec::new());
        while self.ambient.now() < until {
            let now = self.ambient.now();
            let received = self.send_dead_letter_queue.receive_set_aside(HIDDEN_FOR, now).await.map_err(unavailable)?;
            if received.is_empty() {
                let all = self.are_all_seen(hidden.len()).await?;
                self.show_again(&hidden).await;
                return Ok((deleted, all));
            }
            let (of_tenant, of_others): (Vec<_>, Vec<_>) = received
                .into_iter()
                .partition(|message| MailIds::from_body(&message.body).tenant_id.as_ref() == Some(tenant_id));
            let receipts: Vec<_> = of_tenant.into_iter().map(|message| message.receipt).collect();
            self.send_dead_letter_queue.delete_all(&receipts).await.map_err(unavailable)?;
            deleted += u64::try_from(receipts.len()).unwrap_or(u64::MAX);
            hidden.extend(of_others.into_iter().map(|message| message.receipt));
        }
        Ok((deleted, false))
    }

    /// The provider that a letter names, read once a call.
    async fn provider_of<'a>(
        &self,
        letter: &SetAsideMail,
        providers: &'a mut HashMap<ProviderId, Option<Provider>>,
    ) -> Result<Option<&'a Provider>, RecordError> {
        let Some(provider_id) = &letter.ids.provider_id else { return Ok(None) };
        if !providers.contains_key(provider_id) {
            providers.insert(provider_id.clone(), self.providers.provider(provider_id).await?);
        }
        Ok(providers.get(provider_id).and_then(Option::as_ref))
    }

    /// Sends letters to the send queue and deletes those that it took. Says of each, in their order, whether the send queue has it.
    async fn move_back(&self, letters: &[(SetAsideMail, Prospect)]) -> Vec<bool> {
        // A mail is as old as it was.
        let bodies: Vec<String> = letters.iter().map(|(letter, _)| next_copy(letter)).collect();
        let group =
            |letter: &SetAsideMail| letter.mail.as_ref().map_or_else(|_| "none".to_owned(), |mail| mail.group());
        let groups: Vec<String> = letters.iter().map(|(letter, _)| group(letter)).collect();
        let outgoing: Vec<_> = letters
            .iter()
            .zip(bodies.iter().zip(&groups))
            .map(|((letter, _), (body, group))| Outgoing {
                subject: &letter.message.message_id,
                body,
                group,
                delay: Duration::ZERO,
                hops: None,
                lined_up: false,
            })
            .collect();
        let results = self.send_queue.send_all(&outgoing).await;
        let moved: Vec<bool> = results.iter().map(Result::is_ok).collect();
        if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
            tracing::warn!(error = chain(error), "dead letters were not moved back");
        }
        let receipts = letters.iter().zip(&moved).filter(|(_, moved)| **moved);
        let receipts: Vec<MessageReceipt> = receipts.map(|((letter, _), _)| letter.message.receipt.clone()).collect();
        if let Err(error) = self.send_dead_letter_queue.delete_all(&receipts).await {
            // Its copy is in the send queue; the letter shows up again, and the ledger knows both.
            tracing::warn!(error = chain(&error), "dead letters that were moved back were not deleted");
        }
        moved
    }

    /// Whether the queue has no others than these, which this call has hidden: another call, or one that was killed, may have hidden some.
    async fn are_all_seen(&self, hidden: usize) -> Result<bool, Problem> {
        let depth = self.send_dead_letter_queue.depth().await;
        let depth = depth.map_err(|error| Problem::unavailable().caused_by(&error))?;
        Ok(depth.visible == 0 && depth.in_flight <= u64::try_from(hidden).unwrap_or(u64::MAX))
    }

    async fn show_again(&self, hidden: &[MessageReceipt]) {
        if let Err(error) = self.send_dead_letter_queue.show_again(hidden).await {
            tracing::warn!(error = chain(&error), "dead letters are shown again only when their time is over");
        }
    }
}

impl Redrive {
    fn show(&mut self, letter: &SetAsideMail, prospect: Prospect, moved: bool) {
        if self.letters.len() < MAX_SHOWN {
            self.letters.push(ShownLetter { letter: letter.view(prospect), moved });
        }
    }
}

/// The text that goes back to the send queue.
fn next_copy(letter: &SetAsideMail) -> String {
    let first_seen: Timestamp = letter.mail.as_ref().map_or(letter.message.sent_at, |mail| mail.first_seen);
    with_first_seen(&letter.message.body, first_seen)
}
