//! Drills: the breach of a canary, reported on our own bus as the operator reports one, and timed until its key is dead.
//!
//! Nothing on the way knows that it is a drill: rule, queue, `revoke` and `revoke-worker` do what they do in an emergency.

use jiff::{SignedDuration, Timestamp};
use shared::id::{DrillId, ProviderId};
use shared::record::{BreachScope, Drill, DrillOutcome, DrillTimes, Provider, RecordError, StatusName};
use shared::telemetry::{CredentialBreachEvent, DrillEvent, Event, PutEventFailed, chain};
use thiserror::Error;

use super::Intake;

/// When a running drill is looked at again.
const LOOK_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// When an overdue drill is looked at again.
const LOOK_AT_OVERDUE_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How long the schedule starts no other drill. A scheduled invocation that fails is repeated for some minutes
/// (Lambda developer guide, "Error handling for asynchronous invocations").
const SCHEDULE_HOLDS_BACK_FOR: SignedDuration = SignedDuration::from_mins(10);

/// The reason in its report.
const REASON: &str = "drill";

/// Who starts a drill that no request asks for.
const SCHEDULE: &str = "schedule";

/// A drill was not looked at.
#[derive(Debug, Error)]
pub(super) enum DrillError {
    #[error("read or write the drill")]
    Record(#[from] RecordError),
    #[error("put the drill's event")]
    Event(#[from] PutEventFailed),
}

/// Why no drill was started.
#[derive(Debug, Error)]
pub(super) enum NoDrill {
    /// There is no such provider.
    #[error("there is no such provider")]
    UnknownProvider,
    /// A drill never takes a provider that was not onboarded for it.
    #[error(
        "The provider is no canary, and a drill kills its key. Only providers that were onboarded with `canary: true` are \
         taken."
    )]
    NotACanary,
    /// Its key is dead, or another drill has it.
    #[error(
        "The canary is not active any more, or another drill has it. Each drill kills a canary's key: onboard another \
         canary with `POST /providers` and `canary: true`."
    )]
    NotActive,
    /// No canary is left.
    #[error(
        "No active canary is left, because each drill kills one. Onboard another with `POST /providers` and \
         `canary: true`, with the key of an IAM user in an account of your own."
    )]
    NoneLeft,
    /// The records could not be read or written.
    #[error(transparent)]
    Record(#[from] RecordError),
}

impl Intake {
    /// Starts a drill with this canary, or with the one that waits longest, and reports its breach on the bus. If the bus does
    /// not take the event, the sweep puts it within minutes.
    ///
    /// # Errors
    /// [`NoDrill`] says why nothing was started.
    pub(super) async fn begin_drill(
        &self,
        provider_id: Option<&ProviderId>,
        started_by: &str,
    ) -> Result<Drill, NoDrill> {
        let mut drill = match provider_id {
            Some(provider_id) => {
                let provider = self.providers.provider(provider_id).await?.ok_or(NoDrill::UnknownProvider)?;
                may_be_taken(&provider)?;
                self.take_canary(&provider, started_by).await?.ok_or(NoDrill::NotActive)?
            }
            None => self.take_any_canary(started_by).await?,
        };
        if let Err(error) = self.report_drill(&mut drill).await {
            tracing::warn!(
                drill_id = %drill.drill_id,
                error = chain(&error),
                "the event of a drill may not be on the bus: the sweep puts it again"
            );
        }
        Ok(drill)
    }

    /// Runs the drill of the schedule. Whoever set the schedule up wants to know that it runs, so what prevents it is an error.
    pub(super) async fn run_scheduled_drill(&self) {
        match self.providers.latest_drills(1).await {
            // EventBridge delivers at least once, and a second drill would cost a second canary.
            Ok(latest) if latest.first().is_some_and(|drill| is_recent(drill, self.ambient.now())) => {
                tracing::info!(drill_id = %latest[0].drill_id, "no drill started: one was started a moment ago");
                return;
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(error = chain(&error), "no drill started by the schedule");
                return;
            }
        }
        match self.begin_drill(None, SCHEDULE).await {
            Ok(drill) => {
                tracing::info!(drill_id = %drill.drill_id, provider_id = %drill.provider_id, "drill started by the schedule");
            }
            Err(error) => tracing::error!(error = chain(&error), "no drill started by the schedule"),
        }
    }

