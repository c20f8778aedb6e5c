//! A stack: a process of its own on free ports, which ends with the test.

use std::ops::Deref;
use std::process::Stdio;
use std::sync::{Mutex, OnceLock};

use operator::Operator;
use operator::process::StackProcess;
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};

use super::eventually;

/// A running stack. It ends when the value is dropped, or with the test process, which holds the other end of its standard
/// input.
pub(crate) struct Stack {
    /// The operator's backend, connected to the stack.
    pub(crate) operator: Operator,
    process: Option<StackProcess>,
}

/// What the shared stack is started with: its tests ask for more at once than the template's limits let through. A stack of
/// one test has the template's.
const RAISED_LIMITS: [&str; 16] = [
    "--parameter",
    "VerifyReservedConcurrency=500",
    "--parameter",
    "RevokeReservedConcurrency=500",
    "--parameter",
    "ApiRateLimit=5000",
    "--parameter",
    "ApiBurstLimit=5000",
    "--parameter",
    "WebhookRateLimit=1000",
    "--parameter",
    "WebhookBurstLimit=1000",
    "--parameter",
    "OnboardingPageRateLimit=1000",
    "--parameter",
    "OnboardingPageBurstLimit=1000",
];

impl Stack {
    /// The stack that is shared by all tests that need no special one. Each test creates tenants of its own.
    pub(crate) async fn shared() -> Self {
        static PROCESS: OnceLock<StackProcess> = OnceLock::new();
        let process = PROCESS.get_or_init(|| start(&RAISED_LIMITS, Stdio::inherit()));
        Self { operator: Operator::connect(&process.url).await.unwrap(), process: None }
    }

    /// A stack that somebody else holds.
    pub(crate) fn of(operator: Operator) -> Self {
        Self { operator, process: None }
    }

    /// A stack for one test, with further arguments of `serve`.
    pub(crate) async fn with_arguments(arguments: &[&str]) -> Self {
        Self::with_stderr(arguments, Stdio::inherit()).await
    }

    /// A stack for one test, whose standard error goes to `stderr`.
    pub(crate) async fn with_stderr(arguments: &[&str], stderr: Stdio) -> Self {
        let process = start(arguments, stderr);
        Self { operator: Operator::connect(&process.url).await.unwrap(), process: Some(process) }
    }

    /// Sends the stack a signal, and waits until it has ended.
    pub(crate) async fn stop_by(&mut self, signal: Signal) {
        let process = Mutex::new(self.process.take().expect("a stack of this test alone"));
        let pid = i32::try_from(process.lock().unwrap().id()).unwrap();
        kill_process(Pid::from_raw(pid).unwrap(), signal).unwrap();
        // Dropping it would close the standard input, which ends the stack too.
        eventually(&format!("the end of the stack by {signal:?}"), || async {
            process.lock().unwrap().has_ended().unwrap().then_some(())
        })
        .await;
    }

    /// The ids of the processes of a function that exist now.
    pub(crate) async fn process_ids(&self, function: &str) -> Vec<i32> {
        let response = self.local_api(Method::GET, "/environments", None).await.unwrap();
        response.body["environments"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|environment| environment["binary"] == function)
            .filter_map(|environment| environment["pid"].as_i64())
            .filter_map(|pid| i32::try_from(pid).ok())
            .collect()
    }

    /// Kills the processes of a function, busy or not. Returns how many there were.
    pub(crate) async fn kill_processes(&self, function: &str) -> usize {
        let pids = self.process_ids(function).await;
        for pid in &pids {
            // A process that has already ended cannot be killed.
            let _ = kill_process(Pid::from_raw(*pid).unwrap(), Signal::KILL);
        }
        pids.len()
    }
}

impl Deref for Stack {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}

fn start(arguments: &[&str], stderr: Stdio) -> StackProcess {
    StackProcess::start(env!("CARGO_BIN_EXE_local"), arguments, stderr).expect("start the stack")
}
