//! The calls around the decisions: one key, step by step.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::custody::{CustodyError, Holder, Lane};
use shared::id::AccessKeyId;
use shared::queue::{Deadline, QueueError};
use shared::record::{KeyItem, KeyState, Owner, Plane, ProgressOutcome, Proof, ReadOutcome, RecordError, Removal};
use shared::telemetry::{ContainmentSummary, Event, KeyEvent, ResidualAccessSummary, chain};
use shared::tenant::{Credential, Denial, Failure, FailureKind as Kind};

use super::Worker;
use super::call_result::{DeletionResult, ProbeResult};
use super::containment::MAX_CONTAINMENT_DURATION;
use super::key_step::{
    FollowUp, KeyStep, PROBE_DELAY, SecretError, after_deletion, after_notification, after_probe, after_secret_error,
    alarm, is_alive_again, is_retried_by_message, may_remove_policies, next_step, planes_to_probe, write_ahead,
};
use super::survey::{REMOVAL_TIMEOUT, SURVEY_TIMEOUT};
use crate::tenant_notice::tenant_notice;
use crate::work_item::enqueue_key;

/// The time for a call into a tenant's AWS. A longer one counts as not answered.
pub(super) const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// The longest that a step takes: three calls, and the reads and writes around them.
const MAX_STEP_DURATION: SignedDuration = SignedDuration::from_secs(20);

/// The longest that a survey takes before a deletion, with the removal of policies.
const MAX_SURVEY_DURATION: SignedDuration =
    SignedDuration::from_secs((SURVEY_TIMEOUT.as_secs() + REMOVAL_TIMEOUT.as_secs()).cast_signed());

/// Steps of one key in one invocation. The rules end each chain of steps sooner; this is a safeguard.
const MAX_STEPS: u32 = 8;

/// Attempts to record one result, if other workers write first.
const MAX_RECORD_ATTEMPTS: u32 = 4;

/// [`PROBE_DELAY`], as the delay of a message.
const FOLLOW_UP_DELAY: Duration = Duration::from_secs(PROBE_DELAY.as_secs().unsigned_abs());

impl Worker {
    /// Takes a key's steps until there is nothing to do now.
    ///
    /// # Errors
    /// The key could not be read or written. An answer of the tenant's AWS is never an error here.
    pub(super) async fn revoke(&self, access_key_id: &AccessKeyId, deadline: Deadline) -> Result<(), RecordError> {
        let mut can_notify = true;
        for number in 0..MAX_STEPS {
            let Some(key) = self.providers.key(access_key_id).await? else { return Ok(()) };
            let Some(owner) = &key.owner else { return Ok(()) };
            let now = self.ambient.now();
            let step = next_step(&key, can_notify, now);
            let wait = match step {
                KeyStep::Nothing => return Ok(()),
                KeyStep::Wait(until) => until.duration_since(now),
                KeyStep::Notify | KeyStep::Delete | KeyStep::Probe | KeyStep::Contain => SignedDuration::ZERO,
            };
            let longest = match step {
                KeyStep::Delete if may_remove_policies(&key) => MAX_STEP_DURATION + MAX_SURVEY_DURATION,
                KeyStep::Contain => MAX_CONTAINMENT_DURATION,
                _ => MAX_STEP_DURATION,
            };
            let follow_up = if deadline.allows(wait + longest, now) {
                match step {
                    KeyStep::Nothing => return Ok(()),
                    KeyStep::Wait(_) => {
                        tokio::time::sleep(Duration::try_from(wait).unwrap_or_default()).await;
                        FollowUp::Now
                    }
                    KeyStep::Notify => match self.notify(&key, owner).await? {
                        Some(follow_up) => follow_up,
                        // What was due before goes on without it. What has just been done is not done again.
                        None if number == 0 => {
                            can_notify = false;
                            FollowUp::Now
                        }
                        None => FollowUp::BySweep,
                    },
                    KeyStep::Delete => self.delete(&key, owner).await?,
                    KeyStep::Probe => self.probe(&key, owner).await?,
                    KeyStep::Contain => self.contain(&key, owner).await?,
                }
            } else {
                FollowUp::Delayed
            };
            match follow_up {
                FollowUp::Now => {}
                FollowUp::Delayed => {
                    // If it is not enqueued, the sweep enqueues it.
                    let _ = self.enqueue_next_step(&key).await;
                    return Ok(());
                }
                FollowUp::BySweep => return Ok(()),
            }
        }
        Ok(())
    }

