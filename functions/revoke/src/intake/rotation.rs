//! What the sweep does for rotations: it tells operators how far they have come, and has the key revoked that is not used any
//! more.
//!
//! The rotation in the provider's item says what is left to do, and everything here can be done again: an order has the id
//! that its rotation and its key give it. Killed anywhere, a rotation stays due.

use jiff::{SignedDuration, Timestamp};
use shared::id::{AccessKeyId, OrderId, ProviderId, RotationId};
use shared::record::{BreachScope, Due, Provider, ROTATED, Rotation, RotationPhase};
use shared::telemetry::{Event, RotationEvent};

use super::Intake;
use super::breach_report::BreachReport;
use super::order_execution::OrderError;
use super::sweep::SweepError;

/// When a candidate is looked at again that got here: `send` promotes it, and whoever does makes it due.
const CANDIDATE_AGAIN_AFTER: SignedDuration = SignedDuration::from_mins(5);

/// What is left to do for a rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
enum RotationStep {
    /// Nothing before this time.
    Wait(Timestamp),
    /// The grace is over: the old key is revoked, which completes the rotation.
    EndGrace,
    /// It has ended: the keys that the provider does not send with are revoked, and it is closed.
    Close,
    /// Nothing at all.
    Nothing,
}

fn next_step(rotation: &Rotation, now: Timestamp) -> RotationStep {
    match rotation.phase {
        RotationPhase::Candidate => RotationStep::Wait(now.saturating_add(CANDIDATE_AGAIN_AFTER).unwrap_or(now)),
        RotationPhase::Promoted => match rotation.grace_ends_at {
            Some(end) if now < end => RotationStep::Wait(end),
            _ => RotationStep::EndGrace,
        },
        _ if rotation.closed_at.is_some() => RotationStep::Nothing,
        RotationPhase::Completed | RotationPhase::Failed | RotationPhase::Cancelled => RotationStep::Close,
    }
}

/// The keys of a rotation that its provider does not send with. A stopped provider sends with none.
fn unused_keys<'a>(provider: &'a Provider, rotation: &'a Rotation) -> impl Iterator<Item = &'a AccessKeyId> {
    let keys = [&rotation.old_key.access_key_id, &rotation.new_key.access_key_id].into_iter();
    keys.filter(|id| provider.is_stopped() || **id != provider.access_key_id)
}

impl Intake {
    /// Takes a rotation on.
    pub(super) async fn look_at_rotation(
        &self,
        due: &Due,
        provider_id: &ProviderId,
        rotation_id: &RotationId,
    ) -> Result<(), SweepError> {
        let current = self.current_rotation(provider_id, rotation_id).await?;
        let Some((provider, rotation)) = current else {
            return Ok(self.providers.reschedule(due, None).await?);
        };
        if rotation.promoted_at.is_some() && rotation.closed_at.is_none() {
            self.tell_promotion(&provider, &rotation).await?;
        }
        match next_step(&rotation, self.ambient.now()) {
            RotationStep::Nothing => Ok(self.providers.reschedule(due, None).await?),
            RotationStep::Wait(until) if rotation.phase == RotationPhase::Promoted => {
                Ok(self.providers.note_promotion_told(due, until).await?)
            }
            RotationStep::Wait(until) => Ok(self.providers.reschedule(due, Some(until)).await?),
            RotationStep::EndGrace => {
                self.revoke_unused(&rotation, &rotation.old_key.access_key_id).await?;
                // The stop has completed the rotation; if a report on the new key came first, it has failed. Where the old key was
                // stopped alone, because others wrote the provider all the time, it is completed here.
                let current = match self.current_rotation(provider_id, rotation_id).await? {
                    Some((provider, rotation)) if rotation.phase.is_running() => {
                        self.providers.complete_rotation(&provider, &self.ambient).await?;
                        self.current_rotation(provider_id, rotation_id).await?
                    }
                    current => current,
                };
                match current {
                    Some((provider, rotation)) if !rotation.phase.is_running() => self.close(&provider, rotation).await,
                    _ => Err(SweepError::Incomplete),
                }
            }
            RotationStep::Close => self.close(&provider, rotation).await,
        }
    }

