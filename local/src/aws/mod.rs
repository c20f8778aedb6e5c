//! The AWS stand-in: IAM, STS, SES, SQS, KMS, DynamoDB and EventBridge of any number of accounts in this process.
//!
//! The services are those of the fakecloud crates. Everything between the wire and them is here: signatures, policies,
//! the words AWS refuses in, and what those services do otherwise than AWS.
//!
//! - [`server`] takes connections and [`gate`] refuses them, [`call`] reads a request, [`answer`] writes the reply; [`engine`] is the way between.
//! - [`credentials`] and [`signature`] say whose a request is; [`need`], [`ses_operation`] and [`authority`] whether it
//!   may; [`refusal`] how it is told that it may not.
//! - [`iam_caller`], [`sending`], [`bus`], and [`queue`] and [`trace`] for SQS, mend a service each.
//! - [`provision`] brings the stack up; [`tenant`] and [`routes`] serve people and tests.

mod access_key;
mod account;
mod answer;
mod authority;
mod bus;
mod call;
mod caller;
mod credentials;
mod engine;
mod gate;
mod iam_caller;
mod mailbox;
mod need;
mod provision;
mod queue;
pub(crate) mod random;
mod refusal;
mod request_log;
mod routes;
mod sending;
mod server;
mod ses_operation;
mod session;
mod signature;
mod tenant;
mod trace;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use fakecloud_aws::sigv4;
use fakecloud_core::auth::SessionCredentialIssuer;
use fakecloud_core::protocol;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

pub(crate) use self::caller::Caller;
pub(crate) use self::refusal::{Denial, Refusal};
pub(crate) use self::routes::local_routes;
pub(crate) use self::server::bind;
pub(crate) use self::signature::SignedRequest;

use self::engine::Engine;
use self::need::Need;
use crate::template::stack::Stack;

/// How often items past their TTL are looked for. AWS says "within a few days":
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html>.
const TTL_SWEEP: Duration = Duration::from_secs(60);

/// The running stand-in; it stops when dropped.
pub(crate) struct StandIn {
    engine: Arc<Engine>,
    endpoint: String,
    tenant_endpoint: String,
    outputs: BTreeMap<String, String>,
    /// Ends with the stand-in.
    _tasks: JoinSet<()>,
}

impl StandIn {
    /// Brings the stack's resources up and serves them on a listener from [`bind`]. The stack has to be resolved with
    /// the listener's address, since queue URLs hold it.
    ///
    /// # Errors
    /// A resource that a service refuses; a service that enforces no policies.
    pub(crate) async fn start(stack: &Stack, listener: TcpListener) -> anyhow::Result<Arc<Self>> {
        let endpoint = format!("http://{}", listener.local_addr()?);
        let engine = Arc::new(Engine::new(&stack.account_id, &stack.region, &endpoint)?);
        engine.provision(stack).await?;

        let mut tasks = JoinSet::new();
        let dynamodb = engine.dynamodb.clone();
        tasks.spawn(async move {
            loop {
                tokio::time::sleep(TTL_SWEEP).await;
                fakecloud_dynamodb::ttl::process_ttl_expirations(&dynamodb);
            }
        });
        let served = engine.clone();
        tasks.spawn(async move { match server::serve(listener, served).await {} });
        let (tenant_endpoint, work) = engine.gate.serve(engine.clone())?;
        tasks.spawn(async move {
            let error = work.await;
            tracing::error!(%error, "the tenants' endpoint ended");
        });
        Ok(Arc::new(Self { engine, endpoint, tenant_endpoint, outputs: stack.outputs.clone(), _tasks: tasks }))
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

    /// Who takes sessions of the operator's roles, as Lambda does for its execution environments.
    pub(crate) fn credential_issuer(&self) -> Arc<dyn SessionCredentialIssuer> {
        self.engine.clone()
    }

    /// Who signed a request to one of our own endpoints (SigV4, in the `Authorization` header or, without one, in the query
    /// string of a presigned URL).
    ///
    /// # Errors
    /// No signature, an unknown or dead key, a wrong signature, a clock more than 15 minutes off, or a signature for
    /// another service than `service` or another Region than the stack's.
    pub(crate) fn authenticate(&self, service: &str, request: &SignedRequest<'_>) -> Result<Caller, Refusal> {
        let header = |name: &str| request.headers.get(name).and_then(|value| value.to_str().ok());
        let signature = match header("authorization") {
            Some(authorization) => sigv4::parse_sigv4_header(authorization, header("x-amz-date")),
            None => {
                let parameters = protocol::parse_query_body(&Bytes::copy_from_slice(request.query.as_bytes()));
                if !parameters.contains_key("X-Amz-Signature") {
                    return Err(Refusal::Unsigned);
                }
                sigv4::parse_sigv4_presigned(&parameters)
            }
        };
        let signature = signature.ok_or(Refusal::Malformed)?;
        if signature.service != service || signature.region != self.engine.region {
            return Err(Refusal::WrongSignature);
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
    ) -> Result<(), Denial> {
        let need = Need::new(action, resource);
        self.engine.authority.check(caller, &[need], &self.engine.region, source_ip)
    }
}

#[cfg(test)]
mod tests;
