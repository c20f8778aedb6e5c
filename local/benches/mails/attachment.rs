//! What a mail with a large file of the bucket takes.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::time::sleep;

use crate::stack::{RunAccount, RunStack};

const FILE_MB: usize = 10;
/// Mails one after the other, and then at a time.
const MAILS: usize = 10;

pub(crate) async fn measure() {
    let stack = RunStack::start(&[], &[RunAccount::of_rate(14)], json!({})).await;
    let tenant = &stack.tenants[0];
    // No byte order that a compression would like.
    let content = (0..FILE_MB * 1024 * 1024).map(|n| (n * n / 7 % 251).to_le_bytes()[0]).collect();
    let key = format!("{}/figures.bin", tenant.tenant_id);
    stack.operator.put_file(&key, content).await.unwrap();
    let mail = |mail_id: String| -> Value {
        let mut mail = tenant.mail(&mail_id);
        mail["attachments"] =
            json!([{ "name": "f.bin", "content_type": "application/octet-stream", "s3": { "key": key } }]);
        mail
    };
    stack.enqueue(&[tenant.mail("plain")]).await;
    wait_for(&stack, 1).await;
    println!("attachment      without one, a process has at most {:.1} MB", stack.peak_mb().await);
    let mut durations = Vec::new();
    for n in 0..MAILS {
        let started = Instant::now();
        stack.enqueue(&[mail(format!("alone-{n}"))]).await;
        wait_for(&stack, n + 2).await;
        durations.push(started.elapsed());
    }
    durations.sort();
    println!(
        "attachment      {FILE_MB} MB: median {:.2} s, worst {:.2} s of {MAILS}, at most {:.1} MB",
        durations[MAILS / 2].as_secs_f64(),
        durations[MAILS - 1].as_secs_f64(),
        stack.peak_mb().await,
    );
    let started = Instant::now();
    stack.enqueue(&(0..MAILS).map(|n| mail(format!("together-{n}"))).collect::<Vec<_>>()).await;
    wait_for(&stack, 2 * MAILS + 1).await;
    println!(
        "attachment      {MAILS} of them at a time: {:.2} s, {} processes of at most {:.1} MB",
        started.elapsed().as_secs_f64(),
        stack.senders().await.len(),
        stack.peak_mb().await,
    );
}

async fn wait_for(stack: &RunStack, sent: usize) {
    let started = Instant::now();
    while stack.sent().await < sent {
        assert!(started.elapsed() < Duration::from_mins(2), "{sent} mails are not sent");
        sleep(Duration::from_millis(10)).await;
    }
}
