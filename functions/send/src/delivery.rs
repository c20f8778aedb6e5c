//! One mail's way: may it go, when, claim, send, record.
//!
//! Where a worker can be killed, and what the next one to get the message finds:
//!
//! | killed | found | so |
//! |---|---|---|
//! | before the claim | nothing, or an unused start | it begins again |
//! | between claim and request | a claim whose lease ends | in doubt, though nothing was sent: nobody can know |
//! | between request and record | the same | in doubt: at most two copies, or one with `hold` |
//! | after the record | the mail's fate | it is acknowledged |
//! | between putting back and acknowledging | two messages | the second one to come finds the first one's row |
//! | between event and record | no fate yet | the event is told again |

mod settlement;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::record::{LedgerRow, MailState, Provider};
use shared::telemetry::{Event, chain};
use shared::tenant::{Credential, SES_TIMEOUT};
use tokio::time::sleep;

use crate::Parts;
use crate::batch::Batch;
use crate::delay::Delay;
use crate::digest::digest;
use crate::fate::Fate;
use crate::ledger::{self, Claim, Claimant, End, Ending, Written};
use crate::letter::Letter;
use crate::mail::Mail;
use crate::poison;
use crate::rate::Slot;
use crate::refusal::{Ids, Refusal};
use crate::snapshot::{SnapshotError, Standing};
use crate::trouble::{Stop, Trouble};

/// What has to be left of the invocation for the record, behind the longest that SES may take.
const FOR_THE_RECORD: Duration = Duration::from_secs(2);

/// How late a mail may be for its start: no more than what it was read may be old. SES counts recipients a second, so
/// mails that were held up for longer than a part of one, and then go together, are a burst.
const MOST_LATE: SignedDuration = SignedDuration::from_millis(500);

/// How many starts a mail may miss before it goes without one: the account has been idle for that long.
const MOST_STARTS: usize = 3;

/// How often a decision is made anew because somebody else wrote the row first.
const MOST_DECISIONS: usize = 4;

/// A claim ends this long after the invocation, so that no live worker's claim is taken over.
const LEASE_AFTER_DEADLINE: SignedDuration = SignedDuration::from_secs(5);

type Step<T> = Result<T, Stop>;

/// A mail on its way.
pub(crate) struct Delivery {
    parts: Arc<Parts>,
    batch: Arc<Batch>,
    letter: Arc<Letter>,
    mail: Mail,
    claimant: Claimant,
}

impl Delivery {
    /// A mail of a batch, at this place in it.
    pub(crate) fn new(parts: Arc<Parts>, batch: Arc<Batch>, letter: Arc<Letter>, mail: Mail, place: usize) -> Self {
        let claimant = Claimant {
            provider_id: mail.provider_id.clone(),
            mail_id: mail.mail_id.clone(),
            digest: digest(&mail),
            first_seen: mail.first_seen,
            on_doubt: mail.on_doubt,
            // The place tells two deliveries of one message in one batch apart.
            owner: format!("{}/{place}/{}", batch.request_id, letter.message_id),
            lease_until: batch.deadline + LEASE_AFTER_DEADLINE,
        };
        Self { parts, batch, letter, mail, claimant }
    }

