//! How bad it is that a key can do something it should not.

use serde::{Deserialize, Serialize};

use crate::catalogue::AccessLevel;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Reads names and settings, or may mean something one day.
    Low,
    /// Changes or reads what is not needed.
    Medium,
    /// Reads data, changes permissions, or covers a whole service.
    High,
    /// Leads to everything, or outlives the key.
    Critical,
}

impl Severity {
    /// The name used in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// IAM actions that write policies or credentials: one step from everything. `CreateAccessKey` is among them because
/// the key may delete keys: it can make room for a new one even with a user who has two (pathfinding.cloud, iam-003).
const CRITICAL_IAM: [&str; 18] = [
    "attachgrouppolicy",
    "attachrolepolicy",
    "attachuserpolicy",
    "createaccesskey",
    "createloginprofile",
    "createpolicyversion",
    "deleterolepermissionsboundary",
    "deleteuserpermissionsboundary",
    "putgrouppolicy",
    "putrolepermissionsboundary",
    "putrolepolicy",
    "putuserpermissionsboundary",
    "putuserpolicy",
    "setdefaultpolicyversion",
    "updateassumerolepolicy",
    "updateloginprofile",
    "createservicespecificcredential",
    "resetservicespecificcredential",
];

const HIGH_IAM: [&str; 10] = [
    "addusertogroup",
    "passrole",
    "taguser",
    "tagrole",
    "updateaccesskey",
    "deleteuserpolicy",
    "detachuserpolicy",
    "deletegrouppolicy",
    "detachgrouppolicy",
    "createvirtualmfadevice",
];

/// Reads of data and secrets, and ways to run code or take over.
const HIGH_ELSEWHERE: [&str; 31] = [
    "s3:getobject",
    "s3:getobjectversion",
    "secretsmanager:getsecretvalue",
    "secretsmanager:batchgetsecretvalue",
    "kms:decrypt",
    "kms:reencryptfrom",
    "kms:sign",
    "ssm:getparameter",
    "ssm:getparameters",
    "ssm:getparametersbypath",
    "ssm:getparameterhistory",
    "ssm:sendcommand",
    "ssm:startsession",
    "dynamodb:getitem",
    "dynamodb:batchgetitem",
    "dynamodb:query",
    "dynamodb:scan",
    "dynamodb:exporttabletopointintime",
    "athena:getqueryresults",
    "rds-data:executestatement",
    "redshift-data:executestatement",
    "ec2:getpassworddata",
    "ec2:runinstances",
    "lambda:updatefunctioncode",
    "lambda:createfunction",
    "lambda:getfunction",
    "cloudformation:createstack",
    "cloudformation:updatestack",
    "logs:getlogevents",
    "logs:filterlogevents",
    "codecommit:gitpull",
];

/// The severity of one action that is allowed and should not be. Service and name in lower case; `level` is absent for
/// actions that are not listed, whose name then has to do.
pub(crate) fn rate(service: &str, name: &str, level: Option<AccessLevel>) -> Severity {
    if service == "iam" {
        return rate_iam(name, level);
    }
    if service == "sts" {
        return rate_sts(name);
    }
    if HIGH_ELSEWHERE.iter().any(|high| high.split_once(':') == Some((service, name))) {
        return Severity::High;
    }
    match level {
        Some(AccessLevel::Permissions) => Severity::High,
        Some(AccessLevel::Write | AccessLevel::Tagging) => Severity::Medium,
        Some(AccessLevel::List | AccessLevel::Read) => Severity::Low,
        None if ["get", "list", "describe", "head", "batchget", "view", "search", "lookup"]
            .iter()
            .any(|verb| name.starts_with(verb)) =>
        {
            Severity::Low
        }
        None => Severity::Medium,
    }
}

fn rate_iam(name: &str, level: Option<AccessLevel>) -> Severity {
    let removes = ["delete", "remove", "detach", "deactivate", "disable"].iter().any(|verb| name.starts_with(verb));
    match level {
        _ if CRITICAL_IAM.contains(&name) => Severity::Critical,
        _ if HIGH_IAM.contains(&name) => Severity::High,
        Some(AccessLevel::Permissions) if !removes => Severity::High,
        Some(AccessLevel::List) => Severity::Low,
        _ if name.starts_with("list") || name.starts_with("simulate") => Severity::Low,
        _ => Severity::Medium,
    }
}

fn rate_sts(name: &str) -> Severity {
    match name {
        "assumerole" => Severity::Critical,
        "getfederationtoken"
        | "getsessiontoken"
        | "assumerolewithsaml"
        | "assumerolewithwebidentity"
        | "assumeroot" => Severity::High,
        _ if name.starts_with("get") || name.starts_with("decode") => Severity::Low,
        _ => Severity::Medium,
    }
}
