//! Whether policies allow a request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use fakecloud_core::auth::{ConditionContext, Principal, PrincipalType, ResourcePolicyProvider};
use fakecloud_iam::evaluator::{self, Decision, EvalRequest, PolicyDocument, evaluate_with_resource_policy_and_gates};

use crate::service::iam::Iam;
use crate::service::{AccessDenied, Caller, DenialReason, RequiredPermission, account_of, base_context};

/// Evaluates identity policies, session policies and resource policies together.
pub(super) struct Authority {
    iam: Arc<Iam>,
    resource_policies: Arc<dyn ResourcePolicyProvider>,
}

impl Authority {
    /// An authority over IAM's state and the policies of queues, keys, tables and buses.
    pub(super) fn new(iam: Arc<Iam>, resource_policies: Arc<dyn ResourcePolicyProvider>) -> Self {
        Self { iam, resource_policies }
    }

    /// Whether `caller` may do what a request needs; all of it has to be allowed. `source_ip` is `aws:SourceIp`.
    pub(super) fn check(
        &self,
        caller: &Caller,
        permissions: &[RequiredPermission],
        region: &str,
        source_ip: IpAddr,
    ) -> Result<(), AccessDenied> {
        for permission in permissions {
            self.check_one(caller, permission, region, source_ip).map_err(|reason| AccessDenied {
                principal: caller.arn().to_owned(),
                action: permission.action.clone(),
                resource: permission.resource.clone(),
                reason,
            })?;
        }
        Ok(())
    }

    fn check_one(
        &self,
        caller: &Caller,
        permission: &RequiredPermission,
        region: &str,
        source_ip: IpAddr,
    ) -> Result<(), DenialReason> {
        // "No permissions are required to perform this operation", not even against an explicit deny:
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
        if permission.action == "sts:GetCallerIdentity" {
            return Ok(());
        }
        // AWS's own managed policies (`arn:aws:iam::aws:policy/…`) are in each account.
        let resource_account = account_of(&permission.resource).filter(|account| *account != "aws");
        let service = permission.action.split(':').next().unwrap_or_default();
        // ARNs of buckets have none.
        let resource_account = resource_account
            .map(str::to_owned)
            .or_else(|| self.resource_policies.resource_owner_account(service, &permission.resource))
            .unwrap_or_else(|| caller.account_id().to_owned());
        let same_account = resource_account == caller.account_id();
        if caller.is_root() && same_account {
            return Ok(());
        }

        let policy_json = self.resource_policies.resource_policy(service, &permission.resource);
        let resource_policy = policy_json.as_deref().map(PolicyDocument::parse);
        let session: Vec<_> = caller.session_policies.iter().map(|json| PolicyDocument::parse(json)).collect();
        let session = (!session.is_empty()).then_some(session.as_slice());

        let accounts = self.iam.state().read();
        let state = accounts.get(caller.account_id());
        let identity = state.map(|state| evaluator::collect_identity_policies(state, &caller.principal));
        let identity = identity.unwrap_or_default();
        let boundary = state.and_then(|state| evaluator::collect_boundary_policies(state, &caller.principal));
        drop(accounts);

        let request = EvalRequest {
            principal: &caller.principal,
            action: permission.action.clone(),
            resource: permission.resource.clone(),
            context: self.caller_context(caller, permission, region, source_ip, &resource_account),
        };
        if caller.is_root() {
            let allowed = resource_policy
                .is_some_and(|policy| evaluator::evaluate_resource_policy_only(&policy, &request).is_allow());
            return if allowed { Ok(()) } else { Err(DenialReason::ImplicitResource) };
        }

        let by_identity = evaluator::evaluate(&identity, &request);
        let by_boundary = boundary.as_deref().map(|boundary| evaluator::evaluate(boundary, &request));
        // Each service control policy has to allow, whatever the resource's policy says.
        let control_policies = self.iam.control_policies(caller.account_id());
        let mut by_control =
            control_policies.iter().map(|json| evaluator::evaluate(&[PolicyDocument::parse(json)], &request));
        if by_control.any(|decision| decision != Decision::Allow) {
            return Err(DenialReason::ServiceControlPolicy);
        }
        // A user needs no permission to take a session, but a Deny still counts:
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
        if permission.action == "sts:GetSessionToken" && by_identity != Decision::ExplicitDeny {
            return Ok(());
        }
        let decide = |principal: &Principal| {
            evaluate_with_resource_policy_and_gates(
                &identity,
                boundary.as_deref(),
                session,
                resource_policy.as_ref(),
                &EvalRequest { principal, ..request.clone() },
                &resource_account,
            )
        };
        let mut decision = decide(&caller.principal);
        // A resource policy that names the role means the role's sessions.
        if decision == Decision::ImplicitDeny
            && let Some(role_arn) = &caller.role_arn
        {
            decision = decide(&Principal { arn: role_arn.clone(), ..caller.principal.clone() });
        }
        match decision {
            Decision::Allow => Ok(()),
            Decision::ExplicitDeny if by_identity == Decision::ExplicitDeny => Err(DenialReason::ExplicitIdentity),
            Decision::ExplicitDeny if by_boundary == Some(Decision::ExplicitDeny) => {
                Err(DenialReason::ExplicitBoundary)
            }
            Decision::ExplicitDeny => Err(DenialReason::ExplicitResource),
            Decision::ImplicitDeny if by_boundary == Some(Decision::ImplicitDeny) && by_identity == Decision::Allow => {
                Err(DenialReason::ImplicitBoundary)
            }
            Decision::ImplicitDeny if by_identity != Decision::Allow => Err(DenialReason::Implicit),
            Decision::ImplicitDeny if session.is_some() => Err(DenialReason::Session),
            Decision::ImplicitDeny => Err(DenialReason::ImplicitResource),
        }
    }

