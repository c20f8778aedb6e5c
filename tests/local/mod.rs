//! End to end: `local` itself.

mod drill;
mod recursion;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Command, Output};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Stack, eventually};

/// Runs a command of `local` to its end.
fn run_local(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_local")).args(arguments).output().unwrap()
}

#[tokio::test]
async fn the_outputs_are_those_of_the_template() {
    let stack = Stack::shared().await;
    let response = stack.local_api(Method::GET, "/outputs", None).await.unwrap();
    let names: BTreeSet<&str> = response.body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected =
        ["ApiUrl", "AttachmentsBucketName", "BusName", "RevocationQueueUrl", "SendDeadLetterQueueUrl", "SendQueueUrl"];
    assert_eq!(names, BTreeSet::from(expected));
}

#[tokio::test]
async fn the_id_of_a_tenants_key_contains_its_account() {
    let stack = Stack::shared().await;
    let tenant =
        stack.tenant_with(&json!({ "account_id": "609629065308", "user_name": "mailer", "identities": [] })).await;
    assert_eq!(tenant.user_arn, "arn:aws:iam::609629065308:user/mailer");
    let id = shared::id::AccessKeyId::from_pasted(&tenant.access_key_id).unwrap();
    assert_eq!(id.account_id().as_deref(), Some("609629065308"));
    assert!(shared::tenant::SecretAccessKey::from_pasted(&tenant.secret_access_key).is_ok());
}

#[tokio::test]
async fn an_invalid_request_for_a_tenant_is_refused_with_the_name_of_the_field() {
    let stack = Stack::shared().await;
    for (field, value) in [("account_id", json!("12")), ("colour", json!("blue")), ("max_send_rate", json!(0))] {
        let response =
            stack.local_api(Method::POST, "/tenants", Some(&json!({ "policies": [], field: value }))).await.unwrap();
        assert_eq!(response.status, 400, "{}", response.text);
        assert!(response.text.contains(field), "{}", response.text);
    }
}

#[test]
fn the_error_about_a_port_in_use_names_the_flag_that_changes_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, other) in [("--aws-port", "--api-port"), ("--api-port", "--aws-port")] {
        let output = run_local(&["serve", flag, &port, other, "0"]);
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains(&port) && stderr.contains(flag), "{stderr}");
    }
}

#[test]
fn the_error_about_an_unknown_parameter_names_it() {
    let output = run_local(&["serve", "--aws-port", "0", "--api-port", "0", "--parameter", "SendTimeuot=5"]);
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(stderr.contains("SendTimeuot"), "{stderr}");
}

#[test]
fn every_command_has_help() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["demo", "--help"],
        &["drill", "--help"],
        &["policy", "--help"],
        &["policy", "check", "--help"],
        &["policy", "explain", "--help"],
        &["policy", "cases", "--help"],
    ] {
        let output = run_local(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("Usage:"), "{arguments:?}");
    }
}

#[test]
fn the_demo_shows_the_main_job_and_succeeds() {
    let mut arguments = vec!["demo".to_owned()];
    if let Ok(functions) = std::env::var("FUNCTIONS") {
        arguments.extend(["--functions".to_owned(), functions]);
    }
    let output = run_local(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{stdout}\n{stderr}");
    for step in ["taken", "sent", "breach", "deleted", "revoked", "order-4 rejected", "Done in"] {
        assert!(stdout.contains(step), "{step} is missing in:\n{stdout}");
    }
}

#[tokio::test]
async fn no_function_process_survives_the_end_of_the_stack() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let mut stack = Stack::with_arguments(&[]).await;
        stack.create_provider("acme").await;
        let functions = stack.process_ids("verify").await;
        assert!(!functions.is_empty());
        stack.stop_by(signal).await;
        eventually_ended(&functions).await;
    }
}

async fn eventually_ended(functions: &[i32]) {
    eventually("the end of the functions' processes", || async {
        functions.iter().all(|pid| !is_running(*pid)).then_some(())
    })
    .await;
}

/// Whether there is a process with this id that is not a zombie.
fn is_running(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
}
