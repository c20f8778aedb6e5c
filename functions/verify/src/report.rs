//! The report on a key: every check, whatever became of it.

use jiff::Timestamp;
use serde::Serialize;
use shared::policy::{Finding, HARDENED_VERSION};

use crate::check::own_policies::OwnPolicies;
use crate::check::{Check, CheckName, Outcome};

/// A report while checks are still being made.
#[derive(Default)]
pub(crate) struct Draft {
    checks: Vec<Check>,
    findings: Vec<Finding>,
    own_policies: Option<OwnPolicies>,
}

/// A whole report: it has every check, those that were not made as unknown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Report {
    checked_at: Timestamp,
    verdict: Verdict,
    policy_breadth: Breadth,
    /// The version of the policy document that tenants were told to use at the time.
    recommended_policy: &'static str,
    checks: Vec<Check>,
    /// What the key can do beyond its purpose, seen in its policies or in AWS's answers.
    findings: Vec<Finding>,
    /// Where the key may read its own policies.
    #[serde(skip_serializing_if = "Option::is_none")]
    own_policies: Option<OwnPolicies>,
}

/// What follows from the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    /// The key is taken.
    Accepted,
    /// The key is at fault.
    Refused,
    /// Something required is not known: AWS or we are at fault.
    Undecided,
}

/// Whom the key can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Breadth {
    /// Its own user.
    OwnUser,
    /// Every user of the account, as the classic policy has it.
    AllUsers,
    /// It was not seen.
    Unknown,
}

impl Draft {
    /// Adds a check.
    pub(crate) fn add(&mut self, check: Check) {
        self.checks.push(check);
    }

    /// Adds what was found beyond the key's purpose.
    pub(crate) fn find(&mut self, findings: impl IntoIterator<Item = Finding>) {
        self.findings.extend(findings);
    }

    /// Adds what the key's own policies say.
    pub(crate) fn judge(&mut self, own_policies: OwnPolicies) {
        self.own_policies = Some(own_policies);
    }

    /// Whether nothing stands against taking the key so far.
    pub(crate) fn is_clear(&self) -> bool {
        verdict(&self.checks) == Verdict::Accepted
    }

    /// The report, with every check that was not made as unknown and what kept it from being made.
    pub(crate) fn close(self, now: Timestamp) -> Report {
        let Self { mut checks, findings, own_policies } = self;
        let cause = checks
            .iter()
            .find(|check| check.outcome == Outcome::Failed)
            .or_else(|| checks.iter().find(|check| is_open(check)))
            .map(|check| (check.name, check.outcome));
        for name in CheckName::ALL {
            if checks.iter().any(|check| check.name == name) {
                continue;
            }
            checks.push(match cause {
                Some((cause, outcome)) => {
                    let became = if outcome == Outcome::Failed { "failed" } else { "is not known" };
                    let evidence = format!("not checked because `{}` {became}", cause.as_str());
                    Check::unknown(name, evidence, format!("Mend `{}` first.", cause.as_str()))
                }
                None => Check::unknown(name, "not checked", crate::check::TRY_AGAIN),
            });
        }
        checks.sort_by_key(|check| check.name);
        let breadth = checks.iter().find(|check| check.name == CheckName::Breadth).map(|check| check.outcome);
        Report {
            checked_at: now,
            verdict: verdict(&checks),
            policy_breadth: match breadth {
                Some(Outcome::Passed) => Breadth::OwnUser,
                Some(Outcome::Warning) => Breadth::AllUsers,
                _ => Breadth::Unknown,
            },
            recommended_policy: HARDENED_VERSION,
            checks,
            findings,
            own_policies,
        }
    }
}

impl Report {
    /// The report with this check in the place of the one that was made before.
    pub(crate) fn with(mut self, check: Check) -> Self {
        if let Some(made) = self.checks.iter_mut().find(|made| made.name == check.name) {
            *made = check;
        }
        self.verdict = verdict(&self.checks);
        self
    }

