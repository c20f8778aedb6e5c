//! The host against real processes: this test program, started again as a function.

mod function_process;
mod mappings;
mod queue_server;

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::body::Bytes;
use fakecloud_core::auth::{SessionCredentialIssuer, SessionCredentials};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::timeout;

pub(crate) use self::function_process::launch;
use super::{Endpoints, Host, HostError, InvokeResult, Launch, Logs, Options};
use crate::template::stack::{Function, Queue, RecursiveLoop, Redrive, Stack};

const ROLE_ARN: &str = "arn:aws:iam::123456789012:role/f";

/// Issues recognisable credentials and counts what is still in use.
#[derive(Default)]
struct Issuer {
    issued: AtomicU32,
    revoked: Mutex<Vec<String>>,
    life: Option<chrono::Duration>,
}

impl SessionCredentialIssuer for Issuer {
    fn issue(&self, role_arn: &str, session_name: &str, duration: chrono::Duration) -> SessionCredentials {
        let number = self.issued.fetch_add(1, Ordering::SeqCst);
        let life = self.life.unwrap_or(duration);
        SessionCredentials {
            access_key_id: format!("ASIA{number:016}"),
            secret_access_key: "secret".to_owned(),
            session_token: format!("{role_arn}/{session_name}"),
            expiration: chrono::DateTime::from_timestamp(super::now().as_second() + life.num_seconds(), 0).unwrap(),
            account_id: "123456789012".to_owned(),
        }
    }

    fn revoke(&self, credentials: &SessionCredentials) {
        self.revoked.lock().unwrap().push(credentials.access_key_id.clone());
    }
}

fn function() -> Function {
    Function {
        logical_id: "F".to_owned(),
        name: "f".to_owned(),
        arn: "arn:aws:lambda:us-east-1:123456789012:function:f".to_owned(),
        binary: "f".to_owned(),
        handler: "bootstrap".to_owned(),
        timeout: Duration::from_secs(20),
        memory_mb: 256,
        environment: BTreeMap::from([("TABLE".to_owned(), "records".to_owned())]),
        role_arn: ROLE_ARN.to_owned(),
        reserved_concurrency: None,
        recursive_loop: RecursiveLoop::Terminate,
        log_group: "/aws/lambda/f".to_owned(),
        routes: Vec::new(),
        mappings: Vec::new(),
        schedules: Vec::new(),
    }
}

