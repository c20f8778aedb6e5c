//! What is done once SES was asked: recorded, tried again, ended, or held against the provider.

use std::time::Duration;

use shared::record::{LedgerRow, MailState, Provider};
use shared::telemetry::{Event, ProviderEvent, chain};
use shared::tenant::{Credential, Failure, Kind};
use tokio::time::{sleep, timeout};

use super::{Delivery, FOR_THE_RECORD, Step, fate_of};
use crate::delay::Delay;
use crate::fate::Fate;
use crate::ledger::{self, Written};
use crate::outcome::{Outcome, outcome};
use crate::snapshot::Standing;
use crate::suspicion::{LONGEST_GAP, Verdict};
use crate::trouble::Trouble;

/// What recording leaves of the invocation for the answer to Lambda: an accepted mail has to be acknowledged.
const FOR_THE_ANSWER: Duration = Duration::from_secs(1);

/// The longest that STS is asked about a suspected key.
const STS_TIMEOUT: Duration = Duration::from_secs(4);

/// How often the record of an accepted mail is tried, on top of the SDK's own attempts.
const MOST_RECORDS: u32 = 3;

impl Delivery {
    /// After acceptance the message is always acknowledged: sent again it would be a second copy. Where the record
    /// cannot be written, the log has the ids.
    pub(super) async fn record_acceptance(&self, row: &LedgerRow, provider: &Provider, ses_message_id: String) -> Fate {
        let ids = Some(ses_message_id.clone()).filter(|id| !id.is_empty());
        let sent = ledger::accepted(row, ids, self.parts.ambient.now());
        let recorded = async {
            for attempt in 1..=MOST_RECORDS {
                match self.parts.ledger.write(&sent, Some(row)).await {
                    Ok(Written::Done) => return true,
                    Ok(Written::Lost(_)) => return false,
                    Err(error) if attempt == MOST_RECORDS => {
                        tracing::error!(error = chain(&error), "record");
                    }
                    Err(_) => sleep(Duration::from_millis(100)).await,
                }
            }
            false
        };
        let left = self.batch.remaining(&self.parts.ambient).saturating_sub(FOR_THE_ANSWER);
        if !timeout(left, recorded).await.unwrap_or(false) {
            tracing::error!(
                message_id = self.letter.message_id,
                provider_id = %self.mail.provider_id,
                mail_id = %self.mail.mail_id,
                ses_message_id,
                "sent and not recorded"
            );
        }
        self.acquit(provider).await;
        Fate::Sent
    }

    /// SES accepted the key, so what was held against it proves nothing. Whether something is, the account's pace tells,
    /// which every mail asks for its start.
    async fn acquit(&self, provider: &Provider) {
        if !self.parts.rates.is_suspected(provider, self.parts.ambient.now()) {
            return;
        }
        let left = self.batch.remaining(&self.parts.ambient).saturating_sub(FOR_THE_ANSWER);
        if let Ok(Err(error)) = timeout(left, self.parts.suspicions.clear(&provider.access_key_id)).await {
            tracing::warn!(provider_id = %provider.provider_id, error = chain(&error), "suspicion not cleared");
        }
    }

    /// SES did not say that it took it.
    pub(super) async fn settle(
        &self,
        row: &LedgerRow,
        provider: &Provider,
        credential: &Credential,
        failure: &Failure,
    ) -> Step<Fate> {
        tracing::debug!(provider_id = %provider.provider_id, mail_id = %self.mail.mail_id, %failure, "not accepted");
        match outcome(&failure.kind, &self.mail) {
            Outcome::Doubt => self.doubt(row).await,
            Outcome::Reject(reason) => self.reject(row, reason).await,
            Outcome::Later(reason, delay) => {
                self.release(row, reason).await?;
                self.put_back(delay).await
            }
            Outcome::Throttled => {
                self.release(row, failure.kind.as_str()).await?;
                if let Err(error) = self.parts.rates.slow_down(provider, &self.parts.ambient).await {
                    tracing::warn!(error = chain(&error), "pace not slowed down");
                }
                self.put_back(Delay::THROTTLED).await
            }
            Outcome::Report(what, delay) => {
                tracing::error!(provider_id = %provider.provider_id, %failure, "{what}");
                self.release(row, failure.kind.as_str()).await?;
                self.put_back(delay).await
            }
            Outcome::Suspend(reason) => {
                self.release(row, reason).await?;
                self.suspend(provider, reason).await?;
                self.put_back(Delay::SUSPENDED).await
            }
            Outcome::Suspect => {
                self.release(row, failure.kind.as_str()).await?;
                if self.is_refused_for_good(provider, credential, failure).await? {
                    self.suspend(provider, "key_rejected").await?;
                    self.put_back(Delay::SUSPENDED).await
                } else {
                    self.put_back(Delay::SUSPECTED).await
                }
            }
        }
    }

