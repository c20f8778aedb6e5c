//! Revocability: whether a key's revocation would work, as `revoke-worker` sees when it looks at the key while it lives.
//!
//! What the looks have shown stands on the key item, and for callers on the provider too. A live key's item is in two sparse indexes: in
//! `sweep`, in a partition of its own, by when it is looked at next, and in `revocability` by since when nothing has proved it
//! revocable. A stop takes it out of that partition of both, because it makes the key due for its revocation.

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{string, timestamp};
use super::item_update::ItemUpdate;
use super::transaction::{KEY_ITEM, Transaction, back_off, contended};
use super::{
    AuditEvent, Due, Item, KeyItem, Owner, Provider, Providers, RecordError, StatusName, slot_of, sweep_index,
};
use crate::id::AccessKeyId;
use crate::runtime::Ambient;

/// The partition of live keys in the indexes `sweep` and `revocability`.
pub(super) const LIVE_KEYS: &str = "revocability";

/// When a new key is looked at first, and within how long after that: keys of a bulk onboarding are not looked at all at once.
const FIRST_LOOK_AFTER: SignedDuration = SignedDuration::from_mins(5);
const FIRST_LOOKS_SPREAD_OVER: SignedDuration = SignedDuration::from_mins(55);

/// Attempts to record a look, if other transactions hold the items.
const MAX_ATTEMPTS: u32 = 4;

/// Nobody has recorded a look meanwhile, and no order has stopped the key.
const IF_UNCHANGED: &str = "#status = :active AND revocability_looks.writes = :writes";
const IF_NEVER_LOOKED: &str = "#status = :active AND attribute_not_exists(revocability_looks)";

/// Whether a key's revocation would work, as it was seen last.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocability {
    /// The key that it is about. A provider may send with another one by now.
    pub access_key_id: AccessKeyId,
    /// What stands in the way; absent if nothing does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<RevocabilityFault>,
    /// Since when that is known.
    pub since: Timestamp,
    /// When the key was last proved revocable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocable_at: Option<Timestamp>,
}

/// Why a revocation would not work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RevocabilityFault {
    /// AWS refuses the key: it is unknown, deleted or inactive.
    KeyRejected,
    /// The secret is not the key's.
    SecretRejected,
    /// The key may not delete itself.
    DeleteDenied,
    /// A policy denies it explicitly, as AWS's quarantine policies for keys found in public do.
    Quarantined,
    /// The revoke lane does not exist.
    SecretMissing,
    /// KMS does not open the revoke lane, or it does not hold a secret.
    SecretUnreadable,
}

/// What the looks at a live key have shown, and what is left to do about it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevocabilityLooks {
    /// What is known; absent until a look has shown something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocability: Option<Revocability>,
    /// Since when AWS has refused key or signature in each look. One refusal proves nothing: a stranger can cause it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused_since: Option<Timestamp>,
    /// Looks in a row that showed nothing, because AWS or we ourselves failed.
    #[serde(default)]
    pub unanswered: u32,
    /// Whether operators have yet to be told of the fault.
    #[serde(default)]
    pub notification_pending: bool,
    /// How often this was written: whoever writes it states what it read.
    pub writes: u32,
}

/// A place in the list of keys by [`Providers::list_unproven`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnprovenPosition {
    /// Since when nothing has proved it revocable, as the index has it.
    pub unproven_since: Timestamp,
    /// The key.
    pub access_key_id: AccessKeyId,
}

impl RevocabilityFault {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::KeyRejected,
        Self::SecretRejected,
        Self::DeleteDenied,
        Self::Quarantined,
        Self::SecretMissing,
        Self::SecretUnreadable,
    ];

    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::KeyRejected => "key_rejected",
            Self::SecretRejected => "secret_rejected",
            Self::DeleteDenied => "delete_denied",
            Self::Quarantined => "quarantined",
            Self::SecretMissing => "secret_missing",
            Self::SecretUnreadable => "secret_unreadable",
        }
    }

    /// Whether it lies with us, so that no tenant can mend it.
    pub fn is_ours(self) -> bool {
        matches!(self, Self::SecretMissing | Self::SecretUnreadable)
    }
}

/// Puts a live key's item into both indexes, for its first look.
pub(super) fn add_live_key(item: &mut Item, key: &KeyItem) {
    let spread = FIRST_LOOKS_SPREAD_OVER.as_secs().unsigned_abs();
    let slot = i64::try_from(slot_of(key.access_key_id.as_str()) % spread).unwrap_or(0);
    let first_look = FIRST_LOOK_AFTER + SignedDuration::from_secs(slot);
    let due = key.next_attempt_at.or_else(|| key.updated_at.checked_add(first_look).ok()).unwrap_or(key.updated_at);
    sweep_index::add_to(item, LIVE_KEYS, due);
    item.insert("unproven_since".to_owned(), timestamp(key.unproven_since()));
}

