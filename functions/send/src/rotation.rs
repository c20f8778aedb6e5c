//! Keys that are being replaced: a new key is promoted when it was accepted, not tried for a minute while it is refused, and tried by a
//! probe where no mail tries it.
//!
//! The probe is made here because it opens the send lane, which nobody else may, and on a schedule because it is for providers
//! that have no mail in the queue.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use shared::custody::CustodyError;
use shared::id::{ProviderId, RotationId};
use shared::queue::Deadline;
use shared::record::{Due, DueSubject, Failing, PromotedBy, Provider, RecordError, Rotation, RotationPhase};
use shared::telemetry::{Event, ProviderEvent, PutEventFailed, RotationEvent, chain};
use shared::tenant::{Failure, FailureKind};
use thiserror::Error;
use tokio::time::timeout;

use crate::context::Services;
use crate::snapshot::{Snapshot, SnapshotError};

/// The reason of a new key whose secret KMS does not open.
pub(crate) const SECRET_UNREADABLE: &str = "secret_unreadable";

/// The reason of a new key that a policy denies ([`FailureKind::as_str`]).
const DENIED: &str = "denied";

/// The reason of a candidate that nothing has proved in [`PROVED_WITHIN`].
const NOT_PROVED: &str = "not_proved";

/// How long a new key that was refused is not tried: as long as it may take the tenant to mend it, and as short as a wait for
/// a policy's propagation.
const TRIED_AGAIN_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How long a candidate may be refused before its rotation fails.
const FAILS_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// How long a candidate may remain one: as long as the longest grace.
const PROVED_WITHIN: SignedDuration = SignedDuration::from_hours(7 * 24);

/// When a candidate is looked at again.
const PROBE_INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// The time for a call into a tenant's AWS.
const CALL_TIMEOUT: Duration = Duration::from_secs(4);

/// The time for one candidate: its reads, two calls, and its write.
const CANDIDATE_TIMEOUT: Duration = Duration::from_secs(12);

/// The most promotions that a process remembers.
const MAX_REMEMBERED: usize = 1_000;

/// A rotation could not be read or written.
#[derive(Debug, Error)]
pub(crate) enum RotationError {
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    #[error(transparent)]
    Event(#[from] PutEventFailed),
}

/// What this process knows of rotations beyond the read of a batch.
#[derive(Debug, Default)]
pub(crate) struct Rotations {
    /// New keys that were refused a moment ago, and until when they are not tried.
    refused: Mutex<HashMap<RotationId, Timestamp>>,
    /// Rotations whose candidate this process is promoting or has promoted.
    promoted: Mutex<HashSet<RotationId>>,
}

impl Rotations {
    /// Whether the new key of a provider was refused a moment ago.
    pub(crate) fn is_refused(&self, provider: &Provider, now: Timestamp) -> bool {
        let Some(rotation) = provider.running_rotation() else { return false };
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.get(&rotation.rotation_id).is_some_and(|until| now < *until)
    }

    /// Forgets a refusal.
    pub(crate) fn forget_refusal(&self, rotation: &Rotation) {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner).remove(&rotation.rotation_id);
    }

    /// Notes that a new key was refused. Returns whether that is new.
    fn note_refusal(&self, rotation: &Rotation, now: Timestamp) -> bool {
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, until| now < *until);
        let until = now.saturating_add(TRIED_AGAIN_AFTER).unwrap_or(now);
        refused.insert(rotation.rotation_id.clone(), until).is_none()
    }

    /// Begins a promotion. Returns whether nobody in this process has.
    fn begin_promotion(&self, rotation: &Rotation) -> bool {
        let mut promoted = self.promoted.lock().unwrap_or_else(PoisonError::into_inner);
        if promoted.len() >= MAX_REMEMBERED {
            promoted.clear();
        }
        promoted.insert(rotation.rotation_id.clone())
    }

    /// Forgets a promotion, so that the next acceptance tries it again.
    fn forget_promotion(&self, rotation: &Rotation) {
        self.promoted.lock().unwrap_or_else(PoisonError::into_inner).remove(&rotation.rotation_id);
    }
}

/// What is to be done about a candidate that is due.
#[derive(Clone, Debug, PartialEq, Eq)]
enum CandidateStep {
    /// It is none any more.
    Nothing,
    /// Its rotation fails, for this reason.
    Fail(String),
    /// It is tried.
    Probe,
    /// Only a mail can prove it, or nothing is tried now.
    Wait,
}

