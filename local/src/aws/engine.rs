//! The way of a request through the stand-in: whose it is, whether it may, which fault strikes it, what its service answers.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use chrono::{SecondsFormat, Utc};
use fakecloud_aws::sigv4::ParsedSigV4;
use fakecloud_core::auth::MultiResourcePolicyProvider;
use http_body_util::Full;

use super::authority::Authority;
use super::call_log::{CallLog, LoggedCall};
use super::signature::SignedRequest;
use crate::faults::{FaultBook, FaultEffect, FaultPlan};
use crate::random;
use crate::service::iam::{Iam, OPERATOR_KEY};
use crate::service::{
    self, AccessDenied, Call, Caller, DenialReason, ErrorWording, RequiredPermission, ServiceError, ServiceList,
    ServiceRequest, ServiceResponse, Setup,
};
use crate::template::Stack;

/// For how long a request is left without an answer. Clients give up earlier; `send` does after 10 s.
const UNANSWERED_FOR: Duration = Duration::from_secs(60);

/// Where IAM's control plane is.
const IAM_REGION: &str = "us-east-1";

/// The connection is to be closed in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault resets the connection")]
pub(super) struct ConnectionReset;

/// Everything behind the stand-in's endpoint.
pub(super) struct Engine {
    services: ServiceList,
    iam: Arc<Iam>,
    authority: Authority,
    faults: Arc<FaultBook>,
    log: CallLog,
    region: String,
}

impl Engine {
    /// All services, empty, for an operator's account. `endpoint` is the URL clients reach them at.
    ///
    /// # Errors
    /// A service that would answer without asking policies.
    pub(super) fn new(account_id: &str, region: &str, endpoint: &str) -> anyhow::Result<Self> {
        let faults = Arc::<FaultBook>::default();
        let setup = Setup {
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            endpoint: endpoint.to_owned(),
            faults: faults.clone(),
        };
        let services = service::start(&setup)?;
        let iam: Arc<Iam> = services.get()?;
        let policies = services.iter().filter_map(|service| service.resource_policies()).collect();
        let authority = Authority::new(iam.clone(), MultiResourcePolicyProvider::shared(policies));
        Ok(Self { services, iam, authority, faults, log: CallLog::default(), region: region.to_owned() })
    }