    async fn take_any_canary(&self, started_by: &str) -> Result<Drill, NoDrill> {
        for canary in self.providers.free_canaries().await? {
            let Some(provider) = self.providers.provider(&canary.provider_id).await? else { continue };
            if may_be_taken(&provider).is_ok()
                && let Some(drill) = self.take_canary(&provider, started_by).await?
            {
                return Ok(drill);
            }
        }
        Err(NoDrill::NoneLeft)
    }

    /// Takes the canary for a new drill; `None` if another drill has it.
    async fn take_canary(&self, provider: &Provider, started_by: &str) -> Result<Option<Drill>, RecordError> {
        let drill_id = DrillId::new(&self.ambient);
        let drill = Drill::new(drill_id, provider, started_by.to_owned(), self.ambient.now());
        Ok(self.providers.create_drill(&drill).await?.then_some(drill))
    }

    /// Puts the drill's report on the bus. A second one, after an answer that was lost, only adds an order to the key.
    async fn report_drill(&self, drill: &mut Drill) -> Result<(), DrillError> {
        let now = self.ambient.now();
        let report = Event::CredentialBreach(CredentialBreachEvent {
            scope: BreachScope::ProviderId(drill.provider_id.clone()),
            reason: REASON,
            reported_by: drill.reporter(),
        });
        self.report_bus.put(&report, now).await?;
        self.providers.note_drill_reported(&drill.drill_id, now).await?;
        drill.reported_at = Some(now);
        Ok(())
    }

    /// The steps of a drill: those that were recorded with the key's death, or as far as it has come now.
    pub(super) async fn drill_times(&self, drill: &Drill) -> Result<DrillTimes, RecordError> {
        if drill.times.seen_dead_at.is_some() {
            return Ok(drill.times.clone());
        }
        let Some(key) = self.providers.key(&drill.access_key_id).await? else { return Ok(drill.times.clone()) };
        let reporter = drill.reporter();
        for order_id in &key.orders {
            let order = self.providers.order(order_id).await?;
            if let Some(order) = order.filter(|order| order.reported_by == reporter) {
                return Ok(DrillTimes::from_records(&key, Some(&order)));
            }
        }
        Ok(DrillTimes::from_records(&key, None))
    }

    /// Looks how far a drill has come, and tells operators when it is overdue and when it has ended. Returns when to look
    /// again; `None` if it has ended.
    ///
    /// The event goes out before the outcome is recorded: a process that dies in between sends it twice.
    ///
    /// # Errors
    /// [`DrillError`] says what failed: the drill stays due.
    pub(super) async fn look_at_drill(&self, drill_id: &DrillId) -> Result<Option<Timestamp>, DrillError> {
        let Some(mut drill) = self.providers.drill(drill_id).await? else { return Ok(None) };
        let now = self.ambient.now();
        let before = drill.outcome;
        if before.is_final() {
            return Ok(None);
        }
        drill.times = self.drill_times(&drill).await?;
        // An order shows that an event arrived whose answer was lost.
        if drill.reported_at.is_none() && drill.times.order_id.is_none() {
            self.report_drill(&mut drill).await?;
        }
        drill.outcome = drill.outcome_at(now);
        if drill.outcome != before {
            log_outcome(&drill);
            let event = drill_event(&drill);
            let event = if drill.outcome.is_final() { Event::DrillFinished(event) } else { Event::DrillOverdue(event) };
            self.bus.put(&event, now).await?;
            self.providers.record_drill_outcome(&drill, before).await?;
        }
        Ok(match drill.outcome {
            DrillOutcome::Running => Some(now + LOOK_AGAIN_AFTER),
            DrillOutcome::Overdue => Some(now + LOOK_AT_OVERDUE_AFTER),
            DrillOutcome::Dead | DrillOutcome::DeadLate | DrillOutcome::NotDead => None,
        })
    }
}

