//! What to do next about a key, and what an answer makes of it. Pure: the key item and the time decide.
//!
//! A key ends `revoked` only on proof and refusals. Proof is an answer of AWS to our own DeleteAccessKey: 200, or
//! NoSuchEntity for the key's own id. A deactivated key is refused just like a deleted one and can come back, so refusals
//! alone end in `revoked{refused_unproven}`, with the secret kept.
//!
//! One thing more counts as proof, because a worker can be killed between AWS's 200 and our record of it, and a deleted
//! key cannot ask again: a call that was **written ahead**. The key was seen alive, the call was noted, it left; no answer
//! is known; within [`WRITE_AHEAD_COUNTS_FOR`] the key is refused everywhere. The only other story is that the call never
//! took effect and that the tenant deactivated the key, without deleting it, in that very gap. The receipt says
//! `write_ahead`, so that whoever must be certain can look for the deletion in the tenant's CloudTrail.

mod pause;

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use shared::record::{BlockReason, KeyItem, KeyState, Plane, Proof, RefusedCall};

use self::pause::{LONGEST, later, pause};

/// AWS honours a deleted key for 3 to 4 s. Only refusals later than this after a deletion say that it is dead.
pub(super) const HONOURED_FOR: SignedDuration = SignedDuration::from_secs(5);

/// How long a call whose answer is not known explains a refusal: the queue's visibility timeout and a sweep, with room.
/// The longer it is, the likelier it gets that somebody else did something to the key.
const WRITE_AHEAD_COUNTS_FOR: SignedDuration = SignedDuration::from_mins(10);

/// At most so long before the call the key must have been seen alive for a write-ahead to count.
const ALIVE_JUST_BEFORE: SignedDuration = SignedDuration::from_secs(10);

/// While a step is on its way: when the sweep takes the key up, should its worker die.
const TAKEN_UP_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// So long after a change of state the next try comes by a delayed message; later ones by the sweep.
const HURRIED_FOR: SignedDuration = SignedDuration::from_mins(2);

/// A wrong signature is believed when it has lasted so long: a stranger who calls with the same id can cause one.
const WRONG_SECRET_AFTER: SignedDuration = SignedDuration::from_secs(60);

/// What is to be done about a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Tell operators its state.
    Tell,
    /// Have it delete itself.
    Delete,
    /// See whether it is refused everywhere.
    Probe,
    /// Nothing before this moment.
    Wait(Timestamp),
    /// Nothing: it is done with, or it was never stopped.
    Nothing,
}

/// What comes after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Then {
    /// The next step at once.
    Now,
    /// The next step in [`HONOURED_FOR`], by a delayed message.
    Soon,
    /// Whatever is left comes by the sweep.
    Rest,
}

/// How a key was met on a plane.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// It was let in.
    Alive,
    /// It is unknown, deleted or inactive.
    Refused { code: String, request_id: Option<String> },
    /// The signature did not fit.
    WrongSecret,
    /// Nothing can be concluded.
    Unknown,
}

/// How AWS answered DeleteAccessKey.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deletion {
    /// 200.
    Deleted { request_id: Option<String> },
    /// There is no such key: it was let in once more after it was deleted.
    NoSuchEntity { request_id: Option<String> },
    /// The key was refused, so the call did nothing.
    Refused,
    /// Not authorized. `quarantined`: an explicit deny, while SES lets the key in.
    Denied { quarantined: bool },
    /// The signature did not fit.
    WrongSecret,
    /// It did not act, for a reason that says nothing about the key: throttled, never written, our clock.
    NotActed,
    /// No answer that says what happened.
    Unanswered,
}

/// Why there is no secret to call with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoSecret {
    /// The lane is not there.
    Missing,
    /// KMS refuses to open it, or it holds something else.
    Unreadable,
    /// KMS did not answer.
    Unavailable,
}

