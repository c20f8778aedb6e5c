//! The report of a verification: every check of a key and what follows from them.
//!
//! One type from the checks to the response: `verify` builds it, stores it with the provider and shows it to the tenant.
//! The words of its enums are stored and public, so a word is added in one release and first written in the next one.

use jiff::Timestamp;
use policy::{Finding, Verdict};
use serde::{Deserialize, Serialize};

use crate::tenant::Region;

/// A whole report. It has every check, also those that were not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct VerificationReport {
    /// When the last check ended.
    pub checked_at: Timestamp,
    /// What follows from the checks.
    #[serde(rename = "verdict")]
    pub outcome: VerificationOutcome,
    /// How well it is known that the key can do nothing else. Absent if a check that comes before it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assurance: Option<Assurance>,
    /// Whether sessions that were minted from the key were seen to be worthless: they outlive it. Absent if that was not
    /// seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sessions_denied: Option<bool>,
    /// Whose access keys the key can delete.
    pub policy_breadth: PolicyBreadth,
    /// The version of the policy document that tenants were told to use at the time.
    pub recommended_policy: String,
    /// The Regions in which identities of the account can send, where none was chosen and it is not clear which is meant, or
    /// nothing can send in the one that was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region_suggestion: Option<RegionSuggestion>,
    /// The checks, in the order of [`CheckName::ALL`].
    pub checks: Vec<Check>,
    /// What the key can do beyond its purpose, seen in its policies or in AWS's answers.
    pub findings: Vec<Finding>,
    /// What the key's own policies say. Absent for a key that may not read them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub own_policies: Option<OwnPolicies>,
}

/// Which Region may be meant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionSuggestion {
    /// The Region that was chosen, in which no identity can send. Absent if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Region>,
    /// The Regions in which identities can.
    pub verified_in: Vec<Region>,
}

/// What follows from the checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VerificationOutcome {
    /// The key is accepted.
    Accepted,
    /// The key is at fault.
    Refused,
    /// Something required is not known: AWS or we are at fault.
    Undecided,
}

/// How well it is known that a key can do nothing beyond its purpose. The variants are in the order of their strength.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Assurance {
    /// No probe was allowed, and some of them only because nothing allows them. Narrow permissions stay unseen.
    Observed,
    /// Every probe met a Deny statement, as with a policy that denies everything else.
    ExplicitlyDenied,
    /// All policies of the user and its groups, and its permissions boundary, were read, and they allow nothing beyond.
    Proven,
}

/// Whose access keys the policy allows the key to delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PolicyBreadth {
    /// Those of its own user.
    OwnUser,
    /// Those of every user of the account, as the classic policy allows.
    AllUsers,
    /// The probe did not show it.
    Unknown,
}

/// One check of a key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// What was checked.
    pub name: CheckName,
    /// How the check ended.
    pub outcome: CheckOutcome,
    /// What was seen: codes and ids, never a text of AWS's and never a secret.
    pub evidence: String,
    /// What the tenant can do about it. `None` if the check passed.
    pub remedy: Option<String>,
}

/// The name of a check. The variants are in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckName {
    /// Id and secret look like an access key.
    Shape,
    /// A long-term key and not temporary credentials.
    LongTerm,
    /// STS accepts id and secret.
    Live,
    /// Nobody has reported the key.
    NotReported,
    /// The key belongs to an IAM user.
    IamUser,
    /// The account is the one that the key id encodes.
    Account,
    /// `iam:GetUser` on its own user.
    GetUser,
    /// Nobody signs in to the console as this user.
    ConsoleLogin,
    /// `iam:DeleteAccessKey` on its own user.
    DeleteAccessKey,
    /// SES answers the key in the Region.
    SesRegion,
    /// AWS has not put the user under quarantine.
    Quarantine,
    /// The account may send.
    SendingStatus,
    /// The account may send to anybody.
    Sandbox,
    /// `ses:SendEmail`.
    Sending,
    /// The policy covers the default configuration set of an identity.
    DefaultConfigurationSet,
    /// The key can act on its own user only.
    Breadth,
    /// The user has no second access key.
    SecondKey,
    /// Sessions minted from the key are worthless.
    Sessions,
    /// Neither a probe nor a policy shows anything else that the key can do.
    Excess,
    /// That is known as well as the operator requires.
    Assurance,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CheckOutcome {
    /// Everything is as it must be.
    Passed,
    /// The key is at fault.
    Failed,
    /// The key is accepted, but something should be fixed.
    Warning,
    /// Nothing was seen either way. Never as good as passed.
    Unknown,
}

