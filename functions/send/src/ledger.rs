//! The ledger: what may be done about a mail, given its row. Pure; [`table`] does the writing.
//!
//! A claim is written before SES is asked and what came of it after, so a row always tells whether SES may have the
//! mail: `claimed` past its lease means that a worker died in between, and then nobody can know. Every transition is
//! written on the condition that the row is still the one it was decided on ([`epoch`]), so of two workers one loses,
//! sees the other's row and decides again.
//!
//! At most two copies leave with `on_doubt: resend`, at most one with `hold`: a claim is only given while no more than
//! one doubtful claim lies behind it (`takeovers`), and every doubtful claim that is taken over is counted in the very
//! write that takes it.

#[cfg(test)]
mod model;
mod table;

use jiff::{SignedDuration, Timestamp};
use shared::id::{MailId, ProviderId};
use shared::record::{LedgerRow, MailState};

use crate::digest::{Comparison, NEVER_UNDERSTOOD, compare};
use crate::mail::OnDoubt;

pub(crate) use table::{Ledger, Written};

/// How long a row lives after its last write.
const ROW_LIFE: SignedDuration = SignedDuration::from_hours(90 * 24);

/// How many doubtful claims may be taken over: the mail is sent once more, and that is it.
const MOST_TAKEOVERS: u32 = 1;

/// A mail that wants something from its row.
#[derive(Clone)]
pub(crate) struct Claimant {
    /// The provider.
    pub(crate) provider_id: ProviderId,
    /// The caller's idempotency key.
    pub(crate) mail_id: MailId,
    /// The content's digest.
    pub(crate) digest: String,
    /// When it was first handed over.
    pub(crate) first_seen: Timestamp,
    /// What to do in doubt.
    pub(crate) on_doubt: OnDoubt,
    /// Names this delivery and no other: invocation, place in the batch, message.
    pub(crate) owner: String,
    /// When a claim of this delivery ends. It lies behind the end of the invocation, so no live worker outlives it.
    pub(crate) lease_until: Timestamp,
}

/// What a mail that wants to be sent has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Claim {
    /// Write this row, and then it may be sent.
    Take(LedgerRow),
    /// Its fate is known: nothing to do but acknowledge.
    Settled,
    /// Somebody is sending it right now.
    Busy,
    /// The id belongs to another mail, whose row stays as it is.
    Conflict,
    /// Tell that it is in doubt, then write this row.
    Doubt(LedgerRow),
}

/// Why a mail will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It never will be, for this reason.
    Rejected(String),
    /// It is too late.
    Expired,
}

/// What a mail that will not be sent has to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Tell what the row's state says, then write the row.
    Write(Box<LedgerRow>),
    /// Its fate is known already.
    Settled,
    /// Somebody is sending it right now.
    Busy,
    /// The id belongs to another mail, whose row stays as it is.
    Conflict,
}

/// What a row's state is about, for the condition of a write. Every claim counts `attempts` up, and within one claim a
/// state is never come back to, so two rows of one epoch are the same step of the same claim.
pub(crate) fn epoch(row: &LedgerRow) -> (MailState, u32, u32) {
    (row.state, row.attempts, row.takeovers)
}

/// Decides about sending.
pub(crate) fn claim(row: Option<&LedgerRow>, claimant: &Claimant, now: Timestamp) -> Claim {
    let Some(row) = row else {
        return Claim::Take(claimed(claimant, 1, 0, now));
    };
    if was_never_understood(row) {
        return Claim::Take(claimed(claimant, row.attempts + 1, 0, now));
    }
    if compare(&row.digest, &claimant.digest) == Comparison::Other {
        return Claim::Conflict;
    }
    match row.state {
        MailState::Sent | MailState::Rejected | MailState::InDoubt | MailState::Expired => Claim::Settled,
        MailState::NotAccepted => Claim::Take(claimed(claimant, row.attempts + 1, row.takeovers, now)),
        MailState::Claimed if is_live(row, now) => Claim::Busy,
        MailState::Claimed if claimant.on_doubt == OnDoubt::Resend && row.takeovers < MOST_TAKEOVERS => {
            Claim::Take(claimed(claimant, row.attempts + 1, row.takeovers + 1, now))
        }
        MailState::Claimed => Claim::Doubt(in_doubt(row, "lease_ended", now)),
    }
}

/// Decides about not sending.
pub(crate) fn end(row: Option<&LedgerRow>, claimant: &Claimant, ending: &Ending, now: Timestamp) -> End {
    let Some(row) = row else {
        return End::Write(Box::new(ended(&claimed(claimant, 0, 0, now), ending, now)));
    };
    if was_never_understood(row) {
        return End::Write(Box::new(ended(&claimed(claimant, row.attempts + 1, 0, now), ending, now)));
    }
    if compare(&row.digest, &claimant.digest) == Comparison::Other {
        return End::Conflict;
    }
    match row.state {
        MailState::Sent | MailState::Rejected | MailState::InDoubt | MailState::Expired => End::Settled,
        MailState::Claimed if is_live(row, now) => End::Busy,
        MailState::Claimed => End::Write(Box::new(in_doubt(row, "lease_ended", now))),
        MailState::NotAccepted => End::Write(Box::new(ended(row, ending, now))),
    }
}

