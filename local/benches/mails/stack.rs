//! The stack of a run, its tenants, and what can be broken.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_dynamodb::types::AttributeValue;
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use operator::{Operator, Tenant};
use reqwest::Method;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tokio::sync::Mutex;
use tokio::time::sleep;

/// How long a request to the API is repeated: faults strike the functions behind it too.
const PATIENCE: Duration = Duration::from_secs(90);

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
    process: Child,
}

impl RunStack {
    /// Starts a stack, and onboards a tenant for each rate. The first account's daily quota is `quota`.
    pub(crate) async fn start(parameters: &[&str], rates: &[u32], quota: u32, always: Value) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_local"));
        command.args(["serve", "--aws-port", "0", "--api-port", "0", "--until-stdin-closes"]);
        for parameter in parameters {
            command.args(["--parameter", parameter]);
        }
        if let Some(functions) = std::env::var_os("FUNCTIONS") {
            command.arg("--functions").arg(functions);
        }
        // Its warnings are about the faults that are wanted.
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| Some(line.strip_prefix("API")?.trim().to_owned())).unwrap();
        std::thread::spawn(move || lines.for_each(drop));
        let operator = Operator::connect(&url).await.unwrap();
        let mut aws: reqwest::Url = operator.outputs.send_queue_url.parse().unwrap();
        aws.set_path("");
        let dynamodb = aws_sdk_dynamodb::Client::new(&operator::sdk_config(aws.as_str()));
        let tables = dynamodb.list_tables().send().await.unwrap();
        let mails_table = tables.table_names().iter().find(|name| name.contains("MailsTable")).unwrap().clone();

        let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
        let mut tenants = Vec::new();
        for (n, rate) in rates.iter().enumerate() {
            let quota = if n == 0 { quota } else { 1_000_000 };
            let account = json!({
                "policies": [policy], "identities": ["example.com"], "max_send_rate": rate, "max_24_hour_send": quota,
            });
            let tenant = operator.create_tenant(&account).await.unwrap();
            let tenant_id = format!("tenant-{n}");
            let provider = operator.onboard(&tenant_id, &tenant).await.unwrap();
            assert_eq!(provider.status, 201, "{}", provider.text);
            let provider_id = provider.body["provider_id"].as_str().unwrap().to_owned();
            tenants.push(RunTenant { tenant, tenant_id, provider_id, rate: *rate });
        }
        let stack = Self { operator, dynamodb, mails_table, tenants, always, in_force: Mutex::default(), process };
        for n in 0..stack.tenants.len() {
            stack.set_tenant_faults(n, &InForce::default()).await;
        }
        stack
    }

    /// Ends the stack.
    pub(crate) fn stop(mut self) {
        drop(self.process.stdin.take());
        self.process.wait().unwrap();
    }

    /// Puts messages into the send queue.
    pub(crate) async fn enqueue(&self, mails: &[(String, Value)]) {
        for batch in mails.chunks(10) {
            let entries = batch.iter().enumerate().map(|(n, (provider_id, mail))| {
                let entry = SendMessageBatchRequestEntry::builder().id(n.to_string());
                entry.message_group_id(provider_id).message_body(mail.to_string()).build().unwrap()
            });
            let request = self.operator.sqs.send_message_batch().queue_url(&self.operator.outputs.send_queue_url);
            let output = request.set_entries(Some(entries.collect())).send().await.unwrap();
            assert!(output.failed().is_empty(), "{:?}", output.failed());
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

/// Sends a signal to processes. One that has ended meanwhile takes none.
pub(crate) fn signal(pids: &[Pid], signal: Signal) {
    for pid in pids {
        kill_process(*pid, signal).ok();
    }
}

/// A string of DynamoDB.
pub(crate) fn string(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}
