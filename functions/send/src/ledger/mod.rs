//! The ledger: what may be done about a mail, given its row. Pure; [`table`] does the writing.
//!
//! A claim is written before the request to SES and its result after, so a row always tells whether SES may have the mail:
//! `claimed` past its lease means that a worker died in between, and then it cannot be known. Every transition is written
//! on the condition that the row is still the one that it was decided on ([`epoch`]), so one of two workers loses, reads
//! the other's row and decides again.
//!
//! At most two copies leave with `on_doubt: resend`, at most one with `hold`: a mail can only be claimed after at most one
//! doubtful claim (`takeovers`), and the write that takes a doubtful claim over also counts it.

#[cfg(test)]
mod model;
mod table;

use jiff::Timestamp;
use shared::id::{MailId, ProviderId, TenantId};
use shared::mail::{DigestMatch, OnDoubt, UNPARSED_DIGEST, compare};
use shared::record::{LedgerRow, MailState};

use crate::rejection::{RejectionCode, RejectionReason};
use crate::settle::Settlement;

pub(crate) use table::{Ledger, RowWrite};

/// The TTL is set where a row is written: how long it lives is the operator's to say.
const TTL_WHEN_WRITTEN: i64 = 0;

/// How many doubtful claims may be taken over: the mail is sent once more and no more.
const MAX_TAKEOVERS: u32 = 1;

/// A delivery of a mail, as its row sees it.
#[derive(Clone)]
pub(crate) struct Claimant {
    /// The tenant.
    pub(crate) tenant_id: TenantId,
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
    /// A name of this delivery alone: invocation, place in the batch, message.
    pub(crate) owner: String,
    /// When a claim of this delivery ends: after the end of the invocation, so that no live worker loses its claim.
    pub(crate) lease_until: Timestamp,
}

/// What has to happen before a mail may be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ClaimDecision {
    /// Write this row; then the mail may be sent.
    Take(LedgerRow),
    /// The row has the mail's final state: acknowledge the message.
    Settled,
    /// Another delivery is sending the mail.
    Held,
    /// The id belongs to a mail with other content, whose row does not change.
    Conflict,
    /// Publish that the mail is in doubt, then write this row.
    Doubt(LedgerRow),
}

/// Why a mail will not be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndReason {
    /// It can never be sent.
    Rejected(RejectionCode),
    /// It has expired.
    Expired,
}

/// What has to happen to end a mail without sending it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum EndDecision {
    /// Publish the row's state, then write the row.
    Write(Box<LedgerRow>),
    /// The row has the mail's final state.
    Settled,
    /// Another delivery is sending the mail.
    Held,
    /// The id belongs to a mail with other content, whose row does not change.
    Conflict,
}

/// What has to happen to record an acceptance late.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SettleDecision {
    /// Write this row.
    Write(Box<LedgerRow>),
    /// The row says already that SES accepted the mail.
    Settled,
    /// The row is that of a mail with other content.
    Conflict,
}

/// Decides whether a mail may be claimed.
pub(crate) fn decide_claim(row: Option<&LedgerRow>, claimant: &Claimant, now: Timestamp) -> ClaimDecision {
    let Some(row) = row else {
        return ClaimDecision::Take(claimed_row(claimant, 1, 0, now));
    };
    if is_unparsed(row) {
        return ClaimDecision::Take(claimed_row(claimant, row.attempts + 1, 0, now));
    }
    if row.state == MailState::Cancelled {
        return ClaimDecision::Settled;
    }
    if compare(&row.digest, &claimant.digest) == DigestMatch::Other {
        return ClaimDecision::Conflict;
    }
    match row.state {
        MailState::Rejected if may_be_tried_again(row) => {
            ClaimDecision::Take(claimed_row(claimant, row.attempts + 1, row.takeovers, now))
        }
        MailState::Sent | MailState::Rejected | MailState::InDoubt | MailState::Expired | MailState::Cancelled => {
            ClaimDecision::Settled
        }
        MailState::Waiting | MailState::NotAccepted => {
            ClaimDecision::Take(claimed_row(claimant, row.attempts + 1, row.takeovers, now))
        }
        MailState::Claimed if is_live(row, now) => ClaimDecision::Held,
        MailState::Claimed if claimant.on_doubt == OnDoubt::Resend && row.takeovers < MAX_TAKEOVERS => {
            ClaimDecision::Take(claimed_row(claimant, row.attempts + 1, row.takeovers + 1, now))
        }
        MailState::Claimed => ClaimDecision::Doubt(in_doubt_row(row, "lease_ended", now)),
    }
}

