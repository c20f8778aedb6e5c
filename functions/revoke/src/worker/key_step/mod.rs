//! What to do next about a key, and what an answer changes in it. Pure functions of the key item and the time.
//!
//! A key becomes `revoked` only on proof and refusals. Proof is AWS's answer to our own DeleteAccessKey: 200, or
//! NoSuchEntity for the key's own id. A deactivated key is refused like a deleted one and can come back, so refusals alone
//! lead to `refused_unproven`, and the secret is kept.
//!
//! One more thing counts as proof, because a worker can be killed between AWS's 200 and our record of it, and a deleted key
//! cannot ask again: a call that was **written ahead**. The key was seen alive, the call was recorded, then it was sent; its
//! answer is not known; within [`WRITE_AHEAD_EXPIRES_AFTER`] the key is refused everywhere. The only other explanation is
//! that the call had no effect and that the tenant deactivated the key, without deleting it, in exactly that time. The
//! receipt says `write_ahead`, so that whoever must be certain can look for the deletion in the tenant's CloudTrail.

mod containment;
mod retry_delay;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use shared::record::{
    BlockReason, KeyItem, KeyState, MAX_SESSION_DURATION, Plane, Proof, ReadOutcome, RefusedCall, Removal,
    ResidualAccess,
};

pub(super) use self::containment::{
    after_containment, is_containment_due, is_policy_survey_due, may_remove_policies, shows_breach,
};
use self::retry_delay::{MAX_REVOKING_DELAY, later, retry_at};
use super::call_result::{DeletionResult, ProbeResult};

/// How long after a deletion a refusal counts as the key's death: AWS accepts a deleted key for another 3 to 4 s.
pub(super) const PROBE_DELAY: SignedDuration = SignedDuration::from_secs(5);

/// How long a call whose answer is not known explains a refusal: the queue's visibility timeout and a sweep, with room.
/// The longer it is, the more likely it is that somebody else changed the key.
const WRITE_AHEAD_EXPIRES_AFTER: SignedDuration = SignedDuration::from_mins(10);

/// A write-ahead counts only if the key was seen alive at most this long before the call.
const MAX_ALIVE_AGE: SignedDuration = SignedDuration::from_secs(10);

/// When the sweep picks up a key whose worker died during a step.
const SWEEP_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// Until this long after a change of state, retries come by delayed messages; after that, by the sweep.
const SWEEP_ONLY_AFTER: SignedDuration = SignedDuration::from_mins(2);

/// A wrong signature is believed after this time: a stranger who calls AWS with the same id can cause one.
const WRONG_SECRET_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// How long what was seen of a key's residual access is taken for what is there before its deletion.
const SURVEY_EXPIRES_AFTER: SignedDuration = SignedDuration::from_hours(1);

/// A key that does not die for so long is alarmed about.
const SLOW_AFTER: SignedDuration = SignedDuration::from_mins(15);

/// What to do about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum KeyStep {
    /// Notify operators of its state.
    Notify,
    /// Make it delete itself.
    Delete,
    /// Find out whether it is refused everywhere.
    Probe,
    /// Contain the breach in its account, because AWS does not let it delete itself.
    Contain,
    /// Nothing before this time.
    Wait(Timestamp),
    /// Nothing: it is finished, or it was never stopped.
    Nothing,
}

/// When a key's next step comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FollowUp {
    /// At once.
    Now,
    /// After [`PROBE_DELAY`], by a delayed message.
    Delayed,
    /// When the sweep enqueues it, if anything is left to do.
    BySweep,
}

/// Why the revoke lane does not yield a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SecretError {
    /// The lane does not exist.
    Missing,
    /// KMS refuses to open it, or it does not hold a secret.
    Unreadable,
    /// KMS did not answer.
    Unavailable,
}

/// What to do next about a key. `can_notify` is false if EventBridge has just refused an event: that must not keep a key
/// alive.
pub(super) fn next_step(key: &KeyItem, can_notify: bool, now: Timestamp) -> KeyStep {
    if key.owner.is_none() {
        return KeyStep::Nothing;
    }
    // Before operators are notified, so that they are told what was done.
    if is_containment_due(key) {
        return KeyStep::Contain;
    }
    let step = next_call(key, now);
    // A key that lives again is deleted first, and operators are notified while its death is waited for.
    let is_urgent = step == KeyStep::Delete
        && is_alive_again(key)
        && key.receipt.alive_again_at.is_some_and(|at| now < later(at, PROBE_DELAY));
    if key.notification_pending && can_notify && !is_urgent { KeyStep::Notify } else { step }
}

