//! Starts the stack and stops it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
use operator::Operator;
use reqwest::Method;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt as _;
use tokio::task::JoinHandle;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::aws::{self, StandIn};
use crate::cli::{DemoArguments, ServeArguments, StackArguments, TenantAws, loopback};
use crate::console;
use crate::gateway::{self, Gateway};
use crate::lambda::{Endpoints, FunctionLogs, Host, HostOptions, InvokeResult, LaunchConfig};
use crate::serverless::FunctionResource;
use crate::template::{Settings, Stack};
use crate::{demo, stack};

/// The stack's name, the prefix of all its resources.
const STACK_NAME: &str = "sendingbee";
/// The operator's account in the stand-in.
const ACCOUNT_ID: &str = "123456789012";
const REGION: &str = "us-east-1";
/// How long running invocations have to end when the stack stops.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(5);

/// Runs the stack until Ctrl-C.
///
/// # Errors
/// The stack cannot be started; the message says what to do about it.
pub(crate) async fn run(arguments: ServeArguments, started: Instant) -> Result<()> {
    init_logging(arguments.stack.verbose);
    let stack = RunningStack::start(&arguments.stack, arguments.aws_port, arguments.api_port).await?;
    if !arguments.halted {
        resume_sending(&stack.api_url).await?;
    }
    console::print(&stack.welcome(started, &arguments.stack.tenant_aws));
    let stdin_closed = async {
        if !arguments.until_stdin_closes {
            return std::future::pending().await;
        }
        let mut buffer = [0_u8; 64];
        while !matches!(tokio::io::stdin().read(&mut buffer).await, Ok(0) | Err(_)) {}
    };
    tokio::select! {
        () = stdin_closed => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C")?,
        terminated = wait_for_sigterm() => terminated.context("wait for SIGTERM")?,
    }
    stack.stop(!arguments.until_stdin_closes).await;
    if arguments.until_stdin_closes {
        // A blocked read of standard input would keep the runtime from ending.
        std::process::exit(0);
    }
    Ok(())
}

/// Runs the demo against a stack of its own.
///
/// # Errors
/// The stack cannot be started, or a step of the demo did not end as expected.
pub(crate) async fn demo(arguments: DemoArguments, started: Instant) -> Result<()> {
    init_logging(arguments.stack.verbose);
    let stack = RunningStack::start(&arguments.stack, arguments.aws_port, arguments.api_port).await?;
    let result = tokio::select! {
        result = open_and_demo(&stack.api_url, arguments.browser, started) => result,
        // That is how somebody who walks the page by hand ends it.
        interrupted = tokio::signal::ctrl_c() => match arguments.browser {
            true => interrupted.context("wait for Ctrl-C"),
            false => interrupted.context("wait for Ctrl-C").and(Err(anyhow::anyhow!("interrupted"))),
        },
    };
    stack.stop(false).await;
    result.context("the demo failed")
}

async fn open_and_demo(api_url: &str, browser: bool, started: Instant) -> Result<()> {
    resume_sending(api_url).await?;
    match browser {
        true => demo::onboarding_page::run(api_url, started).await,
        false => demo::run(api_url, started).await,
    }
}

/// A stack whose services, functions and API run in this process and its children.
struct RunningStack {
    stack: Arc<Stack>,
    stand_in: Arc<StandIn>,
    host: Host,
    api_url: String,
    gateway: JoinHandle<()>,
}