/// What to do next about a key.
pub(super) fn next(key: &KeyItem, now: Timestamp) -> Step {
    if key.owner.is_none() {
        return Step::Nothing;
    }
    if key.notification_pending {
        return Step::Tell;
    }
    match key.state {
        KeyState::Revoking(_) | KeyState::RevocationBlocked(_) | KeyState::RefusedUnproven => {}
        KeyState::Active | KeyState::Reported | KeyState::Revoked => return Step::Nothing,
    }
    let receipt = &key.receipt;
    let hope = match (receipt.delete_sent_at, receipt.deleted_at) {
        (Some(sent), _) => Some(sent),
        (None, Some(deleted)) if key.seen_alive.values().all(|seen| *seen <= deleted) => Some(deleted),
        // Not deleted yet, or let in after that: AWS is slow, or wrong. Deleting again is harmless and settles which, until
        // the key is refused.
        (None, _) => receipt.refused.values().map(|refusal| refusal.at).max(),
    };
    match hope.map(|hope| later(hope, HONOURED_FOR)) {
        Some(until) if now < until => Step::Wait(until),
        Some(_) => Step::Probe,
        None => Step::Delete,
    }
}

/// The write-ahead of a deletion: the key was just seen alive by STS, and DeleteAccessKey leaves when this is recorded.
pub(super) fn write_ahead(key: &KeyItem, seen_at: Timestamp, now: Timestamp) -> KeyItem {
    let mut after = stepped(key, now);
    after.seen_alive.insert(Plane::Sts, seen_at);
    after.receipt.refused.clear();
    after.receipt.delete_sent_at = Some(now);
    after
}

/// What the answer to DeleteAccessKey makes of the key. `ahead` is its write-ahead, where there was one; `sight` is how
/// STS met the key just before, at `seen_at`. `None`: another worker has moved the key on, and nothing is to be added.
pub(super) fn deleted(
    key: &KeyItem,
    ahead: Option<Timestamp>,
    sight: (&Sight, Timestamp),
    answer: &Deletion,
    now: Timestamp,
) -> Option<(KeyItem, Then)> {
    // Proof is worth recording whatever happened meanwhile, unless it comes after the end.
    let is_proof = matches!(answer, Deletion::Deleted { .. } | Deletion::NoSuchEntity { .. });
    let ended = next(key, now) == Step::Nothing || key.state == KeyState::Revoked;
    if ended || (!is_proof && key.receipt.delete_sent_at != ahead) {
        return None;
    }
    let mut after = stepped(key, now);
    match sight {
        (Sight::Alive, at) => {
            after.seen_alive.insert(Plane::Sts, at);
        }
        (Sight::Refused { code, request_id }, at) => {
            let refusal = RefusedCall { at, code: code.clone(), request_id: request_id.clone() };
            after.receipt.refused.insert(Plane::Sts, refusal);
        }
        _ => {}
    }
    // Every answer but silence tells what became of the call.
    if *answer != Deletion::Unanswered {
        after.receipt.delete_sent_at = None;
    }
    Some(match answer {
        Deletion::Deleted { request_id } => proved(after, Proof::Deleted, request_id.as_deref(), now),
        Deletion::NoSuchEntity { request_id } => proved(after, Proof::NoSuchEntity, request_id.as_deref(), now),
        Deletion::Denied { quarantined } => {
            after.receipt.refused.clear();
            block(after, if *quarantined { BlockReason::Quarantined } else { BlockReason::DeleteDenied }, now)
        }
        Deletion::WrongSecret => wrong_secret(after, now),
        // It was written ahead: the next step looks whether it took effect.
        Deletion::Unanswered if after.receipt.delete_sent_at.is_some() => (after, Then::Soon),
        // Refused twice: the next step looks whether it is refused everywhere.
        Deletion::Refused if !after.receipt.refused.is_empty() => (after, Then::Soon),
        Deletion::Refused | Deletion::NotActed | Deletion::Unanswered => again(after, now),
    })
}

