//! `POST /providers/{provider_id}/rotations`: another key for a provider, verified as at onboarding.

use http::HeaderValue;
use http::header::LOCATION;
use serde::Deserialize;
use shared::http::{FieldError, Problem, Request, RequestLog, Response, body, respond};
use zeroize::Zeroize as _;

use super::create_provider::{key_taken, not_accepted, order_in_progress, too_many_attempts};
use super::provider_id;
use crate::Verify;
use crate::onboarding::OnboardingOutcome;
use crate::report_builder::ReportBuilder;
use crate::rotation::{KeyReplacement, NotReplaceable, RotationOutcome, check_replaceable};
use crate::rotation_view::RotationView;
use crate::submission::PastedText;
use crate::time_budget::TimeBudget;

/// How long the old key stays as fallback unless the request says otherwise: a day.
pub(crate) const DEFAULT_GRACE_S: u32 = 24 * 60 * 60;

/// The longest that it may stay: a week.
const MAX_GRACE_S: u32 = 7 * 24 * 60 * 60;

/// `Retry-After` if the provider changed while the key was verified, in seconds.
const CHANGED_RETRY_AFTER_S: u64 = 5;

/// The body. It has no `Debug`, because people paste secrets into the wrong field.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RotationBody {
    access_key_id: PastedText,
    secret_access_key: PastedText,
    #[serde(default = "default_grace")]
    grace_seconds: u32,
}

fn default_grace() -> u32 {
    DEFAULT_GRACE_S
}

impl Verify {
    /// Begins the rotation of a provider's key, or answers with why not.
    pub(crate) async fn create_rotation(
        &self,
        request: &mut Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let budget = TimeBudget::start();
        let read = body::<RotationBody>(request);
        request.body.zeroize();
        let RotationBody { access_key_id, secret_access_key, grace_seconds } = read?;
        if grace_seconds > MAX_GRACE_S {
            let problem = format!("must be 0 to {MAX_GRACE_S}, a week");
            return Err(Problem::bad_request(&FieldError::new("grace_seconds", problem)));
        }
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let verified = budget.call_own("read the provider", self.providers.verified_provider(&provider_id)).await?;
        let verified = verified.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&verified.provider.tenant_id);
        let pasted = (access_key_id, secret_access_key);
        let report = ReportBuilder::default();
        let replacement = self.replace_key(verified, pasted, grace_seconds, budget, report, log).await?;
        let outcome = match replacement {
            KeyReplacement::NotReplaceable(reason) => return Err(not_replaceable(&reason, log)),
            KeyReplacement::Ended(outcome) => return Err(ended(outcome, log)),
            KeyReplacement::Tried(outcome) => outcome,
        };
        match outcome {
            RotationOutcome::Started(rotation, report) => {
                log.outcome("rotation_started");
                let mut response = respond(201, &RotationView::new(&provider_id, &rotation, Some(&report)));
                let location = format!("/providers/{provider_id}/rotations/{}", rotation.rotation_id);
                if let Ok(location) = HeaderValue::from_str(&location) {
                    response.headers.insert(LOCATION, location);
                }
                Ok(response)
            }
            RotationOutcome::Refused(report) => Err(not_accepted(&report, log)),
            RotationOutcome::KeyTaken(holder) => Err(key_taken(&holder, log)),
            RotationOutcome::OrderInProgress { retry_after_s } => Err(order_in_progress(retry_after_s, log)),
            RotationOutcome::ProviderChanged => {
                let current = self.providers.provider(&provider_id).await?;
                let current = current.ok_or_else(|| Problem::not_found("provider"))?;
                check_replaceable(&current).map_err(|reason| not_replaceable(&reason, log))?;
                log.outcome("provider_changed");
                Err(Problem::new(
                    503,
                    "The provider or its key changed while the new key was verified, and nothing was stored. Hand it over again after the time in Retry-After.",
                )
                .kind("provider-changed")
                .retry_after(CHANGED_RETRY_AFTER_S))
            }
        }
    }
}

pub(super) fn not_replaceable(reason: &NotReplaceable, log: &mut RequestLog) -> Problem {
    match reason {
        NotReplaceable::RotationInProgress(rotation_id) => {
            log.outcome("rotation_in_progress");
            Problem::new(
                409,
                "Another rotation of this provider is in progress; `rotation_id` has it. It ends by itself, or by DELETE before its promotion.",
            )
            .kind("rotation-in-progress")
            .with("rotation_id", rotation_id)
        }
        NotReplaceable::Stopped(status) => {
            log.outcome("provider_stopped");
            Problem::new(
                409,
                "The provider's key is being revoked and is not proved dead. Hand the new key over when the provider is `revoked`, or as a provider of its own: POST /providers.",
            )
            .kind("provider-stopped")
            .with("provider_status", status)
        }
    }
}

/// The problem of a key that is not taken.
fn ended(outcome: OnboardingOutcome, log: &mut RequestLog) -> Problem {
    match outcome {
        OnboardingOutcome::Refused(report) => not_accepted(&report, log),
        OnboardingOutcome::TooManyAttempts { retry_after_s } => {
            log.outcome("too_many_attempts");
            too_many_attempts(retry_after_s)
        }
        OnboardingOutcome::OrderInProgress { retry_after_s } => order_in_progress(retry_after_s, log),
        OnboardingOutcome::AlreadyOnboarded(holder) => key_taken(&holder, log),
        // An examination stores nothing.
        OnboardingOutcome::Onboarded(_) | OnboardingOutcome::IdempotencyKeyUsed => Problem::internal(),
    }
}