    /// Goes the whole way. `slot` is the mail's start, where the batch has reserved one for it.
    pub(crate) async fn run(self, slot: Option<Slot>) -> Result<Fate, Trouble> {
        let delivered = match self.deliver(slot).await {
            // Nobody will ever know more of it.
            Err(Stop::Trouble(trouble)) if trouble.is_broken() && self.mail.expiry() <= self.parts.ambient.now() => {
                self.refuse(&Refusal::given_up()).await
            }
            Err(Stop::Trouble(trouble)) if trouble.is_broken() => {
                tracing::error!(
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    error = chain(&trouble),
                    "put back until it is mended"
                );
                self.put_back(Delay::BROKEN).await
            }
            // Most of all where many are at work at once: not all of them have to wait for their visibility timeout.
            Err(Stop::Trouble(Trouble::Snapshot(SnapshotError::Slow))) => {
                tracing::warn!(provider_id = %self.mail.provider_id, mail_id = %self.mail.mail_id, "put back: slow reads");
                self.put_back(Delay::SLOW_READS).await
            }
            delivered => delivered,
        };
        match delivered {
            Ok(fate) | Err(Stop::Done(fate)) => Ok(fate),
            Err(Stop::Trouble(trouble)) => {
                tracing::warn!(
                    message_id = self.letter.message_id,
                    provider_id = %self.mail.provider_id,
                    mail_id = %self.mail.mail_id,
                    receives = self.letter.receives,
                    error = chain(&trouble),
                    "comes back"
                );
                Err(trouble)
            }
        }
    }

    async fn deliver(&self, slot: Option<Slot>) -> Step<Fate> {
        let provider = self.admit().await?;
        // Opened before the start, because a mail that is late comes too close to the next one, and before the claim,
        // because a claim that nothing comes of is a doubt: KMS may take its time.
        self.open().await?;
        let start = self.await_start(&provider, slot).await?;
        if !self.has_time_to_send() {
            return self.put_back(Delay::SHORT_OF_TIME).await;
        }
        let row = self.claim().await?;
        let (provider, credential) = self.look_again(&row, start).await?;
        match self.parts.tenants.send_email(&credential, &self.mail.message()).await {
            Ok(ses_message_id) => Ok(self.record_acceptance(&row, &provider, ses_message_id).await),
            Err(failure) => self.settle(&row, &provider, &credential, &failure).await,
        }
    }

    /// Whether it may go out at all.
    async fn admit(&self) -> Step<Arc<Provider>> {
        let snapshot = self.batch.view.fresh().await?;
        let standing = match snapshot.standing(&self.mail) {
            Standing::Torn => self.batch.view.newer(&snapshot).await?.standing(&self.mail),
            standing => standing,
        };
        let own = !matches!(standing, Standing::Unknown | Standing::Foreign | Standing::Unreadable);
        if own && self.mail.expiry() <= self.parts.ambient.now() {
            return Err(Stop::Done(self.end(&Ending::Expired).await?));
        }
        match standing {
            Standing::Good(provider) => Ok(provider),
            standing => Err(self.turn_away(standing).await),
        }
    }

    /// What becomes of a mail that may not go out.
    async fn turn_away(&self, standing: Standing) -> Stop {
        let fate = match standing {
            // Nothing stands in its way any more: it comes back at once.
            Standing::Good(_) => self.put_back(Delay::SHORT_OF_TIME).await,
            Standing::Torn => Err(Trouble::Torn.into()),
            Standing::Unreadable => Err(Trouble::Unreadable.into()),
            Standing::Unknown => self.refuse(&Refusal::provider_unknown()).await,
            Standing::Foreign => self.refuse(&Refusal::tenant_mismatch()).await,
            Standing::Halted => self.put_back(Delay::HALTED).await,
            Standing::Suspended => self.put_back(Delay::SUSPENDED).await,
            Standing::Stopped => self.end(&Ending::Rejected("provider_revoked".to_owned())).await,
        };
        fate.map_or_else(|stop| stop, Stop::Done)
    }

