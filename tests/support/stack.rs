//! A stack as a process of its own, on free ports, gone with the test.

use std::io::{BufRead as _, BufReader};
use std::ops::Deref;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::time::{Instant, sleep};

use operator::{Operator, Tenant};

/// How long a test waits for something that takes no time of its own.
pub(crate) const PATIENCE: Duration = Duration::from_secs(150);

/// A running stack. Everything of it ends when the value is dropped, or with the test process, which holds the other
/// end of its standard input.
pub(crate) struct Stack {
    /// The operator's backend, connected to it.
    pub(crate) operator: Operator,
    process: Option<Child>,
}

impl Stack {
    /// The stack that tests share which need nothing special of it. Each makes a tenant of its own.
    pub(crate) async fn shared() -> Self {
        static URL: OnceLock<String> = OnceLock::new();
        static PROCESS: Mutex<Option<Child>> = Mutex::new(None);
        let url = URL.get_or_init(|| {
            let (process, url) = start(&[], Stdio::inherit());
            *PROCESS.lock().unwrap() = Some(process);
            url
        });
        Self { operator: Operator::connect(url).await.unwrap(), process: None }
    }

    /// A stack for one test, with further arguments for `serve`.
    pub(crate) async fn with(arguments: &[&str]) -> Self {
        Self::telling(arguments, Stdio::inherit()).await
    }

    /// The same, with what it says on standard error going elsewhere.
    pub(crate) async fn telling(arguments: &[&str], stderr: Stdio) -> Self {
        let (process, url) = start(arguments, stderr);
        Self { operator: Operator::connect(&url).await.unwrap(), process: Some(process) }
    }

    /// Ends the stack by a signal, and waits until it has.
    pub(crate) async fn end(&mut self, signal: Signal) {
        let process = Mutex::new(self.process.take().expect("a stack of its own"));
        let pid = Pid::from_child(&process.lock().unwrap());
        kill_process(pid, signal).unwrap();
        // Not `wait`, which would close the standard input and so end the stack by itself.
        until(&format!("the end by {signal:?}"), || async { process.lock().unwrap().try_wait().unwrap() }).await;
    }

    /// A tenant as most tests want it: the classic policy, `example.com` verified.
    pub(crate) async fn classic_tenant(&self) -> Tenant {
        self.tenant(&serde_json::json!({ "policies": [super::classic()], "identities": ["example.com"] }))
            .await
            .unwrap()
    }

    /// A tenant with the classic policy whose key was taken, and its provider's id.
    pub(crate) async fn provider(&self, tenant_id: &str) -> (Tenant, String) {
        let tenant = self.classic_tenant().await;
        let provider_id = self.take(tenant_id, &tenant).await;
        (tenant, provider_id)
    }

    /// Takes a tenant's key. Answers the provider's id.
    pub(crate) async fn take(&self, tenant_id: &str, tenant: &Tenant) -> String {
        let answer = self.onboard(tenant_id, tenant).await.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.text);
        answer.body["provider_id"].as_str().unwrap().to_owned()
    }

    /// A mail's fate, once it has one of these states.
    pub(crate) async fn fate(&self, provider_id: &str, mail_id: &str, states: &[&str]) -> Value {
        until(&format!("{mail_id} {states:?}"), || async {
            let answer =
                self.api(Method::GET, &format!("/providers/{provider_id}/mails/{mail_id}"), None).await.unwrap();
            states.iter().any(|state| answer.body["state"] == *state).then_some(answer.body)
        })
        .await
    }

    /// The processes of a function that are there now: their ids.
    pub(crate) async fn processes(&self, function: &str) -> Vec<i32> {
        let answer = self.local(Method::GET, "/environments", None).await.unwrap();
        answer.body["environments"]
            .as_array()
            .into_iter()
            .flatten()
            .filter(|environment| environment["binary"] == function)
            .filter_map(|environment| environment["pid"].as_i64())
            .filter_map(|pid| i32::try_from(pid).ok())
            .collect()
    }
}

impl Deref for Stack {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Some(process) = &mut self.process {
            drop(process.stdin.take());
            let _ = process.wait();
        }
    }
}

/// Looks again and again until there is something to see.
pub(crate) async fn until<T, Look, Looked>(what: &str, look: Look) -> T
where
    Look: Fn() -> Looked,
    Looked: Future<Output = Option<T>>,
{
    let started = Instant::now();
    loop {
        if let Some(seen) = look().await {
            return seen;
        }
        assert!(started.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        sleep(Duration::from_millis(50)).await;
    }
}

fn start(arguments: &[&str], stderr: Stdio) -> (Child, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
    command.args(["serve", "--aws-port", "0", "--api-port", "0", "--until-stdin-closes"]);
    if let Some(functions) = std::env::var_os("FUNCTIONS") {
        command.arg("--functions").arg(functions);
    }
    let mut process = command
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(stderr)
        .spawn()
        .expect("start the stack");
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    let url = lines
        .by_ref()
        .map_while(Result::ok)
        .find_map(|line| Some(line.strip_prefix("API")?.trim().to_owned()))
        .expect("the stack says where its API is");
    // What it says later is nobody's, but it must not block on a full pipe.
    std::thread::spawn(move || lines.map_while(Result::ok).for_each(drop));
    (process, url)
}
