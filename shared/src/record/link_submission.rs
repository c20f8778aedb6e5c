//! The latest submission on a link's page, a key or the wish to have the provider checked again: which of its checks have ended, so
//! that the page can show them while the others are made. It holds names, outcomes and evidence, and nothing that was typed.
//!
//! `onboarding#<link id>` / `submission`; it expires with the session that can read it.

use aws_sdk_dynamodb::types::AttributeValue;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::item::{expire, string, timestamp, to_item};
use super::item_update::ItemUpdate;
use super::onboarding_link_change::IF_LIVE;
use super::{Check, OnboardingLink, Providers, RecordError, VerificationReport, sweep_index};
use crate::id::{LinkId, VerificationId};
use crate::runtime::Ambient;

/// Submissions that one link takes. Whoever needs more than this asks the operator, who makes another link.
const MAX_SUBMISSIONS: u32 = 30;

/// How long a key counts as being worked on: longer than the function may run.
const KEY_WORKED_ON_FOR: SignedDuration = SignedDuration::from_secs(32);

/// How long a verification that was asked for does: it may have to wait for the schedule.
const VERIFICATION_WORKED_ON_FOR: SignedDuration = SignedDuration::from_mins(3);

/// How long the end of a verification is awaited: what has not ended by then is told of when the link's time is over.
const AWAITED_FOR: SignedDuration = SignedDuration::from_hours(1);

/// How long the item is kept: a link's session cannot read it any longer than that.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(8 * 24);

/// The latest submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LinkSubmission {
    /// Which one it is.
    pub submission: String,
    /// When it came in.
    pub submitted_at: Timestamp,
    /// Until when it counts as being worked on, in seconds since 1970; 0 once it has ended.
    pub busy_until: i64,
    /// The checks that have ended.
    pub checks: Vec<Check>,
    /// What came of it. Absent while it is worked on, and if the function was killed meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<SubmissionResult>,
    /// The verification that was asked for; absent for a key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verification_id: Option<VerificationId>,
}

/// What came of a submission.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmissionResult {
    /// `accepted`, `refused`, `undecided`, or what stood in the way: a word of the page's catalogue.
    pub word: String,
    /// The whole report, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<VerificationReport>,
    /// In how many seconds another try makes sense.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
}

/// What is submitted on a link's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SubmissionKind {
    /// A key.
    Key,
    /// The wish to have the provider checked again.
    Verification,
}

/// Whether a submission may be worked on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SubmissionBegun {
    /// It may. The text names it.
    Begun(String),
    /// Another one is being worked on.
    Busy,
    /// The link takes no more: it is completed, has ended, or has seen too many.
    Closed,
}

impl LinkSubmission {
    /// Sort key of a link's latest submission.
    pub const SK: &'static str = "submission";

    /// Whether it may still come to an end of which the link does not know.
    pub fn is_awaited(&self, now: Timestamp) -> bool {
        self.result.is_none() && now.duration_since(self.submitted_at) < AWAITED_FOR
    }

    /// Whether it is still worked on, as far as anybody can tell.
    pub fn is_running(&self, now: Timestamp) -> bool {
        self.result.is_none() && now.as_second() < self.busy_until
    }
}

impl Providers {
    /// Reads a link's latest submission, consistently.
    ///
    /// # Errors
    /// DynamoDB did not answer, or the item cannot be read.
    pub async fn link_submission(&self, link_id: &LinkId) -> Result<Option<LinkSubmission>, RecordError> {
        self.get(&OnboardingLink::pk(link_id), LinkSubmission::SK).await
    }

