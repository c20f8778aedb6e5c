//! A rotation as callers see it: no secret, and both keys' ids shortened.

use jiff::Timestamp;
use serde::Serialize;
use shared::id::{OrderId, ProviderId, RotationId};
use shared::record::{Failing, PromotedBy, Rotation, RotationKey, RotationPhase, VerificationReport};

/// The public form of a rotation.
#[derive(Serialize)]
pub(crate) struct RotationView<'a> {
    rotation_id: &'a RotationId,
    provider_id: &'a ProviderId,
    phase: RotationPhase,
    old_key: RotationKeyView<'a>,
    new_key: RotationKeyView<'a>,
    grace_seconds: u32,
    started_at: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    promoted_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    promoted_by: Option<PromotedBy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    grace_ends_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    failing: Option<&'a Failing>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<&'a str>,
    /// The orders that revoke the key that is not used any more.
    #[serde(skip_serializing_if = "<[OrderId]>::is_empty")]
    orders: &'a [OrderId],
    #[serde(skip_serializing_if = "Option::is_none")]
    closed_at: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    report: Option<&'a VerificationReport>,
}

/// One of its keys.
#[derive(Serialize)]
struct RotationKeyView<'a> {
    access_key_id: String,
    user_arn: &'a str,
}

impl<'a> RotationKeyView<'a> {
    fn new(key: &'a RotationKey) -> Self {
        Self { access_key_id: key.access_key_id.masked(), user_arn: &key.user_arn }
    }
}

impl<'a> RotationView<'a> {
    /// A provider's rotation; `report` is the one that its new key was accepted on.
    pub(crate) fn new(
        provider_id: &'a ProviderId,
        rotation: &'a Rotation,
        report: Option<&'a VerificationReport>,
    ) -> Self {
        Self {
            rotation_id: &rotation.rotation_id,
            provider_id,
            phase: rotation.phase,
            old_key: RotationKeyView::new(&rotation.old_key),
            new_key: RotationKeyView::new(&rotation.new_key),
            grace_seconds: rotation.grace_seconds,
            started_at: rotation.started_at,
            promoted_at: rotation.promoted_at,
            promoted_by: rotation.promoted_by,
            grace_ends_at: rotation.grace_ends_at,
            failing: rotation.failing.as_ref(),
            ended_at: rotation.ended_at,
            reason: rotation.reason.as_deref(),
            orders: &rotation.orders,
            closed_at: rotation.closed_at,
            report,
        }
    }
}
