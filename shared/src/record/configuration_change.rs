//! Writes of a configuration: the consent, and how far the work has come.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};

use super::configuration::{Configuration, ConfigurationConsent, ConfigurationItem};
use super::item::{string, timestamp, to_item};
use super::item_update::ItemUpdate;
use super::transaction::{IF_ABSENT, Transaction, back_off, contended};
use super::{AuditEvent, Due, Item, Provider, Providers, RecordError, sweep_index};
use crate::id::ProviderId;
use crate::runtime::Ambient;

/// The sort key of a provider's configuration.
pub(super) const CONFIGURATION_SK: &str = "configuration";

/// The longest that a new consent waits for the first look: whoever is due is looked at each minute.
const FIRST_LOOK_WITHIN: SignedDuration = SignedDuration::from_secs(1);

/// Attempts of a change of the consent, if the worker writes first.
const MAX_ATTEMPTS: u32 = 6;

/// What a request about a tenant's consent did.
#[derive(Clone, Debug, PartialEq)]
pub enum ConfigurationOutcome {
    /// This call changed it.
    Changed(Box<Configuration>),
    /// It was so before, and nothing was written.
    Unchanged(Box<Configuration>),
    /// There is nothing to withdraw.
    NeverAgreed,
}

impl Configuration {
    /// The item of a configuration that was just agreed to, due at once.
    pub(super) fn to_first_item(&self, provider_id: &ProviderId) -> Result<Item, RecordError> {
        let record = serde_json::json!({ "configuration": self });
        let mut item = to_item(&Provider::pk(provider_id), CONFIGURATION_SK, &record)?;
        let due = self.consent.at.saturating_add(FIRST_LOOK_WITHIN).unwrap_or(self.consent.at);
        sweep_index::add_to(&mut item, sweep_index::CONFIGURATIONS, due);
        Ok(item)
    }
}

impl Providers {
    /// Reads the configuration of a provider's SES, consistently; `None` if nobody ever agreed to one.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn configuration(&self, provider_id: &ProviderId) -> Result<Option<ConfigurationItem>, RecordError> {
        self.get(&Provider::pk(provider_id), CONFIGURATION_SK).await
    }

    /// The configurations that were due at `now`, longest due first, from the index, and where the next page starts.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_due_configurations(
        &self,
        now: Timestamp,
        start: Option<Item>,
        limit: i32,
    ) -> Result<(Vec<Due>, Option<Item>), RecordError> {
        let page = self.list_partition(sweep_index::CONFIGURATIONS, now, start, limit).await?;
        Ok((page.due, page.next))
    }

    /// Records that a tenant agrees to the configuration of its SES, unless it is recorded, and makes it due now.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time.
    pub async fn agree_to_configuration(
        &self,
        provider_id: &ProviderId,
        by: &str,
        ambient: &Ambient,
    ) -> Result<ConfigurationOutcome, RecordError> {
        let pk = Provider::pk(provider_id);
        for round in 0..MAX_ATTEMPTS {
            let now = ambient.now();
            let audit = AuditEvent { event: "configuration_agreed", at: now, by: by.to_owned(), reason: None };
            let (after, write) = match self.configuration(provider_id).await? {
                Some(ConfigurationItem { configuration, .. }) if configuration.is_wanted() => {
                    // Whoever says it once more wants it to be looked at now.
                    let due = configuration_update(provider_id, &configuration, &configuration, Some(now))?;
                    if self.update(due).await? {
                        return Ok(ConfigurationOutcome::Unchanged(Box::new(configuration)));
                    }
                    back_off(round, ambient).await;
                    continue;
                }
                Some(ConfigurationItem { configuration: read, .. }) => {
                    let consent = ConfigurationConsent { at: now, signed_by: by.to_owned() };
                    // What was seen stays; the next look is a new one.
                    let after = Configuration { consent, withdrawn: None, look: None, ..read.clone() };
                    let update = configuration_update(provider_id, &read, &after, Some(now))?;
                    (after, self.update_in_transaction(update)?)
                }
                None => {
                    let agreed = Configuration::agreed(now, by);
                    let write = self.put_if(agreed.to_first_item(provider_id)?, Some(IF_ABSENT), None)?;
                    (agreed, write)
                }
            };
            let writes = vec![write, self.put(audit.to_item(provider_id, ambient)?)?];
            match self.transact(&pk, writes).await? {
                Transaction::Committed => return Ok(ConfigurationOutcome::Changed(Box::new(after))),
                Transaction::ConditionFailed(_) | Transaction::Contended => back_off(round, ambient).await,
            }
        }
        Err(contended(pk))
    }

    /// Records that a tenant's consent is withdrawn: what was made is taken down. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time.
    pub async fn withdraw_configuration(
        &self,
        provider_id: &ProviderId,
        by: &str,
        ambient: &Ambient,
    ) -> Result<ConfigurationOutcome, RecordError> {
        let pk = Provider::pk(provider_id);
        for round in 0..MAX_ATTEMPTS {
            let now = ambient.now();
            let Some(ConfigurationItem { configuration: read, .. }) = self.configuration(provider_id).await? else {
                return Ok(ConfigurationOutcome::NeverAgreed);
            };
            if !read.is_wanted() {
                return Ok(ConfigurationOutcome::Unchanged(Box::new(read)));
            }
            let withdrawn = ConfigurationConsent { at: now, signed_by: by.to_owned() };
            let after = Configuration { withdrawn: Some(withdrawn), look: None, ..read.clone() };
            let update = configuration_update(provider_id, &read, &after, Some(now))?;
            let audit = AuditEvent { event: "configuration_withdrawn", at: now, by: by.to_owned(), reason: None };
            let writes = vec![self.update_in_transaction(update)?, self.put(audit.to_item(provider_id, ambient)?)?];
            match self.transact(&pk, writes).await? {
                Transaction::Committed => return Ok(ConfigurationOutcome::Changed(Box::new(after))),
                Transaction::ConditionFailed(_) | Transaction::Contended => back_off(round, ambient).await,
            }
        }
        Err(contended(pk))
    }

    /// Writes how far a configuration has come, with the changes of the account that are known now in the audit trail, as made `by`. Returns
    /// the record as it is written; `None` if somebody else wrote first.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn record_configuration(
        &self,
        provider_id: &ProviderId,
        read: &Configuration,
        after: Configuration,
        next_attempt_at: Option<Timestamp>,
        by: &str,
        ambient: &Ambient,
    ) -> Result<Option<Configuration>, RecordError> {
        let update = configuration_update(provider_id, read, &after, next_attempt_at)?;
        let after = Configuration { writes: read.writes.saturating_add(1), ..after };
        let made = after.changes.iter().filter(|change| !read.changes.contains(change));
        let trail: Vec<_> = made
            .map(|made| AuditEvent {
                event: made.change.audit_event(),
                at: made.at,
                by: by.to_owned(),
                reason: Some(made.change.as_str().to_owned()),
            })
            .collect();
        if trail.is_empty() {
            return Ok(self.update(update).await?.then_some(after));
        }
        let mut writes = vec![self.update_in_transaction(update)?];
        for event in trail {
            writes.push(self.put(event.to_item(provider_id, ambient)?)?);
        }
        match self.transact(&Provider::pk(provider_id), writes).await? {
            Transaction::Committed => Ok(Some(after)),
            Transaction::ConditionFailed(_) | Transaction::Contended => Ok(None),
        }
    }
}

