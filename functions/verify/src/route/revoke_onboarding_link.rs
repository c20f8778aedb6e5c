//! `DELETE /onboarding-links/{link_id}`: nobody opens the link any more, and its session ends.

use shared::http::{Problem, Request, RequestLog, Response, signer};
use shared::record::{LinkEnd, LinkState};

use super::link_id;
use crate::Verify;

impl Verify {
    /// Takes a link back. Repeatable; 409 once it is completed.
    pub(crate) async fn revoke_onboarding_link(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let by = signer(request).ok_or_else(|| Problem::new(403, "Links are revoked by signed requests only."))?;
        let link_id = link_id(request)?;
        log.link(&link_id);
        self.providers.end_onboarding_link(&link_id, LinkEnd::Revoked, by, &self.ambient).await?;
        let link = self.providers.onboarding_link(&link_id).await?;
        let link = link.ok_or_else(|| Problem::not_found("onboarding link"))?;
        log.tenant(&link.purpose.tenant_id);
        let state = link.state(self.ambient.now());
        log.outcome(state.as_str());
        match state {
            LinkState::Completed => Err(Problem::new(
                409,
                "A key was accepted with this link already. Off-board the provider if it has to go: DELETE /providers/{provider_id}",
            )
            .kind("link-completed")
            .with("provider_id", &link.completed_provider)),
            _ => {
                let mut response = Response::default();
                response.status_code = 204;
                Ok(response)
            }
        }
    }
}