fn queue(name: &str, endpoint: &str, redrive: Option<Redrive>) -> Queue {
    Queue {
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

fn host_of(function: Function, issuer: Arc<Issuer>, most: u32, endpoint: &str) -> Host {
    host_with(function, issuer, most, endpoint, function_process::launch()).unwrap()
}

fn host_with(
    function: Function,
    issuer: Arc<Issuer>,
    most: u32,
    endpoint: &str,
    launch: Launch,
) -> Result<Host, HostError> {
    let dead_letter_arn = "arn:aws:sqs:us-east-1:123456789012:dead".to_owned();
    let stack = Stack {
        account_id: "123456789012".to_owned(),
        region: "us-east-1".to_owned(),
        tables: Vec::new(),
        queues: vec![
            queue("mails", endpoint, Some(Redrive { dead_letter_arn, max_receive_count: 5 })),
            queue("dead", endpoint, None),
        ],
        keys: Vec::new(),
        buses: Vec::new(),
        rules: Vec::new(),
        roles: Vec::new(),
        functions: vec![function],
        http_api: None,
        outputs: BTreeMap::new(),
    };
    Host::new(Options {
        stack: Arc::new(stack),
        launch,
        endpoints: Endpoints { aws: endpoint.to_owned(), tenant_aws: Some("http://tenant".to_owned()) },
        credentials: issuer,
        max_environments: most,
        logs: Arc::new(Logs::new(None).unwrap()),
    })
}

fn host(change: impl FnOnce(&mut Function)) -> Host {
    let mut function = function();
    change(&mut function);
    host_of(function, Arc::default(), 4, "http://127.0.0.1:1")
}

async fn call(host: &Host, payload: Value) -> InvokeResult {
    host.invoke("f", Bytes::from(payload.to_string())).await
}

fn response(result: InvokeResult) -> Value {
    match result {
        InvokeResult::Response(body) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn error(result: InvokeResult) -> Value {
    match result {
        InvokeResult::FunctionError(body) => serde_json::from_slice(&body).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn pid_of(response: &Value) -> Pid {
    Pid::from_raw(i32::try_from(response["pid"].as_u64().unwrap()).unwrap()).unwrap()
}

/// The state letter of a process in /proc: R, S, T (stopped), Z; `None` once it is gone.
fn state_of(pid: Pid) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    stat.rsplit_once(") ")?.1.chars().next()
}

async fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn an_environment_is_reused_and_frozen_in_between() {
    let host = host(|_| ());
    let first = response(call(&host, json!({"do": "report"})).await);
    let pid = pid_of(&first);
    eventually("frozen", || state_of(pid) == Some('T')).await;
    assert_eq!(host.environments()[0].state, "idle");
    let second = response(call(&host, json!({"do": "report"})).await);
    assert_eq!(pid_of(&second), pid);
    assert_eq!(second["event"], json!({"do": "report"}));
    host.shut_down(Duration::ZERO).await;
    eventually("gone", || state_of(pid).is_none()).await;
    assert!(host.environments().is_empty());
}

#[tokio::test]
async fn a_process_sees_lambda_s_variables_the_template_s_and_no_others() {
    let host = host(|_| ());
    let begun = super::now().as_millisecond();
    let report = response(call(&host, json!({"do": "report"})).await);
    let variables = &report["variables"];
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_NAME"], "f");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"], "256");
    assert_eq!(variables["AWS_LAMBDA_FUNCTION_VERSION"], "$LATEST");
    assert_eq!(variables["AWS_SESSION_TOKEN"], format!("{ROLE_ARN}/f"));
    assert_eq!(variables["AWS_ENDPOINT_URL"], "http://127.0.0.1:1");
    assert_eq!(variables["TENANT_AWS_ENDPOINT_URL"], "http://tenant");
    assert_eq!(variables["TABLE"], "records");
    assert!(variables.get("CARGO_MANIFEST_DIR").is_none() && variables.get("HOME").is_none(), "{variables}");
    assert!(report["trace"].as_str().unwrap().contains(";Lineage="), "{report}");
    // The timeout runs from the invocation on, which lies between the test's begin and now.
    let deadline = report["deadline_ms"].as_i64().unwrap() - 20_000;
    assert!((begun..=super::now().as_millisecond()).contains(&deadline), "{deadline}");
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn concurrent_invocations_have_an_environment_each_and_wait_for_room() {
    let host = host(|_| ());
    let begun = Instant::now();
    let calls = (0..8).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { response(call(&host, json!({"do": "sleep", "ms": 300})).await) })
    });
    let mut pids = BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        pids.insert(pid_of(&call.await.unwrap()).as_raw_nonzero());
    }
    assert_eq!(pids.len(), 4, "--max-environments");
    assert!(begun.elapsed() >= Duration::from_millis(600));
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn an_invocation_that_waits_for_room_has_not_begun() {
    let host = host_of(function(), Arc::default(), 1, "http://127.0.0.1:1");
    let begin = |event: Value| host.begin("f", Bytes::from(event.to_string()));
    let first = begin(json!({"do": "sleep", "ms": 5_000})).await.unwrap();
    let mut second = pin!(begin(json!({"do": "report"})));
    assert!(timeout(Duration::from_millis(100), &mut second).await.is_err());
    response(first.await);
    response(second.await.unwrap().await);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn beyond_the_reserved_concurrency_invocations_are_throttled() {
    let host = host(|function| function.reserved_concurrency = Some(1));
    let (one, two) =
        tokio::join!(call(&host, json!({"do": "sleep", "ms": 200})), call(&host, json!({"do": "sleep", "ms": 200})));
    assert!(matches!(one, InvokeResult::Response(_)));
    assert_eq!(two, InvokeResult::Throttled);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_function_is_killed_at_its_timeout_and_the_next_invocation_has_a_new_process() {
    let host = host(|function| function.timeout = Duration::from_secs(5));
    let first = pid_of(&response(call(&host, json!({"do": "report"})).await));
    eventually("frozen", || state_of(first) == Some('T')).await;
    let timed_out = error(call(&host, json!({"do": "sleep", "ms": 60_000})).await);
    assert_eq!(timed_out["errorType"], "Sandbox.Timedout");
    let message = timed_out["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Task timed out after 5.00 seconds"), "{message}");
    eventually("killed", || state_of(first).is_none()).await;
    let second = pid_of(&response(call(&host, json!({"do": "report"})).await));
    assert_ne!(first, second);
    assert!(host.logs().lines("f").iter().any(|line| line.line.contains("Task timed out after 5.00 seconds")));
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_crash_and_a_kill_in_the_middle_are_function_errors() {
    let host = host(|_| ());
    let exited = error(call(&host, json!({"do": "exit"})).await);
    assert_eq!(exited["errorType"], "Runtime.ExitError");
    let message = exited["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Runtime exited with error: exit status 3"), "{message}");

    let running = tokio::spawn({
        let host = host.clone();
        async move { call(&host, json!({"do": "sleep", "ms": 60_000})).await }
    });
    eventually("busy", || host.environments().iter().any(|one| one.state == "busy")).await;
    let pid = host.environments().iter().find(|one| one.state == "busy").unwrap().pid;
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    let killed = error(running.await.unwrap());
    assert!(killed["errorMessage"].as_str().unwrap().ends_with("signal: killed"), "{killed}");
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_frozen_environment_that_was_killed_is_not_used_again() {
    let host = host(|_| ());
    let pid = pid_of(&response(call(&host, json!({"do": "report"})).await));
    eventually("frozen", || state_of(pid) == Some('T')).await;
    kill_process(pid, Signal::KILL).unwrap();
    eventually("seen", || host.environments().is_empty()).await;
    assert_ne!(pid_of(&response(call(&host, json!({"do": "report"})).await)), pid);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn errors_and_oversized_payloads_are_lambda_s() {
    let host = host(|_| ());
    let failed = error(call(&host, json!({"do": "fail"})).await);
    assert_eq!(failed, json!({"errorType": "Told", "errorMessage": "as asked"}));
    let large = error(call(&host, json!({"do": "large"})).await);
    assert_eq!(large["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(
        host.invoke("f", Bytes::from(vec![b' '; super::runtime_api::PAYLOAD_LIMIT + 1])).await,
        InvokeResult::TooLarge
    );
    assert_eq!(host.invoke("g", Bytes::new()).await, InvokeResult::NoSuchFunction);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_function_that_cannot_start_is_an_error() {
    let nowhere = Launch { directory: Some("/nonexistent".into()), ..function_process::launch() };
    let missing = host_with(function(), Arc::default(), 4, "http://127.0.0.1:1", nowhere).err().unwrap();
    assert_eq!(missing.to_string(), "the function f has no binary at /nonexistent/f/bootstrap");
    let nothing = Launch { program: "/nonexistent".into(), ..function_process::launch() };
    let host = host_with(function(), Arc::default(), 4, "http://127.0.0.1:1", nothing).unwrap();
    assert_eq!(error(call(&host, json!({})).await)["errorType"], "Runtime.InvalidEntrypoint");
    let failing = self::host(|function| {
        function.environment.insert("FAIL_INIT".to_owned(), "1".to_owned());
    });
    let failed = error(call(&failing, json!({})).await);
    assert_eq!(failed["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn credentials_are_withdrawn_with_their_environment_and_renewed_before_their_end() {
    // Less than the function's timeout and a margin: no environment may be used twice.
    let issuer = Arc::new(Issuer { life: Some(chrono::Duration::seconds(60)), ..Issuer::default() });
    let host = host_of(function(), Arc::clone(&issuer), 4, "http://127.0.0.1:1");
    let first = pid_of(&response(call(&host, json!({"do": "report"})).await));
    eventually("frozen", || state_of(first) == Some('T')).await;
    let second = response(call(&host, json!({"do": "report"})).await);
    assert_ne!(pid_of(&second), first);
    assert_eq!(second["variables"]["AWS_ACCESS_KEY_ID"], "ASIA0000000000000001");
    eventually("withdrawn", || *issuer.revoked.lock().unwrap() == ["ASIA0000000000000000"]).await;
    host.shut_down(Duration::ZERO).await;
    eventually("all withdrawn", || issuer.revoked.lock().unwrap().len() == 2).await;
}

#[tokio::test]
async fn what_a_function_writes_is_kept_to_its_last_line() {
    let host = host(|_| ());
    error(call(&host, json!({"do": "print and exit", "text": "last words"})).await);
    // The test harness of the fake function writes before it on the same line.
    let has = |text: &str| host.logs().lines("f").iter().any(|line| line.line.ends_with(text));
    eventually("both pipes", || has("stdout: last words") && has("stderr: last words")).await;
    assert!(host.logs().lines("f").iter().any(|line| line.line.starts_with("START RequestId: ")));
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_running_invocation_is_given_its_grace() {
    let host = host(|_| ());
    let running = tokio::spawn({
        let host = host.clone();
        async move { call(&host, json!({"do": "sleep", "ms": 5_000})).await }
    });
    eventually("busy", || host.environments().iter().any(|one| one.state == "busy")).await;
    host.shut_down(Duration::from_secs(60)).await;
    assert!(matches!(running.await.unwrap(), InvokeResult::Response(_)));
    assert!(matches!(call(&host, json!({})).await, InvokeResult::Throttled));
}

/// `local` itself is killed: a second process of this test program holds a frozen and a running environment.
#[tokio::test]
async fn nothing_outlives_local() {
    let mut local = function_process::spawn_host();
    let pids = function_process::pids_of(&mut local);
    assert_eq!(pids.len(), 2);
    eventually("one frozen", || pids.iter().filter(|pid| state_of(**pid) == Some('T')).count() == 1).await;
    local.kill().unwrap();
    local.wait().unwrap();
    // A zombie is dead; who reaps it depends on the machine.
    eventually("both ended", || pids.iter().all(|pid| matches!(state_of(*pid), None | Some('Z' | 'X')))).await;
}
