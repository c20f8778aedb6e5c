//! A host with one function for tests. The function is a process of this test program ([`super::fake_function`]).

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use fakecloud_core::auth::{SessionCredentialIssuer, SessionCredentials};
use rustix::process::Pid;
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub(crate) use super::fake_function::launch_config;
use super::{Endpoints, FunctionLogs, Host, HostError, HostOptions, InvokeResult, LaunchConfig};
use crate::serverless::{FunctionResource, RecursiveLoop};
use crate::service::lambda::EventSourceMappings;
use crate::service::sqs::{QueueResource, RedrivePolicy};
use crate::template::Stack;

/// The role of [`function`].
pub(super) const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/f";
/// An endpoint where nothing listens, for functions that have no event source.
pub(super) const NO_ENDPOINT: &str = "http://127.0.0.1:1";

/// Issues numbered credentials and records which were revoked.
#[derive(Default)]
pub(super) struct FakeIssuer {
    /// How many credentials were issued.
    pub(super) issued: AtomicU32,
    /// The ids of the revoked access keys.
    pub(super) revoked: Mutex<Vec<String>>,
    /// How long the credentials are valid, if not as long as requested.
    pub(super) lifetime: Option<chrono::Duration>,
}

impl SessionCredentialIssuer for FakeIssuer {
    fn issue(&self, role_arn: &str, session_name: &str, duration: chrono::Duration) -> SessionCredentials {
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        let lifetime = self.lifetime.unwrap_or(duration);
        SessionCredentials {
            access_key_id: format!("ASIA{number:016}"),
            secret_access_key: "secret".to_owned(),
            session_token: format!("{role_arn}/{session_name}"),
            expiration: chrono::DateTime::from_timestamp(super::now().as_second() + lifetime.num_seconds(), 0).unwrap(),
            account_id: "123456789012".to_owned(),
        }
    }

    fn revoke(&self, credentials: &SessionCredentials) {
        self.revoked.lock().unwrap().push(credentials.access_key_id.clone());
    }
}

/// A function without triggers.
pub(crate) fn function(name: &str) -> FunctionResource {
    FunctionResource {
        logical_id: name.to_owned(),
        name: name.to_owned(),
        arn: format!("arn:aws:lambda:us-east-1:123456789012:function:{name}"),
        binary: name.to_owned(),
        handler: "bootstrap".to_owned(),
        timeout: Duration::from_secs(20),
        memory_mb: 256,
        environment: BTreeMap::from([("TABLE".to_owned(), "records".to_owned())]),
        role_arn: ROLE_ARN.to_owned(),
        reserved_concurrency: None,
        recursive_loop: RecursiveLoop::Terminate,
        log_group: format!("/aws/lambda/{name}"),
        routes: Vec::new(),
        mappings: Vec::new(),
        schedules: Vec::new(),
    }
}

/// A queue of a service that listens at `endpoint`.
fn queue(name: &str, endpoint: &str, redrive: Option<RedrivePolicy>) -> QueueResource {
    QueueResource {
        logical_id: name.to_owned(),
        name: name.to_owned(),
        url: format!("{endpoint}/123456789012/{name}"),
        arn: format!("arn:aws:sqs:us-east-1:123456789012:{name}"),
        visibility_timeout: Duration::from_secs(120),
        delay: Duration::ZERO,
        retention: Duration::from_secs(345_600),
        receive_wait: Duration::ZERO,
        maximum_message_size: 1_048_576,
        redrive,
        redrive_allow_policy: None,
        policy: None,
    }
}

/// A host of the function `f`, changed by `change`, with at most four environments.
pub(super) fn host(change: impl FnOnce(&mut FunctionResource)) -> Host {
    let mut function = function("f");
    change(&mut function);
    host_of(function, Arc::default(), 4, NO_ENDPOINT)
}

/// A host of a function that polls queues at `endpoint`.
pub(super) fn host_of(
    function: FunctionResource,
    issuer: Arc<FakeIssuer>,
    max_environments: u32,
    endpoint: &str,
) -> Host {
    launched_host(function, issuer, max_environments, endpoint, launch_config()).unwrap()
}

/// A host whose processes are started as `launch` says.
pub(super) fn launched_host(
    function: FunctionResource,
    issuer: Arc<FakeIssuer>,
    max_environments: u32,
    endpoint: &str,
    launch: LaunchConfig,
) -> Result<Host, HostError> {
    let dead_letter_arn = "arn:aws:sqs:us-east-1:123456789012:dead".to_owned();
    let mut stack = Stack::new("stack", "123456789012", "us-east-1");
    stack.add(queue("mails", endpoint, Some(RedrivePolicy { dead_letter_arn, max_receive_count: 5 })));
    stack.add(queue("dead", endpoint, None));
    stack.add(function);
    let mappings = EventSourceMappings::default();
    mappings.add_all(&stack);
    Host::new(HostOptions {
        stack: Arc::new(stack),
        launch,
        endpoints: Endpoints { aws: endpoint.to_owned(), tenant_aws: Some("http://tenant".to_owned()) },
        mappings,
        credentials: issuer,
        max_environments,
        logs: Arc::new(FunctionLogs::new(None).unwrap()),
    })
}

/// Invokes the function `f`.
pub(super) async fn invoke(host: &Host, payload: Value) -> InvokeResult {
    host.invoke("f", Bytes::from(payload.to_string())).await
}

/// The response of an invocation that succeeded.
pub(super) fn response(result: InvokeResult) -> Value {
    match result {
        InvokeResult::Response(body) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The error object of an invocation that failed.
pub(super) fn error(result: InvokeResult) -> Value {
    match result {
        InvokeResult::FunctionError(body) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The process id that the fake function reports.
pub(super) fn pid_of(response: &Value) -> Pid {
    Pid::from_raw(i32::try_from(response["pid"].as_u64().unwrap()).unwrap()).unwrap()
}

/// The state of a process in /proc: R (running), S (sleeping), T (stopped), Z (zombie); `None` if there is no such process.
pub(super) fn state_of(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

/// Polls until `condition` is true.
pub(super) async fn eventually(description: &str, mut condition: impl FnMut() -> bool) {
    const TIMEOUT: Duration = Duration::from_secs(60);
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < TIMEOUT, "waited {TIMEOUT:?} until {description}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Invokes the function `f` in the background with an invocation of `ms` milliseconds, and waits until it runs.
pub(super) async fn start_sleeping(host: &Host, ms: u32) -> JoinHandle<InvokeResult> {
    let running = tokio::spawn({
        let host = host.clone();
        async move { invoke(&host, json!({"do": "sleep", "ms": ms})).await }
    });
    eventually("an environment is busy", || host.environments().iter().any(|one| one.state == "busy")).await;
    running
}
