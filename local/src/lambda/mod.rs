//! Runs the functions as Lambda does: execution environments that are processes, event source mappings, schedules.

mod clock;
mod environment;
mod lineage;
mod logs;
mod mapping;
mod parent;
mod pool;
mod role_client;
mod runtime_api;
pub(crate) mod schedule;
mod scheduler;
mod sqs_event;
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
pub(crate) use self::environment::Launch;
pub(crate) use self::logs::Logs;
pub(crate) use self::parent::{become_bootstrap, die_with_parent};
pub(crate) use self::pool::EnvironmentStatus;
pub(crate) use self::variables::Endpoints;

use self::environment::Surroundings;
use self::lineage::Lineage;
use self::mapping::Source;
use self::parent::Spawner;
use self::pool::Pool;
use self::schedule::Expression;
use crate::template::stack::{Function, Stack};

/// Pauses before the second and third attempt of an asynchronous invocation (Lambda developer guide, "How Lambda handles errors
/// and retries with asynchronous invocation").
const RETRY_PAUSES: [Duration; 2] = [Duration::from_secs(60), Duration::from_secs(120)];
/// How long a throttled asynchronous invocation is tried again (same page), and how often.
const THROTTLED_FOR: Duration = Duration::from_secs(6 * 3600);
const THROTTLED_PAUSE: Duration = Duration::from_secs(1);

/// What the host needs.
pub(crate) struct Options {
    /// The stack whose functions it runs.
    pub(crate) stack: Arc<Stack>,
    /// How processes are started.
    pub(crate) launch: Launch,
    /// Where the functions' SDK clients are pointed to.
    pub(crate) endpoints: Endpoints,
    /// Issues the roles' credentials.
    pub(crate) credentials: Arc<dyn SessionCredentialIssuer>,
    /// Environments of one function at most.
    pub(crate) max_environments: u32,
    /// Takes what the functions write.
    pub(crate) logs: Arc<Logs>,
}

/// Why the host cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HostError {
    /// A function has no binary in the directory of binaries.
    #[error("the function {function} has no binary at {}", path.display())]
    NoBinary {
        /// The function.
        function: String,
        /// Where it should be.
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
    /// The function's response.
    Response(Bytes),
    /// The function failed, timed out or crashed: the error object.
    FunctionError(Bytes),
    /// More invocations than the function's reserved concurrency.
    Throttled,
    /// The payload is beyond 6 MB.
    TooLarge,
    /// There is no such function.
    NoSuchFunction,
}

/// The stack's functions at work. Clones are handles to the same host.
#[derive(Clone)]
pub(crate) struct Host {
    inner: Arc<Inner>,
}

struct Inner {
    options: Options,
    pools: BTreeMap<String, Arc<Pool>>,
    service: aws_sdk_sqs::Client,
    stop: watch::Sender<bool>,
}

impl Host {
    /// A host whose functions can be invoked. No queue is polled and no schedule runs before [`Host::start_sources`].
    ///
    /// # Errors
    /// A function's binary is not where it should be, or processes cannot be started at all.
    pub(crate) fn new(options: Options) -> Result<Self, HostError> {
        let Options { stack, endpoints, launch, .. } = &options;
        for function in &stack.functions {
            if let Some(path) = launch.bootstrap(&function.binary).filter(|path| !path.is_file()) {
                return Err(HostError::NoBinary { function: function.name.clone(), path });
            }
        }
        let surroundings = Surroundings {
            launch: launch.clone(),
            spawner: Spawner::start().map_err(|source| HostError::Spawner { source })?,
            region: stack.region.clone(),
            endpoints: endpoints.clone(),
            credentials: Arc::clone(&options.credentials),
            logs: Arc::clone(&options.logs),
        };
        let pool = |function: &Function| {
            let pool = Pool::new(function.clone(), surroundings.clone(), options.max_environments.max(1));
            (function.name.clone(), pool)
        };
        let pools = stack.functions.iter().map(pool).collect();
        let service = role_client::as_service(&endpoints.aws, &stack.region);
        Ok(Self { inner: Arc::new(Inner { options, pools, service, stop: watch::Sender::new(false) }) })
    }