/// The write of a configuration over the one that was read, and when it is due.
fn configuration_update(
    provider_id: &ProviderId,
    read: &Configuration,
    after: &Configuration,
    next_attempt_at: Option<Timestamp>,
) -> Result<ItemUpdate, RecordError> {
    let pk = Provider::pk(provider_id);
    let written = Configuration { writes: read.writes.saturating_add(1), ..after.clone() };
    let stored = serde_dynamo::to_attribute_value(&written).map_err(|_| RecordError::Shape { pk: pk.clone() })?;
    let expression = match next_attempt_at {
        Some(_) => "SET configuration = :configuration, sweep = :sweep, next_attempt_at = :next",
        None => "SET configuration = :configuration REMOVE sweep, next_attempt_at",
    };
    let update = ItemUpdate::new(pk, CONFIGURATION_SK, expression, "configuration.writes = :writes")
        .value(":configuration", stored)
        .value(":writes", AttributeValue::N(read.writes.to_string()));
    Ok(match next_attempt_at {
        Some(next) => update.value(":sweep", string(sweep_index::CONFIGURATIONS)).value(":next", timestamp(next)),
        None => update,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::DueSubject;

    #[test]
    fn a_new_consent_is_due_in_its_own_partition_and_read_as_it_was_written() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let agreed = Configuration::agreed(now, "arn:aws:iam::111122223333:user/ops");
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let item = agreed.to_first_item(&provider_id).unwrap();
        assert_eq!(item["sweep"], string("configuration"));
        let due = Due::from_item(&item).unwrap();
        assert_eq!(due.subject, DueSubject::Configuration(provider_id));
        let read: ConfigurationItem = super::super::item::from_item("provider", item).unwrap();
        assert_eq!(read.configuration, agreed);
        assert!(read.next_attempt_at.is_some_and(|due| due.duration_since(now) <= FIRST_LOOK_WITHIN));
    }

    #[test]
    fn a_write_states_the_version_that_was_read_and_takes_what_is_done_off_the_index() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let provider_id = ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap();
        let read = Configuration { writes: 4, ..Configuration::agreed(now, "arn") };
        let due = configuration_update(&provider_id, &read, &read, Some(now)).unwrap();
        assert_eq!(due.values[":writes"], AttributeValue::N("4".to_owned()));
        assert_eq!(due.values[":next"], timestamp(now));
        let done = configuration_update(&provider_id, &read, &read, None).unwrap();
        assert!(done.expression.ends_with("REMOVE sweep, next_attempt_at") && !done.values.contains_key(":next"));
    }
}
