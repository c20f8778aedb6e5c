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
use shared::record::{Key, Plane, Refusal, Status, StatusName};

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

/// Reasons, as they are stored and shown.
pub(super) const REFUSED_UNPROVEN: &str = "refused_unproven";
const QUARANTINED: &str = "quarantined";
const DELETE_DENIED: &str = "delete_denied";
const SECRET_REJECTED: &str = "secret_rejected";
const SECRET_MISSING: &str = "secret_missing";
const SECRET_UNREADABLE: &str = "secret_unreadable";

/// How a deletion is proved, as it is stored and shown.
pub(super) const BY_DELETED: &str = "deleted";
pub(super) const BY_NO_SUCH_ENTITY: &str = "no_such_entity";
pub(super) const BY_WRITE_AHEAD: &str = "write_ahead";

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
pub(super) fn next(key: &Key, now: Timestamp) -> Step {
    let undecided = match key.state.status {
        StatusName::Revoking | StatusName::RevocationBlocked => true,
        StatusName::Revoked => key.state.reason.is_some(),
        StatusName::Active | StatusName::Suspended | StatusName::Reported | StatusName::Lost => false,
    };
    if key.owner.is_none() {
        return Step::Nothing;
    }
    if key.untold {
        return Step::Tell;
    }
    if !undecided {
        return Step::Nothing;
    }
    let receipt = &key.receipt;
    let hope = match (receipt.delete_sent_at, receipt.deleted_at) {
        (Some(sent), _) => Some(sent),
        // Let in after the proof: AWS is slow, or wrong. Deleting again is harmless and settles which.
        (None, Some(deleted)) if key.seen_alive.values().any(|seen| *seen > deleted) => None,
        (None, Some(deleted)) => Some(deleted),
        (None, None) => receipt.refused.values().map(|refusal| refusal.at).max(),
    };
    match hope.map(|hope| later(hope, HONOURED_FOR)) {
        Some(until) if now < until => Step::Wait(until),
        Some(_) => Step::Probe,
        None => Step::Delete,
    }
}

/// The write-ahead of a deletion: the key was just seen alive by STS, and DeleteAccessKey leaves when this is recorded.
pub(super) fn write_ahead(key: &Key, seen_at: Timestamp, now: Timestamp) -> Key {
    let mut after = stepped(key, now);
    after.seen_alive.insert(Plane::Sts, seen_at);
    after.receipt.refused.clear();
    after.receipt.delete_sent_at = Some(now);
    after
}

/// What the answer to DeleteAccessKey makes of the key. `ahead` is its write-ahead, where there was one; `sight` is how
/// STS met the key just before, at `seen_at`. `None`: another worker has moved the key on, and nothing is to be added.
pub(super) fn deleted(
    key: &Key,
    ahead: Option<Timestamp>,
    sight: (&Sight, Timestamp),
    answer: &Deletion,
    now: Timestamp,
) -> Option<(Key, Then)> {
    let proof = match answer {
        Deletion::Deleted { request_id } => Some((BY_DELETED, request_id)),
        Deletion::NoSuchEntity { request_id } => Some((BY_NO_SUCH_ENTITY, request_id)),
        _ => None,
    };
    // Proof is worth recording whatever happened meanwhile, unless it comes after the end.
    let ended = next(key, now) == Step::Nothing || is(key, StatusName::Revoked, None);
    if ended || (proof.is_none() && key.receipt.delete_sent_at != ahead) {
        return None;
    }
    let mut after = stepped(key, now);
    match sight {
        (Sight::Alive, at) => {
            after.seen_alive.insert(Plane::Sts, at);
        }
        (Sight::Refused { code, request_id }, at) => {
            let refusal = Refusal { at, code: code.clone(), request_id: request_id.clone() };
            after.receipt.refused.insert(Plane::Sts, refusal);
        }
        _ => {}
    }
    // Every answer but silence tells what became of the call.
    if *answer != Deletion::Unanswered {
        after.receipt.delete_sent_at = None;
    }
    if let Some((by, request_id)) = proof {
        let receipt = &mut after.receipt;
        if receipt.deleted_by.as_deref() != Some(BY_DELETED) {
            receipt.deleted_by = Some(by.to_owned());
            receipt.delete_request_id = request_id.clone();
        }
        receipt.deleted_at = Some(now);
        receipt.refused.clear();
        enter(&mut after, Status::plain(StatusName::Revoking), now);
        return Some((after, Then::Soon));
    }
    match answer {
        Deletion::Denied { quarantined } => {
            after.receipt.refused.clear();
            let reason = if *quarantined { QUARANTINED } else { DELETE_DENIED };
            Some(block(after, reason, now))
        }
        Deletion::WrongSecret => Some(wrong_secret(after, now)),
        Deletion::Unanswered => Some((after, Then::Soon)),
        // Refused twice: the next step looks whether it is refused everywhere.
        Deletion::Refused if !after.receipt.refused.is_empty() => Some((after, Then::Soon)),
        Deletion::Refused | Deletion::NotActed => Some(again(after, now)),
        Deletion::Deleted { .. } | Deletion::NoSuchEntity { .. } => None,
    }
}

