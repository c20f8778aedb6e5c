//! What parking costs: mail of a held provider, until it is sent.

use std::time::Instant;

use reqwest::Method;
use serde_json::{Value, json};
use tokio::time::{Duration, sleep};

use crate::requests::{self, SendRequests};
use crate::stack::{RunAccount, RunStack};

/// What SES takes a second.
const RATE: u32 = 200;
/// How many mails may wait in the queue while more are handed over. The stand-in's queue looks at each of its messages for each request.
const MAX_QUEUED: u64 = 2_000;

pub(crate) async fn measure() {
    let mails = crate::mails_or(100_000);
    let stack = RunStack::start(&[], &[RunAccount::of_rate(RATE)], json!({})).await;
    let tenant = &stack.tenants[0];
    let hold = format!("/providers/{}/hold", tenant.provider_id);
    stack.insist(Method::PUT, &hold, &json!({ "reason": "figures" })).await;

    let before = SendRequests::count(&stack).await;
    let started = Instant::now();
    for first in (0..mails).step_by(1000) {
        let some: Vec<Value> = (first..mails.min(first + 1000)).map(|n| tenant.mail(&format!("{n:06}"))).collect();
        stack.enqueue(&some).await;
        while stack.queued().await > MAX_QUEUED {
            sleep(Duration::from_millis(100)).await;
        }
    }
    let processes = stack.drained().await;
    println!(
        "parked          {mails} in {:.0?} since the first was handed over, by {processes} processes of at most {:.1} MB",
        started.elapsed(),
        stack.peak_mb().await,
    );
    let after = SendRequests::count(&stack).await;
    let ours = after.ours_after(&before);
    requests::print("our", &ours, mails);
    requests::print_cost(&ours, mails);

    stack.insist(Method::DELETE, &hold, &json!({ "reason": "figures" })).await;
    let started = Instant::now();
    let mut sent = 0;
    while sent < mails {
        // As long as it moves, it is waited for.
        let mut waited = 0;
        while stack.sent().await == sent {
            assert!(waited < 300, "{} mails are not sent", mails - sent);
            sleep(Duration::from_secs(1)).await;
            waited += 1;
        }
        sent = stack.sent().await;
    }
    let seconds = started.elapsed().as_secs_f64();
    println!(
        "released        all sent after {seconds:.0} s, {:.0}/s of {RATE}/s, by processes of at most {:.1} MB",
        mails as f64 / seconds,
        stack.peak_mb().await,
    );
    let ours = SendRequests::count(&stack).await.ours_after(&after);
    requests::print("our", &ours, mails);
    requests::print_cost(&ours, mails);
    let inbox = stack.operator.inbox(&tenant.tenant.account_id).await.unwrap();
    let mut shifts: Vec<usize> = inbox
        .iter()
        .enumerate()
        .map(|(place, mail)| place.abs_diff(mail["subject"].as_str().unwrap().parse().unwrap()))
        .collect();
    shifts.sort_unstable();
    let seconds = |shift: usize| shift as f64 / f64::from(RATE);
    println!(
        "order           a mail was sent {:.1} s from its turn in the middle, {:.1} s at p99, {:.1} s at most; {} twice",
        seconds(shifts[shifts.len() / 2]),
        seconds(shifts[shifts.len() * 99 / 100]),
        seconds(shifts[shifts.len() - 1]),
        inbox.len() - mails,
    );
}
