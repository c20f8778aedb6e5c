//! IAM and STS: users, roles, access keys and sessions.

mod access_key;
mod credentials;
mod faults;
mod role;
mod self_service;
mod session;
mod user;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_iam::SharedIamState;
use fakecloud_iam::iam_service::IamService;
use fakecloud_iam::sts_service::StsService;
use parking_lot::Mutex;

pub(crate) use self::credentials::SignerCredential;
pub(crate) use self::role::RoleResource;
pub(crate) use self::user::{NewUser, NoFurtherKey};

#[cfg(test)]
pub(crate) use self::access_key::account as account_of_key;

use self::credentials::Credentials;
use self::session::FunctionIdentity;
use super::call::Call;
use super::caller::Caller;
use super::embedded::Embedded;
use super::error::{AccessDenied, ErrorWording, FixedError, ServiceError};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::faults::AccountFaults;
use crate::serverless::FunctionResource;
use crate::template::Stack;

/// The key of the operator's root: who starts the stack owns it.
pub(crate) const OPERATOR_KEY: &str = "test";

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[role::RESOURCE_TYPE], start: Iam::start };

pub(super) const WORDING: ErrorWording = ErrorWording {
    denial,
    // IAM and STS reference, "Common errors".
    not_subscribed: FixedError::new(
        StatusCode::FORBIDDEN,
        "OptInRequired",
        "The AWS Access Key Id needs a subscription for the service",
    ),
    ..ErrorWording::DEFAULT
};

/// IAM and STS of all accounts.
pub(crate) struct Iam {
    iam: Embedded,
    sts: Embedded,
    state: SharedIamState,
    credentials: Credentials,
    /// The stack's functions, whose execution environments get sessions.
    functions: Mutex<Vec<FunctionIdentity>>,
    /// The service control policies that an account's organization has put over it.
    control_policies: Mutex<HashMap<String, Vec<String>>>,
    setup: Setup,
}

impl Iam {
    fn start(setup: &Setup, _services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        let state: SharedIamState = setup.state();
        let credentials = Credentials::new(state.clone());
        credentials.remember(OPERATOR_KEY.to_owned(), Caller::root(OPERATOR_KEY, &setup.account_id));
        Ok(Arc::new(Self {
            iam: Embedded::enforcing(IamService::new(state.clone()))?,
            sts: Embedded::enforcing(StsService::new(state.clone()))?,
            state,
            credentials,
            functions: Mutex::default(),
            control_policies: Mutex::default(),
            setup: setup.clone(),
        }))
    }

    /// The service control policies over an account; none where no organization has put any.
    pub(crate) fn control_policies(&self, account_id: &str) -> Vec<String> {
        self.control_policies.lock().get(account_id).cloned().unwrap_or_default()
    }

    /// IAM's state, for identities' policies.
    pub(crate) fn state(&self) -> &SharedIamState {
        &self.state
    }
}

#[async_trait]
impl StandInService for Iam {
    fn names(&self) -> &'static [&'static str] {
        &["iam", "sts"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        for role in stack.all::<RoleResource>() {
            self.create_role(role);
        }
        *self.functions.lock() = stack.all::<FunctionResource>().map(FunctionIdentity::of).collect();
        Ok(())
    }

    fn error_wording(&self) -> ErrorWording {
        WORDING
    }

    fn complete(&self, call: &mut Call, caller: &Caller) -> Result<(), ServiceError> {
        match call.service.as_str() {
            "iam" => self_service::name_user(call, caller),
            _ => Ok(()),
        }
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        if request.call.service == "sts" {
            return self.sts.required_permissions(request);
        }
        let mut permissions = self.iam.required_permissions(request);
        for permission in &mut permissions {
            // The service authorization reference has the group as its resource; the embedded service has the user.
            if permission.action == "iam:AddUserToGroup"
                && let Some(group) = request.call.parameters.get("GroupName")
            {
                permission.resource = format!("arn:aws:iam::{}:group/{group}", request.account_id);
            }
            self.add_user_path(&mut permission.resource);
        }
        // IAM user guide, "Tags for AWS Identity and Access Management resources": who tags a user while making it needs
        // iam:TagUser too.
        if request.call.operation == "CreateUser"
            && request.call.parameters.keys().any(|name| name.starts_with("Tags."))
            && let Some(user) = permissions.first().map(|permission| permission.resource.clone())
        {
            permissions.push(RequiredPermission::new("iam:TagUser", user));
        }
        permissions
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        let ServiceRequest { call, caller, account_id, .. } = *request;
        if call.service == "sts" {
            return match call.operation.as_str() {
                "GetSessionToken" => self.get_session_token(request),
                _ => Ok(self.sts.handle(request).await),
            };
        }
        session::refuse_user_session(caller)?;
        if let Some(response) = self_service::answer_root(call, caller, &self.credentials)? {
            return Ok(response);
        }
        let mut response = self.iam.handle(request).await;
        self_service::word_as_aws(call, &mut response);
        if call.operation == "GetUser" && self.setup.faults.of_account(account_id).console_login {
            self_service::add_console_login(&mut response);
        }
        if call.operation == "CreateAccessKey" {
            self.issue_as_aws(account_id, &mut response);
        }
        self_service::note_key(call, &response, &self.credentials);
        Ok(response)
    }

    fn apply_faults(&self, account_id: &str, previous: &AccountFaults, faults: &AccountFaults) {
        self.apply(account_id, previous, faults);
    }
}

/// IAM names a user as `user NAME`, a group as `group NAME`, where the other services name an ARN.
fn denial(denied: &AccessDenied) -> String {
    let named = |kind: &str| {
        let (_, name) = denied.resource.split_once(&format!(":{kind}/"))?;
        Some(format!("{kind} {}", name.rsplit('/').next().unwrap_or(name)))
    };
    match named("user").or_else(|| named("group")) {
        Some(resource) => AccessDenied { resource, ..denied.clone() }.sentence(),
        None => denied.sentence(),
    }
}