    async fn current_rotation(
        &self,
        provider_id: &ProviderId,
        rotation_id: &RotationId,
    ) -> Result<Option<(Provider, Rotation)>, SweepError> {
        let Some(provider) = self.providers.provider(provider_id).await? else { return Ok(None) };
        let rotation = provider.rotation.clone().filter(|rotation| rotation.rotation_id == *rotation_id);
        Ok(rotation.map(|rotation| (provider, rotation)))
    }

    /// Tells operators of a promotion, once.
    async fn tell_promotion(&self, provider: &Provider, rotation: &Rotation) -> Result<(), SweepError> {
        let item = self.providers.rotation_item(&provider.provider_id, &rotation.rotation_id).await?;
        if item.is_none_or(|item| item.promotion_told) {
            return Ok(());
        }
        let event = Event::RotationPromoted(RotationEvent::new(provider, rotation));
        Ok(self.bus.put(&event, self.ambient.now()).await?)
    }

    /// Has every key revoked that the provider does not send with, tells operators, and closes the rotation.
    async fn close(&self, provider: &Provider, rotation: Rotation) -> Result<(), SweepError> {
        let mut closed = rotation;
        closed.orders.clear();
        for access_key_id in unused_keys(provider, &closed.clone()) {
            if let Some(order_id) = self.revoke_unused(&closed, access_key_id).await? {
                closed.orders.push(order_id);
            }
        }
        let now = self.ambient.now();
        closed.closed_at = Some(now);
        let event = RotationEvent::new(provider, &closed);
        let event = match closed.phase {
            RotationPhase::Completed => Event::RotationCompleted(event),
            _ => Event::RotationFailed(event),
        };
        self.bus.put(&event, now).await?;
        self.providers.close_rotation(&provider.provider_id, &closed, &self.ambient).await?;
        tracing::info!(
            provider_id = %provider.provider_id,
            rotation_id = %closed.rotation_id,
            phase = closed.phase.as_str(),
            reason = closed.reason,
            "rotation closed"
        );
        Ok(())
    }

    /// Has a key revoked, unless an order has stopped it already. Returns the order that stopped it.
    async fn revoke_unused(
        &self,
        rotation: &Rotation,
        access_key_id: &AccessKeyId,
    ) -> Result<Option<OrderId>, SweepError> {
        let own_order = order_id(rotation, access_key_id);
        if let Some(key) = self.providers.key(access_key_id).await?
            && key.state.is_stopped()
            && key.orders.first() != Some(&own_order)
        {
            return Ok(key.orders.first().cloned());
        }
        let report = BreachReport {
            scope: BreachScope::AccessKeyId(access_key_id.clone()),
            reason: ROTATED.to_owned(),
            reported_by: rotation.rotation_id.to_string(),
            signed_by: None,
            remove_identity_policies: false,
            oddities: Vec::new(),
            event_id: None,
        };
        match self.order_revocation(own_order.clone(), report).await {
            Ok(execution) if execution.is_complete() => Ok(Some(own_order)),
            Ok(_) | Err(OrderError::UnknownProvider) => Err(SweepError::Incomplete),
            Err(OrderError::Record(error)) => Err(error.into()),
        }
    }
}

