//! The stack of a run, its tenants, and what can be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use jiff::Timestamp;
use operator::process::{StackProcess, Usage, named_functions};
use operator::{Operator, Tenant};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Keys that are onboarded at the same time, below the concurrency of `verify`.
const ONBOARDINGS: usize = 12;
/// Mail that is still in the queue after this long is lost.
const DRAINED_WITHIN: Duration = Duration::from_mins(10);
/// How long a request to the API is repeated: faults strike the functions behind it too.
const PATIENCE: Duration = Duration::from_secs(90);

/// What SES takes of an account.
#[derive(Clone, Copy)]
pub(crate) struct RunAccount {
    /// A second.
    pub(crate) rate: u32,
    /// In 24 hours.
    pub(crate) daily_quota: u32,
}

impl RunAccount {
    /// An account whose daily quota is never reached.
    pub(crate) fn of_rate(rate: u32) -> Self {
        Self { rate, daily_quota: 1_000_000 }
    }
}

/// A tenant of the run.
pub(crate) struct RunTenant {
    /// Its account and key.
    pub(crate) tenant: Tenant,
    /// The operator's name for it.
    pub(crate) tenant_id: String,
    /// Its provider.
    pub(crate) provider_id: String,
    /// What SES takes a second.
    pub(crate) rate: u32,
}

impl RunTenant {
    /// A mail of 1.5 KB, whose subject is its id.
    pub(crate) fn mail(&self, mail_id: &str) -> Value {
        json!({
            "version": 1, "tenant_id": self.tenant_id, "provider_id": self.provider_id, "mail_id": mail_id,
            "from": "Jane <jane@example.com>", "to": ["ann@example.org"], "subject": mail_id, "text": "x".repeat(1500),
        })
    }
}

/// Faults that are in force.
#[derive(Default)]
struct InForce {
    /// Rules of our own account, by their name here.
    own: BTreeMap<&'static str, Value>,
    /// SES answers nobody.
    outage: bool,
    /// Accounts whose sending is paused.
    paused: BTreeSet<String>,
}

/// A running stack.
pub(crate) struct RunStack {
    /// The operator's backend.
    pub(crate) operator: Operator,
    /// DynamoDB in the operator's account.
    pub(crate) dynamodb: aws_sdk_dynamodb::Client,
    /// The tables' names.
    pub(crate) mails_table: String,
    /// The tenants.
    pub(crate) tenants: Vec<RunTenant>,
    /// Faults of every tenant's SES all the time.
    always: Value,
    in_force: Mutex<InForce>,
    _process: StackProcess,
}

impl RunStack {
    /// Starts a stack whose template has these parameters, each as `Name=value`, and onboards a tenant of each account, whose SES has the faults
    /// `always`. The functions are those of the folder `FUNCTIONS`, or of this build.
    pub(crate) async fn start(parameters: &[&str], accounts: &[RunAccount], always: Value) -> Self {
        let functions = named_functions();
        Self::with(functions.as_deref(), parameters, accounts, always, Stdio::inherit()).await
    }

    /// Starts a stack as [`Self::start`] does, with the functions of a folder, and with another standard error.
    pub(crate) async fn with(
        functions: Option<&Path>,
        parameters: &[&str],
        accounts: &[RunAccount],
        always: Value,
        stderr: Stdio,
    ) -> Self {
        let mut arguments = vec!["--parameter", "ApiRateLimit=5000", "--parameter", "ApiBurstLimit=5000"];
        arguments.extend(parameters.iter().flat_map(|parameter| ["--parameter", *parameter]));
        let process = StackProcess::with_functions(env!("CARGO_BIN_EXE_local"), functions, &arguments, stderr).unwrap();
        let operator = Operator::connect(&process.url).await.unwrap();
        let mut aws: reqwest::Url = operator.outputs.send_queue_url.parse().unwrap();
        aws.set_path("");
        let dynamodb = aws_sdk_dynamodb::Client::new(&operator::sdk_config(aws.as_str()));
        let tables = dynamodb.list_tables().send().await.unwrap();
        let mails_table = tables.table_names().iter().find(|name| name.contains("MailsTable")).unwrap().clone();

        let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
        let mut tenants = Vec::new();
        for (chunk, accounts) in accounts.chunks(ONBOARDINGS).enumerate() {
            let onboardings = accounts.iter().enumerate().map(|(n, account)| {
                let (operator, policy, account) = (operator.clone(), policy.clone(), *account);
                let n = chunk * ONBOARDINGS + n;
                async move { (n, onboard(&operator, n, account, &policy).await) }
            });
            tenants.extend(onboardings.collect::<JoinSet<_>>().join_all().await);
        }
        tenants.sort_by_key(|(n, _)| *n);
        let tenants = tenants.into_iter().map(|(_, tenant)| tenant).collect();
        let in_force = Mutex::default();
        let stack = Self { operator, dynamodb, mails_table, tenants, always, in_force, _process: process };
        for n in 0..stack.tenants.len() {
            stack.set_tenant_faults(n, &InForce::default()).await;
        }
        stack
    }