/// Whether a key that was refused everywhere is accepted again, and is being deleted.
pub(super) fn is_alive_again(key: &KeyItem) -> bool {
    matches!(key.state, KeyState::Revoking(_)) && key.receipt.alive_again_at.is_some()
}

/// What an operator must be alarmed about, as a word to search the log for, and in a sentence.
pub(super) fn alarm(key: &KeyItem, now: Timestamp) -> Option<(&'static str, &'static str)> {
    match key.state {
        KeyState::RevocationBlocked(_) => {
            Some(("revocation_blocked", "key is alive and cannot delete itself: a person has to act"))
        }
        KeyState::RefusedUnproven => Some((
            "refused_unproven",
            "key is refused and nothing proves its deletion: a person has to look and attest it",
        )),
        KeyState::Revoking(_) if key.notification_pending && is_alive_again(key) => {
            Some(("revoked_key_alive", "key that was refused everywhere is accepted again: it is being deleted"))
        }
        KeyState::Revoking(_) if now >= later(key.updated_at, SLOW_AFTER) => {
            Some(("revocation_slow", "key is not dead yet: its AWS does not answer, or still accepts it"))
        }
        _ => None,
    }
}

/// The call to make next, whether or not operators have been notified.
fn next_call(key: &KeyItem, now: Timestamp) -> KeyStep {
    match key.state {
        KeyState::Revoking(_) | KeyState::RevocationBlocked(_) | KeyState::RefusedUnproven => {}
        KeyState::Active | KeyState::UnknownKey | KeyState::Revoked => return KeyStep::Nothing,
    }
    let receipt = &key.receipt;
    let last_effect = match (receipt.delete_sent_at, receipt.deleted_at) {
        (Some(sent), _) => Some(sent),
        (None, Some(deleted)) if key.seen_alive.values().all(|seen| *seen <= deleted) => Some(deleted),
        // Not deleted yet, or accepted after that: AWS is slow, or wrong. Deleting again is harmless and settles which, until
        // the key is refused.
        (None, _) => receipt.refused.values().map(|refusal| refusal.at).max(),
    };
    match last_effect.map(|at| later(at, PROBE_DELAY)) {
        Some(until) if now < until => KeyStep::Wait(until),
        Some(_) => KeyStep::Probe,
        None => KeyStep::Delete,
    }
}

/// Whether it is time to look what may outlive the key. Once its deletion is proved, it is too late.
pub(super) fn is_survey_due(key: &KeyItem, now: Timestamp) -> bool {
    is_survey_due_for(key, may_remove_policies(key), now)
}

/// [`is_survey_due`], where policies are to be `removed` or not.
fn is_survey_due_for(key: &KeyItem, removed: bool, now: Timestamp) -> bool {
    let is_old_or_incomplete = |seen: &ResidualAccess| {
        let to_remove = |removal| matches!(removal, Removal::NotOrdered | Removal::NotDone);
        now >= later(seen.checked_at, SURVEY_EXPIRES_AFTER)
            || (removed && seen.identity_policies.foreign.iter().any(|policy| to_remove(policy.removal)))
    };
    key.receipt.deleted_at.is_none() && key.receipt.residual_access.as_ref().is_none_or(is_old_or_incomplete)
}

/// The key with what a survey found. A survey that got no answer changes nothing. A policy that an earlier survey found and
/// that is not there any more was removed: a worker may have died between its removal and the record.
pub(super) fn with_survey(key: &KeyItem, mut found: ResidualAccess) -> KeyItem {
    let mut after = key.clone();
    if !found.says_something() {
        return after;
    }
    if let Some(earlier) = after.receipt.residual_access.take() {
        let policies = &mut found.identity_policies;
        for mut policy in earlier.identity_policies.foreign {
            let same = |other: &&shared::record::ForeignPolicy| {
                (&other.identity, &other.policy_name) == (&policy.identity, &policy.policy_name)
            };
            let is_there = policies.foreign.iter().any(|other| same(&other));
            if is_there || policy.removal == Removal::NotOrdered {
                continue;
            }
            if policies.outcome == ReadOutcome::Complete {
                policy.removal = Removal::Removed;
            }
            policies.foreign.push(policy);
        }
        if !found.other_keys.outcome.was_read() && earlier.other_keys.outcome.was_read() {
            found.other_keys = earlier.other_keys;
        }
    }
    after.receipt.residual_access = Some(found);
    after
}

