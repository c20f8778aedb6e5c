//! The checks of a submission, one line each: while they are made, and with what to do when they have ended.

use std::fmt::Write as _;

use serde::Serialize;
use shared::record::{Check, CheckName, CheckOutcome, LinkSubmission};

use super::StepView;
use crate::page::markup::escape;
use crate::page::query::PageStep;
use crate::page::words::Words;

/// What the script is told of a submission.
#[derive(Default, Serialize)]
pub(crate) struct SubmissionProgress<'a> {
    /// Absent before the first.
    submission: Option<&'a str>,
    running: bool,
    checks: Vec<CheckLine<'a>>,
}

/// A check that has ended, in words.
#[derive(Serialize)]
struct CheckLine<'a> {
    name: &'static str,
    label: &'static str,
    outcome: &'static str,
    said: &'static str,
    evidence: &'a str,
}

impl<'a> SubmissionProgress<'a> {
    /// How far a submission is.
    pub(crate) fn new(latest: &'a LinkSubmission, running: bool, words: &'static Words) -> Self {
        let line = |check: &'a Check| CheckLine {
            name: check.name.as_str(),
            label: label(check.name, words),
            outcome: check.outcome.as_str(),
            said: said(check.outcome, words),
            evidence: &check.evidence,
        };
        Self { submission: Some(&latest.submission), running, checks: latest.checks.iter().map(line).collect() }
    }
}

/// What a check is called on the page.
fn label(name: CheckName, words: &'static Words) -> &'static str {
    words.text("check.", name.as_str())
}

fn said(outcome: CheckOutcome, words: &'static Words) -> &'static str {
    words.text("outcome.", outcome.as_str())
}

impl StepView<'_> {
    /// Where the page is when the checks have ended.
    pub(crate) fn result_path(&self) -> String {
        format!("/connect/{}{}", self.link.link_id, self.query.to(PageStep::Result).to_href())
    }

    /// A submission that is still being worked on, for a page that was loaded meanwhile.
    pub(crate) fn checking(&self, latest: &LinkSubmission) -> String {
        let words = self.words;
        format!(
            "<p class=\"busy\" role=\"status\">{}</p>\n<noscript><p>{}</p></noscript>\n\
             <h2>{}</h2>\n<ul id=\"checks\" class=\"checks\" aria-live=\"polite\" data-running data-progress=\"{}\" data-next=\"{}\">{}</ul>\n",
            words.say(if latest.verification_id.is_some() { "checking.why.repair" } else { "checking.why" }),
            words.say("checking.reload"),
            words.say("checks"),
            self.action("progress"),
            self.result_path(),
            latest.checks.iter().map(|check| self.line(check, false)).collect::<String>(),
        )
    }

    /// The checks with evidence and remedies: first what has to be mended.
    pub(super) fn report(&self, checks: &[Check]) -> String {
        let mut checks: Vec<&Check> = checks.iter().collect();
        checks.sort_by_key(|check| match check.outcome {
            CheckOutcome::Failed => 0,
            CheckOutcome::Unknown if check.is_undecided() => 1,
            CheckOutcome::Warning => 2,
            CheckOutcome::Passed => 3,
            CheckOutcome::Unknown => 4,
        });
        let lines: String = checks.into_iter().map(|check| self.line(check, true)).collect();
        format!("<h2>{}</h2>\n<ul class=\"checks\">\n{lines}</ul>\n", self.words.say("checks"))
    }

    fn line(&self, check: &Check, whole: bool) -> String {
        let words = self.words;
        let outcome = check.outcome.as_str();
        let mut line = format!(
            "<li data-check=\"{}\"><b>{}</b> <span class=\"outcome {outcome}\">{}</span>",
            check.name.as_str(),
            label(check.name, words),
            said(check.outcome, words),
        );
        if whole {
            let to_do = matches!(check.outcome, CheckOutcome::Failed | CheckOutcome::Warning) || check.is_undecided();
            if let Some(remedy) = check.remedy.as_deref().filter(|_| to_do) {
                let _ = write!(line, "<p>{}</p>", escape(&self.remedy(remedy)));
                if check.outcome != CheckOutcome::Unknown {
                    let _ = write!(line, "<p>{}</p>", self.console(&self.place(check.name), words.say("open")));
                }
            }
            let _ = write!(
                line,
                "<details><summary>{}</summary><p><code lang=\"en\" translate=\"no\">{}</code></p></details>",
                words.say("evidence"),
                escape(&check.evidence)
            );
        }
        line.push_str("</li>\n");
        line
    }

    /// Where in the console something can be done about a check. These paths are those of links in
    /// others' guides; the head of `words/en.txt` says which nobody of ours has tried.
    fn place(&self, name: CheckName) -> String {
        let region = self.link.purpose.regions.first().map_or("us-east-1", |region| region.as_str());
        match name {
            CheckName::SesRegion | CheckName::SendingStatus | CheckName::Sandbox => {
                format!("/ses/home?region={region}#/account")
            }
            CheckName::DefaultConfigurationSet => format!("/ses/home?region={region}#/configuration-sets"),
            _ => "/iam/home#/users".to_owned(),
        }
    }
}
