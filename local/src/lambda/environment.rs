//! An execution environment: one process with its Runtime API and its credentials.

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
use super::logs::FunctionLogs;
use super::parent::ProcessSpawner;
use super::runtime_api::{Phase, Reply, RuntimeApi, RuntimeInvocation};
use super::variables::{Endpoints, environment_variables};
use crate::serverless::FunctionResource;

/// How long a function's credentials are valid. Lambda does not document it; an environment is retired well before they
/// expire.
const CREDENTIALS_LIFETIME: chrono::Duration = chrono::Duration::hours(1);

/// How the functions' processes are started: `PROGRAM ARGUMENTS… BINARY`, with `--bootstrap DIRECTORY/BINARY/bootstrap` if
/// there is a directory. The program is `local` itself, which then becomes the function ([`super::die_with_parent`],
/// [`super::exec_bootstrap`]).
#[derive(Clone, Debug)]
pub(crate) struct LaunchConfig {
    /// The program.
    pub(crate) program: PathBuf,
    /// The arguments before the name of the binary.
    pub(crate) arguments: Vec<String>,
    /// The folder with the functions' own binaries, as `cargo lambda build` lays them out. `None` runs the functions that
    /// are built into the program.
    pub(crate) directory: Option<PathBuf>,
}

impl LaunchConfig {
    /// The path of the function's own binary, if there is a directory.
    pub(super) fn bootstrap_path(&self, binary: &str) -> Option<PathBuf> {
        self.directory.as_ref().map(|directory| directory.join(binary).join("bootstrap"))
    }
}

/// What all execution environments need to start.
#[derive(Clone)]
pub(super) struct EnvironmentConfig {
    /// How processes are started.
    pub(super) launch: LaunchConfig,
    /// Starts the processes.
    pub(super) spawner: ProcessSpawner,
    /// The stack's Region.
    pub(super) region: String,
    /// The endpoints of the functions' SDK clients.
    pub(super) endpoints: Endpoints,
    /// Issues the roles' credentials.
    pub(super) credentials: Arc<dyn SessionCredentialIssuer>,
    /// Stores the processes' output.
    pub(super) logs: Arc<FunctionLogs>,
}

/// A running process. Dropping it kills the process and everything that the process started.
#[derive(Debug)]
pub(super) struct ExecutionEnvironment {
    /// The process id, also the id of its process group.
    pub(super) pid: u32,
    /// When its credentials expire.
    pub(super) expires_at: Timestamp,
    /// The name of the log stream.
    pub(super) log_stream: String,
    runtime_api: Arc<RuntimeApi>,
    process_group: Option<Pid>,
}

/// Why an execution environment could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum StartError {
    /// There is no port for its Runtime API.
    #[error("cannot listen on a port for the Runtime API of {function}")]
    Listen {
        /// The function.
        function: String,
        /// Why.
        source: std::io::Error,
    },
    /// The process cannot be started.
    #[error("the process of {function} cannot be started")]
    Spawn {
        /// The function.
        function: String,
        /// Why.
        source: std::io::Error,
    },
}

