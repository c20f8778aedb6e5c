//! `verify-worker`: verifies providers that are in use, on a schedule and when somebody asks.
//!
//! No HTTP route reaches it, because it opens the send lane. It makes the same checks as onboarding, from the same code
//! ([`Verification`](crate::verification::Verification)). A message names a provider; its watch holds the state. What was seen is written in
//! one transaction, if nobody else wrote meanwhile. Killed anywhere, the provider stays due and is verified again.
//!
//! | file | what it holds |
//! |---|---|
//! | `task`, `dispatch` | the messages, and the schedule that enqueues them |
//! | `configuration` | the task that goes on with a configuration of a tenant's SES |
//! | `watch_schedule` | when a provider is verified, and how thoroughly: pure |
//! | `watch_finding`, `watch_outcome` | what checks mean for a key in use, and what that changes: pure |

mod configuration;
pub(crate) mod dispatch;
pub(crate) mod task;
mod watch_finding;
mod watch_outcome;
mod watch_schedule;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use jiff::SignedDuration;
use lambda_runtime::LambdaEvent;
use serde_json::Value;
use shared::custody::{Custody, CustodyError, Holder, Lane};
use shared::id::ProviderId;
use shared::queue::{Deadline, Message, MessageOutcome, Queue, dead_letter, handle_batch};
use shared::record::{
    AskedVerification, Assurance, BreachScope, Check, CheckName, Provider, Providers, RecordError, Secrets, Status,
    Watch, WatchNews, WatchRecord,
};
use shared::runtime::{Ambient, ColdStart, ScheduledEvent};
use shared::telemetry::{Bus, CredentialBreachEvent, Event, ProviderChangedEvent, ProviderEvent, chain};
use shared::tenant::{AccountStatus, Clients, Credential, Failure, User};

use self::task::WorkerTask;
use self::watch_finding::watch_finding;
use self::watch_outcome::{Seen, WatchOutcome, after_verification};
use self::watch_schedule::{Depth, WatchSchedule};
use crate::check::region::RegionChoice;
use crate::check::ses;
use crate::check::user::check_replaced_key;
use crate::report_builder::ReportBuilder;
use crate::time_budget::TimeBudget;
use crate::verification::Verification;
use crate::{ColdStartError, required_assurance};

/// The longest that a verification takes: 24 s of calls, and the reads and writes around them.
const MAX_VERIFICATION_DURATION: SignedDuration = SignedDuration::from_secs(30);

/// What a report of our own says.
const QUARANTINED: &str = "AWS has put the key's user under quarantine, as it does with keys found in public";

/// What a cold start builds once.
pub(crate) struct VerifyWorker {
    providers: Providers,
    secrets: Secrets,
    send_lane: Custody,
    tenants: Clients,
    /// Where verifications are enqueued.
    queue: Queue,
    /// For messages that can never be handled.
    dead_letters: Queue,
    bus: Bus,
    /// The bus as whoever reports a breach.
    report_bus: Bus,
    required_assurance: Assurance,
    schedule: WatchSchedule,
    ambient: Ambient,
}

impl VerifyWorker {
    /// The handler.
    ///
    /// # Errors
    /// [`ColdStartError`] names the variable.
    pub(crate) fn new(start: &ColdStart) -> Result<Self, ColdStartError> {
        let (dynamodb, sqs, environment) = (start.dynamodb()?, start.sqs()?, &start.environment);
        Ok(Self {
            providers: Providers::new(dynamodb.clone(), environment)?,
            secrets: Secrets::new(dynamodb, environment)?,
            send_lane: Custody::new(start.kms()?, environment, Lane::Send)?,
            tenants: Clients::new(environment, &start.http),
            queue: Queue::new(sqs.clone(), start.required("VERIFICATION_QUEUE_URL")?, "verification"),
            dead_letters: Queue::new(
                sqs,
                start.required("VERIFICATION_DEAD_LETTER_QUEUE_URL")?,
                "verification dead-letter",
            ),
            bus: start.bus("sendingbee.verify")?,
            report_bus: start.bus("sendingbee.security")?,
            required_assurance: required_assurance(start)?,
            schedule: WatchSchedule::from_hours(environment.required_number("WATCH_HOURS")?),
            ambient: start.ambient,
        })
    }

