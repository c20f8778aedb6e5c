//! The calls of a configuration: one a second for an account and Region, each decided from what is stored, each recorded before the next
//! one.
//!
//! It can be killed anywhere. A change is noted before it is sent, and who finds such a note looks at the set again; every
//! change can be repeated. A provider that an order has stopped is left alone: it is read right before each call.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::custody::{Custody, CustodyError, Holder, Lane};
use shared::id::ProviderId;
use shared::queue::Deadline;
use shared::record::{
    Configuration, ConfigurationItem, MissingRight, Provider, Providers, RecordError, Secrets, SetChange, SetSeen,
    Turn, configuration_set_name,
};
use shared::runtime::Ambient;
use shared::telemetry::{Bus, ConfigurationEvent, Event, chain};
use shared::tenant::{Clients, ConfigurationSet, Credential, Denial, Failure, FailureKind as Kind};

use super::dns::state_of_domain;
use super::outcome::{CallOutcome, FIRST_RETRY, after_call, finished, next_attempt_at, started};
use super::step::{ConfigurationStep, next_step, resumed};
use crate::worker::dispatch::DUE_AGAIN_AFTER;

/// The longest that one call takes, with the wait for its turn and the reads and writes around it.
const MAX_CALL_DURATION: SignedDuration = SignedDuration::from_secs(12);

/// The longest that a call into the tenant's account takes. A longer one counts as not answered.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The longest wait for a turn that others take.
const MAX_TURN_WAIT: SignedDuration = SignedDuration::from_secs(4);

/// Calls of one invocation. The rest is another invocation's, so that no provider keeps others waiting.
const MAX_CALLS: usize = 20;

/// Who makes the changes, in the audit trail.
const WORKER: &str = "verify-worker";

/// What the calls are made with.
pub(crate) struct ConfigurationRun<'a> {
    pub(crate) providers: &'a Providers,
    pub(crate) secrets: &'a Secrets,
    /// The send lane.
    pub(crate) custody: &'a Custody,
    pub(crate) tenants: &'a Clients,
    pub(crate) bus: &'a Bus,
    pub(crate) ambient: &'a Ambient,
}

/// How an invocation's part of the work ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RunOutcome {
    /// What is left says itself when it is due.
    Done,
    /// There is more to do at once.
    Unfinished,
}

/// What an invocation holds between two calls.
#[derive(Default)]
struct Held {
    credential: Option<Credential>,
    /// The set as it was looked at in this invocation.
    set: Option<ConfigurationSet>,
}