    /// Global condition keys:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
    fn caller_context(
        &self,
        caller: &Caller,
        permission: &RequiredPermission,
        region: &str,
        source_ip: IpAddr,
        resource_account: &str,
    ) -> ConditionContext {
        let principal = &caller.principal;
        let mut context = base_context(region);
        context.aws_username = caller.user_name().map(str::to_owned);
        context.aws_userid = Some(principal.user_id.clone());
        context.aws_principal_arn = Some(caller.role_arn.clone().unwrap_or_else(|| principal.arn.clone()));
        context.aws_principal_account = Some(principal.account_id.clone());
        context.aws_principal_type = Some(
            match principal.principal_type {
                PrincipalType::User => "User",
                PrincipalType::Root => "Account",
                PrincipalType::AssumedRole => "AssumedRole",
                PrincipalType::FederatedUser => "FederatedUser",
                PrincipalType::Service | PrincipalType::Unknown => "Anonymous",
            }
            .to_owned(),
        );
        context.aws_source_ip = Some(source_ip);
        context.aws_token_issue_time = caller.token_issued_at;
        // Long-term keys carry no MFA key at all, sessions a false one.
        context.aws_mfa_present = caller.token_issued_at.map(|_| false);
        context.service_keys.clone_from(&permission.condition_keys);
        context.service_keys.insert("aws:resourceaccount".to_owned(), vec![resource_account.to_owned()]);
        if let Some(function) = &caller.source_function_arn {
            context.service_keys.insert("lambda:SourceFunctionArn".to_owned(), vec![function.clone()]);
        }
        context.service_keys.insert("aws:PrincipalIsAWSService".to_owned(), vec!["false".to_owned()]);
        context.resource_tags.clone_from(&permission.resource_tags);
        context.request_tags.clone_from(&permission.request_tags);
        context.principal_tags = principal.tags.clone().or_else(|| Some(HashMap::new()));
        context
    }
}
