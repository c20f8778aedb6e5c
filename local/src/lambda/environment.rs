//! An execution environment: one process, its Runtime API, its credentials.

use std::path::PathBuf;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use fakecloud_core::auth::{SessionCredentialIssuer, SessionCredentials};
use jiff::Timestamp;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::net::TcpListener;
use tokio::process::{Child, Command};
use tokio::sync::{oneshot, watch};

use super::clock;
use super::logs::Logs;
use super::parent::Spawner;
use super::runtime_api::{Exchange, Phase, Reply, Work};
use super::variables::{Endpoints, variables};
use crate::template::stack::Function;

/// How long a function's credentials live. Lambda does not say; an environment is retired well before they end.
const CREDENTIALS_LIFE: chrono::Duration = chrono::Duration::hours(1);

/// How the functions' processes are started: `PROGRAM ARGUMENTS… BINARY`, and `--bootstrap DIRECTORY/BINARY/bootstrap` where there is
/// a directory. The program is `local` itself, which then becomes the function ([`super::die_with_parent`],
/// [`super::become_bootstrap`]).
#[derive(Clone, Debug)]
pub(crate) struct Launch {
    /// The program.
    pub(crate) program: PathBuf,
    /// What comes before the name of the binary.
    pub(crate) arguments: Vec<String>,
    /// Where the functions' own binaries are, as `cargo lambda build` lays them out; `None` runs those built into the program.
    pub(crate) directory: Option<PathBuf>,
}

impl Launch {
    /// The function's own binary, where there is a directory.
    pub(super) fn bootstrap(&self, binary: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(binary).join("bootstrap"))
    }
}

/// What all environments share.
#[derive(Clone)]
pub(super) struct Surroundings {
    /// How processes are started.
    pub(super) launch: Launch,
    /// Starts them.
    pub(super) spawner: Spawner,
    /// The stack's Region.
    pub(super) region: String,
    /// Where SDK clients are pointed to.
    pub(super) endpoints: Endpoints,
    /// Issues the roles' credentials.
    pub(super) credentials: Arc<dyn SessionCredentialIssuer>,
    /// Takes the processes' output.
    pub(super) logs: Arc<Logs>,
}

/// A running process. Dropping it kills the process and everything it started.
#[derive(Debug)]
pub(super) struct Environment {
    /// The process id, also the id of its process group.
    pub(super) pid: u32,
    /// When its credentials end.
    pub(super) expires_at: Timestamp,
    /// The log stream.
    pub(super) stream: String,
    exchange: Arc<Exchange>,
    group: Option<Pid>,
}

/// Why an environment could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// No port for its Runtime API.
    #[error("no port for the Runtime API of {function}")]
    Listen {
        /// The function.
        function: String,
        /// Why.
        source: std::io::Error,
    },
    /// The program cannot be run.
    #[error("the process of {function} cannot be started")]
    Spawn {
        /// The function.
        function: String,
        /// Why.
        source: std::io::Error,
    },
}