/// The write-ahead of a deletion: STS has just accepted the key, and DeleteAccessKey is sent once this is recorded.
pub(super) fn write_ahead(key: &KeyItem, seen_at: Timestamp, now: Timestamp) -> KeyItem {
    let mut after = count_attempt(key, now);
    after.seen_alive.insert(Plane::Sts, seen_at);
    after.receipt.refused.clear();
    after.receipt.delete_sent_at = Some(now);
    after
}

/// The key after the answer to DeleteAccessKey. `ahead` is the time of its write-ahead, if there was one; `probe` is how
/// STS answered just before, and when it was asked. `None`: another worker has changed the key, and there is nothing to
/// add.
pub(super) fn after_deletion(
    key: &KeyItem,
    ahead: Option<Timestamp>,
    probe: (&ProbeResult, Timestamp),
    answer: &DeletionResult,
    now: Timestamp,
) -> Option<(KeyItem, FollowUp)> {
    // Proof is worth recording whatever happened in between, unless the key is finished.
    let is_proof = matches!(answer, DeletionResult::Deleted { .. } | DeletionResult::NoSuchEntity { .. });
    let ended = key.owner.is_none() || next_call(key, now) == KeyStep::Nothing;
    if ended || (!is_proof && key.receipt.delete_sent_at != ahead) {
        return None;
    }
    let mut after = count_attempt(key, now);
    record_probe(&mut after, Plane::Sts, probe.0, probe.1);
    // Every answer tells what the call did.
    if *answer != DeletionResult::Unanswered {
        after.receipt.delete_sent_at = None;
    }
    Some(match answer {
        DeletionResult::Deleted { request_id } => with_proof(after, Proof::Deleted, request_id.as_deref(), now),
        DeletionResult::NoSuchEntity { request_id } => {
            with_proof(after, Proof::NoSuchEntity, request_id.as_deref(), now)
        }
        DeletionResult::Denied { quarantined } => {
            after.receipt.refused.clear();
            after.receipt.deletion_denied_at = Some(now);
            let reason = if *quarantined { BlockReason::Quarantined } else { BlockReason::DeleteDenied };
            let (after, follow_up) = block(after, reason, now);
            let follow_up = if is_containment_due(&after) { FollowUp::Now } else { follow_up };
            (after, follow_up)
        }
        DeletionResult::WrongSecret => after_wrong_secret(after, now),
        // It was written ahead: the next step finds out whether it had an effect.
        DeletionResult::Unanswered if after.receipt.delete_sent_at.is_some() => (after, FollowUp::Delayed),
        // Refused twice: the next step finds out whether it is refused everywhere.
        DeletionResult::Refused if !after.receipt.refused.is_empty() => (after, FollowUp::Delayed),
        DeletionResult::Refused | DeletionResult::NotActed | DeletionResult::Unanswered => retry(after, now),
    })
}

/// The key after a probe of the planes at `at`.
pub(super) fn after_probe(
    key: &KeyItem,
    results: &BTreeMap<Plane, ProbeResult>,
    at: Timestamp,
    now: Timestamp,
) -> (KeyItem, FollowUp) {
    let mut after = count_attempt(key, now);
    for (plane, result) in results {
        record_probe(&mut after, *plane, result, at);
    }
    // AWS looks at a signature only if it knows the key, so a key that was refused and has a wrong signature now lives again.
    let is_known_again =
        key.state == KeyState::RefusedUnproven && results.values().any(|result| *result == ProbeResult::WrongSecret);
    if is_known_again || results.values().any(|result| *result == ProbeResult::Alive) {
        after.receipt.refused.clear();
        if after.receipt.delete_sent_at.is_some_and(|sent| at >= later(sent, PROBE_DELAY)) {
            after.receipt.delete_sent_at = None;
        }
        if after.state == KeyState::RefusedUnproven {
            set_state(&mut after, KeyState::Revoking(None), now);
            after.receipt.alive_again_at = Some(now);
            after.notification_pending = true;
        }
        return if is_retried_by_message(&after, now) { (after, FollowUp::Now) } else { leave_to_sweep(after, now) };
    }
    if results.values().any(|result| *result == ProbeResult::WrongSecret) {
        return after_wrong_secret(after, now);
    }
    let refused_everywhere =
        planes_to_probe(key).iter().all(|plane| matches!(results.get(plane), Some(ProbeResult::Refused { .. })));
    if !refused_everywhere {
        return retry(after, now);
    }
    match death_evidence(key, at) {
        DeathEvidence::TooEarly => (after, FollowUp::Delayed),
        DeathEvidence::Answered => {
            after.receipt.delete_sent_at = None;
            settle(after, KeyState::Revoked, now)
        }
        DeathEvidence::WrittenAhead(sent) => {
            after.receipt.delete_sent_at = None;
            after.receipt.deleted_at = Some(sent);
            after.receipt.deleted_by = Some(Proof::WriteAhead);
            settle(after, KeyState::Revoked, now)
        }
        DeathEvidence::None => {
            after.receipt.delete_sent_at = None;
            settle(after, KeyState::RefusedUnproven, now)
        }
    }
}

