//! AWS::S3::Bucket and AWS::S3::BucketPolicy.

use serde_json::Value;

use crate::template::{
    DeclaredResource, PhysicalId, PhysicalName, ResourceType, Stack, TemplateError, check_resource, left_out,
};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[("Arn", arn), ("DomainName", |id| Ok(format!("{}.s3.amazonaws.com", id.name)))],
    left_out: &[
        left_out("BucketEncryption", "objects live in memory"),
        left_out("OwnershipControls", "the stand-in has no access control lists"),
        left_out("LifecycleConfiguration.Rules.AbortIncompleteMultipartUpload", "it has no uploads in parts"),
        left_out("Tags", "nothing reads them"),
    ],
    ..ResourceType::new(
        "AWS::S3::Bucket",
        PhysicalName::Assigned(|settings, logical_id| settings.generated_name(logical_id).to_ascii_lowercase()),
        read_bucket,
    )
};

pub(super) const POLICY_TYPE: ResourceType = ResourceType {
    is_dependent: true,
    ..ResourceType::new("AWS::S3::BucketPolicy", PhysicalName::Unnamed, read_policy)
};

/// A bucket that nobody can make public, without versions.
#[derive(Debug)]
pub(crate) struct BucketResource {
    /// Its name in the template.
    pub(crate) logical_id: String,
    /// The bucket's name.
    pub(crate) name: String,
    /// After how many days an object goes.
    pub(crate) expiration_days: Option<u32>,
    /// The bucket's policy, of `AWS::S3::BucketPolicy`.
    pub(crate) policy: Option<Value>,
}

fn arn(id: &PhysicalId<'_>) -> Result<String, TemplateError> {
    Ok(format!("arn:aws:s3:::{}", id.name))
}

fn read_bucket(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let mut expiration_days = None;
    if let Some(lifecycle) = fields.map("LifecycleConfiguration")? {
        for rule in lifecycle.maps("Rules")? {
            if rule.required("Status")? != "Enabled" {
                return Err(rule.error("a rule that is not Enabled does nothing"));
            }
            rule.string("Id")?;
            expiration_days = rule.number("ExpirationInDays")?.or(expiration_days);
            rule.finish()?;
        }
        lifecycle.finish()?;
    }
    let Some(access) = fields.map("PublicAccessBlockConfiguration")? else {
        return Err(fields.error("PublicAccessBlockConfiguration is missing: the stand-in has no public buckets"));
    };
    for name in ["BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"] {
        if access.flag(name)? != Some(true) {
            return Err(access.error(format!("{name} has to be true: the stand-in has no public buckets")));
        }
    }
    access.finish()?;
    fields.finish()?;
    stack.add(BucketResource {
        logical_id: resource.logical_id.to_owned(),
        name: resource.reference()?,
        expiration_days,
        policy: None,
    });
    Ok(())
}

/// Gives a bucket its policy, of which it has one.
fn read_policy(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    let document =
        fields.policy("PolicyDocument", check_resource)?.ok_or_else(|| fields.error("PolicyDocument is missing"))?;
    let name = fields.required("Bucket")?;
    let Some(bucket) = stack.all_mut::<BucketResource>().find(|bucket| bucket.name == name) else {
        return Err(fields.error(format!("there is no bucket {name}")));
    };
    if bucket.policy.replace(document).is_some() {
        return Err(fields.error(format!("{} has a policy already", bucket.logical_id)));
    }
    fields.finish()
}
