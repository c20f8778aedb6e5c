//! Runs the functions as the Lambda service does: with execution environments that are processes, event source mappings
//! and schedules.

mod clock;
mod environment;
#[cfg(test)]
mod fake_function;
#[cfg(test)]
pub(crate) mod fixtures;
mod lineage;
mod logs;
mod parent;
mod poller;
mod pool;
mod runtime_api;
mod scheduler;
mod sqs_client;
mod sqs_event;
#[cfg(test)]
mod tests;
mod variables;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use axum::body::Bytes;
use fakecloud_core::auth::SessionCredentialIssuer;
use tokio::sync::watch;
use tokio::time::Instant;

pub(crate) use self::clock::{now, request_id};
pub(crate) use self::environment::LaunchConfig;
pub(crate) use self::logs::FunctionLogs;
pub(crate) use self::parent::{die_with_parent, exec_bootstrap};
pub(crate) use self::pool::EnvironmentStatus;
pub(crate) use self::variables::Endpoints;

use self::environment::EnvironmentConfig;
use self::lineage::Lineage;
use self::parent::ProcessSpawner;
use self::poller::QueuePoller;
use self::pool::Pool;
use crate::serverless::FunctionResource;
use crate::service::lambda::EventSourceMappings;
use crate::service::sqs::QueueResource;
use crate::template::Stack;

/// The delays before the second and third attempt of an asynchronous invocation (Lambda developer guide, "How Lambda
/// handles errors and retries with asynchronous invocation").
const RETRY_DELAYS: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
/// How long Lambda keeps trying a throttled asynchronous invocation (same page).
const MAX_EVENT_AGE: Duration = Duration::from_secs(6 * 3600);
/// The delay between two attempts of a throttled asynchronous invocation.
const THROTTLE_RETRY_DELAY: Duration = Duration::from_secs(1);

/// The name of the sessions in which Lambda itself polls queues: not the function's own, since only the function's code signs
/// with those.
const POLLER_SESSION: &str = "event-source-mapping";

/// What a host needs to run.
pub(crate) struct HostOptions {
    /// The stack whose functions the host runs.
    pub(crate) stack: Arc<Stack>,
    /// How processes are started.
    pub(crate) launch: LaunchConfig,
    /// The endpoints of the functions' SDK clients.
    pub(crate) endpoints: Endpoints,
    /// Which queues are polled.
    pub(crate) mappings: EventSourceMappings,
    /// Issues the credentials of the functions' roles.
    pub(crate) credentials: Arc<dyn SessionCredentialIssuer>,
    /// The most execution environments of one function.
    pub(crate) max_environments: u32,
    /// Stores the functions' logs.
    pub(crate) logs: Arc<FunctionLogs>,
}

/// Why a host cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// A function has no binary in the directory of binaries.
    #[error("the function {function} has no binary at {}", path.display())]
    NoBinary {
        /// The function.
        function: String,
        /// The path where it was expected.
        path: PathBuf,
    },
    /// The thread that starts processes did not start.
    #[error("the thread that starts the functions' processes did not start")]
    Spawner {
        /// Why.
        source: std::io::Error,
    },
}

/// How an invocation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum InvokeResult {
    /// The function succeeded: its response.
    Response(Bytes),
    /// The function failed, timed out or crashed: the error object.
    FunctionError(Bytes),
    /// The function's reserved concurrency is used up.
    Throttled,
    /// The payload is larger than 6 MB.
    TooLarge,
    /// There is no such function.
    NoSuchFunction,
}

/// Runs the functions of a stack. Clones are handles to the same host.
#[derive(Clone)]
pub(crate) struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    options: HostOptions,
    pools: BTreeMap<String, Arc<Pool>>,
    service_client: aws_sdk_sqs::Client,
    stop: watch::Sender<bool>,
}

impl Host {
    /// A host whose functions can be invoked. No queue is polled and no schedule runs before [`Host::start_triggers`].
    ///
    /// # Errors
    /// A function has no binary, or no process can be started at all.
    pub(crate) fn new(options: HostOptions) -> Result<Self, HostError> {
        let HostOptions { stack, endpoints, launch, .. } = &options;
        for function in stack.all::<FunctionResource>() {
            if let Some(path) = launch.bootstrap_path(&function.binary).filter(|path| !path.is_file()) {
                return Err(HostError::NoBinary { function: function.name.clone(), path });
            }
        }
        let config = EnvironmentConfig {
            launch: launch.clone(),
            spawner: ProcessSpawner::start().map_err(|source| HostError::Spawner { source })?,
            region: stack.region.clone(),
            endpoints: endpoints.clone(),
            credentials: Arc::clone(&options.credentials),
            logs: Arc::clone(&options.logs),
        };
        let pool = |function: &FunctionResource| {
            let pool = Pool::new(function.clone(), config.clone(), options.max_environments.max(1));
            (function.name.clone(), pool)
        };
        let pools = stack.all().map(pool).collect();
        let service_client = sqs_client::for_service(&endpoints.aws, &stack.region);
        Ok(Self { inner: Arc::new(Inner { options, pools, service_client, stop: watch::Sender::new(false) }) })
    }