    /// Makes the key delete itself.
    async fn delete(&self, key: &KeyItem, owner: &Owner) -> Result<FollowUp, RecordError> {
        let credential = match self.open_secret(key, owner).await? {
            Ok(credential) => credential,
            Err(error) => return self.record_secret_error(key, error).await,
        };
        // Neither holds the deletion up for longer than its own limit, whatever comes of it.
        let (surveyed, ()) =
            tokio::join!(self.survey(key, owner, &credential), self.take_down(key, owner, &credential));
        let Some(key) = &surveyed? else { return Ok(FollowUp::Now) };
        let probed_at = self.ambient.now();
        let probe = ProbeResult::from_answer(&within_timeout(self.tenants.get_caller_identity(&credential)).await);
        // Only a key that is seen alive right now is worth a write-ahead; see `key_step`.
        let (key, ahead) = if probe == ProbeResult::Alive {
            let ahead = self.ambient.now();
            let after = write_ahead(key, probed_at, ahead);
            match self.write(key, &after).await? {
                ProgressOutcome::Recorded => (after, Some(ahead)),
                ProgressOutcome::Superseded => return Ok(FollowUp::Now),
            }
        } else {
            (key.clone(), None)
        };
        // Enqueued before the call is sent: if this worker dies now, the key is still picked up in seconds. A key whose
        // revocation has taken long is left to the sweep, or each retry would bring the next one in seconds.
        let is_enqueued = is_retried_by_message(&key, probed_at) && self.enqueue_next_step(&key).await.is_ok();
        // Whatever STS said: a stranger who calls AWS with the same id can make it refuse our signature.
        let answer = self.delete_own_key(&credential).await;
        let now = self.ambient.now();
        let after = |key: &KeyItem| after_deletion(key, ahead, (&probe, probed_at), &answer, now);
        Ok(match self.record(&key, after, &answer).await? {
            FollowUp::Delayed if is_enqueued => FollowUp::BySweep,
            follow_up => follow_up,
        })
    }

    async fn delete_own_key(&self, credential: &Credential) -> DeletionResult {
        let answer = within_timeout(self.tenants.delete_own_access_key(credential)).await;
        // AWS's quarantine denies the deletion and does not restrict SES, so that a thief can still send (AWS managed
        // policy AWSCompromisedKeyQuarantineV3).
        if let Err(Failure { kind: Kind::Denied(denial), .. }) = &answer {
            return DeletionResult::Denied { quarantined: self.is_quarantined(credential, denial).await };
        }
        DeletionResult::from_answer(&answer)
    }

    /// Whether a denial of the deletion is AWS's quarantine.
    pub(super) async fn is_quarantined(&self, credential: &Credential, denial: &Denial) -> bool {
        denial.may_be_quarantine() && within_timeout(self.tenants.get_account(credential)).await.is_ok()
    }

    /// Finds out whether the key is refused on every plane that says something about it.
    async fn probe(&self, key: &KeyItem, owner: &Owner) -> Result<FollowUp, RecordError> {
        let credential = match self.open_secret(key, owner).await? {
            Ok(credential) => credential,
            Err(error) => return self.record_secret_error(key, error).await,
        };
        let at = self.ambient.now();
        let mut results = BTreeMap::new();
        for plane in planes_to_probe(key) {
            let result = match plane {
                Plane::Sts => {
                    ProbeResult::from_answer(&within_timeout(self.tenants.get_caller_identity(&credential)).await)
                }
                Plane::Ses => ProbeResult::from_answer(&within_timeout(self.tenants.get_account(&credential)).await),
            };
            results.insert(plane, result);
        }
        let now = self.ambient.now();
        self.record_if_unchanged(key, |key| after_probe(key, &results, at, now), &results).await
    }