    /// Handles a batch, or what the schedule has due. The response names the messages that SQS must deliver again.
    pub(crate) async fn handle(self: Arc<Self>, event: LambdaEvent<Value>) -> Value {
        let deadline = Deadline::from_millis(event.context.deadline);
        if serde_json::from_value::<ScheduledEvent>(event.payload.clone()).is_ok() {
            self.dispatch(deadline).await;
            return Value::Null;
        }
        let handle = |message: Arc<Message>| {
            let worker = Arc::clone(&self);
            async move { worker.handle_message(&message, deadline).await }
        };
        let response = handle_batch(event.payload, deadline, self.ambient, handle).await;
        serde_json::to_value(response).unwrap_or_default()
    }

    async fn handle_message(&self, message: &Message, deadline: Deadline) -> MessageOutcome {
        let provider_id = match WorkerTask::parse(&message.body) {
            Ok(WorkerTask::Verification(provider_id)) => provider_id,
            Ok(WorkerTask::Configuration(provider_id)) => {
                return Box::pin(self.configure(&provider_id, message, deadline)).await;
            }
            Err(invalid) => return dead_letter(&self.dead_letters, message, "invalid_message", &invalid).await,
        };
        if !deadline.allows(MAX_VERIFICATION_DURATION, self.ambient.now()) {
            return MessageOutcome::Retry;
        }
        match Box::pin(self.verify(&provider_id)).await {
            Ok(()) => MessageOutcome::Done,
            Err(error) => {
                tracing::warn!(
                    message_id = message.message_id,
                    provider_id = %provider_id,
                    error = chain(&error),
                    "verification of a provider not recorded: the message is retried"
                );
                MessageOutcome::Retry
            }
        }
    }

    /// Verifies a provider, unless an order has stopped it, and tells operators what changed.
    ///
    /// # Errors
    /// A record could not be read or written. An answer of the tenant's AWS is never an error here.
    async fn verify(&self, provider_id: &ProviderId) -> Result<(), RecordError> {
        let Some(verified) = self.providers.verified_provider(provider_id).await? else { return Ok(()) };
        let Some(item) = self.providers.watch(provider_id).await? else { return Ok(()) };
        let (provider, watch) = (&verified.provider, item.watch);
        let asked = match &watch.asked {
            Some(asked) => self.providers.asked_verification(provider_id, asked).await?,
            None => None,
        };
        if provider.is_stopped() {
            let finished = asked.map(|asked| self.finished(asked, None, &provider.status));
            self.providers.end_watch(provider, &watch, finished.as_ref()).await?;
            return Ok(());
        }
        if !watch.untold.is_empty() && !self.tell(provider, &watch).await? {
            return Ok(());
        }
        // What was told has been written.
        let watch = if watch.untold.is_empty() {
            watch
        } else {
            Watch { untold: Vec::new(), writes: watch.writes + 1, ..watch }
        };
        let depth = self.schedule.depth(provider, &watch, self.ambient.now());
        let seen = self.look(provider, depth).await?;
        let now = self.ambient.now();
        let outcome = after_verification(&verified, &watch, &seen, self.schedule, now, &self.ambient);
        let WatchOutcome { after, update, trail, next, status } = outcome;
        tracing::info!(
            provider_id = %provider_id,
            finding = ?seen.finding,
            depth = ?depth,
            status = %status,
            failed = ?seen.report.failed_checks(),
            "provider verified"
        );
        let is_told = after.untold.is_empty();
        let record = WatchRecord {
            provider,
            before: &watch,
            after: after.clone(),
            next_attempt_at: if is_told { next } else { WatchSchedule::untold(now) },
            update,
            trail,
            finished: asked.map(|asked| self.finished(asked, Some(&seen), &status)),
        };
        if !self.providers.record_watch(&record, &self.ambient).await? {
            tracing::info!(
                provider_id = %provider_id,
                "verification of a provider not recorded: provider or watch has changed meanwhile"
            );
            self.verify_again(provider_id).await;
            return Ok(());
        }
        if is_told {
            return Ok(());
        }
        let written = Watch { writes: watch.writes.saturating_add(1), ..after };
        if self.put_events(provider, &written.untold).await {
            self.providers.note_watch_told(provider_id, &written, next).await?;
        }
        Ok(())
    }

