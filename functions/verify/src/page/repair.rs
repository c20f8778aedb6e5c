//! A provider that is checked again from the page: the verification is the one of `POST /providers/{provider_id}/verifications`, made by
//! `verify-worker`. Nothing tells the link of its end, so whoever looks at the link next completes it, or notes what is left to mend: its
//! page, or the schedule, for which the link is due from the moment it is asked for.

use shared::http::{Problem, RequestLog};
use shared::id::ProviderId;
use shared::record::{
    AskedVerification, LinkIntent, OnboardingLink, StatusName, SubmissionBegun, SubmissionKind, SubmissionResult,
    VerificationOutcome,
};

use super::step::result::plain_result;
use crate::Verify;

impl Verify {
    /// Has the provider verified, unless a check runs already, an order has stopped it, or the link takes no more.
    pub(crate) async fn verify_on_page(
        &self,
        link: &OnboardingLink,
        provider_id: &ProviderId,
        log: &mut RequestLog,
    ) -> Result<(), Problem> {
        log.provider(provider_id);
        let provider = self.providers.provider(provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        if provider.is_stopped() {
            log.outcome("stopped");
            return Ok(());
        }
        let link_id = &link.link_id;
        let begun = self.providers.begin_link_submission(link_id, SubmissionKind::Verification, &self.ambient).await?;
        let submission = match begun {
            SubmissionBegun::Begun(submission) => submission,
            SubmissionBegun::Busy => {
                log.outcome("busy");
                return Ok(());
            }
            SubmissionBegun::Closed => {
                log.outcome("closed");
                return Ok(());
            }
        };
        match self.ask_verification(provider_id, link_id.as_str(), log).await {
            Ok(asked) => Ok(self.providers.record_link_verification(link_id, &submission, &asked).await?),
            Err(problem) => {
                let interrupted = plain_result("interrupted", None);
                self.providers.end_link_submission(link_id, &submission, &[], &interrupted, false).await?;
                Err(problem)
            }
        }
    }

    /// Completes the link, or notes what is left to mend, if the verification that its page has asked for has ended. Returns
    /// whether it had.
    pub(crate) async fn settle_repair(&self, link: &OnboardingLink) -> Result<bool, Problem> {
        if link.purpose.intent != LinkIntent::Repair || link.completed_at.is_some() {
            return Ok(false);
        }
        let Some(latest) = self.providers.link_submission(&link.link_id).await? else { return Ok(false) };
        let (None, Some(provider_id)) = (&latest.result, &link.purpose.provider_id) else { return Ok(false) };
        let watch = self.providers.watch(provider_id).await?;
        // Killed between the wish and its note, the wish is the provider's latest.
        let verification_id =
            latest.verification_id.as_ref().or_else(|| watch.as_ref().and_then(|item| item.watch.latest.as_ref()));
        let Some(verification_id) = verification_id else { return Ok(false) };
        let asked = self.providers.asked_verification(provider_id, verification_id).await?;
        let is_its_own = |asked: &AskedVerification| {
            latest.verification_id.is_some()
                || asked.asked_by == link.link_id.as_str() && asked.asked_at >= latest.submitted_at
        };
        let asked = asked.filter(|asked| asked.finished_at.is_some() && is_its_own(asked));
        let Some(asked) = asked else { return Ok(false) };
        let word = outcome_word(&asked, watch.is_some_and(|item| item.watch.failing.is_some()));
        if word == VerificationOutcome::Accepted.as_str() {
            self.providers.complete_onboarding_link(&link.link_id, provider_id, None, &self.ambient).await?;
        }
        let result = SubmissionResult { report: asked.report, ..plain_result(word, None) };
        let checks = result.report.as_ref().map(|report| report.checks.as_slice()).unwrap_or_default();
        let refused = word == VerificationOutcome::Refused.as_str();
        let link_id = &link.link_id;
        if !self.providers.end_link_submission(link_id, &latest.submission, checks, &result, refused).await? {
            return Ok(true);
        }
        if word == VerificationOutcome::Accepted.as_str() {
            self.tell_of_link(link_id).await?;
        } else if let Some(link) = self.providers.onboarding_link(link_id).await? {
            self.tell_of_failure(&link, &result).await;
        }
        Ok(true)
    }
}

/// What a verification that has ended means for whoever asked for it on the page. `failing` is what the watch says since: a
/// pause of the account's sending is no fault of the key, and yet no mail goes out.
fn outcome_word(asked: &AskedVerification, failing: bool) -> &'static str {
    let Some(report) = &asked.report else { return "provider_stopped" };
    let is_active = asked.provider_status.as_ref().is_some_and(|status| status.status == StatusName::Active);
    match report.outcome {
        VerificationOutcome::Accepted if is_active && !failing => VerificationOutcome::Accepted.as_str(),
        VerificationOutcome::Undecided => VerificationOutcome::Undecided.as_str(),
        VerificationOutcome::Accepted | VerificationOutcome::Refused => VerificationOutcome::Refused.as_str(),
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use serde_json::json;
    use shared::record::{Check, CheckName};

    use super::*;
    use crate::report_builder::ReportBuilder;

    #[test]
    fn only_a_pass_after_which_mail_goes_out_is_mended() {
        let asked = |checks: Option<Vec<Check>>, status: &str| {
            let mut asked: AskedVerification = serde_json::from_value(json!({
                "verification_id": "vfy_01ARZ3NDEKTSV4RRFFQ69G5FAV", "asked_at": "2026-11-23T09:00:00Z",
                "asked_by": "lnk_01ARZ3NDEKTSV4RRFFQ69G5FAV", "finished_at": "2026-11-23T09:00:05Z",
                "provider_status": {"status": status},
            }))
            .unwrap();
            asked.report = checks.map(|checks| {
                let mut report = ReportBuilder::default().finish(Timestamp::UNIX_EPOCH);
                report.outcome = VerificationOutcome::from_checks(&checks);
                report.checks = checks;
                report
            });
            asked
        };
        let passed = || Some(vec![Check::passed(CheckName::Live, "x")]);
        let failed = || Some(vec![Check::failed(CheckName::Live, "x", "y")]);
        let unknown = || Some(vec![Check::unknown(CheckName::Live, "x", "y")]);
        for (checks, status, failing, word) in [
            (passed(), "active", false, "accepted"),
            (passed(), "active", true, "refused"),
            (passed(), "suspended", false, "refused"),
            (failed(), "active", true, "refused"),
            (failed(), "suspended", true, "refused"),
            (unknown(), "suspended", true, "undecided"),
            (unknown(), "active", false, "undecided"),
            (None, "revoking", false, "provider_stopped"),
        ] {
            assert_eq!(outcome_word(&asked(checks, status), failing), word, "{status} {failing}");
        }
    }
}
