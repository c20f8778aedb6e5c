//! The permissions that a request needs: IAM's actions on IAM's resources.
//!
//! Which they are is known by each service, after the service authorization reference:
//! <https://docs.aws.amazon.com/service-authorization/latest/reference/>.

use std::collections::{BTreeMap, HashMap};

use chrono::Utc;
use fakecloud_core::auth::{ConditionContext, Principal, PrincipalType};
use fakecloud_iam::evaluator::{self, EvalRequest, PolicyDocument};

/// One action on one resource, with the condition keys that the request carries for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RequiredPermission {
    /// `service:Action`.
    pub(crate) action: String,
    /// An ARN, or `*` where the action has no resource type.
    pub(crate) resource: String,
    /// Condition keys of the service, lower case, and their values.
    pub(crate) condition_keys: BTreeMap<String, Vec<String>>,
    /// `aws:ResourceTag/…`.
    pub(crate) resource_tags: Option<HashMap<String, String>>,
    /// `aws:RequestTag/…`.
    pub(crate) request_tags: Option<HashMap<String, String>>,
}

impl RequiredPermission {
    /// An action on a resource without condition keys.
    pub(crate) fn new(action: impl Into<String>, resource: impl Into<String>) -> Self {
        Self { action: action.into(), resource: resource.into(), ..Self::default() }
    }
}

/// The condition keys that every request has.
pub(crate) fn base_context(region: &str) -> ConditionContext {
    let now = Utc::now();
    ConditionContext {
        aws_current_time: Some(now),
        aws_epoch_time: Some(now.timestamp()),
        // Plain HTTP on the loopback interface stands for AWS's TLS.
        aws_secure_transport: Some(true),
        aws_requested_region: Some(region.to_owned()),
        ..ConditionContext::default()
    }
}

/// Whether a resource's policy lets a service (`events.amazonaws.com`) use the resource. No other policy has a say in it.
/// `source_arn` is what the service acts for.
pub(crate) fn allows_service(
    policy: &str,
    service: &str,
    permission: RequiredPermission,
    source_arn: &str,
    region: &str,
) -> bool {
    let principal = Principal {
        arn: service.to_owned(),
        user_id: service.to_owned(),
        account_id: String::new(),
        principal_type: PrincipalType::Service,
        source_identity: None,
        tags: None,
    };
    let mut context = base_context(region);
    for (key, value) in [
        ("aws:SourceArn", source_arn),
        ("aws:SourceAccount", account_of(source_arn).unwrap_or_default()),
        ("aws:PrincipalServiceName", service),
        ("aws:PrincipalIsAWSService", "true"),
    ] {
        context.service_keys.insert(key.to_owned(), vec![value.to_owned()]);
    }
    let RequiredPermission { action, resource, .. } = permission;
    let request = EvalRequest { principal: &principal, action, resource, context };
    evaluator::evaluate_resource_policy_only(&PolicyDocument::parse(policy), &request).is_allow()
}

/// The account in an ARN; `None` where it has none.
pub(crate) fn account_of(arn: &str) -> Option<&str> {
    let account = arn.strip_prefix("arn:")?.split(':').nth(3)?;
    (!account.is_empty()).then_some(account)
}
