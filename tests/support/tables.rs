//! What is stored in the tables, read with the operator's own key. No route shows it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use operator::Tenant;

use super::Stack;

/// An item as DynamoDB returns it.
pub(crate) type Item = HashMap<String, AttributeValue>;

/// The Providers and Secrets tables of a stack.
pub(crate) struct Tables {
    client: Client,
    providers: String,
    secrets: String,
}

impl Stack {
    /// The name of the table with this logical id, with a client that signs with the operator's key.
    pub(crate) async fn table(&self, logical_id: &str) -> (Client, String) {
        let client = Client::new(&operator::sdk_config(&self.aws_url()));
        let tables = client.list_tables().send().await.unwrap();
        let name = tables.table_names().iter().find(|name| name.contains(logical_id)).unwrap().clone();
        (client, name)
    }
}

impl Tables {
    /// The tables of this stack.
    pub(crate) async fn new(stack: &Stack) -> Self {
        let (client, providers) = stack.table("ProvidersTable").await;
        let (_, secrets) = stack.table("SecretsTable").await;
        Self { client, providers, secrets }
    }

    /// The lanes in which a tenant's secret is still sealed.
    pub(crate) async fn sealed_lanes(&self, tenant: &Tenant) -> Vec<String> {
        let mut lanes = Vec::new();
        for lane in ["revoke", "send"] {
            if self.find_sealed_secret(tenant, lane).await.is_some() {
                lanes.push(lane.to_owned());
            }
        }
        lanes
    }

    /// The events in the audit trail of a provider, oldest first.
    pub(crate) async fn audit_trail(&self, provider_id: &str) -> Vec<String> {
        self.audit_items(provider_id).await.iter().map(|item| string_of(item, "event")).collect()
    }

    /// The items of the audit trail of a provider, oldest first.
    pub(crate) async fn audit_items(&self, provider_id: &str) -> Vec<Item> {
        let items = self.query(&self.providers, "pk", string(&format!("provider#{provider_id}"))).await;
        items.into_iter().filter(|item| string_of(item, "sk").starts_with("audit#")).collect()
    }

    /// The events in the audit trail of a sender of webhooks, oldest first, each with who did it.
    pub(crate) async fn webhook_trail(&self, name: &str) -> Vec<(String, String)> {
        let items = self.query(&self.providers, "pk", string(&format!("webhook#{name}"))).await;
        let events = items.iter().filter(|item| string_of(item, "sk").starts_with("audit#"));
        events.map(|item| (string_of(item, "event"), string_of(item, "by"))).collect()
    }

    /// Stores the sealed secrets of one sender of webhooks as those of another.
    pub(crate) async fn copy_webhook_secrets(&self, from: &str, to: &str) {
        let items = self.query(&self.providers, "pk", string(&format!("webhook#{from}"))).await;
        let sender = items.into_iter().find(|item| string_of(item, "sk") == "webhook").unwrap();
        self.client
            .update_item()
            .table_name(&self.providers)
            .key("pk", string(&format!("webhook#{to}")))
            .key("sk", string("webhook"))
            .update_expression("SET secrets = :secrets")
            .condition_expression("attribute_exists(secrets)")
            .expression_attribute_values(":secrets", sender["secrets"].clone())
            .send()
            .await
            .unwrap();
    }

    /// The key item of a tenant's key.
    pub(crate) async fn key_item(&self, tenant: &Tenant) -> Item {
        self.query(&self.providers, "pk", string(&format!("key#{}", tenant.access_key_id))).await.remove(0)
    }

    /// Makes the next attempt of a key due, as if the time until then had passed. Returns whether an attempt is planned.
    pub(crate) async fn make_due(&self, tenant: &Tenant) -> bool {
        self.make_item_due(&format!("key#{}", tenant.access_key_id), "key").await
    }

    /// Makes a rotation due, as if the time until then had passed. Returns whether it is looked at at all.
    pub(crate) async fn make_rotation_due(&self, provider_id: &str, rotation_id: &str) -> bool {
        self.make_item_due(&format!("provider#{provider_id}"), &format!("rotation#{rotation_id}")).await
    }