/// What a look at the planes, at `at`, makes of the key.
pub(super) fn probed(key: &KeyItem, sights: &BTreeMap<Plane, Sight>, at: Timestamp, now: Timestamp) -> (KeyItem, Then) {
    let mut after = stepped(key, now);
    for (plane, sight) in sights {
        match sight {
            Sight::Alive => {
                after.seen_alive.insert(*plane, at);
            }
            Sight::Refused { code, request_id } => {
                let refusal = RefusedCall { at, code: code.clone(), request_id: request_id.clone() };
                after.receipt.refused.insert(*plane, refusal);
            }
            Sight::WrongSecret | Sight::Unknown => {}
        }
    }
    if sights.values().any(|sight| *sight == Sight::Alive) {
        after.receipt.refused.clear();
        if after.receipt.delete_sent_at.is_some_and(|sent| at >= later(sent, HONOURED_FOR)) {
            after.receipt.delete_sent_at = None;
        }
        if after.state == KeyState::RefusedUnproven {
            enter(&mut after, KeyState::Revoking(None), now);
        }
        return if is_hurried(&after, now) { (after, Then::Now) } else { rest(after, now) };
    }
    if sights.values().any(|sight| *sight == Sight::WrongSecret) {
        return wrong_secret(after, now);
    }
    let refused_everywhere = planes(key).iter().all(|plane| matches!(sights.get(plane), Some(Sight::Refused { .. })));
    if !refused_everywhere {
        return again(after, now);
    }
    match grounds(key, at) {
        Grounds::TooEarly => (after, Then::Soon),
        Grounds::Answered => {
            after.receipt.delete_sent_at = None;
            end(after, KeyState::Revoked, now)
        }
        Grounds::WrittenAhead(sent) => {
            after.receipt.delete_sent_at = None;
            after.receipt.deleted_at = Some(sent);
            after.receipt.deleted_by = Some(Proof::WriteAhead);
            end(after, KeyState::Revoked, now)
        }
        Grounds::None => {
            after.receipt.delete_sent_at = None;
            end(after, KeyState::RefusedUnproven, now)
        }
    }
}

/// What it makes of the key that there is no secret to call with.
pub(super) fn no_secret(key: &KeyItem, why: NoSecret, now: Timestamp) -> (KeyItem, Then) {
    let after = stepped(key, now);
    match why {
        NoSecret::Unavailable => again(after, now),
        // Refused when last seen, and nothing to look again with.
        NoSecret::Missing if key.state == KeyState::RefusedUnproven => rest_until(after, None),
        NoSecret::Missing => block(after, BlockReason::SecretMissing, now),
        NoSecret::Unreadable if key.state == KeyState::RefusedUnproven => rest(after, now),
        NoSecret::Unreadable => block(after, BlockReason::SecretUnreadable, now),
    }
}

/// Whether a key's next step comes by message for now, and not only by the sweep.
pub(super) fn is_hurried(key: &KeyItem, now: Timestamp) -> bool {
    matches!(key.state, KeyState::Revoking(_)) && now < later(key.updated_at, HURRIED_FOR)
}

/// Operators have been told.
pub(super) fn told(key: &KeyItem, now: Timestamp) -> (KeyItem, Then) {
    let mut after = stepped(key, now);
    after.notification_pending = false;
    rest(after, now)
}

/// The planes that must refuse the key: those where it was seen alive. A key that was seen nowhere must be refused on
/// both.
pub(super) fn planes(key: &KeyItem) -> Vec<Plane> {
    if key.seen_alive.is_empty() { vec![Plane::Sts, Plane::Ses] } else { key.seen_alive.keys().copied().collect() }
}

/// What stands for a deletion when the key is refused everywhere at `at`.
enum Grounds {
    Answered,
    WrittenAhead(Timestamp),
    TooEarly,
    None,
}

