//! An outage of SES is not doubt: the backlog waits, and only what was under way when it began may be in doubt.

use std::time::Duration;

use serde_json::{Value, json};
use shared::record::MailState;
use tokio::time::{Instant, sleep};

use crate::support::{Stack, mail, wait_for_nothing};
use operator::Tenant;

/// What an outage has done to a backlog.
#[derive(Debug)]
struct Aftermath {
    /// Mails that were in doubt at some time: sent again since, or ended in doubt.
    doubtful: usize,
    /// Mails that ended in doubt.
    in_doubt: usize,
    /// Mails that SES took.
    sent: usize,
    /// Copies beyond the first.
    copies: usize,
    /// Requests to SES that ended without an answer.
    unanswered: usize,
    /// From the end of the outage until the last mail was out.
    recovery: Duration,
}

/// Queues so many mails of an account with fourteen a second, and lets SES answer 500 from the tenth mail on, for so long.
async fn outage(stack: &Stack, mails: usize, lasts: Duration, patience: Duration) -> Aftermath {
    let tenant = stack.tenant_with(&json!({ "max_send_rate": 14 })).await;
    let provider_id = stack.onboard_provider("acme", &tenant).await;
    let ids: Vec<String> = (0..mails).map(|n| format!("order-{n}")).collect();
    stack.enqueue_mails(&ids.iter().map(|id| mail(&provider_id, id)).collect::<Vec<Value>>()).await;
    while inbox(stack, &tenant).await < 10 {
        sleep(Duration::from_millis(100)).await;
    }
    stack.set_faults(&tenant, &json!({ "server_error": 1_000_000 })).await;
    sleep(lasts).await;
    stack.set_faults(&tenant, &json!({})).await;
    let over = Instant::now();
    while inbox(stack, &tenant).await < mails && over.elapsed() < patience {
        sleep(Duration::from_millis(500)).await;
    }
    let recovery = over.elapsed();
    // The record follows the answer.
    wait_for_nothing(2.0).await;

    let mut aftermath = Aftermath {
        doubtful: 0,
        in_doubt: 0,
        sent: 0,
        copies: inbox(stack, &tenant).await.saturating_sub(mails),
        unanswered: stack.send_requests(&tenant).await.iter().filter(|send| send["status"] == 500).count(),
        recovery,
    };
    for id in &ids {
        let Some(row) = stack.ledger_row(&provider_id, id).await else { continue };
        aftermath.doubtful += usize::from(row.takeovers > 0 || row.state == MailState::InDoubt);
        aftermath.in_doubt += usize::from(row.state == MailState::InDoubt);
        aftermath.sent += usize::from(row.state == MailState::Sent);
    }
    aftermath
}

async fn inbox(stack: &Stack, tenant: &Tenant) -> usize {
    stack.inbox(&tenant.account_id).await.unwrap().len()
}

#[tokio::test]
async fn a_short_outage_puts_only_mail_in_doubt_that_was_under_way_and_all_is_sent() {
    let stack = Stack::with_arguments(&["--parameter", "SendDoubtDelay=20"]).await;
    let aftermath = outage(&stack, 100, Duration::from_secs(10), Duration::from_secs(150)).await;
    println!("{aftermath:?}, all out after {:?}", aftermath.recovery);
    assert_eq!((aftermath.sent, aftermath.in_doubt, aftermath.copies), (100, 0, 0), "{aftermath:?}");
    // Three open the breaker. Mails that had a start by then may follow, of which there are five seconds' worth; each
    // environment learns of it by its own first one, so that there are far fewer on most machines. Then one tries at a time.
    let (opening, with_a_start, tries) = (3, 5 * 14, 3);
    assert!(aftermath.doubtful <= opening + with_a_start + tries, "{aftermath:?}");
    assert_eq!(aftermath.doubtful, aftermath.unanswered, "{aftermath:?}");
}

#[tokio::test]
#[ignore = "takes half an hour; prints the figure that README or CHANGELOG may quote"]
async fn ten_minutes_of_outage_with_five_thousand_queued() {
    let stack = Stack::with_arguments(&[]).await;
    let aftermath = outage(&stack, 5_000, Duration::from_secs(600), Duration::from_secs(1_500)).await;
    println!("ten minutes of outage at 14/s with 5,000 queued: {aftermath:?}");
    assert_eq!(aftermath.in_doubt, 0, "{aftermath:?}");
}