impl ConfigurationRun<'_> {
    /// Does what is to be done about a provider's configuration now.
    ///
    /// # Errors
    /// DynamoDB did not answer. An answer of the tenant's AWS is never an error here.
    pub(crate) async fn run(&self, provider_id: &ProviderId, deadline: Deadline) -> Result<RunOutcome, RecordError> {
        let Some(item) = self.providers.configuration(provider_id).await? else { return Ok(RunOutcome::Done) };
        if !is_task_due(&item, self.ambient.now()) {
            return Ok(RunOutcome::Done);
        }
        if item.configuration.news.is_some() {
            // A worker died between the end of its look and this.
            self.tell(provider_id, item.configuration).await?;
            return Ok(RunOutcome::Done);
        }
        // Of several workers one goes on; and whoever comes later sees that one is at it.
        let resumed = resumed(&item.configuration);
        let now = self.ambient.now();
        let due = next_attempt_at(&resumed, now, self.ambient);
        let Some(mut configuration) = self.record(provider_id, &item.configuration, resumed, due).await? else {
            return Ok(RunOutcome::Done);
        };
        let mut held = Held::default();
        for _ in 0..MAX_CALLS {
            let step = next_step(&configuration);
            if step == ConfigurationStep::Finish {
                return self.finish(provider_id, &configuration).await;
            }
            if !deadline.allows(MAX_CALL_DURATION, self.ambient.now()) {
                break;
            }
            let Some(provider) = self.unstopped(provider_id).await? else {
                return self.end(provider_id, &configuration).await;
            };
            if let Err(reason) = self.hold_credential(&provider, &mut held).await? {
                let now = self.ambient.now();
                let stuck = after_call(&configuration, &step, CallOutcome::Unanswered(reason.to_owned()), now);
                let next = next_attempt_at(&stuck, now, self.ambient);
                self.record(provider_id, &configuration, stuck, next).await?;
                return Ok(RunOutcome::Done);
            }
            if let ConfigurationStep::Change(change) = step {
                let now = self.ambient.now();
                let noted = started(&configuration, change, now);
                let due = next_attempt_at(&noted, now, self.ambient);
                let Some(noted) = self.record(provider_id, &configuration, noted, due).await? else {
                    return Ok(RunOutcome::Done);
                };
                configuration = noted;
            }
            // Right before the call: what comes in between would bring it nearer to the next one.
            if !self.wait_for_turn(&provider).await? {
                break;
            }
            // Again, because a stop may have come during the wait.
            if self.unstopped(provider_id).await?.is_none() {
                return self.end(provider_id, &configuration).await;
            }
            let outcome = self.call(&provider, &step, &mut held).await;
            let now = self.ambient.now();
            let after = after_call(&configuration, &step, outcome, now);
            let next = next_attempt_at(&after, now, self.ambient);
            let is_stuck = after.stuck.is_some();
            match self.record(provider_id, &configuration, after, next).await? {
                Some(written) => configuration = written,
                // Another worker is at it, or the consent was changed: then the record is due again.
                None => return Ok(RunOutcome::Done),
            }
            if is_stuck {
                return Ok(RunOutcome::Done);
            }
        }
        let now = Some(self.ambient.now());
        match self.record(provider_id, &configuration, configuration.clone(), now).await? {
            Some(_) => Ok(RunOutcome::Unfinished),
            None => Ok(RunOutcome::Done),
        }
    }

    /// The provider, unless an order has stopped it.
    async fn unstopped(&self, provider_id: &ProviderId) -> Result<Option<Provider>, RecordError> {
        Ok(self.providers.provider(provider_id).await?.filter(|provider| !provider.is_stopped()))
    }

    /// Leaves the configuration of a provider that an order has stopped as it is.
    async fn end(&self, provider_id: &ProviderId, configuration: &Configuration) -> Result<RunOutcome, RecordError> {
        self.record(provider_id, configuration, configuration.clone(), None).await?;
        Ok(RunOutcome::Done)
    }

    /// Ends a look, and tells operators what it changed.
    async fn finish(&self, provider_id: &ProviderId, configuration: &Configuration) -> Result<RunOutcome, RecordError> {
        let now = self.ambient.now();
        let after = finished(configuration, now);
        let next = next_attempt_at(&after, now, self.ambient);
        if let Some(written) = self.record(provider_id, configuration, after, next).await?
            && written.news.is_some()
        {
            self.tell(provider_id, written).await?;
        }
        Ok(RunOutcome::Done)
    }

    /// Puts the event of what a look changed, at least once.
    async fn tell(&self, provider_id: &ProviderId, configuration: Configuration) -> Result<(), RecordError> {
        let Some(provider) = self.providers.provider(provider_id).await? else { return Ok(()) };
        let now = self.ambient.now();
        if let Some(news) = &configuration.news {
            let event = Event::ConfigurationChanged(ConfigurationEvent::new(&provider, &configuration, news));
            if let Err(error) = self.bus.put(&event, now).await {
                tracing::error!(
                    provider_id = provider_id.as_str(),
                    error = chain(&error),
                    "operators not told of a configuration: the next look tells them"
                );
                return Ok(());
            }
        }
        let told = Configuration { news: None, ..configuration.clone() };
        let next = if provider.is_stopped() { None } else { next_attempt_at(&told, now, self.ambient) };
        self.record(provider_id, &configuration, told, next).await.map(drop)
    }

    async fn record(
        &self,
        provider_id: &ProviderId,
        read: &Configuration,
        after: Configuration,
        next: Option<Timestamp>,
    ) -> Result<Option<Configuration>, RecordError> {
        let before = (read.state, read.changes.len());
        let written = self.providers.record_configuration(provider_id, read, after, next, WORKER, self.ambient).await?;
        if let Some(after) = written.as_ref().filter(|after| (after.state, after.changes.len()) != before) {
            tracing::info!(
                provider_id = provider_id.as_str(),
                state = after.state.as_str(),
                change = after.changes.last().map(|made| made.change.as_str()),
                "configuration of a tenant's SES changed"
            );
        }
        Ok(written)
    }

    /// Waits until a call may be made to SES in the account and Region. Returns whether it may.
    async fn wait_for_turn(&self, provider: &Provider) -> Result<bool, RecordError> {
        let until = self.ambient.now().saturating_add(MAX_TURN_WAIT).unwrap_or(Timestamp::MAX);
        loop {
            let now = self.ambient.now();
            match self.providers.take_turn(&provider.account_id, provider.region, now).await? {
                Turn::Taken => return Ok(true),
                Turn::Busy(free_at) if free_at <= until => {
                    let wait = Duration::try_from(free_at.duration_since(now)).unwrap_or_default();
                    // A little apart, or those who wait for the same turn wake together.
                    tokio::time::sleep(wait + Duration::from_millis(self.ambient.below(100))).await;
                }
                Turn::Busy(_) => return Ok(false),
            }
        }
    }

    /// Opens the send lane, unless this invocation has; the word is why not.
    async fn hold_credential(
        &self,
        provider: &Provider,
        held: &mut Held,
    ) -> Result<Result<(), &'static str>, RecordError> {
        let is_held = |held: &Credential| held.access_key_id == provider.access_key_id;
        if held.credential.as_ref().is_some_and(is_held) {
            return Ok(Ok(()));
        }
        Ok(self.open(provider).await?.map(|credential| held.credential = Some(credential)))
    }

    /// Makes the call of a step.
    async fn call(&self, provider: &Provider, step: &ConfigurationStep, held: &mut Held) -> CallOutcome {
        let Some(credential) = &held.credential else {
            return CallOutcome::Unanswered("secret_missing".to_owned());
        };
        let name = configuration_set_name(&provider.provider_id);
        let tenants = self.tenants;
        let answer = match (step, &held.set) {
            (ConfigurationStep::LookAtSet, _) => {
                let answer = within_timeout(tenants.get_configuration_set(credential, &name)).await;
                held.set = answer.as_ref().ok().cloned();
                return outcome_of_look(&answer, provider, step, self.ambient.now());
            }
            (ConfigurationStep::Change(SetChange::Create), _) => {
                let tag = provider.provider_id.as_str();
                within_timeout(tenants.create_configuration_set(credential, &name, tag)).await
            }
            (ConfigurationStep::Change(SetChange::RequireTls), Some(seen)) => {
                within_timeout(tenants.require_tls(credential, &name, seen)).await
            }
            (ConfigurationStep::Change(SetChange::Suppress), Some(seen)) => {
                within_timeout(tenants.suppress(credential, &name, seen)).await
            }
            (ConfigurationStep::Change(SetChange::Delete), Some(_)) => {
                within_timeout(tenants.delete_configuration_set(credential, &name)).await
            }
            // Not looked at in this invocation.
            (ConfigurationStep::Change(_), None) => return CallOutcome::Moved,
            (ConfigurationStep::ListIdentities, _) => {
                return match within_timeout(tenants.list_identity_states(credential)).await {
                    Ok(list) => CallOutcome::Listed(list),
                    Err(failure) => outcome_of_failure(&failure, provider, step, self.ambient.now()),
                };
            }
            (ConfigurationStep::LookAtDomain(domain), _) => {
                return match within_timeout(tenants.get_domain_identity(credential, domain)).await {
                    Ok(seen) => CallOutcome::Read(Some(state_of_domain(domain, &seen, provider.region))),
                    Err(Failure { kind: Kind::NotFound, .. }) => CallOutcome::Read(None),
                    Err(failure) => outcome_of_failure(&failure, provider, step, self.ambient.now()),
                };
            }
            (ConfigurationStep::Finish, _) => Ok(()),
        };
        match answer {
            Ok(()) => CallOutcome::Made,
            Err(failure) => outcome_of_failure(&failure, provider, step, self.ambient.now()),
        }
    }

    /// Opens the send lane of the provider's key; the word is why not.
    async fn open(&self, provider: &Provider) -> Result<Result<Credential, &'static str>, RecordError> {
        let Some(sealed) = self.secrets.get(&provider.access_key_id, Lane::Send).await? else {
            return Ok(Err("secret_missing"));
        };
        let holder = Holder {
            tenant_id: &provider.tenant_id,
            provider_id: &provider.provider_id,
            access_key_id: &provider.access_key_id,
        };
        Ok(match self.custody.open(holder, &sealed).await {
            Ok(secret_access_key) => Ok(Credential {
                access_key_id: provider.access_key_id.clone(),
                secret_access_key,
                region: provider.region,
            }),
            Err(error) => {
                tracing::error!(
                    provider_id = provider.provider_id.as_str(),
                    error = chain(&error),
                    "send lane not opened"
                );
                Err(match error {
                    CustodyError::Unavailable { .. } => "kms_unavailable",
                    CustodyError::Refused { .. } | CustodyError::Content { .. } => "secret_unreadable",
                })
            }
        })
    }
}

