//! The checks: what is asked of a key, from cheap to dear, and how an answer is read.
//!
//! Reading is kept apart from asking: the modules below turn `Result<_, Failure>` into a [`Check`] and call nobody.

pub(crate) mod excess;
pub(crate) mod identity;
pub(crate) mod own_policies;
pub(crate) mod sending;
pub(crate) mod ses;
pub(crate) mod user;

use serde::Serialize;
use shared::tenant::{DeniedBy, Failure, Kind};

/// A check's name, in the order of the report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CheckName {
    /// Id and secret look like an access key.
    Shape,
    /// A long-term key and no temporary credentials.
    LongTerm,
    /// STS accepts id and secret.
    Live,
    /// Nobody has reported the key.
    NotReported,
    /// The key belongs to an IAM user.
    IamUser,
    /// The account is the one that the id tells.
    Account,
    /// `iam:GetUser` on itself.
    GetUser,
    /// Nobody signs in to the console as this user.
    ConsoleLogin,
    /// `iam:DeleteAccessKey` on itself.
    DeleteAccessKey,
    /// SES is there for the key in the Region.
    SesRegion,
    /// AWS has not put the user under quarantine.
    Quarantine,
    /// The account may send.
    SendingStatus,
    /// The account may send to anybody.
    Sandbox,
    /// `ses:SendEmail`.
    Sending,
    /// An identity's default configuration set is covered by the policy.
    DefaultConfigurationSet,
    /// The key can act on its own user only.
    Breadth,
    /// No probe found anything else that the key can do.
    Excess,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Outcome {
    /// Seen to be as it must be.
    Passed,
    /// The key is at fault.
    Failed,
    /// Accepted, and better mended.
    Warning,
    /// Not seen either way. Never as good as passed.
    Unknown,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Check {
    /// What was asked.
    pub(crate) name: CheckName,
    /// How it ended.
    pub(crate) outcome: Outcome,
    /// What was seen: codes and ids, never a text of AWS's and never a secret.
    pub(crate) evidence: String,
    /// What the tenant can do about it; nothing where it passed.
    pub(crate) remedy: Option<String>,
}

/// Where nothing can be concluded and waiting is all that helps.
pub(crate) const TRY_AGAIN: &str = "Nothing is wrong with the key as far as was seen. Try again in a minute.";

impl CheckName {
    /// All of them, in the order of the report.
    pub(crate) const ALL: [Self; 17] = [
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
        Self::Excess,
    ];

    /// Whether a key is only taken if this one passed or warned; of the others, unknown will do.
    pub(crate) fn is_required(self) -> bool {
        !matches!(self, Self::ConsoleLogin | Self::Sandbox | Self::DefaultConfigurationSet | Self::Breadth)
    }

    /// The name as reports and log lines have it.
    pub(crate) fn as_str(self) -> &'static str {
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
            Self::Excess => "excess",
        }
    }
}

impl Check {
    /// It is as it must be.
    pub(crate) fn passed(name: CheckName, evidence: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Passed, evidence: evidence.into(), remedy: None }
    }

    /// The key is at fault.
    pub(crate) fn failed(name: CheckName, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Failed, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Accepted, and better mended.
    pub(crate) fn warning(name: CheckName, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Warning, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }

    /// Not seen either way.
    pub(crate) fn unknown(name: CheckName, evidence: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { name, outcome: Outcome::Unknown, evidence: evidence.into(), remedy: Some(remedy.into()) }
    }
}

/// What a refused call shows: the action, AWS's code and status, who said no, and the request id. A denied resource is
/// not named: an identity's ARN can hold an address.
pub(crate) fn evidence(action: &str, failure: &Failure) -> String {
    let mut shown = format!("{action}: {failure}");
    if let Kind::Denied(denial) = &failure.kind {
        shown.push_str(match denial.by {
            DeniedBy::NoAllow => ", allowed by no policy",
            DeniedBy::IdentityPolicy => ", explicitly denied by an identity-based policy",
            DeniedBy::ServiceControlPolicy => ", explicitly denied by a service control policy",
            DeniedBy::PermissionsBoundary => ", denied by a permissions boundary",
            DeniedBy::ResourcePolicy => ", explicitly denied by a policy of the resource",
            DeniedBy::OtherPolicy => ", explicitly denied",
        });
    }
    if let Some(request_id) = &failure.request_id {
        shown.push_str(", request id ");
        shown.extend(request_id.chars().filter(char::is_ascii_graphic).take(64));
    }
    shown
}