/// What is to be done about the candidate of a provider.
fn candidate_step(provider: &Provider, rotation_id: &RotationId, is_halted: bool, now: Timestamp) -> CandidateStep {
    let candidate = provider
        .rotation
        .as_ref()
        .filter(|rotation| rotation.rotation_id == *rotation_id && rotation.phase == RotationPhase::Candidate);
    let Some(candidate) = candidate.filter(|_| !provider.is_stopped()) else { return CandidateStep::Nothing };
    match &candidate.failing {
        Some(failing) if now.duration_since(failing.since) >= FAILS_AFTER => {
            CandidateStep::Fail(failing.reason.clone())
        }
        _ if now.duration_since(candidate.started_at) >= PROVED_WITHIN => CandidateStep::Fail(NOT_PROVED.to_owned()),
        _ if is_halted => CandidateStep::Wait,
        // A probe names no sender and no recipient, so it does not show that a policy lets mail pass.
        Some(failing) if failing.reason == DENIED => CandidateStep::Wait,
        _ => CandidateStep::Probe,
    }
}

/// What a probe says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CandidateProbe {
    /// STS and SES accept the key.
    Accepted,
    /// AWS refuses it.
    Refused(&'static str),
    /// Neither.
    Unknown,
}

fn probe_result(by_sts: &Result<(), Failure>, by_ses: &Result<(), Failure>) -> CandidateProbe {
    match (by_sts, by_ses) {
        (Ok(()), Ok(())) => CandidateProbe::Accepted,
        (Err(Failure { kind: kind @ (FailureKind::KeyRefused | FailureKind::SignatureRefused), .. }), _) => {
            CandidateProbe::Refused(kind.as_str())
        }
        _ => CandidateProbe::Unknown,
    }
}

impl Services {
    /// Makes a candidate the key that its provider sends with, once in this process.
    pub(crate) async fn promote(&self, provider: &Provider, by: PromotedBy) -> Result<(), RecordError> {
        let Some(rotation) = provider.running_rotation() else { return Ok(()) };
        if !self.rotations.begin_promotion(rotation) {
            return Ok(());
        }
        let promoted = self.tables.providers.promote(provider, by, &self.ambient).await;
        match &promoted {
            Ok(true) => tracing::info!(
                provider_id = %provider.provider_id,
                rotation_id = %rotation.rotation_id,
                by = ?by,
                "new key of a provider promoted"
            ),
            // Another process was faster, or the provider has changed in some other way: the next read tells.
            Ok(false) | Err(_) => self.rotations.forget_promotion(rotation),
        }
        self.rotations.forget_refusal(rotation);
        promoted.map(drop)
    }

    /// Notes that a new key is refused and tells operators, once in this process as long as it is not tried.
    pub(crate) async fn note_failing(&self, provider: &Provider, reason: &str) -> Result<(), RotationError> {
        let Some(rotation) = provider.running_rotation() else { return Ok(()) };
        let now = self.ambient.now();
        if !self.rotations.note_refusal(rotation, now) {
            return Ok(());
        }
        let known = rotation.failing.as_ref();
        if known.is_some_and(|failing| now < failing.retry_at) {
            return Ok(());
        }
        let failing = Failing {
            since: known.map_or(now, |failing| failing.since),
            reason: reason.to_owned(),
            retry_at: now.saturating_add(TRIED_AGAIN_AFTER).unwrap_or(now),
        };
        tracing::warn!(
            provider_id = %provider.provider_id,
            rotation_id = %rotation.rotation_id,
            reason,
            "new key of a provider refused; the old one signs"
        );
        if known.is_none() {
            let told = Rotation { failing: Some(failing.clone()), ..rotation.clone() };
            self.bus.put(&Event::RotationFailing(RotationEvent::new(provider, &told)), now).await?;
        }
        self.tables.providers.note_failing(provider, &failing).await?;
        Ok(())
    }

    /// Looks at the candidates that are due, while there is time.
    pub(crate) async fn try_candidates(&self, deadline: Deadline) {
        let started = self.ambient.now();
        let mut start = None;
        loop {
            let page = match self.tables.providers.list_due_candidates(started, start.take()).await {
                Ok(page) => page,
                Err(error) => {
                    tracing::error!(error = chain(&error), "new keys that are due could not be listed");
                    return;
                }
            };
            for due in &page.due {
                if deadline.remaining(self.ambient.now()) < CANDIDATE_TIMEOUT {
                    return;
                }
                let DueSubject::Rotation(provider_id, rotation_id) = &due.subject else { continue };
                let tried = timeout(CANDIDATE_TIMEOUT, self.try_candidate(due, provider_id, rotation_id)).await;
                let error = match tried {
                    Ok(Ok(())) => continue,
                    Ok(Err(error)) => chain(&error),
                    Err(elapsed) => elapsed.to_string(),
                };
                tracing::warn!(%provider_id, %rotation_id, error, "new key not tried: it is tried again in a minute");
            }
            start = page.next;
            if start.is_none() {
                return;
            }
        }
    }

