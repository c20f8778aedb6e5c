//! `POST /providers`: from what a tenant pasted to a provider, or to a report that says why not.

use http::{HeaderName, HeaderValue};
use shared::http::{Problem, Request, RequestLog, Response, respond};
use shared::record::{VerificationOutcome, VerificationReport};

use crate::Verify;
use crate::check::region::RegionChoice;
use crate::idempotency::{IdempotencyKey, IdempotentRequest};
use crate::onboarding::{KeyHolder, OnboardingAttempt, OnboardingOutcome, read_pasted};
use crate::provider_view::ProviderView;
use crate::report_builder::ReportBuilder;
use crate::submission::Submission;
use crate::time_budget::TimeBudget;

/// `Retry-After` of an undecided verification, in seconds.
const UNDECIDED_RETRY_AFTER_S: u64 = 30;

/// Set on the response to an earlier request with the same `Idempotency-Key`.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

impl Verify {
    /// Onboards a key, or answers with why not.
    pub(crate) async fn create_provider(
        &self,
        request: &mut Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let budget = TimeBudget::start();
        let idempotency_key = IdempotencyKey::from_request(request)?;
        let submission = Submission::from_request(request)?;
        log.tenant(&submission.tenant_id);
        let mut report = ReportBuilder::default();
        let Some(credential) = read_pasted(&submission, &mut report) else {
            return Err(not_accepted(&report.finish(self.ambient.now()), log));
        };
        let access_key_id = &credential.access_key_id;
        log.access_key(access_key_id);
        let idempotent = idempotency_key.map(|key| IdempotentRequest::new(key, &submission, access_key_id));
        let region_choice = RegionChoice::Named;
        let mut attempt = OnboardingAttempt { verify: self, submission, credential, region_choice, idempotent, budget };
        if let Some(replay) = attempt.replay(log).await? {
            return Ok(replay);
        }
        match attempt.run(report).await? {
            OnboardingOutcome::Onboarded(verified) => {
                log.outcome("onboarded");
                log.provider(&verified.provider.provider_id);
                Ok(respond(201, &ProviderView::with_report(&verified)))
            }
            OnboardingOutcome::Refused(report) => Err(not_accepted(&report, log)),
            OnboardingOutcome::TooManyAttempts { retry_after_s } => {
                log.outcome("too_many_attempts");
                Err(too_many_attempts(retry_after_s))
            }
            OnboardingOutcome::OrderInProgress { retry_after_s } => Err(order_in_progress(retry_after_s, log)),
            // A concurrent request with the same `Idempotency-Key` may have onboarded it: then its answer is ours too.
            OnboardingOutcome::AlreadyOnboarded(KeyHolder::SameTenant(provider_id)) => {
                match attempt.replay(log).await? {
                    Some(replay) => Ok(replay),
                    None => Err(key_taken(&KeyHolder::SameTenant(provider_id), log)),
                }
            }
            OnboardingOutcome::AlreadyOnboarded(holder @ KeyHolder::OtherTenant) => Err(key_taken(&holder, log)),
            OnboardingOutcome::IdempotencyKeyUsed => attempt.replay(log).await?.ok_or_else(Problem::unavailable),
        }
    }
}

impl OnboardingAttempt<'_> {
    /// The response to the earlier request with this `Idempotency-Key`, if there was one. The secret is not verified
    /// again: the response has nothing that the tenant's other requests would not show.
    async fn replay(&self, log: &mut RequestLog) -> Result<Option<Response>, Problem> {
        let Some(request) = &self.idempotent else { return Ok(None) };
        let providers = &self.verify.providers;
        let earlier = providers.idempotency(&self.submission.tenant_id, request.key.as_str());
        let Some(earlier) = self.budget.call_own("read the idempotency item", earlier).await? else {
            return Ok(None);
        };
        log.provider(&earlier.provider_id);
        if earlier.fingerprint != request.fingerprint {
            log.outcome("idempotency_key_reused");
            return Err(Problem::new(
                422,
                "This Idempotency-Key was used for another request. Use a new one, or none.",
            )
            .kind("idempotency-key-reused"));
        }
        let verified = providers.verified_provider(&earlier.provider_id);
        let verified = self.budget.call_own("read the provider of the idempotency item", verified).await?;
        let Some(verified) = verified else {
            log.outcome("provider_of_idempotency_item_missing");
            return Err(Problem::internal());
        };
        log.outcome("replayed");
        let mut response = respond(201, &ProviderView::with_report(&verified));
        response.headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(response))
    }
}

/// The problem of a report that does not accept the key: 422 if the key is at fault, 503 if AWS or we are.
pub(super) fn not_accepted(report: &VerificationReport, log: &mut RequestLog) -> Problem {
    log.outcome(report.outcome.as_str());
    log.checks(&report.failed_checks(), &report.undecided_checks());
    let problem = if report.outcome == VerificationOutcome::Refused {
        Problem::new(422, "The key was not taken and nothing was stored. The report says what to mend.")
            .kind("credential-refused")
    } else {
        Problem::new(
            503,
            "The key could not be checked to the end, and nothing was stored. Nothing is wrong with it as far as was seen; try again later.",
        )
        .kind("credential-undecided")
        .retry_after(UNDECIDED_RETRY_AFTER_S)
    };
    problem.with("report", report)
}

/// The problem of a key that was handed over before.
pub(super) fn key_taken(holder: &KeyHolder, log: &mut RequestLog) -> Problem {
    match holder {
        KeyHolder::SameTenant(provider_id) => {
            log.outcome("already_onboarded");
            log.provider(provider_id);
            Problem::new(409, "This access key was onboarded before; `provider_id` has it.")
                .kind("already-onboarded")
                .with("provider_id", provider_id)
        }
        KeyHolder::OtherTenant => {
            log.outcome("taken_by_another_tenant");
            Problem::new(409, "This access key is taken.").kind("key-taken")
        }
    }
}

/// The problem of a key that an order covers which is being executed.
pub(super) fn order_in_progress(retry_after_s: u64, log: &mut RequestLog) -> Problem {
    log.outcome("order_in_progress");
    Problem::new(
        503,
        "A breach order is being executed that covers this tenant, this AWS account or all. Nothing was stored; hand the key over again after the time in Retry-After.",
    )
    .kind("order-in-progress")
    .retry_after(retry_after_s)
}

pub(super) fn too_many_attempts(retry_after_s: u64) -> Problem {
    Problem::new(429, "Too many attempts with this key or tenant. Try again after the time in Retry-After.")
        .kind("too-many-attempts")
        .retry_after(retry_after_s)
}
