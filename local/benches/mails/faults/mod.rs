//! Breaks everything that a mail needs while mail is sent, and counts what became of it.

mod report;
mod schedule;

use std::process::Stdio;
use std::time::{Duration, Instant};

use operator::process::named_functions;
use serde_json::json;
use tokio::time::sleep;

use crate::stack::{RunAccount, RunStack, now};
use report::Report;
use schedule::{LONG, QUOTA_TENANT, SHORT, Tally};

/// What SES takes of the tenants a second.
const RATES: [u32; 20] = [14, 14, 14, 5, 50, 14, 14, 3, 14, 14, 14, 14, 200, 5, 14, 14, 50, 14, 10, 14];

/// Sends mail under faults and prints what became of it. Returns whether all promises were kept.
pub(crate) async fn run() -> bool {
    let schedule = match std::env::var("FAULT_RUN").as_deref() {
        Ok("short") => SHORT,
        Ok("long") | Err(_) => LONG,
        Ok(other) => panic!("FAULT_RUN is {other}, and can be short or long"),
    };
    let mails = crate::mails_or(schedule.mails);
    let [throttled, unanswered, failed] = schedule.chances;
    let always = json!({
        "throttle_chance": throttled, "no_answer": unanswered, "server_error_after": failed, "enforce_max_send_rate": true,
    });
    // The account's quota is reached with two fifths of its mails.
    let quota = u32::try_from(mails / RATES.len() * 2 / 5).unwrap();
    let mut accounts = RATES.map(RunAccount::of_rate);
    accounts[QUOTA_TENANT].daily_quota = quota;
    // Its warnings are about the faults that are wanted.
    let functions = named_functions();
    let stack = RunStack::with(functions.as_deref(), schedule.parameters, &accounts, always, Stdio::null()).await;

    let tally = Tally::default();
    let started = Instant::now();
    let since = now();
    let handed = schedule.run(&stack, mails, &tally).await;
    let faults_took = started.elapsed();
    if schedule.at_once {
        stack.forget_quota(QUOTA_TENANT).await;
    }
    let mut is_settled = false;
    while !is_settled && started.elapsed() < faults_took + Duration::from_secs(schedule.settle_s) {
        sleep(Duration::from_secs(2)).await;
        is_settled = report::is_settled(&stack, &handed).await;
        if is_settled {
            // A copy that is still under way could be sent once more.
            is_settled = stack.queued().await == 0;
        } else if schedule.at_once {
            stack.run_send_schedule(true).await;
        }
    }
    let settled_took = started.elapsed();
    let report = Report::collect(&stack, handed, since).await;
    let settled = if is_settled { "all settled" } else { "NOT settled" };
    println!("fault run       {}: {faults_took:.0?} of faults, {settled} after {settled_took:.0?}", schedule.name);
    report.print(&tally);
    report.has_kept_promises()
}
