//! Progress of a revocation: what is written on a stopped key.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem};

use super::item::string;
use super::item_update::ItemUpdate;
use super::transaction::{KEY_ITEM, Transaction, back_off, contended};
use super::{AuditEvent, KeyItem, KeyState, Proof, Providers, RecordError, Secrets, Status};
use crate::custody::Lane;
use crate::runtime::Ambient;

/// What writing progress did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressOutcome {
    /// It was written.
    Recorded,
    /// Another worker wrote progress since the key was read, so this was not written.
    Superseded,
}

/// Who changes a key's state, and what else the transaction needs.
pub(super) struct StateChange<'a> {
    /// A function's name, or the ARN of whoever attested it.
    pub(super) by: &'a str,
    /// Why, for the audit trail, where the state does not say it.
    pub(super) reason: Option<&'static str>,
    pub(super) secrets: &'a Secrets,
    pub(super) ambient: &'a Ambient,
}

/// Attributes of a key item that only progress writes. `orders`, `order_count`, `remove_identity_policies` and `retired` are not
/// among them: stops change them at any time.
const PROGRESS: [&str; 9] = [
    "status",
    "reason",
    "updated_at",
    "seen_alive",
    "receipt",
    "attempts",
    "next_attempt_at",
    "sweep",
    "notification_pending",
];

/// Every write of progress increments `attempts`, so `attempts` tells whether the key is still the one that was read.
const IF_UNCHANGED: &str = "attempts = :read_attempts AND #status = :read_status";

/// Attempts of a transaction before a conflict is an error.
const MAX_ATTEMPTS: u32 = 4;

impl Providers {
    /// Writes a key's progress from `before`, as it was read, to `after`, if nobody wrote progress in between. A change
    /// of state is one transaction with the provider's status and an audit event; a change to `revoked` also shreds the
    /// revoke lane, unless it was attested.
    ///
    /// # Errors
    /// DynamoDB did not answer: the progress may or may not have been written.
    pub async fn record_progress(
        &self,
        before: &KeyItem,
        after: &KeyItem,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<ProgressOutcome, RecordError> {
        if before.state == after.state {
            return Ok(match self.update(progress_update(before, after)?).await? {
                true => ProgressOutcome::Recorded,
                false => ProgressOutcome::Superseded,
            });
        }
        let change = StateChange { by: "revoke-worker", reason: None, secrets, ambient };
        self.record_state(before, after, &change).await
    }

    /// Writes a change of state, if nobody wrote progress in between.
    pub(super) async fn record_state(
        &self,
        before: &KeyItem,
        after: &KeyItem,
        change: &StateChange<'_>,
    ) -> Result<ProgressOutcome, RecordError> {
        let pk = KeyItem::pk(&after.access_key_id);
        let mut with_provider = !after.retired;
        for round in 0..MAX_ATTEMPTS {
            let writes = self.state_writes(before, after, with_provider, change)?;
            match self.transact(&pk, writes).await? {
                Transaction::Committed => return Ok(ProgressOutcome::Recorded),
                Transaction::ConditionFailed(items) if items.iter().any(|(place, _)| *place == KEY_ITEM) => {
                    return Ok(ProgressOutcome::Superseded);
                }
                Transaction::ConditionFailed(_) => with_provider = false,
                Transaction::Contended => {}
            }
            back_off(round, change.ambient).await;
        }
        Err(contended(pk))
    }

    fn state_writes(
        &self,
        before: &KeyItem,
        after: &KeyItem,
        with_provider: bool,
        change: &StateChange<'_>,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let mut writes = vec![self.update_in_transaction(progress_update(before, after)?)?];
        // What a person attests, the worker shreds: nobody who answers requests can delete a revoke lane.
        if after.state == KeyState::Revoked && after.receipt.deleted_by != Some(Proof::Attested) {
            writes.push(change.secrets.shred(&after.access_key_id, Lane::Revoke)?);
        }
        let Some(owner) = &after.owner else { return Ok(writes) };
        let status = Status::from(after.state);
        if with_provider {
            let provider = (&owner.provider_id, &after.access_key_id);
            writes.push(self.provider_status(provider, &[], &status, after.updated_at)?);
        }
        let audit = AuditEvent {
            event: audit_event(after),
            at: after.updated_at,
            by: change.by.to_owned(),
            reason: change.reason.map(str::to_owned).or(status.reason),
        };
        writes.push(self.put(audit.to_item(&owner.provider_id, change.ambient)?)?);
        Ok(writes)
    }
}

/// The change as the provider's audit trail has it. What becomes of a retired key is not the provider's state.
fn audit_event(key: &KeyItem) -> &'static str {
    match (key.retired, key.state) {
        (false, state) => state.name().as_str(),
        (true, KeyState::Revoked) => "key_revoked",
        (true, KeyState::RefusedUnproven) => "key_refused_unproven",
        (true, KeyState::RevocationBlocked(_)) => "key_revocation_blocked",
        (true, KeyState::Active | KeyState::UnknownKey | KeyState::Revoking(_)) => "key_revoking",
    }
}

/// The update of a key item that writes or removes each of the worker's attributes.
fn progress_update(before: &KeyItem, after: &KeyItem) -> Result<ItemUpdate, RecordError> {
    let mut item = after.to_item()?;
    let mut update = ItemUpdate::for_key(&after.access_key_id, "", IF_UNCHANGED)
        .value(":read_attempts", AttributeValue::N(before.attempts.to_string()))
        .value(":read_status", string(before.state.name().as_str()));
    let (mut set, mut remove) = (Vec::new(), Vec::new());
    for attribute in PROGRESS {
        let (name, placeholder) = (format!("#{attribute}"), format!(":{attribute}"));
        update = update.name(name.clone(), attribute);
        match item.remove(attribute) {
            Some(value) => {
                set.push(format!("{name} = {placeholder}"));
                update = update.value(placeholder, value);
            }
            None => remove.push(name),
        }
    }
    update.expression = format!("SET {}", set.join(", "));
    if !remove.is_empty() {
        update.expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
    }
    Ok(update)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_writes_and_removes_exactly_the_workers_attributes() {
        let before: KeyItem = serde_json::from_value(serde_json::json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": "revoking", "updated_at": "2026-11-23T10:00:00Z",
            "attempts": 3, "next_attempt_at": "2026-11-23T10:01:00Z",
        }))
        .unwrap();
        let mut after = before.clone();
        after.state = KeyState::Revoked;
        after.attempts = 4;
        after.next_attempt_at = None;
        let update = progress_update(&before, &after).unwrap();
        assert_eq!(
            update.expression,
            "SET #status = :status, #updated_at = :updated_at, #seen_alive = :seen_alive, #receipt = :receipt, \
             #attempts = :attempts, #notification_pending = :notification_pending REMOVE #reason, #next_attempt_at, #sweep"
        );
        assert_eq!(update.values[":read_attempts"], AttributeValue::N("3".to_owned()));
        assert_eq!(update.values[":attempts"], AttributeValue::N("4".to_owned()));
        let of_stops = ["orders", "order_count", "remove_identity_policies", "owner"];
        assert!(update.names.values().all(|name| !of_stops.contains(&name.as_str())));
    }
}
