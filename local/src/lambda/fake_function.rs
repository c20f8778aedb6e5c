//! A fake function: this test program, started again as a process that speaks the Runtime API.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Pid;
use serde_json::{Value, json};

use super::fixtures::{eventually, host, invoke, response, start_sleeping};
use super::{LaunchConfig, die_with_parent, runtime_api};

/// Starts [`fake_function`] of this test program.
pub(crate) fn launch_config() -> LaunchConfig {
    LaunchConfig { program: std::env::current_exe().unwrap(), arguments: arguments("fake_function"), directory: None }
}

/// Starts [`fake_local`] of this test program: a host with one frozen and one busy environment.
pub(super) fn spawn_host() -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(arguments("fake_local"))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// The process ids of the environments that [`fake_local`] prints.
pub(super) fn host_pids(local: &mut Child) -> Vec<Pid> {
    let stdout = BufReader::new(local.stdout.as_mut().unwrap());
    let line = stdout.lines().map(Result::unwrap).find(|line| line.contains("pids: ")).unwrap();
    let pids = line.split_once("pids: ").unwrap().1;
    pids.split_whitespace().map(|pid| Pid::from_raw(pid.parse().unwrap()).unwrap()).collect()
}

fn arguments(test: &str) -> Vec<String> {
    let name = format!("{}::{test}", module_path!().split_once("::").unwrap().1);
    ["--exact", &name, "--ignored", "--nocapture", "--test-threads=1"].map(str::to_owned).to_vec()
}

#[test]
#[ignore = "a process that other tests start"]
fn fake_function() {
    let Ok(runtime_api) = std::env::var("AWS_LAMBDA_RUNTIME_API") else { return };
    die_with_parent();
    if std::env::var("FAIL_INIT").is_ok() {
        std::process::exit(1);
    }
    loop {
        let request = format!("GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nhost: {runtime_api}\r\n\r\n");
        let Some((headers, event)) = exchange(&runtime_api, request.as_bytes()) else { return };
        let event: Value = serde_json::from_slice(&event).unwrap_or_default();
        let id = &headers["lambda-runtime-aws-request-id"];
        let (kind, body) = handle(&event, &headers);
        let path = format!("/2018-06-01/runtime/invocation/{id}/{kind}");
        let mut request =
            format!("POST {path} HTTP/1.1\r\nhost: {runtime_api}\r\ncontent-length: {}\r\n\r\n", body.len())
                .into_bytes();
        request.extend(body);
        if exchange(&runtime_api, &request).is_none() {
            return;
        }
    }
}

/// Does what the event says. Returns the last segment of the Runtime API's path, and the body to post.
fn handle(event: &Value, headers: &BTreeMap<String, String>) -> (&'static str, Vec<u8>) {
    let pid = std::process::id();
    let response = match event["do"].as_str() {
        Some("report") => json!({
            "pid": pid,
            "event": event,
            "variables": std::env::vars().collect::<BTreeMap<_, _>>(),
            "trace": headers["lambda-runtime-trace-id"],
            "deadline_ms": headers["lambda-runtime-deadline-ms"].parse::<i64>().unwrap(),
        }),
        Some("sleep") => {
            std::thread::sleep(Duration::from_millis(event["ms"].as_u64().unwrap()));
            json!({"pid": pid})
        }
        Some("exit") => std::process::exit(3),
        Some("print and exit") => {
            let text = event["text"].as_str().unwrap();
            println!("stdout: {text}");
            eprint!("stderr: {text}");
            std::process::exit(0);
        }
        Some("fail") => {
            return ("error", json!({"errorType": "Requested", "errorMessage": "as requested"}).to_string().into());
        }
        Some("large") => return ("response", vec![b'x'; runtime_api::MAX_PAYLOAD_BYTES + 1]),
        _ if event["version"] == "2.0" => handle_request(event),
        _ => handle_batch(event),
    };
    ("response", response.to_string().into_bytes())
}

/// Handles a request of the HTTP API: returns the event as the body.
fn handle_request(event: &Value) -> Value {
    if event["rawPath"] == "/crash" {
        std::process::exit(3);
    }
    json!({"statusCode": 200, "headers": {"content-type": "application/json"}, "body": event.to_string()})
}

/// Handles an SQS batch: each body says whether its message fails.
fn handle_batch(event: &Value) -> Value {
    let records = event["Records"].as_array().map(Vec::as_slice).unwrap_or_default();
    if records.iter().any(|record| record["body"] == "exit") {
        std::process::exit(3);
    }
    let failed = records.iter().filter(|record| record["body"] == "fail");
    let failures: Vec<Value> = failed.map(|record| json!({"itemIdentifier": record["messageId"]})).collect();
    json!({"batchItemFailures": failures})
}

/// Sends one request over a connection of its own. Returns `None` once the host has ended.
fn exchange(address: &str, request: &[u8]) -> Option<(BTreeMap<String, String>, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).ok()?;
    stream.write_all(request).ok()?;
    let mut stream = BufReader::new(stream);
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).ok()?;
        match line.trim_end() {
            "" if headers.is_empty() => return None,
            "" => break,
            line => {
                let (name, value) = line.split_once(": ").unwrap_or(("status", line));
                headers.insert(name.to_ascii_lowercase(), value.to_owned());
            }
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).ok()?;
    Some((headers, body))
}

#[tokio::test]
#[ignore = "a process that other tests start"]
async fn fake_local() {
    let host = host(|_| ());
    let running = start_sleeping(&host, 600_000).await;
    response(invoke(&host, json!({"do": "report"})).await);
    eventually("an environment is idle", || host.environments().iter().any(|one| one.state == "idle")).await;
    let pids: Vec<String> = host.environments().iter().map(|one| one.pid.to_string()).collect();
    println!("\npids: {}", pids.join(" "));
    let _ = running.await;
}
