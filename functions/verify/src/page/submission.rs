//! A key that was pasted into the page: verified as one of `POST /providers`, or of a rotation, while the page looks on.

use std::time::Duration;

use shared::http::{Form, Problem, RequestLog};
use shared::id::{LinkId, ProviderId, RotationId};
use shared::record::{
    Check, LinkIntent, OnboardingLink, StatusName, SubmissionResult, VerificationOutcome, VerificationReport,
};
use shared::telemetry::{Event, chain};
use shared::tenant::Region;
use tokio::sync::mpsc::{self, UnboundedReceiver};
use tokio::time::timeout;

use super::step::paste::{FIND_REGION, offered_regions};
use super::step::result::plain_result;
use crate::Verify;
use crate::check::region::RegionChoice;
use crate::onboarding::{KeyHolder, OnboardingAttempt, OnboardingOutcome, read_pasted};
use crate::onboarding_link::onboarding_event;
use crate::report_builder::ReportBuilder;
use crate::rotation::{KeyReplacement, NotReplaceable, RotationOutcome};
use crate::route::DEFAULT_GRACE_S;
use crate::submission::{PastedText, Submission};
use crate::time_budget::TimeBudget;

/// How long the note about a check may take. The checks do not wait for it longer than that.
const NOTE_TIMEOUT: Duration = Duration::from_secs(1);

/// What became of a key.
enum PastedKeyOutcome {
    /// It was accepted, now or by an earlier request whose answer was lost.
    Accepted { provider_id: ProviderId, rotation_id: Option<RotationId>, report: Option<Box<VerificationReport>> },
    /// It was not.
    NotAccepted(Box<SubmissionResult>),
}

impl Verify {
    /// Verifies a pasted key, records each check as it ends and what came of it, and tells operators.
    ///
    /// # Errors
    /// 503 if our own account did not answer. The submission then has no result, which the page calls interrupted.
    pub(crate) async fn submit_on_page(
        &self,
        link: &OnboardingLink,
        submission: &str,
        form: Form,
        budget: TimeBudget,
        log: &mut RequestLog,
    ) -> Result<(), Problem> {
        let (watcher, watched) = mpsc::unbounded_channel();
        let report = ReportBuilder::watched(watcher);
        let trying = Box::pin(self.try_pasted(link, form, budget, report, log));
        let (outcome, seen) = tokio::join!(trying, self.note_checks(&link.link_id, submission, watched));
        let (outcome, result) = match outcome {
            Ok(PastedKeyOutcome::Accepted { provider_id, rotation_id, report }) => {
                let accepted =
                    SubmissionResult { report: report.map(|report| *report), ..plain_result("accepted", None) };
                (Ok(Some((provider_id, rotation_id))), accepted)
            }
            Ok(PastedKeyOutcome::NotAccepted(result)) => (Ok(None), *result),
            Err(problem) => (Err(problem), plain_result("interrupted", None)),
        };
        let checks = result.report.as_ref().map_or(seen, |report| report.checks.clone());
        if let Ok(Some((provider_id, rotation_id))) = &outcome {
            let completed = self.providers.complete_onboarding_link(
                &link.link_id,
                provider_id,
                rotation_id.as_ref(),
                &self.ambient,
            );
            budget_left(completed).await?;
        }
        let refused = result.word == VerificationOutcome::Refused.as_str();
        let ended = self.providers.end_link_submission(&link.link_id, submission, &checks, &result, refused);
        budget_left(ended).await?;
        match outcome? {
            Some(_) => self.tell_of_link(&link.link_id).await,
            None => {
                let (submissions, refusals) = (link.submissions + 1, link.refusals + u32::from(refused));
                let counted = OnboardingLink { submissions, refusals, ..link.clone() };
                self.tell_of_failure(&counted, &result).await;
                Ok(())
            }
        }
    }

    /// Tells operators that a submission did not complete its link.
    pub(super) async fn tell_of_failure(&self, link: &OnboardingLink, result: &SubmissionResult) {
        let mut event = onboarding_event(link);
        event.checks = result.report.iter().flat_map(at_fault).collect();
        event.reason = Some(result.word.clone());
        self.put_link_event(Event::OnboardingFailed(event)).await;
    }

    async fn try_pasted(
        &self,
        link: &OnboardingLink,
        mut form: Form,
        budget: TimeBudget,
        report: ReportBuilder,
        log: &mut RequestLog,
    ) -> Result<PastedKeyOutcome, Problem> {
        let pasted =
            (PastedText::new(form.take_field("access_key_id")), PastedText::new(form.take_field("secret_access_key")));
        match (link.purpose.intent, &link.purpose.provider_id) {
            (LinkIntent::Rotate | LinkIntent::Repair, Some(provider_id)) => {
                self.try_rotation(provider_id, pasted, budget, report, log).await
            }
            _ => {
                let chosen = region_of(link, &form.take_field("region"), &form.take_field("doubted_region"))?;
                self.try_provider(link, chosen, pasted, budget, report, log).await
            }
        }
    }

