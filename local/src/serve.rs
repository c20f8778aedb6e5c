//! Brings the stack up, and takes it down again.

use std::io::{Write as _, stdout};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result};
use aws_sdk_dynamodb::types::AttributeValue;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse as _, Json, Response};
use axum::routing::{get, post};
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
use crate::gateway::{self, Gateway};
use crate::lambda::{Endpoints, Host, InvokeResult, Launch, Logs, Options};
use crate::template::stack::Stack;
use crate::{demo, template};

/// The stack's name, prefix of everything in it.
const STACK_NAME: &str = "sendingbee";
/// The operator's account in the stand-in.
const ACCOUNT_ID: &str = "123456789012";
const REGION: &str = "us-east-1";
/// How long running invocations may take to end.
const GRACE: Duration = Duration::from_secs(5);

/// Serves until Ctrl-C.
///
/// # Errors
/// The stack cannot be brought up; the message says what to do about it.
pub(crate) async fn run(arguments: ServeArguments, started: Instant) -> Result<()> {
    log(arguments.stack.verbose);
    let running = Running::start(&arguments.stack, arguments.aws_port, arguments.api_port).await?;
    say(&running.welcome(started, &arguments.stack.tenant_aws));
    let stdin_ends = async {
        if !arguments.until_stdin_closes {
            return std::future::pending().await;
        }
        let mut byte = [0_u8; 64];
        while !matches!(tokio::io::stdin().read(&mut byte).await, Ok(0) | Err(_)) {}
    };
    tokio::select! {
        () = stdin_ends => {}
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C")?,
        terminated = terminated() => terminated.context("wait for SIGTERM")?,
    }
    running.stop(!arguments.until_stdin_closes).await;
    if arguments.until_stdin_closes {
        // A blocked read of standard input would keep the runtime from ending.
        std::process::exit(0);
    }
    Ok(())
}

/// Tells the demo against a stack of its own.
///
/// # Errors
/// What did not end as it should.
pub(crate) async fn demo(arguments: DemoArguments, started: Instant) -> Result<()> {
    log(arguments.stack.verbose);
    let running = Running::start(&arguments.stack, arguments.aws_port, arguments.api_port).await?;
    let told = tokio::select! {
        told = demo::tell(&running.api_url, started) => told,
        interrupted = tokio::signal::ctrl_c() => interrupted.context("wait for Ctrl-C").and(Err(anyhow::anyhow!("interrupted"))),
    };
    running.stop(false).await;
    told.context("the demo failed")
}

struct Running {
    stack: Arc<Stack>,
    stand_in: Arc<StandIn>,
    host: Host,
    api_url: String,
    gateway: JoinHandle<()>,
}

impl Running {
    async fn start(arguments: &StackArguments, aws_port: u16, api_port: u16) -> Result<Self> {
        let aws_listener = aws::bind(loopback(aws_port)).await?;
        let api_listener = gateway::bind(loopback(api_port)).await?;
        let aws_url = format!("http://{}", aws_listener.local_addr()?);
        let api_url = format!("http://{}", api_listener.local_addr()?);

        let stack = Arc::new(resolve(arguments, &aws_url, &api_url)?);
        let stand_in = StandIn::start(&stack, aws_listener).await.context("bring up the stand-in for AWS")?;
        open_for_sending(&aws_url, &stack).await?;
        let logs = Logs::new(arguments.log_dir.clone()).context("make the folder of --log-dir")?;
        let host = Host::new(Options {
            stack: Arc::clone(&stack),
            launch: launch(arguments.functions.as_ref())?,
            endpoints: Endpoints {
                tenant_aws: match &arguments.tenant_aws {
                    TenantAws::StandIn => Some(stand_in.tenant_endpoint().to_owned()),
                    TenantAws::Url(url) => Some(url.clone()),
                    TenantAws::Real => None,
                },
                aws: aws_url,
            },
            credentials: stand_in.credential_issuer(),
            max_environments: arguments.max_environments,
            logs: Arc::new(logs),
        })?;
        host.start_sources();
        let routes = aws::local_routes(Arc::clone(&stand_in)).merge(host_routes(host.clone()));
        let gateway =
            Gateway::new(&stack, host.clone(), Arc::clone(&stand_in), routes).context("set up the HTTP API")?;
        let gateway = tokio::spawn(gateway.serve(api_listener));
        Ok(Self { stack, stand_in, host, api_url, gateway })
    }

