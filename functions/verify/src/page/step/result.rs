//! What came of a submission: connected and what to do next, or what to mend.

use std::fmt::Write as _;

use shared::policy::Finding;
use shared::record::{Check, CheckName, CheckOutcome, LinkSubmission, Provider, SubmissionResult};

use super::StepView;
use crate::page::markup::escape;
use crate::page::query::PageStep;

/// The results that the page has words for.
pub(crate) const RESULTS: [&str; 11] = [
    "accepted",
    "refused",
    "undecided",
    "interrupted",
    "too_many_attempts",
    "order_in_progress",
    "key_taken",
    "key_used",
    "rotation_in_progress",
    "provider_stopped",
    "provider_changed",
];

impl StepView<'_> {
    /// The heading of a result.
    pub(crate) fn result_heading(&self, word: &str) -> String {
        self.fill(&format!("result.{}", known(word)))
    }

    /// The heading of a link that was completed.
    pub(crate) fn completed_heading(&self) -> String {
        self.fill(if self.has_repaired() { "repair.accepted" } else { "result.accepted" })
    }

    /// Whether the link was completed without a new key.
    fn has_repaired(&self) -> bool {
        self.repairs() && self.link.completed_rotation.is_none()
    }

    /// Connected.
    pub(crate) fn connected(&self, provider: &Provider, checks: &[Check]) -> String {
        let words = self.words;
        let names = [
            ("operator", self.operator),
            ("account", provider.account_id.as_str()),
            ("region", provider.region.as_str()),
            ("user", provider.user_name.as_str()),
        ];
        let text = match self.replaces_key() {
            _ if self.has_repaired() => words.fill("repair.accepted.text", &names),
            true => words.say("result.accepted.rotate").to_owned(),
            false => words.fill("result.accepted.text", &names),
        };
        let mut html = format!("<div class=\"note good\"><p>{text}</p></div>\n{}", self.back());
        let _ = write!(html, "<h2>{}</h2>\n<ul>\n", words.say("result.next"));
        let region = provider.region;
        if provider.sandbox {
            let link =
                self.console(&format!("/ses/home?region={region}#/account"), words.say("result.next.sandbox.link"));
            let _ = writeln!(html, "<li>{} {link}</li>", words.say("result.next.sandbox"));
        }
        let link =
            self.console(&format!("/ses/home?region={region}#/identities"), words.say("result.next.identity.link"));
        if !self.has_repaired() {
            let _ = writeln!(html, "<li>{} {link}</li>", words.say("result.next.identity"));
        }
        let close = if self.has_repaired() { "repair.close" } else { "result.next.close" };
        let _ = write!(
            html,
            "<li>{}</li>\n</ul>\n<h2>{}</h2>\n<p>{} {}</p>\n",
            words.say(close),
            words.say("result.cut"),
            words.fill("result.cut.text", &names),
            self.console("/iam/home#/users", words.say("result.cut.link")),
        );
        if !checks.is_empty() {
            html.push_str(&self.report(checks));
        }
        html
    }

    /// Not connected: why, what to mend, and the way to another try.
    pub(crate) fn not_connected(&self, latest: &LinkSubmission) -> String {
        let words = self.words;
        let result = latest.result.as_ref();
        let word = result.map_or("interrupted", |result| known(&result.word));
        let minutes = result.and_then(|result| result.retry_after_s).unwrap_or(60).div_ceil(60).to_string();
        let text = words.fill(&format!("result.{word}.text"), &[("operator", self.operator), ("minutes", &minutes)]);
        let mut html = format!("<div class=\"note bad\"><p>{text}</p></div>\n");
        let report = result.and_then(|result| result.report.as_ref());
        let checks = report.map_or(&latest.checks, |report| &report.checks);
        if checks.iter().any(|check| check.outcome != CheckOutcome::Passed) {
            html.push_str(&self.report(checks));
        }
        html.push_str(&self.findings(latest));
        if self.replaces_key() && report.is_some() {
            html.push_str(&self.policy_link());
        }
        let _ = write!(
            html,
            "<p><a class=\"button\" href=\"{}\">{}</a></p>\n<p class=\"quiet\">{}</p>\n{}",
            self.query.to(PageStep::Paste).to_href(),
            words.say("result.again"),
            words.say("result.again.why"),
            self.back(),
        );
        html
    }

    /// What the key may do beyond what it has to, if that is what keeps it from being accepted.
    pub(super) fn findings(&self, latest: &LinkSubmission) -> String {
        let Some(report) = latest.result.as_ref().and_then(|result| result.report.as_ref()) else {
            return String::new();
        };
        let is_excess = |check: &Check| check.name == CheckName::Excess && check.outcome == CheckOutcome::Failed;
        if !report.checks.iter().any(is_excess) {
            return String::new();
        }
        let line = |finding: &Finding| {
            format!("<li><code>{}</code> {}</li>", escape(&finding.action), escape(&finding.explanation))
        };
        let lines: String = report.findings.iter().take(20).map(line).collect();
        format!("<ul lang=\"en\">{lines}</ul>\n")
    }

    /// The way back to the operator, if the link has one. What it says is a hint to whoever reads it, and no proof.
    pub(super) fn back(&self) -> String {
        let Some(url) = &self.link.purpose.return_url else { return String::new() };
        let separator = if url.contains('?') { '&' } else { '?' };
        let state = if self.link.completed_at.is_some() { "completed" } else { "open" };
        let url = format!("{url}{separator}onboarding_link={}&onboarding={state}", self.link.link_id);
        format!("<p><a class=\"button second\" href=\"{}\">{}</a></p>\n", escape(&url), self.fill("result.back"))
    }
}

/// The word of a result, if this version knows it.
pub(super) fn known(word: &str) -> &str {
    RESULTS.into_iter().find(|known| *known == word).unwrap_or("interrupted")
}

/// What came of a submission, without a report.
pub(crate) fn plain_result(word: &'static str, retry_after_s: Option<u64>) -> SubmissionResult {
    SubmissionResult { word: word.to_owned(), report: None, retry_after_s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::page::Language;
    use crate::page::words::Words;

    #[test]
    fn every_result_has_words_in_every_language() {
        for language in Language::ALL {
            let words = Words::of(language);
            for result in RESULTS {
                for key in [format!("result.{result}"), format!("result.{result}.text")] {
                    assert_ne!(words.say(&key), key, "{language:?}");
                }
            }
        }
        assert_eq!(known("a word of tomorrow"), "interrupted");
    }
}
