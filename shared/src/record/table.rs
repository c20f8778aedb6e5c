//! The Providers table.

use aws_sdk_dynamodb::Client;
use serde::de::DeserializeOwned;

use super::audit::AUDIT;
use super::item::{from_item, string};
use super::{Item, KeyItem, Order, Provider, ProviderPage, RecordError, VerifiedProvider};
use crate::id::{AccessKeyId, OrderId, ProviderId, TenantId};
use crate::runtime::{Environment, MissingVariable};

/// The Providers table.
#[derive(Clone, Debug)]
pub struct Providers {
    pub(super) client: Client,
    pub(super) table: String,
}

impl Providers {
    /// The table that `PROVIDERS_TABLE` names.
    ///
    /// # Errors
    /// The variable is missing.
    pub fn new(client: Client, environment: &Environment) -> Result<Self, MissingVariable> {
        Ok(Self { client, table: environment.required("PROVIDERS_TABLE")? })
    }

    /// Reads a provider, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn provider(&self, provider_id: &ProviderId) -> Result<Option<Provider>, RecordError> {
        self.get(&Provider::pk(provider_id), Provider::SK).await
    }

    /// Reads a provider with the report that its key was accepted on, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn verified_provider(&self, provider_id: &ProviderId) -> Result<Option<VerifiedProvider>, RecordError> {
        self.get(&Provider::pk(provider_id), Provider::SK).await
    }

    /// The providers of these ids that exist, in their order, with their reports, each read consistently. At most 100.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn verified_providers(&self, provider_ids: &[ProviderId]) -> Result<Vec<VerifiedProvider>, RecordError> {
        if provider_ids.is_empty() {
            return Ok(Vec::new());
        }
        let key = |id: &ProviderId| {
            Item::from([("pk".to_owned(), string(Provider::pk(id))), ("sk".to_owned(), string(Provider::SK))])
        };
        let items = self.batch_get(provider_ids.iter().map(key).collect()).await?;
        let mut providers =
            items.into_iter().map(|item| from_item("provider", item)).collect::<Result<Vec<VerifiedProvider>, _>>()?;
        providers.sort_by_key(|found| provider_ids.iter().position(|id| *id == found.provider.provider_id));
        Ok(providers)
    }

    /// Reads a key item, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn key(&self, access_key_id: &AccessKeyId) -> Result<Option<KeyItem>, RecordError> {
        self.get(&KeyItem::pk(access_key_id), KeyItem::SK).await
    }

    /// Reads an order, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn order(&self, order_id: &OrderId) -> Result<Option<Order>, RecordError> {
        self.get(&Order::pk(order_id), Order::SK).await
    }

    /// Lists some of a tenant's providers, from the index: a provider that was onboarded a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an item cannot be read.
    pub async fn list(
        &self,
        tenant_id: &TenantId,
        after: Option<&ProviderId>,
        limit: i32,
    ) -> Result<ProviderPage, RecordError> {
        let start = after.map(|provider_id| start_after(provider_id, "tenant_id", tenant_id.as_str()));
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
            .map(|item| from_item::<VerifiedProvider>(&pk, item))
            .collect::<Result<Vec<_>, _>>()?;
        let next = providers.last().filter(|_| more).map(|last| last.provider.provider_id.clone());
        Ok(ProviderPage { providers, next })
    }

    /// A provider's audit trail, oldest event first, as it is stored.
    ///
    /// # Errors
    /// DynamoDB did not answer, or an event cannot be read.
    pub async fn audit_trail(&self, provider_id: &ProviderId) -> Result<Vec<serde_json::Value>, RecordError> {
        let values = Item::from([(":audit".to_owned(), string(AUDIT))]);
        self.read_all(&Provider::pk(provider_id), "begins_with(sk, :audit)", values).await
    }

    /// Reads the items under a partition key whose sort key fulfils `condition`, in its order, consistently. `values` are those of
    /// the condition's placeholders.
    pub(super) async fn read_all<T: DeserializeOwned>(
        &self,
        pk: &str,
        condition: &str,
        values: Item,
    ) -> Result<Vec<T>, RecordError> {
        let (mut records, mut start) = (Vec::new(), None);
        loop {
            let answer = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression(format!("pk = :pk AND {condition}"))
                .set_expression_attribute_values(Some(values.clone()))
                .expression_attribute_values(":pk", string(pk))
                .set_exclusive_start_key(start.take())
                .send()
                .await
                .map_err(RecordError::dynamodb("Query", pk))?;
            for item in answer.items.unwrap_or_default() {
                records.push(from_item(pk, item)?);
            }
            start = answer.last_evaluated_key;
            if start.is_none() {
                return Ok(records);
            }
        }
    }

    pub(super) async fn get<T: DeserializeOwned>(&self, pk: &str, sk: &str) -> Result<Option<T>, RecordError> {
        self.get_item(pk, sk).await?.map(|item| from_item(pk, item)).transpose()
    }

    /// Reads an item, consistently, as it is stored.
    pub(super) async fn get_item(&self, pk: &str, sk: &str) -> Result<Option<Item>, RecordError> {
        let answer = self
            .client
            .get_item()
            .table_name(&self.table)
            .key("pk", string(pk))
            .key("sk", string(sk))
            .consistent_read(true)
            .send()
            .await
            .map_err(RecordError::dynamodb("GetItem", pk))?;
        Ok(answer.item)
    }
}

/// Where the page of an index with this partition key starts that comes after a provider.
pub(super) fn start_after(provider_id: &ProviderId, partition_key: &str, value: &str) -> Item {
    Item::from([
        ("pk".to_owned(), string(Provider::pk(provider_id))),
        ("sk".to_owned(), string(Provider::SK)),
        (partition_key.to_owned(), string(value)),
        ("provider_id".to_owned(), string(provider_id.as_str())),
    ])
}
