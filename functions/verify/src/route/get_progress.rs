//! `GET /connect/{link_id}/progress`: which checks of the latest submission have ended. HTTP APIs hand an answer over as a
//! whole, so the page asks again and again.

use shared::http::{Problem, Request, RequestLog, Response, respond};

use super::get_page::language;
use super::link_id;
use crate::Verify;
use crate::page::{PageQuery, SubmissionProgress, Words, session_of};

impl Verify {
    /// Answers the session of the link, and nobody else.
    pub(crate) async fn get_progress(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let link_id = link_id(request)?;
        log.link(&link_id);
        let now = self.ambient.now();
        let link = self.providers.onboarding_link(&link_id).await?;
        let link = link.ok_or_else(|| Problem::not_found("onboarding link"))?;
        if session_of(request, &link, now).is_none() {
            return Err(Problem::new(403, "There is no session of this link."));
        }
        self.settle_repair(&link).await?;
        let latest = self.providers.link_submission(&link_id).await?;
        let words = Words::of(language(&PageQuery::from_request(request), &link, request));
        let progress = latest.as_ref().map(|latest| SubmissionProgress::new(latest, latest.is_running(now), words));
        Ok(respond(200, &progress.unwrap_or_default()))
    }
}
