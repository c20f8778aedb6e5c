//! The watch: when a provider is verified next, what its verifications have shown since it was onboarded, and verifications that
//! somebody asked for.
//!
//! It has an item of its own beside the provider, because it is written daily and the provider has copies in several indexes. What a
//! verification changes for senders and callers is written to the provider in the same transaction. The item is in the sparse index
//! `sweep`, in a partition of its own, as long as the provider is not stopped.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::item::{string, timestamp, to_attribute, to_item};
use super::item_update::ItemUpdate;
use super::transaction::{Transaction, back_off, contended};
use super::{
    AuditEvent, Due, Item, Provider, Providers, RecordError, Status, StatusName, Suspension, SuspensionReason,
    VerificationReport, next_slot, sweep_index,
};
use crate::id::{AccessKeyId, ProviderId, VerificationId};
use crate::runtime::Ambient;

/// The sort key of a provider's watch.
pub(super) const WATCH_SK: &str = "watch";

/// What the sort key of a verification that somebody asked for begins with.
const VERIFICATION: &str = "verification#";

/// Attempts to ask for a verification, if other writers come first.
const MAX_ATTEMPTS: u32 = 4;

/// The period whose slots new providers are spread over, whatever the period of the watch is.
const FIRST_WITHIN: SignedDuration = SignedDuration::from_hours(24);

/// What the verifications of a provider have shown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Watch {
    /// The verification that somebody asked for and that is not finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<VerificationId>,
    /// The latest verification that somebody asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latest: Option<VerificationId>,
    /// When AWS last answered what was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checked_at: Option<Timestamp>,
    /// When all checks were last made and answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verified_at: Option<Timestamp>,
    /// What failed in the last verification that was answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<FailingVerification>,
    /// Verifications in a row that were not answered, because AWS or we ourselves failed.
    #[serde(default)]
    pub unanswered: u32,
    /// What was seen of the account and the user beside what the provider's own item has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seen: Option<WatchedAccount>,
    /// What operators have yet to be told.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untold: Vec<WatchNews>,
    /// How often this was written: whoever writes it states what it read.
    pub writes: u32,
}

/// A failure that the watch has seen once or more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailingVerification {
    /// What it suspends for.
    pub reason: SuspensionReason,
    /// Since when it has been seen, without a pass between.
    pub since: Timestamp,
    /// The key that it was seen of: the provider may send with another one by now.
    pub access_key_id: AccessKeyId,
}

/// What the watch saw of an account and the key's user.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchedAccount {
    /// SES's word for the account's standing: `HEALTHY`, `PROBATION`, `SHUTDOWN`.
    pub enforcement: String,
    /// Whether the account's sending is not paused.
    pub sending_enabled: bool,
    /// Recipients of the last 24 hours, of all that send in the account and Region.
    pub sent_last_24_hours: f64,
    /// The ARN of the user's permissions boundary.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub permissions_boundary: Option<String>,
}

/// What a verification changed, to be told to operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WatchNews {
    /// Something that callers see is another now.
    Changed(Vec<ProviderChange>),
    /// The provider was suspended.
    Suspended(SuspensionReason),
    /// Its suspension ended.
    Resumed(SuspensionReason),
    /// AWS has put the key's user under quarantine: a breach.
    Quarantined,
}

/// One thing that is another now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProviderChange {
    /// What, in the words of `GET /providers/{provider_id}`, or the name of a check.
    pub field: String,
    /// What it was.
    pub before: Value,
    /// What it is.
    pub after: Value,
}

/// A provider's watch as it is stored.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct WatchItem {
    /// What was seen.
    pub watch: Watch,
    /// When the provider is verified next; absent once it is stopped.
    #[serde(default)]
    pub next_attempt_at: Option<Timestamp>,
}

/// A verification that somebody asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AskedVerification {
    /// Its id.
    pub verification_id: VerificationId,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// The ARN that signed the request, or the link on whose page it was asked for.
    pub asked_by: String,
    /// When it ended; absent while it runs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// What was found; absent if an order stopped the provider before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<VerificationReport>,
    /// The provider's status when it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_status: Option<Status>,
}

/// What became of the wish for a verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AskOutcome {
    /// It is due.
    Asked(VerificationId),
    /// One is running already.
    Running(VerificationId),
}

/// What a verification changes about the provider's own item. What is absent stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProviderUpdate {
    /// Its status.
    pub status: Option<Status>,
    /// SES's send rate, daily quota, and whether it is in the sandbox.
    pub quota: Option<(f64, f64, bool)>,
    /// The report of all checks.
    pub report: Option<VerificationReport>,
}