    /// Makes the configuration of a provider due. Returns whether it is looked at at all.
    pub(crate) async fn make_configuration_due(&self, provider_id: &str) -> bool {
        self.make_item_due(&format!("provider#{provider_id}"), "configuration").await
    }

    /// Makes the verification of a provider due, as if the time until then had passed. Returns whether it is watched.
    pub(crate) async fn make_watch_due(&self, provider_id: &str) -> bool {
        self.make_item_due(&format!("provider#{provider_id}"), "watch").await
    }

    /// Moves the time since when a provider's verification has failed into the past, as if time had passed.
    pub(crate) async fn set_failing_since(&self, provider_id: &str) {
        self.set_time(provider_id, "watch", "watch.failing.since").await;
    }

    /// Makes a link due. Returns whether it is looked at at all.
    pub(crate) async fn make_link_due(&self, link_id: &str) -> bool {
        self.make_item_due(&format!("onboarding#{link_id}"), "link").await
    }

    /// The same for another time of its watch.
    pub(crate) async fn set_watch_time(&self, provider_id: &str, name: &str) {
        self.set_time(provider_id, "watch", &format!("watch.{name}")).await;
    }

    async fn make_item_due(&self, pk: &str, sk: &str) -> bool {
        let updated = self
            .client
            .update_item()
            .table_name(&self.providers)
            .key("pk", string(pk))
            .key("sk", string(sk))
            .update_expression("SET next_attempt_at = :past")
            .condition_expression("attribute_exists(next_attempt_at)")
            .expression_attribute_values(":past", string("2020-01-01T00:00:00Z"))
            .send()
            .await;
        match updated.map_err(SdkError::into_service_error) {
            Ok(_) => true,
            Err(UpdateItemError::ConditionalCheckFailedException(_)) => false,
            Err(error) => panic!("UpdateItem of the next attempt of {pk}: {error:?}"),
        }
    }

    /// Suspends a provider, as `send` does.
    pub(crate) async fn suspend_provider(&self, provider_id: &str, reason: &str) {
        self.client
            .update_item()
            .table_name(&self.providers)
            .key("pk", string(&format!("provider#{provider_id}")))
            .key("sk", string("provider"))
            .update_expression("SET #status = :suspended, reason = :reason")
            .expression_attribute_names("#status", "status")
            .expression_attribute_values(":suspended", string("suspended"))
            .expression_attribute_values(":reason", string(reason))
            .send()
            .await
            .unwrap();
    }

    /// Moves a time of a provider's rotation into the past, as if time had passed.
    pub(crate) async fn set_rotation_time(&self, provider_id: &str, path: &str) {
        self.set_time(provider_id, "provider", path).await;
    }

    async fn set_time(&self, provider_id: &str, sk: &str, path: &str) {
        self.client
            .update_item()
            .table_name(&self.providers)
            .key("pk", string(&format!("provider#{provider_id}")))
            .key("sk", string(sk))
            .update_expression(format!("SET {path} = :past"))
            .condition_expression(format!("attribute_exists({path})"))
            .expression_attribute_values(":past", string("2020-01-01T00:00:00Z"))
            .send()
            .await
            .unwrap();
    }

    /// Makes a live key one that nothing has proved revocable since this time.
    pub(crate) async fn set_unproven_since(&self, tenant: &Tenant, since: &str) {
        self.client
            .update_item()
            .table_name(&self.providers)
            .key("pk", string(&format!("key#{}", tenant.access_key_id)))
            .key("sk", string("key"))
            .update_expression("SET unproven_since = :since")
            .condition_expression("attribute_exists(unproven_since)")
            .expression_attribute_values(":since", string(since))
            .send()
            .await
            .unwrap();
    }