fn grounds(key: &KeyItem, at: Timestamp) -> Grounds {
    let too_early = |since: Timestamp| at < later(since, HONOURED_FOR);
    let receipt = &key.receipt;
    match (receipt.deleted_at, receipt.delete_sent_at) {
        (Some(deleted), _) if too_early(deleted) => Grounds::TooEarly,
        (Some(_), _) => Grounds::Answered,
        (None, Some(sent)) if too_early(sent) => Grounds::TooEarly,
        (None, Some(sent)) => {
            let alive_just_before = key
                .seen_alive
                .get(&Plane::Sts)
                .is_some_and(|seen| *seen <= sent && sent.duration_since(*seen) <= ALIVE_JUST_BEFORE);
            let counts = alive_just_before && at <= later(sent, WRITE_AHEAD_COUNTS_FOR);
            if counts { Grounds::WrittenAhead(sent) } else { Grounds::None }
        }
        (None, None) => Grounds::None,
    }
}

/// A step was taken: it is counted, and the sweep looks after the key meanwhile.
fn stepped(key: &KeyItem, now: Timestamp) -> KeyItem {
    let mut after = key.clone();
    after.attempts = after.attempts.saturating_add(1);
    after.next_attempt_at = Some(later(now, TAKEN_UP_AFTER));
    after
}

/// There is proof that the key was deleted. What proved it first stays in the receipt: NoSuchEntity after that says only
/// that the key is still let in.
fn proved(mut after: KeyItem, by: Proof, request_id: Option<&str>, now: Timestamp) -> (KeyItem, Then) {
    after.receipt.refused.clear();
    enter(&mut after, KeyState::Revoking(None), now);
    if after.receipt.deleted_by.is_some() && by == Proof::NoSuchEntity {
        return again(after, now);
    }
    after.receipt.deleted_at = Some(now);
    after.receipt.deleted_by = Some(by);
    after.receipt.delete_request_id = request_id.map(str::to_owned);
    (after, Then::Soon)
}

fn block(after: KeyItem, block_reason: BlockReason, now: Timestamp) -> (KeyItem, Then) {
    end(after, KeyState::RevocationBlocked(block_reason), now)
}

fn wrong_secret(mut after: KeyItem, now: Timestamp) -> (KeyItem, Then) {
    const DOUBTED: KeyState = KeyState::Revoking(Some(BlockReason::SecretRejected));
    match after.state {
        DOUBTED if now >= later(after.updated_at, WRONG_SECRET_AFTER) => block(after, BlockReason::SecretRejected, now),
        KeyState::Revoking(_) => {
            enter(&mut after, DOUBTED, now);
            (after, Then::Soon)
        }
        _ => rest(after, now),
    }
}

/// Nothing was learned: soon again at first, then at growing pauses.
fn again(after: KeyItem, now: Timestamp) -> (KeyItem, Then) {
    if is_hurried(&after, now) {
        return (after, Then::Soon);
    }
    if after.state == KeyState::RefusedUnproven {
        let until = later(now, LONGEST);
        return rest_until(after, Some(until));
    }
    rest(after, now)
}

/// An end was reached, at least for now. It is told once, when it is reached.
fn end(mut after: KeyItem, state: KeyState, now: Timestamp) -> (KeyItem, Then) {
    if after.state == state {
        return rest(after, now);
    }
    enter(&mut after, state, now);
    after.notification_pending = true;
    (after, Then::Now)
}

fn rest(after: KeyItem, now: Timestamp) -> (KeyItem, Then) {
    let until = pause(&after, now);
    rest_until(after, until)
}

fn rest_until(mut after: KeyItem, until: Option<Timestamp>) -> (KeyItem, Then) {
    // What is not told yet stays due.
    if !after.notification_pending {
        after.next_attempt_at = until;
    }
    (after, Then::Rest)
}

fn enter(after: &mut KeyItem, state: KeyState, now: Timestamp) {
    if after.state != state {
        after.state = state;
        after.updated_at = now;
    }
}

#[cfg(test)]
mod tests;
