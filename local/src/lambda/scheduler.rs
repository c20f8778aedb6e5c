//! Schedules: functions invoked by the clock.

use axum::body::Bytes;
use jiff::SignedDuration;
use serde_json::json;
use tokio::sync::watch;

use super::{Host, clock};
use crate::serverless::ScheduleResource;

/// Invokes `function` at the schedule's rate, first after one period, until told to stop. A schedule of cron is not run, and
/// says so.
pub(super) async fn run(host: Host, function: String, schedule: ScheduleResource, mut stop: watch::Receiver<bool>) {
    let Some(period) = schedule.period else {
        tracing::warn!(
            function,
            schedule = schedule.expression,
            "local runs no cron expressions: this schedule invokes nothing here"
        );
        return;
    };
    let mut due = clock::now();
    loop {
        let next = clock::add(due, period);
        let wait = next.duration_since(clock::now()).max(SignedDuration::ZERO).unsigned_abs();
        tokio::select! {
            () = tokio::time::sleep(wait) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        // A machine that slept owes nothing for the time: the next one counts from now.
        due = next.max(clock::now());
        host.invoke_async(&function, event(&host, &schedule, next));
    }
}

/// The schedule's own input, or the event (EventBridge user guide, "Events from AWS services": Scheduled Event).
fn event(host: &Host, schedule: &ScheduleResource, time: jiff::Timestamp) -> Bytes {
    if let Some(input) = &schedule.input {
        return Bytes::from(input.clone());
    }
    let stack = host.stack();
    let event = json!({
        "version": "0",
        "id": clock::request_id(),
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": stack.account_id,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        "region": stack.region,
        "resources": [schedule.rule_arn],
        "detail": {},
    });
    Bytes::from(event.to_string())
}