/// The key after its secret could not be opened.
pub(super) fn after_secret_error(key: &KeyItem, why: SecretError, now: Timestamp) -> (KeyItem, FollowUp) {
    let after = count_attempt(key, now);
    match why {
        SecretError::Unavailable => retry(after, now),
        // It was refused at the last probe. There is no other one without a secret, and somebody has to attest it.
        _ if key.state == KeyState::RefusedUnproven => leave_to_sweep(after, now),
        SecretError::Missing => block(after, BlockReason::SecretMissing, now),
        SecretError::Unreadable => block(after, BlockReason::SecretUnreadable, now),
    }
}

/// Whether a key is retried by delayed messages for now, and not only by the sweep.
pub(super) fn is_retried_by_message(key: &KeyItem, now: Timestamp) -> bool {
    matches!(key.state, KeyState::Revoking(_)) && now < later(key.updated_at, SWEEP_ONLY_AFTER)
}

/// The key after operators were notified of its state.
pub(super) fn after_notification(key: &KeyItem, now: Timestamp) -> (KeyItem, FollowUp) {
    let mut after = count_attempt(key, now);
    after.notification_pending = false;
    match after.state {
        // Its death is being waited for.
        KeyState::Revoking(_) => (after, FollowUp::Now),
        _ => leave_to_sweep(after, now),
    }
}

/// The planes that must refuse the key: those where it was seen alive. A key that was never seen alive must be refused on
/// both.
pub(super) fn planes_to_probe(key: &KeyItem) -> Vec<Plane> {
    if key.seen_alive.is_empty() { vec![Plane::Sts, Plane::Ses] } else { key.seen_alive.keys().copied().collect() }
}

/// What shows that a key was deleted that is refused everywhere.
enum DeathEvidence {
    Answered,
    WrittenAhead(Timestamp),
    TooEarly,
    None,
}

fn death_evidence(key: &KeyItem, at: Timestamp) -> DeathEvidence {
    let too_early = |since: Timestamp| at < later(since, PROBE_DELAY);
    let receipt = &key.receipt;
    match (receipt.deleted_at, receipt.delete_sent_at) {
        (Some(deleted), _) if too_early(deleted) => DeathEvidence::TooEarly,
        (Some(_), _) => DeathEvidence::Answered,
        (None, Some(sent)) if too_early(sent) => DeathEvidence::TooEarly,
        (None, Some(sent)) => {
            let alive_just_before = key
                .seen_alive
                .get(&Plane::Sts)
                .is_some_and(|seen| *seen <= sent && sent.duration_since(*seen) <= MAX_ALIVE_AGE);
            let counts = alive_just_before && at <= later(sent, WRITE_AHEAD_EXPIRES_AFTER);
            if counts { DeathEvidence::WrittenAhead(sent) } else { DeathEvidence::None }
        }
        (None, None) => DeathEvidence::None,
    }
}

/// Counts a step. The sweep picks the key up unless the step's result says otherwise.
fn count_attempt(key: &KeyItem, now: Timestamp) -> KeyItem {
    let mut after = key.clone();
    after.attempts = after.attempts.saturating_add(1);
    after.next_attempt_at = Some(later(now, SWEEP_AFTER));
    after
}