    /// Begins a submission, if no other is being worked on and the link takes one.
    ///
    /// # Errors
    /// DynamoDB did not answer: it may or may not have begun.
    pub async fn begin_link_submission(
        &self,
        link_id: &LinkId,
        kind: SubmissionKind,
        ambient: &Ambient,
    ) -> Result<SubmissionBegun, RecordError> {
        let (pk, now) = (OnboardingLink::pk(link_id), ambient.now());
        if self.link_submission(link_id).await?.is_some_and(|latest| latest.is_running(now)) {
            return Ok(SubmissionBegun::Busy);
        }
        let submission = ambient.ulid().to_string();
        let worked_on_for = match kind {
            SubmissionKind::Key => KEY_WORKED_ON_FOR,
            SubmissionKind::Verification => VERIFICATION_WORKED_ON_FOR,
        };
        let record = LinkSubmission {
            submission: submission.clone(),
            submitted_at: now,
            busy_until: now.saturating_add(worked_on_for).unwrap_or(now).as_second(),
            checks: Vec::new(),
            result: None,
            verification_id: None,
        };
        let mut item = to_item(&pk, LinkSubmission::SK, &record)?;
        expire(&mut item, now, KEPT_FOR);
        let now = AttributeValue::N(now.as_second().to_string());
        let put = self.put_if(item, Some("attribute_not_exists(pk) OR busy_until <= :now"), Some((":now", now)))?;
        let mut count = ItemUpdate::new(
            &pk,
            OnboardingLink::SK,
            "ADD submissions :one",
            format!("attribute_exists(pk) AND {IF_LIVE} AND submissions < :limit"),
        )
        .value(":one", AttributeValue::N("1".to_owned()))
        .value(":limit", AttributeValue::N(MAX_SUBMISSIONS.to_string()));
        // Nobody tells the link of a verification's end, and its page may be closed by then.
        if kind == SubmissionKind::Verification {
            count.expression.push_str(" SET sweep = :sweep, next_attempt_at = :look");
            let look = sweep_index::due_after(ambient.now());
            count = count.value(":sweep", string(sweep_index::LINKS)).value(":look", timestamp(look));
        }
        if self.is_committed(&pk, vec![put, self.update_in_transaction(count)?]).await? {
            return Ok(SubmissionBegun::Begun(submission));
        }
        let busy = self.link_submission(link_id).await?.is_some_and(|latest| latest.is_running(ambient.now()));
        Ok(if busy { SubmissionBegun::Busy } else { SubmissionBegun::Closed })
    }

    /// Records which checks of a submission have ended.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn record_link_checks(
        &self,
        link_id: &LinkId,
        submission: &str,
        checks: &[Check],
    ) -> Result<(), RecordError> {
        self.update(submission_update(link_id, submission, "SET checks = :checks", checks)?).await.map(drop)
    }

    /// Records which verification a submission has asked for.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn record_link_verification(
        &self,
        link_id: &LinkId,
        submission: &str,
        verification_id: &VerificationId,
    ) -> Result<(), RecordError> {
        let update =
            submission_update(link_id, submission, "SET checks = :checks, verification_id = :verification", &[])?;
        self.update(update.value(":verification", string(verification_id.as_str()))).await.map(drop)
    }

    /// Records what came of a submission, and counts a refusal. Returns whether this call did it: it is done once.
    ///
    /// # Errors
    /// DynamoDB did not answer.
    pub async fn end_link_submission(
        &self,
        link_id: &LinkId,
        submission: &str,
        checks: &[Check],
        result: &SubmissionResult,
        refused: bool,
    ) -> Result<bool, RecordError> {
        let pk = OnboardingLink::pk(link_id);
        let expression = "SET checks = :checks, #result = :result, busy_until = :ended";
        let result = serde_dynamo::to_attribute_value(result).map_err(|_| RecordError::Shape { pk: pk.clone() })?;
        let mut ended = submission_update(link_id, submission, expression, checks)?
            .name("#result", "result")
            .value(":result", result)
            .value(":ended", AttributeValue::N("0".to_owned()));
        ended.condition.push_str(" AND attribute_not_exists(#result)");
        let mut writes = vec![self.update_in_transaction(ended)?];
        if refused {
            let count = ItemUpdate::new(&pk, OnboardingLink::SK, "ADD refusals :one", "attribute_exists(pk)")
                .value(":one", AttributeValue::N("1".to_owned()));
            writes.push(self.update_in_transaction(count)?);
        }
        self.is_committed(&pk, writes).await
    }
}

/// An update of a submission, if it is still the latest one.
fn submission_update(
    link_id: &LinkId,
    submission: &str,
    expression: &str,
    checks: &[Check],
) -> Result<ItemUpdate, RecordError> {
    let pk = OnboardingLink::pk(link_id);
    let checks = serde_dynamo::to_attribute_value(checks).map_err(|_| RecordError::Shape { pk: pk.clone() })?;
    Ok(ItemUpdate::new(pk, LinkSubmission::SK, expression, "submission = :submission")
        .value(":checks", checks)
        .value(":submission", string(submission)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_submission_runs_until_it_has_a_result_or_its_worker_must_be_dead() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut latest = LinkSubmission {
            submission: "01ARZ3NDEKTSV4RRFFQ69G5FAV".to_owned(),
            submitted_at: at(0),
            busy_until: 32,
            checks: Vec::new(),
            result: None,
            verification_id: None,
        };
        assert!(latest.is_running(at(31)) && !latest.is_running(at(32)));
        assert!(latest.is_awaited(at(3_599)) && !latest.is_awaited(at(3_600)));
        latest.result = Some(SubmissionResult { word: "refused".to_owned(), report: None, retry_after_s: None });
        assert!(!latest.is_running(at(1)) && !latest.is_awaited(at(1)));
    }
}
