//! Prints the figures that the project has targets for: `cargo lambda build --release …`, then `cargo bench -p local --bench figures`.
//!
//! With `BREACH_KEYS=1000` it measures instead how 50 keys are revoked one by one, each by an event, and then so many by one order for
//! all, with 200 ms for each call into a tenant's account; up to 1,000 keys it also counts the calls to AWS. With `IAM_DOWN_S=3600`
//! IAM answers nothing but 500 for so many seconds after the order.
//!
//! With `WATCH_PROVIDERS=1000` it measures how so many providers are verified again that are all due at once.
//!
//! With `ROTATION_SECONDS=60` it measures how a key is replaced while 100 mails are sent each second for so long.
//!
//! `FUNCTIONS` names the folder with the functions' binaries; without it, that is `target/lambda`. A breach and a rotation are measured
//! with the functions of this build if that folder does not exist. Machines are noisy: compare
//! figures of one run with each other, not with those of another day.

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark prints, and fails if it cannot continue")]

use std::collections::BTreeMap;
use std::io::Read as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::{AttributeValue, Select};
use operator::Operator;
use operator::process::{StackProcess, Usage};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// How often each function is started.
const STARTS: usize = 21;
/// Keys that are onboarded at the same time, below the concurrency of `verify`.
const ONBOARDINGS: usize = 12;
/// Keys that are revoked one by one.
const SINGLE_KEYS: u64 = 50;
/// Of them at the same time.
const SINGLE_REVOCATIONS: usize = 5;
/// The stand-in keeps its last 100,000 requests of an account, so the calls of more keys than this cannot be counted.
const COUNTED_KEYS: u64 = 1000;
/// Our own account.
const OPERATOR: &str = "123456789012";
/// Mails a second while a key is replaced.
const ROTATION_RATE: usize = 100;
/// How many mails are sent.
const MAILS: usize = 1000;

fn main() {
    // `cargo test --benches` runs this program too, which has nothing to test.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let functions = std::env::var_os("FUNCTIONS")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../target/lambda")), PathBuf::from);
    if let Ok(keys) = std::env::var("BREACH_KEYS") {
        let keys = keys.parse().unwrap();
        return tokio::runtime::Runtime::new().unwrap().block_on(measure_breach(&functions, keys));
    }
    if let Ok(providers) = std::env::var("WATCH_PROVIDERS") {
        let providers = providers.parse().unwrap();
        return tokio::runtime::Runtime::new().unwrap().block_on(measure_watch(&functions, providers));
    }
    if let Ok(seconds) = std::env::var("ROTATION_SECONDS") {
        let seconds = seconds.parse().unwrap();
        return tokio::runtime::Runtime::new().unwrap().block_on(measure_rotation(&functions, seconds));
    }
    for name in ["verify", "verify-worker", "send", "revoke", "revoke-worker"] {
        let bootstrap = functions.join(name).join("bootstrap");
        let size = std::fs::metadata(&bootstrap).unwrap().len();
        let mut starts: Vec<Duration> = (0..STARTS).map(|_| measure_start(&bootstrap, name)).collect();
        starts.sort();
        println!(
            "{name:<14} bootstrap {:>5.1} MB   start to first /next: median {:>5.1} ms, worst {:>5.1} ms of {STARTS}",
            megabytes(size),
            milliseconds(starts[STARTS / 2]),
            milliseconds(starts[STARTS - 1]),
        );
    }
    tokio::runtime::Runtime::new().unwrap().block_on(measure_stack(&functions));
}

