//! AWS::IAM::Role.

use super::Resource;
use crate::template::TemplateError;
use crate::template::intrinsic::Scope;
use crate::template::stack::Role;

/// A role.
pub(super) fn role(resource: &Resource<'_>, scope: &Scope<'_>) -> Result<Role, TemplateError> {
    let fields = resource.fields()?;
    fields.string("RoleName")?;
    let path = fields.string("Path")?.unwrap_or_else(|| "/".to_owned());
    let Some(assume_role_policy) = fields.document("AssumeRolePolicyDocument")? else {
        return Err(fields.error("AssumeRolePolicyDocument is missing"));
    };
    let mut policies = Vec::new();
    for policy in fields.maps("Policies")? {
        let name = policy.required("PolicyName")?;
        let Some(document) = policy.document("PolicyDocument")? else {
            return Err(policy.error("PolicyDocument is missing"));
        };
        policy.finish()?;
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
