//! How serious it is that a key can call an action that it does not need.

use serde::{Deserialize, Serialize};

use crate::access_level::AccessLevel;

/// Severity of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Reads names and settings, or matches only actions that AWS may add.
    Low,
    /// Reads or changes something that the product does not need.
    Medium,
    /// Reads data, changes permissions, or covers a whole service.
    High,
    /// Leads to full control of the account, or outlives the key.
    Critical,
}

impl Severity {
    /// The name used in reports and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// IAM actions that write policies or credentials: one step from full control. `CreateAccessKey` is in the list because
/// our key may delete keys: even when a user already has two keys, it can make room for a new one (pathfinding.cloud,
/// iam-003).
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

/// Actions of other services that read data and secrets, run code, or take over a resource.
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

/// The severity of one action that is allowed and should not be. `service` and `name` are in lower case. An action that
/// the catalogue does not list has no `level`; then its name decides.
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
