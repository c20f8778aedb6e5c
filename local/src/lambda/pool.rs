//! The execution environments of one function: started as invocations come, frozen between them, reused, retired.

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
use super::environment::{Environment, StartError, Surroundings};
use super::lineage::Lineage;
use super::runtime_api::{PAYLOAD_LIMIT, Phase, Reply, Work, error};
use crate::template::stack::Function;

/// How long initialization may take before the function's own timeout starts to run (Lambda developer guide, "Understanding
/// the Lambda execution environment lifecycle": 10 s, then again within the invocation).
const INIT_LIMIT: Duration = Duration::from_secs(10);

/// An environment is not given an invocation that could outlive its credentials by less than this.
const CREDENTIALS_MARGIN: Duration = Duration::from_secs(60);

/// An environment as `GET /_local/environments` shows it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct EnvironmentStatus {
    /// The function's name.
    pub(crate) function: String,
    /// The binary it runs.
    pub(crate) binary: String,
    /// The process id.
    pub(crate) pid: u32,
    /// `starting`, `idle` (frozen) or `busy`.
    pub(crate) state: &'static str,
}

/// A function and its environments.
pub(super) struct Pool {
    /// The function.
    pub(super) function: Function,
    surroundings: Surroundings,
    /// Environments at most, on this machine.
    room: Arc<Semaphore>,
    most: u32,
    /// The function's reserved concurrency: what goes beyond is throttled.
    reserved: Option<Arc<Semaphore>>,
    idle: Mutex<Vec<Environment>>,
    /// Every process that runs, by a number of its own.
    alive: Mutex<BTreeMap<u64, Alive>>,
    started: AtomicU64,
    closed: AtomicBool,
}

struct Alive {
    pid: u32,
    phase: watch::Receiver<Phase>,
}

/// What an invocation holds for as long as it takes up an environment.
struct Permits {
    _reserved: Option<OwnedSemaphorePermit>,
    _room: OwnedSemaphorePermit,
}

impl Pool {
    /// A pool of at most so many environments.
    pub(super) fn new(function: Function, surroundings: Surroundings, max_environments: u32) -> Arc<Self> {
        let permits = |count: u32| Arc::new(Semaphore::new(usize::try_from(count).unwrap_or(Semaphore::MAX_PERMITS)));
        Arc::new(Self {
            room: permits(max_environments),
            most: max_environments,
            reserved: function.reserved_concurrency.map(permits),
            function,
            surroundings,
            idle: Mutex::default(),
            alive: Mutex::default(),
            started: AtomicU64::new(0),
            closed: AtomicBool::new(false),
        })
    }

    /// How many invocations can run at once.
    pub(super) fn concurrency(&self) -> u32 {
        self.function.reserved_concurrency.map_or(self.most, |reserved| reserved.min(self.most))
    }

    /// Invokes the function and waits for its answer. The invocation goes on if the caller goes away.
    pub(super) async fn invoke(self: &Arc<Self>, payload: Bytes, lineage: Lineage) -> InvokeResult {
        match self.begin(payload, lineage).await {
            Ok(running) => running.await,
            Err(refused) => refused,
        }
    }

    /// Waits until there is room for one more environment and invokes the function. What is answered is the rest of the wait: a
    /// caller with a time limit starts to count there, because Lambda itself would not have made it wait for room.
    ///
    /// # Errors
    /// The invocation was not made.
    pub(super) async fn begin(
        self: &Arc<Self>,
        payload: Bytes,
        lineage: Lineage,
    ) -> Result<impl Future<Output = InvokeResult> + use<>, InvokeResult> {
        if payload.len() > PAYLOAD_LIMIT {
            return Err(InvokeResult::TooLarge);
        }
        let reserved = match &self.reserved {
            None => None,
            Some(reserved) => match Arc::clone(reserved).try_acquire_owned() {
                Ok(permit) => Some(permit),
                Err(_) => return Err(InvokeResult::Throttled),
            },
        };
        let Ok(room) = Arc::clone(&self.room).acquire_owned().await else {
            return Err(InvokeResult::Throttled);
        };
        let permits = Permits { _reserved: reserved, _room: room };
        let pool = Arc::clone(self);
        let running = tokio::spawn(async move { pool.run(payload, lineage, permits).await });
        Ok(async move {
            let given_up =
                |_| InvokeResult::FunctionError(error("-", "Runtime.Unknown", "the invocation was given up"));
            running.await.unwrap_or_else(given_up)
        })
    }

    /// The environments there are.
    pub(super) fn environments(&self) -> Vec<EnvironmentStatus> {
        let state = |phase: Phase| match phase {
            Phase::Starting => Some("starting"),
            Phase::Idle => Some("idle"),
            Phase::Busy => Some("busy"),
            Phase::Gone => None,
        };
        let alive = lock(&self.alive);
        let status = |alive: &Alive| {
            Some(EnvironmentStatus {
                function: self.function.name.clone(),
                binary: self.function.binary.clone(),
                pid: alive.pid,
                state: state(*alive.phase.borrow())?,
            })
        };
        alive.values().filter_map(status).collect()
    }

