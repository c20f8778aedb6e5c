//! A provider that is to be repaired: how it stands, what can be done, and the button that has it checked again.

use std::fmt::Write as _;

use shared::record::{CheckName, CheckOutcome, LinkSubmission, Provider, SuspensionReason};
use shared::telemetry::suspension_remedy;

use super::StepView;
use super::result::known;
use crate::page::markup::escape;
use crate::page::query::PageStep;

impl StepView<'_> {
    /// The heading: what the latest check has shown, or how the provider stands before the first.
    pub(crate) fn repair_heading(&self, provider: &Provider, latest: Option<&LinkSubmission>) -> String {
        match latest {
            _ if provider.is_stopped() => self.fill("repair.provider_stopped"),
            Some(latest) => self.fill(&format!("repair.{}", repair_word(latest))),
            None => {
                self.fill(if provider.status.suspension().is_some() { "repair.suspended" } else { "repair.active" })
            }
        }
    }

    /// How the provider stands, what its latest check has shown, and the way to the next. `failing` is what the watch has seen
    /// of a provider that is not suspended yet.
    pub(crate) fn repair(
        &self,
        provider: &Provider,
        failing: Option<SuspensionReason>,
        latest: Option<&LinkSubmission>,
    ) -> String {
        let words = self.words;
        if provider.is_stopped() {
            let text = self.fill("repair.provider_stopped.text");
            return format!("<div class=\"note bad\"><p>{text}</p></div>\n{}", self.back());
        }
        let mut html = String::new();
        if let Some(latest) = latest {
            let text = self.fill(&format!("repair.{}.text", repair_word(latest)));
            let _ = writeln!(html, "<div class=\"note bad\"><p>{text}</p></div>");
        }
        let suspension = provider.status.suspension();
        let names = [
            ("operator", self.operator),
            ("account", provider.account_id.as_str()),
            ("region", provider.region.as_str()),
            ("user", provider.user_name.as_str()),
        ];
        let status = match (suspension, failing) {
            (Some(_), _) => "repair.status.suspended",
            (None, Some(_)) => "repair.status.failing",
            (None, None) => "repair.status.active",
        };
        let _ = writeln!(html, "<p>{}</p>", words.fill(status, &names));
        let reason = suspension.or(failing);
        if let Some(reason) = reason {
            let _ = write!(
                html,
                "<p><b>{}</b></p>\n<p>{}</p>\n<p>{}</p>\n",
                words.text("reason.", reason.as_str()),
                escape(&self.remedy(&suspension_remedy(provider, reason))),
                self.console(&self.place_of_reason(provider, reason), words.say("open")),
            );
        }
        if reason.is_some() || latest.is_some() {
            html.push_str(&self.policy_link());
        }
        let _ = write!(
            html,
            "<form method=\"post\" action=\"{}\"><p><button>{}</button></p></form>\n<p class=\"quiet\">{}</p>\n",
            self.action("verification"),
            words.say("result.again"),
            self.fill("repair.again.why"),
        );
        if may_need_new_key(reason, latest) {
            let _ = write!(
                html,
                "<div class=\"note\"><p>{}</p>\n<p><a class=\"button second\" href=\"{}\">{}</a></p></div>\n",
                words.say("repair.key"),
                self.query.to(PageStep::Key).to_href(),
                words.say("repair.key.link"),
            );
        }
        html.push_str(&self.back());
        if let Some(latest) = latest.filter(|latest| !latest.checks.is_empty()) {
            html.push_str(&self.report(&latest.checks));
            html.push_str(&self.findings(latest));
        }
        html
    }

    /// Where in the console something can be done about a suspension.
    fn place_of_reason(&self, provider: &Provider, reason: SuspensionReason) -> String {
        match reason {
            SuspensionReason::SendingPaused | SuspensionReason::AccountSuspended | SuspensionReason::SesUnavailable => {
                format!("/ses/home?region={}#/account", provider.region)
            }
            _ => "/iam/home#/users".to_owned(),
        }
    }
}

/// The word of the latest check's result. One that has none was interrupted.
fn repair_word(latest: &LinkSubmission) -> &str {
    match latest.result.as_ref().map_or("interrupted", |result| known(&result.word)) {
        word @ ("refused" | "undecided" | "provider_stopped") => word,
        _ => "interrupted",
    }
}

/// Whether the key itself may be gone, so that mending the user or the account does not bring it back.
fn may_need_new_key(reason: Option<SuspensionReason>, latest: Option<&LinkSubmission>) -> bool {
    let of_key = [CheckName::Live, CheckName::NotReported, CheckName::Quarantine];
    let failed = latest.is_some_and(|latest| {
        latest.checks.iter().any(|check| check.outcome == CheckOutcome::Failed && of_key.contains(&check.name))
    });
    failed
        || matches!(
            reason,
            Some(SuspensionReason::KeyGone | SuspensionReason::KeyRejected | SuspensionReason::Quarantined)
        )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::provider;
    use crate::page::Language;
    use crate::page::words::Words;

    #[test]
    fn every_suspension_has_its_reason_and_its_remedy_in_every_language() {
        let provider = provider();
        for language in Language::ALL {
            let words = Words::of(language);
            for reason in SuspensionReason::ALL {
                assert_ne!(words.text("reason.", reason.as_str()), reason.as_str(), "{language:?}");
                let remedy = suspension_remedy(&provider, reason);
                assert!(language == Language::English || words.knows_remedy(&remedy), "{language:?}: {remedy}");
            }
            for word in ["refused", "undecided", "interrupted", "provider_stopped", "accepted"] {
                for key in [format!("repair.{word}"), format!("repair.{word}.text")] {
                    assert_ne!(words.say(&key), key, "{language:?}");
                }
            }
        }
    }

    #[test]
    fn a_new_key_is_spoken_of_only_where_the_old_one_may_be_gone() {
        for reason in SuspensionReason::ALL {
            let expected = matches!(reason.as_str(), "key_gone" | "key_rejected" | "quarantined");
            assert_eq!(may_need_new_key(Some(reason), None), expected, "{reason:?}");
        }
        assert!(!may_need_new_key(None, None));
    }
}