/// Whether a message about a configuration is to be acted on: it may come twice, or late. Whoever enqueues one leaves the item due within
/// [`DUE_AGAIN_AFTER`]; one whose look is being made is due a little later, in case its worker dies.
fn is_task_due(item: &ConfigurationItem, now: Timestamp) -> bool {
    let Some(next) = item.next_attempt_at else { return false };
    let wait = next.duration_since(now);
    let is_in_work = item.configuration.look.is_some() && wait.is_positive() && wait <= FIRST_RETRY;
    wait <= DUE_AGAIN_AFTER && !is_in_work
}

async fn within_timeout<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(CALL_TIMEOUT, Box::pin(call)).await.unwrap_or(Err(Failure {
        kind: Kind::Unknown,
        code: None,
        status: None,
        request_id: None,
    }))
}

fn outcome_of_look(
    answer: &Result<ConfigurationSet, Failure>,
    provider: &Provider,
    step: &ConfigurationStep,
    now: Timestamp,
) -> CallOutcome {
    match answer {
        Ok(set) if set.tag.as_deref() == Some(provider.provider_id.as_str()) => CallOutcome::Seen(SetSeen::Ours {
            requires_tls: set.requires_tls,
            suppresses: set.suppresses_bounces && set.suppresses_complaints,
        }),
        Ok(_) => CallOutcome::Seen(SetSeen::Foreign),
        Err(Failure { kind: Kind::NotFound, .. }) => CallOutcome::Seen(SetSeen::Absent),
        Err(failure) => outcome_of_failure(failure, provider, step, now),
    }
}