/// What a look at the planes, at `at`, makes of the key.
pub(super) fn probed(key: &Key, sights: &BTreeMap<Plane, Sight>, at: Timestamp, now: Timestamp) -> (Key, Then) {
    let mut after = stepped(key, now);
    for (plane, sight) in sights {
        match sight {
            Sight::Alive => {
                after.seen_alive.insert(*plane, at);
            }
            Sight::Refused { code, request_id } => {
                let refusal = Refusal { at, code: code.clone(), request_id: request_id.clone() };
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
        if after.state.status == StatusName::Revoked {
            enter(&mut after, Status::plain(StatusName::Revoking), now);
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
    match proof(key, at) {
        Proof::Answered => {
            after.receipt.delete_sent_at = None;
            end(after, Status::plain(StatusName::Revoked), now)
        }
        Proof::WrittenAhead(sent) => {
            after.receipt.delete_sent_at = None;
            after.receipt.deleted_at = Some(sent);
            after.receipt.deleted_by = Some(BY_WRITE_AHEAD.to_owned());
            end(after, Status::plain(StatusName::Revoked), now)
        }
        Proof::TooEarly => (after, Then::Soon),
        Proof::None => {
            after.receipt.delete_sent_at = None;
            end(after, Status::because(StatusName::Revoked, REFUSED_UNPROVEN), now)
        }
    }
}

/// What it makes of the key that there is no secret to call with.
pub(super) fn no_secret(key: &Key, why: NoSecret, now: Timestamp) -> (Key, Then) {
    let after = stepped(key, now);
    match why {
        NoSecret::Unavailable => again(after, now),
        // Refused when last seen, and nothing to look again with.
        NoSecret::Missing if key.state.status == StatusName::Revoked => rest_until(after, None),
        NoSecret::Missing => block(after, SECRET_MISSING, now),
        NoSecret::Unreadable if key.state.status == StatusName::Revoked => rest(after, now),
        NoSecret::Unreadable => block(after, SECRET_UNREADABLE, now),
    }
}

/// Whether a key's next step comes by message for now, and not only by the sweep.
pub(super) fn is_hurried(key: &Key, now: Timestamp) -> bool {
    key.state.status == StatusName::Revoking && now < later(key.updated_at, HURRIED_FOR)
}

/// Operators have been told.
pub(super) fn told(key: &Key, now: Timestamp) -> (Key, Then) {
    let mut after = stepped(key, now);
    after.untold = false;
    rest(after, now)
}

/// The planes that must refuse the key: those where it was seen alive. A key that was seen nowhere must be refused on
/// both.
pub(super) fn planes(key: &Key) -> Vec<Plane> {
    if key.seen_alive.is_empty() { vec![Plane::Sts, Plane::Ses] } else { key.seen_alive.keys().copied().collect() }
}

/// What stands for a deletion when the key is refused everywhere at `at`.
enum Proof {
    Answered,
    WrittenAhead(Timestamp),
    TooEarly,
    None,
}

fn proof(key: &Key, at: Timestamp) -> Proof {
    let too_early = |since: Timestamp| at < later(since, HONOURED_FOR);
    let receipt = &key.receipt;
    match (receipt.deleted_at, receipt.delete_sent_at) {
        (Some(deleted), _) if too_early(deleted) => Proof::TooEarly,
        (Some(_), _) => Proof::Answered,
        (None, Some(sent)) if too_early(sent) => Proof::TooEarly,
        (None, Some(sent)) => {
            let alive_just_before = key
                .seen_alive
                .get(&Plane::Sts)
                .is_some_and(|seen| *seen <= sent && sent.duration_since(*seen) <= ALIVE_JUST_BEFORE);
            let counts = alive_just_before && at <= later(sent, WRITE_AHEAD_COUNTS_FOR);
            if counts { Proof::WrittenAhead(sent) } else { Proof::None }
        }
        (None, None) => Proof::None,
    }
}

/// A step was taken: it is counted, and the sweep looks after the key meanwhile.
fn stepped(key: &Key, now: Timestamp) -> Key {
    let mut after = key.clone();
    after.attempts = after.attempts.saturating_add(1);
    attempt_at(&mut after, Some(later(now, TAKEN_UP_AFTER)));
    after
}

fn block(mut after: Key, reason: &str, now: Timestamp) -> (Key, Then) {
    if is(&after, StatusName::RevocationBlocked, Some(reason)) {
        return rest(after, now);
    }
    enter(&mut after, Status::because(StatusName::RevocationBlocked, reason), now);
    after.untold = true;
    (after, Then::Now)
}

fn wrong_secret(mut after: Key, now: Timestamp) -> (Key, Then) {
    if is(&after, StatusName::Revoking, Some(SECRET_REJECTED)) {
        if now >= later(after.updated_at, WRONG_SECRET_AFTER) {
            return block(after, SECRET_REJECTED, now);
        }
        return (after, Then::Soon);
    }
    if after.state.status == StatusName::Revoking {
        enter(&mut after, Status::because(StatusName::Revoking, SECRET_REJECTED), now);
        return (after, Then::Soon);
    }
    rest(after, now)
}

/// Nothing was learned: soon again at first, then at growing pauses.
fn again(after: Key, now: Timestamp) -> (Key, Then) {
    if is_hurried(&after, now) {
        return (after, Then::Soon);
    }
    if after.state.status == StatusName::Revoked {
        let until = later(now, LONGEST);
        return rest_until(after, Some(until));
    }
    rest(after, now)
}

/// An end was reached, at least for now. It is told once, when it is reached.
fn end(mut after: Key, state: Status, now: Timestamp) -> (Key, Then) {
    if after.state == state {
        return rest(after, now);
    }
    enter(&mut after, state, now);
    after.untold = true;
    (after, Then::Now)
}

fn rest(after: Key, now: Timestamp) -> (Key, Then) {
    let until = pause(&after, now);
    rest_until(after, until)
}

fn rest_until(mut after: Key, until: Option<Timestamp>) -> (Key, Then) {
    // What is not told yet stays due.
    if !after.untold {
        attempt_at(&mut after, until);
    }
    (after, Then::Rest)
}

fn enter(after: &mut Key, state: Status, now: Timestamp) {
    if after.state != state {
        after.state = state;
        after.updated_at = now;
    }
}

fn attempt_at(after: &mut Key, at: Option<Timestamp>) {
    after.next_attempt_at = at;
    after.sweep = at.map(|_| Key::SWEEP.to_owned());
}

fn is(key: &Key, status: StatusName, reason: Option<&str>) -> bool {
    key.state.status == status && key.state.reason.as_deref() == reason
}

#[cfg(test)]
mod tests;
