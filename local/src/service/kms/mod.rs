//! KMS: symmetric keys.

mod key;

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::Context as _;
use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_core::auth::ResourcePolicyProvider;
use fakecloud_kms::resource_policy::KmsResourcePolicyProvider;
use fakecloud_kms::{KmsService, SharedKmsState};

pub(crate) use self::key::KmsKeyResource;

use super::call::Call;
use super::embedded::Embedded;
use super::error::{ErrorWording, FixedError, ServiceError};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::template::Stack;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[key::RESOURCE_TYPE], start: Kms::start };

/// KMS of all accounts.
pub(crate) struct Kms {
    embedded: Embedded,
    state: SharedKmsState,
    setup: Setup,
}

impl Kms {
    fn start(setup: &Setup, _services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        let state: SharedKmsState = setup.state();
        let embedded = Embedded::enforcing(KmsService::new(state.clone()))?;
        Ok(Arc::new(Self { embedded, state, setup: setup.clone() }))
    }
}

#[async_trait]
impl StandInService for Kms {
    fn names(&self) -> &'static [&'static str] {
        &["kms"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        for key in stack.all::<KmsKeyResource>() {
            self.create_key(key).with_context(|| format!("KMS key {}", key.logical_id))?;
        }
        Ok(())
    }

    /// A key's id, which an ARN ends with.
    fn fault_targets(&self, call: &Call) -> Vec<String> {
        let id = call.json["KeyId"].as_str().and_then(|id| id.rsplit('/').next());
        id.map(str::to_owned).into_iter().collect()
    }

    /// <https://docs.aws.amazon.com/kms/latest/APIReference/CommonErrors.html>, and the errors of its operations.
    fn error_wording(&self) -> ErrorWording {
        ErrorWording {
            throttled: FixedError::new(StatusCode::BAD_REQUEST, "ThrottlingException", "Rate exceeded"),
            internal: FixedError::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "KMSInternalException",
                "The request was rejected because an internal exception occurred. The request can be retried.",
            ),
            ..ErrorWording::DEFAULT
        }
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let mut permissions = match request.call.operation.as_str() {
            "ReEncrypt" => re_encrypt(request),
            _ => self.embedded.required_permissions(request),
        };
        for permission in &mut permissions {
            add_encryption_context(&mut permission.condition_keys, request);
        }
        permissions
    }

    fn resource_policies(&self) -> Option<Arc<dyn ResourcePolicyProvider>> {
        Some(KmsResourcePolicyProvider::shared(self.state.clone()))
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        Ok(self.embedded.handle(request).await)
    }
}

/// ReEncrypt is two actions, each on its own key; the embedded service has one, on none:
/// <https://docs.aws.amazon.com/kms/latest/APIReference/API_ReEncrypt.html>. A source key that the request does not name is in the
/// ciphertext, which only the service can read: it is taken for the destination key.
fn re_encrypt(request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
    let json = &request.call.json;
    let key = |field: &str| {
        let id = json[field].as_str()?;
        let arn = format!("arn:aws:kms:{}:{}:key/{id}", request.region, request.account_id);
        Some(if id.starts_with("arn:") { id.to_owned() } else { arn })
    };
    let Some(destination) = key("DestinationKeyId") else { return Vec::new() };
    let source = key("SourceKeyId").unwrap_or_else(|| destination.clone());
    vec![RequiredPermission::new("kms:ReEncryptFrom", source), RequiredPermission::new("kms:ReEncryptTo", destination)]
}

/// KMS's condition keys, which the embedded service does not have:
/// <https://docs.aws.amazon.com/kms/latest/developerguide/conditions-kms.html>.
fn add_encryption_context(keys: &mut BTreeMap<String, Vec<String>>, request: &ServiceRequest<'_>) {
    keys.insert("kms:calleraccount".to_owned(), vec![request.account_id.to_owned()]);
    let json = &request.call.json;
    let context = ["EncryptionContext", "SourceEncryptionContext"].iter().find_map(|field| json[field].as_object());
    if let Some(context) = context.filter(|context| !context.is_empty()) {
        keys.insert("kms:encryptioncontextkeys".to_owned(), context.keys().cloned().collect());
        for (name, value) in context {
            if let Some(value) = value.as_str() {
                keys.insert(format!("kms:EncryptionContext:{name}"), vec![value.to_owned()]);
            }
        }
    }
}
