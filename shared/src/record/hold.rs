//! An operator's hold: a provider sends nothing until the operator lifts it, whatever its status is meanwhile.
//!
//! It stands in the provider's item beside the status, so no verification that ends a suspension lifts it, and no revocation
//! asks for it. Its mail waits in [`rounds`](super::rounds).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::string;
use super::item_update::ItemUpdate;
use super::rounds::Rounds;
use super::transaction::{Transaction, back_off, contended};
use super::{AuditEvent, Provider, Providers, RecordError, StatusName};
use crate::id::ProviderId;
use crate::runtime::Ambient;

/// Attempts of a change, if other writers come first.
const MAX_ATTEMPTS: u32 = 4;

/// A hold, in force or lifted. The latest one stays in the provider's item.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, in words.
    pub reason: String,
    /// The ARN that signed the request.
    pub held_by: String,
    /// Since when.
    pub held_at: Timestamp,
    /// When it was lifted; absent while it is in force.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lifted_at: Option<Timestamp>,
}

/// What a request to hold a provider, or to lift its hold, did.
#[derive(Clone, Debug, PartialEq)]
pub enum HoldOutcome {
    /// This call changed it. The provider as it is now.
    Changed(Box<Provider>),
    /// It was so before, and nothing was written.
    Unchanged(Box<Provider>),
    /// An order has stopped the provider for good: there is nothing to hold.
    Stopped(Box<Provider>),
    /// There is no such provider.
    NoSuchProvider,
}

impl Hold {
    /// Whether it is in force.
    pub fn is_in_force(&self) -> bool {
        self.lifted_at.is_none()
    }

    /// When a mail that was handed over at `first_seen` is looked at again; `None` if it may go.
    pub fn wait_until(&self, first_seen: Timestamp, now: Timestamp) -> Option<Timestamp> {
        let rounds = Rounds { began_at: self.held_at, ended_at: self.lifted_at };
        rounds.wait_until(first_seen, now)
    }
}

impl Providers {
    /// Holds a provider: from now on nothing is sent, until [`Providers::lift_hold`]. One that is held already gets the new reason and who
    /// gave it. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time: it may or may not be held.
    pub async fn hold(
        &self,
        provider_id: &ProviderId,
        reason: &str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<HoldOutcome, RecordError> {
        let change = |provider: &Provider, now| match &provider.hold {
            Some(hold) if hold.is_in_force() && hold.reason == reason && hold.held_by == by => None,
            before => Some(Hold {
                reason: reason.to_owned(),
                held_by: by.to_owned(),
                // Whoever says it once more does not begin a new one.
                held_at: before.as_ref().filter(|hold| hold.is_in_force()).map_or(now, |hold| hold.held_at),
                lifted_at: None,
            }),
        };
        self.change_hold(provider_id, "held", (reason, by), change, ambient).await
    }

    /// Lifts the hold of a provider, if it has one. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer, or other writers came first every time: it may or may not be held.
    pub async fn lift_hold(
        &self,
        provider_id: &ProviderId,
        reason: &str,
        by: &str,
        ambient: &Ambient,
    ) -> Result<HoldOutcome, RecordError> {
        let change = |provider: &Provider, now| match &provider.hold {
            Some(hold) if hold.is_in_force() => Some(Hold { lifted_at: Some(now), ..hold.clone() }),
            _ => None,
        };
        self.change_hold(provider_id, "hold_lifted", (reason, by), change, ambient).await
    }

    /// Writes the hold that `change` makes of a provider, with an event of its trail, in one transaction. The condition is that
    /// the provider's hold is the one that was read, and that no order has stopped it.
    async fn change_hold(
        &self,
        provider_id: &ProviderId,
        event: &'static str,
        (reason, by): (&str, &str),
        change: impl Fn(&Provider, Timestamp) -> Option<Hold>,
        ambient: &Ambient,
    ) -> Result<HoldOutcome, RecordError> {
        let pk = Provider::pk(provider_id);
        for round in 0..MAX_ATTEMPTS {
            let Some(mut provider) = self.provider(provider_id).await? else { return Ok(HoldOutcome::NoSuchProvider) };
            let now = ambient.now();
            if !matches!(provider.status.status, StatusName::Active | StatusName::Suspended) {
                return Ok(HoldOutcome::Stopped(Box::new(provider)));
            }
            let Some(hold) = change(&provider, now) else { return Ok(HoldOutcome::Unchanged(Box::new(provider))) };
            let shape = |_| RecordError::Shape { pk: pk.clone() };
            let stored = serde_dynamo::to_attribute_value(&hold).map_err(shape)?;
            let mut condition = "#status IN (:active, :suspended) AND ".to_owned();
            condition.push_str(if provider.hold.is_some() { "#hold = :read" } else { "attribute_not_exists(#hold)" });
            let mut update = ItemUpdate::new(pk.clone(), Provider::SK, "SET #hold = :hold", condition)
                .name("#status", "status")
                .name("#hold", "hold")
                .value(":active", string(StatusName::Active.as_str()))
                .value(":suspended", string(StatusName::Suspended.as_str()))
                .value(":hold", stored);
            if let Some(read) = &provider.hold {
                update = update.value(":read", serde_dynamo::to_attribute_value(read).map_err(shape)?);
            }
            let audit = AuditEvent { event, at: now, by: by.to_owned(), reason: Some(reason.to_owned()) };
            let writes = vec![self.update_in_transaction(update)?, self.put(audit.to_item(provider_id, ambient)?)?];
            match self.transact(&pk, writes).await? {
                Transaction::Committed => {
                    provider.hold = Some(hold);
                    return Ok(HoldOutcome::Changed(Box::new(provider)));
                }
                Transaction::ConditionFailed(_) | Transaction::Contended => back_off(round, ambient).await,
            }
        }
        Err(contended(pk))
    }
}
