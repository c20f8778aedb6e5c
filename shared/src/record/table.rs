//! The Providers table.

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, Put, TransactWriteItem, Update};
use jiff::Timestamp;
use serde::de::DeserializeOwned;

use super::item::{from_item, string, to_item};
use super::{
    AccessKeyId, AuditEvent, Item, Key, Order, OrderId, Page, Provider, ProviderId, RecordError, StatusName, TenantId,
};
use crate::runtime::{Ambient, Environment, MissingVariable};

/// A put that creates and never replaces.
pub(super) const IF_ABSENT: &str = "attribute_not_exists(pk)";

/// A change of status by `send`: only an active provider is suspended, so a stop that came first stays.
const IF_ACTIVE_WITH_KEY: &str = "#status = :active AND access_key_id = :access_key_id";

/// The Providers table.
#[derive(Clone, Debug)]
pub struct Providers {
    /// DynamoDB.
    pub client: Client,
    /// The table's name.
    pub table: String,
}

impl Providers {
    /// The table that `PROVIDERS_TABLE` names.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn new(client: Client, environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self { client, table: environment.required("PROVIDERS_TABLE")? })
    }

    /// A provider, read consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn provider(&self, provider_id: &ProviderId) -> Result<Option<Provider>, RecordError> {
        self.get(&Provider::pk(provider_id), Provider::SK).await
    }

    /// A key item, read consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn key(&self, access_key_id: &AccessKeyId) -> Result<Option<Key>, RecordError> {
        self.get(&Key::pk(access_key_id), Key::SK).await
    }

    /// An order, read consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn order(&self, order_id: &OrderId) -> Result<Option<Order>, RecordError> {
        self.get(&Order::pk(order_id), Order::SK).await
    }

    /// Some of a tenant's providers, from the index: a provider taken a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn list(
        &self,
        tenant_id: &TenantId,
        after: Option<&ProviderId>,
        limit: i32,
    ) -> Result<Page, RecordError> {
        let start = after.map(|provider_id| {
            Item::from([
                ("pk".to_owned(), string(Provider::pk(provider_id))),
                ("sk".to_owned(), string(Provider::SK)),
                ("tenant_id".to_owned(), string(tenant_id.as_str())),
                ("provider_id".to_owned(), string(provider_id.as_str())),
            ])
        });
        let pk = format!("tenant {tenant_id}");
        let answer = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("tenant")
            .key_condition_expression("tenant_id = :tenant_id")
            .expression_attribute_values(":tenant_id", string(tenant_id.as_str()))
            .set_exclusive_start_key(start)
            .limit(limit)
            .send()
            .await
            .map_err(RecordError::dynamodb("Query", &pk))?;
        let more = answer.last_evaluated_key.is_some();
        let providers = answer
            .items
            .unwrap_or_default()
            .into_iter()
            .map(|item| from_item::<Provider>(&pk, item))
            .collect::<Result<Vec<_>, _>>()?;
        let next = providers.last().filter(|_| more).map(|provider| provider.provider_id.clone());
        Ok(Page { providers, next })
    }

    /// Suspends a provider, if it is active with this key. Answers whether this call did it.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn suspend(
        &self,
        provider_id: &ProviderId,
        access_key_id: &AccessKeyId,
        reason: &str,
        ambient: &Ambient,
    ) -> Result<bool, RecordError> {
        let now = ambient.now();
        let pk = Provider::pk(provider_id);
        let audit = AuditEvent { event: "suspended", at: now, by: "send".to_owned(), reason: Some(reason.to_owned()) };
        let update = Update::builder()
            .table_name(&self.table)
            .key("pk", string(&pk))
            .key("sk", string(Provider::SK))
            .update_expression("SET #status = :suspended, reason = :reason, updated_at = :now")
            .condition_expression(IF_ACTIVE_WITH_KEY)
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":active", string(StatusName::Active.as_str()))
            .expression_attribute_values(":access_key_id", string(access_key_id.as_str()))
            .expression_attribute_values(":suspended", string(StatusName::Suspended.as_str()))
            .expression_attribute_values(":reason", string(reason))
            .expression_attribute_values(":now", string(now.to_string()))
            .build()
            .map_err(RecordError::dynamodb("build Update", &pk))?;
        let trail = self.put(audit.item(provider_id, ambient)?)?;
        let answer = self
            .client
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().update(update).build())
            .transact_items(trail)
            .send()
            .await;
        match answer {
            Ok(_) => Ok(true),
            Err(error) if cancelled_by_condition(&error).is_some() => Ok(false),
            Err(error) => Err(RecordError::dynamodb("TransactWriteItems", &pk)(error)),
        }
    }

    /// A transaction's Put of an item into this table, without a condition.
    ///
    /// # Errors
    /// [`RecordError`] that cannot happen: the builder has what it needs.
    pub fn put(&self, item: Item) -> Result<TransactWriteItem, RecordError> {
        self.put_if(item, None)
    }

    /// A transaction's Put of an item that is not there yet; the item that stands in its way comes back.
    ///
    /// # Errors
    /// As [`Providers::put`].
    pub fn put_if_absent(&self, item: Item) -> Result<TransactWriteItem, RecordError> {
        self.put_if(item, Some(IF_ABSENT))
    }

    fn put_if(&self, item: Item, condition: Option<&str>) -> Result<TransactWriteItem, RecordError> {
        let pk = item.get("pk").and_then(|pk| pk.as_s().ok()).cloned().unwrap_or_default();
        let put = Put::builder()
            .table_name(&self.table)
            .set_item(Some(item))
            .set_condition_expression(condition.map(str::to_owned))
            .return_values_on_condition_check_failure(
                aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure::AllOld,
            )
            .build()
            .map_err(RecordError::dynamodb("build Put", pk))?;
        Ok(TransactWriteItem::builder().put(put).build())
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, pk: &str, sk: &str) -> Result<Option<T>, RecordError> {
        self.client
            .get_item()
            .table_name(&self.table)
            .key("pk", string(pk))
            .key("sk", string(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(RecordError::dynamodb("GetItem", pk))?
            .item
            .map(|item| from_item(pk, item))
            .transpose()
    }
}

impl Key {
    /// The key as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn item(&self) -> Result<Item, RecordError> {
        to_item(&Self::pk(&self.access_key_id), Self::SK, self)
    }

    /// The key of an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if the item is no key item.
    pub fn of_item(item: Item) -> Result<Self, RecordError> {
        from_item("key", item)
    }
}

