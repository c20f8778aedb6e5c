//! The services and the way of a request through them: whose it is, whether it may, what the service says.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::request::Parts;
use axum::http::{Response, StatusCode};
use chrono::{SecondsFormat, Utc};
use fakecloud_core::auth::MultiResourcePolicyProvider;
use fakecloud_core::delivery::DeliveryBus;
use fakecloud_core::multi_account::MultiAccountState;
use fakecloud_core::service::AwsService;
use fakecloud_dynamodb::{DynamoDbResourcePolicyProvider, DynamoDbService, SharedDynamoDbState};
use fakecloud_eventbridge::resource_policy::EventBridgeResourcePolicyProvider;
use fakecloud_eventbridge::{EventBridgeService, SharedEventBridgeState};
use fakecloud_iam::SharedIamState;
use fakecloud_iam::iam_service::IamService;
use fakecloud_iam::sts_service::StsService;
use fakecloud_kms::resource_policy::KmsResourcePolicyProvider;
use fakecloud_kms::{KmsService, SharedKmsState};
use fakecloud_ses::{SesV2Service, SharedSesState};
use fakecloud_sqs::resource_policy::SqsResourcePolicyProvider;
use fakecloud_sqs::{SharedSqsState, SqsService};
use http_body_util::Full;
use parking_lot::RwLock;

use super::account::Accounts;
use super::answer::Answer;
use super::authority::Authority;
use super::bus::Buses;
use super::call::Call;
use super::caller::Caller;
use super::credentials::{Credentials, KeyState};
use super::gate::Gate;
use super::need::{self, Need};
use super::queue::{self, Arrivals};
use super::refusal::{Denial, Reason, Refusal};
use super::request_log::{Entry, RequestLog};
use super::signature::SignedRequest;
use super::{iam_caller, random, sending, ses_operation, trace};
use crate::faults::Plan;

/// Services whose needs are known by [`need`] or [`ses_operation`] rather than by the embedded service.
const MAPPED_HERE: &[&str] = &["events", "ses"];

/// The connection is to be closed in place of an answer.
#[derive(Debug, thiserror::Error)]
#[error("a fault resets the connection")]
pub(crate) struct Reset;

/// Everything behind the stand-in's endpoint.
pub(crate) struct Engine {
    /// The operator's account.
    pub(crate) account_id: String,
    /// The operator's Region.
    pub(crate) region: String,
    /// IAM's state of all accounts.
    pub(crate) iam: SharedIamState,
    /// SES's state of all accounts.
    pub(crate) ses: SharedSesState,
    /// SQS's state of all accounts.
    pub(crate) sqs: SharedSqsState,
    /// KMS's state of all accounts.
    pub(crate) kms: SharedKmsState,
    /// DynamoDB's state of all accounts.
    pub(crate) dynamodb: SharedDynamoDbState,
    /// Access keys.
    pub(crate) credentials: Credentials,
    /// Policies.
    pub(crate) authority: Arc<Authority>,
    /// What SES knows of accounts beside the embedded service, and their faults.
    pub(crate) accounts: Accounts,
    /// EventBridge.
    pub(crate) buses: Buses,
    /// The tenants' endpoint.
    pub(crate) gate: Gate,
    /// What was asked.
    pub(crate) log: RequestLog,
    arrivals: Arrivals,
    services: BTreeMap<String, Arc<dyn AwsService>>,
}