/// How a missing permission is mended, by who said no.
pub(crate) fn permission_remedy(action: &str, resource: &str, by: DeniedBy) -> String {
    match by {
        DeniedBy::NoAllow => {
            format!("Allow {action} on {resource} in a policy of the user, wait a minute, and try again.")
        }
        DeniedBy::ServiceControlPolicy => format!(
            "A service control policy of your AWS organization denies {action}. Ask its administrators for an exception for this user."
        ),
        DeniedBy::PermissionsBoundary => {
            format!("The user's permissions boundary denies {action}. Widen it or take it off, and try again.")
        }
        DeniedBy::ResourcePolicy => {
            format!("A policy of {resource} itself denies {action}. Take the Deny statement out of it, and try again.")
        }
        DeniedBy::IdentityPolicy | DeniedBy::OtherPolicy => {
            format!(
                "A Deny statement covers {action}. Take it out of the user's policies, wait a minute, and try again."
            )
        }
    }
}

#[cfg(test)]
pub(crate) mod failures {
    //! Failures as AWS words them.

    use shared::tenant::{Failure, Kind};

    /// What an answer of AWS's becomes.
    pub(crate) fn answered(code: &str, text: &str, status: u16) -> Failure {
        Failure {
            kind: Kind::of_answer(code, text, status),
            code: Some(code.to_owned()),
            status: Some(status),
            request_id: Some("req-1".to_owned()),
        }
    }

    /// A denial, with this tail.
    pub(crate) fn denied(action: &str, resource: &str, tail: &str) -> Failure {
        let text = format!(
            "User: arn:aws:iam::1:user/u is not authorized to perform: {action} on resource: {resource} {tail}"
        );
        answered("AccessDenied", &text, 403)
    }

    /// The tail of a denial that no policy's Allow prevented.
    pub(crate) const NO_ALLOW: &str = "because no identity-based policy allows the action";

    /// The tail of a denial by a statement.
    pub(crate) const EXPLICIT: &str = "with an explicit deny in an identity-based policy";

    /// The tail of a denial by the organization.
    pub(crate) const ORGANIZATION: &str = "with an explicit deny in a service control policy";

    /// No answer.
    pub(crate) fn silent() -> Failure {
        Failure { kind: Kind::Unknown, code: None, status: None, request_id: None }
    }

    /// AWS does not know the key.
    pub(crate) fn key_refused() -> Failure {
        answered("InvalidClientTokenId", "The security token included in the request is invalid.", 403)
    }

    /// The secret is wrong.
    pub(crate) fn signature_refused() -> Failure {
        answered("SignatureDoesNotMatch", "The request signature we calculated does not match", 403)
    }

    /// Throttled.
    pub(crate) fn throttled() -> Failure {
        answered("Throttling", "Rate exceeded", 400)
    }
}

#[cfg(test)]
mod tests {
    use super::failures::{EXPLICIT, NO_ALLOW, denied};
    use super::*;

    #[test]
    fn every_name_is_written_as_it_is_serialized_and_stands_in_order() {
        for name in CheckName::ALL {
            assert_eq!(serde_json::to_value(name).unwrap(), name.as_str());
        }
        assert!(CheckName::ALL.is_sorted());
    }

    #[test]
    fn evidence_has_codes_and_ids_and_no_text() {
        let failure = denied("ses:SendEmail", "arn:aws:ses:eu-west-1:1:identity/jane@example.com", EXPLICIT);
        assert_eq!(
            evidence("ses:SendEmail", &failure),
            "ses:SendEmail: AccessDenied (403), explicitly denied by an identity-based policy, request id req-1"
        );
        let failure = denied("iam:GetUser", "arn:aws:iam::1:user/u", NO_ALLOW);
        assert_eq!(
            evidence("iam:GetUser", &failure),
            "iam:GetUser: AccessDenied (403), allowed by no policy, request id req-1"
        );
    }
}
