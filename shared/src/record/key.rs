//! The key item: everything about one access key but its secret. Revocation's state lives here.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{from_item, to_item};
use super::{Item, KeyState, RecordError, sweep};
use crate::id::{AccessKeyId, OrderId, ProviderId, TenantId};
use crate::tenant::Region;

/// Where a key can be seen alive or dead. Only refusals on a plane where it was seen alive say anything: in a Region
/// that the account has not enabled, and in the wrong partition, a live key is refused as unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Plane {
    /// `sts:GetCallerIdentity`.
    Sts,
    /// `ses:GetAccount` in the provider's Region.
    Ses,
}

/// One access key.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KeyItem {
    /// Its id.
    pub access_key_id: AccessKeyId,
    /// Its owner; absent on a tombstone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
    /// Its state.
    #[serde(flatten)]
    pub state: KeyState,
    /// When its state last changed.
    pub updated_at: Timestamp,
    /// Orders that want it revoked.
    #[serde(default)]
    pub orders: BTreeSet<OrderId>,
    /// Where it was seen alive, and when last.
    #[serde(default)]
    pub seen_alive: BTreeMap<Plane, Timestamp>,
    /// What proves its death so far.
    #[serde(default)]
    pub receipt: Receipt,
    /// Revocation steps tried.
    #[serde(default)]
    pub attempts: u32,
    /// When the sweep shall try again; absent = nothing left to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// The state that operators have not been told of yet.
    #[serde(default)]
    pub notification_pending: bool,
}

/// Whose key it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The provider that sends with it.
    pub provider_id: ProviderId,
    /// The tenant.
    pub tenant_id: TenantId,
    /// The tenant's AWS account.
    pub account_id: String,
    /// SES's Region.
    pub region: Region,
}

/// What proves a key's death: its own deletion and the refusals after it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// When a DeleteAccessKey was about to leave whose answer is not known. It is written before the call, with the key
    /// seen alive just before, and removed by whatever tells what became of the call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_sent_at: Option<Timestamp>,
    /// When our DeleteAccessKey was answered with 200, or first with NoSuchEntity for the key's own id; by `write_ahead`,
    /// when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// How.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<Proof>,
    /// AWS's request id of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_request_id: Option<String>,
    /// The last refusal on each plane.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<Plane, RefusedCall>,
}

/// What stands for a key's deletion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Our DeleteAccessKey was answered with 200.
    Deleted,
    /// It was answered with NoSuchEntity for the key's own id.
    NoSuchEntity,
    /// The key was alive, then our call left whose answer was lost, then the key was refused.
    WriteAhead,
}

/// A refusal of the key on one plane.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedCall {
    /// When.
    pub at: Timestamp,
    /// AWS's error code.
    pub code: String,
    /// AWS's request id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Proof {
    /// The proof as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::NoSuchEntity => "no_such_entity",
            Self::WriteAhead => "write_ahead",
        }
    }
}

impl KeyItem {
    /// Partition key of a key item.
    pub fn pk(access_key_id: &AccessKeyId) -> String {
        format!("key#{access_key_id}")
    }

    /// Sort key of a key item.
    pub const SK: &'static str = "key";

    /// The key as an item, which the sweep finds from its next attempt on.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn item(&self) -> Result<Item, RecordError> {
        let mut item = to_item(&Self::pk(&self.access_key_id), Self::SK, self)?;
        if let Some(next_attempt_at) = self.next_attempt_at {
            sweep::mark(&mut item, next_attempt_at);
        }
        Ok(item)
    }

    /// The key of an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if the item is no key item.
    pub fn from_item(item: Item) -> Result<Self, RecordError> {
        from_item("key", item)
    }
}