    async fn try_candidate(
        &self,
        due: &Due,
        provider_id: &ProviderId,
        rotation_id: &RotationId,
    ) -> Result<(), RotationError> {
        let providers = &self.tables.providers;
        let snapshot = self.tables.read(&HashSet::from([provider_id.clone()])).await?;
        let now = self.ambient.now();
        let Some(provider) = snapshot.provider(provider_id) else {
            return Ok(providers.reschedule(due, None).await?);
        };
        match candidate_step(provider, rotation_id, snapshot.is_halted(), now) {
            // Whoever ended it has made it due for the sweep of `revoke`, unless it is in the index only.
            CandidateStep::Nothing => return Ok(()),
            CandidateStep::Fail(reason) => {
                providers.fail_rotation(provider, &reason, &self.ambient).await?;
                return Ok(());
            }
            CandidateStep::Wait => {}
            CandidateStep::Probe => match self.probe_candidate(&snapshot, provider).await {
                CandidateProbe::Accepted => {
                    // A suspension because of the old key ends with the promotion.
                    if provider.status.is_suspended_for_key() {
                        let event =
                            Event::ProviderResumed(ProviderEvent::new(provider, provider.status.reason.clone()));
                        self.bus.put(&event, now).await?;
                    }
                    self.promote(provider, PromotedBy::Probe).await?;
                    return Ok(());
                }
                CandidateProbe::Refused(reason) => self.note_failing(provider, reason).await?,
                CandidateProbe::Unknown => {}
            },
        }
        Ok(providers.reschedule(due, Some(now.saturating_add(PROBE_INTERVAL).unwrap_or(now))).await?)
    }

    /// Asks STS and SES with the new key, opened from the send lane. None of it sends a mail.
    async fn probe_candidate(&self, snapshot: &Snapshot, provider: &Provider) -> CandidateProbe {
        let Some(rotation) = provider.running_rotation() else { return CandidateProbe::Unknown };
        let signer = Provider { access_key_id: rotation.new_key.access_key_id.clone(), ..provider.clone() };
        let Some(sealed) = snapshot.sealed(&signer) else { return CandidateProbe::Refused(SECRET_UNREADABLE) };
        let credential = match self.secrets.open(&signer, sealed).await {
            Ok(credential) => credential,
            Err(CustodyError::Unavailable { .. }) => return CandidateProbe::Unknown,
            Err(error) => {
                tracing::error!(provider_id = %provider.provider_id, error = chain(&error), "send lane of a new key not opened");
                return CandidateProbe::Refused(SECRET_UNREADABLE);
            }
        };
        let by_sts = within(self.tenants.get_caller_identity(&credential)).await.map(drop);
        let by_ses = within(self.tenants.get_account(&credential)).await.map(drop);
        probe_result(&by_sts, &by_ses)
    }
}

