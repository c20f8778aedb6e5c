//! Progress of a revocation: what `revoke-worker` writes on a stopped key.

use aws_sdk_dynamodb::types::{AttributeValue, TransactWriteItem, Update};

use super::item::string;
use super::write::{KEY_ITEM, Transaction, back_off, contended, made};
use super::{AuditEvent, Item, KeyItem, KeyState, Providers, RecordError, Secrets, Status};
use crate::custody::Lane;
use crate::runtime::Ambient;

/// Attributes of a key item that belong to the worker. Orders do not: others note them at any time.
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

/// Every write of progress counts `attempts` up, so it tells whether the key is still the one that was read.
const IF_UNCHANGED: &str = "attempts = :read_attempts AND #status = :read_status";

/// Transactions tried before a conflict is an error.
const ROUNDS: u32 = 4;

impl Providers {
    /// Writes a key's progress from `before`, as it was read, to `after`, if nobody wrote progress in between; answers
    /// whether. A change of state is one transaction with the provider's status and an audit event, and `revoked` (with
    /// no reason left) shreds the revoke lane in it.
    ///
    /// # Errors
    /// DynamoDB did not answer; what was done is not recorded, or it is and nobody knows.
    pub async fn record_progress(
        &self,
        before: &KeyItem,
        after: &KeyItem,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        if before.state == after.state {
            return self.record_same_state(before, after).await;
        }
        let pk = KeyItem::pk(&after.access_key_id);
        let mut with_provider = true;
        for round in 0..ROUNDS {
            let writes = self.state_writes(before, after, with_provider, secrets, ambient)?;
            match self.transact(&pk, writes).await? {
                Transaction::Made => return Ok(true),
                Transaction::Unmet(items) if items.iter().any(|(place, _)| *place == KEY_ITEM) => return Ok(false),
                Transaction::Unmet(_) => with_provider = false,
                Transaction::Contended => {}
            }
            back_off(round, ambient).await;
        }
        Err(contended(pk))
    }

    async fn record_same_state(&self, before: &KeyItem, after: &KeyItem) -> Result<bool, RecordError> {
        let pk = KeyItem::pk(&after.access_key_id);
        let change = Change::of(before, after)?;
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(KeyItem::SK))
            .update_expression(change.expression)
            .condition_expression(IF_UNCHANGED)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .send()
            .await;
        made(answer, "UpdateItem", pk)
    }

    fn state_writes(
        &self,
        before: &KeyItem,
        after: &KeyItem,
        with_provider: bool,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let pk = KeyItem::pk(&after.access_key_id);
        let change = Change::of(before, after)?;
        let key = Update::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(KeyItem::SK))
            .update_expression(change.expression)
            .condition_expression(IF_UNCHANGED)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .build()
            .map_err(RecordError::dynamodb("build Update", &pk))?;
        let mut writes = vec![TransactWriteItem::builder().update(key).build()];
        if after.state == KeyState::Revoked {
            writes.push(secrets.shred(&after.access_key_id, Lane::Revoke)?);
        }
        let Some(owner) = &after.owner else { return Ok(writes) };
        let status = Status::from(after.state);
        if with_provider {
            let provider = (&owner.provider_id, &after.access_key_id);
            writes.push(self.provider_status(provider, &[], &status, after.updated_at)?);
        }
        let audit = AuditEvent {
            event: status.status.as_str(),
            at: after.updated_at,
            by: "revoke-worker".to_owned(),
            reason: status.reason,
        };
        writes.push(self.put(audit.item(&owner.provider_id, ambient)?)?);
        Ok(writes)
    }
}

/// An update of a key item's progress as DynamoDB wants it.
struct Change {
    expression: String,
    names: std::collections::HashMap<String, String>,
    values: Item,
}

impl Change {
    fn of(before: &KeyItem, after: &KeyItem) -> Result<Self, RecordError> {
        let mut item = after.item()?;
        let mut change = Self {
            expression: String::new(),
            names: Default::default(),
            values: Item::from([
                (":read_attempts".to_owned(), AttributeValue::N(before.attempts.to_string())),
                (":read_status".to_owned(), string(before.state.name().as_str())),
            ]),
        };
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for attribute in PROGRESS {
            let (name, value) = (format!("#{attribute}"), format!(":{attribute}"));
            change.names.insert(name.clone(), attribute.to_owned());
            match item.remove(attribute) {
                Some(attribute) => {
                    set.push(format!("{name} = {value}"));
                    change.values.insert(value, attribute);
                }
                None => remove.push(name),
            }
        }
        change.expression = format!("SET {}", set.join(", "));
        if !remove.is_empty() {
            change.expression.push_str(&format!(" REMOVE {}", remove.join(", ")));
        }
        Ok(change)
    }
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
        let change = Change::of(&before, &after).unwrap();
        assert_eq!(
            change.expression,
            "SET #status = :status, #updated_at = :updated_at, #seen_alive = :seen_alive, #receipt = :receipt, \
             #attempts = :attempts, #notification_pending = :notification_pending REMOVE #reason, #next_attempt_at, #sweep"
        );
        assert_eq!(change.values[":read_attempts"], AttributeValue::N("3".to_owned()));
        assert_eq!(change.values[":attempts"], AttributeValue::N("4".to_owned()));
        assert!(change.names.values().all(|name| name != "orders" && name != "owner"));
    }
}
