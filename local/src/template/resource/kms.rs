//! AWS::KMS::Key and AWS::KMS::Alias.

use super::Resource;
use crate::template::intrinsic::Scope;
use crate::template::stack::{Key, Stack};
use crate::template::{TemplateError, policy};

/// A symmetric key.
pub(super) fn key(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<Key, TemplateError> {
    let fields = resource.fields()?;
    let description = fields.string("Description")?.unwrap_or_default();
    let policy =
        fields.policy("KeyPolicy", policy::check_resource)?.ok_or_else(|| fields.error("KeyPolicy is missing"))?;
    fields.finish()?;
    Ok(Key {
        logical_id: resource.logical_id.to_owned(),
        id: resource.reference(scope)?,
        arn: resource.attribute(scope, "Arn")?,
        description,
        policy,
        aliases: Vec::new(),
    })
}

/// Gives a key its alias.
pub(super) fn apply_alias(resource: &Resource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let (alias, target) = (fields.required("AliasName")?, fields.required("TargetKeyId")?);
    if !alias.starts_with("alias/") {
        return Err(fields.error("AliasName starts with alias/"));
    }
    let Some(key) = stack.keys.iter_mut().find(|key| key.id == target || key.arn == target) else {
        return Err(fields.error(format!("there is no key {target}")));
    };
    key.aliases.push(alias);
    fields.finish()
}
