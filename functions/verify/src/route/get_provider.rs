//! `GET /providers/{provider_id}`: a provider, with its watch and the latest report that accepted its key.

use shared::http::{Problem, Request, RequestLog, Response, respond};

use super::provider_id;
use crate::Verify;
use crate::provider_view::ProviderView;

impl Verify {
    /// Answers with one provider.
    pub(crate) async fn get_provider(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let provider_id = provider_id(request)?;
        log.provider(&provider_id);
        let verified = self.providers.verified_provider(&provider_id).await?;
        let verified = verified.ok_or_else(|| Problem::not_found("provider"))?;
        log.tenant(&verified.provider.tenant_id);
        let watch = self.providers.watch(&provider_id).await?;
        Ok(respond(200, &ProviderView::with_watch(&verified, watch.as_ref())))
    }
}
