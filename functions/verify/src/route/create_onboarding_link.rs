//! `POST /onboarding-links`: a link with which a tenant's administrator hands a key over in the browser, or has a provider checked again.

use shared::custody::PageToken;
use shared::http::{Problem, Request, RequestLog, Response, body, respond, signer};
use shared::id::LinkId;
use shared::record::{LinkIntent, OnboardingLink};

use crate::Verify;
use crate::onboarding_link::{LinkRequest, NewLinkView, SESSION_LENGTH};
use crate::rotation::check_replaceable;
use crate::route::check_not_stopped;
use crate::route::create_rotation::not_replaceable;

impl Verify {
    /// Makes a link. It replaces the one of the same purpose, whose page then says so.
    pub(crate) async fn create_onboarding_link(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let by = signer(request).ok_or_else(|| Problem::new(403, "Links are made by signed requests only."))?;
        let now = self.ambient.now();
        let (mut purpose, expires_at) = body::<LinkRequest>(request)?.check(&self.page.return_urls, now)?;
        log.tenant(&purpose.tenant_id);
        if let Some(provider_id) = &purpose.provider_id {
            log.provider(provider_id);
            let provider = self.providers.provider(provider_id).await?;
            let provider = provider.filter(|provider| provider.tenant_id == purpose.tenant_id);
            let provider = provider.ok_or_else(|| Problem::not_found("provider of this tenant"))?;
            match purpose.intent {
                LinkIntent::Repair => check_not_stopped(&provider, log)?,
                LinkIntent::Connect | LinkIntent::Rotate => {
                    check_replaceable(&provider).map_err(|reason| not_replaceable(&reason, log))?;
                }
            }
            purpose.account_id = Some(provider.account_id);
            purpose.regions = vec![provider.region];
        }
        let token = PageToken::generate().map_err(|error| Problem::internal().caused_by(&error))?;
        let link = OnboardingLink::new(LinkId::new(&self.ambient), purpose, &token, by, now, expires_at);
        log.link(&link.link_id);
        let stored = self.providers.put_onboarding_link(&link, SESSION_LENGTH, &self.ambient).await?;
        let replaces = stored.ok_or_else(|| {
            log.outcome("replaced_meanwhile");
            Problem::new(409, "Another link for the same purpose was made or completed meanwhile. Try again.")
        })?;
        log.outcome("made");
        let url = self.page.url(request, &link.link_id, &token)?;
        let view = NewLinkView { link_id: &link.link_id, url: &url, expires_at, replaces };
        Ok(respond(201, &view))
    }
}
