//! What callers and operators do about a mail whose fate stands in the ledger: take it back, have it sent once more, list it.
//!
//! Each change is decided on the row as it was read ([`decide_cancel`], [`decide_resend`]) and written on the condition that it still is that
//! row, as `send` does it, so of a change and a claim one loses and decides again.

use jiff::Timestamp;
use serde::Serialize;

use super::item::{from_item, string};
use super::item_update::is_made;
use super::transaction::{back_off, contended};
use super::{Item, LedgerRow, MailState, Mails, RecordError, mail_pk};
use crate::id::{MailId, ProviderId, TenantId};
use crate::mail::{DigestMatch, Mail, compare, digest};
use crate::runtime::Ambient;

/// Attempts of a change, if `send` writes the row first.
const MAX_ATTEMPTS: u32 = 4;

/// The reason of a row whose mail was taken up again, until `send` claims it.
pub const RESENT: &str = "resent";

/// What taking a mail back has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailCancelled {
    /// Nothing of it is sent, now or later.
    Cancelled,
    /// It cannot be taken back: it is in this state, or, not accepted, a copy of it may be out.
    TooLate(MailState),
}

/// Which mails are to be sent once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResendFilter {
    /// The state in which they are: in doubt, rejected or expired.
    pub state: MailState,
    /// The reason of that state: a word, or a word and what is at fault.
    pub reason: Option<String>,
    /// Only those that got there by this time. It makes a repetition harmless: what was sent once more and got there again is later.
    pub until: Timestamp,
}

/// What having a mail sent once more has come to, before it is handed over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResendOutcome {
    /// `send` takes it as one that it has to send. It may be handed over any number of times.
    TakenUp,
    /// There is no such mail.
    Unknown,
    /// It is in another state, or has another reason.
    OtherState(MailState),
    /// It got into the state later than was asked for.
    Later,
    /// It is in doubt, and what was handed over is another mail.
    OtherContent,
}

/// What has to be written.
enum RowChange {
    Write(Box<LedgerRow>),
    Nothing,
}

/// A place in the list of the mails of a provider in a state.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MailPosition {
    updated_at: Timestamp,
    hash: String,
}

impl MailPosition {
    /// The position that a caller names; `None` if it is none.
    pub fn parse(text: &str) -> Option<Self> {
        let (updated_at, hash) = text.split_once('~')?;
        let is_hash =
            hash.len() == 64 && hash.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        Some(Self { updated_at: updated_at.parse().ok()?, hash: hash.to_owned() }).filter(|_| is_hash)
    }

    fn from_item(item: &Item) -> Option<Self> {
        let text = |name: &str| item.get(name)?.as_s().ok();
        Some(Self {
            updated_at: text("updated_at")?.parse().ok()?,
            hash: text("pk")?.strip_prefix("mail#")?.to_owned(),
        })
    }

    fn to_item(&self, listing: &str) -> Item {
        Item::from([
            ("pk".to_owned(), string(format!("mail#{}", self.hash))),
            ("sk".to_owned(), string("mail")),
            ("listing".to_owned(), string(listing)),
            ("updated_at".to_owned(), string(self.updated_at.to_string())),
        ])
    }
}

impl std::fmt::Display for MailPosition {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}~{}", self.updated_at, self.hash)
    }
}

