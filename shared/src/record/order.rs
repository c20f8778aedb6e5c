//! An order: our whole response to a breach or an off-boarding.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::item::{string, to_item};
use super::{FanOut, Item, RecordError};
use crate::id::{AccessKeyId, OrderId, ProviderId, TenantId};

/// The attribute that puts an item into the index `listing`, and the value of an order's.
pub(super) const LISTING: &str = "listing";
pub(super) const LISTED_ORDER: &str = "order";

/// What a breach report covers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum BreachScope {
    /// One key, whether we know it or not.
    AccessKeyId(AccessKeyId),
    /// A provider: the key that it sends with.
    ProviderId(ProviderId),
    /// All providers of a tenant.
    TenantId(TenantId),
    /// All providers of an AWS account, 12 digits.
    AccountId(String),
    /// All providers.
    All(AllProviders),
}

/// The value of the scope `all`: `true`, and nothing else.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "bool", into = "bool")]
pub struct AllProviders;

impl From<AllProviders> for bool {
    fn from(_: AllProviders) -> Self {
        true
    }
}

impl TryFrom<bool> for AllProviders {
    type Error = &'static str;

    fn try_from(all: bool) -> Result<Self, &'static str> {
        if all { Ok(Self) } else { Err("must be true") }
    }
}

impl BreachScope {
    /// The word of the scope, as it is written.
    pub fn word(&self) -> &'static str {
        match self {
            Self::AccessKeyId(_) => "access_key_id",
            Self::ProviderId(_) => "provider_id",
            Self::TenantId(_) => "tenant_id",
            Self::AccountId(_) => "account_id",
            Self::All(_) => "all",
        }
    }

    /// What a caller must type again to confirm a scope of more than one provider; `None` for the others.
    pub fn confirmation(&self) -> Option<&str> {
        match self {
            Self::AccessKeyId(_) | Self::ProviderId(_) => None,
            Self::TenantId(tenant_id) => Some(tenant_id.as_str()),
            Self::AccountId(account_id) => Some(account_id),
            Self::All(_) => Some("all"),
        }
    }
}

/// An order. It is written before it is executed, with the ids of its keys, so that a repetition revokes the same keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its id.
    pub order_id: OrderId,
    /// What was reported.
    pub scope: BreachScope,
    /// Why, in the reporter's words.
    pub reason: String,
    /// Who reported it, as the report says; if it does not say, whoever signed it.
    pub reported_by: String,
    /// The ARN that signed the request, which API Gateway has verified. Absent for reports from the bus, which nobody
    /// signs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed_by: Option<String>,
    /// When it was written.
    pub created_at: Timestamp,
    /// The keys it revokes; empty for a scope of more than one provider, whose keys are on the order's pages.
    #[serde(default)]
    pub access_key_ids: Vec<AccessKeyId>,
    /// How far the providers of a scope of more than one were listed; absent for the others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fan_out: Option<FanOut>,
    /// The id of the event that reported it; absent for requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Which of its events operators were sent.
    #[serde(default)]
    pub told: OrderMilestone,
    /// When every key of it was found stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped_at: Option<Timestamp>,
    /// When every key of it was found dead, or unknown to us.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// Whether each key removes SES identity policies that name another account before it deletes itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub remove_identity_policies: bool,
    /// What was wrong with the report beside its scope. It was acted on all the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub oddities: Vec<String>,
}

/// How far an order has come, as operators are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderMilestone {
    /// Nothing was told yet.
    #[default]
    Nothing,
    /// It was written.
    Placed,
    /// None of its keys sends any more.
    Stopped,
    /// Each of its keys is dead, or nobody handed it over.
    Complete,
}

/// The reason of an order that off-boards a provider: nobody says that others know its key.
pub const OFF_BOARDING: &str = "off-boarding";

/// The reason of an order that revokes a key which a rotation has replaced, or which it was not replaced by: nobody says that
/// others know it.
pub const ROTATED: &str = "rotated";

impl Order {
    /// Whether nobody says that others know its keys: it off-boards a provider, or ends a rotation.
    pub fn is_without_breach(&self) -> bool {
        [OFF_BOARDING, ROTATED].contains(&self.reason.as_str())
    }

    /// Partition key of an order.
    pub fn pk(order_id: &OrderId) -> String {
        format!("order#{order_id}")
    }

    /// Sort key of an order.
    pub const SK: &'static str = "order";

    /// The order as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn to_item(&self) -> Result<Item, RecordError> {
        let mut item = to_item(&Self::pk(&self.order_id), Self::SK, self)?;
        item.insert(LISTING.to_owned(), string(LISTED_ORDER));
        Ok(item)
    }
}