    /// Sleeps until the mail's start, or puts it back where there is none or it lies too late. A start that was missed is
    /// lost, and the mail gets another one.
    async fn await_start(&self, provider: &Provider, mut slot: Option<Slot>) -> Step<Timestamp> {
        for _ in 0..MOST_STARTS {
            let slot = match slot.take() {
                Some(slot) => slot,
                // A start that is reserved and not used is lost to the account.
                None if !self.has_time_to_send() => return Err(Stop::Done(self.put_back(Delay::SHORT_OF_TIME).await?)),
                None => {
                    let recipients = [self.mail.recipients()];
                    let slots = self.parts.rates.reserve(provider, &recipients, &self.parts.ambient).await?;
                    slots.first().copied().ok_or(Trouble::Contended)?
                }
            };
            let start = match slot {
                Slot::At(start) => start,
                Slot::Later(delay) => return Err(Stop::Done(self.put_back(delay).await?)),
            };
            let wait = Duration::try_from(start.duration_since(self.parts.ambient.now())).unwrap_or_default();
            if self.batch.remaining(&self.parts.ambient) < wait + SES_TIMEOUT + FOR_THE_RECORD {
                return Err(Stop::Done(self.put_back(Delay::SHORT_OF_TIME).await?));
            }
            if !wait.is_zero() {
                sleep(wait).await;
                let waited_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
                self.batch.waited_ms.fetch_max(waited_ms, Ordering::Relaxed);
            }
            if self.is_in_time(start) {
                return Ok(start);
            }
        }
        Ok(self.parts.ambient.now())
    }

    /// Opens the secret that a fresh read holds. A torn read, and a secret that KMS refuses to open, are read once more:
    /// the read may have fallen between two writes.
    async fn open(&self) -> Step<()> {
        let mut snapshot = self.batch.view.fresh().await?;
        let mut refused = None;
        for _ in 0..2 {
            match snapshot.standing(&self.mail) {
                Standing::Good(provider) => {
                    let sealed = snapshot.sealed(&provider).ok_or(Trouble::Torn)?;
                    match self.parts.opened.open(&provider, sealed).await {
                        Ok(_) => return Ok(()),
                        Err(error) => refused = Some(error),
                    }
                }
                Standing::Torn => {}
                standing => return Err(self.turn_away(standing).await),
            }
            snapshot = self.batch.view.newer(&snapshot).await?;
        }
        Err(refused.map_or(Trouble::Torn, Trouble::Custody).into())
    }

    /// Writes the claim. Nothing is sent without one, and nobody else sends while it lives.
    async fn claim(&self) -> Step<LedgerRow> {
        let mut seen: Option<Box<LedgerRow>> = None;
        for _ in 0..MOST_DECISIONS {
            match ledger::claim(seen.as_deref(), &self.claimant, self.parts.ambient.now()) {
                Claim::Take(row) => match self.parts.ledger.write(&row, seen.as_deref()).await? {
                    Written::Done => return Ok(row),
                    Written::Lost(found) => seen = found,
                },
                Claim::Settled => return Err(Stop::Done(Fate::Settled)),
                Claim::Busy => return Err(Trouble::Busy.into()),
                Claim::Conflict => return Err(Stop::Done(self.refuse(&Refusal::mail_id_conflict()).await?)),
                Claim::Doubt(row) => {
                    self.tell(&row).await?;
                    match self.parts.ledger.write(&row, seen.as_deref()).await? {
                        Written::Done => return Err(Stop::Done(Fate::InDoubt)),
                        Written::Lost(found) => seen = found,
                    }
                }
            }
        }
        Err(Trouble::Contended.into())
    }

    /// The last look before the request: a stop that was committed meanwhile counts. What it finds is fresh when it
    /// returns, and nothing is waited for between that and the request. A mail that may not go after all gives its claim
    /// back, because nothing was sent.
    async fn look_again(&self, row: &LedgerRow, start: Timestamp) -> Step<(Arc<Provider>, Credential)> {
        let snapshot = match self.batch.view.fresh().await {
            Ok(snapshot) => snapshot,
            Err(error) => {
                self.release(row, "no_fresh_read").await?;
                return Err(error.into());
            }
        };
        let stop = match snapshot.standing(&self.mail) {
            Standing::Good(provider) => {
                let opened = snapshot.sealed(&provider).and_then(|sealed| self.parts.opened.opened(&provider, sealed));
                match opened {
                    Some(credential) if self.has_time_to_send() && self.is_in_time(start) => {
                        return Ok((provider, credential));
                    }
                    // Too late, or with another secret than the one opened above: it comes back at once.
                    _ => Standing::Good(provider),
                }
            }
            standing => standing,
        };
        self.release(row, if matches!(stop, Standing::Good(_)) { "late" } else { "stopped" }).await?;
        Err(self.turn_away(stop).await)
    }

