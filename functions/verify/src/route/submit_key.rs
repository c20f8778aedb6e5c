//! `POST /connect/{link_id}/key`: a key that was pasted into the page.

use shared::http::{Form, Problem, Request, RequestLog, Response};
use shared::record::{SubmissionBegun, SubmissionKind};

use super::link_id;
use super::open_page::see_page;
use crate::Verify;
use crate::page::{PageQuery, PageStep, require_same_origin, session_of};
use crate::time_budget::TimeBudget;

impl Verify {
    /// Checks the key and leads to the page that says what came of it. Of two requests at once the second one only leads there.
    pub(crate) async fn submit_key(&self, request: &mut Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let budget = TimeBudget::start();
        let form = Form::take(request);
        require_same_origin(request)?;
        let form = form?;
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
        match self.providers.begin_link_submission(&link_id, SubmissionKind::Key, &self.ambient).await? {
            SubmissionBegun::Begun(submission) => {
                Box::pin(self.submit_on_page(&link, &submission, form, budget, log)).await?;
            }
            SubmissionBegun::Busy => log.outcome("busy"),
            SubmissionBegun::Closed => log.outcome("closed"),
        }
        Ok(see_page(&link_id, &query, None))
    }
}
