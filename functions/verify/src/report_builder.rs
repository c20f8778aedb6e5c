//! The report of a verification while checks are still being made.

use jiff::Timestamp;
use shared::policy::{Finding, HARDENED_VERSION};
use shared::record::{
    Assurance, Check, CheckName, CheckOutcome, OwnPolicies, PolicyBreadth, RegionSuggestion, VerificationOutcome,
    VerificationReport,
};
use tokio::sync::mpsc::UnboundedSender;

use crate::check::TRY_AGAIN;

/// Collects the checks of a verification.
#[derive(Default)]
pub(crate) struct ReportBuilder {
    /// Who is told of each check as it ends.
    watcher: Option<UnboundedSender<Check>>,
    checks: Vec<Check>,
    findings: Vec<Finding>,
    own_policies: Option<OwnPolicies>,
    assurance: Option<Assurance>,
    sessions_denied: Option<bool>,
    region_suggestion: Option<RegionSuggestion>,
}

impl ReportBuilder {
    /// A builder that tells somebody of each check as it ends. A check that replaces another one is told again.
    pub(crate) fn watched(watcher: UnboundedSender<Check>) -> Self {
        Self { watcher: Some(watcher), ..Self::default() }
    }

    /// Adds a check.
    pub(crate) fn add(&mut self, check: Check) {
        if let Some(watcher) = &self.watcher {
            // Nobody has to listen to the end.
            let _ = watcher.send(check.clone());
        }
        self.checks.push(check);
    }

    /// Adds a check, in the place of an earlier one of the same name.
    pub(crate) fn replace(&mut self, check: Check) {
        self.checks.retain(|earlier| earlier.name != check.name);
        self.add(check);
    }

    /// The checks that were made.
    pub(crate) fn checks(&self) -> &[Check] {
        &self.checks
    }

    /// Whether this check was made and failed.
    pub(crate) fn has_failed(&self, name: CheckName) -> bool {
        self.checks.iter().any(|check| check.name == name && check.outcome == CheckOutcome::Failed)
    }

    /// Says better what can be done about a check.
    pub(crate) fn set_remedy(&mut self, name: CheckName, remedy: String) {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            check.remedy = Some(remedy);
        }
    }

    /// Says what else was seen of a check.
    pub(crate) fn add_evidence(&mut self, name: CheckName, seen: &str) {
        if let Some(check) = self.checks.iter_mut().find(|check| check.name == name) {
            check.evidence.push_str("; ");
            check.evidence.push_str(seen);
        }
    }

    /// Sets which Regions may be meant.
    pub(crate) fn set_region_suggestion(&mut self, suggestion: RegionSuggestion) {
        self.region_suggestion = Some(suggestion);
    }

    /// Sets how well it is known that the key can do nothing else.
    pub(crate) fn set_assurance(&mut self, assurance: Assurance) {
        self.assurance = Some(assurance);
    }

    /// Sets whether sessions minted from the key were seen to be worthless.
    pub(crate) fn set_sessions_denied(&mut self, sessions_denied: Option<bool>) {
        self.sessions_denied = sessions_denied;
    }

    /// Adds what was found beyond the key's purpose.
    pub(crate) fn add_findings(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Sets what the key's own policies say.
    pub(crate) fn set_own_policies(&mut self, own_policies: OwnPolicies) {
        self.own_policies = Some(own_policies);
    }

    /// Whether the checks so far would accept the key.
    pub(crate) fn would_accept(&self) -> bool {
        VerificationOutcome::from_checks(&self.checks) == VerificationOutcome::Accepted
    }

    /// The whole report. A check that was not made is `unknown`, and its evidence says which check prevented it.
    pub(crate) fn finish(self, now: Timestamp) -> VerificationReport {
        let Self { mut checks, findings, own_policies, assurance, sessions_denied, region_suggestion, watcher: _ } =
            self;
        let cause = checks
            .iter()
            .find(|check| check.outcome == CheckOutcome::Failed)
            .or_else(|| checks.iter().find(|check| check.is_undecided()))
            .map(|check| (check.name, check.outcome));
        for name in CheckName::ALL {
            if checks.iter().any(|check| check.name == name) {
                continue;
            }
            checks.push(match cause {
                Some((cause, outcome)) => {
                    let ended = if outcome == CheckOutcome::Failed { "failed" } else { "is not known" };
                    let evidence = format!("not checked because `{}` {ended}", cause.as_str());
                    Check::unknown(name, evidence, format!("Mend `{}` first.", cause.as_str()))
                }
                None => Check::unknown(name, "not checked", TRY_AGAIN),
            });
        }
        checks.sort_by_key(|check| check.name);
        #[cfg(test)]
        assert_translated(&checks);
        let breadth = checks.iter().find(|check| check.name == CheckName::Breadth).map(|check| check.outcome);
        VerificationReport {
            checked_at: now,
            outcome: VerificationOutcome::from_checks(&checks),
            assurance,
            sessions_denied,
            policy_breadth: match breadth {
                Some(CheckOutcome::Passed) => PolicyBreadth::OwnUser,
                Some(CheckOutcome::Warning) => PolicyBreadth::AllUsers,
                _ => PolicyBreadth::Unknown,
            },
            recommended_policy: HARDENED_VERSION.to_owned(),
            checks,
            findings,
            own_policies,
            region_suggestion,
        }
    }
}