    /// Has a provider verified once more. If that cannot be enqueued, it is still due.
    async fn verify_again(&self, provider_id: &ProviderId) {
        if let Err(error) = WorkerTask::Verification(provider_id.clone()).enqueue(&self.queue).await {
            tracing::warn!(provider_id = %provider_id, error = chain(&error), "verification not enqueued again");
        }
    }

    fn finished(&self, asked: AskedVerification, seen: Option<&Seen>, status: &Status) -> AskedVerification {
        AskedVerification {
            finished_at: Some(self.ambient.now()),
            report: seen.map(|seen| seen.report.clone()),
            provider_status: Some(status.clone()),
            ..asked
        }
    }

    /// Makes the checks.
    async fn look(&self, provider: &Provider, depth: Depth) -> Result<Seen, RecordError> {
        let mut report = ReportBuilder::default();
        report.add(Check::passed(CheckName::Shape, "as it was handed over"));
        report.add(Check::passed(CheckName::LongTerm, "AKIA: a long-term key"));
        report.add(Check::passed(CheckName::NotReported, "no report of this key is known"));
        let credential = match self.open(provider).await? {
            Ok(credential) => credential,
            Err(error) => {
                tracing::error!(provider_id = %provider.provider_id, error, "send lane not opened: the provider is not verified");
                let check =
                    Check::unknown(CheckName::Live, "not asked: we could not open the secret", "This is ours to mend.");
                report.add(check);
                return Ok(self.seen(depth, report, (None, None, None)));
            }
        };
        let budget = TimeBudget::start();
        let verification = Verification {
            clients: &self.tenants,
            credential: &credential,
            budget: &budget,
            ambient: &self.ambient,
            required: self.required_assurance,
            region_choice: &RegionChoice::Named,
            denials: AtomicUsize::new(0),
        };
        let identity = match verification.verify_secret(&mut report).await {
            Ok(identity) => identity,
            Err(failure) => return Ok(self.seen(depth, report, (Some(failure), None, None))),
        };
        let Some(user) = verification.identify_user(&identity, &mut report) else {
            return Ok(self.seen(depth, report, (None, None, None)));
        };
        let access = match depth {
            Depth::All => verification.verify_permissions(&user, &mut report).await,
            Depth::Cheap => {
                let access = verification.verify_access(&user, &mut report).await;
                if let Ok(account) = &access.account {
                    report.add(ses::check_sending_status(account, &Ok(())));
                    report.add(ses::check_sandbox(account));
                }
                access
            }
        };
        // The user has two keys for as long as one replaces the other.
        if let Some(rotation) = provider.running_rotation().filter(|rotation| rotation.old_key.user_arn == user.arn) {
            report.replace(check_replaced_key(&rotation.old_key.access_key_id));
        }
        Ok(self.seen(depth, report, (None, access.account.ok(), access.own_user.ok())))
    }

    fn seen(
        &self,
        depth: Depth,
        report: ReportBuilder,
        (live, account, user): (Option<Failure>, Option<AccountStatus>, Option<User>),
    ) -> Seen {
        let finding = watch_finding(report.checks(), live.as_ref(), account.as_ref());
        Seen { depth, finding, report: report.finish(self.ambient.now()), account, user }
    }

