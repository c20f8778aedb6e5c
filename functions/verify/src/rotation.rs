//! Storing a key that replaces a provider's: sealed for both lanes, everything in one transaction, and the event.

use shared::http::{Problem, RequestLog};
use shared::id::RotationId;
use shared::record::{
    Fences, KeyItem, PromotedBy, Provider, RecordError, Rotation, RotationKey, RotationPhase, RotationReports,
    RotationStart, RotationStarted, StatusName, VerificationReport, VerifiedProvider,
};
use shared::telemetry::{Event, ProviderEvent, RotationEvent, chain};
use tokio::time::timeout;

use crate::Verify;
use crate::check::identity::IamUser;
use crate::check::region::RegionChoice;
use crate::onboarding::store::{EVENT_TIMEOUT, FENCE_RETRY_AFTER_S, new_key_item};
use crate::onboarding::{
    AcceptedKey, Examination, KeyHolder, OnboardingAttempt, OnboardingOutcome, key_is_reported, read_pasted,
};
use crate::report_builder::ReportBuilder;
use crate::submission::{PastedText, Submission};
use crate::time_budget::TimeBudget;

/// A provider whose key can be replaced, as it was read before the new key was verified.
struct ReplaceableKey {
    /// The provider.
    verified: VerifiedProvider,
    /// The key that it sends with.
    key: KeyItem,
}

/// How the attempt to store a new key ended.
pub(crate) enum RotationOutcome {
    /// The rotation has begun.
    Started(Box<Rotation>, Box<VerificationReport>),
    /// The key was reported while it was verified.
    Refused(Box<VerificationReport>),
    /// The key was handed over meanwhile by another request.
    KeyTaken(KeyHolder),
    /// An order that covers the key was placed while it was verified.
    OrderInProgress {
        /// The seconds until it has listed all keys.
        retry_after_s: u64,
    },
    /// The provider has changed while the key was verified.
    ProviderChanged,
}

/// How the attempt to replace a provider's key ended.
pub(crate) enum KeyReplacement {
    /// It cannot be replaced now, and AWS was not asked.
    NotReplaceable(NotReplaceable),
    /// The new key is not taken.
    Ended(OnboardingOutcome),
    /// It was to be stored.
    Tried(RotationOutcome),
}

/// Why a provider's key cannot be replaced now.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NotReplaceable {
    /// Another rotation is not closed.
    RotationInProgress(RotationId),
    /// An order is revoking the provider's key, and it is not proved dead.
    Stopped(StatusName),
}

/// Whether a provider's key can be replaced: one at a time, and of a provider that was stopped only when its key is dead.
pub(crate) fn check_replaceable(provider: &Provider) -> Result<(), NotReplaceable> {
    if let Some(rotation) = provider.rotation.as_ref().filter(|rotation| rotation.closed_at.is_none()) {
        return Err(NotReplaceable::RotationInProgress(rotation.rotation_id.clone()));
    }
    match provider.status.status {
        StatusName::Active | StatusName::Suspended | StatusName::Revoked => Ok(()),
        status => Err(NotReplaceable::Stopped(status)),
    }
}

/// Whether the old key cannot send any more, so that the new one serves at once.
fn is_dead(provider: &Provider, key: &KeyItem) -> bool {
    key.state.is_stopped() || provider.is_stopped() || provider.status.is_suspended_for_key()
}

impl Verify {
    /// Verifies a key as at onboarding and begins the rotation of a provider's key to it, or finds out why not. `report`
    /// collects the checks.
    ///
    /// # Errors
    /// 503 if our own account did not answer; 500 if the provider's key has no item.
    pub(crate) async fn replace_key(
        &self,
        verified: VerifiedProvider,
        (access_key_id, secret_access_key): (PastedText, PastedText),
        grace_seconds: u32,
        budget: TimeBudget,
        mut report: ReportBuilder,
        log: &mut RequestLog,
    ) -> Result<KeyReplacement, Problem> {
        let provider = &verified.provider;
        if let Err(reason) = check_replaceable(provider) {
            return Ok(KeyReplacement::NotReplaceable(reason));
        }
        let key = budget.call_own("read the key item", self.providers.key(&provider.access_key_id)).await?;
        let key = key.ok_or_else(|| {
            log.outcome("key_item_missing");
            Problem::internal()
        })?;
        let submission = Submission::for_provider(provider, access_key_id, secret_access_key);
        let Some(credential) = read_pasted(&submission, &mut report) else {
            let report = Box::new(report.finish(self.ambient.now()));
            return Ok(KeyReplacement::Ended(OnboardingOutcome::Refused(report)));
        };
        log.access_key(&credential.access_key_id);
        let region_choice = RegionChoice::Named;
        let mut attempt =
            OnboardingAttempt { verify: self, submission, credential, region_choice, idempotent: None, budget };
        match attempt.examine(report, Some(provider)).await? {
            Examination::Ended(outcome) => Ok(KeyReplacement::Ended(outcome)),
            Examination::Passed(accepted) => attempt
                .rotate(ReplaceableKey { verified, key }, *accepted, grace_seconds)
                .await
                .map(KeyReplacement::Tried),
        }
    }
}

