//! What is wrong with a key's permissions. Policies that were read and probes that were made report it in one form.

use serde::{Deserialize, Serialize};

use crate::access_level::AccessLevel;
use crate::action::{ActionPattern, split_action};
use crate::catalogue::CATALOGUE;
use crate::evaluate::StatementRef;
use crate::severity::{Severity, rate};

/// The most findings of one check. A person repairs the most severe ones and checks again.
pub const MAX_FINDINGS: usize = 200;

/// One thing that a key can do and should not, or that a person should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What kind of finding it is.
    pub kind: FindingKind,
    /// How serious it is.
    pub severity: Severity,
    /// An action that proves it, such as `iam:CreateAccessKey`.
    pub action: String,
    /// A resource on which the action is allowed; absent where none was determined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
    /// Whether it depends on a condition, or on a variable whose value is not known.
    pub conditional: bool,
    /// Whether it comes from policies or from a call that AWS allowed.
    pub source: FindingSource,
    /// The statement at fault.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statement: Option<StatementRef>,
    /// The pattern at fault, as written; absent for `NotAction`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// Further actions of the same kind that the same pattern allows; at most 24.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub also: Vec<Witness>,
    /// What it means and what to do, in sentences for a person.
    pub explanation: String,
    /// Which actions it is about, where neither `pattern` nor `action` says so.
    #[serde(skip)]
    pub subject: FindingSubject,
}

/// Which actions a finding is about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum FindingSubject {
    /// Those that its pattern matches, or without pattern its own action.
    #[default]
    Named,
    /// All but those that these patterns of a `NotAction` match.
    AllBut(Vec<String>),
    /// Unknown: it stands for everything that was not looked at, so it explains nothing.
    Unknown,
}

/// An action on a resource.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Witness {
    /// `iam:CreateAccessKey`.
    pub action: String,
    /// An ARN, or `*` for actions without resource.
    pub resource: String,
}

/// The kinds of findings. Only [`FindingKind::Excess`] and [`FindingKind::Undecided`] make a key overprivileged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FindingKind {
    /// Allowed, and more than a key may do.
    Excess,
    /// Not decided within the budget, so it counts as excess.
    Undecided,
    /// Allows nothing today, but its wildcard would match actions that AWS may add.
    Latent,
    /// Within what a key may do, and still worth knowing.
    Notice,
}

/// Where a finding comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FindingSource {
    /// Policies were read and evaluated.
    Static,
    /// A call was made and AWS allowed it.
    Observed,
}

impl Finding {
    /// The finding of a probe: AWS allowed `action`, which it should have denied.
    pub fn observed(action: &str, resource: Option<&str>) -> Self {
        let (service, name) = split_action(action);
        let known = CATALOGUE.find(&service, &name);
        Self {
            kind: FindingKind::Excess,
            severity: known.map_or_else(|| rate(&service, &name, None), |known| known.severity),
            action: action.to_owned(),
            resource: resource.map(str::to_owned),
            conditional: false,
            source: FindingSource::Observed,
            statement: None,
            pattern: None,
            also: Vec::new(),
            explanation: format!(
                "The key was allowed to call {action}: {} Remove the permission from all policies of the user and its groups.",
                meaning(action)
            ),
            subject: FindingSubject::Named,
        }
    }

    /// Whether it makes the key overprivileged.
    pub const fn is_excess(&self) -> bool {
        matches!(self.kind, FindingKind::Excess | FindingKind::Undecided)
    }

    /// Whether it says that this action is excess, on any resource. If not, a call that was allowed is a finding of its
    /// own.
    pub fn covers(&self, action: &str) -> bool {
        let (service, name) = split_action(action);
        let matches =
            |pattern: &str| ActionPattern::parse(pattern).is_ok_and(|pattern| pattern.matches(&service, &name));
        self.is_excess()
            && match (&self.subject, &self.pattern) {
                (FindingSubject::Named, Some(pattern)) => matches(pattern),
                (FindingSubject::Named, None) => self.action.eq_ignore_ascii_case(action),
                (FindingSubject::AllBut(patterns), _) => !patterns.iter().any(|pattern| matches(pattern)),
                (FindingSubject::Unknown, _) => false,
            }
    }