fn record_probe(after: &mut KeyItem, plane: Plane, result: &ProbeResult, at: Timestamp) {
    match result {
        ProbeResult::Alive => {
            after.seen_alive.insert(plane, at);
        }
        ProbeResult::Refused { code, request_id } => {
            let refusal = RefusedCall { at, code: code.clone(), request_id: request_id.clone() };
            after.receipt.refused.insert(plane, refusal);
        }
        ProbeResult::WrongSecret | ProbeResult::Unknown => {}
    }
}

/// The key after proof of its deletion. The first proof stays in the receipt: a later NoSuchEntity only says that the key is
/// still accepted.
fn with_proof(mut after: KeyItem, by: Proof, request_id: Option<&str>, now: Timestamp) -> (KeyItem, FollowUp) {
    after.receipt.refused.clear();
    set_state(&mut after, KeyState::Revoking(None), now);
    if after.receipt.deleted_by.is_some() && by == Proof::NoSuchEntity {
        return retry(after, now);
    }
    after.receipt.deleted_at = Some(now);
    after.receipt.deleted_by = Some(by);
    after.receipt.delete_request_id = request_id.map(str::to_owned);
    (after, FollowUp::Delayed)
}

fn block(after: KeyItem, block_reason: BlockReason, now: Timestamp) -> (KeyItem, FollowUp) {
    settle(after, KeyState::RevocationBlocked(block_reason), now)
}

fn after_wrong_secret(mut after: KeyItem, now: Timestamp) -> (KeyItem, FollowUp) {
    const SUSPECTED: KeyState = KeyState::Revoking(Some(BlockReason::SecretRejected));
    match after.state {
        SUSPECTED if now >= later(after.updated_at, WRONG_SECRET_AFTER) => {
            block(after, BlockReason::SecretRejected, now)
        }
        KeyState::Revoking(_) => {
            set_state(&mut after, SUSPECTED, now);
            (after, FollowUp::Delayed)
        }
        _ => leave_to_sweep(after, now),
    }
}

/// The step has led to nothing: it is retried soon at first, then after growing delays.
fn retry(after: KeyItem, now: Timestamp) -> (KeyItem, FollowUp) {
    if is_retried_by_message(&after, now) {
        return (after, FollowUp::Delayed);
    }
    if after.state == KeyState::RefusedUnproven {
        let until = later(now, MAX_REVOKING_DELAY);
        return leave_to_sweep_until(after, Some(until));
    }
    leave_to_sweep(after, now)
}

/// The key has reached a state to stay in, at least for now. Operators are notified once, when it gets there.
fn settle(mut after: KeyItem, state: KeyState, now: Timestamp) -> (KeyItem, FollowUp) {
    if after.state == state {
        return leave_to_sweep(after, now);
    }
    set_state(&mut after, state, now);
    if matches!(state, KeyState::Revoked | KeyState::RefusedUnproven) {
        note_sessions(&mut after);
    }
    after.notification_pending = true;
    (after, FollowUp::Now)
}

/// Notes until when sessions may live that were minted with the key: until the key was refused, it could mint one.
fn note_sessions(after: &mut KeyItem) {
    let sessions_denied = after.owner.as_ref().and_then(|owner| owner.sessions_denied) == Some(true);
    if !sessions_denied && after.receipt.sessions_possible_until.is_none() {
        let refused_at = after.receipt.refused.values().map(|refusal| refusal.at).max();
        after.receipt.sessions_possible_until = refused_at.map(|at| later(at, MAX_SESSION_DURATION));
    }
}

fn leave_to_sweep(after: KeyItem, now: Timestamp) -> (KeyItem, FollowUp) {
    let until = retry_at(&after, now);
    leave_to_sweep_until(after, until)
}

fn leave_to_sweep_until(mut after: KeyItem, until: Option<Timestamp>) -> (KeyItem, FollowUp) {
    // The key stays due until operators are notified.
    if !after.notification_pending {
        after.next_attempt_at = until;
    }
    (after, FollowUp::BySweep)
}

fn set_state(after: &mut KeyItem, state: KeyState, now: Timestamp) {
    if after.state != state {
        after.state = state;
        after.updated_at = now;
    }
    // It is not dead yet, or not any more.
    if matches!(state, KeyState::Revoking(_) | KeyState::RevocationBlocked(_)) {
        after.receipt.sessions_possible_until = None;
    }
}

#[cfg(test)]
mod tests;