impl Mails {
    /// Takes a mail back that has not been started: nothing of it is sent, whatever is handed over under its id. One that `send` has not
    /// seen yet too, or that is never handed over. It can be repeated.
    ///
    /// # Errors
    /// DynamoDB did not answer, or `send` wrote the row first every time: it may or may not be taken back.
    pub async fn cancel(
        &self,
        tenant_id: &TenantId,
        provider_id: &ProviderId,
        mail_id: &MailId,
        ambient: &Ambient,
    ) -> Result<MailCancelled, RecordError> {
        for round in 0..MAX_ATTEMPTS {
            let row = self.get(tenant_id, mail_id).await?;
            let now = ambient.now();
            let (change, cancelled) = match &row {
                Some(row) => decide_cancel(row, now),
                None => {
                    // What is handed over under its id later must not be sent.
                    let ids = (tenant_id.clone(), provider_id.clone(), mail_id.clone());
                    let row = LedgerRow::of_unread(ids, MailState::Cancelled, now, now);
                    (RowChange::Write(Box::new(row)), MailCancelled::Cancelled)
                }
            };
            if self.is_written(change, row.as_ref()).await? {
                return Ok(cancelled);
            }
            back_off(round, ambient).await;
        }
        Err(contended(mail_pk(tenant_id, mail_id)))
    }

    /// Has a mail sent once more, if it is one that the filter means: from then on `send` takes it, once it is handed over again. It can be
    /// repeated. Until `send` has claimed it, it stays in the list in which it was.
    ///
    /// # Errors
    /// DynamoDB did not answer, or `send` wrote the row first every time.
    pub async fn resend(
        &self,
        mail: &Mail,
        filter: &ResendFilter,
        ambient: &Ambient,
    ) -> Result<ResendOutcome, RecordError> {
        for round in 0..MAX_ATTEMPTS {
            let Some(row) = self.get(&mail.tenant_id, &mail.mail_id).await? else { return Ok(ResendOutcome::Unknown) };
            let (change, outcome) = decide_resend(&row, mail, filter, ambient.now());
            if self.is_written(change, Some(&row)).await? {
                return Ok(outcome);
            }
            back_off(round, ambient).await;
        }
        Err(contended(mail_pk(&mail.tenant_id, &mail.mail_id)))
    }

    /// Some of a provider's mails in a listed state after a position, those first that got there first, and the position of the last if
    /// there are more. From an index: what changed a moment ago may be missing.
    ///
    /// # Errors
    /// DynamoDB did not answer, or a row cannot be read.
    pub async fn list(
        &self,
        listing: &str,
        since: Option<Timestamp>,
        after: Option<&MailPosition>,
        limit: i32,
    ) -> Result<(Vec<LedgerRow>, Option<MailPosition>), RecordError> {
        // Without its end a time comes before itself with a fraction of a second.
        let since = since.map_or_else(String::new, |since| since.to_string().trim_end_matches('Z').to_owned());
        let condition =
            if since.is_empty() { "listing = :listing" } else { "listing = :listing AND updated_at >= :since" };
        let mut query = self
            .client
            .query()
            .table_name(&self.table)
            .index_name("listing")
            .key_condition_expression(condition)
            .expression_attribute_values(":listing", string(listing))
            .set_exclusive_start_key(after.map(|after| after.to_item(listing)))
            .limit(limit);
        if !since.is_empty() {
            query = query.expression_attribute_values(":since", string(since));
        }
        let answer = query.send().await.map_err(RecordError::dynamodb("Query", listing))?;
        let next = answer.last_evaluated_key.as_ref().and_then(MailPosition::from_item);
        let rows = answer.items.unwrap_or_default().into_iter().map(|item| from_item(listing, item));
        Ok((rows.collect::<Result<_, _>>()?, next))
    }

    /// Makes a change of a row that was read, or of none. Whether it was made; no change always is.
    async fn is_written(&self, change: RowChange, read: Option<&LedgerRow>) -> Result<bool, RecordError> {
        let RowChange::Write(row) = change else { return Ok(true) };
        let row = LedgerRow { expires_at: self.expiry(row.updated_at), ..*row };
        let pk = mail_pk(&row.tenant_id, &row.mail_id);
        is_made(self.put_row(&row, read)?.send().await, "PutItem", pk)
    }
}

