//! `POST /connect/{link_id}/verification`: on the page of a link that is to repair a provider, has the provider verified again.

use shared::http::{Problem, Request, RequestLog, Response};
use shared::record::LinkIntent;

use super::link_id;
use super::open_page::see_page;
use crate::Verify;
use crate::page::{PageQuery, PageStep, require_same_origin, session_of};

impl Verify {
    /// Asks for the verification and leads to the page that shows how far it is. Of two requests at once the second one only
    /// leads there.
    pub(crate) async fn check_again(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        require_same_origin(request)?;
        let link_id = link_id(request)?;
        log.link(&link_id);
        let query = PageQuery::from_request(request).to(PageStep::Result);
        let link = self.providers.onboarding_link(&link_id).await?;
        let link = link.ok_or_else(|| Problem::not_found("onboarding link"))?;
        log.tenant(&link.purpose.tenant_id);
        if session_of(request, &link, self.ambient.now()).is_none() {
            log.outcome("no_session");
            return Ok(see_page(&link_id, &query, None));
        }
        match (link.purpose.intent, &link.purpose.provider_id) {
            (LinkIntent::Repair, Some(provider_id)) => self.verify_on_page(&link, provider_id, log).await?,
            _ => return Err(Problem::not_found("provider of this link")),
        }
        Ok(see_page(&link_id, &query, None))
    }
}
