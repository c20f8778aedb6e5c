//! The checks of a key: what each answer of AWS means.
//!
//! These are pure functions: they turn the result of a call into a [`Check`](shared::record::Check). The calls themselves
//! are in `verification`.

pub(crate) mod excess;
pub(crate) mod identity;
pub(crate) mod own_policies;
pub(crate) mod sending;
pub(crate) mod ses;
pub(crate) mod user;

use shared::tenant::{DeniedBy, Failure, FailureKind as Kind};

/// The remedy if nothing can be concluded and only waiting helps.
pub(crate) const TRY_AGAIN: &str = "Nothing is wrong with the key as far as was seen. Try again in a minute.";

/// The evidence of a refused call: the action, AWS's code and status, what denied it, and the request id. A denied
/// resource is not named: the ARN of an identity can contain an address.
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

/// The remedy for a missing permission, which depends on what denied it.
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
mod tests {
    use super::*;
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, denied};

    #[test]
    fn evidence_has_codes_and_ids_and_no_text_of_aws() {
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
