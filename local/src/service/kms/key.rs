//! AWS::KMS::Key.

use fakecloud_kms::provisioner::{self, KeyCreationInput};
use serde_json::Value;

use super::Kms;
use crate::template::{DeclaredResource, PhysicalName, ResourceType, Stack, TemplateError, check_resource, left_out};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[("Arn", |id| Ok(id.arn("kms", &format!("key/{}", id.name)))), ("KeyId", |id| Ok(id.name.clone()))],
    left_out: &[
        left_out("EnableKeyRotation", "the stand-in's keys end with the process"),
        left_out("PendingWindowInDays", "the stand-in's keys end with the process"),
        left_out("Tags", "nothing reads them"),
    ],
    ..ResourceType::new(
        "AWS::KMS::Key",
        PhysicalName::Assigned(|settings, logical_id| settings.derived_uuid(logical_id)),
        read,
    )
};

/// A symmetric KMS key.
#[derive(Debug)]
pub(crate) struct KmsKeyResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The key id, a UUID that is the same at every start.
    pub(crate) id: String,
    /// The key's ARN.
    pub(crate) arn: String,
    /// The key policy.
    pub(crate) policy: Value,
    description: String,
}

fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let description = fields.string("Description")?.unwrap_or_default();
    let policy = fields.policy("KeyPolicy", check_resource)?.ok_or_else(|| fields.error("KeyPolicy is missing"))?;
    fields.finish()?;
    stack.add(KmsKeyResource {
        logical_id: resource.logical_id.to_owned(),
        id: resource.reference()?,
        arn: resource.attribute("Arn")?,
        policy,
        description,
    });
    Ok(())
}

impl Kms {
    /// Creates a key in the operator's account.
    pub(super) fn create_key(&self, key: &KmsKeyResource) -> anyhow::Result<()> {
        let (region, account_id) = (&self.setup.region, &self.setup.account_id);
        let input = KeyCreationInput {
            description: key.description.clone(),
            policy: Some(key.policy.to_string()),
            ..KeyCreationInput::default()
        };
        let mut made = provisioner::build_kms_key(region, account_id, &input).map_err(anyhow::Error::msg)?;
        made.key_id.clone_from(&key.id);
        made.arn.clone_from(&key.arn);
        self.state.write().get_or_create(account_id).keys.insert(key.id.clone(), made);
        Ok(())
    }
}
