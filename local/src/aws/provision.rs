//! The stack's resources in the stand-in.

use anyhow::{Context as _, bail};
use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderValue, Method};
use chrono::Utc;
use fakecloud_core::protocol::AwsProtocol;
use fakecloud_iam::IamRole;
use fakecloud_kms::provisioner::{self, KeyCreationInput};
use serde_json::{Value, json};

use super::call::Call;
use super::caller::Caller;
use super::engine::Engine;
use super::random;
use crate::template::stack::{Projection, Role, Rule, Stack, Table, TableKey};

impl Engine {
    /// Creates everything the stack has.
    ///
    /// # Errors
    /// A resource that a service refuses, by its name and the service's code.
    pub(crate) async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        for role in &stack.roles {
            self.create_role(role);
        }
        for key in &stack.keys {
            self.create_key(key).with_context(|| format!("KMS key {}", key.logical_id))?;
        }
        for table in &stack.tables {
            self.create_table(table).await.with_context(|| format!("table {}", table.logical_id))?;
        }
        // A dead-letter queue has to be there before the queue that names it.
        let (plain, redriving): (Vec<_>, Vec<_>) = stack.queues.iter().partition(|queue| queue.redrive.is_none());
        for queue in plain.into_iter().chain(redriving) {
            let body = json!({"QueueName": queue.name, "Attributes": queue.attributes()});
            let created = self.ask("sqs", "CreateQueue", body).await;
            let url = created.with_context(|| format!("queue {}", queue.logical_id))?;
            anyhow::ensure!(
                url["QueueUrl"].as_str().is_some_and(|url| url.ends_with(&format!("/{}", queue.name))),
                "queue {} was created under another name",
                queue.logical_id
            );
        }
        for bus in &stack.buses {
            let created = self.ask("events", "CreateEventBus", json!({"Name": bus.name})).await;
            created.with_context(|| format!("bus {}", bus.logical_id))?;
        }
        for rule in &stack.rules {
            self.create_rule(rule).await.with_context(|| format!("rule {}", rule.logical_id))?;
        }
        Ok(())
    }

    fn create_role(&self, role: &Role) {
        let mut accounts = self.iam.write();
        let state = accounts.get_or_create(&self.account_id);
        state.roles.insert(
            role.name.clone(),
            IamRole {
                role_name: role.name.clone(),
                role_id: random_role_id(),
                arn: role.arn.clone(),
                path: role.path.clone(),
                assume_role_policy_document: role.assume_role_policy.to_string(),
                created_at: Utc::now(),
                description: None,
                max_session_duration: 3600,
                tags: Vec::new(),
                permissions_boundary: None,
            },
        );
        let inline = role.policies.iter().map(|(name, document)| (name.clone(), document.to_string()));
        state.role_inline_policies.insert(role.name.clone(), inline.collect());
        state.role_policies.insert(role.name.clone(), role.managed_policy_arns.clone());
    }

    fn create_key(&self, key: &crate::template::stack::Key) -> anyhow::Result<()> {
        let input = KeyCreationInput {
            description: key.description.clone(),
            policy: Some(key.policy.to_string()),
            ..KeyCreationInput::default()
        };
        let mut made =
            provisioner::build_kms_key(&self.region, &self.account_id, &input).map_err(anyhow::Error::msg)?;
        made.key_id.clone_from(&key.id);
        made.arn.clone_from(&key.arn);
        let mut accounts = self.kms.write();
        let state = accounts.get_or_create(&self.account_id);
        state.keys.insert(key.id.clone(), made);
        for alias in &key.aliases {
            let made = fakecloud_kms::KmsAlias {
                alias_name: alias.clone(),
                alias_arn: fakecloud_kms::kms_alias_arn(&self.region, &self.account_id, alias),
                target_key_id: key.id.clone(),
                creation_date: Utc::now().timestamp() as f64,
            };
            state.insert_alias(&self.region, made);
        }
        Ok(())
    }

    async fn create_table(&self, table: &Table) -> anyhow::Result<()> {
        let attributes: Vec<Value> = table
            .attributes
            .iter()
            .map(|(name, kind)| json!({"AttributeName": name, "AttributeType": kind.as_str()}))
            .collect();
        let mut body = json!({
            "TableName": table.name,
            "AttributeDefinitions": attributes,
            "KeySchema": key_schema(&table.key),
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": table.deletion_protection,
        });
        if !table.indexes.is_empty() {
            let indexes: Vec<Value> = table
                .indexes
                .iter()
                .map(|index| {
                    let projection = match &index.projection {
                        Projection::All => json!({"ProjectionType": "ALL"}),
                        Projection::KeysOnly => json!({"ProjectionType": "KEYS_ONLY"}),
                        Projection::Include(names) => {
                            json!({"ProjectionType": "INCLUDE", "NonKeyAttributes": names})
                        }
                    };
                    json!({
                        "IndexName": index.name,
                        "KeySchema": key_schema(&index.key),
                        "Projection": projection,
                    })
                })
                .collect();
            body["GlobalSecondaryIndexes"] = Value::Array(indexes);
        }
        self.ask("dynamodb", "CreateTable", body).await?;
        if let Some(attribute) = &table.ttl_attribute {
            let specification = json!({"AttributeName": attribute, "Enabled": true});
            let body = json!({"TableName": table.name, "TimeToLiveSpecification": specification});
            self.ask("dynamodb", "UpdateTimeToLive", body).await?;
        }
        if table.point_in_time_recovery {
            let specification = json!({"PointInTimeRecoveryEnabled": true});
            let body = json!({"TableName": table.name, "PointInTimeRecoverySpecification": specification});
            self.ask("dynamodb", "UpdateContinuousBackups", body).await?;
        }
        Ok(())
    }

    async fn create_rule(&self, rule: &Rule) -> anyhow::Result<()> {
        let body = json!({
            "Name": rule.name,
            "EventBusName": rule.bus,
            "EventPattern": rule.pattern.to_string(),
            "State": if rule.enabled { "ENABLED" } else { "DISABLED" },
        });
        self.ask("events", "PutRule", body).await?;
        let targets: Vec<Value> = rule
            .targets
            .iter()
            .map(|target| {
                let mut made = json!({"Id": target.id, "Arn": target.arn});
                if let Some(arn) = &target.dead_letter_arn {
                    made["DeadLetterConfig"] = json!({"Arn": arn});
                }
                made
            })
            .collect();
        let body = json!({"Rule": rule.name, "EventBusName": rule.bus, "Targets": targets});
        self.ask("events", "PutTargets", body).await?;
        Ok(())
    }

    /// Asks a JSON service as the operator's root, without the way over the wire.
    async fn ask(&self, service: &str, operation: &str, body: Value) -> anyhow::Result<Value> {
        let handler = self.service(service).with_context(|| format!("no service {service}"))?;
        let mut headers = HeaderMap::new();
        headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
        let call = Call {
            request_id: random::uuid(),
            service: service.to_owned(),
            operation: operation.to_owned(),
            protocol: AwsProtocol::Json,
            method: Method::POST,
            path: "/".to_owned(),
            segments: Vec::new(),
            query: String::new(),
            parameters: Default::default(),
            headers,
            body: Bytes::from(body.to_string()),
            json: body,
            signature: None,
        };
        let caller = Caller::root("test", &self.account_id);
        let request = call.to_request(&caller, &self.account_id, &self.region);
        let response = match handler.handle(request).await {
            Ok(response) => response,
            Err(error) => bail!("{operation}: {}: {}", error.code(), error.message()),
        };
        let status = response.status;
        let body: Value = serde_json::from_slice(response.body.expect_bytes()).unwrap_or(Value::Null);
        anyhow::ensure!(status.is_success(), "{operation}: {status}: {body}");
        Ok(body)
    }
}

fn key_schema(key: &TableKey) -> Value {
    let mut schema = vec![json!({"AttributeName": key.hash, "KeyType": "HASH"})];
    if let Some(range) = &key.range {
        schema.push(json!({"AttributeName": range, "KeyType": "RANGE"}));
    }
    Value::Array(schema)
}

fn random_role_id() -> String {
    format!("AROA{}", random::text::<17>(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"))
}