/// All that a verification writes.
pub struct WatchRecord<'a> {
    /// The provider, as it was read before the verification.
    pub provider: &'a Provider,
    /// The watch, as it was read before.
    pub before: &'a Watch,
    /// The watch afterwards; its `writes` are counted on here.
    pub after: Watch,
    /// When the provider is verified next.
    pub next_attempt_at: Timestamp,
    /// What changes for the provider.
    pub update: ProviderUpdate,
    /// What is added to the audit trail.
    pub trail: Vec<AuditEvent>,
    /// The verification that somebody asked for, as it ended.
    pub finished: Option<AskedVerification>,
}

impl Watch {
    /// The watch of a provider whose key was verified just now.
    pub fn after_onboarding(now: Timestamp) -> Self {
        Self { checked_at: Some(now), verified_at: Some(now), ..Self::default() }
    }

    /// The item of a new provider's watch: the first verification is at its slot of the next day.
    pub(super) fn to_first_item(&self, provider: &Provider, ambient: &Ambient) -> Result<Item, RecordError> {
        let mut item = Item::from([
            ("pk".to_owned(), string(Provider::pk(&provider.provider_id))),
            ("sk".to_owned(), string(WATCH_SK)),
            ("watch".to_owned(), self.to_attribute(&provider.provider_id)?),
        ]);
        let first = next_slot(provider.provider_id.as_str(), FIRST_WITHIN, provider.created_at, ambient);
        sweep_index::add_to(&mut item, sweep_index::WATCHED, first);
        Ok(item)
    }

    fn to_attribute(&self, provider_id: &ProviderId) -> Result<AttributeValue, RecordError> {
        to_attribute(self, &Provider::pk(provider_id))
    }

    /// Writes another watch over this one, if nobody else has. It is due at `next_attempt_at`, or never again.
    fn replaced_by(
        &self,
        after: Self,
        next_attempt_at: Option<Timestamp>,
        provider_id: &ProviderId,
    ) -> Result<ItemUpdate, RecordError> {
        let after = Self { writes: self.writes.saturating_add(1), ..after };
        let expression = match next_attempt_at {
            Some(_) => "SET watch = :watch, sweep = :sweep, next_attempt_at = :next",
            None => "SET watch = :watch REMOVE sweep, next_attempt_at",
        };
        let update = ItemUpdate::new(Provider::pk(provider_id), WATCH_SK, expression, "watch.writes = :writes")
            .value(":watch", after.to_attribute(provider_id)?)
            .value(":writes", AttributeValue::N(self.writes.to_string()));
        Ok(match next_attempt_at {
            Some(next) => update.value(":sweep", string(sweep_index::WATCHED)).value(":next", timestamp(next)),
            None => update,
        })
    }
}