    /// Notifies operators of the key's state, at least once: an event that was put but not recorded is put again. `None` if
    /// the event could not be put.
    async fn notify(&self, key: &KeyItem, owner: &Owner) -> Result<Option<FollowUp>, RecordError> {
        if key.receipt.deleted_by == Some(Proof::Attested) {
            self.secrets.delete(&key.access_key_id, Lane::Revoke).await?;
        }
        if let Some(event) = key_event(key, owner)
            && let Err(error) = self.bus.put(&event, self.ambient.now()).await
        {
            tracing::error!(
                access_key_id = key.access_key_id.masked(),
                provider_id = %owner.provider_id,
                error = chain(&error),
                "operators not notified of a key's state: the sweep retries"
            );
            return Ok(None);
        }
        let now = self.ambient.now();
        self.record_if_unchanged(key, |key| after_notification(key, now), &"notified").await.map(Some)
    }

    /// Opens the revoke lane; `None` if it does not exist.
    pub(super) async fn try_open_secret(
        &self,
        key: &KeyItem,
        owner: &Owner,
    ) -> Result<Option<Result<Credential, CustodyError>>, RecordError> {
        let Some(sealed) = self.secrets.get(&key.access_key_id, Lane::Revoke).await? else { return Ok(None) };
        let holder =
            Holder { tenant_id: &owner.tenant_id, provider_id: &owner.provider_id, access_key_id: &key.access_key_id };
        let opened = self.custody.open(holder, &sealed).await.map(|secret_access_key| Credential {
            access_key_id: key.access_key_id.clone(),
            secret_access_key,
            region: owner.region,
        });
        Ok(Some(opened))
    }

    /// Opens the revoke lane for a revocation.
    pub(super) async fn open_secret(
        &self,
        key: &KeyItem,
        owner: &Owner,
    ) -> Result<Result<Credential, SecretError>, RecordError> {
        Ok(match self.try_open_secret(key, owner).await? {
            None => Err(SecretError::Missing),
            Some(Ok(credential)) => Ok(credential),
            Some(Err(error)) => {
                tracing::error!(provider_id = %owner.provider_id, error = chain(&error), "revoke lane not opened");
                Err(match error {
                    CustodyError::Unavailable { .. } => SecretError::Unavailable,
                    CustodyError::Refused { .. } | CustodyError::Content { .. } => SecretError::Unreadable,
                })
            }
        })
    }

    async fn record_secret_error(&self, key: &KeyItem, error: SecretError) -> Result<FollowUp, RecordError> {
        let now = self.ambient.now();
        self.record_if_unchanged(key, |key| after_secret_error(key, error, now), &error).await
    }

    /// Records the result of a step that is about the key as it was read. If somebody else has written progress, the
    /// result is dropped.
    pub(super) async fn record_if_unchanged<Outcome: Debug>(
        &self,
        key: &KeyItem,
        after: impl Fn(&KeyItem) -> (KeyItem, FollowUp),
        result: &Outcome,
    ) -> Result<FollowUp, RecordError> {
        self.record(key, |fresh| (fresh.attempts == key.attempts).then(|| after(fresh)), result).await
    }

    /// Records the result of a step on the key as it is then. `after` applies the result to the key; it returns `None` if
    /// the result no longer counts because somebody else wrote progress.
    async fn record<Outcome: Debug>(
        &self,
        key: &KeyItem,
        after: impl Fn(&KeyItem) -> Option<(KeyItem, FollowUp)>,
        result: &Outcome,
    ) -> Result<FollowUp, RecordError> {
        let mut before = key.clone();
        for _ in 0..MAX_RECORD_ATTEMPTS {
            let Some((after, follow_up)) = after(&before) else { break };
            match self.write(&before, &after).await? {
                ProgressOutcome::Recorded => {
                    log_alarm(&before, &after, self.ambient.now());
                    return Ok(follow_up);
                }
                ProgressOutcome::Superseded => {}
            }
            match self.providers.key(&key.access_key_id).await? {
                Some(fresh) => before = fresh,
                None => break,
            }
        }
        tracing::info!(
            access_key_id = key.access_key_id.masked(),
            ?result,
            "result of a step dropped: another worker wrote progress"
        );
        Ok(FollowUp::BySweep)
    }