/// The row of a message that was refused before it was understood. Only written where there is none.
pub(crate) fn never_understood(
    provider_id: ProviderId,
    mail_id: MailId,
    reason: String,
    first_seen: Timestamp,
    now: Timestamp,
) -> LedgerRow {
    LedgerRow {
        provider_id,
        mail_id,
        state: MailState::Rejected,
        digest: NEVER_UNDERSTOOD.to_owned(),
        first_seen,
        updated_at: now,
        attempts: 0,
        takeovers: 0,
        owner: None,
        lease_until: None,
        ses_message_id: None,
        reason: Some(reason),
        expires_at: expiry(now),
    }
}

/// SES took it.
pub(crate) fn accepted(row: &LedgerRow, ses_message_id: Option<String>, now: Timestamp) -> LedgerRow {
    LedgerRow { ses_message_id, ..unowned(row, MailState::Sent, None, now) }
}

/// SES proved that it did not take it, and it will be tried again.
pub(crate) fn released(row: &LedgerRow, reason: &str, now: Timestamp) -> LedgerRow {
    unowned(row, MailState::NotAccepted, Some(reason.to_owned()), now)
}

/// SES will never take it.
pub(crate) fn refused(row: &LedgerRow, reason: String, now: Timestamp) -> LedgerRow {
    ended(row, &Ending::Rejected(reason), now)
}

/// Nobody can say whether SES took it: either that is its fate, or the claim ends now for the next one to take it over.
pub(crate) fn doubted(row: &LedgerRow, on_doubt: OnDoubt, now: Timestamp) -> LedgerRow {
    if on_doubt == OnDoubt::Resend && row.takeovers < MOST_TAKEOVERS {
        LedgerRow { lease_until: Some(now), updated_at: now, expires_at: expiry(now), ..row.clone() }
    } else {
        in_doubt(row, "no_answer", now)
    }
}

fn claimed(claimant: &Claimant, attempts: u32, takeovers: u32, now: Timestamp) -> LedgerRow {
    LedgerRow {
        provider_id: claimant.provider_id.clone(),
        mail_id: claimant.mail_id.clone(),
        state: MailState::Claimed,
        digest: claimant.digest.clone(),
        first_seen: claimant.first_seen,
        updated_at: now,
        attempts,
        takeovers,
        owner: Some(claimant.owner.clone()),
        lease_until: Some(claimant.lease_until),
        ses_message_id: None,
        reason: None,
        expires_at: expiry(now),
    }
}

/// A mail whose first copy may have been taken cannot be said to have been rejected or to have expired.
fn ended(row: &LedgerRow, ending: &Ending, now: Timestamp) -> LedgerRow {
    let (state, reason) = match ending {
        Ending::Rejected(reason) => (MailState::Rejected, Some(reason.clone())),
        Ending::Expired => (MailState::Expired, Some("expired".to_owned())),
    };
    let state = if row.takeovers > 0 { MailState::InDoubt } else { state };
    unowned(row, state, reason, now)
}

fn in_doubt(row: &LedgerRow, reason: &str, now: Timestamp) -> LedgerRow {
    unowned(row, MailState::InDoubt, Some(reason.to_owned()), now)
}

fn unowned(row: &LedgerRow, state: MailState, reason: Option<String>, now: Timestamp) -> LedgerRow {
    LedgerRow { state, reason, owner: None, lease_until: None, updated_at: now, expires_at: expiry(now), ..row.clone() }
}

/// Nothing was ever sent for a message that was not understood: a corrected one may have its id.
fn was_never_understood(row: &LedgerRow) -> bool {
    row.state == MailState::Rejected && row.digest == NEVER_UNDERSTOOD
}

/// A claim without a lease is nobody's.
fn is_live(row: &LedgerRow, now: Timestamp) -> bool {
    row.lease_until.is_some_and(|lease_until| lease_until > now)
}