    /// What follows from it.
    pub(crate) fn verdict(&self) -> Verdict {
        self.verdict
    }

    /// Names of the checks that failed.
    pub(crate) fn failed(&self) -> impl Iterator<Item = &'static str> {
        self.checks.iter().filter(|check| check.outcome == Outcome::Failed).map(|check| check.name.as_str())
    }

    /// Names of the required checks that are not known.
    pub(crate) fn undecided(&self) -> impl Iterator<Item = &'static str> {
        self.checks.iter().filter(|check| is_open(check)).map(|check| check.name.as_str())
    }
}

impl Verdict {
    /// The verdict as reports and log lines have it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
        }
    }
}

/// A failed check outweighs an unknown one: more waiting would not help the key.
fn verdict(checks: &[Check]) -> Verdict {
    if checks.iter().any(|check| check.outcome == Outcome::Failed) {
        Verdict::Refused
    } else if checks.iter().any(is_open) {
        Verdict::Undecided
    } else {
        Verdict::Accepted
    }
}

fn is_open(check: &Check) -> bool {
    check.outcome == Outcome::Unknown && check.name.is_required()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(outcomes: &[(CheckName, Outcome)]) -> Report {
        let mut draft = Draft::default();
        for (name, outcome) in outcomes {
            draft.add(Check { name: *name, outcome: *outcome, evidence: String::new(), remedy: None });
        }
        draft.close(Timestamp::UNIX_EPOCH)
    }

    fn all_but(name: CheckName, outcome: Outcome) -> Report {
        let outcomes: Vec<_> =
            CheckName::ALL.map(|each| (each, if each == name { outcome } else { Outcome::Passed })).to_vec();
        close(&outcomes)
    }

    #[test]
    fn one_failed_check_refuses_whichever_it_is() {
        for name in CheckName::ALL {
            assert_eq!(all_but(name, Outcome::Failed).verdict(), Verdict::Refused, "{name:?}");
            assert_eq!(all_but(name, Outcome::Warning).verdict(), Verdict::Accepted, "{name:?}");
        }
    }

    #[test]
    fn unknown_is_never_as_good_as_passed_where_it_is_required() {
        for name in CheckName::ALL {
            let expected = if name.is_required() { Verdict::Undecided } else { Verdict::Accepted };
            assert_eq!(all_but(name, Outcome::Unknown).verdict(), expected, "{name:?}");
        }
    }

    #[test]
    fn a_report_has_every_check_in_order_and_says_why_one_was_not_made() {
        let report = close(&[(CheckName::Live, Outcome::Failed), (CheckName::Shape, Outcome::Passed)]);
        assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
        assert_eq!(report.verdict(), Verdict::Refused);
        let excess = report.checks.last().unwrap();
        assert_eq!(excess.outcome, Outcome::Unknown);
        assert_eq!(excess.evidence, "not checked because `live` failed");
        assert_eq!(close(&[]).verdict(), Verdict::Undecided);
    }

    #[test]
    fn a_check_that_is_made_again_takes_the_place_of_the_first_and_decides() {
        let accepted = all_but(CheckName::Sandbox, Outcome::Warning);
        let refused = accepted.with(Check::failed(CheckName::NotReported, "", ""));
        assert_eq!(refused.verdict(), Verdict::Refused);
        assert_eq!(refused.failed().collect::<Vec<_>>(), ["not_reported"]);
        assert_eq!(refused.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
    }

    #[test]
    fn a_draft_without_findings_against_the_key_is_clear() {
        let mut draft = Draft::default();
        draft.add(Check::passed(CheckName::Shape, ""));
        draft.add(Check::unknown(CheckName::ConsoleLogin, "", ""));
        assert!(draft.is_clear());
        draft.add(Check::unknown(CheckName::Live, "", ""));
        assert!(!draft.is_clear());
    }
}