impl Engine {
    /// All services, empty, for an operator's account. `endpoint` is the URL clients reach them at.
    ///
    /// # Errors
    /// A service that would answer without asking policies.
    pub(crate) fn new(account_id: &str, region: &str, endpoint: &str) -> anyhow::Result<Self> {
        let iam: SharedIamState = Arc::new(RwLock::new(MultiAccountState::new(account_id, region, endpoint)));
        let ses: SharedSesState = Arc::new(RwLock::new(MultiAccountState::new(account_id, region, endpoint)));
        let sqs: SharedSqsState = Arc::new(RwLock::new(MultiAccountState::new(account_id, region, endpoint)));
        let kms: SharedKmsState = Arc::new(RwLock::new(MultiAccountState::new(account_id, region, endpoint)));
        let dynamodb: SharedDynamoDbState = Arc::new(RwLock::new(MultiAccountState::new(account_id, region, endpoint)));
        let events: SharedEventBridgeState =
            Arc::new(RwLock::new(MultiAccountState::new(account_id, region, endpoint)));

        let list: [Arc<dyn AwsService>; 7] = [
            Arc::new(IamService::new(iam.clone())),
            Arc::new(StsService::new(iam.clone())),
            Arc::new(SesV2Service::new(ses.clone())),
            Arc::new(SqsService::new(sqs.clone()).with_region(region)),
            Arc::new(KmsService::new(kms.clone())),
            Arc::new(DynamoDbService::new(dynamodb.clone())),
            Arc::new(EventBridgeService::new(events.clone(), Arc::new(DeliveryBus::new()))),
        ];
        let services: BTreeMap<String, Arc<dyn AwsService>> =
            list.into_iter().map(|service| (service.service_name().to_owned(), service)).collect();
        check_enforcement(&services)?;

        let resource_policies = MultiResourcePolicyProvider::shared(vec![
            SqsResourcePolicyProvider::shared(sqs.clone()),
            KmsResourcePolicyProvider::shared(kms.clone()),
            EventBridgeResourcePolicyProvider::shared(events.clone()),
            DynamoDbResourcePolicyProvider::shared(dynamodb.clone()),
        ]);
        let authority = Arc::new(Authority::new(iam.clone(), resource_policies, region));
        let arrivals = Arrivals::default();
        let buses = Buses::new(events, sqs.clone(), authority.clone(), arrivals.clone());
        let credentials = Credentials::new(iam.clone());
        // The operator's root: who starts the stack owns it.
        credentials.remember("test".to_owned(), Caller::root("test", account_id));
        Ok(Self {
            account_id: account_id.to_owned(),
            region: region.to_owned(),
            iam,
            ses,
            sqs,
            kms,
            dynamodb,
            credentials,
            authority,
            accounts: Accounts::default(),
            buses,
            gate: Gate::default(),
            log: RequestLog::default(),
            arrivals,
            services,
        })
    }

    /// The service of this name.
    pub(crate) fn service(&self, name: &str) -> Option<&Arc<dyn AwsService>> {
        self.services.get(name)
    }

    /// Answers one HTTP request.
    ///
    /// # Errors
    /// [`Reset`] where a fault closes the connection.
    pub(crate) async fn answer(&self, parts: Parts, body: Bytes, peer: IpAddr) -> Result<Response<Full<Bytes>>, Reset> {
        let request_id = random::uuid();
        let uri = &parts.uri;
        let query = uri.query().unwrap_or_default();
        let call = Call::read(request_id.clone(), parts.method, uri.path(), query, parts.headers, body);
        let Some(mut call) = call else {
            let mut response = Response::new(Full::from("The request names no service that is known here.\n"));
            *response.status_mut() = StatusCode::BAD_REQUEST;
            return Ok(response);
        };
        if call.service == "ses"
            && let Some(name) = ses_operation::name(&call)
        {
            call.operation = name;
        }
        let key = call.signature.as_ref().map(|signature| signature.access_key.clone()).unwrap_or_default();
        let owner = self.credentials.owner(&key).unwrap_or_default();
        let plan = match owner.as_str() {
            "" => Plan::default(),
            owner => self.accounts.plan(owner, &format!("{}:{}", call.service, call.operation)),
        };
        pause(plan.latency).await;

        let mut entry = Entry {
            at: String::new(),
            account_id: owner,
            access_key_id: key,
            principal: None,
            service: call.service.clone(),
            operation: call.operation.clone(),
            status: None,
            error: None,
        };
        let answer = if plan.reset_before {
            None
        } else {
            let answer = self.serve(&mut call, plan, peer, &mut entry).await;
            pause(plan.hang).await;
            (!plan.reset_after).then_some(answer)
        };
        entry.at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        entry.status = answer.as_ref().map(|answer| answer.status.as_u16());
        entry.error = match &answer {
            Some(answer) => answer.error.clone(),
            None => Some("ConnectionReset".to_owned()),
        };
        self.log.add(entry);
        answer.map(|answer| answer.into_response(&request_id)).ok_or(Reset)
    }

    /// Who signed a request, if it is signed as it should be.
    pub(crate) fn authenticate(
        &self,
        signed: &SignedRequest<'_>,
        signature: &fakecloud_aws::sigv4::ParsedSigV4,
    ) -> Result<Caller, Refusal> {
        let credential = match self.credentials.find(&signature.access_key) {
            KeyState::Live(credential) => credential,
            KeyState::Expired => return Err(Refusal::ExpiredKey),
            KeyState::Deleted(credential, at)
                if at.elapsed() < self.accounts.faults(credential.caller.account_id()).deleted_key_honoured =>
            {
                credential
            }
            KeyState::Deleted(..) | KeyState::Unknown => return Err(Refusal::UnknownKey),
        };
        signed.verify(signature, &credential, Utc::now())
    }

    async fn serve(&self, call: &mut Call, plan: Plan, peer: IpAddr, entry: &mut Entry) -> Answer {
        let caller = match self.identify(call) {
            Ok(caller) => caller,
            Err(refusal) => return Answer::refusal(call, &refusal),
        };
        caller.account_id().clone_into(&mut entry.account_id);
        entry.principal = Some(caller.arn().to_owned());
        match self.work(call, &caller, plan, peer).await {
            Ok(answer) => {
                iam_caller::note_key(call, &answer, &self.credentials);
                answer
            }
            Err(refusal) => Answer::refusal(call, &refusal),
        }
    }