fn expiry(now: Timestamp) -> i64 {
    (now + ROW_LIFE).as_second()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mail::tests::time;

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn claimant(on_doubt: OnDoubt) -> Claimant {
        Claimant {
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            mail_id: MailId::parse("m").unwrap(),
            digest: "1:aa".to_owned(),
            first_seen: time(NOW),
            on_doubt,
            owner: "me".to_owned(),
            lease_until: time("2026-11-23T10:00:25Z"),
        }
    }

    fn row(state: MailState, takeovers: u32) -> LedgerRow {
        LedgerRow { state, ..claimed(&claimant(OnDoubt::Resend), 3, takeovers, time(NOW)) }
    }

    fn later() -> Timestamp {
        time("2026-11-23T10:02:00Z")
    }

    #[test]
    fn what_has_a_fate_is_acknowledged_and_never_sent() {
        for state in [MailState::Sent, MailState::Rejected, MailState::InDoubt, MailState::Expired] {
            let row = row(state, 0);
            assert_eq!(claim(Some(&row), &claimant(OnDoubt::Resend), later()), Claim::Settled);
            assert_eq!(end(Some(&row), &claimant(OnDoubt::Resend), &Ending::Expired, later()), End::Settled);
        }
    }

    #[test]
    fn another_content_leaves_the_row_alone_whatever_its_state() {
        for state in [MailState::Claimed, MailState::NotAccepted, MailState::Sent, MailState::Rejected] {
            let row = LedgerRow { digest: "1:bb".to_owned(), ..row(state, 0) };
            assert_eq!(claim(Some(&row), &claimant(OnDoubt::Resend), later()), Claim::Conflict);
            assert_eq!(end(Some(&row), &claimant(OnDoubt::Resend), &Ending::Expired, later()), End::Conflict);
        }
    }

    #[test]
    fn a_claim_is_left_alone_until_its_lease_ends() {
        let row = row(MailState::Claimed, 0);
        assert_eq!(claim(Some(&row), &claimant(OnDoubt::Resend), time(NOW)), Claim::Busy);
        assert_eq!(end(Some(&row), &claimant(OnDoubt::Resend), &Ending::Expired, time(NOW)), End::Busy);
    }

    #[test]
    fn an_ended_lease_is_taken_over_once_and_only_to_resend() {
        let Claim::Take(taken) = claim(Some(&row(MailState::Claimed, 0)), &claimant(OnDoubt::Resend), later()) else {
            panic!("not taken");
        };
        assert_eq!((taken.attempts, taken.takeovers), (4, 1));
        for (takeovers, on_doubt) in [(1, OnDoubt::Resend), (0, OnDoubt::Hold)] {
            let Claim::Doubt(doubt) = claim(Some(&row(MailState::Claimed, takeovers)), &claimant(on_doubt), later())
            else {
                panic!("not in doubt");
            };
            assert_eq!((doubt.state, doubt.owner), (MailState::InDoubt, None));
        }
    }

    #[test]
    fn a_mail_of_which_a_copy_may_be_out_is_never_called_rejected() {
        for (takeovers, state) in [(0, MailState::Rejected), (1, MailState::InDoubt)] {
            assert_eq!(refused(&row(MailState::Claimed, takeovers), "x".to_owned(), later()).state, state);
            let End::Write(ended) =
                end(Some(&row(MailState::NotAccepted, takeovers)), &claimant(OnDoubt::Resend), &ending("x"), later())
            else {
                panic!("not ended");
            };
            assert_eq!(ended.state, state);
        }
        let lapsed = end(Some(&row(MailState::Claimed, 0)), &claimant(OnDoubt::Resend), &Ending::Expired, later());
        let End::Write(lapsed) = lapsed else { panic!("not ended") };
        assert_eq!(lapsed.state, MailState::InDoubt);
    }

    #[test]
    fn a_corrected_mail_may_have_the_id_of_one_that_was_never_understood() {
        let claimant = claimant(OnDoubt::Hold);
        let provider_id = claimant.provider_id.clone();
        let row =
            never_understood(provider_id, claimant.mail_id.clone(), "invalid:to".to_owned(), time(NOW), time(NOW));
        let Claim::Take(taken) = claim(Some(&row), &claimant, later()) else { panic!("not taken") };
        assert_eq!(taken.digest, "1:aa");
        assert_eq!(taken.reason, None);
        // And one that may not go out has a fate of its own.
        for (ending, state, reason) in [
            (ending("provider_revoked"), MailState::Rejected, "provider_revoked"),
            (Ending::Expired, MailState::Expired, "expired"),
        ] {
            let End::Write(ended) = end(Some(&row), &claimant, &ending, later()) else { panic!("not ended") };
            assert_eq!((ended.state, ended.reason.as_deref()), (state, Some(reason)));
            assert_eq!(ended.digest, "1:aa");
            assert_ne!(epoch(&ended), epoch(&row));
        }
    }

    #[test]
    fn a_row_lives_ninety_days_after_its_last_write() {
        let sent = accepted(&row(MailState::Claimed, 0), Some("id".to_owned()), later());
        assert_eq!(sent.expires_at, time("2027-02-21T10:02:00Z").as_second());
    }

    fn ending(reason: &str) -> Ending {
        Ending::Rejected(reason.to_owned())
    }
}
