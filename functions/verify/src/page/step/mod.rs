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
