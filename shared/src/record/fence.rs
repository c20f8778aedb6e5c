//! Fences: what keeps a key that is being verified from being stored behind an order's back.
//!
//! An order for more than one provider moves the fence of its scope before it lists the providers. Onboarding reads the
//! fences before it verifies, and its transaction fails if one of them has moved since. What the index did not show yet when
//! the order listed it is found by the order's second pass, [`super::REPEAT_AFTER`] later. For [`FENCE_CLOSED_FOR`] the fence
//! keeps new keys out, so that the second pass can tell them from those that it is for.

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, TransactWriteItem};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::item::{string, timestamp};
use super::item_update::ItemUpdate;
use super::{BreachScope, Item, Providers, REPEAT_AFTER, RecordError};
use crate::id::{OrderId, TenantId};

/// Sort key of a fence.
const SK: &str = "fence";

/// How long a fence that was moved keeps new keys out: longer than a verification takes, with room for clocks that differ. So a
/// provider that was onboarded within that time after an order was verified before the order, and one that was onboarded later
/// has a key that was handed over after it.
pub const FENCE_CLOSED_FOR: SignedDuration = SignedDuration::from_secs(REPEAT_AFTER.as_secs() + 30);

/// The fences of one tenant and account, as they were read before a verification.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fences(Vec<Fence>);

/// One fence.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fence {
    pk: String,
    /// How often it was moved, and when last. `None`: never.
    moved: Option<FenceItem>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
struct FenceItem {
    moves: u64,
    moved_at: Timestamp,
}

impl Fences {
    /// Until when new keys are kept out; `None` if they are not at `now`.
    pub fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        let moved = self.0.iter().filter_map(|fence| fence.moved.as_ref());
        let until = moved.filter_map(|item| item.moved_at.saturating_add(FENCE_CLOSED_FOR).ok()).max()?;
        (now < until).then_some(until)
    }
}

impl Providers {
    /// Moves the fence of a scope of more than one provider; the others have none. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer: the fence may or may not have moved.
    pub async fn move_fence(&self, scope: &BreachScope, order_id: &OrderId, now: Timestamp) -> Result<(), RecordError> {
        let Some(pk) = pk(scope) else { return Ok(()) };
        let expression = "SET moved_at = :now, order_id = :order_id ADD moves :one";
        let update = ItemUpdate::new(pk, SK, expression, "attribute_not_exists(order_id) OR order_id <> :order_id")
            .value(":now", timestamp(now))
            .value(":order_id", string(order_id.as_str()))
            .value(":one", AttributeValue::N("1".to_owned()));
        self.update(update).await.map(drop)
    }

    /// Reads the fences that an onboarding has to pass, consistently. `account_id` is absent if the key's id does not tell it;
    /// then the second pass of an order for the account finds the key.
    ///
    /// # Errors
    /// DynamoDB did not answer, or a fence cannot be read.
    pub async fn fences(&self, tenant_id: &TenantId, account_id: Option<&str>) -> Result<Fences, RecordError> {
        let mut scopes = vec![ALL.to_owned(), tenant(tenant_id)];
        scopes.extend(account_id.map(account));
        let mut fences = Vec::with_capacity(scopes.len());
        for pk in scopes {
            let moved = self.get(&pk, SK).await?;
            fences.push(Fence { pk, moved });
        }
        Ok(Fences(fences))
    }

    /// The conditions that no fence has moved, as parts of a transaction.
    pub(super) fn fences_unmoved(&self, fences: &Fences) -> Result<Vec<TransactWriteItem>, RecordError> {
        fences.0.iter().map(|fence| self.fence_unmoved(fence)).collect()
    }

    fn fence_unmoved(&self, fence: &Fence) -> Result<TransactWriteItem, RecordError> {
        let key = Item::from([("pk".to_owned(), string(&fence.pk)), ("sk".to_owned(), string(SK))]);
        let check = ConditionCheck::builder().table_name(&self.table).set_key(Some(key));
        let check = match &fence.moved {
            None => check.condition_expression("attribute_not_exists(pk)"),
            Some(item) => check
                .condition_expression("moves = :moves")
                .expression_attribute_values(":moves", AttributeValue::N(item.moves.to_string())),
        };
        let check = check.build().map_err(RecordError::dynamodb("build ConditionCheck", &fence.pk))?;
        Ok(TransactWriteItem::builder().condition_check(check).build())
    }
}

const ALL: &str = "fence#all";

fn tenant(tenant_id: &TenantId) -> String {
    format!("fence#tenant#{tenant_id}")
}

fn account(account_id: &str) -> String {
    format!("fence#account#{account_id}")
}

/// The partition key of a scope's fence.
fn pk(scope: &BreachScope) -> Option<String> {
    match scope {
        BreachScope::AccessKeyId(_) | BreachScope::ProviderId(_) => None,
        BreachScope::TenantId(tenant_id) => Some(tenant(tenant_id)),
        BreachScope::AccountId(account_id) => Some(account(account_id)),
        BreachScope::All(_) => Some(ALL.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fence_that_was_moved_keeps_new_keys_out_until_the_second_pass_is_over() {
        let moved_at: Timestamp = "2026-11-23T10:00:00Z".parse().unwrap();
        let moved = Fence { pk: ALL.to_owned(), moved: Some(FenceItem { moves: 1, moved_at }) };
        let never = Fence { pk: "fence#tenant#acme".to_owned(), moved: None };
        let until = moved_at + FENCE_CLOSED_FOR;
        let fences = Fences(vec![moved, never.clone()]);
        assert_eq!(fences.closed_until(moved_at), Some(until));
        assert_eq!(fences.closed_until(until), None);
        assert_eq!(Fences(vec![never]).closed_until(moved_at), None);
    }
}