    fn welcome(&self, started: Instant, tenant_aws: &TenantAws) -> String {
        let Self { stack, stand_in, api_url, .. } = self;
        let queue = stack.outputs.get("SendQueueUrl").map_or("", String::as_str);
        let leaves = match tenant_aws {
            TenantAws::StandIn => "Nothing leaves this machine".to_owned(),
            TenantAws::Real => "Calls with tenants' keys go to Amazon".to_owned(),
            TenantAws::Url(url) => format!("Calls with tenants' keys go to {url}"),
        };
        format!(
            "SendingBee's keeper of keys is up after {:.1} s. {leaves}; nothing is kept after Ctrl-C.\n\n\
             API      {api_url}\n\
             AWS      {}   (operator's key: test / test, region {REGION})\n\
             Outputs  {api_url}/_local/outputs\n\n\
             Next, in another shell (README, \"By hand\", has the whole way):\n\n  \
             curl -s -X POST {api_url}/_local/tenants -d \"{{\\\"policies\\\": [$(curl -s --aws-sigv4 aws:amz:{REGION}:execute-api --user test:test '{api_url}/policy?style=classic')], \\\"identities\\\": [\\\"example.com\\\"]}}\"\n  \
             curl -s --aws-sigv4 aws:amz:{REGION}:execute-api --user test:test {api_url}/providers -d '{{\"tenant_id\": \"acme\", \"name\": \"main\", \"region\": \"{REGION}\", \"access_key_id\": \"…\", \"secret_access_key\": \"…\"}}'\n\n\
             Mail goes to {queue}\n",
            started.elapsed().as_secs_f64(),
            stand_in.endpoint(),
        )
    }

    async fn stop(self, tell: bool) {
        self.gateway.abort();
        let left = self.host.messages_left().await;
        self.host.shut_down(GRACE).await;
        if tell {
            let left: Vec<String> = left.iter().map(|(queue, count)| format!("{count} in {queue}")).collect();
            match left.as_slice() {
                [] => say("\nStopped; the queues were empty.\n"),
                left => say(&format!("\nStopped. Messages that went with the stand-in: {}.\n", left.join(", "))),
            }
        }
    }
}

fn resolve(arguments: &StackArguments, aws_url: &str, api_url: &str) -> Result<Stack> {
    let settings = template::Settings {
        stack_name: STACK_NAME.to_owned(),
        account_id: ACCOUNT_ID.to_owned(),
        region: REGION.to_owned(),
        aws_endpoint: aws_url.to_owned(),
        api_endpoint: api_url.to_owned(),
        parameters: arguments.parameters(),
    };
    match &arguments.template {
        None => template::load(template::EMBEDDED, &settings).context("template.yaml"),
        Some(path) => {
            let text = std::fs::read_to_string(path).with_context(|| format!("read {}", path.display()))?;
            template::load(&text, &settings).with_context(|| path.display().to_string())
        }
    }
}

fn launch(functions: Option<&PathBuf>) -> Result<Launch> {
    let absolute =
        |directory: &PathBuf| directory.canonicalize().with_context(|| format!("--functions {}", directory.display()));
    Ok(Launch {
        program: std::env::current_exe().context("find this program")?,
        arguments: vec!["function".to_owned()],
        directory: functions.map(absolute).transpose()?,
    })
}

/// The operator's one step after a deployment: until the halt item says otherwise, everything is halted.
async fn open_for_sending(aws_url: &str, stack: &Stack) -> Result<()> {
    let table = stack.tables.iter().find(|table| table.logical_id == "ProvidersTable").context("ProvidersTable")?;
    let operator = operator::config(aws_url);
    aws_sdk_dynamodb::Client::new(&operator)
        .put_item()
        .table_name(&table.name)
        .item("pk", AttributeValue::S(shared::record::HALT_PK.to_owned()))
        .item("sk", AttributeValue::S(shared::record::HALT_SK.to_owned()))
        .item("halted", AttributeValue::Bool(false))
        .send()
        .await
        .context("put the halt item")?;
    Ok(())
}

/// What only a stack on one machine can show and do: its processes, what they wrote, and an event for one of them, such
/// as a sample of `events/`.
fn host_routes(host: Host) -> Router {
    #[derive(Deserialize)]
    struct OfFunction {
        function: String,
    }
    async fn environments(State(host): State<Host>) -> Json<Value> {
        Json(json!({ "environments": host.environments() }))
    }
    async fn logs(State(host): State<Host>, Query(query): Query<OfFunction>) -> Json<Value> {
        Json(json!({ "lines": host.logs().lines(&query.function) }))
    }
    /// As Lambda's Invoke: a function's error is an answer too, told apart by a header (Lambda API reference, "Invoke").
    async fn invoke(State(host): State<Host>, Path(binary): Path<String>, event: Bytes) -> Response {
        let function = host.stack().functions.iter().find(|function| function.binary == binary);
        let Some(function) = function else { return StatusCode::NOT_FOUND.into_response() };
        match host.invoke(&function.name, event).await {
            InvokeResult::Response(answer) => answer.into_response(),
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

/// Our own warnings go to standard error, and with `--verbose` what the functions write.
fn log(verbose: bool) {
    let functions = if verbose { LevelFilter::DEBUG } else { LevelFilter::OFF };
    let targets = Targets::new().with_target("local", LevelFilter::WARN).with_target("local::function", functions);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_filter(targets);
    // Only a second call can fail.
    drop(tracing_subscriber::registry().with(lines).try_init());
}

async fn terminated() -> std::io::Result<()> {
    tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?.recv().await;
    Ok(())
}

fn say(text: &str) {
    // Nobody is left to tell if standard output is closed.
    let _ = stdout().write_all(text.as_bytes()).and_then(|()| stdout().flush());
}