impl KeyItem {
    /// Since when nothing has proved that its revocation would work: since the last proof, or since it was handed over.
    pub fn unproven_since(&self) -> Timestamp {
        let seen = self.revocability_looks.as_ref().and_then(|looks| looks.revocability.as_ref());
        seen.and_then(|seen| seen.revocable_at).unwrap_or(self.updated_at)
    }
}

impl Providers {
    /// Live keys that were due for a look at `now`, longest due first, from the index.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn due_looks(&self, now: Timestamp, limit: i32) -> Result<Vec<Due>, RecordError> {
        Ok(self.list_partition(LIVE_KEYS, now, None, limit).await?.due)
    }

    /// How many live keys nothing has proved revocable since `since`, as the index has it; it counts to `limit`.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn count_unproven(&self, since: Timestamp, limit: i32) -> Result<i32, RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("revocability")
            .select(Select::Count)
            .key_condition_expression("sweep = :sweep AND unproven_since < :since")
            .expression_attribute_values(":sweep", string(LIVE_KEYS))
            .expression_attribute_values(":since", timestamp(since))
            .limit(limit)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", "revocability"))?;
        Ok(answer.count)
    }

    /// Lists live keys that nothing has proved revocable since `since`, the longest first, from the index: read them again
    /// before saying so. Returns where the next page begins, if there are more.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn list_unproven(
        &self,
        since: Timestamp,
        after: Option<&UnprovenPosition>,
        limit: i32,
    ) -> Result<(Vec<AccessKeyId>, Option<UnprovenPosition>), RecordError> {
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("revocability")
            .key_condition_expression("sweep = :sweep AND unproven_since < :since")
            .expression_attribute_values(":sweep", string(LIVE_KEYS))
            .expression_attribute_values(":since", timestamp(since))
            .set_exclusive_start_key(after.map(UnprovenPosition::to_item))
            .limit(limit)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", "revocability"))?;
        let items = answer.items.unwrap_or_default();
        let ids = items.iter().filter_map(key_of).collect();
        Ok((ids, answer.last_evaluated_key.as_ref().and_then(UnprovenPosition::from_item)))
    }

    /// Writes what a look at a live key has shown, if nobody has written another one since `key` was read and no order has stopped it. With
    /// `trail`, an event of the provider's audit trail, it is one transaction with that and with what callers see on the provider.
    /// Returns whether it was written.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have been written.
    pub async fn record_look(
        &self,
        key: &KeyItem,
        after: &RevocabilityLooks,
        next_look_at: Timestamp,
        trail: Option<AuditEvent>,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let (Some(trail), Some(owner), Some(seen)) = (trail, &key.owner, &after.revocability) else {
            return self.update(look_update(key, after, next_look_at)?).await;
        };
        let pk = KeyItem::pk(&key.access_key_id);
        let mut with_provider = true;
        for round in 0..MAX_ATTEMPTS {
            let mut writes = vec![
                self.update_in_transaction(look_update(key, after, next_look_at)?)?,
                self.put(trail.to_item(&owner.provider_id, ambient)?)?,
            ];
            if with_provider {
                writes.push(self.update_in_transaction(shown_update(owner, seen)?)?);
            }
            match self.transact(&pk, writes).await? {
                Transaction::Committed => return Ok(true),
                Transaction::ConditionFailed(items) if items.iter().any(|(place, _)| *place == KEY_ITEM) => {
                    return Ok(false);
                }
                // The provider sends with another key.
                Transaction::ConditionFailed(_) => with_provider = false,
                Transaction::Contended => {}
            }
            back_off(round, ambient).await;
        }
        Err(contended(pk))
    }
}

fn look_update(key: &KeyItem, after: &RevocabilityLooks, next_look_at: Timestamp) -> Result<ItemUpdate, RecordError> {
    let pk = KeyItem::pk(&key.access_key_id);
    let looks = serde_dynamo::to_attribute_value(after).map_err(|_| RecordError::Shape { pk })?;
    let written = KeyItem { revocability_looks: Some(after.clone()), ..key.clone() };
    let expression = "SET revocability_looks = :looks, next_attempt_at = :next, unproven_since = :since";
    let condition = if key.revocability_looks.is_some() { IF_UNCHANGED } else { IF_NEVER_LOOKED };
    let update = ItemUpdate::for_key(&key.access_key_id, expression, condition)
        .name("#status", "status")
        .value(":active", string(StatusName::Active.as_str()))
        .value(":looks", looks)
        .value(":next", timestamp(next_look_at))
        .value(":since", timestamp(written.unproven_since()));
    Ok(match &key.revocability_looks {
        Some(before) => update.value(":writes", AttributeValue::N(before.writes.to_string())),
        None => update,
    })
}