    /// Waits for what runs, kills all environments and waits for their end.
    pub(super) async fn shut_down(&self, deadline: Instant) {
        let _ = timeout_at(deadline, self.room.acquire_many(self.most)).await;
        self.room.close();
        self.closed.store(true, Ordering::SeqCst);
        lock(&self.idle).clear();
        let mut phases: Vec<_> = lock(&self.alive).values().map(|alive| (alive.pid, alive.phase.clone())).collect();
        for (pid, phase) in &mut phases {
            if *phase.borrow() != Phase::Gone
                && let Some(group) = i32::try_from(*pid).ok().and_then(rustix::process::Pid::from_raw)
            {
                let _ = rustix::process::kill_process_group(group, rustix::process::Signal::KILL);
            }
            let _ = phase.wait_for(|phase| *phase == Phase::Gone).await;
        }
    }

    async fn run(self: Arc<Self>, payload: Bytes, lineage: Lineage, permits: Permits) -> InvokeResult {
        let request_id = clock::request_id();
        let environment = match self.obtain(&request_id).await {
            Ok(environment) => environment,
            Err(error) => return InvokeResult::FunctionError(error),
        };
        let log = |line: String| self.surroundings.logs.write(&self.function.name, &environment.stream, &line);
        log(format!("START RequestId: {request_id} Version: $LATEST"));
        let timeout = self.function.timeout;
        let (begun, now) = (Instant::now(), clock::now());
        let deadline = begun + timeout;
        let reply = environment.begin(Work {
            request_id: request_id.clone(),
            deadline_ms: clock::later(now, timeout).as_millisecond(),
            function_arn: self.function.arn.clone(),
            trace: lineage.step(&self.function.arn).header(now),
            payload,
        });
        let result = match timeout_at(deadline, reply).await {
            Ok(Ok(Reply::Response(body))) => InvokeResult::Response(body),
            Ok(Ok(Reply::Error(body))) => InvokeResult::FunctionError(body),
            Ok(Err(_)) => InvokeResult::FunctionError(environment.end_of(&request_id)),
            Err(_) => {
                let reason = format!("Task timed out after {:.2} seconds", timeout.as_secs_f64());
                environment.kill("Sandbox.Timedout", &reason);
                log(format!("{now} {request_id} {reason}"));
                InvokeResult::FunctionError(error(&request_id, "Sandbox.Timedout", &reason))
            }
        };
        let duration = begun.elapsed().as_secs_f64() * 1000.0;
        let memory = self.function.memory_mb;
        log(format!("END RequestId: {request_id}"));
        log(format!("REPORT RequestId: {request_id}\tDuration: {duration:.2} ms\tMemory Size: {memory} MB"));
        tokio::spawn(Arc::clone(&self).settle(environment, deadline, permits));
        result
    }

    /// Waits until the process asks for more work, freezes it and keeps it. One that does not ask before the invocation's
    /// deadline is killed.
    async fn settle(self: Arc<Self>, environment: Environment, deadline: Instant, permits: Permits) {
        let mut phase = environment.phase();
        let ready = timeout_at(deadline, phase.wait_for(|phase| matches!(phase, Phase::Idle | Phase::Gone)))
            .await
            .map(|ready| ready.map(|phase| *phase));
        if matches!(ready, Ok(Ok(Phase::Idle))) && !self.closed.load(Ordering::SeqCst) {
            environment.freeze();
            lock(&self.idle).push(environment);
        }
        drop(permits);
    }

    /// An idle environment, the last used first, or a new one.
    async fn obtain(self: &Arc<Self>, request_id: &str) -> Result<Environment, Bytes> {
        let needed_until = clock::later(clock::now(), self.function.timeout + CREDENTIALS_MARGIN);
        loop {
            let Some(environment) = lock(&self.idle).pop() else { break };
            if *environment.phase().borrow() == Phase::Idle && environment.expires_at > needed_until {
                return Ok(environment);
            }
        }
        self.start(request_id).await
    }

    async fn start(self: &Arc<Self>, request_id: &str) -> Result<Environment, Bytes> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let pool = Arc::downgrade(self);
        let on_end = move || {
            if let Some(pool) = pool.upgrade() {
                lock(&pool.alive).remove(&number);
            }
        };
        let environment = match Environment::start(&self.function, &self.surroundings, on_end).await {
            Ok(environment) => environment,
            Err(failure) => {
                let (StartError::Listen { source, .. } | StartError::Spawn { source, .. }) = &failure;
                tracing::error!(function = self.function.name, %failure, %source, "an execution environment did not start");
                return Err(error(request_id, "Runtime.InvalidEntrypoint", &failure.to_string()));
            }
        };
        let mut phase = environment.phase();
        if *phase.borrow() != Phase::Gone {
            lock(&self.alive).insert(number, Alive { pid: environment.pid, phase: phase.clone() });
        }
        let limit = Instant::now() + INIT_LIMIT + self.function.timeout;
        let ready = timeout_at(limit, phase.wait_for(|phase| *phase != Phase::Starting))
            .await
            .map(|ready| ready.map(|phase| *phase));
        match ready {
            Ok(Ok(Phase::Idle)) => Ok(environment),
            Err(_) => {
                let reason = "the function did not ask for work in time";
                environment.kill("Sandbox.Timedout", reason);
                Err(error(request_id, "Sandbox.Timedout", reason))
            }
            Ok(_) => Err(environment.end_of(request_id)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
