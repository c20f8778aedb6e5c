//! AWS::IAM::Role.

use super::Resource;
use crate::template::intrinsic::Scope;
use crate::template::stack::Role;
use crate::template::{TemplateError, policy};

/// A role.
pub(super) fn role(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<Role, TemplateError> {
    let fields = resource.fields()?;
    fields.string("RoleName")?;
    let path = fields.string("Path")?.unwrap_or_else(|| "/".to_owned());
    let Some(assume_role_policy) = fields.policy("AssumeRolePolicyDocument", policy::check_trust)? else {
        return Err(fields.error("AssumeRolePolicyDocument is missing"));
    };
    let mut policies = Vec::new();
    for inline in fields.maps("Policies")? {
        let name = inline.required("PolicyName")?;
        let Some(document) = inline.policy("PolicyDocument", policy::check_identity)? else {
            return Err(inline.error("PolicyDocument is missing"));
        };
        inline.finish()?;
        policies.push((name, document));
    }
    let managed_policy_arns = fields.strings("ManagedPolicyArns")?;
    fields.finish()?;
    Ok(Role {
        name: resource.reference(scope)?,
        path,
        arn: resource.attribute(scope, "Arn")?,
        assume_role_policy,
        policies,
        managed_policy_arns,
    })
}