impl ExecutionEnvironment {
    /// Starts a process for `function`. Calls `on_end` once the process is reaped and all its output is read.
    pub(super) async fn start(
        function: &FunctionResource,
        config: &EnvironmentConfig,
        on_end: impl FnOnce() + Send + 'static,
    ) -> Result<Self, StartError> {
        let listen = |source| StartError::Listen { function: function.name.clone(), source };
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(listen)?;
        let runtime_api_address = listener.local_addr().map_err(listen)?.to_string();
        let credentials = config.credentials.issue(&function.role_arn, &function.name, CREDENTIALS_LIFETIME);
        let expires_at = Timestamp::from_second(credentials.expiration.timestamp()).unwrap_or(Timestamp::MAX);
        let log_stream = format!("{}/[$LATEST]{}", clock::now().strftime("%Y/%m/%d"), clock::random_hex::<32>());

        let launch = &config.launch;
        let bootstrap = launch.bootstrap_path(&function.binary);
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
            .envs(environment_variables(
                function,
                &config.region,
                &config.endpoints,
                &credentials,
                &runtime_api_address,
                &task_root.to_string_lossy(),
                &log_stream,
            ))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // A process group of its own: Ctrl-C in the terminal must only reach `local`, which lets running invocations end.
            .process_group(0)
            .kill_on_drop(true);
        let child = match config.spawner.spawn(command).await {
            Ok(child) => child,
            Err(source) => {
                config.credentials.revoke(&credentials);
                return Err(StartError::Spawn { function: function.name.clone(), source });
            }
        };

        let runtime_api = RuntimeApi::new();
        let pid = child.id().unwrap_or_default();
        let process_group = i32::try_from(pid).ok().and_then(Pid::from_raw);
        let supervisor = ProcessSupervisor {
            function: function.name.clone(),
            log_stream: log_stream.clone(),
            runtime_api: Arc::clone(&runtime_api),
            config: config.clone(),
            credentials,
        };
        tokio::spawn(supervisor.run(child, listener, on_end));
        Ok(Self { pid, expires_at, log_stream, runtime_api, process_group })
    }

    /// The environment's phase, to read or to wait for.
    pub(super) fn phase(&self) -> watch::Receiver<Phase> {
        self.runtime_api.phase()
    }

    /// Thaws the process and gives it an invocation.
    pub(super) fn start_invocation(&self, invocation: RuntimeInvocation) -> oneshot::Receiver<Reply> {
        let reply = self.runtime_api.start_invocation(invocation);
        self.signal(Signal::CONT);
        reply
    }

    /// Stops the process until [`Self::start_invocation`], as Lambda freezes an idle environment.
    pub(super) fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    /// Kills the process. The invocation that it was working on fails with this error.
    pub(super) fn kill(&self, kind: &str, reason: &str) {
        self.runtime_api.record_exit(kind, reason);
        self.signal(Signal::KILL);
    }

    /// Why the process ended, as the error of this request.
    pub(super) fn exit_error(&self, request_id: &str) -> axum::body::Bytes {
        self.runtime_api.exit_error(request_id)
    }

    fn signal(&self, signal: Signal) {
        // Once the process is reaped, its id may belong to another process.
        if *self.runtime_api.phase().borrow() != Phase::Gone
            && let Some(group) = self.process_group
        {
            let _ = kill_process_group(group, signal);
        }
    }
}

impl Drop for ExecutionEnvironment {
    fn drop(&mut self) {
        self.kill("Runtime.Shutdown", "the execution environment was shut down");
    }
}

/// Accompanies a process until it has ended: serves its Runtime API, reads its output, reaps it and revokes its
/// credentials.
struct ProcessSupervisor {
    function: String,
    log_stream: String,
    runtime_api: Arc<RuntimeApi>,
    config: EnvironmentConfig,
    credentials: SessionCredentials,
}

impl ProcessSupervisor {
    async fn run(self, mut child: Child, listener: TcpListener, on_end: impl FnOnce()) {
        let logs = &self.config.logs;
        let (function, log_stream) = (&self.function, &self.log_stream);
        let stdout = logs.read_pipe(function, log_stream, child.stdout.take());
        let stderr = logs.read_pipe(function, log_stream, child.stderr.take());
        let server = tokio::spawn({
            let router = self.runtime_api.router();
            async move { axum::serve(listener, router).await }
        });
        let reap = async {
            let status = child.wait().await;
            self.runtime_api.record_exit("Runtime.ExitError", &describe_exit(status));
            server.abort();
            self.runtime_api.mark_gone();
            self.config.credentials.revoke(&self.credentials);
        };
        tokio::join!(reap, stdout, stderr);
        on_end();
    }
}

/// Why a process ended, in the wording of Lambda: `Runtime exited with error: exit status 1`, `…: signal: killed`.
fn describe_exit(status: std::io::Result<ExitStatus>) -> String {
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