impl Provider {
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
    pub fn of_item(item: Item) -> Result<Self, RecordError> {
        from_item("provider", item)
    }
}

impl Order {
    /// The order as an item.
    ///
    /// # Errors
    /// [`RecordError::Shape`], if it cannot be written as an item.
    pub fn item(&self) -> Result<Item, RecordError> {
        to_item(&Self::pk(&self.order_id), Self::SK, self)
    }
}

/// A time as an attribute.
pub fn timestamp(time: Timestamp) -> AttributeValue {
    string(time.to_string())
}

/// Which items' conditions cancelled a transaction, with the items that stood in their way; `None` where something else
/// did, such as a conflict or an outage.
pub fn cancelled_by_condition<R>(
    error: &aws_smithy_runtime_api::client::result::SdkError<
        aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError,
        R,
    >,
) -> Option<Vec<(usize, Option<Item>)>> {
    use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError::TransactionCanceledException;
    let Some(TransactionCanceledException(cancelled)) = error.as_service_error() else {
        return None;
    };
    let failed: Vec<_> = cancelled
        .cancellation_reasons()
        .iter()
        .enumerate()
        .filter(|(_, reason)| reason.code() == Some("ConditionalCheckFailed"))
        .map(|(index, reason)| (index, reason.item().cloned()))
        .collect();
    (!failed.is_empty()).then_some(failed)
}
