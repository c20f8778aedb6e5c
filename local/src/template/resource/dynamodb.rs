//! AWS::DynamoDB::Table.

use super::Resource;
use crate::template::TemplateError;
use crate::template::fields::Fields;
use crate::template::intrinsic::Scope;
use crate::template::stack::{AttributeType, Index, Projection, Table, TableKey};

/// A table.
pub(super) fn table(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<Table, TemplateError> {
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
    Ok(Table {
        logical_id: resource.logical_id.to_owned(),
        name: resource.reference(scope)?,
        attributes,
        key,
        indexes,
        ttl_attribute,
        point_in_time_recovery,
        deletion_protection,
    })
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

fn index(fields: Fields<'_>) -> Result<Index, TemplateError> {
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
    Ok(Index { name, key, projection: kind })
}
