//! `drill` against a stack on this machine, over the wire: what it says, and that nothing is left of it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::support::Stack;

const ACCOUNT: &str = "123456789012";

/// A stack, and an operator who may do what the README says.
struct World {
    stack: Stack,
    operator: operator::Tenant,
}

/// A drill that has ended.
struct Ended {
    out: String,
    err: String,
    code: Option<i32>,
}

impl World {
    async fn start() -> Self {
        let stack = Stack::with_arguments(&[]).await;
        let request = json!({
            "account_id": ACCOUNT, "user_name": "drill-operator", "policies": [operator_policy()],
            "identities": ["example.com"],
        });
        let operator = stack.create_tenant(&request).await.unwrap();
        Self { stack, operator }
    }

    fn command(&self, arguments: &[&str]) -> Command {
        self.command_for("sendingbee", arguments)
    }

    fn command_for(&self, stack: &str, arguments: &[&str]) -> Command {
        let url = &self.stack.outputs.send_queue_url;
        let endpoint: Vec<&str> = url.split('/').take(3).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command
            .args(["drill", "--stack", stack, "--from", "drill@example.com"])
            .args(arguments)
            .env_remove("AWS_SESSION_TOKEN")
            .env("AWS_ENDPOINT_URL", endpoint.join("/"))
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", &self.operator.access_key_id)
            .env("AWS_SECRET_ACCESS_KEY", &self.operator.secret_access_key)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    async fn drill(&self, arguments: &[&str]) -> Ended {
        let mut command = self.command(arguments);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let ended = Ended { out: text(output.stdout), err: text(output.stderr), code: output.status.code() };
        assert!(!ended.out.contains(&self.operator.secret_access_key), "{}", ended.out);
        ended
    }

    /// Starts a drill and signals it once it has printed a line of this kind. Returns the process, and what it printed.
    async fn drill_until(&self, kind: &'static str, signal: Signal) -> (Child, String) {
        let mut process = self.command(&[]).spawn().unwrap();
        tokio::task::spawn_blocking(move || {
            let mut out = String::new();
            for line in BufReader::new(process.stdout.take().unwrap()).lines() {
                let line = line.unwrap();
                out.push_str(&line);
                out.push('\n');
                if is_of_kind(&line, kind) {
                    kill_process(Pid::from_child(&process), signal).unwrap();
                }
            }
            (process, out)
        })
        .await
        .unwrap()
    }

    /// The users of drills with their keys.
    async fn drill_users(&self) -> Vec<Value> {
        let account = self.stack.local_api(Method::GET, &format!("/tenants/{ACCOUNT}"), None).await.unwrap();
        let mut users = account.body["users"].as_array().unwrap().clone();
        users.retain(|user| user["user_name"].as_str().unwrap().starts_with("sendingbee-drill-"));
        users
    }

    /// The provider of a drill's user, and that its key is dead.
    async fn assert_provider_revoked(&self, user_name: &str) {
        let path = format!("/providers?tenant_id={user_name}");
        let list = self.stack.api(Method::GET, &path, None).await.unwrap();
        let [provider] = list.body["providers"].as_array().unwrap().as_slice() else { panic!("{}", list.text) };
        assert_eq!(provider["status"], "revoked", "{provider}");
    }
}

/// The policy of the README, for this stack.
fn operator_policy() -> Value {
    let readme = include_str!("../../README.md");
    let (_, rest) = readme.split_once("```json operator-policy\n").expect("the README has the operator's policy");
    let (policy, _) = rest.split_once("```").unwrap();
    let policy = policy.replace("REGION", "us-east-1").replace("ACCOUNT", ACCOUNT).replace("API-ID", "*");
    serde_json::from_str(&policy.replace("STACK", "sendingbee")).unwrap()
}

/// Whether it is a line of progress with this label.
fn is_of_kind(line: &str, kind: &str) -> bool {
    line.split_once(" s  ").is_some_and(|(_, rest)| rest.split(' ').next() == Some(kind))
}

fn user_name(out: &str) -> &str {
    let line = out.lines().find(|line| is_of_kind(line, "user")).unwrap();
    line.split_whitespace().last().unwrap()
}

#[tokio::test]
async fn a_drill_says_what_became_of_each_fact_and_leaves_nothing() {
    let world = World::start().await;
    let json_path = std::env::temp_dir().join(format!("drill-{}.json", std::process::id()));
    let Ended { out, err, code } = world.drill(&["--json", json_path.to_str().unwrap()]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let facts = [
        ("confirmed", "deletion-denied-before-look-up", "403 AccessDenied"),
        ("confirmed", "deletion-allowed-is-no-such-entity", "404 NoSuchEntity"),
        ("confirmed", "deletion-of-other-user-denied", "403 AccessDenied"),
        ("confirmed", "template-content-action", "403 AccessDeniedException"),
        ("confirmed", "suppressed-recipient-accepted", "sent 0100"),
        ("not observable here", "suppressed-recipient-bounces", "GetMessageInsights: 404 NotFoundException"),
        ("not observable here", "quarantine-v4", "404 NoSuchEntity"),
        ("not observable here", "recursive-loop-detection", ""),
        ("not observable here", "console-labels", ""),
        ("not observable here", "health-and-quarantine", ""),
    ];
    for (verdict, name, said) in facts {
        let (_, rest) = out.split_once(&format!("{verdict}: {name}: ")).unwrap_or_else(|| panic!("{name}: {out}"));
        let lines: Vec<&str> = rest.lines().take(3).collect();
        assert!(said.is_empty() || lines[1].trim().starts_with(&format!("the stand-in said: {said}")), "{lines:?}");
        let advice = lines.iter().skip(1).any(|line| line.trim().starts_with("look: "));
        assert_eq!(advice, verdict != "confirmed", "{lines:?}");
    }
    // Nobody mistakes it for AWS.
    assert!(out.lines().any(|line| is_of_kind(line, "against") && line.contains("NOT AWS")), "{out}");
    let (_, done) = out.split_once("\nDone in ").unwrap();
    assert!(done.contains("not AWS: the key was dead ") && done.contains("5 facts confirmed, 0 otherwise"), "{done}");
    assert!(done.contains("\nNext: run it against AWS"), "{done}");

    let report: Value = serde_json::from_slice(&std::fs::read(&json_path).unwrap()).unwrap();
    std::fs::remove_file(&json_path).unwrap();
    assert_eq!(report["facts"].as_array().unwrap().len(), facts.len());
    assert_eq!((&report["facts"][0]["verdict"], &report["drill"]["outcome"]), (&json!("confirmed"), &json!("dead")));
    let dead_after = report["drill"]["dead_after_ms"].as_f64().unwrap() / 1000.0;
    assert!(done.contains(&format!("dead {dead_after:.1} s after the report")), "{done}");

    assert_eq!(world.drill_users().await, [json!(null); 0]);
    world.assert_provider_revoked(user_name(&out)).await;
    let mails = world.stack.inbox(ACCOUNT).await.unwrap();
    assert_eq!(mails.len(), 3, "{mails:?}");
}

#[tokio::test]
async fn a_drill_that_fails_or_is_interrupted_cleans_up() {
    let world = World::start().await;
    // The first message is the drill's own: the stack sends none before it.
    let rule = json!({ "rules": [{ "on": ["sqs:SendMessage"], "resource": "sendingbee-SendQueue*", "refuse": 1 }] });
    world.stack.local_api(Method::PUT, "/faults", Some(&rule)).await.unwrap();
    let Ended { out, err, code } = world.drill(&[]).await;
    assert_eq!(code, Some(1), "{out}");
    assert!(err.contains("the drill failed") && err.contains("SendMessage") && err.contains("AccessDenied"), "{err}");
    assert_eq!(world.drill_users().await, [json!(null); 0]);
    world.assert_provider_revoked(user_name(&out)).await;

    let (mut process, out) = world.drill_until("taken", Signal::INT).await;
    assert_eq!(process.wait().unwrap().code(), Some(1), "{out}");
    assert!(out.contains("Interrupted: cleaning up"), "{out}");
    assert_eq!(world.drill_users().await, [json!(null); 0]);
    world.assert_provider_revoked(user_name(&out)).await;
}

#[tokio::test]
async fn what_a_killed_drill_leaves_is_cleaned_up_by_the_next_one() {
    let world = World::start().await;
    let (mut process, killed) = world.drill_until("taken", Signal::KILL).await;
    assert_eq!(process.wait().unwrap().code(), None);
    let left = world.drill_users().await;
    assert_eq!((left.len(), &left[0]["user_name"]), (1, &json!(user_name(&killed))));
    assert_eq!(left[0]["access_keys"][0]["status"], "Active");
    // A user of the same kind of name that no drill made.
    let stranger = json!({ "account_id": ACCOUNT, "user_name": "sendingbee-drill-stranger", "policies": [] });
    world.stack.create_tenant(&stranger).await.unwrap();

    // It may be a drill that is running.
    let recent = world.drill(&[]).await;
    assert_eq!((recent.code, recent.out.contains("leftover")), (Some(0), false), "{}", recent.out);
    assert_eq!(world.drill_users().await.len(), 2);

    // IAM dates a user to the second.
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    let Ended { out, err, code } = world.drill(&["--leftover-age", "0"]).await;
    assert_eq!((code, err.as_str()), (Some(0), ""), "{out}");
    let line = out.lines().find(|line| is_of_kind(line, "leftover")).unwrap();
    assert!(line.contains(user_name(&killed)), "{line}");
    let left: Vec<Value> = world.drill_users().await.into_iter().map(|mut user| user["user_name"].take()).collect();
    assert_eq!(left, ["sendingbee-drill-stranger"]);
    world.assert_provider_revoked(user_name(&killed)).await;
}

#[tokio::test]
async fn what_a_drill_lacks_is_named_before_anything_is_made() {
    let world = World::start().await;
    let without_key = world.command(&[]).env_remove("AWS_SECRET_ACCESS_KEY").output().unwrap();
    let err = String::from_utf8(without_key.stderr).unwrap();
    assert!(!without_key.status.success() && err.contains("AWS_SECRET_ACCESS_KEY not set"), "{err}");

    // The operator of the README may not even ask for another stack; root may.
    let unknown = [
        (&world.operator.access_key_id[..], &world.operator.secret_access_key[..], "AccessDenied"),
        ("test", "test", "Stack with id other does not exist"),
    ];
    for (id, secret, said) in unknown {
        let mut command = world.command_for("other", &[]);
        let output = command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret).output().unwrap();
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && err.contains(said) && err.contains("--stack"), "{err}");
    }

    let halt = json!({ "reason": "test" });
    world.stack.api(Method::PUT, "/halt", Some(&halt)).await.unwrap();
    let halted = world.drill(&[]).await;
    assert_eq!(halted.code, Some(1));
    assert!(halted.err.contains("all sending is halted") && halted.err.contains("DELETE /halt"), "{}", halted.err);
    assert_eq!(world.drill_users().await, [json!(null); 0]);
}
