//! Progress of a revocation: what `revoke-worker` writes on a stopped key, and what the sweep reads.

use aws_sdk_dynamodb::error::ProvideErrorMetadata as _;
use aws_sdk_dynamodb::types::{AttributeValue, Delete, TransactWriteItem, Update};
use jiff::Timestamp;

use super::item::string;
use super::stop::{is_conflict, may_try_again};
use super::table::{cancelled_by_condition, timestamp};
use super::{AccessKeyId, AuditEvent, Item, Key, Lane, Provider, Providers, RecordError, Secrets, StatusName};
use crate::runtime::Ambient;

/// A key whose next attempt is due, as the index knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Due {
    /// The key.
    pub access_key_id: AccessKeyId,
    /// Since when, as it is stored.
    pub next_attempt_at: String,
}

/// Some of the keys that are due.
#[derive(Clone, Debug, PartialEq)]
pub struct DuePage {
    /// The keys, longest due first.
    pub keys: Vec<Due>,
    /// Where the next page starts, if there is one.
    pub next: Option<Item>,
}

/// Attributes of a key item that belong to the worker. Orders do not: others note them at any time.
const PROGRESS: [&str; 9] =
    ["status", "reason", "updated_at", "seen_alive", "receipt", "attempts", "next_attempt_at", "sweep", "untold"];

/// Every write of progress counts `attempts` up, so it tells whether the key is still the one that was read.
const IF_UNCHANGED: &str = "attempts = :read_attempts AND #n0 = :read_status";

/// The provider may send with another key by now.
const IF_WITH_KEY: &str = "access_key_id = :access_key_id";

/// Place of the key item in the transaction.
const KEY_ITEM: usize = 0;

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
        before: &Key,
        after: &Key,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        if before.state == after.state {
            return self.record_same_state(before, after).await;
        }
        let pk = Key::pk(&after.access_key_id);
        let mut with_provider = true;
        for round in 0..ROUNDS {
            let writes = self.state_writes(before, after, with_provider, secrets, ambient)?;
            match self.client.transact_write_items().set_transact_items(Some(writes)).send().await {
                Ok(_) => return Ok(true),
                Err(error) => match cancelled_by_condition(&error) {
                    Some(failed) if failed.iter().any(|(index, _)| *index == KEY_ITEM) => return Ok(false),
                    Some(_) => with_provider = false,
                    None if is_conflict(&error) => {}
                    None => return Err(RecordError::dynamodb("TransactWriteItems", pk)(error)),
                },
            }
            tokio::time::sleep(std::time::Duration::from_millis(20 + ambient.below(40 << round))).await;
        }
        Err(RecordError::dynamodb("TransactWriteItems", pk)("other writers came first every time"))
    }

    /// Keys whose next attempt was due at `now`, from the sparse index: a key written a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn due(&self, now: Timestamp, start: Option<Item>) -> Result<DuePage, RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("sweep")
            .key_condition_expression("sweep = :sweep AND next_attempt_at <= :now")
            .expression_attribute_values(":sweep", string(Key::SWEEP))
            .expression_attribute_values(":now", timestamp(now))
            .set_exclusive_start_key(start)
            .limit(DUE_PAGE)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", "sweep"))?;
        let keys = answer.items.unwrap_or_default().iter().filter_map(due).collect();
        Ok(DuePage { keys, next: answer.last_evaluated_key })
    }

    /// Moves a key's next attempt to `until`, if it is still the one that the sweep saw: what was handed on a moment ago
    /// is not handed on every minute while the queue is not read.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn postpone(&self, due: &Due, until: Timestamp) -> Result<(), RecordError> {
        let pk = Key::pk(&due.access_key_id);
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Key::SK))
            .update_expression("SET next_attempt_at = :until")
            .condition_expression("next_attempt_at = :seen")
            .expression_attribute_values(":until", timestamp(until))
            .expression_attribute_values(":seen", string(&due.next_attempt_at))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(()),
            Err(error) if may_try_again(error.code()) => Ok(()),
            Err(error) => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
        }
    }

    async fn record_same_state(&self, before: &Key, after: &Key) -> Result<bool, RecordError> {
        let pk = Key::pk(&after.access_key_id);
        let change = Change::of(before, after)?;
        let answer = self
            .client
            .update_item()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Key::SK))
            .update_expression(change.expression)
            .condition_expression(IF_UNCHANGED)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if may_try_again(error.code()) => Ok(false),
            Err(error) => Err(RecordError::dynamodb("UpdateItem", pk)(error)),
        }
    }

    fn state_writes(
        &self,
        before: &Key,
        after: &Key,
        with_provider: bool,
        secrets: &Secrets,
        ambient: &Ambient,
    ) -> Result<Vec<TransactWriteItem>, RecordError> {
        let pk = Key::pk(&after.access_key_id);
        let change = Change::of(before, after)?;
        let key = Update::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Key::SK))
            .update_expression(change.expression)
            .condition_expression(IF_UNCHANGED)
            .set_expression_attribute_names(Some(change.names))
            .set_expression_attribute_values(Some(change.values))
            .build()
            .map_err(RecordError::dynamodb("build Update", &pk))?;
        let mut writes = vec![TransactWriteItem::builder().update(key).build()];
        if after.state.status == StatusName::Revoked && after.state.reason.is_none() {
            let shred = Delete::builder()
                .table_name(&secrets.table)
                .set_key(Some(Secrets::key(&after.access_key_id, Lane::Revoke)))
                .build()
                .map_err(RecordError::dynamodb("build Delete", &pk))?;
            writes.push(TransactWriteItem::builder().delete(shred).build());
        }
        let Some(owner) = &after.owner else { return Ok(writes) };
        let audit = AuditEvent {
            event: after.state.status.as_str(),
            at: after.updated_at,
            by: "revoke-worker".to_owned(),
            reason: after.state.reason.clone(),
        };
        writes.push(self.put(audit.item(&owner.provider_id, ambient)?)?);
        if with_provider {
            let pk = Provider::pk(&owner.provider_id);
            let reason = after.state.reason.as_ref();
            let provider = Update::builder()
                .table_name(&self.table)
                .key("pk", string(&pk))
                .key("sk", string(Provider::SK))
                .update_expression(match reason {
                    Some(_) => "SET #status = :status, updated_at = :now, reason = :reason",
                    None => "SET #status = :status, updated_at = :now REMOVE reason",
                })
                .condition_expression(IF_WITH_KEY)
                .expression_attribute_names("#status", "status")
                .expression_attribute_values(":status", string(after.state.status.as_str()))
                .expression_attribute_values(":now", timestamp(after.updated_at))
                .expression_attribute_values(":access_key_id", string(after.access_key_id.as_str()));
            let provider = match reason {
                Some(reason) => provider.expression_attribute_values(":reason", string(reason)),
                None => provider,
            };
            let provider = provider.build().map_err(RecordError::dynamodb("build Update", &pk))?;
            writes.push(TransactWriteItem::builder().update(provider).build());
        }
        Ok(writes)
    }
}

