//! The running stand-in.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use axum::body::Bytes;
use fakecloud_aws::sigv4;
use fakecloud_core::auth::SessionCredentialIssuer;
use fakecloud_core::protocol;
use serde_json::{Map, Value};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::call_log::{CallCount, LoggedCall};
use super::engine::Engine;
use super::gate::Gate;
use super::server;
use super::signature::SignedRequest;
use super::tenant::{NewTenant, TenantError, Tenants};
use crate::faults::AccountFaults;
use crate::service::events::{Events, ForwardedEvent};
use crate::service::iam::Iam;
use crate::service::lambda::{EventSourceMappings, Lambda};
use crate::service::ses::Ses;
use crate::service::{AccessDenied, Caller, RequiredPermission, ServiceError};
use crate::template::Stack;

/// The running stand-in; it stops when dropped.
pub(crate) struct StandIn {
    engine: Arc<Engine>,
    iam: Arc<Iam>,
    ses: Arc<Ses>,
    events: Arc<Events>,
    lambda: Arc<Lambda>,
    tenants: Tenants,
    gate: Gate,
    endpoint: String,
    tenant_endpoint: String,
    account_id: String,
    outputs: BTreeMap<String, String>,
    /// Ends with the stand-in.
    _tasks: JoinSet<()>,
}

impl StandIn {
    /// Brings the stack's resources up and serves them on a listener from [`server::bind`]. The stack has to be resolved with
    /// the listener's address, since queue URLs hold it.
    ///
    /// # Errors
    /// A resource that a service refuses; a service that enforces no policies.
    pub(crate) async fn start(stack: &Stack, listener: TcpListener) -> anyhow::Result<Arc<Self>> {
        let endpoint = format!("http://{}", listener.local_addr()?);
        let engine = Arc::new(Engine::new(&stack.account_id, &stack.region, &endpoint)?);
        engine.provision(stack).await?;

        let mut tasks = JoinSet::new();
        for service in engine.services().iter() {
            tasks.spawn(service.clone().run());
        }
        let served = engine.clone();
        tasks.spawn(async move { match server::serve(listener, served).await {} });
        let gate = Gate::default();
        let (tenant_endpoint, work) = gate.serve(engine.clone())?;
        tasks.spawn(async move {
            let error = work.await;
            tracing::error!(%error, "the tenants' endpoint could not be opened again");
        });
        let services = engine.services();
        let (iam, ses, events) = (services.get::<Iam>()?, services.get::<Ses>()?, services.get()?);
        let lambda = services.get()?;
        let tenants = Tenants::new(iam.clone(), ses.clone(), &stack.region);
        Ok(Arc::new(Self {
            iam,
            ses,
            events,
            lambda,
            tenants,
            gate,
            endpoint,
            tenant_endpoint,
            account_id: stack.account_id.clone(),
            outputs: stack.outputs.clone(),
            engine,
            _tasks: tasks,
        }))
    }

    /// The URL that SDKs reach every service at, without a trailing slash.
    pub(crate) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// The same services at a URL of their own, for the clients of tenants' accounts: only connections to this one can be
    /// refused by a fault, and no pooled connection of our own services is mistaken for one to a tenant.
    pub(crate) fn tenant_endpoint(&self) -> &str {
        &self.tenant_endpoint
    }

    /// The template's Outputs.
    pub(crate) fn outputs(&self) -> &BTreeMap<String, String> {
        &self.outputs
    }

    /// The event source mappings, whose queues Lambda polls.
    pub(crate) fn mappings(&self) -> EventSourceMappings {
        self.lambda.mappings()
    }

    /// Issues sessions of the operator's roles, as Lambda does for its execution environments.
    pub(crate) fn credential_issuer(&self) -> Arc<dyn SessionCredentialIssuer> {
        self.iam.clone()
    }