impl Providers {
    /// Reads the watch of a provider, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn watch(&self, provider_id: &ProviderId) -> Result<Option<WatchItem>, RecordError> {
        self.get(&Provider::pk(provider_id), WATCH_SK).await
    }

    /// The providers that were due for a verification at `now`, longest due first, from the index, and where the next page starts.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_due_watches(
        &self,
        now: Timestamp,
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Due>, Option<Item>), RecordError> {
        let page = self.list_partition(sweep_index::WATCHED, now, start, limit).await?;
        Ok((page.due, page.next))
    }

    /// Asks for a verification of a provider: it is due now. While one runs that somebody asked for, that is the answer.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the provider has no watch.
    pub async fn ask_verification(
        &self,
        provider_id: &ProviderId,
        by: &str,
        ambient: &Ambient,
    ) -> Result<AskOutcome, RecordError> {
        let pk = Provider::pk(provider_id);
        for round in 0..MAX_ATTEMPTS {
            let Some(WatchItem { watch: before, .. }) = self.watch(provider_id).await? else { break };
            if let Some(running) = before.asked {
                return Ok(AskOutcome::Running(running));
            }
            let asked = AskedVerification {
                verification_id: VerificationId::new(ambient),
                asked_at: ambient.now(),
                asked_by: by.to_owned(),
                finished_at: None,
                report: None,
                provider_status: None,
            };
            let id = &asked.verification_id;
            let after = Watch { asked: Some(id.clone()), latest: Some(id.clone()), ..before.clone() };
            let update = before.replaced_by(after, Some(asked.asked_at), provider_id)?;
            let writes = vec![self.update_in_transaction(update)?, self.put(asked.to_item(provider_id)?)?];
            match self.transact(&pk, writes).await? {
                Transaction::Committed => return Ok(AskOutcome::Asked(asked.verification_id)),
                Transaction::ConditionFailed(_) | Transaction::Contended => back_off(round, ambient).await,
            }
        }
        Err(contended(pk))
    }

    /// Reads a verification that somebody asked for, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn asked_verification(
        &self,
        provider_id: &ProviderId,
        verification_id: &VerificationId,
    ) -> Result<Option<AskedVerification>, RecordError> {
        self.get(&Provider::pk(provider_id), &AskedVerification::sk(verification_id)).await
    }

    /// Writes what a verification has shown in one transaction, if provider and watch are still as they were read. Returns whether it was
    /// written.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn record_watch(&self, record: &WatchRecord<'_>, ambient: &Ambient) -> Result<bool, RecordError> {
        let provider_id = &record.provider.provider_id;
        let pk = Provider::pk(provider_id);
        let watch = record.before.replaced_by(record.after.clone(), Some(record.next_attempt_at), provider_id)?;
        if record.update == ProviderUpdate::default() && record.trail.is_empty() && record.finished.is_none() {
            return self.update(watch).await;
        }
        let mut writes = vec![self.update_in_transaction(watch)?];
        if record.update != ProviderUpdate::default() {
            writes.push(self.provider_update(record.provider, &record.update, ambient.now())?);
        }
        for event in &record.trail {
            writes.push(self.put(event.to_item(provider_id, ambient)?)?);
        }
        if let Some(finished) = &record.finished {
            writes.push(self.update_in_transaction(finished.to_update(provider_id)?)?);
        }
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) | Transaction::Contended => Ok(false),
        }
    }

    /// Notes that operators were told everything, and when the provider is verified next.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn note_watch_told(
        &self,
        provider_id: &ProviderId,
        told: &Watch,
        next_attempt_at: Timestamp,
    ) -> Result<bool, RecordError> {
        let after = Watch { untold: Vec::new(), ..told.clone() };
        let update = told.replaced_by(after, Some(next_attempt_at), provider_id)?;
        self.update(update).await
    }

    /// Ends the watch of a provider that an order has stopped, and the verification that somebody asked for.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn end_watch(
        &self,
        provider: &Provider,
        watch: &Watch,
        finished: Option<&AskedVerification>,
    ) -> Result<bool, RecordError> {
        let pk = Provider::pk(&provider.provider_id);
        let after = Watch { asked: None, untold: Vec::new(), ..watch.clone() };
        let update = watch.replaced_by(after, None, &provider.provider_id)?;
        let mut writes = vec![self.update_in_transaction(update)?];
        if let Some(finished) = finished {
            writes.push(self.update_in_transaction(finished.to_update(&provider.provider_id)?)?);
        }
        match self.transact(&pk, writes).await? {
            Transaction::Committed => Ok(true),
            Transaction::ConditionFailed(_) | Transaction::Contended => Ok(false),
        }
    }

    /// Takes up the watch of a provider again that an order had stopped, as part of a transaction: it is due in a day.
    pub(super) fn watch_again(
        &self,
        provider_id: &ProviderId,
        now: Timestamp,
    ) -> Result<TransactWriteItem, RecordError> {
        let due = now.saturating_add(FIRST_WITHIN).unwrap_or(now);
        let expression = "SET sweep = :sweep, next_attempt_at = :due";
        let update = ItemUpdate::new(Provider::pk(provider_id), WATCH_SK, expression, "attribute_exists(pk)")
            .value(":sweep", string(sweep_index::WATCHED))
            .value(":due", timestamp(due));
        self.update_in_transaction(update)
    }

    /// The change of a provider as part of a transaction: if it sends with the key and has the status that were read.
    fn provider_update(
        &self,
        read: &Provider,
        change: &ProviderUpdate,
        now: Timestamp,
    ) -> Result<TransactWriteItem, RecordError> {
        let pk = Provider::pk(&read.provider_id);
        let (mut set, mut remove) = (Vec::new(), "");
        let mut values = vec![
            (":read_key", string(read.access_key_id.as_str())),
            (":read_status", string(read.status.status.as_str())),
        ];
        if let Some(status) = &change.status {
            set.extend(["#status = :status", "updated_at = :now"]);
            values.extend([(":status", string(status.status.as_str())), (":now", timestamp(now))]);
            match &status.reason {
                Some(reason) => {
                    set.push("reason = :reason");
                    values.push((":reason", string(reason)));
                }
                None => remove = " REMOVE reason",
            }
            let suspension = match status.status {
                StatusName::Suspended => Suspension::begins(now),
                _ => read.ended_suspension(now),
            };
            set.push("suspension = :suspension");
            values.push((":suspension", to_attribute(&suspension, &pk)?));
        }
        if let Some((rate, day, sandbox)) = change.quota {
            set.extend(["max_send_rate = :rate", "max_24_hour_send = :day", "sandbox = :sandbox"]);
            values.extend([
                (":rate", AttributeValue::N(rate.to_string())),
                (":day", AttributeValue::N(day.to_string())),
                (":sandbox", AttributeValue::Bool(sandbox)),
            ]);
        }
        if let Some(report) = &change.report {
            set.push("report = :report");
            values.push((":report", to_attribute(report, &pk)?));
        }
        let mut condition = "access_key_id = :read_key AND #status = :read_status AND ".to_owned();
        match &read.status.reason {
            Some(reason) => {
                condition.push_str("reason = :read_reason");
                values.push((":read_reason", string(reason)));
            }
            None => condition.push_str("attribute_not_exists(reason)"),
        }
        let expression = format!("SET {}{remove}", set.join(", "));
        let update = ItemUpdate::new(pk, Provider::SK, expression, condition).name("#status", "status");
        self.update_in_transaction(values.into_iter().fold(update, |update, (name, value)| update.value(name, value)))
    }
}

