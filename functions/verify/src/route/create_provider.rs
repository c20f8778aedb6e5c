//! `POST /providers`: from what a tenant pasted to a provider, or to a report that says why not.

use http::{HeaderName, HeaderValue};
use shared::http::{Problem, Request, Response, respond};
use shared::tenant::Credential;

use crate::Verify;
use crate::budget::Budget;
use crate::check::identity::shape;
use crate::idempotency::{IdempotencyKey, Once};
use crate::line::Line;
use crate::onboarding::{Ending, Onboarding, Taken};
use crate::provider_view::ProviderView;
use crate::report::{Draft, Report, Verdict};
use crate::submission::Submission;

/// When an undecided verification is worth another try, in seconds.
const RETRY_UNDECIDED_S: u64 = 30;

/// Set where the answer is that of an earlier request.
const IDEMPOTENT_REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");

impl Verify {
    /// Takes a key, or says why not.
    pub(crate) async fn create_provider(&self, request: &mut Request, line: &mut Line) -> Result<Response, Problem> {
        let budget = Budget::start();
        let idempotency_key = IdempotencyKey::of(request)?;
        let submission = Submission::take(request)?;
        line.tenant(&submission.tenant_id);
        let mut draft = Draft::default();
        let (checks, key) = shape(&submission);
        checks.into_iter().for_each(|check| draft.add(check));
        let Some((access_key_id, secret_access_key)) = key else {
            return Err(refused(&draft.close(self.ambient.now()), line));
        };
        line.key(&access_key_id);
        let once = idempotency_key.map(|key| Once::of(key, &submission, &access_key_id));
        let credential = Credential { access_key_id, secret_access_key, region: submission.region };
        let onboarding = Onboarding { verify: self, submission, credential, once, budget };
        if let Some(replay) = onboarding.replay(line).await? {
            return Ok(replay);
        }
        match onboarding.take(draft).await? {
            Ending::Onboarded(provider) => {
                line.outcome("onboarded");
                line.provider(&provider.provider_id);
                Ok(respond(201, &ProviderView::whole(&provider)))
            }
            Ending::Refused(report) => Err(refused(&report, line)),
            Ending::TooManyAttempts { retry_after_s } => {
                line.outcome("too_many_attempts");
                Err(too_many_attempts(retry_after_s))
            }
            // A concurrent request with the same `Idempotency-KeyItem` may have taken it: then this is that one's answer.
            Ending::Taken(Taken::Own(provider_id)) => match onboarding.replay(line).await? {
                Some(replay) => Ok(replay),
                None => {
                    line.outcome("already_onboarded");
                    line.provider(&provider_id);
                    Err(Problem::new(409, "This access key was onboarded before; `provider_id` has it.")
                        .kind("already-onboarded")
                        .with("provider_id", &provider_id))
                }
            },
            Ending::Taken(Taken::Others) => {
                line.outcome("taken_by_another_tenant");
                Err(Problem::new(409, "This access key is taken.").kind("key-taken"))
            }
            Ending::IdempotencyKeyUsed => onboarding.replay(line).await?.ok_or_else(Problem::unavailable),
        }
    }
}

impl Onboarding<'_> {
    /// The answer to the same request before, where its `Idempotency-KeyItem` was used. No secret is asked for again: the
    /// answer has nothing that the tenant's other requests would not tell.
    async fn replay(&self, line: &mut Line) -> Result<Option<Response>, Problem> {
        let Some(once) = &self.once else { return Ok(None) };
        let providers = &self.verify.providers;
        let used = providers.idempotency(&self.submission.tenant_id, once.key.as_str());
        let Some(used) = self.budget.own(used).await? else { return Ok(None) };
        line.provider(&used.provider_id);
        if used.fingerprint != once.fingerprint {
            line.outcome("idempotency_key_reused");
            return Err(Problem::new(
                422,
                "This Idempotency-KeyItem was used for another request. Use a new one, or none.",
            )
            .kind("idempotency-key-reused"));
        }
        let provider = self.budget.own(providers.provider(&used.provider_id)).await?;
        let provider = provider.ok_or_else(Problem::internal)?;
        line.outcome("replayed");
        let mut response = respond(201, &ProviderView::whole(&provider));
        response.headers.insert(IDEMPOTENT_REPLAYED, HeaderValue::from_static("true"));
        Ok(Some(response))
    }
}

/// A report as the problem that it is: 422 where the key is at fault, 503 where AWS or we are.
fn refused(report: &Report, line: &mut Line) -> Problem {
    line.report(report);
    let problem = if report.verdict() == Verdict::Refused {
        Problem::new(422, "The key was not taken and nothing was stored. The report says what to mend.")
            .kind("credential-refused")
    } else {
        Problem::new(
            503,
            "The key could not be checked to the end, and nothing was stored. Nothing is wrong with it as far as was seen; try again later.",
        )
        .kind("credential-undecided")
        .retry_after(RETRY_UNDECIDED_S)
    };
    problem.with("report", report)
}

fn too_many_attempts(retry_after_s: u64) -> Problem {
    Problem::new(429, "Too many attempts with this key or tenant. Try again after the time in Retry-After.")
        .kind("too-many-attempts")
        .retry_after(retry_after_s)
}
