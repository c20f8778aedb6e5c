//! The provider record: a tenant's SES account, Region and credential.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::item::{from_item, to_item};
use super::{Item, RecordError, Status};
use crate::id::{AccessKeyId, ProviderId, TenantId};
use crate::tenant::Region;

/// A tenant's delivery provider. It holds no secret.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// Its id.
    pub provider_id: ProviderId,
    /// Whose it is.
    pub tenant_id: TenantId,
    /// What the tenant calls it.
    pub name: String,
    /// SES's Region.
    pub region: Region,
    /// The tenant's AWS account, 12 digits.
    pub account_id: String,
    /// The IAM user of the key.
    pub user_name: String,
    /// The IAM user's ARN.
    pub user_arn: String,
    /// The key it sends with.
    pub access_key_id: AccessKeyId,
    /// Whether it may send, and why not.
    #[serde(flatten)]
    pub status: Status,
    /// Recipients a second, from SES at verification.
    pub max_send_rate: f64,
    /// Recipients in 24 hours, from SES at verification; -1 = unlimited.
    pub max_24_hour_send: f64,
    /// Verified recipients only.
    pub sandbox: bool,
    /// The report its key was taken on.
    pub report: Value,
    /// When it was taken.
    pub created_at: Timestamp,
    /// When its status last changed.
    pub updated_at: Timestamp,
}

/// Some of a tenant's providers.
#[derive(Clone, Debug, PartialEq)]
pub struct ProviderPage {
    /// The providers in order of their ids, oldest first.
    pub providers: Vec<Provider>,
    /// The last of them, where there are more: the next page starts after it.
    pub next: Option<ProviderId>,
}

impl Provider {
    /// Partition key of a provider and its audit trail.
    pub fn pk(provider_id: &ProviderId) -> String {
        format!("provider#{provider_id}")
    }

    /// Sort key of the provider's own item; its audit trail lies beside it.
    pub const SK: &'static str = "provider";

    /// The provider as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn item(&self) -> Result<Item, RecordError> {
        to_item(&Self::pk(&self.provider_id), Self::SK, self)
    }

    /// The provider of an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if the item is no provider.
    pub fn from_item(item: Item) -> Result<Self, RecordError> {
        from_item("provider", item)
    }
}
