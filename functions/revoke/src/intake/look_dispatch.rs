//! Looks at live keys: those that are due are enqueued, and those that nothing has proved revocable for too long are counted.
//!
//! They must not keep a revocation waiting. They have a queue of their own, whose mapping to `revoke-worker` takes two invocations at
//! most, beside those of the revocation queue and not among them. The sweep comes to them last, and enqueues a
//! limited number.

use std::time::Duration;

use jiff::SignedDuration;
use shared::queue::Deadline;
use shared::record::DueSubject;
use shared::telemetry::chain;

use super::Intake;
use crate::work_item::enqueue_look;

/// Looks that one sweep enqueues: over a week, those of 1.2 million keys.
const MAX_LOOKS: i32 = 120;

/// When a key that was enqueued is due again, if its look is not recorded: the worker died, or the message is lost.
const DUE_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// The time for one of them.
const ITEM_TIMEOUT: Duration = Duration::from_secs(3);

/// Overdue keys are counted up to here. An alarm does not need to know more.
const MAX_COUNTED: i32 = 1_000;

impl Intake {
    /// Enqueues the looks that are due, and reports how many keys are overdue.
    pub(super) async fn dispatch_looks(&self, deadline: Deadline) {
        let now = self.ambient.now();
        let due = match self.providers.due_looks(now, MAX_LOOKS).await {
            Ok(due) => due,
            Err(error) => return tracing::error!(error = chain(&error), "the sweep could not list looks that are due"),
        };
        let mut enqueued = 0_u32;
        for due in &due {
            let DueSubject::Key(access_key_id) = &due.subject else { continue };
            if deadline.remaining(self.ambient.now()) < ITEM_TIMEOUT * 2 {
                break;
            }
            let again_at = now.saturating_add(DUE_AGAIN_AFTER).unwrap_or(now);
            // In this order a process that dies in between costs a second look; in the other, the look would be late.
            let step = async {
                enqueue_look(&self.look_queue, access_key_id).await.map_err(|error| chain(&error))?;
                self.providers.reschedule(due, Some(again_at)).await.map_err(|error| chain(&error))
            };
            match tokio::time::timeout(ITEM_TIMEOUT, step).await {
                Ok(Ok(())) => enqueued += 1,
                // What fails for one fails for all: the next sweep goes on.
                Ok(Err(error)) => {
                    tracing::error!(access_key_id = access_key_id.masked(), error, "look at a key not enqueued");
                    break;
                }
                Err(_) => {
                    tracing::error!(access_key_id = access_key_id.masked(), "look at a key not enqueued in time");
                    break;
                }
            }
        }
        if enqueued > 0 {
            tracing::info!(enqueued, "looks at keys enqueued");
        }
        self.report_overdue().await;
    }

    /// The alarm on keys that are not proved revocable counts in this line.
    async fn report_overdue(&self) {
        let since = self.look_schedule.overdue_since(self.ambient.now());
        match self.providers.count_unproven(since, MAX_COUNTED).await {
            Ok(0) => {}
            Ok(not_revocable) => {
                tracing::warn!(not_revocable, %since, "keys have not been proved revocable for twice the period");
            }
            Err(error) => {
                tracing::error!(error = chain(&error), "the sweep could not count keys that are not revocable")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::queue::Deadline;
    use shared::testing::capture_log;

    use crate::fixtures::{NOW_MS, cold_start_by_body, operations};
    use crate::intake::Intake;

    fn deadline() -> Deadline {
        Deadline::from_millis(u64::try_from(NOW_MS + 29_000).unwrap())
    }

    #[tokio::test]
    async fn a_due_key_is_enqueued_and_due_again_in_case_its_look_is_lost() {
        let due = json!({
            "pk": {"S": "key#AKIASP2TPHJSQH3FJRUX"}, "sk": {"S": "key"}, "sweep": {"S": "revocability"},
            "next_attempt_at": {"S": "2026-11-23T09:59:00Z"},
        });
        let (start, calls) = cold_start_by_body(move |operation, body| match operation {
            "Query" if body.contains("next_attempt_at") => Some((200, json!({"Count": 1, "Items": [due]}).to_string())),
            "Query" => Some((200, json!({"Count": 0}).to_string())),
            _ => None,
        });
        Intake::new(&start).unwrap().dispatch_looks(deadline()).await;
        assert_eq!(operations(&calls), ["Query", "SendMessage", "UpdateItem", "Query"]);
        let calls = calls.lock().unwrap();
        let sent: Value = serde_json::from_str(&calls[1].1).unwrap();
        assert_eq!(sent["QueueUrl"], "https://sqs.test/revocability");
        let body: Value = serde_json::from_str(sent["MessageBody"].as_str().unwrap()).unwrap();
        assert_eq!(body, json!({"version": 1, "work": {"look": "AKIASP2TPHJSQH3FJRUX"}}));
        assert!(calls[2].1.contains("2026-11-23T10:15:00Z"), "{}", calls[2].1);
    }

    #[tokio::test]
    async fn keys_that_are_overdue_are_counted_for_the_alarm_and_none_are_no_line() {
        for count in [0, 3] {
            let log = capture_log();
            let (start, calls) = cold_start_by_body(move |operation, body| match operation {
                "Query" if body.contains("unproven_since") => Some((200, json!({"Count": count}).to_string())),
                "Query" => Some((200, json!({"Count": 0, "Items": []}).to_string())),
                _ => None,
            });
            Intake::new(&start).unwrap().dispatch_looks(deadline()).await;
            let lines = log.lines();
            let counted: Vec<_> = lines.iter().filter_map(|line| line.get("not_revocable")).cloned().collect();
            assert_eq!(counted, if count == 0 { vec![] } else { vec![json!(3)] });
            let calls = calls.lock().unwrap();
            // Fourteen days before.
            assert!(calls.iter().any(|(_, body)| body.contains("2026-11-09T10:00:00Z")), "{calls:?}");
        }
    }
}