impl OnboardingAttempt<'_> {
    /// Stores everything, or nothing. Another request or an order may have been faster.
    async fn rotate(
        &self,
        replaced: ReplaceableKey,
        accepted: AcceptedKey,
        grace_seconds: u32,
    ) -> Result<RotationOutcome, Problem> {
        let AcceptedKey { user, mut report, fences, .. } = accepted;
        let start = self.rotation_start(replaced, user, &report, fences, grace_seconds);
        let start = self.budget.call_own("seal the secret", start).await?;
        let committed = self.budget.call_own("store the rotation", self.commit_rotation(&start)).await?;
        Ok(match committed {
            RotationStarted::Stored => {
                self.send_rotation_events(&start.provider, &start.rotation).await;
                RotationOutcome::Started(Box::new(start.rotation), Box::new(report))
            }
            RotationStarted::KeyExists(key) => match self.key_holder(&key) {
                Some(holder) => RotationOutcome::KeyTaken(holder),
                None => {
                    report.replace_check(key_is_reported());
                    RotationOutcome::Refused(Box::new(report))
                }
            },
            RotationStarted::FenceMoved => RotationOutcome::OrderInProgress { retry_after_s: FENCE_RETRY_AFTER_S },
            RotationStarted::Changed => RotationOutcome::ProviderChanged,
        })
    }

    async fn rotation_start(
        &self,
        replaced: ReplaceableKey,
        user: IamUser,
        report: &VerificationReport,
        fences: Fences,
        grace_seconds: u32,
    ) -> Result<RotationStart, Problem> {
        let Verify { ambient, .. } = self.verify;
        let ReplaceableKey { verified: VerifiedProvider { provider, report: old_report, .. }, key: old_key } = replaced;
        let now = ambient.now();
        let (send_lane, revoke_lane) = self.seal_lanes(&provider.provider_id).await?;
        let candidate = Rotation {
            rotation_id: RotationId::new(ambient),
            phase: RotationPhase::Candidate,
            old_key: RotationKey {
                access_key_id: provider.access_key_id.clone(),
                user_name: provider.user_name.clone(),
                user_arn: provider.user_arn.clone(),
            },
            new_key: RotationKey {
                access_key_id: self.credential.access_key_id.clone(),
                user_name: user.name.clone(),
                user_arn: user.arn.clone(),
            },
            grace_seconds,
            started_at: now,
            promoted_at: None,
            promoted_by: None,
            grace_ends_at: None,
            ended_at: None,
            reason: None,
            failing: None,
            orders: Vec::new(),
            closed_at: None,
        };
        let rotation = match is_dead(&provider, &old_key) {
            true => candidate.completed_at_once(PromotedBy::OldKeyDead, now),
            false => candidate,
        };
        let with_new_key = Provider {
            access_key_id: self.credential.access_key_id.clone(),
            user_name: user.name,
            user_arn: user.arn,
            ..provider.clone()
        };
        Ok(RotationStart {
            key: new_key_item(&with_new_key, report, now),
            reports: RotationReports { old_key: old_report, new_key: report.clone() },
            provider,
            old_key,
            rotation,
            send_lane,
            revoke_lane,
            fences,
        })
    }

    /// Writes the transaction. If it failed without saying why, or met the key that it writes itself, reads whether it was
    /// committed: an answer can be lost after the commit.
    async fn commit_rotation(&self, start: &RotationStart) -> Result<RotationStarted, RecordError> {
        let Verify { providers, secrets, ambient, .. } = self.verify;
        let committed = providers.start_rotation(start, secrets, ambient).await;
        match &committed {
            Ok(RotationStarted::Stored | RotationStarted::FenceMoved) => return committed,
            Ok(RotationStarted::KeyExists(_) | RotationStarted::Changed) => {}
            Err(error) => tracing::warn!(
                provider_id = start.provider.provider_id.as_str(),
                access_key_id = start.key.access_key_id.masked(),
                error = chain(error),
                "the transaction of a rotation failed; it is repeated unless the provider shows that it was committed"
            ),
        }
        let current = providers.provider(&start.provider.provider_id).await?;
        let current = current.and_then(|provider| provider.rotation).map(|rotation| rotation.rotation_id);
        if current.as_ref() == Some(&start.rotation.rotation_id) {
            return Ok(RotationStarted::Stored);
        }
        match committed {
            Err(_) => providers.start_rotation(start, secrets, ambient).await,
            committed => committed,
        }
    }

    /// Sends `Rotation Started`, and `Provider Resumed` if the new key has ended a suspension. The rotation is stored, so a
    /// failure here is logged and fails nothing.
    async fn send_rotation_events(&self, provider: &Provider, rotation: &Rotation) {
        let mut events = vec![Event::RotationStarted(RotationEvent::new(provider, rotation))];
        if provider.status.is_suspended_for_key() {
            events.push(Event::ProviderResumed(ProviderEvent::new(provider, provider.status.reason.clone())));
        }
        for event in events {
            let error = match timeout(EVENT_TIMEOUT, self.verify.bus.put(&event, self.verify.ambient.now())).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => chain(&error),
                Err(elapsed) => elapsed.to_string(),
            };
            tracing::error!(
                provider_id = provider.provider_id.as_str(),
                event = event.detail_type(),
                error,
                "the rotation is stored but an event of it was not sent"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::record::Status;

    use super::*;
    use crate::fixtures;

    fn provider(status: &str, reason: Option<&str>) -> Provider {
        let status =
            Status { status: serde_json::from_value(status.into()).unwrap(), reason: reason.map(str::to_owned) };
        Provider { status, ..fixtures::provider() }
    }

    #[test]
    fn a_key_is_replaced_while_it_lives_or_when_it_is_dead_and_never_while_it_is_being_revoked() {
        for (status, expected) in [
            ("active", true),
            ("suspended", true),
            ("revoked", true),
            ("revoking", false),
            ("refused_unproven", false),
            ("revocation_blocked", false),
        ] {
            let reason = (status == "revocation_blocked").then_some("delete_denied");
            assert_eq!(check_replaceable(&provider(status, reason)).is_ok(), expected, "{status}");
        }
    }

    #[test]
    fn the_new_key_serves_at_once_only_where_the_old_one_cannot() {
        let key = |status: &str| -> KeyItem {
            serde_json::from_value(json!({
                "access_key_id": "AKIASP2TPHJSQH3FJRUX", "status": status, "updated_at": "2026-11-23T09:00:00Z",
            }))
            .unwrap()
        };
        for (status, reason, of_key, expected) in [
            ("active", None, "active", false),
            ("suspended", Some("sending_paused"), "active", false),
            ("suspended", Some("account_suspended"), "active", false),
            ("suspended", Some("a later word"), "active", false),
            ("suspended", Some("key_rejected"), "active", true),
            ("suspended", Some("permission_missing"), "active", true),
            ("suspended", Some("quarantined"), "active", true),
            ("active", None, "revoking", true),
            ("revoked", None, "revoked", true),
        ] {
            assert_eq!(is_dead(&provider(status, reason), &key(of_key)), expected, "{status} {reason:?} {of_key}");
        }
    }

    #[test]
    fn the_sample_event_is_what_is_put_on_the_bus() {
        let sample: Value = serde_json::from_str(include_str!("../../../events/verify-rotation-started.json")).unwrap();
        let key =
            |id: &str| json!({"access_key_id": id, "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u"});
        let rotation: Rotation = serde_json::from_value(json!({
            "rotation_id": "rot_01KAQX9Z3K5M7P9R1T3V5X7Z9B", "phase": "candidate",
            "old_key": key("AKIASP2TPHJSQH3FJRUX"), "new_key": key("AKIASP2TPHJSQH3FJRUY"), "grace_seconds": 86400,
            "started_at": "2026-11-23T10:00:00Z",
        }))
        .unwrap();
        let mut provider = provider("active", None);
        provider.provider_id = serde_json::from_value(sample["detail"]["provider_id"].clone()).unwrap();
        let event = Event::RotationStarted(RotationEvent::new(&provider, &rotation));
        assert_eq!(sample["source"], "sendingbee.verify");
        assert_eq!(sample["detail-type"], event.detail_type());
        assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
    }
}