    /// Ends a mail that was not claimed.
    async fn end(&self, ending: &Ending) -> Step<Fate> {
        let mut seen = self.parts.ledger.read(&self.mail.provider_id, &self.mail.mail_id).await?.map(Box::new);
        for _ in 0..MOST_DECISIONS {
            match ledger::end(seen.as_deref(), &self.claimant, ending, self.parts.ambient.now()) {
                End::Write(row) => {
                    self.tell(&row).await?;
                    match self.parts.ledger.write(&row, seen.as_deref()).await? {
                        Written::Done => return Ok(fate_of(row.state)),
                        Written::Lost(found) => seen = found,
                    }
                }
                End::Settled => return Ok(Fate::Settled),
                End::Busy => return Err(Trouble::Busy.into()),
                End::Conflict => return self.refuse(&Refusal::mail_id_conflict()).await,
            }
        }
        Err(Trouble::Contended.into())
    }

    /// Gives the claim back: SES proved that it did not take the mail, or was never asked. A row that somebody else
    /// wrote meanwhile is theirs.
    async fn release(&self, row: &LedgerRow, reason: &str) -> Step<()> {
        self.parts.ledger.write(&ledger::released(row, reason, self.parts.ambient.now()), Some(row)).await?;
        Ok(())
    }

    async fn put_back(&self, delay: Delay) -> Step<Fate> {
        self.parts.queues.put_back(&self.letter, &self.mail, delay.seconds(&self.parts.ambient)).await?;
        Ok(Fate::PutBack)
    }

    async fn refuse(&self, refusal: &Refusal) -> Step<Fate> {
        poison::set_aside(&self.parts, &self.letter, &self.ids(), refusal).await?;
        Ok(Fate::Rejected)
    }

    /// Puts the event on the bus that a row's state is about.
    async fn tell(&self, row: &LedgerRow) -> Step<()> {
        let reason = row.reason.clone().unwrap_or_default();
        let detail = poison::event(&self.letter, &self.ids(), reason.clone());
        let event = match row.state {
            MailState::Rejected => Event::MailRejected(detail),
            MailState::InDoubt => Event::MailInDoubt(detail),
            MailState::Expired => Event::MailExpired(detail),
            MailState::Claimed | MailState::NotAccepted | MailState::Sent => return Ok(()),
        };
        self.parts.bus.put(&event, self.parts.ambient.now()).await?;
        tracing::warn!(
            message_id = self.letter.message_id,
            provider_id = %self.mail.provider_id,
            mail_id = %self.mail.mail_id,
            reason,
            "{}",
            event.detail_type()
        );
        Ok(())
    }

    /// No send outlives the invocation: what is killed in the middle is in doubt.
    fn has_time_to_send(&self) -> bool {
        self.batch.remaining(&self.parts.ambient) >= SES_TIMEOUT + FOR_THE_RECORD
    }

    /// Whether the mail's start is not missed.
    fn is_in_time(&self, start: Timestamp) -> bool {
        self.parts.ambient.now().duration_since(start) <= MOST_LATE
    }

    fn ids(&self) -> Ids {
        Ids {
            tenant_id: Some(self.mail.tenant_id.clone()),
            provider_id: Some(self.mail.provider_id.clone()),
            mail_id: Some(self.mail.mail_id.clone()),
        }
    }
}

fn fate_of(state: MailState) -> Fate {
    match state {
        MailState::Rejected => Fate::Rejected,
        MailState::InDoubt => Fate::InDoubt,
        MailState::Expired => Fate::Expired,
        MailState::Sent => Fate::Sent,
        MailState::Claimed | MailState::NotAccepted => Fate::Settled,
    }
}
