//! AWS::DynamoDB::Table.

use serde_json::{Value, json};

use super::DynamoDb;
use crate::template::{DeclaredResource, Fields, PhysicalName, ResourceType, Stack, TemplateError, left_out};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[("Arn", |id| Ok(id.arn("dynamodb", &format!("table/{}", id.name))))],
    left_out: &[
        left_out("BillingMode", "nothing is billed"),
        left_out("SSESpecification", "data lives in memory"),
        left_out("Tags", "nothing reads them"),
    ],
    ..ResourceType::new("AWS::DynamoDB::Table", PhysicalName::Property("TableName"), read)
};

/// A DynamoDB table.
#[derive(Clone, Debug)]
pub(crate) struct TableResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The table's name.
    pub(crate) name: String,
    /// The attributes that keys are made of, in template order.
    pub(crate) attributes: Vec<(String, AttributeType)>,
    /// The primary key.
    pub(crate) key: TableKey,
    /// Global secondary indexes.
    pub(crate) indexes: Vec<TableIndex>,
    /// The attribute that holds an item's expiry, where TTL is enabled.
    pub(crate) ttl_attribute: Option<String>,
    /// Whether deleted items can be restored (PITR).
    pub(crate) point_in_time_recovery: bool,
    /// Whether DeleteTable is refused.
    pub(crate) deletion_protection: bool,
}

/// The type of a key attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AttributeType {
    /// A string.
    S,
    /// A number.
    N,
    /// Bytes.
    B,
}

impl AttributeType {
    /// The letter DynamoDB's API uses.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::S => "S",
            Self::N => "N",
            Self::B => "B",
        }
    }
}

/// A table's or an index's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TableKey {
    /// The partition key's attribute.
    pub(crate) hash: String,
    /// The sort key's attribute.
    pub(crate) range: Option<String>,
}

/// A global secondary index.
#[derive(Clone, Debug)]
pub(crate) struct TableIndex {
    /// The index's name.
    pub(crate) name: String,
    /// Its key.
    pub(crate) key: TableKey,
    /// Which attributes it holds.
    pub(crate) projection: Projection,
}

/// The attributes an index holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Projection {
    /// All of the item's.
    All,
    /// The keys alone.
    KeysOnly,
    /// The keys and the named ones.
    Include(Vec<String>),
}

impl DynamoDb {
    /// Creates a table in the operator's account.
    pub(super) async fn create_table(&self, table: &TableResource) -> anyhow::Result<()> {
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
        self.embedded.ask(&self.setup, "CreateTable", body).await?;
        if let Some(attribute) = &table.ttl_attribute {
            let specification = json!({"AttributeName": attribute, "Enabled": true});
            let body = json!({"TableName": table.name, "TimeToLiveSpecification": specification});
            self.embedded.ask(&self.setup, "UpdateTimeToLive", body).await?;
        }
        if table.point_in_time_recovery {
            let specification = json!({"PointInTimeRecoveryEnabled": true});
            let body = json!({"TableName": table.name, "PointInTimeRecoverySpecification": specification});
            self.embedded.ask(&self.setup, "UpdateContinuousBackups", body).await?;
        }
        Ok(())
    }
}

fn key_schema(key: &TableKey) -> Value {
    let mut schema = vec![json!({"AttributeName": key.hash, "KeyType": "HASH"})];
    if let Some(range) = &key.range {
        schema.push(json!({"AttributeName": range, "KeyType": "RANGE"}));
    }
    Value::Array(schema)
}

fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    fields.string("TableName")?;
    let mut attributes = Vec::new();
    for attribute in fields.maps("AttributeDefinitions")? {
        let kind = match attribute.required("AttributeType")?.as_str() {
            "S" => AttributeType::S,
            "N" => AttributeType::N,
            "B" => AttributeType::B,
            other => return Err(attribute.error(format!("there is no attribute type {other}"))),
        };
        attributes.push((attribute.required("AttributeName")?, kind));
        attribute.finish()?;
    }
    let key = key(&fields)?;
    let indexes = fields.maps("GlobalSecondaryIndexes")?.into_iter().map(index).collect::<Result<Vec<_>, _>>()?;
    let mut ttl_attribute = None;
    if let Some(ttl) = fields.map("TimeToLiveSpecification")? {
        let attribute = ttl.string("AttributeName")?;
        if ttl.flag("Enabled")?.unwrap_or(false) {
            ttl_attribute = attribute;
        }
        ttl.finish()?;
    }
    let mut point_in_time_recovery = false;
    if let Some(recovery) = fields.map("PointInTimeRecoverySpecification")? {
        point_in_time_recovery = recovery.flag("PointInTimeRecoveryEnabled")?.unwrap_or(false);
        recovery.finish()?;
    }
    let deletion_protection = fields.flag("DeletionProtectionEnabled")?.unwrap_or(false);
    // DynamoDB refuses a table whose attributes are not exactly those of its keys.
    let keys = || indexes.iter().map(|index| &index.key).chain([&key]);
    let uses = |name: &str| keys().any(|key| key.hash == name || key.range.as_deref() == Some(name));
    if let Some((name, _)) = attributes.iter().find(|(name, _)| !uses(name)) {
        return Err(fields.error(format!("no key uses the attribute {name}")));
    }
    for name in keys().flat_map(|key| [Some(&key.hash), key.range.as_ref()]).flatten() {
        if !attributes.iter().any(|(attribute, _)| attribute == name) {
            return Err(fields.error(format!("AttributeDefinitions lacks {name}")));
        }
    }
    fields.finish()?;
    stack.add(TableResource {
        logical_id: resource.logical_id.to_owned(),
        name: resource.reference()?,
        attributes,
        key,
        indexes,
        ttl_attribute,
        point_in_time_recovery,
        deletion_protection,
    });
    Ok(())
}

fn key(fields: &Fields<'_>) -> Result<TableKey, TemplateError> {
    let (mut hash, mut range) = (None, None);
    for element in fields.maps("KeySchema")? {
        let name = element.required("AttributeName")?;
        match element.required("KeyType")?.as_str() {
            "HASH" => hash = Some(name),
            "RANGE" => range = Some(name),
            other => return Err(element.error(format!("there is no key type {other}"))),
        }
        element.finish()?;
    }
    let hash = hash.ok_or_else(|| fields.error("KeySchema has no HASH key"))?;
    Ok(TableKey { hash, range })
}

fn index(fields: Fields<'_>) -> Result<TableIndex, TemplateError> {
    let name = fields.required("IndexName")?;
    let key = key(&fields)?;
    let Some(projection) = fields.map("Projection")? else {
        return Err(fields.error("Projection is missing"));
    };
    let others = projection.strings("NonKeyAttributes")?;
    let kind = match projection.required("ProjectionType")?.as_str() {
        "ALL" => Projection::All,
        "KEYS_ONLY" => Projection::KeysOnly,
        "INCLUDE" => Projection::Include(others),
        other => return Err(projection.error(format!("there is no projection type {other}"))),
    };
    projection.finish()?;
    fields.finish()?;
    Ok(TableIndex { name, key, projection: kind })
}