/// What a failed call means. A denial says what is missing; whatever else is no answer leaves the question open.
fn outcome_of_failure(failure: &Failure, provider: &Provider, step: &ConfigurationStep, now: Timestamp) -> CallOutcome {
    match &failure.kind {
        Kind::Denied(denial) => CallOutcome::Denied(missing_right(denial, provider, step, now)),
        // A deletion of what is gone, or a change of it: the next look tells.
        Kind::NotFound => CallOutcome::Moved,
        _ if failure.says_exists() => CallOutcome::Moved,
        kind => CallOutcome::Unanswered(match &failure.code {
            Some(code) if matches!(kind, Kind::BadRequest | Kind::DailyQuota | Kind::Forbidden) => code.clone(),
            _ => kind.as_str().to_owned(),
        }),
    }
}

/// What AWS says that the key may not do; where it does not say, what the step is.
fn missing_right(denial: &Denial, provider: &Provider, step: &ConfigurationStep, now: Timestamp) -> MissingRight {
    let arn = |resource: String| {
        let (partition, region) = (provider.region.partition(), provider.region);
        format!("arn:{partition}:ses:{region}:{}:{resource}", provider.account_id)
    };
    let set = || arn(format!("configuration-set/{}", configuration_set_name(&provider.provider_id)));
    let (action, resource) = match step {
        ConfigurationStep::LookAtSet => ("ses:GetConfigurationSet", set()),
        ConfigurationStep::Change(SetChange::Create) => ("ses:CreateConfigurationSet", set()),
        ConfigurationStep::Change(SetChange::RequireTls) => ("ses:PutConfigurationSetDeliveryOptions", set()),
        ConfigurationStep::Change(SetChange::Suppress) => ("ses:PutConfigurationSetSuppressionOptions", set()),
        ConfigurationStep::Change(SetChange::Delete) => ("ses:DeleteConfigurationSet", set()),
        // Of one domain is of all: that is how the policies grant it, and no name need be told.
        ConfigurationStep::LookAtDomain(_) => ("ses:GetEmailIdentity", arn("identity/*".to_owned())),
        ConfigurationStep::ListIdentities | ConfigurationStep::Finish => ("ses:ListEmailIdentities", "*".to_owned()),
    };
    MissingRight {
        // At the creation AWS may name ses:TagResource.
        action: denial.action.clone().unwrap_or_else(|| action.to_owned()),
        resource,
        is_explicit: denial.is_explicit(),
        since: now,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn provider() -> Provider {
        serde_json::from_value(json!({
            "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "name": "Main",
            "region": "eu-central-1", "account_id": "171436882533", "user_name": "mailer",
            "user_arn": "arn:aws:iam::171436882533:user/mailer", "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "status": "active", "max_send_rate": 14.0, "max_24_hour_send": -1.0, "sandbox": false,
            "created_at": "2026-11-23T09:00:00Z", "updated_at": "2026-11-23T09:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_message_that_comes_twice_or_late_does_nothing() {
        let now: Timestamp = "2026-11-23T09:00:00Z".parse().unwrap();
        let look = |is_made: bool| is_made.then(Default::default);
        for (look, seconds, expected) in [
            (look(false), -60, true),
            (look(true), -60, true),
            (look(true), 0, true),
            // Enqueued by the schedule, or a consent that is due.
            (look(false), 15 * 60, true),
            (look(true), 15 * 60, true),
            // Another worker is at it.
            (look(true), 59, false),
            // The next look.
            (look(false), 3600, false),
        ] {
            let configuration = Configuration { look, ..Configuration::agreed(now, "arn") };
            let next_attempt_at = now.checked_add(SignedDuration::from_secs(seconds)).ok();
            let item = ConfigurationItem { configuration, next_attempt_at };
            assert_eq!(is_task_due(&item, now), expected, "{item:?}");
            assert!(!is_task_due(&ConfigurationItem { next_attempt_at: None, ..item }, now));
        }
    }

    fn failure(code: &str, text: &str, status: u16) -> Failure {
        Failure {
            kind: Kind::from_answer(code, text, status),
            code: Some(code.to_owned()),
            status: Some(status),
            request_id: None,
        }
    }

    #[test]
    fn a_denial_names_the_right_and_whatever_is_no_answer_is_none() {
        let set = "arn:aws:ses:eu-central-1:171436882533:configuration-set/sendingbee-prv_01ARZ3NDEKTSV4RRFFQ69G5FAV";
        let denied = |action: &str| {
            format!(
                "User: arn is not authorized to perform: {action} on resource: {set} because no identity-based policy allows the {action} action"
            )
        };
        let create = ConfigurationStep::Change(SetChange::Create);
        let domain = ConfigurationStep::LookAtDomain("example.com".to_owned());
        let explicit = "User: arn is not authorized to perform: ses:GetEmailIdentity on resource: arn:aws:ses:eu-central-1:171436882533:identity/example.com with an explicit deny in an identity-based policy";
        let cases = [
            (&create, denied("ses:TagResource"), "ses:TagResource", set, false),
            (&create, String::new(), "ses:CreateConfigurationSet", set, false),
            (
                &domain,
                explicit.to_owned(),
                "ses:GetEmailIdentity",
                "arn:aws:ses:eu-central-1:171436882533:identity/*",
                true,
            ),
            (&ConfigurationStep::ListIdentities, String::new(), "ses:ListEmailIdentities", "*", false),
        ];
        for (step, text, action, resource, is_explicit) in cases {
            let failure = failure("AccessDeniedException", &text, 403);
            let CallOutcome::Denied(right) = outcome_of_failure(&failure, &provider(), step, Timestamp::UNIX_EPOCH)
            else {
                panic!("{text}");
            };
            assert_eq!(
                (right.action.as_str(), right.resource.as_str(), right.is_explicit),
                (action, resource, is_explicit)
            );
        }
        let others = [
            ("AlreadyExistsException", 400, None),
            ("NotFoundException", 404, None),
            ("TooManyRequestsException", 429, Some("throttled")),
            ("ConcurrentModificationException", 500, Some("unknown")),
            ("LimitExceededException", 400, Some("LimitExceededException")),
            ("BadRequestException", 400, Some("BadRequestException")),
            ("UnrecognizedClientException", 403, Some("key_refused")),
            ("InternalFailure", 500, Some("unknown")),
        ];
        for (code, status, expected) in others {
            let outcome = outcome_of_failure(&failure(code, "", status), &provider(), &create, Timestamp::UNIX_EPOCH);
            match (outcome, expected) {
                (CallOutcome::Moved, None) => {}
                (CallOutcome::Unanswered(reason), Some(expected)) => assert_eq!(reason, expected, "{code}"),
                _ => panic!("{code}"),
            }
        }
    }
}
