//! The steps of the page, each the HTML below its heading.

pub(crate) mod checks;
pub(crate) mod closed;
pub(crate) mod guide;
pub(crate) mod paste;
pub(crate) mod policy;
pub(crate) mod repair;
pub(crate) mod result;
pub(crate) mod start;

use shared::record::{LinkIntent, OnboardingLink};

use super::markup::escape;
use super::query::{PageQuery, PageStep};
use super::words::Words;

/// What every step knows.
pub(crate) struct StepView<'a> {
    /// The link.
    pub(crate) link: &'a OnboardingLink,
    /// Who asks.
    pub(crate) operator: &'a str,
    /// The words.
    pub(crate) words: &'static Words,
    /// What the page's links carry along.
    pub(crate) query: &'a PageQuery,
}

impl StepView<'_> {
    /// A text in which the operator, and nothing else, is named.
    pub(crate) fn fill(&self, key: &str) -> String {
        self.words.fill(key, &[("operator", self.operator)])
    }

    /// The tenant's account, from the link or as it was typed.
    pub(crate) fn account_id(&self) -> Option<&str> {
        self.link.purpose.account_id.as_deref().or_else(|| self.query.account_id())
    }

    /// What can be done about a check, as plain text, with where the policy is to be had now: a page whose link is completed
    /// leads no more to it, and only a new connection begins with it.
    fn remedy(&self, text: &str) -> String {
        let place = self.words.say(match (self.link.completed_at, self.link.purpose.intent) {
            (Some(_), _) => "policy.place.operator",
            (None, LinkIntent::Connect) => "policy.place.step",
            (None, LinkIntent::Rotate | LinkIntent::Repair) => "policy.place.link",
        });
        self.words.remedy(text).replace("[policy]", &place.replace("{operator}", self.operator))
    }

    /// The link to the policy, where no step of the page is about it.
    fn policy_link(&self) -> String {
        let href = self.query.to(PageStep::Policy).to_href();
        format!("<p><a href=\"{href}\">{}</a></p>\n", self.words.say("policy.link"))
    }

    /// The path of one of the page's actions.
    pub(crate) fn action(&self, name: &str) -> String {
        format!("/connect/{}/{name}{}", self.link.link_id, self.query.to_href())
    }

    /// A link to the next step.
    fn next(&self, step: PageStep, name: &str) -> String {
        let href = self.query.to(step).to_href();
        let text = self.words.fill("next", &[("step", name)]);
        format!("<p><a class=\"button\" href=\"{href}\">{text}</a></p>\n")
    }

    /// A link into the AWS console, in a tab of its own, because the page has to stay.
    fn console(&self, path: &str, text: &str) -> String {
        let url = format!("https://{}{path}", self.console_host());
        format!(
            "<a href=\"{}\" target=\"_blank\" rel=\"noopener noreferrer\">{text}</a> <span class=\"quiet\">({})</span>",
            escape(&url),
            self.words.say("opens")
        )
    }

    /// The console of the partition that the link's Regions are in.
    fn console_host(&self) -> &'static str {
        let region = self.link.purpose.regions.first();
        region.and_then(|region| region.console_host()).unwrap_or("console.aws.amazon.com")
    }

    /// Whether a key that is pasted takes the place of another one.
    fn replaces_key(&self) -> bool {
        self.link.purpose.intent != LinkIntent::Connect
    }

    fn repairs(&self) -> bool {
        self.link.purpose.intent == LinkIntent::Repair
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::page::Language;

    /// Remedies that speak of the policy, as the checks word them.
    const OF_POLICY: [&str; 2] = [
        "The policy covers all users (`user/*`). Replace it with the hardened one: GET /policy?account_id=…&style=hardened",
        "Replace the user's policies with the hardened one, version hardened-3: GET /policy?account_id=…&style=hardened. why",
    ];

    #[test]
    fn a_remedy_says_where_the_policy_is_to_be_had_on_this_page() {
        for (intent, completed_at, english, german) in [
            ("connect", Value::Null, "in the first step of this page", "im ersten Schritt dieser Seite"),
            ("rotate", Value::Null, "a link on this page", "auf dieser Seite ein Link"),
            ("repair", Value::Null, "a link on this page", "auf dieser Seite ein Link"),
            ("connect", json!("2026-11-23T09:10:00Z"), "get from A & B", "von A & B bekommen"),
            ("rotate", json!("2026-11-23T09:10:00Z"), "get from A & B", "von A & B bekommen"),
        ] {
            let link: OnboardingLink = serde_json::from_value(json!({
                "link_id": "lnk_01KAQX5D8E3C9V7N2M4R6T8W0Y", "made_at": "2026-11-23T09:00:00Z", "made_by": "arn",
                "expires_at": "2026-11-24T09:00:00Z", "completed_at": completed_at,
                "purpose": {"tenant_id": "acme", "name": "Main account", "intent": intent},
            }))
            .unwrap();
            let query = PageQuery::from_request(&shared::http::Request::default());
            for (language, says) in [(Language::English, english), (Language::German, german)] {
                let view = StepView { link: &link, operator: "A & B", words: Words::of(language), query: &query };
                for remedy in OF_POLICY {
                    let said = view.remedy(remedy);
                    assert!(said.contains(says) && !said.contains(['[', '{']), "{intent}: {said}");
                }
            }
        }
    }
}
