//! What operators are told of a link's end. The page's redirect is only a hint to them; these events are the truth, so a link
//! stays due until they were put on the bus.

use jiff::SignedDuration;
use shared::http::Problem;
use shared::id::LinkId;
use shared::record::{LinkEnd, LinkState, OnboardingLink};
use shared::telemetry::{Event, OnboardingEvent, chain};
use tokio::time::timeout;

use super::SESSION_LENGTH;
use crate::Verify;
use crate::onboarding::store::EVENT_TIMEOUT;

/// After how long a link is looked at again whose verification has not ended: the pace of the schedule.
const AWAITED_LOOK: SignedDuration = SignedDuration::from_mins(1);

/// The event about a link. Reason and checks are those of a submission that failed.
pub(crate) fn onboarding_event(link: &OnboardingLink) -> OnboardingEvent {
    OnboardingEvent {
        link_id: link.link_id.clone(),
        tenant_id: link.purpose.tenant_id.clone(),
        intent: link.purpose.intent.as_str(),
        provider_id: link.completed_provider.clone().or_else(|| link.purpose.provider_id.clone()),
        rotation_id: link.completed_rotation.clone(),
        reason: None,
        checks: Vec::new(),
        opened_at: link.opened_at,
        submissions: link.submissions,
        refusals: link.refusals,
    }
}

impl Verify {
    /// Tells operators of links that were completed or abandoned, as far as they do not know yet. What fails is done again in
    /// the next round.
    pub(crate) async fn tell_of_links(&self) {
        let due = match self.providers.due_onboarding_links(self.ambient.now()).await {
            Ok(due) => due,
            Err(error) => {
                tracing::error!(error = chain(&error), "onboarding links that ended were not listed");
                return;
            }
        };
        for link_id in due {
            if let Err(problem) = self.settle_and_tell(&link_id).await {
                tracing::warn!(
                    link_id = link_id.as_str(),
                    error = problem.cause(),
                    "operators not told of an onboarding link's end: the schedule retries"
                );
            }
        }
    }

    /// Nobody may have looked at the link since what its page has asked for came to its end. Killed anywhere, the link is still
    /// due.
    async fn settle_and_tell(&self, link_id: &LinkId) -> Result<(), Problem> {
        let Some(link) = self.providers.onboarding_link(link_id).await? else { return Ok(()) };
        if self.settle_repair(&link).await? {
            return Ok(());
        }
        self.tell_of_link(link_id).await?;
        let now = self.ambient.now();
        if !matches!(link.state(now), LinkState::Unopened | LinkState::Opened) {
            return Ok(());
        }
        let latest = self.providers.link_submission(link_id).await?;
        let next = match latest.is_some_and(|latest| latest.is_awaited(now)) {
            true => now.saturating_add(AWAITED_LOOK).unwrap_or(now),
            false => link.over_at(SESSION_LENGTH),
        };
        if next > now {
            self.providers.look_at_link_again(&link, next).await?;
        }
        Ok(())
    }

    /// Tells operators how a link ended, if it has. Killed between event and note, it tells them twice.
    pub(crate) async fn tell_of_link(&self, link_id: &LinkId) -> Result<(), Problem> {
        let now = self.ambient.now();
        let Some(link) = self.providers.onboarding_link(link_id).await? else { return Ok(()) };
        match link.state(now) {
            LinkState::Completed => {
                if self.put_link_event(Event::OnboardingCompleted(onboarding_event(&link))).await {
                    self.providers.onboarding_link_told(link_id).await?;
                }
            }
            LinkState::Expired => {
                if self.put_link_event(Event::OnboardingAbandoned(onboarding_event(&link))).await {
                    self.providers.end_onboarding_link(link_id, LinkEnd::Abandoned, "verify", &self.ambient).await?;
                }
            }
            LinkState::Ended(_) => self.providers.onboarding_link_told(link_id).await?,
            LinkState::Unopened | LinkState::Opened => {}
        }
        Ok(())
    }

    /// Puts an event about a link on the bus. Returns whether it was taken; if not, that is logged.
    pub(crate) async fn put_link_event(&self, event: Event) -> bool {
        let error = match timeout(EVENT_TIMEOUT, self.bus.put(&event, self.ambient.now())).await {
            Ok(Ok(())) => return true,
            Ok(Err(error)) => chain(&error),
            Err(elapsed) => elapsed.to_string(),
        };
        tracing::warn!(event = event.detail_type(), error, "an event about an onboarding link was not sent");
        false
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use shared::id::ProviderId;

    use super::*;

    /// The link of the samples: opened once, with two keys of which the first was refused.
    fn sample_link() -> OnboardingLink {
        serde_json::from_value(serde_json::json!({
            "link_id": "lnk_01KAQX5D8E3C9V7N2M4R6T8W0Y", "made_at": "2026-11-23T09:00:00Z", "made_by": "arn",
            "expires_at": "2026-11-24T09:00:00Z",
            "purpose": {"tenant_id": "acme", "name": "Main account", "intent": "connect"},
        }))
        .unwrap()
    }

    #[test]
    fn the_sample_of_each_event_is_what_is_put_on_the_bus() {
        let abandoned = sample_link();
        let mut failed = sample_link();
        failed.opened_at = Some("2026-11-23T09:40:00Z".parse().unwrap());
        let mut completed = failed.clone();
        (completed.submissions, completed.refusals) = (2, 1);
        completed.completed_provider = ProviderId::parse("prv_01KAQX5D8E3C9V7N2M4R6T8W0Y").ok();
        let mut failure = onboarding_event(&failed);
        failure.reason = Some("refused".to_owned());
        failure.checks = vec!["live"];
        (failure.submissions, failure.refusals) = (1, 1);
        for (event, sample) in [
            (
                Event::OnboardingAbandoned(onboarding_event(&abandoned)),
                include_str!("../../../../events/verify-onboarding-abandoned.json"),
            ),
            (
                Event::OnboardingCompleted(onboarding_event(&completed)),
                include_str!("../../../../events/verify-onboarding-completed.json"),
            ),
            (Event::OnboardingFailed(failure), include_str!("../../../../events/verify-onboarding-failed.json")),
        ] {
            let sample: Value = serde_json::from_str(sample).unwrap();
            assert_eq!(sample["detail-type"], event.detail_type());
            assert_eq!(sample["detail"], serde_json::to_value(&event).unwrap());
        }
    }
}