    async fn try_provider(
        &self,
        link: &OnboardingLink,
        (region, region_choice): (Region, RegionChoice),
        (access_key_id, secret_access_key): (PastedText, PastedText),
        budget: TimeBudget,
        mut report: ReportBuilder,
        log: &mut RequestLog,
    ) -> Result<PastedKeyOutcome, Problem> {
        let submission = Submission {
            tenant_id: link.purpose.tenant_id.clone(),
            name: link.purpose.name.clone(),
            region,
            consent_signed_by: None,
            configure_signed_by: None,
            canary: false,
            access_key_id,
            secret_access_key,
        };
        let Some(credential) = read_pasted(&submission, &mut report) else {
            return Ok(not_accepted(report.finish(self.ambient.now()), log));
        };
        log.access_key(&credential.access_key_id);
        let mut attempt =
            OnboardingAttempt { verify: self, submission, credential, region_choice, idempotent: None, budget };
        match attempt.run(report).await? {
            OnboardingOutcome::Onboarded(verified) => {
                log.outcome("onboarded");
                log.provider(&verified.provider.provider_id);
                Ok(PastedKeyOutcome::Accepted {
                    provider_id: verified.provider.provider_id,
                    rotation_id: None,
                    report: Some(Box::new(verified.report)),
                })
            }
            OnboardingOutcome::AlreadyOnboarded(KeyHolder::SameTenant(provider_id)) => {
                let provider = self.providers.provider(&provider_id).await?;
                let in_use = provider.is_some_and(|provider| {
                    matches!(provider.status.status, StatusName::Active | StatusName::Suspended)
                        && provider.access_key_id == attempt.credential.access_key_id
                });
                log.provider(&provider_id);
                if !in_use {
                    return Ok(plain("key_used", None, log));
                }
                log.outcome("already_onboarded");
                Ok(PastedKeyOutcome::Accepted { provider_id, rotation_id: None, report: None })
            }
            outcome => ended(outcome, log),
        }
    }

    async fn try_rotation(
        &self,
        provider_id: &ProviderId,
        pasted: (PastedText, PastedText),
        budget: TimeBudget,
        report: ReportBuilder,
        log: &mut RequestLog,
    ) -> Result<PastedKeyOutcome, Problem> {
        log.provider(provider_id);
        let verified = budget.call_own("read the provider", self.providers.verified_provider(provider_id)).await?;
        let verified = verified.ok_or_else(|| Problem::not_found("provider"))?;
        match self.replace_key(verified, pasted, DEFAULT_GRACE_S, budget, report, log).await? {
            KeyReplacement::NotReplaceable(NotReplaceable::RotationInProgress(_)) => {
                Ok(plain("rotation_in_progress", None, log))
            }
            KeyReplacement::NotReplaceable(NotReplaceable::Stopped(_)) => Ok(plain("provider_stopped", None, log)),
            KeyReplacement::Ended(outcome) => ended(outcome, log),
            KeyReplacement::Tried(RotationOutcome::Started(rotation, report)) => {
                log.outcome("rotation_started");
                let (provider_id, rotation_id) = (provider_id.clone(), Some(rotation.rotation_id.clone()));
                Ok(PastedKeyOutcome::Accepted { provider_id, rotation_id, report: Some(report) })
            }
            KeyReplacement::Tried(RotationOutcome::Refused(report)) => Ok(not_accepted(*report, log)),
            KeyReplacement::Tried(RotationOutcome::KeyTaken(holder)) => {
                ended(OnboardingOutcome::AlreadyOnboarded(holder), log)
            }
            KeyReplacement::Tried(RotationOutcome::OrderInProgress { retry_after_s }) => {
                Ok(plain("order_in_progress", Some(retry_after_s), log))
            }
            KeyReplacement::Tried(RotationOutcome::ProviderChanged) => Ok(plain("provider_changed", None, log)),
        }
    }

    /// Writes down which checks have ended, some at once if writing is slower than checking. A note that fails is only missed
    /// by the page. Returns the checks.
    async fn note_checks(
        &self,
        link_id: &LinkId,
        submission: &str,
        mut watched: UnboundedReceiver<Check>,
    ) -> Vec<Check> {
        let (mut checks, mut ended): (Vec<Check>, Vec<Check>) = (Vec::new(), Vec::new());
        while watched.recv_many(&mut ended, 32).await > 0 {
            for check in ended.drain(..) {
                checks.retain(|earlier| earlier.name != check.name);
                checks.push(check);
            }
            let note = self.providers.record_link_checks(link_id, submission, &checks);
            let error = match timeout(NOTE_TIMEOUT, note).await {
                Ok(Ok(())) => continue,
                Ok(Err(error)) => chain(&error),
                Err(elapsed) => elapsed.to_string(),
            };
            tracing::warn!(link_id = link_id.as_str(), error, "the page is not shown a check that has ended");
        }
        checks
    }
}

