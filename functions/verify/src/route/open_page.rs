//! `POST /connect/{link_id}/session`: exchanges a link's code for a session, once.

use http::HeaderValue;
use http::header::LOCATION;
use shared::custody::PageToken;
use shared::http::{Form, Problem, Request, RequestLog, Response};
use shared::id::LinkId;

use super::link_id;
use crate::Verify;
use crate::onboarding_link::SESSION_LENGTH;
use crate::page::{PageQuery, cookie, require_same_origin, session_of};

impl Verify {
    /// Opens a link's page, or leads back to it, which says why not. A browser that has the session already goes on with it.
    pub(crate) async fn open_page(&self, request: &mut Request, log: &mut RequestLog) -> Result<Response, Problem> {
        require_same_origin(request)?;
        let link_id = link_id(request)?;
        log.link(&link_id);
        let token = PageToken::parse(&Form::take(request)?.take_field("code"));
        let now = self.ambient.now();
        let link = self.providers.onboarding_link(&link_id).await?;
        let link = link.ok_or_else(|| Problem::not_found("onboarding link"))?;
        log.tenant(&link.purpose.tenant_id);
        let query = PageQuery { step: None, wrong_code: false, ..PageQuery::from_request(request) };
        if session_of(request, &link, now).is_some() {
            log.outcome("session_goes_on");
            return Ok(see_page(&link_id, &query, None));
        }
        let Some(token) = token.filter(|token| link.is_exchangeable(token, now)) else {
            log.outcome("not_opened");
            let wrong = (link.state(now) == shared::record::LinkState::Unopened).then_some("code=wrong");
            return Ok(see_page(&link_id, &query, wrong));
        };
        let session = PageToken::generate().map_err(|error| Problem::internal().caused_by(&error))?;
        let ends_at = now.saturating_add(SESSION_LENGTH).unwrap_or(now);
        let opened = self.providers.exchange_link_token(&link_id, &token, &session, ends_at, &self.ambient).await?;
        log.outcome(if opened { "opened" } else { "not_opened" });
        let mut response = see_page(&link_id, &query, None);
        if opened {
            response.cookies.push(cookie(&link_id, &session));
        }
        Ok(response)
    }
}

/// Sends the browser to a link's page.
pub(super) fn see_page(link_id: &LinkId, query: &PageQuery, further: Option<&str>) -> Response {
    let carried = query.to_href().replace("&amp;", "&");
    let separator = if carried.len() > 1 { "&" } else { "" };
    let further = further.map(|further| format!("{separator}{further}")).unwrap_or_default();
    let mut response = Response::default();
    response.status_code = 303;
    if let Ok(location) = HeaderValue::from_str(&format!("/connect/{link_id}{carried}{further}")) {
        response.headers.insert(LOCATION, location);
    }
    response
}