    /// Opens the send lane, or says why not: whether that is ours to mend or passes, it is not the key's fault.
    async fn open(&self, provider: &Provider) -> Result<Result<Credential, String>, RecordError> {
        let Some(sealed) = self.secrets.get(&provider.access_key_id, Lane::Send).await? else {
            return Ok(Err("the send lane has no secret".to_owned()));
        };
        let Provider { tenant_id, provider_id, access_key_id, region, .. } = provider;
        let opened = self.send_lane.open(Holder { tenant_id, provider_id, access_key_id }, &sealed).await;
        Ok(opened
            .map(|secret_access_key| Credential {
                access_key_id: access_key_id.clone(),
                secret_access_key,
                region: *region,
            })
            .map_err(|error: CustodyError| chain(&error)))
    }

    /// Tells what an earlier verification could not tell. Returns whether it was noted.
    async fn tell(&self, provider: &Provider, watch: &Watch) -> Result<bool, RecordError> {
        if !self.put_events(provider, &watch.untold).await {
            return Ok(false);
        }
        // Due until what follows is recorded.
        let again_at = WatchSchedule::untold(self.ambient.now());
        self.providers.note_watch_told(&provider.provider_id, watch, again_at).await
    }

    /// Puts an event for each piece of news. Told at least once: what was put and not noted is put again.
    async fn put_events(&self, provider: &Provider, news: &[WatchNews]) -> bool {
        for news in news {
            let (bus, event) = match news {
                WatchNews::Quarantined => (&self.report_bus, breach(provider)),
                news => (&self.bus, event_of(provider, news)),
            };
            if let Err(error) = bus.put(&event, self.ambient.now()).await {
                tracing::error!(
                    provider_id = %provider.provider_id,
                    error = chain(&error),
                    "operators not told what a verification found: it is told within minutes"
                );
                return false;
            }
        }
        true
    }
}

fn event_of(provider: &Provider, news: &WatchNews) -> Event {
    match news {
        WatchNews::Changed(changes) => Event::ProviderChanged(ProviderChangedEvent {
            tenant_id: provider.tenant_id.clone(),
            provider_id: provider.provider_id.clone(),
            account_id: provider.account_id.clone(),
            changes: changes.clone(),
        }),
        WatchNews::Suspended(reason) => Event::ProviderSuspended(ProviderEvent::suspended(provider, *reason)),
        WatchNews::Resumed(reason) => {
            Event::ProviderResumed(ProviderEvent::new(provider, Some(reason.as_str().to_owned())))
        }
        WatchNews::Quarantined => breach(provider),
    }
}

/// A report of our own: AWS knows the key from somewhere public.
fn breach(provider: &Provider) -> Event {
    Event::CredentialBreach(CredentialBreachEvent {
        scope: BreachScope::AccessKeyId(provider.access_key_id.clone()),
        reason: QUARANTINED,
        reported_by: "verify-worker".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use shared::record::{ProviderChange, SuspensionReason};

    use super::*;
    use crate::fixtures::provider;

    #[test]
    fn the_sample_events_are_what_the_bus_gets() {
        let change =
            |field: &str, before: Value, after: Value| ProviderChange { field: field.to_owned(), before, after };
        for (sample, news) in [
            (
                include_str!("../../../../events/verify-worker-provider-changed.json"),
                WatchNews::Changed(vec![
                    change("max_send_rate", json!(14.0), json!(50.0)),
                    change("enforcement", json!("HEALTHY"), json!("PROBATION")),
                ]),
            ),
            (
                include_str!("../../../../events/verify-worker-provider-suspended.json"),
                WatchNews::Suspended(SuspensionReason::KeyGone),
            ),
            (
                include_str!("../../../../events/verify-worker-provider-resumed.json"),
                WatchNews::Resumed(SuspensionReason::SendingPaused),
            ),
            (include_str!("../../../../events/verify-worker-credential-breach.json"), WatchNews::Quarantined),
        ] {
            let sample: Value = serde_json::from_str(sample).unwrap();
            let event = event_of(&provider(), &news);
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }

    #[test]
    fn the_schedule_s_event_is_told_from_a_batch() {
        let is_schedule = |sample: &str| serde_json::from_str::<ScheduledEvent>(sample).is_ok();
        assert!(is_schedule(include_str!("../../../../events/verify-worker-watch.json")));
        assert!(!is_schedule(include_str!("../../../../events/verify-worker-verification.json")));
    }
}