    /// Every pair of action and resource that the finding names.
    pub fn witnesses(&self) -> impl Iterator<Item = Witness> {
        let first =
            self.resource.as_ref().map(|resource| Witness { action: self.action.clone(), resource: resource.clone() });
        first.into_iter().chain(self.also.iter().cloned())
    }
}

/// What an action lets a thief of the key do, as a sentence.
pub(crate) fn meaning(action: &str) -> String {
    let lower = action.to_ascii_lowercase();
    let (service, name) = lower.split_once(':').unwrap_or(("", &lower));
    let known = match (service, name) {
        ("iam", "createaccesskey") => "it makes a new key, which stays when ours is deleted.",
        ("iam", "updateaccesskey") => "it switches deactivated keys on again.",
        ("iam", "createloginprofile" | "updateloginprofile") => {
            "it sets a console password, which stays when the key is deleted."
        }
        (
            "iam",
            "putuserpolicy" | "attachuserpolicy" | "putgrouppolicy" | "attachgrouppolicy" | "putrolepolicy"
            | "attachrolepolicy",
        ) => "it gives any permission to anybody it covers.",
        ("iam", "createpolicyversion" | "setdefaultpolicyversion") => {
            "it rewrites a policy, and with it the rights of all who have it."
        }
        ("iam", "updateassumerolepolicy") => "it lets anybody take over a role.",
        (
            "iam",
            "deleteuserpermissionsboundary"
            | "putuserpermissionsboundary"
            | "deleterolepermissionsboundary"
            | "putrolepermissionsboundary",
        ) => "it lifts the ceiling over a user's or role's rights.",
        ("iam", "deleteuserpolicy" | "detachuserpolicy" | "deletegrouppolicy" | "detachgrouppolicy") => {
            "it removes policies, also those that deny."
        }
        ("iam", "createservicespecificcredential" | "resetservicespecificcredential") => {
            "it makes other credentials, which stay when the key is deleted."
        }
        ("iam", "addusertogroup") => "it gives a user all rights of a group.",
        ("iam", "passrole") => "it hands a role's rights to a service.",
        ("iam", "taguser" | "tagrole") => "it changes attributes that other policies may trust.",
        ("iam", "createuser") => "it makes a user.",
        ("iam", "simulateprincipalpolicy" | "simulatecustompolicy") => "it reads what policies allow.",
        ("iam", _) if name.starts_with("get") => "it reads the account's IAM configuration.",
        ("iam", _) if name.starts_with("list") => "it reads names out of the account's IAM configuration.",
        ("iam", _) => "it changes who may do what in the account.",
        ("sts", "assumerole") => "it takes over roles that trust this account.",
        ("sts", "getfederationtoken" | "getsessiontoken") => "it makes sessions that outlive the key.",
        ("s3", "getobject" | "getobjectversion") => "it reads stored files.",
        ("kms", "decrypt" | "reencryptfrom") => "it decrypts data.",
        ("secretsmanager", "getsecretvalue" | "batchgetsecretvalue") => "it reads secrets.",
        ("ssm", _) if name.starts_with("getparameter") => "it reads parameters, often secrets.",
        ("ec2", "runinstances") => "it starts machines at the account's cost.",
        ("dynamodb", "getitem" | "batchgetitem" | "query" | "scan") => "it reads stored records.",
        _ => "",
    };
    if !known.is_empty() {
        return known.to_owned();
    }
    let level = CATALOGUE.find(service, name).map(|action| action.level);
    match level {
        Some(AccessLevel::Permissions) => format!("it changes permissions in {service}."),
        Some(AccessLevel::List | AccessLevel::Read) => format!("it reads from {service}."),
        Some(_) => format!("it changes things in {service}."),
        None => "it is not needed.".to_owned(),
    }
}
