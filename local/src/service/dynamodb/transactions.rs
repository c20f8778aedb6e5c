//! TransactWriteItems at the cost of the items that it names.
//!
//! The embedded service copies every table that a transaction writes to, in case it has to be undone, so that one costs as
//! much as its tables are large. Here the embedded service runs it on tables that hold the named items and nothing else, and
//! what became of these items is written back. What is checked, and the words of a refusal, are the embedded service's.

use std::collections::HashMap;

use fakecloud_dynamodb::{DynamoDbService, DynamoTable, SharedDynamoDbState};
use serde_json::Value;

use crate::service::embedded::Embedded;
use crate::service::interface::Setup;
use crate::service::request::ServiceRequest;
use crate::service::response::ServiceResponse;

/// An item, or the key of one, in DynamoDB's JSON.
type Attributes = HashMap<String, Value>;

/// Runs transactions.
pub(super) struct Transactions {
    /// All tables, whole.
    tables: SharedDynamoDbState,
    /// The tables of the transaction that runs, with the items that it names.
    excerpts: SharedDynamoDbState,
    /// The service that sees the excerpts only. It remembers the idempotency tokens.
    embedded: Embedded,
}

impl Transactions {
    /// Transactions on these tables.
    pub(super) fn new(setup: &Setup, tables: SharedDynamoDbState) -> anyhow::Result<Self> {
        let excerpts: SharedDynamoDbState = setup.state();
        let embedded = Embedded::enforcing(DynamoDbService::new(excerpts.clone()))?;
        Ok(Self { tables, excerpts, embedded })
    }

    /// Runs a transaction. The caller lets no other request to the tables in until this is done.
    ///
    /// `None`, and nothing done, where it names a table that is not there by this name, as one by its ARN.
    pub(super) async fn run(&self, request: &ServiceRequest<'_>) -> Option<ServiceResponse> {
        let named = named_items(&request.call.json);
        self.take_excerpts(request, &named)?;
        let response = self.embedded.handle(request).await;
        let excerpts =
            std::mem::take(&mut self.excerpts.write().regional_mut(request.account_id, request.region).tables);
        let mut tables = self.tables.write();
        let tables = &mut tables.regional_mut(request.account_id, request.region).tables;
        for (name, key) in &named {
            if let (Some(excerpt), Some(table)) = (excerpts.get(*name), tables.get_mut(*name)) {
                write_back(excerpt, table, key);
            }
        }
        Some(response)
    }

    /// How many items of each table a transaction sees.
    #[cfg(test)]
    pub(super) fn seen(&self, request: &ServiceRequest<'_>) -> Option<Vec<(String, usize)>> {
        self.take_excerpts(request, &named_items(&request.call.json))?;
        let excerpts = self.excerpts.read();
        let tables = &excerpts.regional(request.account_id, request.region)?.tables;
        Some(tables.iter().map(|(name, table)| (name.clone(), table.items().len())).collect())
    }

    /// Copies the named items.
    fn take_excerpts(&self, request: &ServiceRequest<'_>, named: &[(&str, Attributes)]) -> Option<()> {
        let tables = self.tables.read();
        let tables = &tables.regional(request.account_id, request.region)?.tables;
        let mut excerpts = HashMap::new();
        for (name, key) in named {
            let table = tables.get(*name)?;
            let excerpt = excerpts.entry(*name).or_insert_with(|| without_items(table));
            if let Some(item) = find(table, key) {
                excerpt.put_item_at_key(item.clone());
            }
        }
        let mut state = self.excerpts.write();
        let state = state.regional_mut(request.account_id, request.region);
        state.tables = excerpts.into_iter().map(|(name, table)| (name.to_owned(), table)).collect();
        Some(())
    }
}

/// The tables' names and the keys of all operations. The key of a Put is in its item.
fn named_items(transaction: &Value) -> Vec<(&str, Attributes)> {
    let operations =
        transaction["TransactItems"].as_array().into_iter().flatten().filter_map(Value::as_object).flatten();
    operations
        .map(|(kind, operation)| {
            let key = &operation[if kind == "Put" { "Item" } else { "Key" }];
            let key = key.as_object().into_iter().flatten().map(|(name, value)| (name.clone(), value.clone()));
            (operation["TableName"].as_str().unwrap_or_default(), key.collect())
        })
        .collect()
}

/// An empty table with the key and the indexes of this one, which is what a transaction is checked against.
fn without_items(table: &DynamoTable) -> DynamoTable {
    let mut empty = DynamoTable::new(
        table.name.clone(),
        table.arn.clone(),
        table.table_id.clone(),
        table.key_schema.clone(),
        table.attribute_definitions.clone(),
        table.provisioned_throughput.clone(),
        table.billing_mode.clone(),
        table.created_at,
    );
    empty.gsi.clone_from(&table.gsi);
    empty.lsi.clone_from(&table.lsi);
    empty
}

/// The item with this key.
fn find<'a>(table: &'a DynamoTable, key: &Attributes) -> Option<&'a Attributes> {
    table.find_item_index(key).and_then(|id| table.items().get(id))
}

/// Makes the item with this key what it is in the excerpt.
fn write_back(excerpt: &DynamoTable, table: &mut DynamoTable, key: &Attributes) {
    match find(excerpt, key) {
        Some(item) if find(table, key) != Some(item) => {
            table.put_item_at_key(item.clone());
        }
        Some(_) => {}
        None => {
            table.remove_item_by_key(key);
        }
    }
}
