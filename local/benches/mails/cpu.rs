//! What a mail costs whole `send` processes: user and system time, from their starts on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use aws_sdk_sqs::types::QueueAttributeName::{
    ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible,
};
use operator::Operator;
use reqwest::Method;
use serde_json::json;
use tokio::task::JoinSet;

use super::{mail, memory, start_stack};

/// How often each build is measured, in turn with the others.
const ROUNDS: usize = 3;
/// The tenants whose mails are sent. A rate that never holds mail back for longer than a millisecond.
const TENANTS: usize = 4;
const MAX_SEND_RATE: usize = 100_000;
/// Mail that still waits after this long is lost.
const SENT_WITHIN: Duration = Duration::from_mins(5);

/// What mails have cost, in milliseconds each.
#[derive(Clone, Copy)]
struct Cost {
    user: f64,
    system: f64,
}

/// Measures each folder's `send` in turn, so that what else the machine does meets all of them.
pub(crate) async fn measure(folders: &[PathBuf], mails: usize) {
    let mut costs: BTreeMap<&Path, Vec<Cost>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for folder in folders {
            costs.entry(folder).or_default().push(measure_round(folder, mails).await);
        }
    }
    for (folder, mut costs) in costs {
        costs.sort_by(|one, other| (one.user + one.system).total_cmp(&(other.user + other.system)));
        let Cost { user, system } = costs[costs.len() / 2];
        println!("mail CPU       {:.3} ms a mail, the median of {ROUNDS} rounds: {}", user + system, folder.display());
    }
}

async fn measure_round(functions: &Path, mails: usize) -> Cost {
    let (mut process, url) = start_stack(functions);
    let operator = Operator::connect(&url).await.unwrap();
    let policy = operator.api(Method::GET, "/policy?style=classic", None).await.unwrap().body;
    let mut tenants = Vec::new();
    for number in 0..TENANTS {
        let tenant = json!({ "policies": [policy], "identities": ["example.com"], "max_send_rate": MAX_SEND_RATE });
        let tenant = operator.create_tenant(&tenant).await.unwrap();
        let onboarded = operator.onboard(&format!("tenant-{number}"), &tenant).await.unwrap();
        assert_eq!(onboarded.status, 201, "{}", onboarded.text);
        tenants.push((tenant.account_id, onboarded.body["provider_id"].as_str().unwrap().to_owned()));
    }
    let started = Instant::now();
    let mut handing_over = JoinSet::new();
    for (number, (_, provider_id)) in tenants.iter().cloned().enumerate() {
        handing_over.spawn(hand_over(operator.clone(), format!("tenant-{number}"), provider_id, mails / TENANTS));
    }
    handing_over.join_all().await;
    while !is_drained(&operator).await {
        assert!(started.elapsed() < SENT_WITHIN, "mail is left in the queue");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let took = started.elapsed();
    let mut sent = 0;
    for (account_id, _) in &tenants {
        sent += operator.inbox(account_id).await.unwrap().len();
    }
    assert_eq!(sent, mails / TENANTS * TENANTS);
    let environments = operator.local_api(Method::GET, "/environments", None).await.unwrap().body;
    let environments = environments["environments"].as_array().unwrap().iter();
    let pids: Vec<i64> =
        environments.filter(|one| one["binary"] == "send").map(|one| one["pid"].as_i64().unwrap()).collect();
    let (user, system) =
        pids.iter().map(|pid| cpu_ticks(*pid)).fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
    // proc(5): in hundredths of a second.
    let cost = Cost { user: user * 10.0 / sent as f64, system: system * 10.0 / sent as f64 };
    println!(
        "mail CPU       {:.3} ms a mail ({:.3} user, {:.3} system): {sent} at {:.0}/s by {} processes of at most {:.1} MB: {}",
        cost.user + cost.system,
        cost.user,
        cost.system,
        sent as f64 / took.as_secs_f64(),
        pids.len(),
        pids.iter().map(|pid| memory(*pid).1).fold(0.0, f64::max),
        functions.display(),
    );
    drop(process.stdin.take());
    process.wait().unwrap();
    cost
}

async fn hand_over(operator: Operator, tenant_id: String, provider_id: String, mails: usize) {
    for batch in (0..mails).collect::<Vec<_>>().chunks(10) {
        let entries = batch.iter().map(|n| {
            let mut mail = mail(&provider_id, *n);
            mail["tenant_id"] = json!(tenant_id);
            aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder()
                .id(n.to_string())
                .message_group_id(&provider_id)
                .message_body(mail.to_string())
                .build()
                .unwrap()
        });
        let request = operator.sqs.send_message_batch().queue_url(&operator.outputs.send_queue_url);
        let output = request.set_entries(Some(entries.collect())).send().await.unwrap();
        assert!(output.failed().is_empty());
    }
}

/// Whether no mail waits, is delayed or is being sent.
async fn is_drained(operator: &Operator) -> bool {
    let wanted =
        [ApproximateNumberOfMessages, ApproximateNumberOfMessagesDelayed, ApproximateNumberOfMessagesNotVisible];
    let request = operator.sqs.get_queue_attributes().queue_url(&operator.outputs.send_queue_url);
    let answer = request.set_attribute_names(Some(wanted.to_vec())).send().await.unwrap();
    let attributes = answer.attributes.unwrap();
    wanted.iter().all(|name| attributes[name] == "0")
}

/// The user and the system time of a process (proc(5): `utime` and `stime`).
fn cpu_ticks(pid: i64) -> (f64, f64) {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    (fields[11].parse().unwrap(), fields[12].parse().unwrap())
}
