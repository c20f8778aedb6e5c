//! DynamoDB: tables and their items.

mod table;
mod transactions;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_core::auth::ResourcePolicyProvider;
use fakecloud_dynamodb::{DynamoDbResourcePolicyProvider, DynamoDbService, SharedDynamoDbState};
use serde_json::{Value, json};
use tokio::sync::RwLock;

#[cfg(test)]
pub(crate) use self::table::Projection;
pub(crate) use self::table::TableResource;
use self::transactions::Transactions;

use super::call::Call;
use super::embedded::Embedded;
use super::error::{ErrorWording, FixedError, ServiceError};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::template::Stack;

/// How often items past their TTL are looked for. AWS says "within a few days":
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>.
const TTL_INTERVAL: Duration = Duration::from_secs(60);

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[table::RESOURCE_TYPE], start: DynamoDb::start };

/// DynamoDB of all accounts.
pub(crate) struct DynamoDb {
    embedded: Embedded,
    state: SharedDynamoDbState,
    transactions: Transactions,
    /// Held by a transaction alone, by others together.
    access: RwLock<()>,
    setup: Setup,
}

impl DynamoDb {
    fn start(setup: &Setup, _services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        let state: SharedDynamoDbState = setup.state();
        let embedded = Embedded::enforcing(DynamoDbService::new(state.clone()))?;
        let transactions = Transactions::new(setup, state.clone())?;
        Ok(Arc::new(Self { embedded, state, transactions, access: RwLock::new(()), setup: setup.clone() }))
    }
}

#[async_trait]
impl StandInService for DynamoDb {
    fn names(&self) -> &'static [&'static str] {
        &["dynamodb"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        for table in stack.all::<TableResource>() {
            self.create_table(table).await.with_context(|| format!("table {}", table.logical_id))?;
        }
        Ok(())
    }

    async fn run(self: Arc<Self>) {
        loop {
            tokio::time::sleep(TTL_INTERVAL).await;
            let _access = self.access.read().await;
            fakecloud_dynamodb::ttl::process_ttl_expirations(&self.state);
        }
    }

    /// The names of the tables, of which a batch or a transaction may have several.
    fn fault_targets(&self, call: &Call) -> Vec<String> {
        let json = &call.json;
        let in_batch = json["RequestItems"].as_object().into_iter().flat_map(|items| items.keys().map(String::as_str));
        let in_transaction = json["TransactItems"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_object)
            .flat_map(|item| item.values())
            .filter_map(|operation| operation["TableName"].as_str());
        let tables = json["TableName"].as_str().into_iter().chain(in_batch).chain(in_transaction);
        let names: BTreeSet<&str> = tables.map(|table| table.rsplit('/').next().unwrap_or(table)).collect();
        names.into_iter().map(str::to_owned).collect()
    }

    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Programming.Errors.html>
    fn error_wording(&self) -> ErrorWording {
        ErrorWording {
            throttled: FixedError::new(
                StatusCode::BAD_REQUEST,
                "ThrottlingException",
                "The rate of requests exceeds the allowed throughput.",
            ),
            internal: FixedError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                "The server encountered an internal error trying to fulfill the request.",
            ),
            ..ErrorWording::DEFAULT
        }
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        self.embedded.required_permissions(request)
    }

    fn resource_policies(&self) -> Option<Arc<dyn ResourcePolicyProvider>> {
        Some(DynamoDbResourcePolicyProvider::shared(self.state.clone()))
    }

    fn unprocessed(&self, call: &Call) -> Option<ServiceResponse> {
        let items = &call.json["RequestItems"];
        match call.operation.as_str() {
            "BatchGetItem" => Some(ServiceResponse::json(call, &json!({"Responses": {}, "UnprocessedKeys": items}))),
            "BatchWriteItem" => Some(ServiceResponse::json(call, &json!({"UnprocessedItems": items}))),
            _ => None,
        }
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        if request.call.operation == "TransactWriteItems" {
            let _access = self.access.write().await;
            if let Some(response) = self.transactions.run(request).await {
                return Ok(response);
            }
            return Ok(self.embedded.handle(request).await);
        }
        let _access = self.access.read().await;
        Ok(self.embedded.handle(request).await)
    }
}

#[cfg(test)]
mod tests;
