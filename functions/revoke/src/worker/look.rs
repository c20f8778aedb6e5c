//! A look at a live key: whether its revocation would work. It is made as the revocation would be, up to the deletion: the revoke
//! lane is opened, STS is asked with the key, and the deletion is probed with a key id that cannot exist.

use std::fmt::Display;

use jiff::{SignedDuration, Timestamp};
use shared::custody::CustodyError;
use shared::id::AccessKeyId;
use shared::record::{
    AuditEvent, KeyItem, KeyState, Owner, RecordError, Revocability, RevocabilityFault, RevocabilityLooks,
};
use shared::runtime::Ambient;
use shared::telemetry::{Event, RevocabilityEvent, chain};
use shared::tenant::{Credential, DeletePermission, FailureKind as Kind};

use super::Worker;
use super::revocation::within_timeout;
use crate::look_schedule::LookSchedule;

/// The longest that a look takes: three calls of four seconds, and the reads and writes around them.
pub(super) const MAX_LOOK_DURATION: SignedDuration = SignedDuration::from_secs(18);

/// When a fault is looked at again that operators were not told of: whoever records it may die before it tells them.
const UNTOLD_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(1);

/// What a look has shown.
#[derive(Clone, Debug, PartialEq, Eq)]
enum LookFinding {
    /// The deletion is allowed.
    Revocable,
    /// The revocation would not work.
    Fault(RevocabilityFault),
    /// Nothing, because AWS or we ourselves failed: nobody's fault.
    Nothing(String),
}

/// What is written after a look.
#[derive(Debug, PartialEq, Eq)]
struct LookRecord {
    looks: RevocabilityLooks,
    next_look_at: Timestamp,
    /// The event of the audit trail, if it is one: each proof, and each fault that was not known.
    trail: Option<AuditEvent>,
}

impl LookFinding {
    fn nothing(cause: impl Display) -> Self {
        Self::Nothing(cause.to_string())
    }
}

/// What a finding changes. Key and signature count as refused only if they are in two looks, with no other answer between: a
/// stranger can cause a single one.
fn after_look(
    key: &KeyItem,
    finding: &LookFinding,
    schedule: LookSchedule,
    now: Timestamp,
    ambient: &Ambient,
) -> LookRecord {
    let before = key.revocability_looks.clone().unwrap_or_default();
    let known = before.revocability.clone();
    let revocable_at = known.as_ref().and_then(|known| known.revocable_at);
    let mut looks = RevocabilityLooks { writes: before.writes.saturating_add(1), ..before };
    let seen = |fault: Option<RevocabilityFault>, revocable_at| {
        let since = known.as_ref().filter(|known| known.fault == fault).map_or(now, |known| known.since);
        Revocability { access_key_id: key.access_key_id.clone(), fault, since, revocable_at }
    };
    let audit = |event, fault: Option<RevocabilityFault>| AuditEvent {
        event,
        at: now,
        by: "revoke-worker".to_owned(),
        reason: fault.map(|fault| fault.as_str().to_owned()),
    };
    match *finding {
        LookFinding::Revocable => {
            looks.revocability = Some(seen(None, Some(revocable_at.map_or(now, |before| before.max(now)))));
            looks.refused_since = None;
            looks.unanswered = 0;
            looks.notification_pending = false;
            let next_look_at = schedule.after_proof(&key.access_key_id, now, ambient);
            LookRecord { looks, next_look_at, trail: Some(audit("revocable", None)) }
        }
        LookFinding::Nothing(_) => {
            looks.unanswered = looks.unanswered.saturating_add(1);
            let next_look_at = schedule.after_no_answer(looks.unanswered, now, ambient);
            LookRecord { looks, next_look_at, trail: None }
        }
        LookFinding::Fault(fault) => {
            looks.unanswered = 0;
            if matches!(fault, RevocabilityFault::KeyRejected | RevocabilityFault::SecretRejected) {
                let since = *looks.refused_since.get_or_insert(now);
                if now.duration_since(since) < LookSchedule::CONFIRMED_AFTER {
                    return LookRecord { looks, next_look_at: schedule.after_refusal(now, ambient), trail: None };
                }
            } else {
                looks.refused_since = None;
            }
            let is_new = known.as_ref().is_none_or(|known| known.fault != Some(fault));
            looks.notification_pending |= is_new;
            let next_look_at = match looks.notification_pending {
                true => now.saturating_add(UNTOLD_AGAIN_AFTER).unwrap_or(now),
                false => schedule.after_fault(fault, now, ambient),
            };
            looks.revocability = Some(seen(Some(fault), revocable_at));
            LookRecord { looks, next_look_at, trail: is_new.then(|| audit("not_revocable", Some(fault))) }
        }
    }
}

