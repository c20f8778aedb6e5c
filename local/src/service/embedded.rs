//! A fakecloud service behind a service of ours.

use std::sync::Arc;

use anyhow::bail;
use fakecloud_core::service::AwsService;
use serde_json::Value;

use super::call::Call;
use super::caller::Caller;
use super::interface::Setup;
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;

/// A fakecloud service.
pub(super) struct Embedded(Arc<dyn AwsService>);

impl Embedded {
    /// A service whose required permissions are known here and not by itself.
    pub(super) fn new(service: impl AwsService + 'static) -> Self {
        Self(Arc::new(service))
    }

    /// A service that knows itself which permissions its operations require.
    ///
    /// # Errors
    /// It does not: it would let everybody do everything.
    pub(super) fn enforcing(service: impl AwsService + 'static) -> anyhow::Result<Self> {
        anyhow::ensure!(service.iam_enforceable(), "the stand-in's {} enforces no policies", service.service_name());
        Ok(Self::new(service))
    }

    /// The service's answer to a request.
    pub(super) async fn handle(&self, request: &ServiceRequest<'_>) -> ServiceResponse {
        ServiceResponse::from_embedded(request.call, self.0.handle(request.to_embedded()).await)
    }

    /// What the service says that a request needs. Empty where it does not know the operation.
    pub(super) fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let request = request.to_embedded();
        let permission = |action: &fakecloud_core::auth::IamAction| RequiredPermission {
            action: action.action_string(),
            resource: action.resource.clone(),
            condition_keys: self.0.iam_condition_keys_for(&request, action),
            resource_tags: self.0.resource_tags_for(&action.resource),
            request_tags: self.0.request_tags_from(&request, action.action),
        };
        self.0.iam_actions_for(&request).iter().map(permission).collect()
    }

    /// Asks a JSON service as the operator's root, without the way over the wire.
    ///
    /// # Errors
    /// The service refuses, by its code.
    pub(super) async fn ask(&self, setup: &Setup, operation: &str, body: Value) -> anyhow::Result<Value> {
        let call = Call::internal(self.0.service_name(), operation, body);
        let caller = Caller::root("test", &setup.account_id);
        let request =
            ServiceRequest { call: &call, caller: &caller, account_id: &setup.account_id, region: &setup.region };
        let response = match self.0.handle(request.to_embedded()).await {
            Ok(response) => response,
            Err(error) => bail!("{operation}: {}: {}", error.code(), error.message()),
        };
        let status = response.status;
        let body: Value = serde_json::from_slice(response.body.expect_bytes()).unwrap_or(Value::Null);
        anyhow::ensure!(status.is_success(), "{operation}: {status}: {body}");
        Ok(body)
    }
}
