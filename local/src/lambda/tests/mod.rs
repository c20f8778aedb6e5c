//! The host against real processes: this test program, started again as a function.

mod mappings;
mod queue_server;

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::fake_function::{host_pids, spawn_host};
use super::fixtures::{
    FakeIssuer, NO_ENDPOINT, ROLE_ARN, error, eventually, function, host, host_of, invoke, launch_config,
    launched_host, pid_of, response, start_sleeping, state_of,
};
use super::{InvokeResult, LaunchConfig};

#[tokio::test]
async fn an_environment_is_reused_and_frozen_between_invocations() {
    let host = host(|_| ());
    let first = response(invoke(&host, json!({"do": "report"})).await);
    let pid = pid_of(&first);
    eventually("the process is frozen", || state_of(pid) == Some('T')).await;
    assert_eq!(host.environments()[0].state, "idle");
    let second = response(invoke(&host, json!({"do": "report"})).await);
    assert_eq!(pid_of(&second), pid);
    assert_eq!(second["event"], json!({"do": "report"}));
    host.shut_down(Duration::ZERO).await;
    eventually("the process has ended", || state_of(pid).is_none()).await;
    assert!(host.environments().is_empty());
}

#[tokio::test]
async fn a_process_has_the_variables_of_lambda_and_of_the_template_and_no_others() {
    let host = host(|_| ());
    let started = super::now().as_millisecond();
    let report = response(invoke(&host, json!({"do": "report"})).await);
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
    // The timeout starts with the invocation, which was between the start of the test and now.
    let deadline = report["deadline_ms"].as_i64().unwrap() - 20_000;
    assert!((started..=super::now().as_millisecond()).contains(&deadline), "{deadline}");
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn concurrent_invocations_have_an_environment_each_and_wait_for_capacity() {
    let host = host(|_| ());
    let started = Instant::now();
    let calls = (0..8).map(|_| {
        let host = host.clone();
        tokio::spawn(async move { response(invoke(&host, json!({"do": "sleep", "ms": 300})).await) })
    });
    let mut pids = BTreeSet::new();
    for call in calls.collect::<Vec<_>>() {
        pids.insert(pid_of(&call.await.unwrap()).as_raw_nonzero());
    }
    assert_eq!(pids.len(), 4, "--max-environments");
    assert!(started.elapsed() >= Duration::from_millis(600));
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn an_invocation_that_waits_for_capacity_has_not_started() {
    let host = host_of(function("f"), Arc::default(), 1, NO_ENDPOINT);
    let start = |event: Value| host.start_invocation("f", Bytes::from(event.to_string()));
    let first = start(json!({"do": "sleep", "ms": 5_000})).await.unwrap();
    let mut second = pin!(start(json!({"do": "report"})));
    assert!(timeout(Duration::from_millis(100), &mut second).await.is_err());
    response(first.await);
    response(second.await.unwrap().await);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn invocations_beyond_the_reserved_concurrency_are_throttled() {
    let host = host(|function| function.reserved_concurrency = Some(1));
    let (one, two) = tokio::join!(
        invoke(&host, json!({"do": "sleep", "ms": 200})),
        invoke(&host, json!({"do": "sleep", "ms": 200}))
    );
    assert!(matches!(one, InvokeResult::Response(_)));
    assert_eq!(two, InvokeResult::Throttled);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_function_is_killed_at_its_timeout_and_the_next_invocation_has_a_new_process() {
    let host = host(|function| function.timeout = Duration::from_secs(5));
    let first = pid_of(&response(invoke(&host, json!({"do": "report"})).await));
    eventually("the process is frozen", || state_of(first) == Some('T')).await;
    let timed_out = error(invoke(&host, json!({"do": "sleep", "ms": 60_000})).await);
    assert_eq!(timed_out["errorType"], "Sandbox.Timedout");
    let message = timed_out["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Task timed out after 5.00 seconds"), "{message}");
    eventually("the process is killed", || state_of(first).is_none()).await;
    let second = pid_of(&response(invoke(&host, json!({"do": "report"})).await));
    assert_ne!(first, second);
    assert!(host.logs().lines("f").iter().any(|line| line.line.contains("Task timed out after 5.00 seconds")));
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_process_that_crashes_or_is_killed_during_an_invocation_is_a_function_error() {
    let host = host(|_| ());
    let exited = error(invoke(&host, json!({"do": "exit"})).await);
    assert_eq!(exited["errorType"], "Runtime.ExitError");
    let message = exited["errorMessage"].as_str().unwrap();
    assert!(message.ends_with("Error: Runtime exited with error: exit status 3"), "{message}");

    let running = start_sleeping(&host, 60_000).await;
    let pid = host.environments().iter().find(|one| one.state == "busy").unwrap().pid;
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), Signal::KILL).unwrap();
    let killed = error(running.await.unwrap());
    assert!(killed["errorMessage"].as_str().unwrap().ends_with("signal: killed"), "{killed}");
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_frozen_environment_that_was_killed_is_not_used_again() {
    let host = host(|_| ());
    let pid = pid_of(&response(invoke(&host, json!({"do": "report"})).await));
    eventually("the process is frozen", || state_of(pid) == Some('T')).await;
    kill_process(pid, Signal::KILL).unwrap();
    eventually("the host has noticed the kill", || host.environments().is_empty()).await;
    assert_ne!(pid_of(&response(invoke(&host, json!({"do": "report"})).await)), pid);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn errors_and_oversized_payloads_are_reported_as_lambda_does() {
    let host = host(|_| ());
    let failed = error(invoke(&host, json!({"do": "fail"})).await);
    assert_eq!(failed, json!({"errorType": "Requested", "errorMessage": "as requested"}));
    let large = error(invoke(&host, json!({"do": "large"})).await);
    assert_eq!(large["errorType"], "Function.ResponseSizeTooLarge");
    assert_eq!(
        host.invoke("f", Bytes::from(vec![b' '; super::runtime_api::MAX_PAYLOAD_BYTES + 1])).await,
        InvokeResult::TooLarge
    );
    assert_eq!(host.invoke("g", Bytes::new()).await, InvokeResult::NoSuchFunction);
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_function_that_cannot_start_is_an_error() {
    let no_binary = LaunchConfig { directory: Some("/nonexistent".into()), ..launch_config() };
    let missing = launched_host(function("f"), Arc::default(), 4, NO_ENDPOINT, no_binary).err().unwrap();
    assert_eq!(missing.to_string(), "the function f has no binary at /nonexistent/f/bootstrap");
    let no_program = LaunchConfig { program: "/nonexistent".into(), ..launch_config() };
    let host = launched_host(function("f"), Arc::default(), 4, NO_ENDPOINT, no_program).unwrap();
    assert_eq!(error(invoke(&host, json!({})).await)["errorType"], "Runtime.InvalidEntrypoint");
    let failing_host = self::host(|function| {
        function.environment.insert("FAIL_INIT".to_owned(), "1".to_owned());
    });
    let failed = error(invoke(&failing_host, json!({})).await);
    assert_eq!(failed["errorType"], "Runtime.ExitError");
}

#[tokio::test]
async fn credentials_are_revoked_with_their_environment_and_renewed_before_they_expire() {
    // Shorter than the function's timeout and the margin, so no environment may be reused.
    let issuer = Arc::new(FakeIssuer { lifetime: Some(chrono::Duration::seconds(60)), ..FakeIssuer::default() });
    let host = host_of(function("f"), Arc::clone(&issuer), 4, NO_ENDPOINT);
    let first = pid_of(&response(invoke(&host, json!({"do": "report"})).await));
    eventually("the process is frozen", || state_of(first) == Some('T')).await;
    let second = response(invoke(&host, json!({"do": "report"})).await);
    assert_ne!(pid_of(&second), first);
    assert_eq!(second["variables"]["AWS_ACCESS_KEY_ID"], "ASIA0000000000000001");
    eventually("the first credentials are revoked", || *issuer.revoked.lock().unwrap() == ["ASIA0000000000000000"])
        .await;
    host.shut_down(Duration::ZERO).await;
    eventually("all credentials are revoked", || issuer.revoked.lock().unwrap().len() == 2).await;
}

#[tokio::test]
async fn all_output_of_a_function_is_logged_up_to_its_last_line() {
    let host = host(|_| ());
    error(invoke(&host, json!({"do": "print and exit", "text": "last words"})).await);
    // The test harness of the fake function writes to the same line before it.
    let is_logged = |text: &str| host.logs().lines("f").iter().any(|line| line.line.ends_with(text));
    eventually("the last words of both pipes are logged", || {
        is_logged("stdout: last words") && is_logged("stderr: last words")
    })
    .await;
    assert!(host.logs().lines("f").iter().any(|line| line.line.starts_with("START RequestId: ")));
    host.shut_down(Duration::ZERO).await;
}

#[tokio::test]
async fn a_running_invocation_may_end_before_the_host_shuts_down() {
    let host = host(|_| ());
    let running = start_sleeping(&host, 5_000).await;
    host.shut_down(Duration::from_secs(60)).await;
    assert!(matches!(running.await.unwrap(), InvokeResult::Response(_)));
    assert!(matches!(invoke(&host, json!({})).await, InvokeResult::Throttled));
}

/// Kills a second process of this test program that has, as `local` does, a frozen and a busy environment.
#[tokio::test]
async fn no_function_process_outlives_local() {
    let mut local = spawn_host();
    let pids = host_pids(&mut local);
    assert_eq!(pids.len(), 2);
    eventually("one process is frozen", || pids.iter().filter(|pid| state_of(**pid) == Some('T')).count() == 1).await;
    local.kill().unwrap();
    local.wait().unwrap();
    // A zombie has ended; which process reaps it depends on the machine.
    eventually("both processes have ended", || pids.iter().all(|pid| matches!(state_of(*pid), None | Some('Z' | 'X'))))
        .await;
}
