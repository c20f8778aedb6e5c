//! The execution environments of one function: started when an invocation needs one, frozen between invocations, reused
//! and retired.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::body::Bytes;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, timeout_at};

use super::InvokeResult;
use super::clock;
use super::environment::{EnvironmentConfig, ExecutionEnvironment, StartError};
use super::lineage::Lineage;
use super::runtime_api::{MAX_PAYLOAD_BYTES, Phase, Reply, RuntimeInvocation, error_object};
use crate::serverless::FunctionResource;

/// How long initialization may take before the function's own timeout starts (Lambda developer guide, "Understanding the
/// Lambda execution environment lifecycle": 10 s, then once more within the invocation).
const INIT_TIMEOUT: Duration = Duration::from_secs(10);

/// An environment is only reused if its credentials stay valid for the function's timeout and this much longer.
const CREDENTIALS_MARGIN: Duration = Duration::from_secs(60);

/// An execution environment as `GET /_local/environments` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EnvironmentStatus {
    /// The function's name.
    pub(crate) function: String,
    /// The name of its binary.
    pub(crate) binary: String,
    /// The process id.
    pub(crate) pid: u32,
    /// `starting`, `idle` (frozen) or `busy`.
    pub(crate) state: &'static str,
}

/// A function and its execution environments.
pub(super) struct Pool {
    /// The function.
    pub(super) function: FunctionResource,
    config: EnvironmentConfig,
    /// One permit for each environment that this machine may run; an invocation waits for one.
    capacity: Arc<Semaphore>,
    max_environments: u32,
    /// One permit for each invocation of the function's reserved concurrency; without one, an invocation is throttled.
    reserved: Option<Arc<Semaphore>>,
    idle: Mutex<Vec<ExecutionEnvironment>>,
    /// Every running process, by the number of its start.
    live: Mutex<BTreeMap<u64, LiveProcess>>,
    starts: AtomicU64,
    is_shut_down: AtomicBool,
}

struct LiveProcess {
    pid: u32,
    phase: watch::Receiver<Phase>,
}

