//! What a mail costs whole `send` processes: user and system time, from their starts on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Instant;

use serde_json::{Value, json};

use crate::stack::{RunAccount, RunStack, RunTenant};

/// How often each build is measured, in turn with the others.
const ROUNDS: usize = 3;
/// The tenants whose mails are sent, at a rate that never holds mail back for longer than a millisecond.
const ACCOUNTS: [RunAccount; 4] = [RunAccount { rate: 100_000, daily_quota: 1_000_000 }; 4];

/// What mails have cost, in milliseconds each.
#[derive(Clone, Copy)]
struct Cost {
    user: f64,
    system: f64,
}

/// Measures each folder's `send` in turn, so that what else the machine does meets all of them.
pub(crate) async fn measure() {
    let mails = crate::mails_or(4000).div_ceil(ACCOUNTS.len()) * ACCOUNTS.len();
    let named = std::env::var_os("FUNCTIONS").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&named).collect();
    let folders: Vec<Option<&Path>> = match folders.as_slice() {
        [] => vec![None],
        folders => folders.iter().map(|folder| Some(folder.as_path())).collect(),
    };
    let mut costs: BTreeMap<Option<&Path>, Vec<Cost>> = BTreeMap::new();
    for _ in 0..ROUNDS {
        for folder in &folders {
            costs.entry(*folder).or_default().push(measure_round(*folder, mails).await);
        }
    }
    for (folder, mut costs) in costs {
        costs.sort_by(|one, other| (one.user + one.system).total_cmp(&(other.user + other.system)));
        let Cost { user, system } = costs[costs.len() / 2];
        println!("mail CPU        {:.3} ms a mail, the median of {ROUNDS} rounds: {}", user + system, name(folder));
    }
}

async fn measure_round(functions: Option<&Path>, mails: usize) -> Cost {
    let stack = RunStack::with(functions, &[], &ACCOUNTS, json!({}), Stdio::inherit()).await;
    let started = Instant::now();
    let backlogs: Vec<Vec<Value>> =
        stack.tenants.iter().map(|tenant| backlog(tenant, mails / ACCOUNTS.len())).collect();
    let [one, two, three, four] = backlogs.as_slice() else { panic!("as many tenants as accounts") };
    tokio::join!(stack.enqueue(one), stack.enqueue(two), stack.enqueue(three), stack.enqueue(four));
    stack.drained().await;
    let took = started.elapsed();
    assert_eq!(stack.sent().await, mails);
    let senders = stack.senders().await;
    let a_mail = |ms: f64| ms / mails as f64;
    let cost = Cost {
        user: a_mail(senders.iter().map(|sender| sender.user_ms).sum()),
        system: a_mail(senders.iter().map(|sender| sender.system_ms).sum()),
    };
    println!(
        "mail CPU        {:.3} ms a mail ({:.3} user, {:.3} system): {mails} at {:.0}/s by {} processes of at most {:.1} MB: {}",
        cost.user + cost.system,
        cost.user,
        cost.system,
        mails as f64 / took.as_secs_f64(),
        senders.len(),
        stack.peak_mb().await,
        name(functions),
    );
    cost
}

/// Mails of 3 KB.
fn backlog(tenant: &RunTenant, mails: usize) -> Vec<Value> {
    let with_html = |n| {
        let mut mail = tenant.mail(&format!("cpu-{n}"));
        mail["html"] = json!(format!("<p>{}</p>", "x".repeat(1500)));
        mail
    };
    (0..mails).map(with_html).collect()
}

fn name(folder: Option<&Path>) -> String {
    folder.map_or_else(|| "this build".to_owned(), |folder| folder.display().to_string())
}
