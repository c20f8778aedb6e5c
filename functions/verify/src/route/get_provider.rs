//! `GET /providers/{provider_id}`: a provider, with the report that its key was taken on.

use shared::http::{Problem, Response, respond};

use super::provider_id;
use crate::Verify;
use crate::line::Line;
use crate::provider_view::ProviderView;

impl Verify {
    /// Answers a provider.
    pub(crate) async fn get_provider(&self, id: &str, line: &mut Line) -> Result<Response, Problem> {
        let provider_id = provider_id(id)?;
        line.provider(&provider_id);
        let provider = self.providers.provider(&provider_id).await?;
        let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
        line.tenant(&provider.tenant_id);
        Ok(respond(200, &ProviderView::whole(&provider)))
    }
}