/// What an invocation holds while it occupies an environment.
struct Permits {
    _reserved: Option<OwnedSemaphorePermit>,
    _capacity: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool with at most `max_environments` environments.
    pub(super) fn new(function: FunctionResource, config: EnvironmentConfig, max_environments: u32) -> Arc<Self> {
        let permits = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            capacity: permits(max_environments),
            max_environments,
            reserved: function.reserved_concurrency.map(permits),
            function,
            config,
            idle: Mutex::default(),
            live: Mutex::default(),
            starts: AtomicU64::new(0),
            is_shut_down: AtomicBool::new(false),
        })
    }

    /// How many invocations can run at the same time.
    pub(super) fn max_concurrency(&self) -> u32 {
        let reserved = self.function.reserved_concurrency;
        reserved.map_or(self.max_environments, |reserved| reserved.min(self.max_environments))
    }

    /// Invokes the function and waits for its result. The invocation continues if the caller stops waiting.
    pub(super) async fn invoke(self: &Arc<Self>, payload: Bytes, lineage: Lineage) -> InvokeResult {
        match self.start_invocation(payload, lineage).await {
            Ok(running) => running.await,
            Err(rejected) => rejected,
        }
    }

    /// Waits until there is capacity for one more environment and invokes the function. Returns a future of the result. A
    /// caller with a timeout starts it here, because Lambda itself would not have made it wait for capacity.
    ///
    /// # Errors
    /// The function was not invoked.
    pub(super) async fn start_invocation(
        self: &Arc<Self>,
        payload: Bytes,
        lineage: Lineage,
    ) -> Result<impl Future<Output = InvokeResult> + use<>, InvokeResult> {
        if payload.len() > MAX_PAYLOAD_BYTES {
            return Err(InvokeResult::TooLarge);
        }
        let reserved = match &self.reserved {
            None => None,
            Some(reserved) => match Arc::clone(reserved).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return Err(InvokeResult::Throttled),
            },
        };
        let Ok(capacity) = Arc::clone(&self.capacity).acquire_owned().await else {
            return Err(InvokeResult::Throttled);
        };
        let permits = Permits { _reserved: reserved, _capacity: capacity };
        let pool = Arc::clone(self);
        let running = tokio::spawn(async move { pool.run_invocation(payload, lineage, permits).await });
        Ok(async move {
            let aborted =
                |_| InvokeResult::FunctionError(error_object("-", "Runtime.Unknown", "the invocation was aborted"));
            running.await.unwrap_or_else(aborted)
        })
    }

    /// The environments that exist.
    pub(super) fn environments(&self) -> Vec<EnvironmentStatus> {
        let state = |phase: Phase| match phase {
            Phase::Starting => Some("starting"),
            Phase::Idle => Some("idle"),
            Phase::Busy => Some("busy"),
            Phase::Gone => None,
        };
        let live = lock(&self.live);
        let status = |process: &LiveProcess| {
            Some(EnvironmentStatus {
                function: self.function.name.clone(),
                binary: self.function.binary.clone(),
                pid: process.pid,
                state: state(*process.phase.borrow())?,
            })
        };
        live.values().filter_map(status).collect()
    }

    /// Waits until running invocations have ended or the deadline has passed, then kills all environments and waits until
    /// they have ended.
    pub(super) async fn shut_down(&self, deadline: Instant) {
        let _ = timeout_at(deadline, self.capacity.acquire_many(self.max_environments)).await;
        self.capacity.close();
        self.is_shut_down.store(true, Ordering::SeqCst);
        lock(&self.idle).clear();
        let mut phases: Vec<_> =
            lock(&self.live).values().map(|process| (process.pid, process.phase.clone())).collect();
        for (pid, phase) in &mut phases {
            if *phase.borrow() != Phase::Gone
                && let Some(group) = i32::try_from(*pid).ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = phase.wait_for(|phase| *phase == Phase::Gone).await;
        }
    }

    async fn run_invocation(self: Arc<Self>, payload: Bytes, lineage: Lineage, permits: Permits) -> InvokeResult {
        let request_id = clock::request_id();
        let environment = match self.acquire_environment(&request_id).await {
            Ok(environment) => environment,
            Err(error) => return InvokeResult::FunctionError(error),
        };
        let log = |line: String| self.config.logs.write(&self.function.name, &environment.log_stream, &line);
        log(format!("START RequestId: {request_id} Version: $LATEST"));
        let timeout = self.function.timeout;
        let (started, now) = (Instant::now(), clock::now());
        let deadline = started + timeout;
        let reply = environment.start_invocation(RuntimeInvocation {
            request_id: request_id.clone(),
            deadline_ms: clock::add(now, timeout).as_millisecond(),
            function_arn: self.function.arn.clone(),
            trace_header: lineage.after_invocation_of(&self.function.arn).to_trace_header(now),
            payload,
        });
        let result = match timeout_at(deadline, reply).await {
            Ok(Ok(Reply::Response(body))) => InvokeResult::Response(body),
            Ok(Ok(Reply::Error(body))) => InvokeResult::FunctionError(body),
            Ok(Err(_)) => InvokeResult::FunctionError(environment.exit_error(&request_id)),
            Err(_) => {
                let reason = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
                environment.kill("Sandbox.Timedout", &reason);
                log(format!("{now} {request_id} {reason}"));
                InvokeResult::FunctionError(error_object(&request_id, "Sandbox.Timedout", &reason))
            }
        };
        let duration = started.elapsed().as_secs_f64() * 1000.0;
        let memory = self.function.memory_mb;
        log(format!("END RequestId: {request_id}"));
        log(format!("REPORT RequestId: {request_id}\tDuration: {duration:.2} ms\tMemory Size: {memory} MB"));
        tokio::spawn(Arc::clone(&self).release(environment, deadline, permits));
        result
    }

    /// Waits until the process asks for the next invocation, then freezes and keeps it. A process that does not ask before
    /// the deadline of its invocation is killed.
    async fn release(self: Arc<Self>, environment: ExecutionEnvironment, deadline: Instant, permits: Permits) {
        let mut phase = environment.phase();
        let ready = timeout_at(deadline, phase.wait_for(|phase| matches!(phase, Phase::Idle | Phase::Gone)))
            .await
            .map(|ready| ready.map(|phase| *phase));
        if matches!(ready, Ok(Ok(Phase::Idle))) && !self.is_shut_down.load(Ordering::SeqCst) {
            environment.freeze();
            lock(&self.idle).push(environment);
        }
        drop(permits);
    }

    /// An idle environment, preferably the last used one, or a new one.
    async fn acquire_environment(self: &Arc<Self>, request_id: &str) -> Result<ExecutionEnvironment, Bytes> {
        let needed_until = clock::add(clock::now(), self.function.timeout + CREDENTIALS_MARGIN);
        loop {
            let Some(environment) = lock(&self.idle).pop() else { break };
            if *environment.phase().borrow() == Phase::Idle && environment.expires_at > needed_until {
                return Ok(environment);
            }
        }
        self.start_environment(request_id).await
    }

    async fn start_environment(self: &Arc<Self>, request_id: &str) -> Result<ExecutionEnvironment, Bytes> {
        let number = self.starts.fetch_add(1, Ordering::SeqCst);
        let pool = Arc::downgrade(self);
        let on_end = move || {
            if let Some(pool) = pool.upgrade() {
                lock(&pool.live).remove(&number);
            }
        };
        let environment = match ExecutionEnvironment::start(&self.function, &self.config, on_end).await {
            Ok(environment) => environment,
            Err(failure) => {
                let (StartError::Listen { source, .. } | StartError::Spawn { source, .. }) = &failure;
                tracing::error!(function = self.function.name, %failure, %source, "an execution environment could not be started");
                return Err(error_object(request_id, "Runtime.InvalidEntrypoint", &failure.to_string()));
            }
        };
        let mut phase = environment.phase();
        if *phase.borrow() != Phase::Gone {
            lock(&self.live).insert(number, LiveProcess { pid: environment.pid, phase: phase.clone() });
        }
        let deadline = Instant::now() + INIT_TIMEOUT + self.function.timeout;
        let ready = timeout_at(deadline, phase.wait_for(|phase| *phase != Phase::Starting))
            .await
            .map(|ready| ready.map(|phase| *phase));
        match ready {
            Ok(Ok(Phase::Idle)) => Ok(environment),
            Err(_) => {
                let reason = "the function did not ask for an invocation in time";
                environment.kill("Sandbox.Timedout", reason);
                Err(error_object(request_id, "Sandbox.Timedout", reason))
            }
            Ok(_) => Err(environment.exit_error(request_id)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
