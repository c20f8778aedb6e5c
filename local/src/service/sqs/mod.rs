//! SQS: queues and their messages.

mod deliver;
mod move_task;
mod policy;
mod queue;
mod receive;
mod trace;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::http::StatusCode;
use fakecloud_core::auth::ResourcePolicyProvider;
use fakecloud_sqs::delivery::SqsDeliveryImpl;
use fakecloud_sqs::resource_policy::SqsResourcePolicyProvider;
use fakecloud_sqs::{SharedSqsState, SqsService};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::sync::Notify;

pub(crate) use self::deliver::DeliveringService;
pub(crate) use self::queue::QueueResource;
#[cfg(test)]
pub(crate) use self::queue::RedrivePolicy;

use super::call::Call;
use super::caller::Caller;
use super::embedded::Embedded;
use super::error::{ErrorWording, FixedError, ServiceError, UnknownKeyWording};
use super::interface::{ServiceDefinition, ServiceList, Setup, StandInService};
use super::permission::RequiredPermission;
use super::request::ServiceRequest;
use super::response::ServiceResponse;
use crate::template::Stack;

pub(super) const SERVICE: ServiceDefinition =
    ServiceDefinition { resource_types: &[queue::RESOURCE_TYPE, queue::POLICY_TYPE], start: Sqs::start };

/// SQS of all accounts.
pub(crate) struct Sqs {
    embedded: Embedded,
    state: SharedSqsState,
    policies: Arc<dyn ResourcePolicyProvider>,
    deliveries: SqsDeliveryImpl,
    /// Wakes the polls that wait for a message.
    arrivals: Notify,
    /// The messages that were sent to a dead-letter queue, and did not come there from another queue.
    sent_to_dead_letters: Mutex<HashSet<String>>,
    /// Move tasks that failed, as ListMessageMoveTasks tells of them.
    failed_move_tasks: Mutex<Vec<Value>>,
    setup: Setup,
}

impl Sqs {
    fn start(setup: &Setup, _services: &ServiceList) -> anyhow::Result<Arc<dyn StandInService>> {
        let state: SharedSqsState = setup.state();
        Ok(Arc::new(Self {
            embedded: Embedded::enforcing(SqsService::new(state.clone()).with_region(&setup.region))?,
            policies: SqsResourcePolicyProvider::shared(state.clone()),
            deliveries: SqsDeliveryImpl::new(state.clone()),
            state,
            arrivals: Notify::new(),
            sent_to_dead_letters: Mutex::default(),
            failed_move_tasks: Mutex::default(),
            setup: setup.clone(),
        }))
    }

    /// How long a ReceiveMessage waits: as it says, else as the queue says.
    fn wait_time(&self, request: &ServiceRequest<'_>) -> Duration {
        let asked = request.call.json["WaitTimeSeconds"].as_u64();
        let seconds = asked.or_else(|| {
            let accounts = self.state.read();
            let state = accounts.regional(request.account_id, request.region)?;
            let queue = state.queues.get(state.name_to_url.get(queue_name(request.call)?)?)?;
            queue.attributes.get("ReceiveMessageWaitTimeSeconds")?.parse().ok()
        });
        Duration::from_secs(seconds.unwrap_or(0).min(20))
    }
}

#[async_trait]
impl StandInService for Sqs {
    fn names(&self) -> &'static [&'static str] {
        &["sqs"]
    }

    async fn provision(&self, stack: &Stack) -> anyhow::Result<()> {
        self.create_queues(stack).await
    }

    fn fault_targets(&self, call: &Call) -> Vec<String> {
        queue_name(call).map(str::to_owned).into_iter().collect()
    }

    fn error_wording(&self) -> ErrorWording {
        ErrorWording {
            throttled: FixedError::new(StatusCode::BAD_REQUEST, "RequestThrottled", "Request is throttled."),
            unknown_key: UnknownKeyWording::Code("InvalidClientTokenId"),
            ..ErrorWording::DEFAULT
        }
    }

    /// The account in the queue's URL, or in GetQueueUrl's own field:
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_GetQueueUrl.html>.
    fn owner<'a>(&self, call: &'a Call) -> Option<&'a str> {
        let from_url = call.json["QueueUrl"].as_str().and_then(|url| url.rsplit('/').nth(1));
        from_url.or_else(|| call.json["QueueOwnerAWSAccountId"].as_str())
    }

    fn complete(&self, call: &mut Call, _caller: &Caller) -> Result<(), ServiceError> {
        trace::add_trace_header(call);
        Ok(())
    }

    fn required_permissions(&self, request: &ServiceRequest<'_>) -> Vec<RequiredPermission> {
        let mut permissions = self.embedded.required_permissions(request);
        for permission in &mut permissions {
            // SQS has no actions for batches: "for the batch version of an action, the permission is the one of the action itself".
            // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-api-permissions-reference.html>
            if let Some(single) = permission.action.strip_suffix("Batch") {
                permission.action = single.to_owned();
            }
            permission.resource = owned_by(&permission.resource, request.account_id);
        }
        permissions
    }

    fn resource_policies(&self) -> Option<Arc<dyn ResourcePolicyProvider>> {
        Some(self.policies.clone())
    }

    async fn handle(&self, request: &ServiceRequest<'_>) -> Result<ServiceResponse, ServiceError> {
        if request.call.operation == "ReceiveMessage" {
            return Ok(self.receive(request, self.wait_time(request)).await);
        }
        policy::check_call(request.call)?;
        if let Some(response) = self.fail_move_task(request) {
            return Ok(response);
        }
        let response = self.embedded.handle(request).await;
        self.note_sent(request, &response);
        let response = self.list_failed_move_tasks(request, response);
        self.arrivals.notify_waiters();
        Ok(response)
    }
}

/// The name of the queue that a call is about.
fn queue_name(call: &Call) -> Option<&str> {
    match &call.json["QueueUrl"] {
        Value::String(url) => url.rsplit('/').next(),
        _ => call.json["QueueName"].as_str(),
    }
}

/// The embedded service takes every queue for one of the caller's account.
fn owned_by(queue_arn: &str, account_id: &str) -> String {
    match queue_arn.splitn(6, ':').collect::<Vec<_>>()[..] {
        [arn, partition, sqs, region, _, name] => [arn, partition, sqs, region, account_id, name].join(":"),
        _ => queue_arn.to_owned(),
    }
}
