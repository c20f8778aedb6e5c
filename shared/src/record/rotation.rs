//! A rotation: a provider's key is replaced by another one while mail flows.
//!
//! It stands in the provider's item, so that whoever reads the provider knows with one consistent read which keys may sign,
//! and whoever changes it does so under conditions on that one item. This file decides, pure: which key signs a mail, and what
//! becomes of provider and rotation when a key is stopped. `rotation_change` does the writing.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{BreachScope, Provider, Status, StatusName, VerificationReport};
use crate::id::{AccessKeyId, OrderId, RotationId};

/// The replacement of a provider's key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rotation {
    /// Its id.
    pub rotation_id: RotationId,
    /// How far it has come.
    pub phase: RotationPhase,
    /// The key that the provider sent with.
    pub old_key: RotationKey,
    /// The key that was handed over to replace it.
    pub new_key: RotationKey,
    /// How long the old key stays as fallback after the promotion, in seconds.
    pub grace_seconds: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When the new key became the one that the provider sends with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_at: Option<Timestamp>,
    /// What promoted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promoted_by: Option<PromotedBy>,
    /// When the old key is revoked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grace_ends_at: Option<Timestamp>,
    /// When it was completed, failed or was cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it failed: what refused the new key, or the order that stopped a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// That the new key is refused at the moment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing: Option<Failing>,
    /// The orders that revoke the key that is not used any more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub orders: Vec<OrderId>,
    /// When nothing was left to do for it: until then there is no other rotation of the provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed_at: Option<Timestamp>,
}

/// A key of a rotation, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationKey {
    /// The key.
    pub access_key_id: AccessKeyId,
    /// Its IAM user.
    pub user_name: String,
    /// The IAM user's ARN.
    pub user_arn: String,
}

/// That the new key was refused. Until it is accepted the old key signs, apart from a try now and then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failing {
    /// Since when.
    pub since: Timestamp,
    /// What refused it: the kind of AWS's answer, or `secret_unreadable`.
    pub reason: String,
    /// When it is tried again.
    pub retry_at: Timestamp,
}

/// The reports that both keys were accepted on. The provider's own is that of the key it sends with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RotationReports {
    /// The old key's.
    pub old_key: VerificationReport,
    /// The new key's.
    pub new_key: VerificationReport,
}

/// How far a rotation has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RotationPhase {
    /// The new key was verified and has sent nothing yet. It is tried first, and the old key is the fallback.
    Candidate,
    /// The provider sends with the new key. The old one is the fallback until the grace ends.
    Promoted,
    /// The provider sends with the new key, and the old one dies.
    Completed,
    /// The provider sends with the old key, if an order has not stopped that too, and the new one dies.
    Failed,
    /// The same, because an operator wanted so.
    Cancelled,
}

/// What promoted a new key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromotedBy {
    /// SES accepted a mail that it had signed.
    Mail,
    /// STS and SES accepted it, and there was no mail.
    Probe,
    /// The old key could not send any more when the rotation began.
    OldKeyDead,
    /// An order stopped the old key.
    OldKeyStopped,
}

/// One of a rotation's two keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationRole {
    /// The one that is replaced.
    Old,
    /// The one that replaces it.
    New,
}

/// The keys that may sign a mail now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SigningOrder<'a> {
    /// The one that signs it.
    pub first: &'a AccessKeyId,
    /// The one that signs it if the first is refused.
    pub fallback: Option<&'a AccessKeyId>,
}

/// What becomes of a provider whose key is stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StopEffect {
    /// Nothing: it is stopped already, or does not use the key.
    Unchanged,
    /// It is stopped too, and its rotation, if one is running, has failed.
    Stopped(Option<Rotation>),
    /// It goes on with its other key.
    GoesOn {
        /// The key that it sends with from now on, if that is another one than before.
        serve: Option<RotationRole>,
        /// Its rotation, which has ended.
        rotation: Rotation,
    },
}

impl RotationPhase {
    /// Whether both keys are in use.
    pub fn is_running(self) -> bool {
        matches!(self, Self::Candidate | Self::Promoted)
    }