    /// Starts the event source mappings and the schedules. The queues must exist.
    pub(crate) fn start_triggers(&self) {
        let HostOptions { stack, endpoints, credentials, mappings, .. } = &self.inner.options;
        for pool in self.inner.pools.values() {
            let function = &pool.function;
            for mapping in &function.mappings {
                // The template reader has checked that the queue exists.
                let Some(queue) = QueueResource::find(stack, &mapping.queue_arn) else { continue };
                let Some(polls) = mappings.polls(&mapping.uuid) else { continue };
                let dead_letter =
                    queue.redrive.as_ref().and_then(|redrive| QueueResource::find(stack, &redrive.dead_letter_arn));
                let credentials = Arc::clone(credentials);
                let client = sqs_client::for_role(
                    &endpoints.aws,
                    &stack.region,
                    credentials,
                    &function.role_arn,
                    POLLER_SESSION,
                );
                let poller = QueuePoller {
                    mapping: mapping.clone(),
                    queue: queue.clone(),
                    dead_letter_url: dead_letter.map(|queue| queue.url.clone()),
                    pool: Arc::clone(pool),
                    client,
                    service: self.inner.service_client.clone(),
                    region: stack.region.clone(),
                };
                tokio::spawn(poller.run(polls, self.inner.stop.subscribe()));
            }
            for schedule in function.schedules.iter().filter(|schedule| schedule.enabled) {
                let (host, name, stop) = (self.clone(), function.name.clone(), self.inner.stop.subscribe());
                tokio::spawn(scheduler::run(host, name, schedule.clone(), stop));
            }
        }
    }

    /// Invokes a function by name and waits for its result.
    pub(crate) async fn invoke(&self, function: &str, payload: Bytes) -> InvokeResult {
        match self.start_invocation(function, payload).await {
            Ok(running) => running.await,
            Err(rejected) => rejected,
        }
    }

    /// Waits until there is capacity for one more environment and invokes a function by name. Returns a future of the
    /// result. A caller with a timeout starts it here, because Lambda itself would not have made it wait for capacity.
    ///
    /// # Errors
    /// The function was not invoked.
    pub(crate) async fn start_invocation(
        &self,
        function: &str,
        payload: Bytes,
    ) -> Result<impl Future<Output = InvokeResult> + use<>, InvokeResult> {
        match self.inner.pools.get(function) {
            Some(pool) => pool.start_invocation(payload, Lineage::default()).await,
            None => Err(InvokeResult::NoSuchFunction),
        }
    }

    /// Invokes a function by name without waiting. After a failure it is retried twice, after one and two minutes; while it
    /// is throttled, for as long as Lambda keeps the event.
    pub(crate) fn invoke_async(&self, function: &str, payload: Bytes) {
        let (host, function) = (self.clone(), function.to_owned());
        let mut stop = self.inner.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = host.invoke_with_retries(&function, payload) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// The execution environments that exist.
    pub(crate) fn environments(&self) -> Vec<EnvironmentStatus> {
        self.inner.pools.values().flat_map(|pool| pool.environments()).collect()
    }

    /// The functions' logs.
    pub(crate) fn logs(&self) -> &FunctionLogs {
        &self.inner.options.logs
    }

    /// The stack whose functions this host runs.
    pub(crate) fn stack(&self) -> &Stack {
        &self.inner.options.stack
    }

    /// How many messages each queue holds: visible, delayed or in flight. Empty queues are left out. The messages are lost
    /// when the stand-in ends, so the user is shown these counts.
    pub(crate) async fn remaining_messages(&self) -> BTreeMap<String, u64> {
        const COUNTS: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let mut remaining = BTreeMap::new();
        for queue in self.stack().all::<QueueResource>() {
            let request = self.inner.service_client.get_queue_attributes().queue_url(&queue.url);
            let Ok(output) = request.set_attribute_names(Some(COUNTS.to_vec())).send().await else { continue };
            let attributes = output.attributes().into_iter().flatten();
            let count: u64 = attributes.filter_map(|(_, count)| count.parse::<u64>().ok()).sum();
            if count > 0 {
                remaining.insert(queue.name.clone(), count);
            }
        }
        remaining
    }

    /// Stops the triggers, waits up to `timeout` until running invocations have ended, then kills every environment and waits
    /// until it has ended.
    pub(crate) async fn shut_down(&self, timeout: Duration) {
        self.inner.stop.send_replace(true);
        let deadline = Instant::now() + timeout;
        for pool in self.inner.pools.values() {
            pool.shut_down(deadline).await;
        }
    }

    async fn invoke_with_retries(&self, function: &str, payload: Bytes) {
        let started = Instant::now();
        let mut delays = RETRY_DELAYS.iter();
        loop {
            match self.invoke(function, payload.clone()).await {
                InvokeResult::Response(_) => return,
                InvokeResult::Throttled if started.elapsed() < MAX_EVENT_AGE => {
                    tokio::time::sleep(THROTTLE_RETRY_DELAY).await;
                }
                InvokeResult::FunctionError(_) => match delays.next() {
                    Some(delay) => {
                        tracing::warn!(function, ?delay, "an asynchronous invocation failed and will be retried");
                        tokio::time::sleep(*delay).await;
                    }
                    None => {
                        tracing::error!(function, "an asynchronous invocation failed on its last attempt");
                        return;
                    }
                },
                InvokeResult::Throttled | InvokeResult::TooLarge | InvokeResult::NoSuchFunction => {
                    tracing::error!(
                        function,
                        "an asynchronous invocation was dropped: throttled too long, too large, or no such function"
                    );
                    return;
                }
            }
        }
    }
}
