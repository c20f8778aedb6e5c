//! `GET /connect/{link_id}`: the onboarding page, each step rendered here.

use shared::custody::PageToken;
use shared::http::{Problem, Request, RequestLog, Response};
use shared::id::ProviderId;
use shared::record::{LinkIntent, LinkState, LinkSubmission, OnboardingLink};

use super::link_id;
use crate::Verify;
use crate::onboarding_link::SESSION_LENGTH;
use crate::page::{Language, Layout, PageQuery, PageStep, StepView, Words, cookie, session_of};

/// After how many seconds a page without a script looks again.
const REFRESH_S: u32 = 3;

/// How much of a session may be gone before it is prolonged: a write for every page would say nothing more.
const PROLONG_AFTER_S: i64 = 5 * 60;

impl Verify {
    /// Shows a link's page. Without its session that is who asks, and the button that opens it, or why it cannot be opened.
    pub(crate) async fn get_page(&self, request: &Request, log: &mut RequestLog) -> Result<Response, Problem> {
        let link_id = link_id(request)?;
        log.link(&link_id);
        let link = self.providers.onboarding_link(&link_id).await?;
        let mut link = link.ok_or_else(|| Problem::not_found("onboarding link"))?;
        log.tenant(&link.purpose.tenant_id);
        let now = self.ambient.now();
        let session = session_of(request, &link, now);
        if session.is_some() && self.settle_repair(&link).await? {
            link = self.providers.onboarding_link(&link_id).await?.unwrap_or(link);
        }
        let query = PageQuery::from_request(request);
        let words = Words::of(language(&query, &link, request));
        let view = StepView { link: &link, operator: &self.page.operator_name, words, query: &query };
        let layout = |heading: String, steps: Option<PageStep>| Layout {
            settings: &self.page,
            words,
            query: &query,
            steps: steps.map(|step| (PageStep::of(link.purpose.intent), step)),
            heading,
            refresh_s: None,
        };
        let Some(session) = session else {
            let state = link.state(now);
            log.outcome(state.as_str());
            return Ok(match state {
                LinkState::Unopened => layout(view.start_heading(), None).response(200, &view.start()),
                // Gone for good, or for whoever has not opened it.
                _ => layout(words.say("closed.title").to_owned(), None).response(410, &view.closed(state)),
            });
        };
        let mut response = self.step_page(&link, &view, &layout).await?;
        self.prolong(&link, &session, &mut response).await?;
        Ok(response)
    }

    /// The step that the URL names, unless there is something to say first: a key that is being checked, or was accepted.
    async fn step_page<'a>(
        &self,
        link: &OnboardingLink,
        view: &StepView<'a>,
        layout: &impl Fn(String, Option<PageStep>) -> Layout<'a>,
    ) -> Result<Response, Problem> {
        let (words, now) = (view.words, self.ambient.now());
        let latest = self.providers.link_submission(&link.link_id).await?;
        if let Some(provider_id) = &link.completed_provider {
            let provider = self.providers.provider(provider_id).await?;
            let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
            let checks = latest.map(|latest| latest.checks).unwrap_or_default();
            let content = view.connected(&provider, &checks);
            // There is no way back into the guide.
            return Ok(layout(view.completed_heading(), None).response(200, &content));
        }
        if let Some(latest) = latest.as_ref().filter(|latest| latest.is_running(now)) {
            let title = if latest.verification_id.is_some() { "checking.title.repair" } else { "checking.title" };
            let layout = layout(words.say(title).to_owned(), Some(PageStep::Result));
            return Ok(Layout { refresh_s: Some(REFRESH_S), ..layout }.response(200, &view.checking(latest)));
        }
        if let (LinkIntent::Repair, Some(provider_id)) = (link.purpose.intent, &link.purpose.provider_id) {
            // The guide helps to mend what is gone. What came of a key that was pasted is a result like any other.
            let of_key = latest.as_ref().filter(|latest| latest.verification_id.is_none());
            let on_the_way = match view.query.step {
                Some(PageStep::Result) => of_key.is_some(),
                step => step.is_some(),
            };
            if !on_the_way {
                let latest = latest.filter(|latest| latest.verification_id.is_some());
                return self.repair_page(provider_id, latest.as_ref(), view, layout).await;
            }
        }
        let first = *PageStep::of(link.purpose.intent).first().unwrap_or(&PageStep::Paste);
        let step = match (view.query.step, &latest) {
            (Some(PageStep::Result) | None, Some(_)) => PageStep::Result,
            (Some(PageStep::Result) | None, None) => first,
            (Some(step), _) => step,
        };
        let (heading, content) = match (step, &latest) {
            (PageStep::Result, Some(latest)) => {
                let word = latest.result.as_ref().map_or("interrupted", |result| result.word.as_str());
                (view.result_heading(word), view.not_connected(latest))
            }
            (PageStep::Policy, _) => (words.say("policy.title").to_owned(), view.policy()),
            (PageStep::User, _) => (words.say("user.title").to_owned(), view.user()),
            (PageStep::Key, _) => (words.say("key.title").to_owned(), view.access_key()),
            (PageStep::Paste | PageStep::Result, latest) => {
                (words.say("paste.title").to_owned(), view.paste(latest.as_ref()))
            }
        };
        Ok(layout(heading, Some(step)).response(200, &content))
    }

    /// How a provider stands that is to be repaired.
    async fn repair_page<'a>(
        &self,
        provider_id: &ProviderId,
        latest: Option<&LinkSubmission>,
        view: &StepView<'a>,
        layout: &impl Fn(String, Option<PageStep>) -> Layout<'a>,
    ) -> Result<Response, Problem> {
        let provider = self.providers.provider(provider_id).await?;
        let provider = provider.ok_or_else(|| Problem::not_found("provider"))?;
        let watch = self.providers.watch(provider_id).await?.map(|item| item.watch);
        let failing = watch.and_then(|watch| watch.failing);
        let failing = failing.filter(|failing| failing.access_key_id == provider.access_key_id);
        let content = view.repair(&provider, failing.map(|failing| failing.reason), latest);
        Ok(layout(view.repair_heading(&provider, latest), None).response(200, &content))
    }

    /// Lets the session last longer while it is used, as long as the link itself could be opened.
    async fn prolong(
        &self,
        link: &OnboardingLink,
        session: &PageToken,
        response: &mut Response,
    ) -> Result<(), Problem> {
        let now = self.ambient.now();
        let ends_at = now.saturating_add(SESSION_LENGTH).unwrap_or(now);
        let gained = link.session_ends_at.map_or(0, |was| ends_at.duration_since(was).as_secs());
        if now < link.expires_at && gained >= PROLONG_AFTER_S {
            self.providers.prolong_link_session(&link.link_id, session, ends_at).await?;
            response.cookies.push(cookie(&link.link_id, session));
        }
        Ok(())
    }
}

/// The language: as it was chosen on the page, as the operator knows of its tenant, or as the browser prefers.
pub(super) fn language(query: &PageQuery, link: &OnboardingLink, request: &Request) -> Language {
    let of_link = || link.purpose.locale.as_deref().and_then(Language::parse);
    query.language.or_else(of_link).or_else(|| Language::of_browser(request)).unwrap_or(Language::English)
}