/// Decides how a mail ends that will not be sent.
pub(crate) fn decide_end(
    row: Option<&LedgerRow>,
    claimant: &Claimant,
    reason: &EndReason,
    now: Timestamp,
) -> EndDecision {
    let Some(row) = row else {
        return EndDecision::Write(Box::new(ended_row(&claimed_row(claimant, 0, 0, now), reason, now)));
    };
    if is_unparsed(row) {
        return EndDecision::Write(Box::new(ended_row(&claimed_row(claimant, row.attempts + 1, 0, now), reason, now)));
    }
    if row.state == MailState::Cancelled {
        return EndDecision::Settled;
    }
    if compare(&row.digest, &claimant.digest) == DigestMatch::Other {
        return EndDecision::Conflict;
    }
    match row.state {
        // A mail that was handed over again has an end of its own.
        MailState::Rejected if may_be_tried_again(row) => EndDecision::Write(Box::new(ended_row(
            &LedgerRow { attempts: row.attempts + 1, ..row.clone() },
            reason,
            now,
        ))),
        MailState::Sent | MailState::Rejected | MailState::InDoubt | MailState::Expired | MailState::Cancelled => {
            EndDecision::Settled
        }
        MailState::Claimed if is_live(row, now) => EndDecision::Held,
        MailState::Claimed => EndDecision::Write(Box::new(in_doubt_row(row, "lease_ended", now))),
        MailState::Waiting | MailState::NotAccepted => EndDecision::Write(Box::new(ended_row(row, reason, now))),
    }
}

/// Decides what an acceptance that could not be recorded in time makes of the row. SES has the mail, so whatever was written
/// meanwhile was said without knowing that: a claim that another delivery took over, a doubt, an end.
pub(crate) fn decide_settle(row: Option<&LedgerRow>, settlement: &Settlement, now: Timestamp) -> SettleDecision {
    let Some(row) = row else {
        return SettleDecision::Write(Box::new(settled_row(settlement, now)));
    };
    if row.digest != UNPARSED_DIGEST && compare(&row.digest, &settlement.digest) == DigestMatch::Other {
        return SettleDecision::Conflict;
    }
    if row.state == MailState::Sent {
        return SettleDecision::Settled;
    }
    let (attempts, takeovers) = (row.attempts.max(settlement.attempts), row.takeovers.max(settlement.takeovers));
    SettleDecision::Write(Box::new(LedgerRow { attempts, takeovers, ..settled_row(settlement, now) }))
}

/// Whether a mail may still be tried without the risk that a second copy, or the only one, ends in doubt.
pub(crate) fn is_untried(row: Option<&LedgerRow>) -> bool {
    row.is_none_or(|row| {
        row.takeovers == 0 && matches!(row.state, MailState::Waiting | MailState::NotAccepted | MailState::Rejected)
    })
}

/// The row of a message that could not be parsed. Only written if there is none.
pub(crate) fn unparsed_row(
    tenant_id: TenantId,
    provider_id: ProviderId,
    mail_id: MailId,
    code: RejectionCode,
    first_seen: Timestamp,
    now: Timestamp,
) -> LedgerRow {
    let row = LedgerRow::of_unread((tenant_id, provider_id, mail_id), MailState::Rejected, first_seen, now);
    LedgerRow { reason: Some(code.into()), ..row }
}

/// The row after SES accepted the mail.
pub(crate) fn sent_row(row: &LedgerRow, ses_message_id: Option<String>, now: Timestamp) -> LedgerRow {
    LedgerRow { ses_message_id, ..unclaimed_row(row, MailState::Sent, None, now) }
}

/// The row after proof that SES did not accept the mail, which will be tried again.
pub(crate) fn not_accepted_row(row: &LedgerRow, reason: &str, now: Timestamp) -> LedgerRow {
    unclaimed_row(row, MailState::NotAccepted, Some(reason.to_owned()), now)
}

/// The row of a mail that SES did not accept and that waits for something that takes its time.
pub(crate) fn waiting_row(row: &LedgerRow, reason: &str, eta: Timestamp, now: Timestamp) -> LedgerRow {
    LedgerRow { eta: Some(eta), ..unclaimed_row(row, MailState::Waiting, Some(reason.to_owned()), now) }
}

/// The row after SES refused the mail for good.
pub(crate) fn rejected_row(row: &LedgerRow, code: RejectionCode, now: Timestamp) -> LedgerRow {
    ended_row(row, &EndReason::Rejected(code), now)
}