impl Worker {
    /// Looks at a key, unless an order has stopped it. Killed anywhere, it is looked at again.
    ///
    /// # Errors
    /// The key could not be read or written. An answer of the tenant's AWS is never an error here.
    pub(super) async fn look_at(&self, access_key_id: &AccessKeyId) -> Result<(), RecordError> {
        let Some(key) = self.providers.key(access_key_id).await? else { return Ok(()) };
        let (Some(owner), KeyState::Active) = (&key.owner, key.state) else { return Ok(()) };
        let finding = self.look(&key, owner).await?;
        let now = self.ambient.now();
        let record = after_look(&key, &finding, self.look_schedule, now, &self.ambient);
        let LookRecord { looks, next_look_at, trail } = record;
        log_finding(&key, owner, &finding, trail.is_some());
        if !self.providers.record_look(&key, &looks, next_look_at, trail, &self.ambient).await? {
            tracing::info!(
                access_key_id = key.access_key_id.masked(),
                "look at a key not recorded: it was stopped, or somebody else has looked"
            );
            return Ok(());
        }
        if looks.notification_pending
            && let Some(seen) = looks.revocability.clone()
            && let Some(fault) = seen.fault
        {
            let key = KeyItem { revocability_looks: Some(looks), ..key.clone() };
            self.tell_fault(&key, owner, &seen, fault).await?;
        }
        Ok(())
    }

    async fn look(&self, key: &KeyItem, owner: &Owner) -> Result<LookFinding, RecordError> {
        let credential = match self.try_open_secret(key, owner).await? {
            None => return Ok(LookFinding::Fault(RevocabilityFault::SecretMissing)),
            Some(Ok(credential)) => credential,
            Some(Err(error @ CustodyError::Unavailable { .. })) => return Ok(LookFinding::nothing(chain(&error))),
            Some(Err(CustodyError::Refused { .. } | CustodyError::Content { .. })) => {
                return Ok(LookFinding::Fault(RevocabilityFault::SecretUnreadable));
            }
        };
        let user_arn = match within_timeout(self.tenants.get_caller_identity(&credential)).await {
            Ok(identity) => identity.arn,
            Err(failure) => {
                return Ok(match failure.kind {
                    Kind::KeyRefused => LookFinding::Fault(RevocabilityFault::KeyRejected),
                    Kind::SignatureRefused => LookFinding::Fault(RevocabilityFault::SecretRejected),
                    _ => LookFinding::nothing(failure),
                });
            }
        };
        // The name as it is now: the user may have been renamed since its onboarding.
        let Some((_, user_name)) =
            user_arn.split_once(":user/").map(|(_, path)| path.rsplit_once('/').unwrap_or(("", path)))
        else {
            return Ok(LookFinding::nothing("STS named no user"));
        };
        self.probe_deletion(&credential, user_name).await
    }

    async fn probe_deletion(&self, credential: &Credential, user_name: &str) -> Result<LookFinding, RecordError> {
        let answer = within_timeout(self.tenants.probe_delete_access_key(credential, user_name)).await;
        Ok(match DeletePermission::from_probe(&answer) {
            DeletePermission::Allowed => LookFinding::Revocable,
            DeletePermission::Denied(denial) if self.is_quarantined(credential, &denial).await => {
                LookFinding::Fault(RevocabilityFault::Quarantined)
            }
            DeletePermission::Denied(_) => LookFinding::Fault(RevocabilityFault::DeleteDenied),
            DeletePermission::Unknown => match answer {
                Err(failure) => LookFinding::nothing(failure),
                Ok(()) => LookFinding::nothing("the probe was not refused"),
            },
        })
    }