fn log_outcome(drill: &Drill) {
    let (drill_id, provider_id) = (&drill.drill_id, &drill.provider_id);
    let (outcome, dead_after_ms) = (drill.outcome.as_str(), drill.dead_after_ms());
    let order_id = drill.times.order_id.as_ref().map(|order_id| order_id.as_str());
    match drill.outcome {
        DrillOutcome::Overdue => tracing::error!(
            %drill_id,
            %provider_id,
            order_id,
            "the key of a drill is not dead in time: a real breach would fare like it"
        ),
        DrillOutcome::NotDead => {
            tracing::error!(%drill_id, %provider_id, order_id, "the key of a drill is not dead after a week");
        }
        DrillOutcome::Running | DrillOutcome::Dead | DrillOutcome::DeadLate => {
            tracing::info!(%drill_id, %provider_id, outcome, dead_after_ms, "drill finished");
        }
    }
}

/// Whether a drill may take the provider.
fn may_be_taken(provider: &Provider) -> Result<(), NoDrill> {
    match (provider.canary, provider.status.status) {
        (false, _) => Err(NoDrill::NotACanary),
        (true, StatusName::Active) => Ok(()),
        (true, _) => Err(NoDrill::NotActive),
    }
}

/// Whether a drill was started so recently that another start is a repetition.
fn is_recent(drill: &Drill, now: Timestamp) -> bool {
    now.duration_since(drill.started_at) < SCHEDULE_HOLDS_BACK_FOR
}