    /// Creates everything that the stack has of the services.
    ///
    /// # Errors
    /// A resource that a service refuses, by its name and the service's code.
    pub(super) async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        for service in self.services.iter() {
            service.provision(stack).await?;
        }
        Ok(())
    }

    /// The services.
    pub(super) fn services(&self) -> &ServiceList {
        &self.services
    }

    /// The faults of all accounts.
    pub(super) fn faults(&self) -> &FaultBook {
        &self.faults
    }

    /// What was asked.
    pub(super) fn log(&self) -> &CallLog {
        &self.log
    }

    /// The operator's Region.
    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Answers one HTTP request.
    ///
    /// # Errors
    /// [`ConnectionReset`] where a fault closes the connection.
    pub(super) async fn answer(
        &self,
        parts: Parts,
        body: Bytes,
        peer: IpAddr,
    ) -> Result<Response<Full<Bytes>>, ConnectionReset> {
        let request_id = random::uuid();
        let uri = &parts.uri;
        let query = uri.query().unwrap_or_default();
        let call = Call::parse(request_id.clone(), parts.method, uri.path(), query, parts.headers, body);
        let Some(mut call) = call else {
            let mut response = Response::new(Full::from("The request names no service that is known here.\n"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        };
        let key = call.signature.as_ref().map(|signature| signature.access_key.clone()).unwrap_or_default();
        let owner = self.iam.key_owner(&key).unwrap_or_default();
        let mut wording = ErrorWording::DEFAULT;
        let mut plan = FaultPlan::default();
        if let Ok(service) = self.services.named(&call.service) {
            service.name_operation(&mut call);
            wording = service.error_wording();
            // Who drives the stack from outside is not struck by the faults that he asked for.
            if key != OPERATOR_KEY {
                plan = self.faults.plan(&owner, &call.action(), || service.fault_targets(&call));
            }
        }
        pause(plan.latency).await;

        let mut logged = LoggedCall {
            at: String::new(),
            account_id: owner,
            access_key_id: key,
            principal: None,
            service: call.service.clone(),
            operation: call.operation.clone(),
            status: None,
            error: None,
        };
        let response = if plan.effect == Some(FaultEffect::ResetBefore) {
            None
        } else {
            let mut result = self.serve(&mut call, plan.effect, peer, &mut logged).await;
            pause(plan.hang).await;
            if plan.effect == Some(FaultEffect::ServerErrorAfter) && result.is_ok() {
                result = Err(ServiceError::Internal);
            }
            let response = result.unwrap_or_else(|error| ServiceResponse::from_error(&call, &error, &wording));
            (!matches!(plan.effect, Some(FaultEffect::ResetAfter | FaultEffect::NoAnswer))).then_some(response)
        };
        logged.at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        logged.status = response.as_ref().map(|response| response.status.as_u16());
        logged.error = match &response {
            Some(response) => response.error.clone(),
            None if plan.effect == Some(FaultEffect::NoAnswer) => Some("NoAnswer".to_owned()),
            None => Some("ConnectionReset".to_owned()),
        };
        // Before the wait, because a client that gives up ends it.
        self.log.add(logged);
        if plan.effect == Some(FaultEffect::NoAnswer) {
            pause(UNANSWERED_FOR).await;
        }
        response.map(|response| response.into_http(&request_id)).ok_or(ConnectionReset)
    }

    /// Who signed a request, if it is signed as it should be.
    ///
    /// # Errors
    /// The key opens nothing, or another secret signed the request.
    pub(super) fn authenticate(
        &self,
        signed: &SignedRequest<'_>,
        signature: &ParsedSigV4,
    ) -> Result<Caller, ServiceError> {
        let credential = self.iam.signer(&signature.access_key)?;
        signed.verify(signature, &credential, Utc::now())
    }

    /// Whether policies let a caller do what a request needs; all of it has to be allowed.
    ///
    /// # Errors
    /// The permission that is denied.
    pub(super) fn authorize(
        &self,
        caller: &Caller,
        permissions: &[RequiredPermission],
        region: &str,
        peer: IpAddr,
    ) -> Result<(), AccessDenied> {
        self.authority.check(caller, permissions, region, peer)
    }

    async fn serve(
        &self,
        call: &mut Call,
        fault: Option<FaultEffect>,
        peer: IpAddr,
        logged: &mut LoggedCall,
    ) -> Result<ServiceResponse, ServiceError> {
        let caller = self.identify(call)?;
        caller.account_id().clone_into(&mut logged.account_id);
        logged.principal = Some(caller.arn().to_owned());
        let service = self.services.named(&call.service)?;
        if self.faults.of_account(caller.account_id()).not_subscribed.contains(&call.service) {
            return Err(ServiceError::NotSubscribed);
        }
        service.complete(call, &caller)?;
        // IAM is one for the partition, in us-east-1, and that is its `aws:RequestedRegion` (IAM user guide, "AWS global condition
        // context keys").
        let signed_region = call.region().unwrap_or(&self.region);
        let region = if call.service == "iam" { IAM_REGION } else { signed_region }.to_owned();
        let request = ServiceRequest {
            call,
            caller: &caller,
            account_id: service.owner(call).unwrap_or(caller.account_id()),
            region: &region,
        };
        let permissions = service.required_permissions(&request);
        let denied = |reason, permission: Option<&RequiredPermission>| {
            let permission = permission.cloned().unwrap_or_else(|| RequiredPermission::new(call.action(), "*"));
            let RequiredPermission { action, resource, .. } = permission;
            ServiceError::Denied(AccessDenied { principal: caller.arn().to_owned(), action, resource, reason })
        };
        if permissions.is_empty() && !caller.is_root() {
            return Err(denied(DenialReason::Unmapped, None));
        }
        self.authorize(&caller, &permissions, &region, peer).map_err(ServiceError::Denied)?;
        match fault {
            Some(FaultEffect::ServerError) => Err(ServiceError::Internal),
            Some(FaultEffect::Throttle) => Err(ServiceError::Throttled),
            Some(FaultEffect::Refuse) => Err(denied(DenialReason::Implicit, permissions.first())),
            // An operation that has no such answer fails in the way that it can.
            Some(FaultEffect::Unprocessed) => service.unprocessed(call).ok_or(ServiceError::Internal),
            Some(
                FaultEffect::ResetBefore
                | FaultEffect::ResetAfter
                | FaultEffect::ServerErrorAfter
                | FaultEffect::NoAnswer,
            )
            | None => service.handle(&request).await,
        }
    }

    fn identify(&self, call: &Call) -> Result<Caller, ServiceError> {
        let Some(signature) = &call.signature else {
            let signed = call.headers.contains_key("authorization");
            return Err(if signed { ServiceError::Malformed } else { ServiceError::Unsigned });
        };
        let signed = SignedRequest {
            method: call.method.as_str(),
            path: &call.path,
            query: &call.query,
            headers: &call.headers,
            body: &call.body,
        };
        self.authenticate(&signed, signature)
    }
}

/// Even an empty sleep costs up to a tick of the timer, which every request would pay twice.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}