    /// The phase as it is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Candidate => "candidate",
            Self::Promoted => "promoted",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl Rotation {
    /// The key of a role.
    pub fn key(&self, role: RotationRole) -> &RotationKey {
        match role {
            RotationRole::Old => &self.old_key,
            RotationRole::New => &self.new_key,
        }
    }

    /// The role of a key; `None` if it is not one of the two.
    pub fn role(&self, access_key_id: &AccessKeyId) -> Option<RotationRole> {
        [RotationRole::Old, RotationRole::New].into_iter().find(|role| self.key(*role).access_key_id == *access_key_id)
    }

    /// The rotation after the promotion of its new key.
    #[must_use]
    pub fn promoted(&self, by: PromotedBy, now: Timestamp) -> Self {
        let grace = jiff::SignedDuration::from_secs(i64::from(self.grace_seconds));
        Self {
            phase: RotationPhase::Promoted,
            promoted_at: Some(now),
            promoted_by: Some(by),
            grace_ends_at: Some(now.saturating_add(grace).unwrap_or(now)),
            failing: None,
            ..self.clone()
        }
    }

    /// The rotation after its end.
    #[must_use]
    pub fn ended(&self, phase: RotationPhase, reason: Option<String>, now: Timestamp) -> Self {
        Self { phase, ended_at: Some(now), reason, failing: None, ..self.clone() }
    }

    /// The rotation of a provider whose old key cannot send: it is completed as soon as it begins, or when an order stops
    /// the old key.
    #[must_use]
    pub fn completed_at_once(&self, by: PromotedBy, now: Timestamp) -> Self {
        let promoted = Self { grace_ends_at: Some(now), ..self.promoted(by, now) };
        promoted.ended(RotationPhase::Completed, None, now)
    }
}

impl Provider {
    /// Its rotation, while both keys of it are in use.
    pub fn running_rotation(&self) -> Option<&Rotation> {
        self.rotation.as_ref().filter(|rotation| rotation.phase.is_running())
    }

    /// Which key signs a mail now. Whether there is a secret of it, the caller knows.
    ///
    /// A new key is tried from the beginning, and while it is refused only now and then, so that a key that does not work
    /// costs a mail an attempt and not an account its pace. `is_refused`: the caller has seen it refused a moment ago.
    pub fn signing_order(&self, is_refused: bool, now: Timestamp) -> SigningOrder<'_> {
        let alone = SigningOrder { first: &self.access_key_id, fallback: None };
        let Some(rotation) = self.running_rotation() else { return alone };
        let (old, new) = (&rotation.old_key.access_key_id, &rotation.new_key.access_key_id);
        let is_tried = !is_refused && rotation.failing.as_ref().is_none_or(|failing| now >= failing.retry_at);
        match rotation.phase {
            RotationPhase::Candidate if is_tried => SigningOrder { first: new, fallback: Some(old) },
            RotationPhase::Candidate => SigningOrder { first: old, fallback: None },
            // The sweep revokes the old key within a minute after the grace.
            _ if rotation.grace_ends_at.is_some_and(|end| now >= end) => SigningOrder { first: new, fallback: None },
            _ if is_tried => SigningOrder { first: new, fallback: Some(old) },
            _ => SigningOrder { first: old, fallback: Some(new) },
        }
    }

    /// The keys that it may send with: one, or both of a rotation.
    pub fn keys_in_use(&self) -> Vec<&AccessKeyId> {
        let other = self
            .running_rotation()
            .into_iter()
            .flat_map(|rotation| [&rotation.old_key.access_key_id, &rotation.new_key.access_key_id]);
        [&self.access_key_id].into_iter().chain(other.filter(|key| **key != self.access_key_id)).collect()
    }

