//! `GET /providers/{provider_id}/configuration`: what was done in the tenant's SES, and what is still missing.

use shared::http::{Problem, Request, RequestLog, Response, respond};

use super::provider_id;
use crate::Verify;
use crate::configuration::configuration_view::ConfigurationView;

impl Verify {
    /// Answers with the configuration of a provider's SES. 404 if no tenant ever agreed to one.
    pub(crate) async fn get_configuration(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let provider = self.providers.provider(&provider_id).await?;
        let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&provider.tenant_id);
        let item = self.providers.configuration(&provider_id).await?;
        let item = item.ok_or_else(|| Problem::not_found("configuration"))?;
        Ok(respond(200, &ConfigurationView::new(&provider, &item)))
    }
}
