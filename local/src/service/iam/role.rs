//! AWS::IAM::Role.

use chrono::Utc;
use fakecloud_iam::IamRole;
use policy::{AuthorizationRequest, Decision, PolicyDocument, RequestContext, evaluate};
use serde_json::Value;

use super::Iam;
use crate::random;
use crate::template::{
    DeclaredResource, PhysicalName, ResourceType, Stack, TemplateError, check_identity, check_trust, left_out,
    parse_policy,
};

pub(super) const RESOURCE_TYPE: ResourceType = ResourceType {
    attributes: &[("Arn", |id| {
        let path = id.property("Path")?.unwrap_or_else(|| "/".to_owned());
        Ok(format!("arn:aws:iam::{}:role{path}{}", id.template.settings().account_id, id.name))
    })],
    left_out: &[
        left_out("Description", "for people"),
        left_out("MaxSessionDuration", "sessions are only issued to functions"),
        left_out("Tags", "nothing reads them"),
    ],
    ..ResourceType::new("AWS::IAM::Role", PhysicalName::Property("RoleName"), read)
};

/// An IAM role.
#[derive(Debug)]
pub(crate) struct RoleResource {
    /// The role's name: given, or `{stack}-{LogicalId}-{suffix}` as CloudFormation makes it.
    pub(crate) name: String,
    /// The role's ARN.
    pub(crate) arn: String,
    /// Inline policies: name and document.
    pub(crate) policies: Vec<(String, Value)>,
    /// ARNs of managed policies attached to it.
    pub(crate) managed_policy_arns: Vec<String>,
    path: String,
    assume_role_policy: Value,
}

impl RoleResource {
    /// The stack's role with this ARN.
    pub(crate) fn find<'a>(stack: &'a Stack, arn: &str) -> Option<&'a Self> {
        stack.all::<Self>().find(|role| role.arn == arn)
    }

    /// Whether Lambda may assume the role.
    pub(crate) fn trusts_lambda(&self) -> bool {
        let has = |value: &Value, text: &str| match value {
            Value::Array(values) => values.iter().any(|value| value == text),
            value => value == text,
        };
        let statements = match &self.assume_role_policy["Statement"] {
            Value::Array(statements) => statements.as_slice(),
            statement => std::slice::from_ref(statement),
        };
        statements.iter().any(|statement| {
            statement["Effect"] == "Allow"
                && has(&statement["Action"], "sts:AssumeRole")
                && has(&statement["Principal"]["Service"], "lambda.amazonaws.com")
        })
    }

    /// Whether the role's own policies allow an action whatever the request says beside it. What AWS's managed policies allow
    /// is not known here: a role that has some is taken to be allowed.
    pub(crate) fn allows(&self, action: &str, resource: &str) -> bool {
        let documents: Result<Vec<PolicyDocument>, String> =
            self.policies.iter().map(|(_, document)| parse_policy(document)).collect();
        let request = AuthorizationRequest { action, resource, context: &RequestContext::partial() };
        !self.managed_policy_arns.is_empty()
            || documents.is_ok_and(|documents| evaluate(&documents, &request).decision == Decision::Allowed)
    }
}

fn read(resource: &DeclaredResource<'_>, stack: &mut Stack) -> Result<(), TemplateError> {
    let fields = resource.fields()?;
    fields.string("RoleName")?;
    let path = fields.string("Path")?.unwrap_or_else(|| "/".to_owned());
    let Some(assume_role_policy) = fields.policy("AssumeRolePolicyDocument", check_trust)? else {
        return Err(fields.error("AssumeRolePolicyDocument is missing"));
    };
    let mut policies = Vec::new();
    for inline in fields.maps("Policies")? {
        let name = inline.required("PolicyName")?;
        let Some(document) = inline.policy("PolicyDocument", check_identity)? else {
            return Err(inline.error("PolicyDocument is missing"));
        };
        inline.finish()?;
        policies.push((name, document));
    }
    let managed_policy_arns = fields.strings("ManagedPolicyArns")?;
    fields.finish()?;
    stack.add(RoleResource {
        name: resource.reference()?,
        arn: resource.attribute("Arn")?,
        policies,
        managed_policy_arns,
        path,
        assume_role_policy,
    });
    Ok(())
}

impl Iam {
    /// Creates a role in the operator's account.
    pub(super) fn create_role(&self, role: &RoleResource) {
        let mut accounts = self.state.write();
        let state = accounts.get_or_create(&self.setup.account_id);
        state.roles.insert(
            role.name.clone(),
            IamRole {
                role_name: role.name.clone(),
                role_id: format!("AROA{}", random::text::<17>(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")),
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
}
