//! `PUT /providers/{provider_id}/configuration`: the tenant agrees to the configuration of its SES, and it is looked at now.

use shared::http::{Problem, Request, RequestLog, Response, respond, signer};
use shared::id::ProviderId;
use shared::record::{ConfigurationOutcome, Provider};
use shared::telemetry::chain;

use super::{check_not_stopped, provider_id};
use crate::Verify;
use crate::configuration::configuration_view::ConfigurationView;
use crate::worker::task::WorkerTask;

impl Verify {
    /// Records the tenant's consent with who signed the request, unless it is recorded already, and has the configuration looked at
    /// within a minute. It can be repeated, such as after the tenant has mended a policy.
    pub(crate) async fn put_configuration(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let (signer, provider_id) = signed_provider(request, log)?;
        let provider = self.unstopped_provider(&provider_id, log).await?;
        let outcome = self.providers.agree_to_configuration(&provider_id, signer, &self.ambient).await?;
        let (configuration, word) = match outcome {
            ConfigurationOutcome::Changed(configuration) => (configuration, "agreed"),
            ConfigurationOutcome::Unchanged(configuration) => (configuration, "agreed_before"),
            ConfigurationOutcome::NeverAgreed => return Err(Problem::internal()),
        };
        log.outcome(word);
        self.enqueue_configuration(&provider_id).await;
        let now = Some(self.ambient.now());
        Ok(respond(202, &ConfigurationView::of(&provider, &configuration, now)))
    }

    /// The provider of a change of the consent. One whose key is being revoked, or is, cannot do anything in its account any more.
    pub(super) async fn unstopped_provider(
        &self,
        provider_id: &ProviderId,
        log: &mut RequestLog,
    ) -> Result<Provider, Problem> {
        let provider = self.providers.provider(provider_id).await?;
        let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        check_not_stopped(&provider, log)?;
        Ok(provider)
    }

    /// Has `verify-worker` go on with a configuration now. If that fails, the schedule does it within a minute.
    pub(crate) async fn enqueue_configuration(&self, provider_id: &ProviderId) {
        let task = WorkerTask::Configuration(provider_id.clone());
        if let Err(error) = task.enqueue(&self.verification_queue).await {
            tracing::warn!(
                provider_id = %provider_id,
                error = chain(&error),
                "configuration not enqueued: the schedule does it within a minute"
            );
        }
    }
}

/// Who signed a change of the consent, and the provider in its path.
pub(super) fn signed_provider<'a>(
    request: &'a Request,
    log: &mut RequestLog,
) -> Result<(&'a str, ProviderId), Problem> {
    let signer = signer(request).ok_or_else(|| {
        Problem::new(403, "A consent is changed only by requests that are signed with IAM credentials.")
    })?;
    let provider_id = provider_id(request)?;
    log.provider(&provider_id);
    Ok((signer, provider_id))
}
