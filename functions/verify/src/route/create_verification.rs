//! `POST /providers/{provider_id}/verifications`: has a provider verified now, with all checks. While one runs that was asked for, the
//! answer names that one.

use http::HeaderValue;
use http::header::LOCATION;
use serde::Serialize;
use shared::http::{Problem, Request, RequestLog, Response, respond, signer};
use shared::id::{ProviderId, VerificationId};
use shared::record::AskOutcome;
use shared::telemetry::chain;

use super::{check_not_stopped, provider_id};
use crate::Verify;
use crate::worker::task::WorkerTask;

/// The answer.
#[derive(Serialize)]
struct AskedView<'a> {
    verification_id: &'a VerificationId,
    provider_id: &'a ProviderId,
    state: &'static str,
}

impl Verify {
    /// Answers with the verification that was asked for, or the one that runs already.
    pub(crate) async fn create_verification(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let signer = signer(request).ok_or_else(|| Problem::new(403, "The request has no signer."))?;
        let provider = self.providers.provider(&provider_id).await?.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        check_not_stopped(&provider, log)?;
        let verification_id = &self.ask_verification(&provider_id, signer, log).await?;
        let view = AskedView { verification_id, provider_id: &provider_id, state: "running" };
        let mut response = respond(202, &view);
        let location = format!("/providers/{provider_id}/verifications/{verification_id}");
        if let Ok(location) = HeaderValue::from_str(&location) {
            response.headers.insert(LOCATION, location);
        }
        Ok(response)
    }

    /// Records the wish for a verification and enqueues it, or finds the one that runs already. If it cannot be enqueued,
    /// `verify-worker` finds it within a minute.
    pub(crate) async fn ask_verification(
        &self,
        provider_id: &ProviderId,
        by: &str,
        log: &mut RequestLog,
    ) -> Result<VerificationId, Problem> {
        let asked = self.providers.ask_verification(provider_id, by, &self.ambient).await?;
        let (verification_id, outcome) = match asked {
            AskOutcome::Asked(id) => (id, "asked"),
            AskOutcome::Running(id) => (id, "running"),
        };
        log.outcome(outcome);
        if let Err(error) = WorkerTask::Verification(provider_id.clone()).enqueue(&self.verification_queue).await {
            tracing::warn!(
                provider_id = %provider_id,
                error = chain(&error),
                "verification not enqueued: the schedule does it within a minute"
            );
        }
        Ok(verification_id)
    }
}