/// How long a function takes from its start until it asks for its first invocation, which is Lambda's init phase.
fn measure_start(bootstrap: &Path, name: &str) -> Duration {
    let runtime_api = TcpListener::bind("127.0.0.1:0").unwrap();
    let started = Instant::now();
    let mut process = Command::new(bootstrap)
        .env_clear()
        .envs(environment_variables(name))
        .env("AWS_LAMBDA_RUNTIME_API", runtime_api.local_addr().unwrap().to_string())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let (mut connection, _) = runtime_api.accept().unwrap();
    let mut request = [0_u8; 64];
    connection.read_exact(&mut request).unwrap();
    let duration = started.elapsed();
    assert!(request.starts_with(b"GET /2018-06-01/runtime/invocation/next"));
    process.kill().unwrap();
    process.wait().unwrap();
    duration
}

/// The variables that Lambda and the template set. The endpoints are those of the real AWS, so that TLS is set up too.
fn environment_variables(name: &str) -> Vec<(&'static str, String)> {
    let mut variables: Vec<(&str, String)> = [
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "none"),
        ("AWS_SESSION_TOKEN", "none"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    variables.push(("REVOCABILITY_PROOF_DAYS", "7".to_owned()));
    variables.push(("WATCH_HOURS", "24".to_owned()));
    variables.push(("REQUIRED_ASSURANCE", "observed".to_owned()));
    for variable in [
        "AWS_LAMBDA_FUNCTION_NAME",
        "PROVIDERS_TABLE",
        "SECRETS_TABLE",
        "MAILS_TABLE",
        "SEND_LANE_KEY",
        "REVOKE_LANE_KEY",
        "BUS_NAME",
        "SEND_QUEUE_URL",
        "SEND_DEAD_LETTER_QUEUE_URL",
        "REVOCATION_QUEUE_URL",
        "REVOCATION_DEAD_LETTER_QUEUE_URL",
        "REVOCABILITY_QUEUE_URL",
        "BREACH_DEAD_LETTER_QUEUE_URL",
        "VERIFICATION_QUEUE_URL",
        "VERIFICATION_DEAD_LETTER_QUEUE_URL",
        "SEND_MAPPING_ID",
        "WEBHOOK_KEY",
    ] {
        variables.push((variable, name.to_owned()));
    }
    variables
}

/// Measures an onboarding, mails and a revocation in a running stack.
async fn measure_stack(functions: &Path) {
    let process = start_stack(functions);
    let operator = Operator::connect(&process.url).await.unwrap();
    let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
    let tenant = json!({ "policies": [policy], "identities": ["example.com"], "max_send_rate": 100_000 });
    let tenant = operator.create_tenant(&tenant).await.unwrap();

    let started = Instant::now();
    let onboarded = operator.onboard("acme", &tenant).await.unwrap();
    assert_eq!(onboarded.status, 201, "{}", onboarded.text);
    println!("onboarding     {:.0} ms with a cold `verify`", milliseconds(started.elapsed()));
    let provider_id = onboarded.body["provider_id"].as_str().unwrap();

    let started = Instant::now();
    for batch in (0..MAILS).collect::<Vec<_>>().chunks(10) {
        let entries = batch.iter().map(|n| {
            aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder()
                .id(n.to_string())
                .message_group_id(provider_id)
                .message_body(mail(provider_id, *n).to_string())
                .build()
                .unwrap()
        });
        let request = operator.sqs.send_message_batch().queue_url(&operator.outputs.send_queue_url);
        let output = request.set_entries(Some(entries.collect())).send().await.unwrap();
        assert!(output.failed().is_empty());
    }
    while operator.inbox(&tenant.account_id).await.unwrap().len() < MAILS {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "mails          {MAILS} in {seconds:.1} s: {:.0}/s through the queue, the ledger and SES",
        MAILS as f64 / seconds
    );

    let environments = operator.local_api(Method::GET, "/environments", None).await.unwrap().body;
    for environment in environments["environments"].as_array().unwrap() {
        let Usage { resident_mb, peak_mb, .. } = Usage::of(environment["pid"].as_i64().unwrap()).unwrap();
        println!(
            "memory         {:<14} {resident_mb:.1} MB resident, {peak_mb:.1} MB at its peak",
            environment["binary"].as_str().unwrap()
        );
    }

    let started = Instant::now();
    let scope = json!({ "scope": { "provider_id": provider_id }, "reason": "figures" });
    let order = operator.api(Method::POST, "/revocations", Some(&scope)).await.unwrap();
    assert_eq!(order.status, 202, "{}", order.text);
    println!(
        "stop           {:.0} ms until the response to the order, with a cold `revoke`",
        milliseconds(started.elapsed())
    );
    while operator.events("Provider Revoked").await.unwrap().is_empty() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    println!(
        "revocation     {:.1} s until the key was seen dead, with 5 s of waiting by design",
        started.elapsed().as_secs_f64()
    );
}

/// Onboards keys, and measures how an order for one of them, and one for all, goes.
async fn measure_breach(functions: &Path, keys: u64) {
    let iam_down = std::env::var("IAM_DOWN_S").ok().map(|seconds| Duration::from_secs(seconds.parse().unwrap()));
    let process = start_stack(functions);
    let operator = Operator::connect(&process.url).await.unwrap();
    let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
    // One by one first: who waits for an event reads all events, also those of the onboarding of the many.
    let single = onboard_many(&operator, &policy, SINGLE_KEYS).await;
    set_faults_of_all(&operator, &single, &json!({ "latency_ms": 200 })).await;
    measure_single_keys(&operator, &single).await;
    let started = Instant::now();
    let many = onboard_many(&operator, &policy, keys).await;
    println!("onboarding     {} keys in {:.0} s", many.len(), started.elapsed().as_secs_f64());
    let fault = match iam_down {
        Some(_) => json!({ "on": ["iam:*"], "server_error": 1.0 }),
        None => json!({ "latency_ms": 200 }),
    };
    set_faults_of_all(&operator, &many, &fault).await;

    let ordered_at = shared::runtime::Ambient::system().now();
    let started = Instant::now();
    let body = json!({ "reason": "figures", "confirm": "all" });
    let order = operator.api(Method::POST, "/revocations/all", Some(&body)).await.unwrap();
    assert_eq!(order.status, 202, "{}", order.text);
    println!("halted         {:.2} s until the response to the order", started.elapsed().as_secs_f64());
    let path = format!("/revocations/{}", order.body["order_id"].as_str().unwrap());
    let mut repaired = iam_down.is_none();
    let mut reached = [("stopped", None), ("deleted", None), ("dead", None)];
    while reached.iter().any(|(_, at)| at.is_none()) {
        let asked = Instant::now();
        let shown = operator.api(Method::GET, &path, None).await.unwrap();
        let seconds = started.elapsed().as_secs_f64();
        let counts = &shown.body["counts"];
        for (count, at) in &mut reached {
            if at.is_none() && counts[*count].as_u64() == Some(keys) {
                *at = Some(seconds);
                println!("{count:<14} {seconds:.1} s: {counts}");
            }
        }
        if !repaired {
            assert_eq!(counts["dead"].as_u64().unwrap_or_default(), 0, "told dead early: {counts}");
            if started.elapsed() >= iam_down.unwrap() {
                println!("IAM is back    {seconds:.1} s: {counts}");
                set_faults_of_all(&operator, &many, &json!({ "latency_ms": 200 })).await;
                repaired = true;
            }
        }
        // Looking is work of the stack, too.
        let pause = if repaired { Duration::from_millis(500) } else { Duration::from_secs(30) };
        tokio::time::sleep(asked.elapsed().max(pause)).await;
    }
    if keys <= COUNTED_KEYS {
        print_calls(&operator, ordered_at, keys).await;
    }
}

/// Onboards keys of tenants of their own. Returns their accounts and providers.
async fn onboard_many(operator: &Operator, policy: &Value, keys: u64) -> Vec<(String, String)> {
    let next = Arc::new(AtomicU64::new(0));
    let mut onboarding = JoinSet::new();
    for _ in 0..ONBOARDINGS {
        let (operator, policy, next) = (operator.clone(), policy.clone(), Arc::clone(&next));
        onboarding.spawn(async move {
            let mut onboarded = Vec::new();
            while next.fetch_add(1, Ordering::Relaxed) < keys {
                let tenant = json!({ "policies": [policy], "identities": ["example.com"] });
                let tenant = operator.create_tenant(&tenant).await.unwrap();
                let provider = operator.onboard(&format!("t-{}", tenant.account_id), &tenant).await.unwrap();
                assert_eq!(provider.status, 201, "{}", provider.text);
                onboarded.push((tenant.account_id, provider.body["provider_id"].as_str().unwrap().to_owned()));
            }
            onboarded
        });
    }
    onboarding.join_all().await.concat()
}

async fn set_faults_of_all(operator: &Operator, accounts: &[(String, String)], faults: &Value) {
    for (account_id, _) in accounts {
        let path = format!("/tenants/{account_id}/faults");
        let set = operator.local_api(Method::PUT, &path, Some(faults)).await.unwrap();
        assert!(set.status.is_success(), "{}", set.text);
    }
}

/// Measures from the breach event until the event that the key is dead.
async fn measure_single_keys(operator: &Operator, providers: &[(String, String)]) {
    let next = Arc::new(AtomicU64::new(0));
    let mut revoking = JoinSet::new();
    for _ in 0..SINGLE_REVOCATIONS {
        let (operator, providers, next) = (operator.clone(), providers.to_vec(), Arc::clone(&next));
        revoking.spawn(async move {
            let mut durations = Vec::new();
            while let Some((_, provider_id)) =
                providers.get(usize::try_from(next.fetch_add(1, Ordering::Relaxed)).unwrap())
            {
                let started = Instant::now();
                operator.report_breach(&json!({ "provider_id": provider_id }), "figures").await.unwrap();
                let is_dead = |event: &Value| event["detail"]["provider_id"] == **provider_id;
                while !operator.events("Provider Revoked").await.unwrap().iter().any(is_dead) {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                durations.push(started.elapsed());
            }
            durations
        });
    }
    let mut durations = revoking.join_all().await.concat();
    durations.sort();
    println!(
        "one key        p50 {:.1} s, p99 {:.1} s of {} from the breach event to the event that it is dead",
        durations[durations.len() / 2].as_secs_f64(),
        durations[(durations.len() * 99).div_ceil(100) - 1].as_secs_f64(),
        durations.len(),
    );
}

/// Prints the calls to AWS since then, and how many for each key: our own account's by operation, and those into tenants' accounts.
async fn print_calls(operator: &Operator, since: jiff::Timestamp, keys: u64) {
    let requests = operator.local_api(Method::GET, "/requests", None).await.unwrap().body;
    let mut calls = BTreeMap::<String, u64>::new();
    for request in requests["requests"].as_array().unwrap() {
        if request["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap() < since || request["principal"].is_null()
        {
            continue;
        }
        let whose = if request["account_id"] == OPERATOR { "ours" } else { "theirs" };
        let operation = format!("{}:{}", request["service"].as_str().unwrap(), request["operation"].as_str().unwrap());
        *calls.entry(format!("{whose:<6} {operation}")).or_default() += 1;
    }
    for (operation, count) in calls {
        println!("calls          {:>6.2} a key  {operation} ({count})", count as f64 / keys as f64);
    }
}

/// Has providers verified that are all due: cheaply, as on six of seven days.
async fn measure_watch(functions: &Path, providers: u64) {
    let process = start_stack(functions);
    let operator = Operator::connect(&process.url).await.unwrap();
    let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
    let started = Instant::now();
    let onboarded = onboard_many(&operator, &policy, providers).await;
    println!("onboarding     {} providers in {:.0} s", onboarded.len(), started.elapsed().as_secs_f64());
    let mut aws: reqwest::Url = operator.outputs.send_queue_url.parse().unwrap();
    aws.set_path("");
    let dynamodb = aws_sdk_dynamodb::Client::new(&operator::sdk_config(aws.as_str()));
    let tables = dynamodb.list_tables().send().await.unwrap();
    let table = tables.table_names().iter().find(|name| name.contains("ProvidersTable")).unwrap();
    let string = |text: &str| AttributeValue::S(text.to_owned());
    for (_, provider_id) in &onboarded {
        let update = dynamodb.update_item().table_name(table).key("pk", string(&format!("provider#{provider_id}")));
        let update = update.key("sk", string("watch")).update_expression("SET next_attempt_at = :past");
        update.expression_attribute_values(":past", string("2020-01-01T00:00:00Z")).send().await.unwrap();
    }
    let since = shared::runtime::Ambient::system().now();
    let soon = since + jiff::SignedDuration::from_hours(1);
    let started = Instant::now();
    let event: Value = serde_json::from_str(include_str!("../../events/verify-worker-watch.json")).unwrap();
    let mut enqueued_for = Duration::ZERO;
    let verified = loop {
        let enqueuing = Instant::now();
        let invoked = operator.local_api(Method::POST, "/functions/verify-worker/invoke", Some(&event)).await.unwrap();
        assert_eq!(invoked.status, 200, "{}", invoked.text);
        enqueued_for += enqueuing.elapsed();
        let query = dynamodb.query().table_name(table).index_name("sweep").select(Select::Count);
        let query = query.key_condition_expression("sweep = :watch AND next_attempt_at > :soon");
        let query = query.expression_attribute_values(":watch", string("watch"));
        let pages = query.expression_attribute_values(":soon", string(&soon.to_string())).into_paginator().send();
        let pages = pages.collect::<Result<Vec<_>, _>>().await.unwrap();
        let count: i32 = pages.iter().map(|page| page.count()).sum();
        if u64::try_from(count).unwrap() >= providers {
            break started.elapsed();
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
    };
    println!(
        "verified       {providers} in {:.1} s, {:.1} a second; the schedule ran for {:.1} s of that",
        verified.as_secs_f64(),
        providers as f64 / verified.as_secs_f64(),
        enqueued_for.as_secs_f64(),
    );
    let environments = operator.local_api(Method::GET, "/environments", None).await.unwrap().body;
    let workers = environments["environments"].as_array().unwrap().iter();
    let workers = workers.filter(|one| one["function"].as_str().is_some_and(|name| name.ends_with("verify-worker")));
    let used = workers.map(|one| Usage::of(one["pid"].as_i64().unwrap()).unwrap());
    let cpu_ms: Vec<f64> = used.map(|one| one.user_ms + one.system_ms).collect();
    println!(
        "CPU            {:.2} ms of verify-worker a provider, in {} environments",
        cpu_ms.iter().sum::<f64>() / providers as f64,
        cpu_ms.len(),
    );
    if providers <= COUNTED_KEYS {
        print_calls(&operator, since, providers).await;
    }
}

/// Replaces a key under mail, with a grace of 5 s, and counts what became of the mail.
async fn measure_rotation(functions: &Path, seconds: usize) {
    let process = start_stack(functions);
    let operator = Operator::connect(&process.url).await.unwrap();
    let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
    let tenant = json!({ "policies": [policy], "identities": ["example.com"], "max_send_rate": 2 * ROTATION_RATE });
    let tenant = operator.create_tenant(&tenant).await.unwrap();
    let onboarded = operator.onboard("acme", &tenant).await.unwrap();
    let provider_id = onboarded.body["provider_id"].as_str().unwrap();
    let keys = format!("/tenants/{}/access-keys", tenant.account_id);
    let new = operator.local_api(Method::POST, &keys, Some(&json!({ "user_name": "mailer" }))).await.unwrap().body;

    let send = async {
        let started = tokio::time::Instant::now();
        for tenth in 0..seconds * 10 {
            tokio::time::sleep_until(started + Duration::from_millis(100) * u32::try_from(tenth).unwrap()).await;
            let first = tenth * ROTATION_RATE / 10;
            let entries = (first..first + ROTATION_RATE / 10).map(|n| {
                aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder()
                    .id(n.to_string())
                    .message_group_id(provider_id)
                    .message_body(mail(provider_id, n).to_string())
                    .build()
                    .unwrap()
            });
            let request = operator.sqs.send_message_batch().queue_url(&operator.outputs.send_queue_url);
            let output = request.set_entries(Some(entries.collect())).send().await.unwrap();
            assert!(output.failed().is_empty());
        }
    };
    let rotate = async {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let started = Instant::now();
        let body = json!({
            "access_key_id": new["access_key_id"], "secret_access_key": new["secret_access_key"], "grace_seconds": 5,
        });
        let path = format!("/providers/{provider_id}/rotations");
        let begun = operator.api(Method::POST, &path, Some(&body)).await.unwrap();
        assert_eq!(begun.status, 201, "{}", begun.text);
        println!("rotation       {:.0} ms until the new key was taken", milliseconds(started.elapsed()));
        let path = format!("{path}/{}", begun.body["rotation_id"].as_str().unwrap());
        let mut promoted = false;
        loop {
            let rotation = operator.api(Method::GET, &path, None).await.unwrap().body;
            if !promoted && rotation["promoted_at"].is_string() {
                promoted = true;
                println!("promotion      {:.0} ms until a mail had promoted it", milliseconds(started.elapsed()));
            }
            if rotation["closed_at"].is_string() {
                println!(
                    "completion     {:.0} s until the old key was stopped, by the minutely sweep",
                    started.elapsed().as_secs_f64()
                );
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        while operator.events("Retired Key Revoked").await.unwrap().is_empty() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        println!("death          {:.0} s until the old key was seen dead", started.elapsed().as_secs_f64());
    };
    tokio::join!(send, rotate);
    let mails = seconds * ROTATION_RATE;
    let sent = Instant::now();
    let mut copies = BTreeMap::new();
    // What waits for SQS to deliver it again has to arrive too.
    while copies.len() < mails && sent.elapsed() < Duration::from_mins(8) {
        tokio::time::sleep(Duration::from_secs(2)).await;
        copies.clear();
        for accepted in operator.inbox(&tenant.account_id).await.unwrap() {
            *copies.entry(accepted["subject"].as_str().unwrap().to_owned()).or_insert(0) += 1;
        }
    }
    let twice = copies.values().filter(|copies| **copies > 1).count();
    let refused = operator.events("Mail Rejected").await.unwrap().len();
    println!(
        "mail           {mails} at {ROTATION_RATE}/s: lost {}, sent twice {twice}, refused {refused}",
        mails - copies.len()
    );
}

/// Starts a stack with the functions of a folder, or with those of this build if there is no such folder.
fn start_stack(functions: &Path) -> StackProcess {
    let functions = functions.is_dir().then_some(functions);
    let limits = ["--parameter", "ApiRateLimit=5000", "--parameter", "ApiBurstLimit=5000"];
    StackProcess::with_functions(env!("CARGO_BIN_EXE_local"), functions, &limits, Stdio::inherit()).unwrap()
}

fn mail(provider_id: &str, n: usize) -> Value {
    json!({
        "version": 1, "tenant_id": "acme", "provider_id": provider_id, "mail_id": format!("figure-{n}"),
        "from": "Jane <jane@example.com>", "to": ["ann@example.org"], "subject": format!("Figure {n}"),
        "text": "x".repeat(1500), "html": format!("<p>{}</p>", "x".repeat(1500)),
    })
}

fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1024.0 / 1024.0
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