/// The row if SES may or may not have accepted the mail: either the mail ends in doubt, or the claim ends now, so that the
/// next delivery can take it over.
pub(crate) fn doubtful_row(row: &LedgerRow, on_doubt: OnDoubt, now: Timestamp) -> LedgerRow {
    if on_doubt == OnDoubt::Resend && row.takeovers < MAX_TAKEOVERS {
        LedgerRow { lease_until: Some(now), updated_at: now, ..row.clone() }
    } else {
        in_doubt_row(row, "no_answer", now)
    }
}

fn settled_row(settlement: &Settlement, now: Timestamp) -> LedgerRow {
    LedgerRow {
        tenant_id: settlement.tenant_id.clone(),
        provider_id: settlement.provider_id.clone(),
        mail_id: settlement.mail_id.clone(),
        state: MailState::Sent,
        digest: settlement.digest.clone(),
        first_seen: settlement.first_seen,
        updated_at: now,
        attempts: settlement.attempts,
        takeovers: settlement.takeovers,
        owner: None,
        lease_until: None,
        ses_message_id: settlement.ses_message_id.clone(),
        reason: None,
        eta: None,
        listing: None,
        expires_at: TTL_WHEN_WRITTEN,
    }
}

fn claimed_row(claimant: &Claimant, attempts: u32, takeovers: u32, now: Timestamp) -> LedgerRow {
    LedgerRow {
        tenant_id: claimant.tenant_id.clone(),
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
        eta: None,
        listing: None,
        expires_at: TTL_WHEN_WRITTEN,
    }
}

/// A mail of which SES may have accepted a copy must not be called rejected or expired.
fn ended_row(row: &LedgerRow, reason: &EndReason, now: Timestamp) -> LedgerRow {
    let (state, reason) = match reason {
        EndReason::Rejected(code) => (MailState::Rejected, Some(code.clone().into())),
        EndReason::Expired => (MailState::Expired, Some("expired".to_owned())),
    };
    let state = if row.takeovers > 0 { MailState::InDoubt } else { state };
    unclaimed_row(row, state, reason, now)
}

fn in_doubt_row(row: &LedgerRow, reason: &str, now: Timestamp) -> LedgerRow {
    unclaimed_row(row, MailState::InDoubt, Some(reason.to_owned()), now)
}

fn unclaimed_row(row: &LedgerRow, state: MailState, reason: Option<String>, now: Timestamp) -> LedgerRow {
    LedgerRow {
        state,
        reason,
        owner: None,
        lease_until: None,
        eta: None,
        listing: LedgerRow::listing_of(&row.provider_id, state),
        updated_at: now,
        ..row.clone()
    }
}

/// Nothing was sent for a message that could not be parsed: a corrected one may have its id.
fn is_unparsed(row: &LedgerRow) -> bool {
    row.state == MailState::Rejected && row.digest == UNPARSED_DIGEST
}

/// Whether the mail was rejected for something that can be mended without changing the mail: our own fault, or the tenant's
/// account. Handed over again, or moved back from the dead-letter queue, it is handled as if it were new. SES did not accept
/// it, or the row would be in doubt.
fn may_be_tried_again(row: &LedgerRow) -> bool {
    const MENDABLE: [RejectionReason; 8] = [
        RejectionReason::GivenUp,
        RejectionReason::PermissionMissing,
        RejectionReason::IdentityNotVerified,
        RejectionReason::SandboxRecipient,
        RejectionReason::MailFromNotVerified,
        RejectionReason::NotFound,
        RejectionReason::FileMissing,
        RejectionReason::FileTooLarge,
    ];
    let word = row.reason.as_deref().unwrap_or_default();
    let word = word.split_once(':').map_or(word, |(word, _)| word);
    row.state == MailState::Rejected && MENDABLE.iter().any(|reason| reason.as_str() == word)
}