/// A call into the tenant's account, or [`FailureKind::Unknown`] if it takes too long.
async fn within<T>(call: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(CALL_TIMEOUT, Box::pin(call)).await.unwrap_or(Err(Failure {
        kind: FailureKind::Unknown,
        code: None,
        status: None,
        request_id: None,
    }))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::record::{Status, StatusName};
    use shared::tenant::Denial;

    use super::*;
    use crate::fixtures::{provider, time};

    fn at(second: i64) -> Timestamp {
        time("2026-11-23T10:00:00Z") + SignedDuration::from_secs(second)
    }

    fn in_rotation(failing: Option<(i64, &str)>) -> Provider {
        let key =
            |id: &str| json!({"access_key_id": id, "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u"});
        let mut provider = provider(Status::plain(StatusName::Active));
        let mut rotation: Rotation = serde_json::from_value(json!({
            "rotation_id": "rot_01KAQX9Z3K5M7P9R1T3V5X7Z9B", "phase": "candidate",
            "old_key": key("AKIASP2TPHJSQH3FJRUX"), "new_key": key("AKIASP2TPHJSQH3FJRUY"), "grace_seconds": 86400,
            "started_at": at(0),
        }))
        .unwrap();
        rotation.failing = failing.map(|(since, reason)| Failing {
            since: at(since),
            reason: reason.to_owned(),
            retry_at: at(since + 60),
        });
        provider.rotation = Some(rotation);
        provider
    }

    #[test]
    fn a_candidate_is_tried_until_it_is_proved_or_refused_for_too_long() {
        let id = |provider: &Provider| provider.rotation.as_ref().unwrap().rotation_id.clone();
        let fail = |reason: &str| CandidateStep::Fail(reason.to_owned());
        let week = 7 * 24 * 3600;
        for (failing, is_halted, second, expected) in [
            (None, false, 60, CandidateStep::Probe),
            (None, true, 60, CandidateStep::Wait),
            (None, false, week - 1, CandidateStep::Probe),
            (None, false, week, fail(NOT_PROVED)),
            (None, true, week, fail(NOT_PROVED)),
            (Some((0, "key_refused")), false, 3599, CandidateStep::Probe),
            (Some((0, "key_refused")), false, 3600, fail("key_refused")),
            (Some((0, SECRET_UNREADABLE)), false, 60, CandidateStep::Probe),
            (Some((0, DENIED)), false, 3599, CandidateStep::Wait),
            (Some((0, DENIED)), false, 3600, fail(DENIED)),
        ] {
            let provider = in_rotation(failing);
            let step = candidate_step(&provider, &id(&provider), is_halted, at(second));
            assert_eq!(step, expected, "{failing:?} {is_halted} {second}");
        }
        let mut provider = in_rotation(None);
        let rotation_id = id(&provider);
        let another = RotationId::parse("rot_01KAQX9Z3K5M7P9R1T3V5X7Z9C").unwrap();
        assert_eq!(candidate_step(&provider, &another, false, at(60)), CandidateStep::Nothing);
        provider.status = Status::plain(StatusName::Revoking);
        assert_eq!(candidate_step(&provider, &rotation_id, false, at(60)), CandidateStep::Nothing);
        provider.status = Status::plain(StatusName::Active);
        let promoted = provider.rotation.take().unwrap().promoted(PromotedBy::Mail, at(5));
        provider.rotation = Some(promoted);
        assert_eq!(candidate_step(&provider, &rotation_id, false, at(60)), CandidateStep::Nothing);
    }

    #[test]
    fn a_probe_promotes_only_what_both_accept_and_blames_only_what_sts_refuses() {
        let failed = |kind: FailureKind| Err(Failure { kind, code: None, status: None, request_id: None });
        let denial = Denial::parse("User: arn:aws:iam::1:user/u is not authorized to perform: ses:GetAccount");
        for (by_sts, by_ses, expected) in [
            (Ok(()), Ok(()), CandidateProbe::Accepted),
            (Ok(()), failed(FailureKind::KeyRefused), CandidateProbe::Unknown),
            (Ok(()), failed(FailureKind::Denied(denial)), CandidateProbe::Unknown),
            (Ok(()), failed(FailureKind::Unknown), CandidateProbe::Unknown),
            (failed(FailureKind::KeyRefused), Ok(()), CandidateProbe::Refused("key_refused")),
            (
                failed(FailureKind::SignatureRefused),
                failed(FailureKind::Unknown),
                CandidateProbe::Refused("signature_refused"),
            ),
            (failed(FailureKind::Throttled), Ok(()), CandidateProbe::Unknown),
            (failed(FailureKind::Clock), Ok(()), CandidateProbe::Unknown),
        ] {
            assert_eq!(probe_result(&by_sts, &by_ses), expected, "{by_sts:?} {by_ses:?}");
        }
    }

    #[test]
    fn a_key_that_was_refused_is_not_tried_for_a_minute() {
        let rotations = Rotations::default();
        let provider = in_rotation(None);
        let rotation = provider.rotation.as_ref().unwrap();
        assert!(!rotations.is_refused(&provider, at(0)));
        assert!(rotations.note_refusal(rotation, at(0)) && !rotations.note_refusal(rotation, at(1)));
        assert!(rotations.is_refused(&provider, at(60)) && !rotations.is_refused(&provider, at(61)));
        assert!(rotations.note_refusal(rotation, at(61)), "it may be told again");
        rotations.forget_refusal(rotation);
        assert!(!rotations.is_refused(&provider, at(62)));
        assert!(rotations.begin_promotion(rotation) && !rotations.begin_promotion(rotation));
        rotations.forget_promotion(rotation);
        assert!(rotations.begin_promotion(rotation));
    }

    #[test]
    fn the_sample_event_is_what_is_put_on_the_bus() {
        let sample: Value = serde_json::from_str(include_str!("../../../events/send-rotation-failing.json")).unwrap();
        let mut provider = in_rotation(Some((0, "key_refused")));
        provider.provider_id = serde_json::from_value(sample["detail"]["provider_id"].clone()).unwrap();
        let event = Event::RotationFailing(RotationEvent::new(&provider, provider.rotation.as_ref().unwrap()));
        assert_eq!(sample["source"], "sendingbee.send");
        assert_eq!(sample["detail-type"], event.detail_type());
        assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
    }
}