impl RunningStack {
    async fn start(arguments: &StackArguments, aws_port: u16, api_port: u16) -> Result<Self> {
        let aws_listener = aws::bind(loopback(aws_port)).await?;
        let api_listener = gateway::bind(loopback(api_port)).await?;
        let aws_url = format!("http://{}", aws_listener.local_addr()?);
        let api_url = format!("http://{}", api_listener.local_addr()?);

        let stack = Arc::new(load_stack(arguments, &aws_url, &api_url)?);
        let stand_in = StandIn::start(&stack, aws_listener).await.context("start the stand-in for AWS")?;
        let logs = FunctionLogs::new(arguments.log_dir.clone()).context("create the folder of --log-dir")?;
        let host = Host::new(HostOptions {
            stack: Arc::clone(&stack),
            launch: launch_config(arguments.functions.as_ref())?,
            endpoints: Endpoints {
                tenant_aws: match &arguments.tenant_aws {
                    TenantAws::StandIn => Some(stand_in.tenant_endpoint().to_owned()),
                    TenantAws::Url(url) => Some(url.clone()),
                    TenantAws::Real => None,
                },
                aws: aws_url,
            },
            mappings: stand_in.mappings(),
            credentials: stand_in.credential_issuer(),
            max_environments: arguments.max_environments,
            logs: Arc::new(logs),
        })?;
        host.start_triggers();
        let routes = aws::local_routes(Arc::clone(&stand_in)).merge(host_routes(host.clone()));
        let gateway =
            Gateway::new(&stack, host.clone(), Arc::clone(&stand_in), routes).context("set up the HTTP API")?;
        let gateway = tokio::spawn(gateway.serve(api_listener));
        Ok(Self { stack, stand_in, host, api_url, gateway })
    }

    fn welcome(&self, started: Instant, tenant_aws: &TenantAws) -> String {
        let Self { stack, stand_in, api_url, .. } = self;
        let queue = stack.outputs.get("SendQueueUrl").map_or("", String::as_str);
        let tenant_calls = match tenant_aws {
            TenantAws::StandIn => "Nothing leaves this machine".to_owned(),
            TenantAws::Real => "Calls with tenants' keys go to Amazon".to_owned(),
            TenantAws::Url(url) => format!("Calls with tenants' keys go to {url}"),
        };
        format!(
            "SendingBee's keeper of keys is up after {:.1} s. {tenant_calls}; nothing is kept after Ctrl-C.\n\n\
             API      {api_url}\n\
             AWS      {}   (operator's key: test / test, region {REGION})\n\
             Outputs  {api_url}/_local/outputs\n\n\
             Next, in another shell (README, \"By hand\", has the whole way):\n\n  \
             curl -s -X POST {api_url}/_local/tenants -d \"{{\\\"policies\\\": [$(curl -s --aws-sigv4 aws:amz:{REGION}:execute-api --user test:test '{api_url}/policy?style=classic')], \\\"identities\\\": [\\\"example.com\\\"]}}\"\n  \
             curl -s --aws-sigv4 aws:amz:{REGION}:execute-api --user test:test {api_url}/providers -d '{{\"tenant_id\": \"acme\", \"name\": \"main\", \"region\": \"{REGION}\", \"access_key_id\": \"…\", \"secret_access_key\": \"…\"}}'\n\n\
             Mail goes to {queue}\n\n\
             The onboarding page in a browser: curl -s --aws-sigv4 aws:amz:{REGION}:execute-api --user test:test {api_url}/onboarding-links -d '{{\"tenant_id\": \"acme\", \"name\": \"main\", \"intent\": \"connect\"}}'\n\
             A tenant's console to walk it with: {api_url}/_local/console\n",
            started.elapsed().as_secs_f64(),
            stand_in.endpoint(),
        )
    }

    /// Stops everything. With `report`, prints how many messages were still in the queues.
    async fn stop(self, report: bool) {
        self.gateway.abort();
        let remaining = self.host.remaining_messages().await;
        self.host.shut_down(SHUTDOWN_TIMEOUT).await;
        if report {
            let remaining: Vec<String> = remaining.iter().map(|(queue, count)| format!("{count} in {queue}")).collect();
            match remaining.as_slice() {
                [] => console::print("\nStopped; the queues were empty.\n"),
                counts => {
                    console::print(&format!("\nStopped. Messages lost with the stand-in: {}.\n", counts.join(", ")));
                }
            }
        }
    }
}