    /// What an order for this scope that stops one of its keys does to it.
    ///
    /// An order for one key leaves the other in use, if there is one that was verified. An order for more (the provider, its
    /// tenant, its account, all) stops the provider with whichever key comes first, so that nothing is sent with the second
    /// meanwhile.
    pub fn stop_effect(
        &self,
        access_key_id: &AccessKeyId,
        scope: &BreachScope,
        order_id: &OrderId,
        now: Timestamp,
    ) -> StopEffect {
        if self.is_stopped() {
            return StopEffect::Unchanged;
        }
        let is_for_one_key = matches!(scope, BreachScope::AccessKeyId(_));
        let failed = |rotation: &Rotation| {
            let reason = Some(order_id.to_string());
            rotation.ended(RotationPhase::Failed, reason, now)
        };
        let running = self.running_rotation();
        let role = running.and_then(|rotation| rotation.role(access_key_id));
        match (running, role) {
            (Some(rotation), Some(role)) if is_for_one_key => {
                let (serve, rotation) = match (rotation.phase, role) {
                    (RotationPhase::Candidate, RotationRole::Old) => {
                        (Some(RotationRole::New), rotation.completed_at_once(PromotedBy::OldKeyStopped, now))
                    }
                    (_, RotationRole::Old) => (None, rotation.ended(RotationPhase::Completed, None, now)),
                    (RotationPhase::Candidate, RotationRole::New) => (None, failed(rotation)),
                    (_, RotationRole::New) => (Some(RotationRole::Old), failed(rotation)),
                };
                StopEffect::GoesOn { serve, rotation }
            }
            (Some(rotation), Some(_)) => StopEffect::Stopped(Some(failed(rotation))),
            // A key that was retired, or belongs to a rotation that has ended.
            _ if *access_key_id != self.access_key_id => StopEffect::Unchanged,
            _ => StopEffect::Stopped(running.map(failed)),
        }
    }

    /// Its status once it sends with another key: a suspension because of a key ends with that key.
    pub(super) fn status_with_another_key(&self) -> Status {
        if self.status.is_suspended_for_key() { Status::plain(StatusName::Active) } else { self.status.clone() }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::runtime::ulid_at;

    const OLD: &str = "AKIASP2TPHJSQH3FJRUX";
    const NEW: &str = "AKIASP2TPHJSQH3FJRUY";
    const OTHER: &str = "AKIASP2TPHJSQH3FJRUZ";

    fn key(id: &str) -> AccessKeyId {
        AccessKeyId::from_pasted(id).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_795_000_000 + second).unwrap()
    }

    fn rotation(phase: RotationPhase) -> Rotation {
        let key =
            |id: &str| json!({"access_key_id": id, "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u"});
        let candidate: Rotation = serde_json::from_value(json!({
            "rotation_id": format!("rot_{}", ulid_at(at(0), 1)), "phase": "candidate", "old_key": key(OLD),
            "new_key": key(NEW), "grace_seconds": 600, "started_at": at(0),
        }))
        .unwrap();
        match phase {
            RotationPhase::Candidate => candidate,
            RotationPhase::Promoted => candidate.promoted(PromotedBy::Mail, at(10)),
            RotationPhase::Completed => candidate.completed_at_once(PromotedBy::OldKeyDead, at(10)),
            RotationPhase::Failed | RotationPhase::Cancelled => candidate.ended(phase, None, at(10)),
        }
    }

    fn provider(status: Status, rotation: Option<Rotation>) -> Provider {
        let serving = match rotation.as_ref().map(|rotation| rotation.phase) {
            Some(RotationPhase::Promoted | RotationPhase::Completed) => NEW,
            _ => OLD,
        };
        let mut provider: Provider = serde_json::from_value(json!({
            "provider_id": "prv_01ARZ3NDEKTSV4RRFFQ69G5FAV", "tenant_id": "acme", "name": "n", "region": "eu-central-1",
            "account_id": "171436882533", "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u",
            "access_key_id": serving, "status": "active", "max_send_rate": 14.0, "max_24_hour_send": 50000.0,
            "sandbox": false, "created_at": at(0), "updated_at": at(0),
        }))
        .unwrap();
        provider.status = status;
        provider.rotation = rotation;
        provider
    }

    fn active(rotation: Option<Rotation>) -> Provider {
        provider(Status::plain(StatusName::Active), rotation)
    }

    fn failing(mut rotation: Rotation) -> Rotation {
        rotation.failing = Some(Failing { since: at(5), reason: "key_refused".to_owned(), retry_at: at(60) });
        rotation
    }