/// Keys that one page of the sweep holds.
const DUE_PAGE: i32 = 100;

/// An update of a key item's progress as DynamoDB wants it.
struct Change {
    expression: String,
    names: std::collections::HashMap<String, String>,
    values: Item,
}

impl Change {
    fn of(before: &Key, after: &Key) -> Result<Self, RecordError> {
        let mut item = after.item()?;
        let mut change = Self {
            expression: String::new(),
            names: Default::default(),
            values: Item::from([
                (":read_attempts".to_owned(), AttributeValue::N(before.attempts.to_string())),
                (":read_status".to_owned(), string(before.state.status.as_str())),
            ]),
        };
        let (mut set, mut remove) = (Vec::new(), Vec::new());
        for (index, attribute) in PROGRESS.into_iter().enumerate() {
            let (name, value) = (format!("#n{index}"), format!(":v{index}"));
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

fn due(item: &Item) -> Option<Due> {
    let text = |name: &str| item.get(name).and_then(|value| value.as_s().ok());
    Some(Due {
        access_key_id: AccessKeyId::from_pasted(text("pk")?.strip_prefix("key#")?).ok()?,
        next_attempt_at: text("next_attempt_at")?.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::super::Status;
    use super::*;

    #[test]
    fn progress_writes_and_removes_exactly_the_workers_attributes() {
        let before: Key = serde_json::from_value(serde_json::json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": "revoking", "updated_at": "2026-11-23T10:00:00Z",
            "attempts": 3, "next_attempt_at": "2026-11-23T10:01:00Z", "sweep": "due",
        }))
        .unwrap();
        let mut after = before.clone();
        after.state = Status::plain(StatusName::Revoked);
        after.attempts = 4;
        after.next_attempt_at = None;
        after.sweep = None;
        let change = Change::of(&before, &after).unwrap();
        assert_eq!(
            change.expression,
            "SET #n0 = :v0, #n2 = :v2, #n3 = :v3, #n4 = :v4, #n5 = :v5, #n8 = :v8 REMOVE #n1, #n6, #n7"
        );
        assert_eq!(change.values[":read_attempts"], AttributeValue::N("3".to_owned()));
        assert_eq!(change.values[":v5"], AttributeValue::N("4".to_owned()));
        assert!(change.names.values().all(|name| name != "orders" && name != "owner"));
    }
}
