//! `GET /onboarding-links?tenant_id=`: a tenant's current links, one for each purpose.

use shared::http::{Problem, QueryParameters, Request, RequestLog, Response, invalid, respond};
use shared::id::TenantId;

use crate::Verify;
use crate::onboarding_link::{LinkList, LinkView};

impl Verify {
    /// Answers with how each link stands, the newest first. What opens one is not shown again.
    pub(crate) async fn list_onboarding_links(
        &self,
        request: &Request,
        log: &mut RequestLog,
    ) -> Result<Response, Problem> {
        let tenant_id = QueryParameters::from_request(request, &["tenant_id"])?.required("tenant_id")?;
        let tenant_id = TenantId::parse(&tenant_id).map_err(|error| invalid("tenant_id", error.to_string()))?;
        log.tenant(&tenant_id);
        let links = self.providers.onboarding_links(&tenant_id).await?;
        let now = self.ambient.now();
        Ok(respond(200, &LinkList { links: links.iter().map(|link| LinkView::new(link, now)).collect() }))
    }
}
