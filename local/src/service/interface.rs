//! What the engine asks of a service of AWS, and how it finds one.

use std::any::Any;
use std::sync::Arc;

use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_core::auth::ResourcePolicyProvider;
use fakecloud_core::multi_account::{AccountState, MultiAccountState};
use parking_lot::RwLock;

use super::call::Call;
use super::caller::Caller;
use super::error::{ErrorWording, ServiceError};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::faults::{AccountFaults, FaultBook};
use crate::template::{ResourceType, Stack};

/// A service of the stand-in. Most are a fakecloud service with what it does otherwise than AWS put right.
///
/// The methods are in the order in which the engine calls them for a request.
#[async_trait]
pub(crate) trait StandInService: Any + Send + Sync {
    /// The names that requests to it are signed for.
    fn names(&self) -> &'static [&'static str];

    /// Creates what the stack has of this service, in order of the services' list.
    ///
    /// # Errors
    /// A resource that cannot be created, by its name in the template.
    async fn provision(&self, _stack: &Stack) -> anyhow::Result<()> {
        Ok(())
    }

    /// Work that goes on for as long as the stand-in runs.
    async fn run(self: Arc<Self>) {}

    /// Finds out the operation, where the protocol does not say it in a header or parameter.
    fn name_operation(&self, _call: &mut Call) {}

    /// Names of the resources that a call is about: what a fault's `resource` is compared with.
    fn fault_targets(&self, _call: &Call) -> Vec<String> {
        Vec::new()
    }

    /// The service's own words for errors that it does not make itself.
    fn error_wording(&self) -> ErrorWording {
        ErrorWording::DEFAULT
    }

    /// The account that owns what a call is about, where the call says so; else it is the caller's.
    fn owner<'a>(&self, _call: &'a Call) -> Option<&'a str> {
        None
    }

    /// Fills in what the service derives from the caller or from headers.
    ///
    /// # Errors
    /// It cannot be derived.
    fn complete(&self, _call: &mut Call, _caller: &Caller) -> Result<(), ServiceError> {
        Ok(())
    }

    /// What a request needs to be allowed. Empty for an operation that is not known: then nothing can allow it, except that
    /// the account's root may try.
    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission>;

    /// The policies of its resources.
    fn resource_policies(&self) -> Option<Arc<dyn ResourcePolicyProvider>> {
        None
    }

    /// The answer of a batch operation that did none of its entries, for a fault. `None` for an operation that has no such
    /// answer.
    fn unprocessed(&self, _call: &Call) -> Option<ServiceResponse> {
        None
    }

    /// Does what an allowed request asks for.
    ///
    /// # Errors
    /// A deviation of the stand-in refuses it; the embedded service's own errors are answers.
    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError>;

    /// Brings an account into the state that its faults describe. They are in the book already.
    fn apply_faults(&self, _account_id: &str, _previous: &AccountFaults, _faults: &AccountFaults) {}
}

/// What is known of a service before it is started: one line of [`super::SERVICES`].
pub(crate) struct ServiceDefinition {
    /// The template's resource types that it serves.
    pub(crate) resource_types: &'static [ResourceType],
    /// Starts it, empty. The services before it in the list are there already.
    pub(crate) start: fn(&Setup, &ServiceList) -> anyhow::Result<Arc<dyn StandInService>>,
}

/// What every service is started with.
#[derive(Clone)]
pub(crate) struct Setup {
    /// The operator's account.
    pub(crate) account_id: String,
    /// The operator's Region.
    pub(crate) region: String,
    /// The URL that clients reach the stand-in at.
    pub(crate) endpoint: String,
    /// The faults of all accounts.
    pub(crate) faults: Arc<FaultBook>,
}

impl Setup {
    /// The empty state of a fakecloud service, for all accounts.
    pub(crate) fn state<T: AccountState>(&self) -> Arc<RwLock<MultiAccountState<T>>> {
        Arc::new(RwLock::new(MultiAccountState::new(&self.account_id, &self.region, &self.endpoint)))
    }
}

/// The services that run.
#[derive(Clone, Default)]
pub(crate) struct ServiceList(Vec<Arc<dyn StandInService>>);

impl ServiceList {
    /// Adds a service.
    pub(super) fn add(&mut self, service: Arc<dyn StandInService>) {
        self.0.push(service);
    }

    /// All of them, in order of the list.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<dyn StandInService>> {
        self.0.iter()
    }

    /// The service that requests are signed for by this name.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn named(&self, name: &str) -> Result<&dyn StandInService, ServiceError> {
        let service = self.0.iter().find(|service| service.names().contains(&name));
        service.map(AsRef::as_ref).ok_or_else(|| ServiceError::Other {
            status: StatusCode::NOT_IMPLEMENTED,
            code: "UnknownService",
            message: format!("The service {name} is not part of this stand-in."),
        })
    }

    /// A service by its type, for what it offers beside AWS's API.
    ///
    /// # Errors
    /// It is not in the list, or comes later in it.
    pub(crate) fn get<T: StandInService>(&self) -> anyhow::Result<Arc<T>> {
        let found = self.0.iter().find_map(|service| {
            let service: Arc<dyn Any + Send + Sync> = service.clone();
            service.downcast().ok()
        });
        found.ok_or_else(|| anyhow::anyhow!("the service {} is not there", std::any::type_name::<T>()))
    }
}