/// What the policies say that the key could read of its own user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OwnPolicies {
    /// What follows from the policies and from the calls that read them.
    pub verdict: Verdict,
    /// Whether all policies were read. If not, the key may be allowed more than this.
    pub complete: bool,
    /// Names of the policies that were read. The `statement.document` of a finding is an index into this list.
    pub documents: Vec<String>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
    /// Required actions that the policies do not allow. Absent if an unread policy might allow them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<Vec<String>>,
    /// What is within bounds and still worth knowing.
    pub notices: Vec<Finding>,
    /// How many more findings there are than the report lists.
    pub findings_omitted: usize,
}

impl VerificationReport {
    /// Replaces a check by a later one of the same name, which may change the outcome.
    pub fn replace_check(&mut self, check: Check) {
        if let Some(earlier) = self.checks.iter_mut().find(|earlier| earlier.name == check.name) {
            *earlier = check;
        }
        self.outcome = VerificationOutcome::from_checks(&self.checks);
    }

    /// Names of the checks that failed.
    pub fn failed_checks(&self) -> Vec<&'static str> {
        self.names_where(|check| check.outcome == CheckOutcome::Failed)
    }

    /// Names of the required checks whose outcome is unknown.
    pub fn undecided_checks(&self) -> Vec<&'static str> {
        self.names_where(Check::is_undecided)
    }

    fn names_where(&self, condition: impl Fn(&Check) -> bool) -> Vec<&'static str> {
        self.checks.iter().filter(|check| condition(check)).map(|check| check.name.as_str()).collect()
    }
}

impl VerificationOutcome {
    /// A failed check outweighs an unknown one: waiting longer would not help the key.
    pub fn from_checks(checks: &[Check]) -> Self {
        if checks.iter().any(|check| check.outcome == CheckOutcome::Failed) {
            Self::Refused
        } else if checks.iter().any(Check::is_undecided) {
            Self::Undecided
        } else {
            Self::Accepted
        }
    }

    /// The outcome's word in reports and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
        }
    }
}

impl Check {
    /// Everything is as it must be.
    pub fn passed(name: CheckName, evidence: impl Into<String>) -> Self {
        Self { name, outcome: CheckOutcome::Passed, evidence: evidence.into(), remedy: None }
    }

    /// The key is at fault.
    pub fn failed(name: CheckName, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: CheckOutcome::Failed, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// The key is accepted, but something should be fixed.
    pub fn warning(name: CheckName, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: CheckOutcome::Warning, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Nothing was seen either way.
    pub fn unknown(name: CheckName, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: CheckOutcome::Unknown, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Whether this check keeps the key from being accepted because its outcome is unknown.
    pub fn is_undecided(&self) -> bool {
        self.outcome == CheckOutcome::Unknown && self.name.is_required()
    }
}

impl CheckName {
    /// All checks, in the order of the report.
    pub const ALL: [Self; 20] = [
        Self::Shape,
        Self::LongTerm,
        Self::Live,
        Self::NotReported,
        Self::IamUser,
        Self::Account,
        Self::GetUser,
        Self::ConsoleLogin,
        Self::DeleteAccessKey,
        Self::SesRegion,
        Self::Quarantine,
        Self::SendingStatus,
        Self::Sandbox,
        Self::Sending,
        Self::DefaultConfigurationSet,
        Self::Breadth,
        Self::SecondKey,
        Self::Sessions,
        Self::Excess,
        Self::Assurance,
    ];

    /// Whether a key is accepted only if this check passed or warned. For the other checks, unknown is enough.
    pub fn is_required(self) -> bool {
        !matches!(
            self,
            Self::ConsoleLogin
                | Self::Sandbox
                | Self::DefaultConfigurationSet
                | Self::Breadth
                | Self::SecondKey
                | Self::Sessions
        )
    }

    /// The name's word in reports and log lines.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Shape => "shape",
            Self::LongTerm => "long_term",
            Self::Live => "live",
            Self::NotReported => "not_reported",
            Self::IamUser => "iam_user",
            Self::Account => "account",
            Self::GetUser => "get_user",
            Self::ConsoleLogin => "console_login",
            Self::DeleteAccessKey => "delete_access_key",
            Self::SesRegion => "ses_region",
            Self::Quarantine => "quarantine",
            Self::SendingStatus => "sending_status",
            Self::Sandbox => "sandbox",
            Self::Sending => "sending",
            Self::DefaultConfigurationSet => "default_configuration_set",
            Self::Breadth => "breadth",
            Self::SecondKey => "second_key",
            Self::Sessions => "sessions",
            Self::Excess => "excess",
            Self::Assurance => "assurance",
        }
    }
}

impl Assurance {
    /// All words, the weakest first.
    pub const ALL: [Self; 3] = [Self::Observed, Self::ExplicitlyDenied, Self::Proven];

