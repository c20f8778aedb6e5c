//! How long the mail of a tenant that sends little waits beside those that send more than their accounts take.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};

use crate::stack::{RunAccount, RunStack, now};

/// Tenants, of whom the first has a newsletter, and the next ones slow accounts.
const TENANTS: usize = 200;
const SLOW: usize = 50;
/// What SES takes of the newsletter a second, and how many seconds' worth of it wait all the time: no more, because the stand-in's queue looks
/// at each of its messages for each request.
const NEWSLETTER_RATE: usize = 200;
const AHEAD_S: usize = 15;
/// Mails of each slow account: for more seconds than are looked at.
const SLOW_MAILS: usize = 80;
/// The others send one mail each, evenly over so long.
const LOOKED_AT: Duration = Duration::from_secs(55);
/// Until then all mail has been received once, and what cannot go has lined up.
const LINED_UP_AFTER: SignedDuration = SignedDuration::from_secs(10);

pub(crate) async fn measure() {
    let accounts: Vec<RunAccount> = (0..TENANTS)
        .map(|n| match n {
            0 => RunAccount::of_rate(u32::try_from(NEWSLETTER_RATE).unwrap()),
            n if n <= SLOW => RunAccount::of_rate(1),
            _ => RunAccount::of_rate(14),
        })
        .collect();
    let stack = RunStack::start(&[], &accounts, json!({ "enforce_max_send_rate": true })).await;
    let slow: Vec<Value> = (1..=SLOW)
        .flat_map(|n| (0..SLOW_MAILS).map(move |mail| (n, mail)))
        .map(|(n, mail)| stack.tenants[n].mail(&format!("slow-{n}-{mail:02}")))
        .collect();
    let newsletter = |second: usize| -> Vec<Value> {
        (0..NEWSLETTER_RATE).map(|mail| stack.tenants[0].mail(&format!("newsletter-{second}-{mail:03}"))).collect()
    };
    stack.enqueue(&slow).await;
    stack.enqueue(&(0..AHEAD_S).flat_map(newsletter).collect::<Vec<_>>()).await;

    let quiet = &stack.tenants[SLOW + 1..];
    let since = now();
    let mut handing_over = JoinSet::new();
    for (n, tenant) in quiet.iter().enumerate() {
        let (operator, mail) = (stack.operator.clone(), tenant.mail("quiet"));
        let pause = LOOKED_AT * u32::try_from(n).unwrap() / u32::try_from(quiet.len()).unwrap();
        let account_id = tenant.tenant.account_id.clone();
        handing_over.spawn(async move {
            sleep(pause).await;
            let handed_over_at = now();
            operator.enqueue_mail(&mail).await.unwrap();
            (account_id, handed_over_at)
        });
    }
    let more = async {
        let mut each_second = interval(Duration::from_secs(1));
        for second in (AHEAD_S..).take(LOOKED_AT.as_secs().try_into().unwrap()) {
            each_second.tick().await;
            stack.enqueue(&newsletter(second)).await;
        }
    };
    let (handed_over, ()) = tokio::join!(handing_over.join_all(), more);
    let until = now();
    sleep(Duration::from_secs(10)).await;
    let mut waits = Vec::new();
    for (account_id, handed_over_at) in handed_over {
        let inbox = stack.operator.inbox(&account_id).await.unwrap();
        let sent_at: Timestamp = inbox[0]["received_at"].as_str().unwrap().parse().unwrap();
        waits.push(sent_at.duration_since(handed_over_at).as_secs_f64());
    }
    waits.sort_by(f64::total_cmp);
    println!(
        "quiet tenant    p50 {:.2} s, p99 {:.2} s, worst {:.2} s of {} from the queue to SES, beside {} mails of {} others",
        waits[waits.len() / 2],
        waits[(waits.len() * 99).div_ceil(100) - 1],
        waits[waits.len() - 1],
        waits.len(),
        AHEAD_S * NEWSLETTER_RATE + SLOW * SLOW_MAILS,
        SLOW + 1,
    );
    let since = since + LINED_UP_AFTER;
    let seconds = until.duration_since(since).as_secs_f64();
    let mut sent = Vec::new();
    for tenant in &stack.tenants[..=SLOW] {
        let sends = stack.sends(&tenant.tenant.account_id, since).await;
        let accepted = sends.iter().filter(|(at, answer)| answer == "200" && *at < until.as_millisecond()).count();
        sent.push(accepted as f64 / seconds);
    }
    println!(
        "meanwhile       {:.1}/s of {NEWSLETTER_RATE}/s for the newsletter, {:.1}/s of {SLOW}/s for the slow accounts",
        sent[0],
        sent[1..].iter().sum::<f64>()
    );
}
