//! Containment: what a key that cannot be deleted may do in its account instead, if its tenant has agreed to that.
//!
//! It comes only after AWS has denied the deletion, which is an answer and never a failure, and at most once for each such
//! denial. A further order tries again what was settled before: somebody may have undone it.

use jiff::Timestamp;
use shared::record::{BlockReason, BreachContainment, KeyItem, KeyState, PauseOutcome, ReadOutcome};

use super::{FollowUp, count_attempt, is_survey_due_for, leave_to_sweep};
use crate::worker::call_result::PauseResult;

/// Whether the account's sending is to be paused now.
pub(in crate::worker) fn is_containment_due(key: &KeyItem) -> bool {
    let is_denied =
        matches!(key.state, KeyState::RevocationBlocked(BlockReason::Quarantined | BlockReason::DeleteDenied));
    let Some(denied_at) = key.receipt.deletion_denied_at else { return false };
    is_denied
        && is_agreed(key)
        && key.receipt.containment.as_ref().is_none_or(|earlier| {
            earlier.tried_at < denied_at && (!earlier.sending.is_settled() || earlier.order_count < key.order_count)
        })
}

/// Whether identity policies that name other accounts may be removed: because an order asks for it, or because the breach is
/// being contained.
pub(in crate::worker) fn may_remove_policies(key: &KeyItem) -> bool {
    let is_contained =
        || key.receipt.containment.as_ref().is_some_and(|earlier| earlier.sending != PauseOutcome::Withheld);
    key.remove_identity_policies || (is_agreed(key) && is_contained())
}

/// Whether the denial alone shows a breach: AWS quarantines keys that it has found in public. Otherwise an order has to
/// report one.
pub(in crate::worker) fn shows_breach(key: &KeyItem) -> bool {
    key.state == KeyState::RevocationBlocked(BlockReason::Quarantined)
}

/// Whether containment looks at identity policies again. The key lives on, so there is more time than before its deletion.
pub(in crate::worker) fn is_policy_survey_due(key: &KeyItem, now: Timestamp) -> bool {
    let is_incomplete = key
        .receipt
        .residual_access
        .as_ref()
        .is_none_or(|seen| matches!(seen.identity_policies.outcome, ReadOutcome::Partial | ReadOutcome::Unknown));
    is_incomplete || is_survey_due_for(key, true, now)
}

/// The key after the account's sending was to be paused at `tried_at`. Operators are notified of what is new.
pub(in crate::worker) fn after_containment(
    key: &KeyItem,
    result: &PauseResult,
    tried_at: Timestamp,
    now: Timestamp,
) -> (KeyItem, FollowUp) {
    let mut after = count_attempt(key, now);
    let earlier = after.receipt.containment.take();
    let (sending, sending_paused_at, request_id, error) = match result.clone() {
        PauseResult::Paused { request_id } => (PauseOutcome::Paused, Some(now), request_id, None),
        PauseResult::Denied { code, request_id } => (PauseOutcome::Denied, None, request_id, code),
        PauseResult::NotPaused { code, request_id } => (PauseOutcome::Failed, None, request_id, code),
        PauseResult::Withheld => (PauseOutcome::Withheld, None, None, None),
    };
    let is_new = earlier.as_ref().is_none_or(|earlier| earlier.sending != sending);
    after.receipt.containment = Some(BreachContainment {
        sending,
        sending_paused_at: sending_paused_at.or_else(|| earlier.and_then(|earlier| earlier.sending_paused_at)),
        request_id,
        error,
        // Clocks differ: what was tried after a denial is not due again because of it.
        tried_at: after.receipt.deletion_denied_at.map_or(tried_at, |denied_at| denied_at.max(tried_at)),
        order_count: after.order_count,
    });
    after.notification_pending |= is_new;
    if after.notification_pending { (after, FollowUp::Now) } else { leave_to_sweep(after, now) }
}

fn is_agreed(key: &KeyItem) -> bool {
    key.owner.as_ref().is_some_and(shared::record::Owner::agrees_to_containment)
}
