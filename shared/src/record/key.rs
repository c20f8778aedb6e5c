//! The key item: everything about one access key except its secret. It holds the state of its revocation.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{from_item, to_item};
use super::revocability::add_live_key;
use super::{
    Attestation, BreachContainment, Consent, Item, KeyState, RecordError, ResidualAccess, RevocabilityLooks,
    sweep_index,
};
use crate::id::{AccessKeyId, OrderId, ProviderId, TenantId};
use crate::tenant::Region;

/// Where a key is seen alive or dead. A refusal counts only on a plane where the key was seen alive: in a Region that the
/// account has not enabled, and in the wrong partition, a live key is refused as unknown.
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
    /// The latest orders to revoke it, in the order in which they came, about [`MAX_ORDERS`] of them. An order finds its
    /// keys by its own list, so one that is not here any more still shows its key.
    #[serde(default)]
    pub orders: Vec<OrderId>,
    /// How many orders there were. One that is repeated when it is not in `orders` any more counts again.
    #[serde(default)]
    pub order_count: u32,
    /// Whether an order asked for the removal of SES identity policies that name another account.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove_identity_policies: bool,
    /// Whether its provider went on with another key when it was stopped. Then nothing that becomes of it is the provider's
    /// state.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// Where it was seen alive, and when it was last seen there.
    #[serde(default)]
    pub seen_alive: BTreeMap<Plane, Timestamp>,
    /// What proves its death so far.
    #[serde(default)]
    pub receipt: Receipt,
    /// How often progress of its revocation was written.
    #[serde(default)]
    pub attempts: u32,
    /// What looks at it have shown while it lived: whether its revocation would work.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revocability_looks: Option<RevocabilityLooks>,
    /// When the sweep picks it up again; absent = nothing is left to do. Of a live key: when it is looked at next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_at: Option<Timestamp>,
    /// Whether operators have yet to be notified of its state.
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
    /// The IAM user of the key. `None`: it was onboarded by a version that did not keep it here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_name: Option<String>,
    /// SES's Region.
    pub region: Region,
    /// What the tenant agreed to, if to anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consent: Option<Consent>,
    /// Whether sessions minted with the key were seen to be worthless when it was onboarded. `None`: nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_denied: Option<bool>,
}

/// How many orders a key item lists.
pub const MAX_ORDERS: usize = 50;

/// What proves a key's death (its own deletion and the refusals after it), and what may outlive the key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// When a DeleteAccessKey was sent whose answer is not known. It is written before the call, right after the key was
    /// seen alive, and removed once it is known what the call did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_sent_at: Option<Timestamp>,
    /// When our DeleteAccessKey was answered with 200, or first with NoSuchEntity for the key's own id. With
    /// `write_ahead`: when it was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<Timestamp>,
    /// What stands as proof of the deletion.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deleted_by: Option<Proof>,
    /// AWS's request id of that answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delete_request_id: Option<String>,
    /// When AWS last denied the deletion: not a failure of any kind, but its answer that the key may not do it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion_denied_at: Option<Timestamp>,
    /// What was done in the tenant's account because of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub containment: Option<BreachContainment>,
    /// The last refusal on each plane.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub refused: BTreeMap<Plane, RefusedCall>,
    /// When a key that was refused everywhere was accepted again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alive_again_at: Option<Timestamp>,
    /// Until when a session may live that was minted with the key before its death. Absent as long as the key lives, and
    /// if sessions were seen to be worthless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_possible_until: Option<Timestamp>,
    /// What else may outlive the key, as it was seen right before the deletion. Absent if there was no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub residual_access: Option<ResidualAccess>,
    /// Who said that the key is dead, if nothing proved it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attestation: Option<Attestation>,
}

/// What stands as proof that a key was deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// Our DeleteAccessKey was answered with 200.
    Deleted,
    /// It was answered with NoSuchEntity for the key's own id.
    NoSuchEntity,
    /// The key was alive, then our call was sent and its answer was lost, then the key was refused.
    WriteAhead,
    /// Nothing proved it. A person said that the key is dead, and the key was refused everywhere.
    Attested,
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

impl Owner {
    /// Whether the tenant agreed to containment.
    pub fn agrees_to_containment(&self) -> bool {
        self.consent.as_ref().is_some_and(|consent| consent.pause_sending)
    }
}

impl Proof {
    /// The proof as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deleted => "deleted",
            Self::NoSuchEntity => "no_such_entity",
            Self::WriteAhead => "write_ahead",
            Self::Attested => "attested",
        }
    }
}

impl KeyItem {
    /// A key in this state that nobody has ordered anything for.
    pub fn new(access_key_id: AccessKeyId, owner: Option<Owner>, state: KeyState, now: Timestamp) -> Self {
        Self {
            access_key_id,
            owner,
            state,
            updated_at: now,
            orders: Vec::new(),
            order_count: 0,
            remove_identity_policies: false,
            retired: false,
            seen_alive: BTreeMap::new(),
            receipt: Receipt::default(),
            attempts: 0,
            revocability_looks: None,
            next_attempt_at: None,
            notification_pending: false,
        }
    }

    /// Partition key of a key item.
    pub fn pk(access_key_id: &AccessKeyId) -> String {
        format!("key#{access_key_id}")
    }

    /// Sort key of a key item.
    pub const SK: &'static str = "key";

    /// The key as an item. The sweep finds it from its next attempt on.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn to_item(&self) -> Result<Item, RecordError> {
        let mut item = to_item(&Self::pk(&self.access_key_id), Self::SK, self)?;
        if self.state == KeyState::Active {
            add_live_key(&mut item, self);
        } else if let Some(next_attempt_at) = self.next_attempt_at {
            sweep_index::add(&mut item, next_attempt_at);
        }
        Ok(item)
    }

    /// Reads a key item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if the item is not a key item.
    pub fn from_item(item: Item) -> Result<Self, RecordError> {
        from_item("key", item)
    }
}