    pub(super) async fn write(&self, before: &KeyItem, after: &KeyItem) -> Result<ProgressOutcome, RecordError> {
        let outcome = self.providers.record_progress(before, after, &self.secrets, &self.ambient).await?;
        if outcome == ProgressOutcome::Recorded && before.state != after.state {
            let orders = after.orders.iter().map(|order| order.as_str()).collect::<Vec<_>>().join(" ");
            tracing::info!(
                access_key_id = after.access_key_id.masked(),
                provider_id = after.owner.as_ref().map(|owner| owner.provider_id.as_str()),
                orders,
                from = %before.state,
                to = %after.state,
                deleted_by = after.receipt.deleted_by.map(Proof::as_str),
                request_id = after.receipt.delete_request_id,
                in_state_for_ms = millis_between(before.updated_at, after.updated_at),
                "key changed its state"
            );
        }
        Ok(outcome)
    }

    /// Enqueues the key's next step.
    async fn enqueue_next_step(&self, key: &KeyItem) -> Result<(), QueueError> {
        let enqueued = enqueue_key(&self.queue, &key.access_key_id, key.orders.last(), FOLLOW_UP_DELAY).await;
        enqueued.inspect_err(|error| {
            tracing::error!(
                access_key_id = key.access_key_id.masked(),
                error = chain(error),
                "next step of a key not enqueued: the sweep retries"
            );
        })
    }
}

/// Makes a call that counts as not answered after [`CALL_TIMEOUT`].
pub(super) async fn within_timeout<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    tokio::time::timeout(CALL_TIMEOUT, call).await.unwrap_or(Err(Failure {
        kind: Kind::Unknown,
        code: None,
        status: None,
        request_id: None,
    }))
}

/// The event of a state that operators must know.
fn key_event(key: &KeyItem, owner: &Owner) -> Option<Event> {
    let detail = KeyEvent {
        tenant_id: owner.tenant_id.clone(),
        provider_id: owner.provider_id.clone(),
        account_id: owner.account_id.clone(),
        access_key_id: key.access_key_id.clone(),
        state: key.state.name().as_str().to_owned(),
        reason: key.state.reason().map(str::to_owned),
        proof: key.receipt.deleted_by.filter(|_| key.state.is_dead()).map(Proof::as_str),
        residual_access: residual_access(key),
        containment: containment(key),
        tenant_notice: tenant_notice(key),
        orders: key.orders.clone(),
    };
    match key.state {
        KeyState::Revoked if key.retired => Some(Event::RetiredKeyRevoked(detail)),
        KeyState::Revoked => Some(Event::ProviderRevoked(detail)),
        KeyState::RefusedUnproven => Some(Event::RevocationUnproven(detail)),
        KeyState::RevocationBlocked(_) => Some(Event::RevocationBlocked(detail)),
        KeyState::Revoking(_) if is_alive_again(key) => Some(Event::RevokedKeyAlive(detail)),
        _ => None,
    }
}

/// What may outlive the key. What was not read is `None`, not none.
fn residual_access(key: &KeyItem) -> ResidualAccessSummary {
    let seen = key.receipt.residual_access.as_ref();
    let other_keys = seen.map(|seen| &seen.other_keys).filter(|other| other.outcome.was_read());
    let policies = seen.filter(|seen| seen.identity_policies.outcome.was_read());
    ResidualAccessSummary {
        sessions_possible_until: key.receipt.sessions_possible_until,
        other_access_key_ids: other_keys
            .map(|other| other.keys.iter().map(|other| other.access_key_id.clone()).collect()),
        foreign_identity_policies: policies.map(|seen| seen.remaining_policies()),
        identity_policies_complete: policies
            .is_some_and(|seen| seen.identity_policies.outcome == ReadOutcome::Complete),
    }
}

/// What was done in the tenant's account because the key could not be deleted.
fn containment(key: &KeyItem) -> Option<ContainmentSummary> {
    let done = key.receipt.containment.as_ref()?;
    let policies = key.receipt.residual_access.iter().flat_map(|seen| &seen.identity_policies.foreign);
    Some(ContainmentSummary {
        sending: done.sending.as_str(),
        sending_paused_at: done.sending_paused_at,
        error: done.error.clone(),
        identity_policies_removed: policies.filter(|policy| policy.removal == Removal::Removed).count(),
    })
}

/// Logs what an operator must be alarmed about, at each step of a key that is in such a state: an alarm that rings once is
/// forgotten. A notification is no step.
fn log_alarm(before: &KeyItem, after: &KeyItem, now: Timestamp) {
    let is_notification = before.notification_pending && !after.notification_pending;
    if let Some((alarm, sentence)) = alarm(after, now)
        && !is_notification
    {
        tracing::error!(
            alarm,
            access_key_id = after.access_key_id.masked(),
            provider_id = after.owner.as_ref().map(|owner| owner.provider_id.as_str()),
            state = %after.state,
            since = %after.updated_at,
            "{sentence}"
        );
    }
}

