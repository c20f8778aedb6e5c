//! What is stored, as the operator's own key reads it: no route shows it.

use std::collections::HashMap;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::Message;

use crate::support::{Stack, until};
use operator::Tenant;

/// An item as DynamoDB has it.
pub(super) type Item = HashMap<String, AttributeValue>;

/// The tables of a stack.
pub(super) struct Records {
    dynamodb: Client,
    providers: String,
    secrets: String,
}

impl Records {
    /// The tables, found by their logical names.
    pub(super) async fn of(stack: &Stack) -> Self {
        let (dynamodb, providers) = stack.table("ProvidersTable").await;
        let (_, secrets) = stack.table("SecretsTable").await;
        Self { dynamodb, providers, secrets }
    }

    /// The lanes that a tenant's secret is still sealed in.
    pub(super) async fn lanes(&self, tenant: &Tenant) -> Vec<String> {
        let mut lanes = Vec::new();
        for lane in ["revoke", "send"] {
            if self.find_sealed(tenant, lane).await.is_some() {
                lanes.push(lane.to_owned());
            }
        }
        lanes
    }

    /// The audit trail of a provider: what happened, oldest first.
    pub(super) async fn trail(&self, provider_id: &str) -> Vec<String> {
        let items = self.query(&self.providers, "pk", AttributeValue::S(format!("provider#{provider_id}"))).await;
        items.iter().filter(|item| text(item, "sk").starts_with("audit#")).map(|item| text(item, "event")).collect()
    }

    /// Makes a key's next attempt due, as if the time until then had passed. Answers whether there is to be one.
    pub(super) async fn make_due(&self, tenant: &Tenant) -> bool {
        let made = self
            .dynamodb
            .update_item()
            .table_name(&self.providers)
            .key("pk", AttributeValue::S(format!("key#{}", tenant.access_key_id)))
            .key("sk", AttributeValue::S("key".to_owned()))
            .update_expression("SET next_attempt_at = :past")
            .condition_expression("attribute_exists(next_attempt_at)")
            .expression_attribute_values(":past", AttributeValue::S("2020-01-01T00:00:00Z".to_owned()))
            .send()
            .await;
        match made.map_err(SdkError::into_service_error) {
            Ok(_) => true,
            Err(UpdateItemError::ConditionalCheckFailedException(_)) => false,
            Err(error) => panic!("{error:?}"),
        }
    }

    /// The audit events of a provider with what they say of who and why, oldest first.
    pub(super) async fn audits(&self, provider_id: &str) -> Vec<Item> {
        let items = self.query(&self.providers, "pk", AttributeValue::S(format!("provider#{provider_id}"))).await;
        items.into_iter().filter(|item| text(item, "sk").starts_with("audit#")).collect()
    }

    /// A key's item.
    pub(super) async fn key(&self, tenant: &Tenant) -> Item {
        let pk = AttributeValue::S(format!("key#{}", tenant.access_key_id));
        self.query(&self.providers, "pk", pk).await.remove(0)
    }

    /// Whether the sweep is to carry an order out again.
    pub(super) async fn is_order_due(&self, order_id: &str) -> bool {
        let items = self.query(&self.providers, "pk", AttributeValue::S(format!("order#{order_id}"))).await;
        items[0].contains_key("sweep")
    }

    /// Makes a tenant's key the one that an order is about, and the order due: whoever wrote it did no more.
    pub(super) async fn pin(&self, order_id: &str, tenant: &Tenant) {
        let keys = AttributeValue::L(vec![AttributeValue::S(tenant.access_key_id.clone())]);
        self.dynamodb
            .update_item()
            .table_name(&self.providers)
            .key("pk", AttributeValue::S(format!("order#{order_id}")))
            .key("sk", AttributeValue::S("order".to_owned()))
            .update_expression("SET access_key_ids = :keys, sweep = :sweep, next_attempt_at = :past")
            .condition_expression("attribute_exists(access_key_ids)")
            .expression_attribute_values(":keys", keys)
            .expression_attribute_values(":sweep", AttributeValue::S("due".to_owned()))
            .expression_attribute_values(":past", AttributeValue::S("2020-01-01T00:00:00Z".to_owned()))
            .send()
            .await
            .unwrap();
    }