/// Loads the template and resolves it for this stack.
fn load_stack(arguments: &StackArguments, aws_url: &str, api_url: &str) -> Result<Stack> {
    let settings = Settings {
        stack_name: STACK_NAME.to_owned(),
        account_id: ACCOUNT_ID.to_owned(),
        region: REGION.to_owned(),
        aws_endpoint: aws_url.to_owned(),
        api_endpoint: api_url.to_owned(),
        parameters: arguments.parameters(),
    };
    match &arguments.template {
        None => stack::load(stack::EMBEDDED, &settings).context("load template.yaml"),
        Some(path) => {
            let text =
                std::fs::read_to_string(path).with_context(|| format!("read the template {}", path.display()))?;
            stack::load(&text, &settings).with_context(|| format!("load the template {}", path.display()))
        }
    }
}

fn launch_config(functions: Option<&PathBuf>) -> Result<LaunchConfig> {
    let to_absolute =
        |directory: &PathBuf| directory.canonicalize().with_context(|| format!("--functions {}", directory.display()));
    Ok(LaunchConfig {
        program: std::env::current_exe().context("find the path of this program")?,
        arguments: vec!["function".to_owned()],
        directory: functions.map(to_absolute).transpose()?,
    })
}

/// Opens the stack for sending, as the operator does once after the first deployment.
async fn resume_sending(api_url: &str) -> Result<()> {
    let operator = Operator::connect(api_url).await?;
    let request = json!({ "reason": "first deployment" });
    let response = operator.api(Method::DELETE, "/halt", Some(&request)).await.context("DELETE /halt")?;
    ensure!(response.status.is_success(), "DELETE /halt: {} {}", response.status, response.text);
    Ok(())
}

/// The `/_local` routes of the host: list the functions' processes, read their logs, and invoke a function, for example
/// with an event of `events/`.
fn host_routes(host: Host) -> Router {
    #[derive(Deserialize)]
    struct LogQuery {
        function: String,
    }
    async fn environments(State(host): State<Host>) -> Json<Value> {
        Json(json!({ "environments": host.environments() }))
    }
    async fn logs(State(host): State<Host>, Query(query): Query<LogQuery>) -> Json<Value> {
        Json(json!({ "lines": host.logs().lines(&query.function) }))
    }
    /// As Lambda's Invoke: a function error is a 200 too, and a header marks it (Lambda API reference, "Invoke").
    async fn invoke(State(host): State<Host>, Path(binary): Path<String>, event: Bytes) -> Response {
        let function = host.stack().all::<FunctionResource>().find(|function| function.binary == binary);
        let Some(function) = function else { return StatusCode::NOT_FOUND.into_response() };
        match host.invoke(&function.name, event).await {
            InvokeResult::Response(payload) => payload.into_response(),
            InvokeResult::FunctionError(error) => ([("x-amz-function-error", "Unhandled")], error).into_response(),
            InvokeResult::Throttled => StatusCode::TOO_MANY_REQUESTS.into_response(),
            InvokeResult::TooLarge => StatusCode::PAYLOAD_TOO_LARGE.into_response(),
            InvokeResult::NoSuchFunction => StatusCode::NOT_FOUND.into_response(),
        }
    }
    Router::new()
        .route("/environments", get(environments))
        .route("/logs", get(logs))
        .route("/functions/{binary}/invoke", post(invoke))
        .with_state(host)
}

/// Writes the stack's own warnings to standard error, and with `--verbose` the functions' log lines too.
fn init_logging(verbose: bool) {
    let functions = if verbose { LevelFilter::DEBUG } else { LevelFilter::OFF };
    let targets = Targets::new().with_target("local", LevelFilter::WARN).with_target("local::function", functions);
    let layer = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    // It fails only if it is called a second time.
    drop(tracing_subscriber::registry().with(layer).try_init());
}

async fn wait_for_sigterm() -> std::io::Result<()> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?.recv().await;
    Ok(())
}