    fn identify(&self, call: &Call) -> Result<Caller, Refusal> {
        let Some(signature) = &call.signature else {
            let signed = call.headers.contains_key("authorization");
            return Err(if signed { Refusal::Malformed } else { Refusal::Unsigned });
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

    async fn work(&self, call: &mut Call, caller: &Caller, plan: Plan, peer: IpAddr) -> Result<Answer, Refusal> {
        let Some(service) = self.services.get(&call.service) else {
            return Err(Refusal::Other {
                status: StatusCode::NOT_IMPLEMENTED,
                code: "UnknownService",
                message: format!("The service {} is not part of this stand-in.", call.service),
            });
        };
        let region = call.region().unwrap_or(&self.region).to_owned();
        let account_id = match call.service.as_str() {
            "sqs" => queue::owner(call).unwrap_or(caller.account_id()).to_owned(),
            _ => caller.account_id().to_owned(),
        };
        let account_id = account_id.as_str();
        iam_caller::name_user(call, caller)?;
        trace::hand_on(call);

        let request = call.to_request(caller, account_id, &region);
        let needs = match call.service.as_str() {
            "events" => need::of_events(call, account_id, &region),
            "ses" => ses_operation::needs(call, &self.ses, account_id, &region),
            _ => need::of_service(service.as_ref(), &request, call, &self.iam),
        };
        self.allow(call, caller, &needs, &region, peer)?;
        if plan.server_error {
            return Err(Refusal::Other {
                status: StatusCode::INTERNAL_SERVER_ERROR,
                code: "InternalFailure",
                message: "The request processing has failed because of an unknown error.".to_owned(),
            });
        }
        if plan.throttle {
            return Err(Refusal::throttled(&call.service));
        }
        if let Some(answer) = iam_caller::answer_root(call, caller, &self.credentials) {
            return Ok(answer);
        }
        match (call.service.as_str(), call.operation.as_str()) {
            ("events", "PutEvents") => {
                let entries = call.json["Entries"].as_array().map_or(0, Vec::len);
                if !(1..=10).contains(&entries) {
                    return Ok(Answer::of_service(call, service.handle(request).await));
                }
                Ok(Answer::json(call, &self.buses.put_events(call, caller, &region)))
            }
            ("ses", "SendEmail") if call.json.is_object() => {
                sending::check(call, &self.accounts, &self.ses, account_id, &region)?;
                let answer = Answer::of_service(call, service.handle(request).await);
                if answer.error.is_none() {
                    sending::deliver(call, &answer, caller, &self.accounts);
                }
                Ok(answer)
            }
            ("ses", "GetAccount") => {
                let answer = Answer::of_service(call, service.handle(request).await);
                Ok(sending::amend_account(call, answer, &self.accounts, account_id))
            }
            ("iam", "GetUser") => {
                let mut answer = Answer::of_service(call, service.handle(request).await);
                if self.accounts.faults(account_id).console_login {
                    iam_caller::add_console_login(&mut answer);
                }
                Ok(answer)
            }
            ("sqs", "ReceiveMessage") => {
                let wait = queue::wait_time(call, &self.sqs, account_id, &region);
                Ok(self.arrivals.receive(service.as_ref(), call, caller, account_id, &region, wait).await)
            }
            ("sqs", _) => {
                let answer = Answer::of_service(call, service.handle(request).await);
                self.arrivals.announce();
                Ok(answer)
            }
            _ => Ok(Answer::of_service(call, service.handle(request).await)),
        }
    }

    fn allow(&self, call: &Call, caller: &Caller, needs: &[Need], region: &str, peer: IpAddr) -> Result<(), Refusal> {
        if needs.is_empty() && !caller.is_root() {
            return Err(Refusal::Denied(Denial {
                principal: caller.arn().to_owned(),
                action: format!("{}:{}", call.service, call.operation),
                resource: "*".to_owned(),
                reason: Reason::Unmapped,
            }));
        }
        self.authority.check(caller, needs, region, peer).map_err(Refusal::Denied)
    }
}

/// Even an empty sleep costs up to a tick of the timer, which every request would pay twice.
async fn pause(time: Duration) {
    if !time.is_zero() {
        tokio::time::sleep(time).await;
    }
}

/// A service that knows no IAM actions would let everybody do everything.
fn check_enforcement(services: &BTreeMap<String, Arc<dyn AwsService>>) -> anyhow::Result<()> {
    for (name, service) in services {
        anyhow::ensure!(
            service.iam_enforceable() || MAPPED_HERE.contains(&name.as_str()),
            "the stand-in's {name} enforces no policies"
        );
    }
    Ok(())
}