    /// The assurance of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.as_str() == name)
    }

    /// The word in reports, events and settings.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::ExplicitlyDenied => "explicitly_denied",
            Self::Proven => "proven",
        }
    }
}

impl CheckOutcome {
    /// All outcomes.
    pub const ALL: [Self; 4] = [Self::Passed, Self::Failed, Self::Warning, Self::Unknown];

    /// The outcome's word in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Warning => "warning",
            Self::Unknown => "unknown",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const README: &str = include_str!("../../../README.md");

    fn all_passed() -> VerificationReport {
        VerificationReport {
            checked_at: Timestamp::UNIX_EPOCH,
            outcome: VerificationOutcome::Accepted,
            assurance: Some(Assurance::Observed),
            sessions_denied: Some(false),
            policy_breadth: PolicyBreadth::OwnUser,
            recommended_policy: "2026-01-01".to_owned(),
            checks: CheckName::ALL.map(|name| Check::passed(name, "")).to_vec(),
            findings: Vec::new(),
            own_policies: None,
            region_suggestion: None,
        }
    }

    #[test]
    fn every_word_is_written_as_it_is_serialized_and_check_names_stand_in_order() {
        for name in CheckName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        assert!(CheckName::ALL.is_sorted());
        for assurance in Assurance::ALL {
            assert_eq!(serde_json::to_value(assurance).unwrap(), assurance.as_str());
            assert_eq!(Assurance::parse(assurance.as_str()), Some(assurance));
        }
        assert!(Assurance::ALL.is_sorted() && Assurance::parse("").is_none());
        for outcome in CheckOutcome::ALL {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
        for outcome in [VerificationOutcome::Accepted, VerificationOutcome::Refused, VerificationOutcome::Undecided] {
            assert_eq!(serde_json::to_value(outcome).unwrap(), outcome.as_str());
        }
    }

    #[test]
    fn the_checks_that_the_readme_shows_have_words_of_ours() {
        let shown: Vec<_> = README
            .lines()
            .filter_map(|line| match line.split_whitespace().collect::<Vec<_>>()[..] {
                [_, "s", "check", outcome, name] => Some((outcome, name)),
                _ => None,
            })
            .collect();
        assert!(!shown.is_empty(), "the README shows no check");
        for (outcome, name) in shown {
            assert!(CheckOutcome::ALL.iter().any(|known| known.as_str() == outcome), "{outcome}");
            assert!(CheckName::ALL.iter().any(|known| known.as_str() == name), "{name}");
        }
    }

    #[test]
    fn a_later_check_replaces_the_earlier_one_and_decides() {
        let mut report = all_passed();
        report.replace_check(Check::failed(CheckName::NotReported, "", ""));
        assert_eq!(report.outcome, VerificationOutcome::Refused);
        assert_eq!(report.failed_checks(), ["not_reported"]);
        assert_eq!(report.checks.iter().map(|check| check.name).collect::<Vec<_>>(), CheckName::ALL);
    }

    #[test]
    fn a_report_is_read_as_it_was_written() {
        let mut report = all_passed();
        report.findings.push(Finding::observed("iam:ListUsers", None));
        report.own_policies = Some(OwnPolicies {
            verdict: Verdict::Overprivileged,
            complete: false,
            documents: vec!["inline policy a of the user".to_owned()],
            unread: vec!["the user's groups".to_owned()],
            missing: None,
            notices: Vec::new(),
            findings_omitted: 0,
        });
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!((&json["verdict"], &json["policy_breadth"]), (&"accepted".into(), &"own_user".into()));
        assert_eq!(serde_json::from_value::<VerificationReport>(json).unwrap(), report);
    }
}
