//! Rules that run on a schedule.

use std::sync::Arc;
use std::time::Duration;

use fakecloud_eventbridge::EventTarget;
use serde_json::json;
use tokio::task::JoinSet;

use super::engine::Engine;
use super::random;
use crate::lambda;
use crate::lambda::schedule::Expression;
use crate::template::stack::{Stack, Trigger};

/// Starts a timer for each rule of the stack that has a schedule; they end with the returned set.
///
/// # Errors
/// An expression that is not known here.
pub(crate) fn start(stack: &Stack, engine: &Arc<Engine>) -> anyhow::Result<JoinSet<()>> {
    let mut timers = JoinSet::new();
    for rule in stack.rules.iter().filter(|rule| rule.enabled) {
        let Trigger::Schedule(expression) = &rule.trigger else { continue };
        let schedule =
            Expression::parse(expression).map_err(|reason| anyhow::anyhow!("rule {}: {reason}", rule.logical_id))?;
        let targets: Vec<EventTarget> = rule
            .targets
            .iter()
            .map(|target| EventTarget {
                id: target.id.clone(),
                arn: target.arn.clone(),
                input: target.input.clone(),
                input_path: target.input_path.clone(),
                sqs_parameters: target.message_group_id.as_ref().map(|group| json!({"MessageGroupId": group})),
                dead_letter_config: target.dead_letter_arn.as_ref().map(|arn| json!({"Arn": arn})),
                ..EventTarget::default()
            })
            .collect();
        let arn = rule.arn.clone();
        let engine = engine.clone();
        timers.spawn(async move {
            let mut now = lambda::now();
            while let Some(due) = schedule.next_after(now) {
                tokio::time::sleep(Duration::try_from(due.duration_since(now)).unwrap_or_default()).await;
                now = lambda::now().max(due);
                let event = json!({
                    "version": "0",
                    "id": random::uuid(),
                    "detail-type": "Scheduled Event",
                    "source": "aws.events",
                    "account": engine.account_id,
                    "time": due.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
                    "region": engine.region,
                    "resources": [arn],
                    "detail": {},
                });
                for target in &targets {
                    engine.buses.deliver(&arn, target, &event);
                }
            }
        });
    }
    Ok(timers)
}