    #[test]
    fn each_phase_says_which_key_signs_and_which_is_the_fallback() {
        use RotationPhase::{Cancelled, Candidate, Completed, Failed, Promoted};
        let cases = [
            (None, 20, OLD, None),
            (Some(rotation(Candidate)), 20, NEW, Some(OLD)),
            (Some(failing(rotation(Candidate))), 59, OLD, None),
            (Some(failing(rotation(Candidate))), 60, NEW, Some(OLD)),
            (Some(rotation(Promoted)), 20, NEW, Some(OLD)),
            (Some(failing(rotation(Promoted))), 59, OLD, Some(NEW)),
            (Some(failing(rotation(Promoted))), 60, NEW, Some(OLD)),
            (Some(rotation(Promoted)), 609, NEW, Some(OLD)),
            (Some(rotation(Promoted)), 610, NEW, None),
            (Some(failing(rotation(Promoted))), 610, NEW, None),
            (Some(rotation(Completed)), 20, NEW, None),
            (Some(rotation(Failed)), 20, OLD, None),
            (Some(rotation(Cancelled)), 20, OLD, None),
        ];
        for (rotation, second, first, fallback) in cases {
            let provider = active(rotation);
            let order = provider.signing_order(false, at(second));
            let shown = (order.first.as_str(), order.fallback.map(AccessKeyId::as_str));
            assert_eq!(shown, (first, fallback), "{:?} at {second}", provider.rotation);
        }
        let held = active(Some(rotation(Candidate)));
        assert_eq!(held.signing_order(true, at(20)).first.as_str(), OLD);
        let held = active(Some(rotation(Promoted)));
        assert_eq!(held.signing_order(true, at(20)).first.as_str(), OLD);
        assert_eq!(held.signing_order(true, at(610)).first.as_str(), NEW);
    }

    /// What a report does, in words: the provider's status, the key that it sends with, the rotation's phase.
    fn shown(effect: &StopEffect, provider: &Provider) -> String {
        match effect {
            StopEffect::Unchanged => "unchanged".to_owned(),
            StopEffect::Stopped(rotation) => {
                format!("stopped, {}", rotation.as_ref().map_or("no rotation", |rotation| rotation.phase.as_str()))
            }
            StopEffect::GoesOn { serve, rotation } => {
                let serving = serve.map_or(&provider.access_key_id, |role| &rotation.key(role).access_key_id);
                let name = if serving.as_str() == OLD { "old" } else { "new" };
                format!("sends with the {name}, {}", rotation.phase.as_str())
            }
        }
    }

    #[test]
    fn a_report_at_any_moment_does_the_right_thing() {
        use RotationPhase::{Cancelled, Candidate, Completed, Failed, Promoted};
        let order_id = OrderId::parse(&format!("rvk_{}", ulid_at(at(0), 2))).unwrap();
        let cases = [
            // Phase, what a report on the old key, the new key and the provider does.
            (None, "stopped, no rotation", "unchanged", "stopped, no rotation"),
            (Some(Candidate), "sends with the new, completed", "sends with the old, failed", "stopped, failed"),
            (Some(Promoted), "sends with the new, completed", "sends with the old, failed", "stopped, failed"),
            (Some(Completed), "unchanged", "stopped, no rotation", "stopped, no rotation"),
            (Some(Failed), "stopped, no rotation", "unchanged", "stopped, no rotation"),
            (Some(Cancelled), "stopped, no rotation", "unchanged", "stopped, no rotation"),
        ];
        for (phase, on_old, on_new, on_provider) in cases {
            let provider = active(phase.map(rotation));
            for (id, expected) in [(OLD, on_old), (NEW, on_new), (OTHER, "unchanged")] {
                let effect = provider.stop_effect(&key(id), &BreachScope::AccessKeyId(key(id)), &order_id, at(20));
                assert_eq!(shown(&effect, &provider), expected, "{phase:?} {id}");
            }
            let wide = BreachScope::ProviderId(provider.provider_id.clone());
            for id in provider.keys_in_use() {
                let effect = provider.stop_effect(id, &wide, &order_id, at(20));
                assert_eq!(shown(&effect, &provider), on_provider, "{phase:?} {id}");
            }
        }
    }