    /// Tells operators of a fault, at least once: an event that was put but not recorded is put again with the next look, a minute later.
    async fn tell_fault(
        &self,
        key: &KeyItem,
        owner: &Owner,
        seen: &Revocability,
        fault: RevocabilityFault,
    ) -> Result<(), RecordError> {
        let now = self.ambient.now();
        if let Err(error) = self.bus.put(&not_revocable(owner, seen, fault), now).await {
            tracing::error!(
                access_key_id = key.access_key_id.masked(),
                provider_id = %owner.provider_id,
                error = chain(&error),
                "operators not told that a provider is not revocable: the next look does it"
            );
            return Ok(());
        }
        let mut told = key.revocability_looks.clone().unwrap_or_default();
        told.notification_pending = false;
        told.writes = told.writes.saturating_add(1);
        let next_look_at = self.look_schedule.after_fault(fault, now, &self.ambient);
        self.providers.record_look(key, &told, next_look_at, None, &self.ambient).await.map(drop)
    }
}

fn not_revocable(owner: &Owner, seen: &Revocability, fault: RevocabilityFault) -> Event {
    Event::ProviderNotRevocable(RevocabilityEvent {
        tenant_id: owner.tenant_id.clone(),
        provider_id: owner.provider_id.clone(),
        account_id: owner.account_id.clone(),
        access_key_id: seen.access_key_id.clone(),
        reason: fault.as_str(),
        since: seen.since,
        revocable_at: seen.revocable_at,
    })
}