/// Only a mail of which no copy is or may be out is taken back.
fn decide_cancel(row: &LedgerRow, now: Timestamp) -> (RowChange, MailCancelled) {
    match row.state {
        MailState::Cancelled => (RowChange::Nothing, MailCancelled::Cancelled),
        MailState::Waiting | MailState::NotAccepted if row.takeovers == 0 => {
            let row = LedgerRow {
                state: MailState::Cancelled,
                reason: None,
                eta: None,
                updated_at: now,
                listing: LedgerRow::listing_of(&row.provider_id, MailState::Cancelled),
                ..row.clone()
            };
            (RowChange::Write(Box::new(row)), MailCancelled::Cancelled)
        }
        state => (RowChange::Nothing, MailCancelled::TooLate(state)),
    }
}

/// A mail in doubt keeps that memory as a claim that was taken over: it leaves at most once more, and is never called rejected or
/// expired, because a copy may be out. One that was rejected or expired never left, so it may have other content now.
fn decide_resend(row: &LedgerRow, mail: &Mail, filter: &ResendFilter, now: Timestamp) -> (RowChange, ResendOutcome) {
    let digest = digest(mail);
    let not = |outcome| (RowChange::Nothing, outcome);
    if row.state == MailState::NotAccepted && row.reason.as_deref() == Some(RESENT) && row.digest == digest {
        return not(ResendOutcome::TakenUp);
    }
    let is_reason = |wanted: &str| {
        row.reason
            .as_deref()
            .is_some_and(|is| is == wanted || is.split_once(':').is_some_and(|(word, _)| word == wanted))
    };
    if row.state != filter.state || !filter.reason.as_deref().is_none_or(is_reason) {
        return not(ResendOutcome::OtherState(row.state));
    }
    if row.updated_at > filter.until {
        return not(ResendOutcome::Later);
    }
    let is_in_doubt = row.state == MailState::InDoubt;
    if is_in_doubt && compare(&row.digest, &digest) == DigestMatch::Other {
        return not(ResendOutcome::OtherContent);
    }
    let taken_up = LedgerRow {
        state: MailState::NotAccepted,
        reason: Some(RESENT.to_owned()),
        provider_id: mail.provider_id.clone(),
        digest,
        first_seen: mail.first_seen,
        updated_at: now,
        takeovers: if is_in_doubt { row.takeovers.max(1) } else { row.takeovers },
        listing: row.listing.clone(),
        ..row.clone()
    };
    (RowChange::Write(Box::new(taken_up)), ResendOutcome::TakenUp)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::mail::{sample, sample_with, time};

    const STATES: [MailState; 8] = [
        MailState::Waiting,
        MailState::Claimed,
        MailState::NotAccepted,
        MailState::Sent,
        MailState::Rejected,
        MailState::InDoubt,
        MailState::Expired,
        MailState::Cancelled,
    ];

    fn row(state: MailState, takeovers: u32) -> LedgerRow {
        let (mail, now) = (sample(), time("2026-11-23T10:00:00Z"));
        let ids = (mail.tenant_id.clone(), mail.provider_id.clone(), mail.mail_id.clone());
        LedgerRow {
            digest: digest(&mail),
            attempts: 2,
            takeovers,
            reason: Some("bad_request:tag".to_owned()),
            ..LedgerRow::of_unread(ids, state, now, now)
        }
    }

    fn written(change: RowChange) -> Option<LedgerRow> {
        match change {
            RowChange::Write(row) => Some(*row),
            RowChange::Nothing => None,
        }
    }

    #[test]
    fn only_a_mail_of_which_no_copy_may_be_out_is_taken_back() {
        let now = time("2026-11-24T10:00:00Z");
        for state in STATES {
            for takeovers in [0, 1] {
                let (change, cancelled) = decide_cancel(&row(state, takeovers), now);
                let row = written(change);
                match (state, takeovers) {
                    (MailState::Waiting | MailState::NotAccepted, 0) => {
                        let row = row.unwrap();
                        assert_eq!((cancelled, row.state), (MailCancelled::Cancelled, MailState::Cancelled));
                        assert!(row.listing.unwrap().ends_with("#cancelled"));
                    }
                    (MailState::Cancelled, _) => assert_eq!((cancelled, row), (MailCancelled::Cancelled, None)),
                    _ => assert_eq!((cancelled, row), (MailCancelled::TooLate(state), None)),
                }
            }
        }
    }

    #[test]
    fn only_mails_in_the_state_and_of_the_time_that_were_asked_for_are_sent_once_more() {
        let (mail, now) = (sample(), time("2026-11-24T10:00:00Z"));
        for wanted in [MailState::InDoubt, MailState::Rejected, MailState::Expired] {
            let filter = ResendFilter { state: wanted, reason: None, until: time("2026-11-23T12:00:00Z") };
            for state in STATES {
                let (change, outcome) = decide_resend(&row(state, 0), &mail, &filter, now);
                if state == wanted {
                    let taken_up = written(change).unwrap();
                    assert_eq!((outcome, taken_up.state), (ResendOutcome::TakenUp, MailState::NotAccepted));
                    // Who missed it is known until `send` has it.
                    assert_eq!(taken_up.listing, row(state, 0).listing);
                    // Repeated, it is handed over again and nothing is written.
                    let (again, outcome) = decide_resend(&taken_up, &mail, &filter, now);
                    assert_eq!((written(again), outcome), (None, ResendOutcome::TakenUp));
                    // In the state once more, it is left alone.
                    let later = LedgerRow { updated_at: now, ..row(state, 1) };
                    assert_eq!(decide_resend(&later, &mail, &filter, now).1, ResendOutcome::Later);
                } else {
                    assert_eq!((written(change), outcome), (None, ResendOutcome::OtherState(state)));
                }
            }
        }
    }

    #[test]
    fn a_reason_is_a_word_or_a_word_and_what_is_at_fault() {
        let (mail, now) = (sample(), time("2026-11-24T10:00:00Z"));
        for (reason, is_meant) in [("bad_request", true), ("bad_request:tag", true), ("bad", false), ("tag", false)] {
            let filter = ResendFilter { state: MailState::Rejected, reason: Some(reason.to_owned()), until: now };
            let (change, _) = decide_resend(&row(MailState::Rejected, 0), &mail, &filter, now);
            assert_eq!(written(change).is_some(), is_meant, "{reason}");
        }
    }

    #[test]
    fn a_mail_in_doubt_leaves_once_more_with_the_same_content_and_what_never_left_may_be_corrected() {
        let now = time("2026-11-24T10:00:00Z");
        let other = sample_with(serde_json::json!({"text": "Corrected"}));
        for (state, takeovers, same, corrected) in [
            (MailState::InDoubt, 0, Some(1), None),
            (MailState::InDoubt, 1, Some(1), None),
            (MailState::Rejected, 0, Some(0), Some(0)),
            (MailState::Expired, 0, Some(0), Some(0)),
        ] {
            let filter = ResendFilter { state, reason: None, until: now };
            for (mail, expected) in [(&sample(), same), (&other, corrected)] {
                let (change, outcome) = decide_resend(&row(state, takeovers), mail, &filter, now);
                let taken_up = written(change);
                assert_eq!(taken_up.as_ref().map(|row| row.takeovers), expected, "{state:?}");
                assert_eq!(outcome == ResendOutcome::OtherContent, expected.is_none(), "{state:?}");
                assert!(taken_up.is_none_or(|row| row.digest == digest(mail)));
            }
        }
    }

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let position = MailPosition { updated_at: time("2026-11-23T10:00:00.5Z"), hash: "0a".repeat(32) };
        assert_eq!(MailPosition::parse(&position.to_string()), Some(position.clone()));
        assert_eq!(MailPosition::from_item(&position.to_item("prv#rejected")), Some(position));
        for wrong in
            ["", "~", "2026-11-23T10:00:00Z", "2026-11-23T10:00:00Z~0A", &format!("yesterday~{}", "0a".repeat(32))]
        {
            assert_eq!(MailPosition::parse(wrong), None, "{wrong}");
        }
    }
}