/// Every remedy that any test meets can be said in German.
#[cfg(test)]
fn assert_translated(checks: &[Check]) {
    let words = crate::page::Words::of(crate::page::Language::German);
    for check in checks {
        let remedy = check.remedy.as_deref().unwrap_or_default();
        assert!(remedy.is_empty() || words.knows_remedy(remedy), "{:?}: {remedy}", check.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finish(outcomes: &[(CheckName, CheckOutcome)]) -> VerificationReport {
        let mut report = ReportBuilder::default();
        for (name, outcome) in outcomes {
            report.add(Check { name: *name, outcome: *outcome, evidence: String::new(), remedy: None });
        }
        report.finish(Timestamp::UNIX_EPOCH)
    }

    fn all_but(name: CheckName, outcome: CheckOutcome) -> VerificationReport {
        let outcomes: Vec<_> = CheckName::ALL
            .map(|checked| (checked, if checked == name { outcome } else { CheckOutcome::Passed }))
            .to_vec();
        finish(&outcomes)
    }

    #[test]
    fn one_failed_check_refuses_whichever_it_is() {
        for name in CheckName::ALL {
            assert_eq!(all_but(name, CheckOutcome::Failed).outcome, VerificationOutcome::Refused, "{name:?}");
            assert_eq!(all_but(name, CheckOutcome::Warning).outcome, VerificationOutcome::Accepted, "{name:?}");
        }
    }

    #[test]
    fn unknown_is_never_as_good_as_passed_if_the_check_is_required() {
        for name in CheckName::ALL {
            let expected =
                if name.is_required() { VerificationOutcome::Undecided } else { VerificationOutcome::Accepted };
            assert_eq!(all_but(name, CheckOutcome::Unknown).outcome, expected, "{name:?}");
        }
    }

    #[test]
    fn a_report_has_every_check_in_order_and_says_why_one_was_not_made() {
        let report = finish(&[(CheckName::Live, CheckOutcome::Failed), (CheckName::Shape, CheckOutcome::Passed)]);
        assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
        assert_eq!(report.outcome, VerificationOutcome::Refused);
        let last = report.checks.last().unwrap();
        assert_eq!(last.outcome, CheckOutcome::Unknown);
        assert_eq!(last.evidence, "not checked because `live` failed");
        assert_eq!(finish(&[]).outcome, VerificationOutcome::Undecided);
    }

    #[test]
    fn a_later_check_replaces_the_earlier_one_and_decides() {
        let mut report = all_but(CheckName::Sandbox, CheckOutcome::Warning);
        report.replace_check(Check::failed(CheckName::NotReported, "", ""));
        assert_eq!(report.outcome, VerificationOutcome::Refused);
        assert_eq!(report.failed_checks(), ["not_reported"]);
        assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
    }

    #[test]
    fn checks_that_are_not_against_the_key_would_accept_it() {
        let mut report = ReportBuilder::default();
        report.add(Check::passed(CheckName::Shape, ""));
        report.add(Check::unknown(CheckName::ConsoleLogin, "", ""));
        assert!(report.would_accept());
        report.add(Check::unknown(CheckName::Live, "", ""));
        assert!(!report.would_accept());
    }
}