/// Whether a claim's lease has not ended. A claim without a lease has ended.
fn is_live(row: &LedgerRow, now: Timestamp) -> bool {
    row.lease_until.is_some_and(|lease_until| lease_until > now)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::time;
    use crate::rejection::RejectionReason;

    const NOW: &str = "2026-11-23T10:00:00Z";

    fn claimant(on_doubt: OnDoubt) -> Claimant {
        Claimant {
            tenant_id: TenantId::parse("acme").unwrap(),
            provider_id: ProviderId::parse("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV").unwrap(),
            mail_id: MailId::parse("m").unwrap(),
            digest: "2:aa".to_owned(),
            first_seen: time(NOW),
            on_doubt,
            owner: "me".to_owned(),
            lease_until: time("2026-11-23T10:00:25Z"),
        }
    }

    fn row(state: MailState, takeovers: u32) -> LedgerRow {
        LedgerRow { state, ..claimed_row(&claimant(OnDoubt::Resend), 3, takeovers, time(NOW)) }
    }

    fn later() -> Timestamp {
        time("2026-11-23T10:02:00Z")
    }

    #[test]
    fn a_settled_mail_is_acknowledged_and_never_sent() {
        for state in [MailState::Sent, MailState::Rejected, MailState::InDoubt, MailState::Expired] {
            let row = row(state, 0);
            assert_eq!(decide_claim(Some(&row), &claimant(OnDoubt::Resend), later()), ClaimDecision::Settled);
            assert_eq!(
                decide_end(Some(&row), &claimant(OnDoubt::Resend), &EndReason::Expired, later()),
                EndDecision::Settled
            );
        }
    }

    #[test]
    fn other_content_does_not_change_the_row_whatever_its_state() {
        for state in [MailState::Claimed, MailState::NotAccepted, MailState::Sent, MailState::Rejected] {
            let row = LedgerRow { digest: "2:bb".to_owned(), ..row(state, 0) };
            assert_eq!(decide_claim(Some(&row), &claimant(OnDoubt::Resend), later()), ClaimDecision::Conflict);
            assert_eq!(
                decide_end(Some(&row), &claimant(OnDoubt::Resend), &EndReason::Expired, later()),
                EndDecision::Conflict
            );
        }
    }

    #[test]
    fn a_mail_that_was_cancelled_is_not_sent_whatever_its_content() {
        let row = LedgerRow { digest: UNPARSED_DIGEST.to_owned(), ..row(MailState::Cancelled, 0) };
        for on_doubt in [OnDoubt::Resend, OnDoubt::Hold] {
            assert_eq!(decide_claim(Some(&row), &claimant(on_doubt), later()), ClaimDecision::Settled);
            assert_eq!(decide_end(Some(&row), &claimant(on_doubt), &EndReason::Expired, later()), EndDecision::Settled);
        }
    }

    #[test]
    fn a_mail_that_waits_is_claimed_as_one_that_nobody_has_tried() {
        let row = LedgerRow { attempts: 0, eta: Some(later()), ..row(MailState::Waiting, 0) };
        let ClaimDecision::Take(taken) = decide_claim(Some(&row), &claimant(OnDoubt::Hold), later()) else {
            panic!("not taken");
        };
        assert_eq!((taken.state, taken.attempts, taken.takeovers, taken.eta), (MailState::Claimed, 1, 0, None));
    }

    #[test]
    fn a_claim_is_left_alone_until_its_lease_ends() {
        let row = row(MailState::Claimed, 0);
        assert_eq!(decide_claim(Some(&row), &claimant(OnDoubt::Resend), time(NOW)), ClaimDecision::Held);
        assert_eq!(
            decide_end(Some(&row), &claimant(OnDoubt::Resend), &EndReason::Expired, time(NOW)),
            EndDecision::Held
        );
    }

    #[test]
    fn an_ended_lease_is_taken_over_once_and_only_to_resend() {
        let ClaimDecision::Take(taken) =
            decide_claim(Some(&row(MailState::Claimed, 0)), &claimant(OnDoubt::Resend), later())
        else {
            panic!("not taken");
        };
        assert_eq!((taken.attempts, taken.takeovers), (4, 1));
        for (takeovers, on_doubt) in [(1, OnDoubt::Resend), (0, OnDoubt::Hold)] {
            let ClaimDecision::Doubt(doubt) =
                decide_claim(Some(&row(MailState::Claimed, takeovers)), &claimant(on_doubt), later())
            else {
                panic!("not in doubt");
            };
            assert_eq!((doubt.state, doubt.owner), (MailState::InDoubt, None));
        }
    }

    #[test]
    fn a_mail_of_which_a_copy_may_be_out_is_never_called_rejected() {
        for (takeovers, state) in [(0, MailState::Rejected), (1, MailState::InDoubt)] {
            assert_eq!(
                rejected_row(&row(MailState::Claimed, takeovers), RejectionReason::BadRequest.into(), later()).state,
                state
            );
            let EndDecision::Write(ended) = decide_end(
                Some(&row(MailState::NotAccepted, takeovers)),
                &claimant(OnDoubt::Resend),
                &rejected(RejectionReason::BadRequest),
                later(),
            ) else {
                panic!("not ended");
            };
            assert_eq!(ended.state, state);
        }
        let lapsed =
            decide_end(Some(&row(MailState::Claimed, 0)), &claimant(OnDoubt::Resend), &EndReason::Expired, later());
        let EndDecision::Write(lapsed) = lapsed else { panic!("not ended") };
        assert_eq!(lapsed.state, MailState::InDoubt);
    }

    #[test]
    fn a_corrected_mail_may_have_the_id_of_one_that_could_not_be_parsed() {
        let claimant = claimant(OnDoubt::Hold);
        let provider_id = claimant.provider_id.clone();
        let code = RejectionCode::new(RejectionReason::Invalid, "to");
        let row =
            unparsed_row(claimant.tenant_id.clone(), provider_id, claimant.mail_id.clone(), code, time(NOW), time(NOW));
        let ClaimDecision::Take(taken) = decide_claim(Some(&row), &claimant, later()) else { panic!("not taken") };
        assert_eq!(taken.digest, "2:aa");
        assert_eq!(taken.reason, None);
        // And one that may not go out ends in a state of its own.
        for (end_reason, state, word) in [
            (rejected(RejectionReason::ProviderRevoked), MailState::Rejected, "provider_revoked"),
            (EndReason::Expired, MailState::Expired, "expired"),
        ] {
            let EndDecision::Write(ended) = decide_end(Some(&row), &claimant, &end_reason, later()) else {
                panic!("not ended")
            };
            assert_eq!((ended.state, ended.reason.as_deref()), (state, Some(word)));
            assert_eq!(ended.digest, "2:aa");
            assert_ne!(ended.epoch(), row.epoch());
        }
    }

    #[test]
    fn a_mail_that_was_rejected_for_what_can_be_mended_may_be_handed_over_again() {
        for (reason, is_tried) in [
            ("given_up:body", true),
            ("permission_missing:arn:aws:ses:eu-central-1:1:identity/example.com", true),
            ("identity_not_verified", true),
            ("sandbox_recipient", true),
            ("mail_from_not_verified", true),
            ("not_found:configuration_set", true),
            ("bad_request", false),
            ("message_rejected", false),
            ("provider_revoked", false),
            ("invalid:to", false),
        ] {
            let row = LedgerRow { reason: Some(reason.to_owned()), ..row(MailState::Rejected, 0) };
            let claim = decide_claim(Some(&row), &claimant(OnDoubt::Resend), later());
            assert_eq!(matches!(claim, ClaimDecision::Take(ref taken) if taken.attempts == 4), is_tried, "{reason}");
            assert_eq!(claim == ClaimDecision::Settled, !is_tried, "{reason}");
            let end = decide_end(Some(&row), &claimant(OnDoubt::Resend), &EndReason::Expired, later());
            match end {
                EndDecision::Write(ended) if is_tried => {
                    assert_eq!(ended.state, MailState::Expired);
                    assert_ne!(ended.epoch(), row.epoch());
                }
                end => assert_eq!((end, is_tried), (EndDecision::Settled, false), "{reason}"),
            }
        }
    }

    #[test]
    fn an_acceptance_that_is_recorded_late_is_true_whatever_was_written_meanwhile() {
        let settlement = Settlement {
            tenant_id: TenantId::parse("acme").unwrap(),
            provider_id: claimant(OnDoubt::Hold).provider_id,
            mail_id: claimant(OnDoubt::Hold).mail_id,
            digest: "2:aa".to_owned(),
            first_seen: time(NOW),
            attempts: 3,
            takeovers: 0,
            ses_message_id: Some("id".to_owned()),
            at: time(NOW),
        };
        let states =
            [MailState::Claimed, MailState::NotAccepted, MailState::InDoubt, MailState::Rejected, MailState::Expired];
        for state in states {
            let stored = LedgerRow { attempts: 4, ..row(state, 1) };
            let SettleDecision::Write(sent) = decide_settle(Some(&stored), &settlement, later()) else {
                panic!("{state:?}")
            };
            assert_eq!((sent.state, sent.attempts, sent.takeovers), (MailState::Sent, 4, 1));
            assert_eq!(decide_settle(Some(&sent), &settlement, later()), SettleDecision::Settled);
            assert_eq!(decide_claim(Some(&sent), &claimant(OnDoubt::Resend), later()), ClaimDecision::Settled);
        }
        let SettleDecision::Write(sent) = decide_settle(None, &settlement, later()) else { panic!("not written") };
        assert_eq!(sent.ses_message_id.as_deref(), Some("id"));
        let other = LedgerRow { digest: "2:bb".to_owned(), ..row(MailState::Claimed, 0) };
        assert_eq!(decide_settle(Some(&other), &settlement, later()), SettleDecision::Conflict);
    }

    fn rejected(reason: RejectionReason) -> EndReason {
        EndReason::Rejected(reason.into())
    }
}