    /// Starts the event source mappings and the schedules. The queues have to be there.
    pub(crate) fn start_sources(&self) {
        let Options { stack, endpoints, credentials, .. } = &self.inner.options;
        for pool in self.inner.pools.values() {
            let function = &pool.function;
            for mapping in function.mappings.iter().filter(|mapping| mapping.enabled) {
                // The template reader made sure of it.
                let Some(queue) = stack.queue_by_arn(&mapping.queue_arn) else { continue };
                let dead_letter =
                    queue.redrive.as_ref().and_then(|redrive| stack.queue_by_arn(&redrive.dead_letter_arn));
                let credentials = Arc::clone(credentials);
                let client = role_client::as_role(
                    &endpoints.aws,
                    &stack.region,
                    credentials,
                    &function.role_arn,
                    &function.name,
                );
                let source = Source {
                    mapping: mapping.clone(),
                    queue: queue.clone(),
                    dead_letter_url: dead_letter.map(|queue| queue.url.clone()),
                    pool: Arc::clone(pool),
                    client,
                    service: self.inner.service.clone(),
                    region: stack.region.clone(),
                };
                tokio::spawn(source.run(self.inner.stop.subscribe()));
            }
            for schedule in function.schedules.iter().filter(|schedule| schedule.enabled) {
                let Ok(expression) = Expression::parse(&schedule.expression) else { continue };
                let (host, name, stop) = (self.clone(), function.name.clone(), self.inner.stop.subscribe());
                tokio::spawn(scheduler::run(host, name, schedule.clone(), expression, stop));
            }
        }
    }

    /// Invokes a function by name and waits for its answer.
    pub(crate) async fn invoke(&self, function: &str, payload: Bytes) -> InvokeResult {
        match self.begin(function, payload).await {
            Ok(running) => running.await,
            Err(refused) => refused,
        }
    }

    /// Invokes a function by name once there is room for one more environment. Answers the wait for its answer, for a caller with
    /// a time limit: Lambda itself would not have made it wait for room.
    ///
    /// # Errors
    /// The invocation was not made.
    pub(crate) async fn begin(
        &self,
        function: &str,
        payload: Bytes,
    ) -> Result<impl Future<Output = InvokeResult> + use<>, InvokeResult> {
        match self.inner.pools.get(function) {
            Some(pool) => pool.begin(payload, Lineage::default()).await,
            None => Err(InvokeResult::NoSuchFunction),
        }
    }

    /// Invokes a function by name without waiting. A failure is tried twice more, after one and two minutes; throttling as long
    /// as Lambda keeps the event.
    pub(crate) fn invoke_async(&self, function: &str, payload: Bytes) {
        let (host, function) = (self.clone(), function.to_owned());
        let mut stop = self.inner.stop.subscribe();
        tokio::spawn(async move {
            tokio::select! {
                () = host.attempt(&function, payload) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        });
    }

    /// The execution environments there are.
    pub(crate) fn environments(&self) -> Vec<EnvironmentStatus> {
        self.inner.pools.values().flat_map(|pool| pool.environments()).collect()
    }

    /// What the functions wrote.
    pub(crate) fn logs(&self) -> &Logs {
        &self.inner.options.logs
    }

    /// The stack.
    pub(crate) fn stack(&self) -> &Stack {
        &self.inner.options.stack
    }

    /// How many messages each queue holds, waiting, delayed or in flight; queues without any are left out. They are gone when
    /// the stand-in ends, which the user is told.
    pub(crate) async fn messages_left(&self) -> BTreeMap<String, u64> {
        const COUNTS: [QueueAttributeName; 3] = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let mut left = BTreeMap::new();
        for queue in &self.stack().queues {
            let request = self.inner.service.get_queue_attributes().queue_url(&queue.url);
            let Ok(output) = request.set_attribute_names(Some(COUNTS.to_vec())).send().await else { continue };
            let attributes = output.attributes().into_iter().flatten();
            let count: u64 = attributes.filter_map(|(_, count)| count.parse::<u64>().ok()).sum();
            if count > 0 {
                left.insert(queue.name.clone(), count);
            }
        }
        left
    }

    /// Stops polling and scheduling, gives running invocations `grace`, then kills every environment and waits for its end.
    pub(crate) async fn shut_down(&self, grace: Duration) {
        self.inner.stop.send_replace(true);
        let deadline = Instant::now() + grace;
        for pool in self.inner.pools.values() {
            pool.shut_down(deadline).await;
        }
    }

    async fn attempt(&self, function: &str, payload: Bytes) {
        let started = Instant::now();
        let mut pauses = RETRY_PAUSES.iter();
        loop {
            match self.invoke(function, payload.clone()).await {
                InvokeResult::Response(_) => return,
                InvokeResult::Throttled if started.elapsed() < THROTTLED_FOR => {
                    tokio::time::sleep(THROTTLED_PAUSE).await;
                }
                InvokeResult::FunctionError(_) => match pauses.next() {
                    Some(pause) => {
                        tracing::warn!(function, "an asynchronous invocation failed and is tried again");
                        tokio::time::sleep(*pause).await;
                    }
                    None => {
                        tracing::error!(function, "an asynchronous invocation failed for good");
                        return;
                    }
                },
                InvokeResult::Throttled | InvokeResult::TooLarge | InvokeResult::NoSuchFunction => {
                    tracing::error!(function, "an asynchronous invocation cannot be made");
                    return;
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests;