/// The last writes, which have the function's last seconds.
async fn budget_left<T>(write: impl Future<Output = Result<T, shared::record::RecordError>>) -> Result<T, Problem> {
    match timeout(NOTE_TIMEOUT, write).await {
        Ok(written) => written.map_err(Problem::from),
        Err(_) => Err(Problem::unavailable()),
    }
}

/// The Region to begin with, and what is known of it: the one that the link names, or one of those that it allows. `doubted` is the one
/// of which the page has said that nothing can send there.
fn region_of(link: &OnboardingLink, chosen: &str, doubted: &str) -> Result<(Region, RegionChoice), Problem> {
    if let [region] = link.purpose.regions.as_slice() {
        return Ok((*region, RegionChoice::Named));
    }
    let among = offered_regions(link);
    let unknown = || Problem::new(400, "The form names no Region of the link.");
    if chosen == FIND_REGION {
        return Ok((*among.first().ok_or_else(unknown)?, RegionChoice::Open { among }));
    }
    let region = among.iter().copied().find(|region| region.as_str() == chosen).ok_or_else(unknown)?;
    Ok((region, RegionChoice::Chosen { among, confirmed: doubted == chosen }))
}

fn not_accepted(report: VerificationReport, log: &mut RequestLog) -> PastedKeyOutcome {
    log.outcome(report.outcome.as_str());
    log.checks(&report.failed_checks(), &report.undecided_checks());
    let word = report.outcome.as_str();
    PastedKeyOutcome::NotAccepted(Box::new(SubmissionResult { report: Some(report), ..plain_result(word, None) }))
}

fn plain(word: &'static str, retry_after_s: Option<u64>, log: &mut RequestLog) -> PastedKeyOutcome {
    log.outcome(word);
    PastedKeyOutcome::NotAccepted(Box::new(plain_result(word, retry_after_s)))
}

/// The outcome of a key that was not stored.
fn ended(outcome: OnboardingOutcome, log: &mut RequestLog) -> Result<PastedKeyOutcome, Problem> {
    Ok(match outcome {
        OnboardingOutcome::Refused(report) => not_accepted(*report, log),
        OnboardingOutcome::TooManyAttempts { retry_after_s } => plain("too_many_attempts", Some(retry_after_s), log),
        OnboardingOutcome::OrderInProgress { retry_after_s } => plain("order_in_progress", Some(retry_after_s), log),
        OnboardingOutcome::AlreadyOnboarded(KeyHolder::OtherTenant) => plain("key_taken", None, log),
        OnboardingOutcome::AlreadyOnboarded(KeyHolder::SameTenant(provider_id)) => {
            log.provider(&provider_id);
            plain("key_used", None, log)
        }
        // Without an idempotency key there is no such answer, and what was stored was looked at before.
        OnboardingOutcome::Onboarded(_) | OnboardingOutcome::IdempotencyKeyUsed => return Err(Problem::internal()),
    })
}

/// The checks that kept a key from being accepted.
fn at_fault(report: &VerificationReport) -> Vec<&'static str> {
    match report.outcome {
        VerificationOutcome::Refused => report.failed_checks(),
        VerificationOutcome::Accepted | VerificationOutcome::Undecided => report.undecided_checks(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_region_is_named_by_the_link_chosen_confirmed_or_left_open() {
        let link = |regions: &[&str]| -> OnboardingLink {
            serde_json::from_value(json!({
                "link_id": "lnk_01KAQX5D8E3C9V7N2M4R6T8W0Y", "made_at": "2026-11-23T09:00:00Z", "made_by": "arn",
                "expires_at": "2026-11-24T09:00:00Z",
                "purpose": {"tenant_id": "acme", "name": "Main account", "intent": "connect", "regions": regions},
            }))
            .unwrap()
        };
        let two = ["eu-west-1", "us-east-1"];
        for (regions, chosen, doubted, expected) in [
            (&["eu-west-1"][..], "us-east-1", "", Some(("eu-west-1", "named"))),
            (&two, "us-east-1", "", Some(("us-east-1", "chosen"))),
            (&two, "us-east-1", "eu-west-1", Some(("us-east-1", "chosen"))),
            (&two, "us-east-1", "us-east-1", Some(("us-east-1", "confirmed"))),
            (&two, "find", "find", Some(("eu-west-1", "open"))),
            (&two, "eu-central-1", "", None),
            (&two, "", "", None),
            (&[], "eu-central-1", "", Some(("eu-central-1", "chosen"))),
            (&[], "find", "", Some((Region::all().next().unwrap().as_str(), "open"))),
            (&[], "mars-1", "", None),
        ] {
            let seen = region_of(&link(regions), chosen, doubted).ok().map(|(region, choice)| {
                let kind = match choice {
                    RegionChoice::Named => "named",
                    RegionChoice::Chosen { confirmed: false, .. } => "chosen",
                    RegionChoice::Chosen { confirmed: true, .. } => "confirmed",
                    RegionChoice::Open { .. } => "open",
                };
                (region.as_str(), kind)
            });
            assert_eq!(seen, expected, "{regions:?} {chosen} {doubted}");
        }
    }
}