fn millis_between(start: Timestamp, end: Timestamp) -> i64 {
    i64::try_from(end.duration_since(start).as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    use shared::id::AccessKeyId;
    use shared::runtime::ColdStart;
    use shared::testing::capture_log;

    use crate::fixtures::{NOW_MS, cold_start, item, operations, query_error};

    /// The key item of a stopped key in this state, as DynamoDB has it.
    fn stored(status: &Value, pending: bool) -> Value {
        let text = |text: &str| json!({ "S": text });
        let mut item = json!({
            "access_key_id": text("AKIASP2TPHJSQH3FJRUX"), "updated_at": text("2026-11-23T09:59:00Z"),
            "owner": {"M": {
                "provider_id": text("prv_01KAQX5D8E3C9V7N2M4R6T8W0Y"), "tenant_id": text("acme"),
                "account_id": text("171436882533"), "region": text("eu-central-1"),
            }},
            "attempts": {"N": "1"}, "notification_pending": {"BOOL": pending},
        });
        for (name, value) in status.as_object().unwrap() {
            item[name] = text(value.as_str().unwrap());
        }
        item
    }

    /// Takes a key's steps in an invocation of 30 s.
    async fn revoke(start: &ColdStart) {
        let deadline = Deadline::from_millis(u64::try_from(NOW_MS + 30_000).unwrap());
        let worker = Worker::new(start).unwrap();
        worker.revoke(&AccessKeyId::from_pasted("AKIASP2TPHJSQH3FJRUX").unwrap(), deadline).await.unwrap();
    }

    fn denied() -> shared::testing::FakeResponse {
        query_error(403, "AccessDenied", "User: u is not authorized to perform: iam:ListAccessKeys")
    }

    #[tokio::test]
    async fn the_deletion_is_tried_even_if_sts_says_that_the_signature_is_wrong() {
        let (start, calls) = cold_start(|operation| match operation {
            "GetItem providers" => Some(item(&stored(&json!({"status": "revoking"}), false))),
            "GetItem secrets" => Some(item(&json!({"ciphertext": {"B": "c2VhbGVk"}}))),
            "GetCallerIdentity" => Some(query_error(403, "SignatureDoesNotMatch", "does not match")),
            "ListAccessKeys" | "ListEmailIdentities" => Some(denied()),
            "DeleteAccessKey" => Some((
                200,
                "<DeleteAccessKeyResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><ResponseMetadata>\
                 <RequestId>request-1</RequestId></ResponseMetadata></DeleteAccessKeyResponse>"
                    .to_owned(),
            )),
            _ => None,
        });
        revoke(&start).await;
        let calls = calls.lock().unwrap();
        assert!(calls.iter().any(|(operation, _)| operation == "DeleteAccessKey"), "{calls:?}");
        let (_, written) = calls.iter().rfind(|(operation, _)| operation == "UpdateItem").unwrap();
        let written: Value = serde_json::from_str(written).unwrap();
        let receipt = &written["ExpressionAttributeValues"][":receipt"]["M"];
        assert_eq!(receipt["deleted_by"]["S"], "deleted", "{written}");
        assert_eq!(receipt["residual_access"]["M"]["other_keys"]["M"]["outcome"]["S"], "denied", "{written}");
    }

    #[tokio::test]
    async fn a_blocked_key_is_tried_and_alarmed_about_although_no_event_can_be_put() {
        let log = capture_log();
        let (start, calls) = cold_start(|operation| match operation {
            "GetItem providers" => {
                Some(item(&stored(&json!({"status": "revocation_blocked", "reason": "delete_denied"}), true)))
            }
            "GetItem secrets" => Some(item(&json!({"ciphertext": {"B": "c2VhbGVk"}}))),
            "PutEvents" => Some((200, json!({"FailedEntryCount": 1, "Entries": [{"ErrorCode": "x"}]}).to_string())),
            "GetCallerIdentity" => Some((
                200,
                "<GetCallerIdentityResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\
                 <GetCallerIdentityResult><Account>171436882533</Account></GetCallerIdentityResult>\
                 </GetCallerIdentityResponse>"
                    .to_owned(),
            )),
            "ListAccessKeys" | "ListEmailIdentities" | "DeleteAccessKey" => Some(denied()),
            _ => None,
        });
        revoke(&start).await;
        let made = operations(&calls);
        assert!(made.contains(&"DeleteAccessKey".to_owned()), "{made:?}");
        let lines = log.lines();
        let alarmed = lines.iter().find(|line| line["alarm"] == "revocation_blocked").unwrap();
        assert_eq!(
            (&alarmed["level"], &alarmed["state"]),
            (&json!("ERROR"), &json!("revocation_blocked{delete_denied}"))
        );
        assert_eq!(alarmed["provider_id"], "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y");
    }

    fn sample(json: &str) -> Value {
        let sample: Value = serde_json::from_str(json).unwrap();
        assert_eq!(sample["source"], "sendingbee.revoke");
        sample
    }

    fn key(status: Value) -> KeyItem {
        let mut key = json!({
            "access_key_id": "AKIASP2TPHJSQH3FJRUX",
            "owner": {
                "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "account_id": "171436882533",
                "region": "eu-central-1", "user_name": "mailer"
            },
            "updated_at": "2026-11-23T10:00:07Z",
            "orders": ["rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC"],
        });
        for (name, value) in status.as_object().unwrap() {
            key[name] = value.clone();
        }
        serde_json::from_value(key).unwrap()
    }

    #[test]
    fn the_sample_events_are_what_is_put_on_the_bus() {
        let refused = json!({"sts": {"at": "2026-11-23T10:00:07Z", "code": "InvalidClientTokenId"}});
        let until = "2026-11-24T22:00:07Z";
        let denied = json!({"outcome": "denied"});
        let seen = |foreign: Value| {
            json!({
                "checked_at": "2026-11-23T10:00:01Z", "other_keys": denied,
                "identity_policies": {"outcome": "complete", "identities_read": 1, "foreign": foreign},
            })
        };
        let mut revoked_access = seen(json!([
            {"identity": "example.com", "policy_name": "a", "account_ids": ["123456789012"], "removal": "not_ordered"},
            {"identity": "example.com", "policy_name": "b", "account_ids": ["*"], "removal": "removed"},
        ]));
        revoked_access["other_keys"] = json!({"outcome": "complete"});
        let cases = [
            (
                include_str!("../../../../events/revoke-provider-revoked.json"),
                json!({"status": "revoked", "receipt": {
                    "deleted_by": "deleted", "refused": refused, "sessions_possible_until": until,
                    "residual_access": revoked_access,
                }}),
            ),
            (
                include_str!("../../../../events/revoke-retired-key-revoked.json"),
                json!({"status": "revoked", "retired": true, "receipt": {
                    "deleted_by": "deleted", "refused": refused, "residual_access": seen(json!([])),
                }}),
            ),
            (
                include_str!("../../../../events/revoke-revocation-blocked.json"),
                json!({"status": "revocation_blocked", "reason": "quarantined", "receipt": {
                    "residual_access": seen(json!([
                        {"identity": "example.com", "policy_name": "a", "account_ids": ["*"], "removal": "removed"},
                    ])),
                    "containment": {
                        "sending": "paused", "sending_paused_at": "2026-11-23T10:00:07Z", "request_id": "request-1",
                        "tried_at": "2026-11-23T10:00:06Z", "order_count": 1,
                    },
                }}),
            ),
            (
                include_str!("../../../../events/revoke-revocation-unproven.json"),
                json!({"status": "refused_unproven", "receipt": {"refused": refused, "sessions_possible_until": until}}),
            ),
            (
                include_str!("../../../../events/revoke-revoked-key-alive.json"),
                json!({"status": "revoking", "receipt": {"alive_again_at": "2026-11-23T10:00:07Z"}}),
            ),
        ];
        for (sample_json, status) in cases {
            let sample = sample(sample_json);
            let key = key(status);
            let event = key_event(&key, key.owner.as_ref().unwrap()).unwrap();
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }

    #[test]
    fn a_key_that_is_being_revoked_has_no_event() {
        let key = key(json!({"status": "revoking"}));
        assert_eq!(key_event(&key, key.owner.as_ref().unwrap()), None);
    }
}
