//! Whether policies allow a request.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use chrono::Utc;
use fakecloud_core::auth::{ConditionContext, Principal, PrincipalType, ResourcePolicyProvider};
use fakecloud_iam::SharedIamState;
use fakecloud_iam::evaluator::{self, Decision, EvalRequest, PolicyDocument, evaluate_with_resource_policy_and_gates};

use super::caller::Caller;
use super::need::Need;
use super::refusal::{Denial, Reason};

/// Evaluates identity policies, session policies and resource policies together.
pub(crate) struct Authority {
    iam: SharedIamState,
    resource_policies: Arc<dyn ResourcePolicyProvider>,
    region: String,
}

impl Authority {
    /// An authority over IAM's state and the policies of queues, keys, tables and buses.
    pub(crate) fn new(iam: SharedIamState, resource_policies: Arc<dyn ResourcePolicyProvider>, region: &str) -> Self {
        Self { iam, resource_policies, region: region.to_owned() }
    }

    /// Whether `caller` may do what a request needs; all of it has to be allowed. `source_ip` is `aws:SourceIp`.
    pub(crate) fn check(&self, caller: &Caller, needs: &[Need], region: &str, source_ip: IpAddr) -> Result<(), Denial> {
        for need in needs {
            self.check_one(caller, need, region, source_ip).map_err(|reason| Denial {
                principal: caller.arn().to_owned(),
                action: need.action.clone(),
                resource: need.resource.clone(),
                reason,
            })?;
        }
        Ok(())
    }

    /// Whether a service may use a resource, which the resource's policy alone decides. `source_arn` is what the
    /// service acts for.
    pub(crate) fn check_service(&self, service: &str, need: &Need, source_arn: &str, source_account: &str) -> bool {
        let prefix = need.action.split(':').next().unwrap_or_default();
        let Some(policy) = self.resource_policies.resource_policy(prefix, &need.resource) else { return false };
        let principal = Principal {
            arn: service.to_owned(),
            user_id: service.to_owned(),
            account_id: String::new(),
            principal_type: PrincipalType::Service,
            source_identity: None,
            tags: None,
        };
        let mut context = self.context(&self.region);
        for (key, value) in [
            ("aws:SourceArn", source_arn),
            ("aws:SourceAccount", source_account),
            ("aws:PrincipalServiceName", service),
            ("aws:PrincipalIsAWSService", "true"),
        ] {
            context.service_keys.insert(key.to_owned(), vec![value.to_owned()]);
        }
        let request = EvalRequest {
            principal: &principal,
            action: need.action.clone(),
            resource: need.resource.clone(),
            context,
        };
        evaluator::evaluate_resource_policy_only(&PolicyDocument::parse(&policy), &request).is_allow()
    }

    fn check_one(&self, caller: &Caller, need: &Need, region: &str, source_ip: IpAddr) -> Result<(), Reason> {
        // "No permissions are required to perform this operation", not even against an explicit deny:
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
        if need.action == "sts:GetCallerIdentity" {
            return Ok(());
        }
        let resource_account = account_of(&need.resource).unwrap_or_else(|| caller.account_id().to_owned());
        let same_account = resource_account == caller.account_id();
        if caller.is_root() && same_account {
            return Ok(());
        }

        let service = need.action.split(':').next().unwrap_or_default();
        let policy_json = self.resource_policies.resource_policy(service, &need.resource);
        let resource_policy = policy_json.as_deref().map(PolicyDocument::parse);
        let session: Vec<_> = caller.session_policies.iter().map(|json| PolicyDocument::parse(json)).collect();
        let session = (!session.is_empty()).then_some(session.as_slice());

        let accounts = self.iam.read();
        let state = accounts.get(caller.account_id());
        let identity = state.map(|state| evaluator::collect_identity_policies(state, &caller.principal));
        let identity = identity.unwrap_or_default();
        let boundary = state.and_then(|state| evaluator::collect_boundary_policies(state, &caller.principal));
        drop(accounts);

        let request = EvalRequest {
            principal: &caller.principal,
            action: need.action.clone(),
            resource: need.resource.clone(),
            context: self.caller_context(caller, need, region, source_ip, &resource_account),
        };
        if caller.is_root() {
            let allowed = resource_policy
                .is_some_and(|policy| evaluator::evaluate_resource_policy_only(&policy, &request).is_allow());
            return if allowed { Ok(()) } else { Err(Reason::ImplicitResource) };
        }

        let by_identity = evaluator::evaluate(&identity, &request);
        // A user needs no permission to take a session, but a Deny still counts:
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetSessionToken.html
        if need.action == "sts:GetSessionToken" && by_identity != Decision::ExplicitDeny {
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
            Decision::ExplicitDeny if by_identity == Decision::ExplicitDeny => Err(Reason::ExplicitIdentity),
            Decision::ExplicitDeny => Err(Reason::ExplicitResource),
            Decision::ImplicitDeny if by_identity != Decision::Allow => Err(Reason::Implicit),
            Decision::ImplicitDeny if session.is_some() => Err(Reason::Session),
            Decision::ImplicitDeny => Err(Reason::ImplicitResource),
        }
    }

    /// Global condition keys:
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>.
    fn caller_context(
        &self,
        caller: &Caller,
        need: &Need,
        region: &str,
        source_ip: IpAddr,
        resource_account: &str,
    ) -> ConditionContext {
        let principal = &caller.principal;
        let mut context = self.context(region);
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
        context.service_keys.clone_from(&need.keys);
        context.service_keys.insert("aws:resourceaccount".to_owned(), vec![resource_account.to_owned()]);
        context.service_keys.insert("aws:PrincipalIsAWSService".to_owned(), vec!["false".to_owned()]);
        context.resource_tags.clone_from(&need.resource_tags);
        context.request_tags.clone_from(&need.request_tags);
        context.principal_tags = principal.tags.clone().or_else(|| Some(HashMap::new()));
        context
    }

    fn context(&self, region: &str) -> ConditionContext {
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
}

/// The account in an ARN; `None` where it has none.
pub(crate) fn account_of(arn: &str) -> Option<String> {
    let account = arn.strip_prefix("arn:")?.split(':').nth(3)?;
    (!account.is_empty()).then(|| account.to_owned())
}