impl Environment {
    /// Starts a process for `function`. `on_end` is called once it is reaped and its output is taken.
    pub(super) async fn start(
        function: &Function,
        surroundings: &Surroundings,
        on_end: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { function: function.name.clone(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(listen)?;
        let runtime_api = listener.local_addr().map_err(listen)?.to_string();
        let credentials = surroundings.credentials.issue(&function.role_arn, &function.name, CREDENTIALS_LIFE);
        let expires_at = Timestamp::from_second(credentials.expiration.timestamp()).unwrap_or(Timestamp::MAX);
        let stream = format!("{}/[$LATEST]{}", clock::now().strftime("%Y/%m/%d"), clock::hex::<32>());

        let launch = &surroundings.launch;
        let bootstrap = launch.bootstrap(&function.binary);
        let code = bootstrap.as_ref().unwrap_or(&launch.program);
        let task_root = code.parent().map(PathBuf::from).unwrap_or_default();
        let mut command = Command::new(&launch.program);
        command.args(&launch.arguments).arg(&function.binary);
        if let Some(bootstrap) = &bootstrap {
            command.arg("--bootstrap").arg(bootstrap);
        }
        command
            .current_dir(&task_root)
            .env_clear()
            .envs(variables(
                function,
                &surroundings.region,
                &surroundings.endpoints,
                &credentials,
                &runtime_api,
                &task_root.to_string_lossy(),
                &stream,
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A group of its own: Ctrl-C in the terminal is for `local`, which lets running invocations end.
            .process_group(0)
            .kill_on_drop(true);
        let child = match surroundings.spawner.spawn(command).await {
            Ok(child) => child,
            Err(source) => {
                surroundings.credentials.revoke(&credentials);
                return Err(StartError::Spawn { function: function.name.clone(), source });
            }
        };

        let exchange = Exchange::new();
        let pid = child.id().unwrap_or_default();
        let group = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let watched = Watched {
            function: function.name.clone(),
            stream: stream.clone(),
            exchange: Arc::clone(&exchange),
            surroundings: surroundings.clone(),
            credentials,
        };
        tokio::spawn(watched.watch(child, listener, on_end));
        Ok(Self { pid, expires_at, stream, exchange, group })
    }

    /// The environment's phase, to look at or to wait for.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.exchange.phase()
    }

    /// Lets the process go on and gives it an invocation.
    pub(super) fn begin(&self, work: Work) -> oneshot::Receiver<Reply> {
        let reply = self.exchange.begin(work);
        self.signal(Signal::CONT);
        reply
    }

    /// Stops the process until [`Environment::begin`], as Lambda freezes an idle environment.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Kills the process; what it was working on is answered with this error.
    pub(super) fn kill(&self, kind: &str, reason: &str) {
        self.exchange.end(kind, reason);
        self.signal(Signal::KILL);
    }

    /// Why it ended, as an error of this request.
    pub(super) fn end_of(&self, request_id: &str) -> axum::body::Bytes {
        self.exchange.end_of(request_id)
    }

    fn signal(&self, signal: Signal) {
        // Once reaped, the id may be another's.
        if *self.exchange.phase().borrow() != Phase::Gone
            && let Some(group) = self.group
        {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.kill("Runtime.Shutdown", "the execution environment was shut down");
    }
}

/// What is needed to see a process to its end.
struct Watched {
    function: String,
    stream: String,
    exchange: Arc<Exchange>,
    surroundings: Surroundings,
    credentials: SessionCredentials,
}

impl Watched {
    async fn watch(self, mut child: Child, listener: TcpListener, on_end: impl FnOnce()) {
        let logs = &self.surroundings.logs;
        let (function, stream) = (&self.function, &self.stream);
        let stdout = logs.take(function, stream, child.stdout.take());
        let stderr = logs.take(function, stream, child.stderr.take());
        let server = tokio::spawn({
            let router = self.exchange.router();
            async move { axum::serve(listener, router).await }
        });
        let reap = async {
            let status = child.wait().await;
            self.exchange.end("Runtime.ExitError", &describe(status));
            server.abort();
            self.exchange.gone();
            self.surroundings.credentials.revoke(&self.credentials);
        };
        tokio::join!(reap, stdout, stderr);
        on_end();
    }
}

/// In Lambda's words: `Runtime exited with error: exit status 1`, `…: signal: killed`.
fn describe(status: std::io::Result<ExitStatus>) -> String {
    use std::os::unix::process::ExitStatusExt as _;
    match status {
        Ok(status) if status.success() => "Runtime exited without providing a reason".to_owned(),
        Ok(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("Runtime exited with error: exit status {code}"),
            (None, Some(9)) => "Runtime exited with error: signal: killed".to_owned(),
            (None, Some(6)) => "Runtime exited with error: signal: aborted".to_owned(),
            (None, Some(11)) => "Runtime exited with error: signal: segmentation fault".to_owned(),
            (None, other) => format!("Runtime exited with error: signal: {}", other.unwrap_or_default()),
        },
        Err(_) => "Runtime exited and its status is not known".to_owned(),
    }
}