    #[test]
    fn a_suspension_because_of_a_key_ends_with_the_key_and_no_other_does() {
        use crate::record::SuspensionReason;
        for reason in SuspensionReason::ALL {
            let provider = provider(Status::because(StatusName::Suspended, reason.as_str()), None);
            let expected = if reason.is_about_key() { StatusName::Active } else { StatusName::Suspended };
            assert_eq!(provider.status_with_another_key().status, expected, "{reason:?}");
        }
        let held = provider(Status::because(StatusName::Suspended, "a reason of a later version"), None);
        assert_eq!(held.status_with_another_key(), held.status);
    }

    fn phases() -> impl Strategy<Value = Option<RotationPhase>> {
        prop::sample::select(vec![
            None,
            Some(RotationPhase::Candidate),
            Some(RotationPhase::Promoted),
            Some(RotationPhase::Completed),
            Some(RotationPhase::Failed),
            Some(RotationPhase::Cancelled),
        ])
    }

    proptest! {
        /// Whatever is stopped in whatever order, no stopped key signs, a provider with a verified key left goes on, and
        /// after both are stopped nothing does.
        #[test]
        fn no_stopped_key_signs_and_no_key_is_stopped_needlessly(
            phase in phases(),
            is_failing: bool,
            stops in prop::collection::vec((0_usize..3, any::<bool>()), 0..4),
            second in 0_i64..1200,
        ) {
            let started = phase.map(rotation);
            let mut provider = active(if is_failing { started.map(failing) } else { started });
            let order_id = OrderId::parse(&format!("rvk_{}", ulid_at(at(0), 2))).unwrap();
            let mut stopped: Vec<AccessKeyId> = Vec::new();
            let mut is_wide = false;
            for (which, wide) in stops {
                let id = key([OLD, NEW, OTHER][which]);
                let was_in_use = provider.keys_in_use().into_iter().any(|in_use| *in_use == id);
                let scope = match wide {
                    true if !was_in_use => continue,
                    true => BreachScope::ProviderId(provider.provider_id.clone()),
                    false => BreachScope::AccessKeyId(id.clone()),
                };
                is_wide |= wide;
                let left: Vec<AccessKeyId> =
                    provider.keys_in_use().into_iter().filter(|in_use| **in_use != id).cloned().collect();
                match provider.stop_effect(&id, &scope, &order_id, at(20)) {
                    StopEffect::Unchanged => {}
                    StopEffect::Stopped(ended) => {
                        prop_assert!(was_in_use && (wide || left.is_empty()));
                        provider.status = Status::plain(StatusName::Revoking);
                        provider.rotation = ended.or(provider.rotation);
                    }
                    StopEffect::GoesOn { serve, rotation } => {
                        prop_assert!(was_in_use && !wide && !left.is_empty());
                        if let Some(role) = serve {
                            provider.access_key_id = rotation.key(role).access_key_id.clone();
                        }
                        provider.rotation = Some(rotation);
                    }
                }
                stopped.push(id);
                if provider.status.status == StatusName::Active {
                    let order = provider.signing_order(false, at(second));
                    for signer in [Some(order.first), order.fallback].into_iter().flatten() {
                        prop_assert!(!stopped.contains(signer), "{signer} signs although it is stopped");
                    }
                    prop_assert!(!is_wide);
                }
            }
        }

        /// A mail always has a key to sign it, the fallback is another one, and both are in use.
        #[test]
        fn what_signs_is_in_use(phase in phases(), is_failing: bool, second in 0_i64..1200) {
            let started = phase.map(rotation);
            let provider = active(if is_failing { started.map(failing) } else { started });
            let order = provider.signing_order(false, at(second));
            let in_use = provider.keys_in_use();
            prop_assert!(in_use.contains(&order.first) && order.fallback != Some(order.first));
            prop_assert!(order.fallback.is_none_or(|fallback| in_use.contains(&fallback)));
            prop_assert!(in_use.contains(&&provider.access_key_id));
        }
    }
}