    /// Whether the sweep would execute an order again.
    pub(crate) async fn is_order_due(&self, order_id: &str) -> bool {
        let items = self.query(&self.providers, "pk", string(&format!("order#{order_id}"))).await;
        items[0].contains_key("sweep") && string_of(&items[0], "told") == "nothing"
    }

    /// Makes an order concern a tenant's key instead of its own, and makes it due. That is the state in which a worker leaves
    /// an order if it dies right after writing it.
    pub(crate) async fn redirect_order(&self, order_id: &str, tenant: &Tenant) {
        let keys = AttributeValue::L(vec![string(&tenant.access_key_id)]);
        self.client
            .update_item()
            .table_name(&self.providers)
            .key("pk", string(&format!("order#{order_id}")))
            .key("sk", string("order"))
            .update_expression("SET access_key_ids = :keys, sweep = :sweep, next_attempt_at = :past, told = :nothing")
            .condition_expression("attribute_exists(access_key_ids)")
            .expression_attribute_values(":keys", keys)
            .expression_attribute_values(":sweep", string("due"))
            .expression_attribute_values(":nothing", string("nothing"))
            .expression_attribute_values(":past", string("2020-01-01T00:00:00Z"))
            .send()
            .await
            .unwrap();
    }

    /// Adds key items that are due. They have no owner, so the worker does nothing about them.
    pub(crate) async fn add_due_keys(&self, count: usize) {
        for n in 0..count {
            let digit = |place: u32| char::from(b'A' + u8::try_from(n / 26_usize.pow(place) % 26).unwrap());
            let id = format!("AKIASWEPTSWEPTSWEP{}{}", digit(1), digit(0));
            let item = [
                ("pk", string(&format!("key#{id}"))),
                ("sk", string("key")),
                ("access_key_id", string(&id)),
                ("status", string("unknown_key")),
                ("updated_at", string("2020-01-01T00:00:00Z")),
                ("sweep", string("due")),
                ("next_attempt_at", string(&format!("2020-01-01T00:00:00.{n:03}Z"))),
            ];
            let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            self.client.put_item().table_name(&self.providers).set_item(Some(item)).send().await.unwrap();
        }
    }

    /// The item with a tenant's sealed secret.
    pub(crate) async fn sealed_secret(&self, tenant: &Tenant, lane: &str) -> Item {
        self.find_sealed_secret(tenant, lane).await.unwrap()
    }

    /// Stores the sealed secret of any key and lane as that of a tenant's lane.
    pub(crate) async fn put_sealed_secret(&self, tenant: &Tenant, lane: &str, mut item: Item) {
        item.insert("pk".to_owned(), sealed_secret_pk(tenant, lane));
        self.client.put_item().table_name(&self.secrets).set_item(Some(item)).send().await.unwrap();
    }

    /// Deletes a tenant's sealed secret.
    pub(crate) async fn delete_sealed_secret(&self, tenant: &Tenant, lane: &str) {
        let request = self.client.delete_item().table_name(&self.secrets);
        request.key("pk", sealed_secret_pk(tenant, lane)).send().await.unwrap();
    }

    async fn find_sealed_secret(&self, tenant: &Tenant, lane: &str) -> Option<Item> {
        self.query(&self.secrets, "pk", sealed_secret_pk(tenant, lane)).await.into_iter().next()
    }

    async fn query(&self, table: &str, key: &str, value: AttributeValue) -> Vec<Item> {
        let query = self.client.query().table_name(table).consistent_read(true);
        let query = query.key_condition_expression("#key = :value").expression_attribute_names("#key", key);
        query.expression_attribute_values(":value", value).send().await.unwrap().items.unwrap()
    }
}

/// The partition key of a sealed secret.
pub(crate) fn sealed_secret_pk(tenant: &Tenant, lane: &str) -> AttributeValue {
    string(&format!("{lane}#{}", tenant.access_key_id))
}

/// A DynamoDB string.
pub(crate) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

pub(crate) fn string_of(item: &Item, name: &str) -> String {
    item[name].as_s().unwrap().clone()
}
