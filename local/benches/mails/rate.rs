//! How much of two accounts' rates is used while many environments of `send` share them, and what a mail costs without faults.

use std::time::Duration;

use operator::verdict::{fullest_second, over_rate_seconds};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::requests::{self, SendRequests};
use crate::stack::{RunAccount, RunStack, RunTenant, now};

const RATES: [u32; 2] = [14, 300];
/// Each account has mail for so many seconds, all handed over at once.
const SECONDS: usize = 60;
/// Of these seconds since the first mail the rate is taken: environments have started, and mail is left.
const COUNTED: std::ops::Range<i64> = 5..55;

pub(crate) async fn measure() {
    let always = json!({ "enforce_max_send_rate": true });
    let stack = RunStack::start(&["SendMaximumConcurrency=20"], &RATES.map(RunAccount::of_rate), always).await;
    let before = SendRequests::count(&stack).await;
    let since = now();
    let [slow, fast] = [&stack.tenants[0], &stack.tenants[1]].map(backlog);
    let mails = slow.len() + fast.len();
    let ((), (), processes) = tokio::join!(stack.enqueue(&slow), stack.enqueue(&fast), async {
        // The queue has to be filled before it can be seen empty.
        sleep(Duration::from_secs(5)).await;
        stack.drained().await
    });
    for RunTenant { tenant, rate, .. } in &stack.tenants {
        let sends = stack.sends(&tenant.account_id, since).await;
        let times: Vec<i64> = sends.iter().map(|(at, _)| *at).collect();
        let is_counted = |at: i64| COUNTED.contains(&((at - times[0]) / 1000));
        let accepted = sends.iter().filter(|(at, answer)| answer == "200" && is_counted(*at)).count();
        let seconds = (COUNTED.end - COUNTED.start) as f64;
        println!(
            "rate            {:.1}/s of {rate}/s used, {:.1} %, by {processes} processes: {} times 429, over rate {} s, the fullest second had {}",
            accepted as f64 / seconds,
            accepted as f64 / seconds / f64::from(*rate) * 100.0,
            sends.iter().filter(|(_, answer)| answer == "429").count(),
            over_rate_seconds(&times, f64::from(*rate)).len(),
            fullest_second(&times),
        );
    }
    let ours = SendRequests::count(&stack).await.ours_after(&before);
    requests::print("our", &ours, mails);
    requests::print_cost(&ours, mails);
}

fn backlog(tenant: &RunTenant) -> Vec<Value> {
    let mails = usize::try_from(tenant.rate).unwrap() * SECONDS;
    (0..mails).map(|n| tenant.mail(&format!("rate-{n:05}"))).collect()
}