impl AskedVerification {
    fn sk(verification_id: &VerificationId) -> String {
        format!("{VERIFICATION}{verification_id}")
    }

    fn to_item(&self, provider_id: &ProviderId) -> Result<Item, RecordError> {
        to_item(&Provider::pk(provider_id), &Self::sk(&self.verification_id), self)
    }

    fn to_update(&self, provider_id: &ProviderId) -> Result<ItemUpdate, RecordError> {
        let pk = Provider::pk(provider_id);
        let report = self.report.as_ref().map(|report| to_attribute(report, &pk)).transpose()?;
        let status = self.provider_status.as_ref().map(|status| to_attribute(status, &pk)).transpose()?;
        let mut set = Vec::new();
        let mut values = Vec::new();
        let mut note = |name: &'static str, part: &'static str, value: Option<AttributeValue>| {
            if let Some(value) = value {
                set.push(part);
                values.push((name, value));
            }
        };
        note(":finished_at", "finished_at = :finished_at", self.finished_at.map(timestamp));
        note(":report", "report = :report", report);
        note(":status", "provider_status = :status", status);
        let expression = format!("SET {}", set.join(", "));
        let sk = Self::sk(&self.verification_id);
        let update = ItemUpdate::new(pk.clone(), sk, expression, "attribute_exists(pk)");
        Ok(values.into_iter().fold(update, |update, (name, value)| update.value(name, value)))
    }
}

impl Status {
    /// Why it is suspended; `None` if it is not, or for a reason of another version.
    pub fn suspension(&self) -> Option<SuspensionReason> {
        let reason = self.reason.as_deref().and_then(SuspensionReason::parse);
        reason.filter(|_| self.status == StatusName::Suspended)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::record::DueSubject;
    use crate::record::item::from_item;

    #[test]
    fn a_watch_is_read_as_it_was_written_and_is_due_in_its_own_partition() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let watch = Watch {
            failing: Some(FailingVerification {
                reason: SuspensionReason::KeyGone,
                since: now,
                access_key_id: AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(),
            }),
            seen: Some(WatchedAccount { enforcement: "PROBATION".to_owned(), ..WatchedAccount::default() }),
            untold: vec![
                WatchNews::Changed(vec![ProviderChange {
                    field: "sandbox".to_owned(),
                    before: json!(true),
                    after: json!(false),
                }]),
                WatchNews::Suspended(SuspensionReason::KeyGone),
                WatchNews::Resumed(SuspensionReason::SendingPaused),
                WatchNews::Quarantined,
            ],
            ..Watch::after_onboarding(now)
        };
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let mut item = Item::from([
            ("pk".to_owned(), string(Provider::pk(&provider_id))),
            ("sk".to_owned(), string(WATCH_SK)),
            ("watch".to_owned(), watch.to_attribute(&provider_id).unwrap()),
        ]);
        sweep_index::add_to(&mut item, sweep_index::WATCHED, now);
        assert_eq!(item["sweep"], string("watch"));
        let due = Due::from_item(&item).unwrap();
        assert_eq!(due.subject, DueSubject::Watch(provider_id));
        let read: WatchItem = from_item("provider", item).unwrap();
        assert_eq!(read, WatchItem { watch, next_attempt_at: Some(now) });
    }

    #[test]
    fn only_a_suspension_has_a_reason_to_be_suspended() {
        for reason in SuspensionReason::ALL {
            assert_eq!(Status::because(StatusName::Suspended, reason.as_str()).suspension(), Some(reason));
            assert_eq!(serde_json::to_value(reason).unwrap(), reason.as_str());
        }
        assert_eq!(Status::because(StatusName::Suspended, "a word of a later version").suspension(), None);
        assert_eq!(Status::because(StatusName::RevocationBlocked, "quarantined").suspension(), None);
    }
}
