//! The format of resources, as strict as IAM's write API and IAM Access Analyzer.

use super::arn_glob::FIELDS_BEFORE_RESOURCE;
use crate::account_id::is_account_id;
use crate::problem::ProblemLevel;
use crate::variable::PolicyString;

/// AWS's partitions (AWS: "Amazon Resource Names", and the sovereign and isolated ones in the SDKs' partition table).
const PARTITIONS: [&str; 8] =
    ["aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"];

/// What the resource part of an IAM ARN may start with. IAM's error message lists them (recorded in moto's test
/// vectors); the last ones are newer (AWS: Service Authorization Reference, IAM).
const IAM_PATHS: [&str; 17] = [
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
    "u2f/",
    "assumed-role/",
    "delegation-request/",
    "contextProvider/",
];

/// What is wrong with the format of a resource: level, message, remedy. `None` if IAM accepts it without objection.
pub(crate) fn format_problem(raw: &str, string: &PolicyString) -> Option<(ProblemLevel, String, String)> {
    let error = |message: String, remedy: &str| Some((ProblemLevel::Error, message, remedy.to_owned()));
    let warning = |message: String, remedy: &str| Some((ProblemLevel::Warning, message, remedy.to_owned()));
    if raw == "*" {
        return None;
    }
    let skeleton = string.skeleton();
    let fields: Vec<&str> = skeleton.splitn(FIELDS_BEFORE_RESOURCE + 1, ':').collect();
    if fields.len() < 2 || fields[0] != "arn" {
        return error(
            format!("The resource {raw:?} is not an ARN."),
            "Write an ARN (arn:partition:service:region:account:resource) or \"*\".",
        );
    }
    if !PARTITIONS.contains(&fields[1]) && fields[1] != "*" {
        return error(
            format!("The resource {raw:?} names no partition of AWS."),
            "Write \"aws\" there, or \"aws-cn\", \"aws-us-gov\" and the like.",
        );
    }
    let service = fields.get(2).copied().unwrap_or_default();
    if service.is_empty() {
        return error(
            format!("The resource {raw:?} names no service."),
            "Name the service after the partition: arn:aws:ses:….",
        );
    }
    if fields.len() <= FIELDS_BEFORE_RESOURCE && skeleton.contains("::") {
        return error(
            format!("The resource {raw:?} has too few fields."),
            "An ARN has six fields: arn:partition:service:region:account:resource.",
        )
        .filter(|_| !short_arn_is_plain(&fields));
    }
    if service.contains(['*', '?']) {
        return warning(
            format!("The resource {raw:?} has a wildcard in place of the service."),
            "Name the service, or write \"*\" alone.",
        );
    }
    let region = fields.get(3).copied().unwrap_or_default();
    let account = fields.get(4).copied().unwrap_or_default();
    let path = fields.get(FIELDS_BEFORE_RESOURCE).copied().unwrap_or("*");
    if service.contains(|character: char| character.is_ascii_uppercase()) {
        return warning(
            format!("The resource {raw:?} names a service in upper case, and ARNs are compared with case."),
            "Write the service in lower case.",
        );
    }
    if !names_account(account) {
        return warning(
            format!("The resource {raw:?} names an account that is not twelve digits."),
            "Write the account's twelve digits, or \"*\".",
        );
    }
    if service == "iam" && !region.is_empty() && region != "*" {
        return warning(
            format!("The resource {raw:?} names a region, which IAM does not have."),
            "Leave the field empty: arn:aws:iam::….",
        );
    }
    if service == "s3" && !region.is_empty() && region != "*" && account.is_empty() {
        return warning(
            format!("The resource {raw:?} names a region, which buckets do not have."),
            "Leave the field empty: arn:aws:s3:::….",
        );
    }
    if service == "iam" && path != "*" && !IAM_PATHS.iter().any(|start| path.starts_with(start)) {
        let level = if path.split('/').next().unwrap_or_default().contains(['*', '?']) {
            ProblemLevel::Warning
        } else {
            ProblemLevel::Error
        };
        let message = format!("The resource {raw:?} is no kind of resource that IAM has.");
        return Some((
            level,
            message,
            "Write \"*\" or a path such as user/NAME or role/NAME after the account.".to_owned(),
        ));
    }
    None
}

/// Whether a field can be an account: empty, an account id, a pattern, or a name of AWS's own
/// (`arn:aws:iam::aws:policy/…`, `arn:aws:iam::cloudfront:user/…`).
fn names_account(account: &str) -> bool {
    account.is_empty()
        || account.contains(['*', '?'])
        || matches!(account, "aws" | "cloudfront")
        || is_account_id(account)
}

/// Whether a short ARN lacks only its end, like `arn:aws:iam::123456789012`, and is completed. `arn:aws:s3::bucket`
/// lacks a field in the middle.
fn short_arn_is_plain(fields: &[&str]) -> bool {
    fields.get(4).is_none_or(|account| {
        account.is_empty()
            || *account == "*"
            || account.chars().all(|digit| digit.is_ascii_digit() || matches!(digit, '*' | '?'))
    }) && fields.len() == FIELDS_BEFORE_RESOURCE
}