/// The id of the order that revokes a key of a rotation: the same whenever it is asked for.
fn order_id(rotation: &Rotation, access_key_id: &AccessKeyId) -> OrderId {
    OrderId::from_event(&format!("{} {access_key_id}", rotation.rotation_id), rotation.started_at)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use shared::record::PromotedBy;

    use super::*;

    const OLD: &str = "AKIASP2TPHJSQH3FJRUX";
    const NEW: &str = "AKIASP2TPHJSQH3FJRUY";

    fn at(second: i64) -> Timestamp {
        "2026-11-23T10:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_secs(second)
    }

    fn candidate() -> Rotation {
        let key =
            |id: &str| json!({"access_key_id": id, "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u"});
        serde_json::from_value(json!({
            "rotation_id": "rot_01KAQX9Z3K5M7P9R1T3V5X7Z9B", "phase": "candidate", "old_key": key(OLD),
            "new_key": key(NEW), "grace_seconds": 86400, "started_at": at(0),
        }))
        .unwrap()
    }

    fn provider(serving: &str, status: &str) -> Provider {
        serde_json::from_value(json!({
            "provider_id": "prv_01KAQX5D8E3C9V7N2M4R6T8W0Y", "tenant_id": "acme", "name": "n", "region": "eu-central-1",
            "account_id": "171436882533", "user_name": "u", "user_arn": "arn:aws:iam::171436882533:user/u",
            "access_key_id": serving, "status": status, "max_send_rate": 14.0, "max_24_hour_send": 50000.0,
            "sandbox": false, "created_at": at(0), "updated_at": at(0),
        }))
        .unwrap()
    }

    #[test]
    fn each_phase_has_its_step() {
        let promoted = candidate().promoted(PromotedBy::Mail, at(5));
        let ended = |phase| promoted.ended(phase, None, at(9));
        let closed = Rotation { closed_at: Some(at(10)), ..ended(RotationPhase::Completed) };
        let end = at(86_405);
        let cases = [
            (candidate(), at(60), RotationStep::Wait(at(360))),
            (promoted.clone(), at(60), RotationStep::Wait(end)),
            (promoted.clone(), end, RotationStep::EndGrace),
            (ended(RotationPhase::Completed), at(60), RotationStep::Close),
            (ended(RotationPhase::Failed), at(60), RotationStep::Close),
            (candidate().ended(RotationPhase::Cancelled, None, at(9)), at(60), RotationStep::Close),
            (closed, at(60), RotationStep::Nothing),
        ];
        for (rotation, now, expected) in cases {
            assert_eq!(next_step(&rotation, now), expected, "{rotation:?}");
        }
    }

    #[test]
    fn what_the_provider_does_not_send_with_dies_and_of_a_stopped_provider_everything() {
        for (serving, status, expected) in
            [(NEW, "active", vec![OLD]), (OLD, "suspended", vec![NEW]), (OLD, "revoking", vec![OLD, NEW])]
        {
            let (provider, rotation) = (provider(serving, status), candidate());
            let unused: Vec<_> = unused_keys(&provider, &rotation).map(AccessKeyId::as_str).collect();
            assert_eq!(unused, expected, "{serving} {status}");
        }
    }

    #[test]
    fn the_order_of_a_key_has_one_id_and_each_key_another() {
        let rotation = candidate();
        let (old, new) = (&rotation.old_key.access_key_id, &rotation.new_key.access_key_id);
        assert_eq!(order_id(&rotation, old), order_id(&rotation.promoted(PromotedBy::Mail, at(5)), old));
        assert_ne!(order_id(&rotation, old), order_id(&rotation, new));
    }

    #[test]
    fn the_sample_events_are_what_is_put_on_the_bus() {
        let order_id = OrderId::parse("rvk_01KAQX7Q5RD0B6S4M3Z1Y9T8WC").unwrap();
        let promoted = candidate().promoted(PromotedBy::Mail, at(5));
        let with_order = |rotation: Rotation| Rotation { orders: vec![order_id.clone()], ..rotation };
        let completed = with_order(promoted.ended(RotationPhase::Completed, None, at(6)));
        let cancelled = with_order(candidate().ended(RotationPhase::Cancelled, None, at(6)));
        let event = |rotation: &Rotation| RotationEvent::new(&provider(NEW, "active"), rotation);
        let cases = [
            (
                include_str!("../../../../events/revoke-rotation-promoted.json"),
                Event::RotationPromoted(event(&promoted)),
            ),
            (
                include_str!("../../../../events/revoke-rotation-completed.json"),
                Event::RotationCompleted(event(&completed)),
            ),
            (include_str!("../../../../events/revoke-rotation-failed.json"), Event::RotationFailed(event(&cancelled))),
        ];
        for (sample, event) in cases {
            let sample: Value = serde_json::from_str(sample).unwrap();
            assert_eq!(sample["source"], "sendingbee.revoke");
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }
}
