//! End to end: the stack on one machine itself.

mod recursion;

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::process::{Command, Output};

use reqwest::Method;
use rustix::process::Signal;
use serde_json::json;

use crate::support::{Stack, classic, until};

fn local(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_local")).args(arguments).output().unwrap()
}

#[tokio::test]
async fn the_outputs_are_the_templates() {
    let stack = Stack::shared().await;
    let answer = stack.local(Method::GET, "/outputs", None).await.unwrap();
    let names: BTreeSet<&str> = answer.body.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = ["ApiUrl", "BusName", "RevocationQueueUrl", "SendDeadLetterQueueUrl", "SendQueueUrl"];
    assert_eq!(names, BTreeSet::from(expected));
}

#[tokio::test]
async fn a_tenant_gets_a_key_whose_id_tells_its_account() {
    let stack = Stack::shared().await;
    let tenant = stack
        .tenant(
            &json!({ "account_id": "609629065308", "user_name": "mailer", "policies": [classic()], "identities": [] }),
        )
        .await
        .unwrap();
    assert_eq!(tenant.user_arn, "arn:aws:iam::609629065308:user/mailer");
    let id = shared::id::AccessKeyId::from_pasted(&tenant.access_key_id).unwrap();
    assert_eq!(id.account_id().as_deref(), Some("609629065308"));
    assert!(shared::tenant::SecretAccessKey::from_pasted(&tenant.secret_access_key).is_ok());
}

#[tokio::test]
async fn a_bad_request_for_a_tenant_names_the_field() {
    let stack = Stack::shared().await;
    for (field, value) in [("account_id", json!("12")), ("colour", json!("blue")), ("max_send_rate", json!(0))] {
        let answer =
            stack.local(Method::POST, "/tenants", Some(&json!({ "policies": [], field: value }))).await.unwrap();
        assert_eq!(answer.status, 400, "{}", answer.text);
        assert!(answer.text.contains(field), "{}", answer.text);
    }
}

#[test]
fn a_port_that_is_taken_is_said_with_the_flag_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    for (flag, other) in [("--aws-port", "--api-port"), ("--api-port", "--aws-port")] {
        let output = local(&["serve", flag, &port, other, "0"]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&port) && said.contains(flag), "{said}");
    }
}

#[test]
fn a_parameter_that_the_template_does_not_take_is_said_by_name() {
    let output = local(&["serve", "--aws-port", "0", "--api-port", "0", "--parameter", "SendTimeuot=5"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("SendTimeuot"), "{said}");
}

#[test]
fn every_command_has_help() {
    for arguments in [
        &["--help"][..],
        &["serve", "--help"],
        &["demo", "--help"],
        &["policy", "--help"],
        &["policy", "check", "--help"],
    ] {
        let output = local(arguments);
        assert!(output.status.success(), "{arguments:?}");
        assert!(String::from_utf8(output.stdout).unwrap().contains("Usage:"), "{arguments:?}");
    }
}

#[test]
fn the_demo_tells_the_main_job_and_ends_well() {
    let mut arguments = vec!["demo".to_owned()];
    if let Ok(functions) = std::env::var("FUNCTIONS") {
        arguments.extend(["--functions".to_owned(), functions]);
    }
    let output = local(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let told = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{told}\n{said}");
    for step in ["taken", "sent", "breach", "deleted", "revoked", "order-4 rejected", "Done in"] {
        assert!(told.contains(step), "{step} is missing in:\n{told}");
    }
}

#[tokio::test]
async fn nothing_runs_on_when_the_stack_is_ended_or_killed() {
    for signal in [Signal::TERM, Signal::INT, Signal::KILL] {
        let mut stack = Stack::with(&[]).await;
        stack.provider("acme").await;
        let functions = stack.processes("verify").await;
        assert!(!functions.is_empty());
        stack.end(signal).await;
        all_gone(&functions).await;
    }
}

async fn all_gone(functions: &[i32]) {
    until("the functions' processes are gone", || async {
        functions.iter().all(|pid| !is_running(*pid)).then_some(())
    })
    .await;
}

/// Whether a process is there that is more than a corpse.
fn is_running(pid: i32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    status.lines().any(|line| line.starts_with("State:") && !line.contains("zombie"))
}