    /// Puts messages into the send queue.
    pub(crate) async fn enqueue(&self, mails: &[Value]) {
        for batch in mails.chunks(10) {
            let entries = batch.iter().enumerate().map(|(n, mail)| {
                let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
                let entry = entry.message_group_id(mail["provider_id"].as_str().unwrap());
                entry.message_body(mail.to_string()).build().unwrap()
            });
            let request = self.operator.sqs.send_message_batch().queue_url(&self.operator.outputs.send_queue_url);
            let output = request.set_entries(Some(entries.collect())).send().await.unwrap();
            assert!(output.failed().is_empty(), "{:?}", output.failed());
        }
    }

    /// Waits until the send queue holds nothing. Returns how many processes of `send` there were at most.
    pub(crate) async fn drained(&self) -> usize {
        let (started, mut most) = (Instant::now(), 0);
        loop {
            most = most.max(self.senders().await.len());
            if self.queued().await == 0 {
                return most;
            }
            assert!(started.elapsed() < DRAINED_WITHIN, "mail is left in the queue");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// How many messages the send queue holds, whether they can be received or not.
    pub(crate) async fn queued(&self) -> u64 {
        let request = self.operator.sqs.get_queue_attributes().queue_url(&self.operator.outputs.send_queue_url);
        let output = request.attribute_names(QueueAttributeName::All).send().await.unwrap();
        let counts = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        counts.iter().map(|name| output.attributes().unwrap()[name].parse::<u64>().unwrap()).sum()
    }

    /// Adds a rule to the faults of our own account, or ends it.
    pub(crate) async fn break_ours(&self, name: &'static str, rule: Option<Value>) {
        let mut in_force = self.in_force.lock().await;
        match rule {
            Some(rule) => in_force.own.insert(name, rule),
            None => in_force.own.remove(name),
        };
        let rules = json!({ "rules": in_force.own.values().collect::<Vec<_>>() });
        let set = self.operator.local_api(Method::PUT, "/faults", Some(&rules)).await.unwrap();
        assert!(set.status.is_success(), "{}", set.text);
    }

    /// SES answers nobody, or does again.
    pub(crate) async fn set_outage(&self, outage: bool) {
        let mut in_force = self.in_force.lock().await;
        in_force.outage = outage;
        for n in 0..self.tenants.len() {
            self.set_tenant_faults(n, &in_force).await;
        }
    }

    /// Pauses a tenant's sending, or lets it send again.
    pub(crate) async fn set_paused(&self, n: usize, paused: bool) {
        let mut in_force = self.in_force.lock().await;
        let account_id = self.tenants[n].tenant.account_id.clone();
        match paused {
            true => in_force.paused.insert(account_id),
            false => in_force.paused.remove(&account_id),
        };
        self.set_tenant_faults(n, &in_force).await;
    }

    async fn set_tenant_faults(&self, n: usize, in_force: &InForce) {
        let account_id = &self.tenants[n].tenant.account_id;
        let mut faults = match in_force.outage {
            true => json!({ "on": ["ses:*"], "server_error": 1.0, "enforce_max_send_rate": true }),
            false => self.always.clone(),
        };
        faults["paused"] = json!(in_force.paused.contains(account_id));
        let path = format!("/tenants/{account_id}/faults");
        let set = self.operator.local_api(Method::PUT, &path, Some(&faults)).await.unwrap();
        assert!(set.status.is_success(), "{}", set.text);
    }

    /// Calls the API until it does what was asked.
    pub(crate) async fn insist(&self, method: Method, path: &str, body: &Value) -> Value {
        let started = Instant::now();
        loop {
            let response = self.operator.api(method.clone(), path, Some(body)).await;
            if let Ok(response) = &response
                && response.status.is_success()
            {
                return response.body.clone();
            }
            assert!(started.elapsed() < PATIENCE, "{method} {path}: {response:?}");
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// What each process of `send` has used that exists now.
    pub(crate) async fn senders(&self) -> Vec<Usage> {
        let listed = self.operator.local_api(Method::GET, "/environments", None).await.unwrap().body;
        let environments = listed["environments"].as_array().unwrap().iter();
        let senders = environments.filter(|one| one["binary"] == "send");
        // One that has ended since is none.
        senders.filter_map(|one| Usage::of(one["pid"].as_i64()?).ok()).collect()
    }

    /// The most memory in MB that a process of `send` that exists now has had.
    pub(crate) async fn peak_mb(&self) -> f64 {
        self.senders().await.iter().map(|sender| sender.peak_mb).fold(0.0, f64::max)
    }

    /// When SES was asked to send a tenant's mail since then, in milliseconds and in their order, and how it answered. The probes of
    /// `verify` are left out: SES rejects them.
    pub(crate) async fn sends(&self, account_id: &str, since: Timestamp) -> Vec<(i64, String)> {
        let path = format!("/requests?account_id={account_id}");
        let log = self.operator.local_api(Method::GET, &path, None).await.unwrap().body;
        let requests = log["requests"].as_array().unwrap().iter();
        let sends = requests.filter(|one| one["operation"] == "SendEmail" && one["error"] != "MessageRejected");
        let mut sends: Vec<(i64, String)> = sends
            .filter_map(|one| {
                let at: Timestamp = one["at"].as_str()?.parse().ok()?;
                let answer =
                    one["status"].as_u64().map_or_else(|| "without one".to_owned(), |status| status.to_string());
                (at >= since).then_some((at.as_millisecond(), answer))
            })
            .collect();
        sends.sort_by_key(|(at, _)| *at);
        sends
    }

    /// How many mails SES has accepted.
    pub(crate) async fn sent(&self) -> usize {
        let counted = self.operator.local_api(Method::GET, "/requests/counts", None).await.unwrap().body;
        let counts = counted["counts"].as_array().unwrap().iter();
        let accepted = counts.filter(|kind| kind["operation"] == "SendEmail" && kind["error"].is_null());
        accepted.map(|kind| usize::try_from(kind["count"].as_u64().unwrap()).unwrap()).sum()
    }

    /// The processes of `send` that are working on an invocation.
    pub(crate) async fn busy_senders(&self) -> Vec<Pid> {
        let listed = self.operator.local_api(Method::GET, "/environments", None).await.unwrap().body;
        let environments = listed["environments"].as_array().unwrap().iter();
        let busy = environments.filter(|one| one["binary"] == "send" && one["state"] == "busy");
        busy.filter_map(|one| Pid::from_raw(i32::try_from(one["pid"].as_i64()?).ok()?)).collect()
    }

    /// Has `send` release parked mail, as its schedule does every minute. With `at_once` what was released a moment ago is no reason to
    /// wait for the next minute.
    pub(crate) async fn run_send_schedule(&self, at_once: bool) {
        for RunTenant { provider_id, .. } in self.tenants.iter().filter(|_| at_once) {
            let update = self.dynamodb.update_item().table_name(&self.mails_table);
            let update = update.key("pk", string("parking")).key("sk", string(provider_id));
            let update = update.update_expression("REMOVE lease_ms").condition_expression("attribute_exists(noted_ms)");
            // A provider without parked mail is not noted.
            update.send().await.ok();
        }
        let event: Value = serde_json::from_str(include_str!("../../../events/send-candidates.json")).unwrap();
        self.operator.local_api(Method::POST, "/functions/send/invoke", Some(&event)).await.unwrap();
    }

    /// Raises a tenant's daily quota.
    pub(crate) async fn raise_quota(&self, n: usize, quota: u32) {
        let account_id = &self.tenants[n].tenant.account_id;
        // A further user leaves the account as it is but for the quota.
        let user = json!({ "account_id": account_id, "user_name": "raised", "max_24_hour_send": quota });
        self.operator.create_tenant(&user).await.unwrap();
    }

    /// Lets a quarter of an hour pass for what is remembered of a tenant's quota.
    pub(crate) async fn forget_quota(&self, n: usize) {
        let tenant = &self.tenants[n].tenant;
        let update = self.dynamodb.update_item().table_name(&self.mails_table);
        let update = update.key("pk", string(&format!("rate#{}#{}", tenant.account_id, tenant.region)));
        let update = update.key("sk", string("rate")).update_expression("SET quota_until = :past, read_at = :past");
        update.expression_attribute_values(":past", AttributeValue::N("0".to_owned())).send().await.unwrap();
    }
}

/// Creates an account and has its key taken.
async fn onboard(operator: &Operator, n: usize, account: RunAccount, policy: &Value) -> RunTenant {
    let RunAccount { rate, daily_quota } = account;
    let tenant = json!({
        "policies": [policy], "identities": ["example.com"], "max_send_rate": rate, "max_24_hour_send": daily_quota,
    });
    let tenant = operator.create_tenant(&tenant).await.unwrap();
    let tenant_id = format!("tenant-{n}");
    let provider = operator.onboard(&tenant_id, &tenant).await.unwrap();
    assert_eq!(provider.status, 201, "{}", provider.text);
    let provider_id = provider.body["provider_id"].as_str().unwrap().to_owned();
    RunTenant { tenant, tenant_id, provider_id, rate }
}

/// Sends a signal to processes. One that has ended meanwhile takes none.
pub(crate) fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        kill_process(*pid, signal).ok();
    }
}

/// What time it is.
pub(crate) fn now() -> Timestamp {
    shared::runtime::Ambient::system().now()
}

/// A string of DynamoDB.
pub(crate) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
