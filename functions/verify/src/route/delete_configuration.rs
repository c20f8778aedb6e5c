//! `DELETE /providers/{provider_id}/configuration`: the consent is withdrawn, and what was made is taken down.

use shared::http::{Problem, Request, RequestLog, Response, respond};
use shared::record::{ConfigurationOutcome, ConfigurationState};

use super::put_configuration::signed_provider;
use crate::Verify;
use crate::configuration::configuration_view::ConfigurationView;

impl Verify {
    /// Records that the consent is withdrawn, with who signed the request; the configuration set is deleted within a minute or two. It
    /// can be repeated, and answers 200 once nothing of ours is there.
    pub(crate) async fn delete_configuration(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let (signer, provider_id) = signed_provider(request, log)?;
        let provider = self.unstopped_provider(&provider_id, log).await?;
        let outcome = self.providers.withdraw_configuration(&provider_id, signer, &self.ambient).await?;
        let (configuration, word) = match outcome {
            ConfigurationOutcome::Changed(configuration) => (configuration, "withdrawn"),
            ConfigurationOutcome::Unchanged(configuration) => (configuration, "withdrawn_before"),
            ConfigurationOutcome::NeverAgreed => return Err(Problem::not_found("configuration")),
        };
        log.outcome(word);
        self.enqueue_configuration(&provider_id).await;
        let is_removed = configuration.state == ConfigurationState::Removed;
        Ok(respond(if is_removed { 200 } else { 202 }, &ConfigurationView::of(&provider, &configuration, None)))
    }
}