/// What callers see on the provider, if it sends with the key.
fn shown_update(owner: &Owner, seen: &Revocability) -> Result<ItemUpdate, RecordError> {
    let pk = Provider::pk(&owner.provider_id);
    let shown = serde_dynamo::to_attribute_value(seen).map_err(|_| RecordError::Shape { pk: pk.clone() })?;
    Ok(ItemUpdate::new(pk, Provider::SK, "SET revocability = :shown", "access_key_id = :access_key_id")
        .value(":shown", shown)
        .value(":access_key_id", string(seen.access_key_id.as_str())))
}

impl UnprovenPosition {
    fn to_item(&self) -> Item {
        Item::from([
            ("pk".to_owned(), string(KeyItem::pk(&self.access_key_id))),
            ("sk".to_owned(), string(KeyItem::SK)),
            ("sweep".to_owned(), string(LIVE_KEYS)),
            ("unproven_since".to_owned(), timestamp(self.unproven_since)),
        ])
    }

    fn from_item(item: &Item) -> Option<Self> {
        let unproven_since = item.get("unproven_since")?.as_s().ok()?.parse().ok()?;
        Some(Self { unproven_since, access_key_id: key_of(item)? })
    }
}

fn key_of(item: &Item) -> Option<AccessKeyId> {
    AccessKeyId::from_pasted(item.get("pk")?.as_s().ok()?.strip_prefix("key#")?).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn key(looks: serde_json::Value) -> KeyItem {
        let mut key = json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": "active", "updated_at": "2026-11-23T09:00:00Z",
            "owner": {
                "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "account_id": "171436882533",
                "region": "eu-central-1",
            },
        });
        if !looks.is_null() {
            key["revocability_looks"] = looks;
        }
        serde_json::from_value(key).unwrap()
    }

    fn text(item: &Item, name: &str) -> String {
        item[name].as_s().unwrap().clone()
    }

    #[test]
    fn a_live_key_is_looked_at_within_an_hour_and_a_stopped_one_is_in_neither_list() {
        let item = key(json!(null)).to_item().unwrap();
        assert_eq!(
            (text(&item, "sweep"), text(&item, "unproven_since")),
            (LIVE_KEYS.to_owned(), "2026-11-23T09:00:00Z".to_owned())
        );
        let due: Timestamp = text(&item, "next_attempt_at").parse().unwrap();
        let after = due.duration_since("2026-11-23T09:00:00Z".parse().unwrap());
        assert!(after >= SignedDuration::from_mins(5) && after < SignedDuration::from_mins(60), "{after:?}");

        let mut stopped = key(json!(null));
        stopped.state = crate::record::KeyState::Revoking(None);
        let item = stopped.to_item().unwrap();
        assert!(!item.contains_key("sweep") && !item.contains_key("unproven_since"), "{item:?}");
    }

    #[test]
    fn a_look_is_written_over_the_one_that_was_read_and_moves_the_time_of_the_last_proof() {
        let at: Timestamp = "2026-11-24T09:00:00Z".parse().unwrap();
        let seen = Revocability {
            access_key_id: key(json!(null)).access_key_id,
            fault: None,
            since: at,
            revocable_at: Some(at),
        };
        let after = RevocabilityLooks { revocability: Some(seen.clone()), writes: 1, ..RevocabilityLooks::default() };
        let first = look_update(&key(json!(null)), &after, at).unwrap();
        assert!(!first.values.contains_key(":writes"));
        assert_eq!(first.values[":since"], timestamp(at));
        let later = look_update(&key(json!({ "writes": 7 })), &after, at).unwrap();
        assert_eq!(later.values[":writes"], AttributeValue::N("7".to_owned()));

        // A fault keeps the time of the last proof.
        let fault = Revocability { fault: Some(RevocabilityFault::DeleteDenied), ..seen };
        let before = serde_json::to_value(&after).unwrap();
        let after = RevocabilityLooks { revocability: Some(fault), writes: 2, ..after };
        let update = look_update(&key(before), &after, at + SignedDuration::from_hours(200)).unwrap();
        assert_eq!(update.values[":since"], timestamp(at));
    }

    #[test]
    fn readme_names_every_fault() {
        let readme = include_str!("../../../README.md");
        for fault in RevocabilityFault::ALL {
            assert_eq!(serde_json::to_value(fault).unwrap(), fault.as_str());
            assert!(
                readme.contains(&format!("`{}`", fault.as_str())),
                "README.md does not say what `{}` means",
                fault.as_str()
            );
        }
    }
}