    /// Adds key items that are due and have no owner, so that nothing comes of them.
    pub(super) async fn add_due(&self, count: usize) {
        let text = |text: &str| AttributeValue::S(text.to_owned());
        for n in 0..count {
            let letter = |place: u32| char::from(b'A' + u8::try_from(n / 26_usize.pow(place) % 26).unwrap());
            let id = format!("AKIASWEPTSWEPTSWEP{}{}", letter(1), letter(0));
            let item = [
                ("pk", text(&format!("key#{id}"))),
                ("sk", text("key")),
                ("access_key_id", text(&id)),
                ("status", text("reported")),
                ("updated_at", text("2020-01-01T00:00:00Z")),
                ("sweep", text("due")),
                ("next_attempt_at", text(&format!("2020-01-01T00:00:00.{n:03}Z"))),
            ];
            let item = item.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            self.dynamodb.put_item().table_name(&self.providers).set_item(Some(item)).send().await.unwrap();
        }
    }

    /// A tenant's sealed secret, as it is stored.
    pub(super) async fn sealed(&self, tenant: &Tenant, lane: &str) -> Item {
        self.find_sealed(tenant, lane).await.unwrap()
    }

    /// Puts a sealed secret into a tenant's lane, whosever it is.
    pub(super) async fn put_sealed(&self, tenant: &Tenant, lane: &str, mut sealed: Item) {
        sealed.insert("pk".to_owned(), sealed_pk(tenant, lane));
        self.dynamodb.put_item().table_name(&self.secrets).set_item(Some(sealed)).send().await.unwrap();
    }

    /// Deletes a tenant's sealed secret.
    pub(super) async fn delete_sealed(&self, tenant: &Tenant, lane: &str) {
        let request = self.dynamodb.delete_item().table_name(&self.secrets);
        request.key("pk", sealed_pk(tenant, lane)).send().await.unwrap();
    }

    async fn find_sealed(&self, tenant: &Tenant, lane: &str) -> Option<Item> {
        self.query(&self.secrets, "pk", sealed_pk(tenant, lane)).await.into_iter().next()
    }

    async fn query(&self, table: &str, key: &str, value: AttributeValue) -> Vec<Item> {
        let query = self.dynamodb.query().table_name(table).consistent_read(true);
        let query = query.key_condition_expression("#key = :value").expression_attribute_names("#key", key);
        query.expression_attribute_values(":value", value).send().await.unwrap().items.unwrap()
    }
}

/// The partition key of a sealed secret.
fn sealed_pk(tenant: &Tenant, lane: &str) -> AttributeValue {
    AttributeValue::S(format!("{lane}#{}", tenant.access_key_id))
}

/// The URL of the queue with this logical name.
pub(super) async fn queue(stack: &Stack, logical_name: &str) -> String {
    let queues = stack.sqs.list_queues().send().await.unwrap().queue_urls.unwrap();
    queues.into_iter().find(|url| url.contains(logical_name)).unwrap()
}

/// The field and problem for which a message was set aside in a dead-letter queue, once it is there.
pub(super) async fn set_aside(stack: &Stack, queue_url: &str, is: impl Fn(&str) -> bool) -> String {
    let message: Message = until("a message in the dead-letter queue", || async {
        // Invisible for no time at all, so that tests beside this one find theirs.
        let answer = stack.sqs.receive_message().queue_url(queue_url).visibility_timeout(0).max_number_of_messages(10);
        let messages = answer.message_attribute_names("All").send().await.unwrap().messages.unwrap_or_default();
        messages.into_iter().find(|message| message.body().is_some_and(&is))
    })
    .await;
    let attributes = message.message_attributes().unwrap();
    let attribute = |name: &str| attributes[name].string_value().unwrap();
    assert!(
        ["invalid_report", "unknown_provider", "partly_acted_on", "invalid_message"].contains(&attribute("reason"))
    );
    format!("{}: {}", attribute("field"), attribute("problem"))
}

/// An attribute that is a text.
pub(super) fn text(item: &Item, name: &str) -> String {
    item[name].as_s().unwrap().clone()
}