    /// Killed before the copy is in the queue, the message itself comes back and finds a claim that has ended.
    async fn doubt(&self, row: &LedgerRow) -> Step<Fate> {
        let doubted = ledger::doubted(row, self.mail.on_doubt, self.parts.ambient.now());
        if doubted.state == MailState::InDoubt {
            return self.close(&doubted, row).await;
        }
        self.parts.ledger.write(&doubted, Some(row)).await?;
        self.put_back(Delay::DOUBT).await
    }

    async fn reject(&self, row: &LedgerRow, reason: String) -> Step<Fate> {
        let refused = ledger::refused(row, reason, self.parts.ambient.now());
        match self.close(&refused, row).await {
            Err(stop) => {
                // SES did not take it: without this, the claim would end as a doubt.
                self.release(row, "refused").await?;
                Err(stop)
            }
            closed => closed,
        }
    }

    /// Tells a mail's fate, then records it.
    async fn close(&self, fate: &LedgerRow, was: &LedgerRow) -> Step<Fate> {
        self.tell(fate).await?;
        match self.parts.ledger.write(fate, Some(was)).await? {
            Written::Done => Ok(fate_of(fate.state)),
            Written::Lost(_) => Err(Trouble::Contended.into()),
        }
    }

    /// Suspends the provider, with its event first. One mail of a batch does it for all, and none does where it is done.
    async fn suspend(&self, provider: &Provider, reason: &'static str) -> Step<()> {
        let mut suspended = self.batch.suspended.lock().await;
        if suspended.contains(&provider.provider_id) {
            return Ok(());
        }
        let snapshot = self.batch.view.fresh().await?;
        let snapshot = self.batch.view.newer(&snapshot).await?;
        if matches!(snapshot.standing(&self.mail), Standing::Good(_) | Standing::Torn) {
            let event = Event::ProviderSuspended(ProviderEvent {
                tenant_id: provider.tenant_id.clone(),
                provider_id: provider.provider_id.clone(),
                account_id: provider.account_id.clone(),
                reason: Some(reason.to_owned()),
            });
            self.parts.bus.put(&event, self.parts.ambient.now()).await?;
            let providers = &self.parts.records.providers;
            providers.suspend(&provider.provider_id, &provider.access_key_id, reason, &self.parts.ambient).await?;
            tracing::warn!(provider_id = %provider.provider_id, reason, "suspended");
        }
        suspended.insert(provider.provider_id.clone());
        Ok(())
    }

    /// Asks STS about a key that SES refused. Anything but STS's own refusal, for long enough, leaves it as it is.
    async fn is_refused_for_good(&self, provider: &Provider, credential: &Credential, failure: &Failure) -> Step<bool> {
        let left = self.batch.remaining(&self.parts.ambient).saturating_sub(FOR_THE_RECORD);
        let asked = timeout(left.min(STS_TIMEOUT), self.parts.tenants.get_caller_identity(credential)).await;
        let now = self.parts.ambient.now();
        match asked {
            Ok(Ok(_)) => {
                // Such as in a Region that the account has switched off: it lasts until somebody acts.
                tracing::warn!(provider_id = %provider.provider_id, %failure, "SES refuses a key that STS accepts");
                self.parts.suspicions.clear(&provider.access_key_id).await?;
                Ok(false)
            }
            Ok(Err(Failure { kind: Kind::KeyRefused | Kind::SignatureRefused, .. })) => {
                self.parts.rates.suspect(provider, now + LONGEST_GAP).await?;
                Ok(self.parts.suspicions.note(&provider.access_key_id, now).await? == Verdict::Confirmed)
            }
            Ok(Err(_)) | Err(_) => Ok(false),
        }
    }
}