    /// Who signed a request to one of our own endpoints (SigV4, in the `Authorization` header or, without one, in the query
    /// string of a presigned URL).
    ///
    /// # Errors
    /// No signature, an unknown or dead key, a wrong signature, a clock more than 15 minutes off, or a signature for
    /// another service than `service` or another Region than the stack's.
    pub(crate) fn authenticate(&self, service: &str, request: &SignedRequest<'_>) -> Result<Caller, ServiceError> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let signature = match header("authorization") {
            Some(authorization) => sigv4::parse_sigv4_header(authorization, header("x-amz-date")),
            None => {
                let parameters = protocol::parse_query_body(&Bytes::copy_from_slice(request.query.as_bytes()));
                if !parameters.contains_key("X-Amz-Signature") {
                    return Err(ServiceError::Unsigned);
                }
                sigv4::parse_sigv4_presigned(&parameters)
            }
        };
        let signature = signature.ok_or(ServiceError::Malformed)?;
        if signature.service != service || signature.region != self.engine.region() {
            return Err(ServiceError::WrongSignature);
        }
        self.engine.authenticate(request, &signature)
    }

    /// Whether policies let a caller do `action` (`service:Action`) on `resource` (an ARN).
    ///
    /// # Errors
    /// The denial, which reads as AWS words it.
    pub(crate) fn authorize(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
        source_ip: IpAddr,
    ) -> Result<(), AccessDenied> {
        let permission = RequiredPermission::new(action, resource);
        self.engine.authorize(caller, &[permission], self.engine.region(), source_ip)
    }

    /// Creates a tenant and answers its credential.
    ///
    /// # Errors
    /// Its user is there already.
    pub(super) fn create_tenant(&self, tenant: &NewTenant) -> Result<Value, TenantError> {
        self.tenants.create(tenant)
    }

    /// The state of a tenant: its users' keys, its identities and limits.
    ///
    /// # Errors
    /// There is no such account.
    pub(super) fn describe_tenant(&self, account_id: &str) -> Result<Value, TenantError> {
        self.tenants.describe(account_id)
    }

    /// Replaces the inline policies of a tenant's users, or of one, as its administrator would.
    ///
    /// # Errors
    /// There is no such account or user.
    pub(super) fn set_policies(
        &self,
        account_id: &str,
        user_name: Option<&str>,
        policies: &[Map<String, Value>],
    ) -> Result<(), TenantError> {
        self.tenants.set_policies(account_id, user_name, policies)
    }

    /// Creates a further key of a tenant's user, as its administrator would.
    ///
    /// # Errors
    /// There is no such user, or it has two keys.
    pub(super) fn add_key(&self, account_id: &str, user_name: &str) -> Result<Value, TenantError> {
        self.tenants.add_key(account_id, user_name)
    }

    /// Activates, deactivates or (`None`) deletes a key of a tenant's user, as its administrator would.
    ///
    /// # Errors
    /// No user of the account has it.
    pub(super) fn set_key_status(&self, account_id: &str, id: &str, status: Option<&str>) -> Result<(), TenantError> {
        self.tenants.set_key_status(account_id, id, status)
    }

    /// Replaces a tenant's faults.
    ///
    /// # Errors
    /// There is no such account.
    pub(super) async fn set_tenant_faults(&self, account_id: &str, faults: AccountFaults) -> Result<(), TenantError> {
        self.describe_tenant(account_id)?;
        self.set_faults(account_id, faults).await;
        Ok(())
    }

    /// Replaces the faults of our own account.
    pub(super) async fn set_own_faults(&self, faults: AccountFaults) {
        self.set_faults(&self.account_id, faults).await;
    }

    /// Puts an event on one of the operator's buses, as a rule of a tenant's account does.
    ///
    /// # Errors
    /// There is no such account or bus, or the bus's policy does not let the account.
    pub(super) fn forward_event(&self, account_id: &str, event: &ForwardedEvent) -> Result<Value, TenantError> {
        self.describe_tenant(account_id)?;
        self.events.forward(account_id, event).map_err(|error| TenantError::Refused(error.to_string()))
    }

    /// The mail that SES accepted, of one account or of all.
    pub(super) fn inbox(&self, account_id: Option<&str>) -> Vec<Arc<Value>> {
        self.ses.inbox(account_id)
    }

    /// The events that passed one of the operator's buses.
    pub(super) fn passed_events(&self) -> Vec<Arc<Value>> {
        self.events.passed()
    }

    /// The last requests of one account or of all, and how they were answered.
    pub(super) fn calls(&self, account_id: Option<&str>) -> Vec<LoggedCall> {
        self.engine.log().list(account_id)
    }

    /// How many requests there were of each kind.
    pub(super) fn call_counts(&self) -> Vec<CallCount> {
        self.engine.log().counts()
    }

    async fn set_faults(&self, account_id: &str, faults: AccountFaults) {
        let book = self.engine.faults();
        let previous = book.replace(account_id, faults.clone());
        for service in self.engine.services().iter() {
            service.apply_faults(account_id, &previous, &faults);
        }
        self.gate.set(!book.refuses_connections()).await;
    }
}