/// What is ours to mend is an error, each time, because its alarm must not be forgotten.
fn log_finding(key: &KeyItem, owner: &Owner, finding: &LookFinding, is_news: bool) {
    let (access_key_id, provider_id) = (key.access_key_id.masked(), owner.provider_id.as_str());
    match finding {
        LookFinding::Revocable => {}
        LookFinding::Nothing(cause) => {
            tracing::info!(access_key_id, provider_id, cause, "look at a key showed nothing: it is made again later");
        }
        LookFinding::Fault(fault) if fault.is_ours() => {
            let reason = fault.as_str();
            tracing::error!(
                access_key_id,
                provider_id,
                reason,
                "a key could not be revoked: its revoke lane is not opened"
            );
        }
        LookFinding::Fault(fault) => {
            let reason = fault.as_str();
            tracing::warn!(access_key_id, provider_id, reason, is_news, "a key could not be revoked");
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::testing::FakeResponse;

    use super::*;
    use crate::fixtures::{Calls, cold_start, item, operations, query_error};

    const SECOND: i64 = 1_795_428_000;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(SECOND + second).unwrap()
    }

    fn key(looks: Value) -> KeyItem {
        let mut key = json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": "active", "updated_at": at(-1000),
            "owner": {
                "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "account_id": "171436882533",
                "region": "eu-central-1", "user_name": "mailer",
            },
        });
        if !looks.is_null() {
            key["revocability_looks"] = looks;
        }
        serde_json::from_value(key).unwrap()
    }

    fn seen(fault: Option<&str>, since: i64, revocable_at: Option<i64>) -> Value {
        let mut seen = json!({ "access_key_id": "AKIASP2TPHJSQH3FJRUX", "since": at(since) });
        if let Some(fault) = fault {
            seen["fault"] = json!(fault);
        }
        if let Some(revocable_at) = revocable_at {
            seen["revocable_at"] = json!(at(revocable_at));
        }
        seen
    }

    /// What a finding changes, in words.
    fn shown(looks: Value, finding: &LookFinding) -> String {
        let ambient = Ambient::new(|| at(0), || 0);
        let schedule = LookSchedule::from_days(7);
        let record = after_look(&key(looks), finding, schedule, at(0), &ambient);
        let second = |time: Timestamp| time.as_second() - SECOND;
        let known = record.looks.revocability.as_ref().map_or("unknown".to_owned(), |seen| {
            format!(
                "{} since {} proved {:?}",
                seen.fault.map_or("revocable", RevocabilityFault::as_str),
                second(seen.since),
                seen.revocable_at.map(second)
            )
        });
        let trail = record.trail.map_or("-".to_owned(), |event| {
            format!("{}{}", event.event, event.reason.map(|reason| format!(":{reason}")).unwrap_or_default())
        });
        let wait = match second(record.next_look_at) {
            ..=60 => "a minute",
            61..=150 => "minutes",
            151..=1_100 => "a quarter",
            1_101..=4_300 => "an hour",
            4_301..=104_000 => "a day",
            _ => "its slot",
        };
        let told = if record.looks.notification_pending { ", to be told" } else { "" };
        format!("{known}; {trail}; {wait}{told}")
    }

    #[test]
    fn a_look_changes_what_is_known_only_if_it_shows_something() {
        use RevocabilityFault::{DeleteDenied, KeyRejected, SecretRejected, SecretUnreadable};
        let nothing = || LookFinding::nothing("throttled");
        let proved = || json!({ "writes": 3, "revocability": seen(None, -900, Some(-300)) });
        let denied = |pending: bool| json!({ "writes": 3, "notification_pending": pending, "revocability": seen(Some("delete_denied"), -500, Some(-900)) });
        let refused = |since: i64| json!({ "writes": 3, "refused_since": at(since), "revocability": seen(None, -900, Some(-300)) });
        let cases = [
            (json!(null), LookFinding::Revocable, "revocable since 0 proved Some(0); revocable; its slot"),
            (proved(), LookFinding::Revocable, "revocable since -900 proved Some(0); revocable; its slot"),
            (denied(false), LookFinding::Revocable, "revocable since 0 proved Some(0); revocable; its slot"),
            // The clock of this process is behind that of the one before.
            (
                json!({ "writes": 3, "revocability": seen(None, -900, Some(5)) }),
                LookFinding::Revocable,
                "revocable since -900 proved Some(5); revocable; its slot",
            ),
            (json!(null), nothing(), "unknown; -; a quarter"),
            (proved(), nothing(), "revocable since -900 proved Some(-300); -; a quarter"),
            (denied(true), nothing(), "delete_denied since -500 proved Some(-900); -; a quarter, to be told"),
            (
                proved(),
                LookFinding::Fault(DeleteDenied),
                "delete_denied since 0 proved Some(-300); not_revocable:delete_denied; a minute, to be told",
            ),
            (
                json!(null),
                LookFinding::Fault(SecretUnreadable),
                "secret_unreadable since 0 proved None; not_revocable:secret_unreadable; a minute, to be told",
            ),
            // The same cause is told once, and a new one again.
            (denied(false), LookFinding::Fault(DeleteDenied), "delete_denied since -500 proved Some(-900); -; a day"),
            (
                denied(true),
                LookFinding::Fault(DeleteDenied),
                "delete_denied since -500 proved Some(-900); -; a minute, to be told",
            ),
            (
                denied(false),
                LookFinding::Fault(SecretUnreadable),
                "secret_unreadable since 0 proved Some(-900); not_revocable:secret_unreadable; a minute, to be told",
            ),
            // A stranger can cause one refusal.
            (proved(), LookFinding::Fault(KeyRejected), "revocable since -900 proved Some(-300); -; minutes"),
            (refused(-59), LookFinding::Fault(SecretRejected), "revocable since -900 proved Some(-300); -; minutes"),
            (
                refused(-60),
                LookFinding::Fault(SecretRejected),
                "secret_rejected since 0 proved Some(-300); not_revocable:secret_rejected; a minute, to be told",
            ),
            (refused(-600), nothing(), "revocable since -900 proved Some(-300); -; a quarter"),
        ];
        for (looks, finding, expected) in cases {
            assert_eq!(shown(looks.clone(), &finding), expected, "{looks} {finding:?}");
        }
    }

    #[test]
    fn an_answer_between_two_refusals_begins_again() {
        let ambient = Ambient::new(|| at(0), || 0);
        let refused = json!({ "writes": 3, "refused_since": at(-600) });
        for finding in [LookFinding::Revocable, LookFinding::Fault(RevocabilityFault::DeleteDenied)] {
            let record = after_look(&key(refused.clone()), &finding, LookSchedule::from_days(7), at(0), &ambient);
            assert_eq!((record.looks.refused_since, record.looks.writes), (None, 4), "{finding:?}");
        }
    }

    #[test]
    fn the_sample_event_is_what_is_put_on_the_bus() {
        let sample: Value =
            serde_json::from_str(include_str!("../../../../events/revoke-provider-not-revocable.json")).unwrap();
        let key = key(json!(null));
        let seen: Revocability = serde_json::from_value(json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX", "fault": "delete_denied", "since": "2026-11-23T10:00:07Z",
            "revocable_at": "2026-11-16T09:12:44Z",
        }))
        .unwrap();
        let event = not_revocable(key.owner.as_ref().unwrap(), &seen, seen.fault.unwrap());
        assert_eq!(
            (&sample["source"], &sample["detail-type"]),
            (&json!("sendingbee.revoke"), &json!(event.detail_type()))
        );
        assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
    }

    fn stored() -> Value {
        let text = |text: &str| json!({ "S": text });
        json!({
            "access_key_id": text("AKIASP2TPHJSQH3FJRUX"), "updated_at": text("2026-11-23T09:00:00Z"),
            "status": text("active"),
            "owner": {"M": {
                "provider_id": text("prv_01KAQX5D8E3C9V7N2M4R6T8W0Y"), "tenant_id": text("acme"),
                "account_id": text("171436882533"), "region": text("eu-central-1"), "user_name": text("was-renamed"),
            }},
        })
    }

    fn identity(arn: &str) -> FakeResponse {
        let text = format!(
            "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\"><GetCallerIdentityResult>\
             <Arn>{arn}</Arn><Account>171436882533</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        );
        (200, text)
    }

    async fn look_with(serve: impl Fn(&str) -> Option<FakeResponse> + Send + Sync + 'static) -> Calls {
        let (start, calls) = cold_start(serve);
        Worker::new(&start).unwrap().look_at(&AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap()).await.unwrap();
        calls
    }

    #[tokio::test]
    async fn the_deletion_is_probed_on_the_user_that_sts_names_with_a_key_id_that_cannot_exist() {
        let calls = look_with(|operation| match operation {
            "GetItem providers" => Some(item(&stored())),
            "GetItem secrets" => Some(item(&json!({"ciphertext": {"B": "c2VhbGVk"}}))),
            "GetCallerIdentity" => Some(identity("arn:aws:iam::171436882533:user/team/mailer")),
            "DeleteAccessKey" => Some(query_error(404, "NoSuchEntity", "The Access Key cannot be found.")),
            _ => None,
        })
        .await;
        let calls = calls.lock().unwrap();
        let (_, probe) = calls.iter().find(|(operation, _)| operation == "DeleteAccessKey").unwrap();
        assert!(probe.contains("UserName=mailer") && !probe.contains("AKIASP2TPHJSQH3FJRUX"), "{probe}");
        let (_, written) = calls.iter().find(|(operation, _)| operation == "TransactWriteItems").unwrap();
        assert!(written.contains("revocable_at") && written.contains("\"revocable\""), "{written}");
    }

    #[tokio::test]
    async fn nothing_is_asked_of_aws_with_a_stopped_key_or_without_its_secret() {
        let mut stopped = stored();
        stopped["status"] = json!({ "S": "revoking" });
        let calls = look_with(move |operation| match operation {
            "GetItem providers" => Some(item(&stopped)),
            _ => None,
        })
        .await;
        assert_eq!(operations(&calls), ["GetItem providers"]);

        let calls = look_with(|operation| match operation {
            "GetItem providers" => Some(item(&stored())),
            "GetItem secrets" => Some((200, "{}".to_owned())),
            _ => None,
        })
        .await;
        let made = operations(&calls);
        assert_eq!(made, ["GetItem providers", "GetItem secrets", "TransactWriteItems", "PutEvents", "UpdateItem"]);
    }

    #[tokio::test]
    async fn a_fault_that_could_not_be_told_stays_to_be_told() {
        let calls = look_with(|operation| match operation {
            "GetItem providers" => Some(item(&stored())),
            "GetItem secrets" => Some((200, "{}".to_owned())),
            "PutEvents" => Some((200, json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "x"}]}).to_string())),
            _ => None,
        })
        .await;
        let made = operations(&calls);
        assert!(made.contains(&"PutEvents".to_owned()) && !made.contains(&"UpdateItem".to_owned()), "{made:?}");
        let calls = calls.lock().unwrap();
        let (_, written) = calls.iter().find(|(operation, _)| operation == "TransactWriteItems").unwrap();
        let written: Value = serde_json::from_str(written).unwrap();
        let values = &written["TransactItems"][0]["Update"]["ExpressionAttributeValues"];
        assert_eq!(values[":looks"]["M"]["notification_pending"]["BOOL"], true, "{written}");
        assert_eq!(values[":next"]["S"], "2026-11-23T10:01:00Z");
    }
}