fn drill_event(drill: &Drill) -> DrillEvent {
    DrillEvent {
        drill_id: drill.drill_id.clone(),
        provider_id: drill.provider_id.clone(),
        outcome: drill.outcome.as_str(),
        started_at: drill.started_at,
        reported_at: drill.reported_at,
        times: drill.times.clone(),
        dead_after_ms: drill.dead_after_ms(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{Calls, NOW_MS, cold_start_by_body, item, operations};

    const PROVIDER: &str = "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
    const DRILL: &str = "drl_01KAQX7Q5RD0B6S4M3Z1Y9T8WC";
    const ORDER: &str = "rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC";

    fn provider(canary: bool, status: &str) -> Provider {
        serde_json::from_value(json!({
            "provider_id": PROVIDER, "tenant_id": "operator", "name": "Canary", "region": "eu-central-1",
            "account_id": "111122223333", "user_name": "canary", "user_arn": "arn:aws:iam::111122223333:user/canary",
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": status, "reason": "sending_paused",
            "max_send_rate": 1.0, "max_24_hour_send": 200.0, "sandbox": true, "canary": canary,
            "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn only_an_active_canary_is_taken() {
        let cases = [
            (true, "active", "taken"),
            (true, "suspended", "not active"),
            (true, "revoking", "not active"),
            (true, "revoked", "not active"),
            (true, "revocation_blocked", "not active"),
            (false, "active", "no canary"),
            (false, "revoked", "no canary"),
        ];
        for (canary, status, expected) in cases {
            let says = match may_be_taken(&provider(canary, status)) {
                Ok(()) => "taken",
                Err(NoDrill::NotACanary) => "no canary",
                Err(NoDrill::NotActive) => "not active",
                Err(error) => panic!("{error}"),
            };
            assert_eq!(says, expected, "{canary} {status}");
        }
    }

    #[test]
    fn a_repeated_invocation_of_the_schedule_finds_the_drill_of_the_first() {
        let started_at = Timestamp::from_millisecond(NOW_MS).unwrap();
        let drill = Drill::new(DrillId::parse(DRILL).unwrap(), &provider(true, "active"), "ops".to_owned(), started_at);
        for (seconds, expected) in [(0, true), (599, true), (600, false)] {
            assert_eq!(is_recent(&drill, started_at + SignedDuration::from_secs(seconds)), expected, "{seconds}");
        }
    }

    /// Looks at a drill that was started at `started_at` and whose key has `status`. Returns what was called, and when it is
    /// looked at again.
    async fn look(started_at: &str, reported_at: Option<&str>, status: &str) -> (Calls, Option<SignedDuration>) {
        look_at(started_at, reported_at, status, "running", true).await
    }

    async fn look_at(
        started_at: &str,
        reported_at: Option<&str>,
        status: &str,
        outcome: &str,
        is_ordered: bool,
    ) -> (Calls, Option<SignedDuration>) {
        let mut drill = json!({
            "pk": {"S": "drill"}, "sk": {"S": DRILL}, "drill_id": {"S": DRILL}, "provider_id": {"S": PROVIDER},
            "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"}, "started_by": {"S": "ops"}, "outcome": {"S": outcome},
            "started_at": {"S": started_at},
        });
        if let Some(reported_at) = reported_at {
            drill["reported_at"] = json!({"S": reported_at});
        }
        let key = json!({
            "access_key_id": {"S": "AKIASP2TPHJSQH3FJRUX"}, "status": {"S": status},
            "orders": {"L": [{"S": "rvk_01ARZ3NDEKTSV4RRFFQ69G5FAV"}, {"S": ORDER}]},
            "updated_at": {"S": "2026-11-23T10:00:08.25Z"},
            "receipt": {"M": {"deleted_at": {"S": "2026-11-23T10:00:02Z"}, "refused": {"M": {
                "sts": {"M": {"at": {"S": "2026-11-23T10:00:08.25Z"}, "code": {"S": "InvalidClientTokenId"}}},
            }}}},
        });
        let order = |reporter: &str| {
            json!({
                "order_id": {"S": ORDER}, "scope": {"M": {"provider_id": {"S": PROVIDER}}}, "reason": {"S": "drill"},
                "reported_by": {"S": reporter}, "created_at": {"S": "2026-11-23T10:00:01Z"},
                "stopped_at": {"S": "2026-11-23T10:00:01.5Z"},
                "access_key_ids": {"L": [{"S": "AKIASP2TPHJSQH3FJRUX"}]},
            })
        };
        let (start, calls) = cold_start_by_body(move |operation, body| {
            let body: Value = serde_json::from_str(body).unwrap_or_default();
            match (operation, body["Key"]["pk"]["S"].as_str()?.split_once('#')) {
                ("GetItem providers", None) => Some(item(&drill)),
                ("GetItem providers", Some(("key", _))) => Some(item(&key)),
                ("GetItem providers", Some(("order", ORDER))) if is_ordered => {
                    Some(item(&order(&format!("drill {DRILL}"))))
                }
                ("GetItem providers", Some(("order", _))) => Some(item(&order("somebody else"))),
                _ => None,
            }
        });
        let intake = Intake::new(&start).unwrap();
        let again = intake.look_at_drill(&DrillId::parse(DRILL).unwrap()).await.unwrap();
        (calls, again.map(|at| at.duration_since(Timestamp::from_millisecond(NOW_MS).unwrap())))
    }

    fn events(calls: &Calls) -> Vec<Value> {
        let calls = calls.lock().unwrap();
        let put = calls.iter().filter(|(operation, _)| operation == "PutEvents");
        put.map(|(_, body)| serde_json::from_str::<Value>(body).unwrap()["Entries"][0].take()).collect()
    }

    #[tokio::test]
    async fn a_drill_whose_key_is_dead_is_told_as_the_sample_event_and_recorded() {
        let (calls, again) = look("2026-11-23T10:00:00Z", Some("2026-11-23T10:00:00.25Z"), "revoked").await;
        assert_eq!(again, None);
        let sample: Value =
            serde_json::from_str(include_str!("../../../../events/revoke-drill-finished.json")).unwrap();
        let [event] = events(&calls).try_into().unwrap();
        assert_eq!((&event["Source"], &event["DetailType"]), (&sample["source"], &sample["detail-type"]));
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        assert_eq!(detail, sample["detail"]);
        assert_eq!(operations(&calls).last().unwrap(), "UpdateItem");
        let update = calls.lock().unwrap().last().unwrap().1.clone();
        assert!(update.contains("outcome = :before") && update.contains(r#"":outcome":{"S":"dead"}"#), "{update}");
        assert!(update.contains(r#"":before":{"S":"running"}"#) && update.contains("REMOVE sweep"), "{update}");
    }

    #[tokio::test]
    async fn a_drill_that_runs_is_looked_at_again_and_one_that_is_late_is_told_once() {
        let hour = Some(LOOK_AT_OVERDUE_AFTER);
        for status in ["active", "revoking", "refused_unproven"] {
            let (calls, again) = look("2026-11-23T09:46:00Z", Some("2026-11-23T09:46:00Z"), status).await;
            assert!(again == Some(LOOK_AGAIN_AFTER) && events(&calls).is_empty(), "{status}");
            let (calls, again) = look("2026-11-23T09:45:00Z", Some("2026-11-23T09:45:00Z"), status).await;
            let [event] = events(&calls).try_into().unwrap();
            assert_eq!(event["DetailType"], "Drill Overdue");
            assert!(event["Detail"].as_str().unwrap().contains(r#""outcome":"overdue""#), "{event}");
            assert_eq!(again, hour, "{status}");
            let update = calls.lock().unwrap().last().unwrap().1.clone();
            assert!(!update.contains("REMOVE"), "{update}");
            let (calls, again) =
                look_at("2026-11-23T09:45:00Z", Some("2026-11-23T09:45:00Z"), status, "overdue", true).await;
            assert!(again == hour && events(&calls).is_empty(), "{status}");
        }
    }

    #[tokio::test]
    async fn a_drill_that_was_overdue_ends_with_its_key_or_after_a_week() {
        let cases =
            [("2026-11-23T09:00:00Z", "revoked", "dead_late"), ("2026-11-16T10:00:00Z", "revoking", "not_dead")];
        for (started_at, status, expected) in cases {
            let (calls, again) = look_at(started_at, Some(started_at), status, "overdue", true).await;
            let [event] = events(&calls).try_into().unwrap();
            assert_eq!((&event["DetailType"], again), (&json!("Drill Finished"), None));
            let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
            assert_eq!(detail["outcome"], expected);
        }
        let (calls, again) =
            look_at("2026-11-16T10:00:00Z", Some("2026-11-16T10:00:00Z"), "revoking", "not_dead", true).await;
        assert!(again.is_none() && events(&calls).is_empty());
    }

    /// EventBridge took the event, but the process died before it noted that.
    #[tokio::test]
    async fn a_drill_that_has_an_order_is_not_reported_again() {
        let (calls, again) = look("2026-11-23T09:59:00Z", None, "revoking").await;
        assert!(again.is_some() && events(&calls).is_empty());
    }

    /// A process that dies before EventBridge takes the event leaves a drill behind that is not reported.
    #[tokio::test]
    async fn a_drill_that_is_not_reported_is_reported_by_the_sweep() {
        let (calls, again) = look_at("2026-11-23T09:59:00Z", None, "active", "running", false).await;
        assert!(again.is_some());
        let [event] = events(&calls).try_into().unwrap();
        assert_eq!(
            (&event["Source"], &event["DetailType"]),
            (&json!("sendingbee.security"), &json!("Credential Breach"))
        );
        let detail: Value = serde_json::from_str(event["Detail"].as_str().unwrap()).unwrap();
        let expected = json!({
            "scope": {"provider_id": PROVIDER}, "reason": "drill", "reported_by": format!("drill {DRILL}"),
        });
        assert_eq!(detail, expected);
    }
}
