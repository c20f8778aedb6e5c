//! The checks of a key: what each answer of AWS means.
//!
//! These are pure functions: they turn the result of a call into a [`Check`](shared::record::Check). The calls themselves
//! are in `verification`.

pub(crate) mod assurance;
pub(crate) mod excess;
pub(crate) mod identity;
pub(crate) mod own_policies;
pub(crate) mod pasted;
pub(crate) mod quarantine;
pub(crate) mod region;
pub(crate) mod sending;
pub(crate) mod ses;
pub(crate) mod sessions;
pub(crate) mod user;

use shared::tenant::{Denial, DeniedBy, Failure, FailureKind as Kind};

/// Error codes of accounts that have not finished signing up for a service (AWS: common errors of the API references, S3
/// "Error responses", EC2 "Error codes for the Amazon EC2 API"). Such a service allows nothing. `SubscriptionRequired…` was
/// seen of CloudWatch Logs (awslabs/fargatecli#38) and Lambda (Miserlou/Zappa#1220).
pub(crate) const NOT_SUBSCRIBED: [&str; 8] = [
    "OptInRequired",
    "SubscriptionRequiredException",
    "SubscriptionRequired",
    "NotSignedUp",
    "AccountProblem",
    "AllAccessDisabled",
    "PendingVerification",
    "Blocked",
];

/// The remedy if nothing can be concluded and only waiting helps.
pub(crate) const TRY_AGAIN: &str = "Nothing is wrong with the key as far as was seen. Try again in a minute.";

/// The evidence of a refused call: the action, AWS's code and status, what denied it, and the request id. A denied
/// resource is not named: the ARN of an identity can contain an address.
pub(crate) fn evidence(action: &str, failure: &Failure) -> String {
    let mut shown = format!("{action}: {failure}");
    if let Kind::Denied(denial) = &failure.kind {
        shown.push_str(match denial.by {
            DeniedBy::NoAllow => match denial.not_allowed_by {
                Some(DeniedBy::PermissionsBoundary) => ", not allowed by the permissions boundary",
                Some(DeniedBy::ServiceControlPolicy) => ", allowed by no service control policy",
                Some(DeniedBy::ResourcePolicy) => ", allowed by no policy of the resource",
                Some(DeniedBy::OtherPolicy) => ", not allowed by a policy of another kind",
                _ => ", allowed by no policy",
            },
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

/// The remedy for a missing permission, which depends on what denied it. An explicit deny outweighs every allow, so its
/// remedy never is to allow more.
pub(crate) fn permission_remedy(action: &str, resource: &str, denial: &Denial) -> String {
    match (denial.by, denial.not_allowed_by) {
        (DeniedBy::NoAllow, Some(DeniedBy::PermissionsBoundary)) => format!(
            "The user's permissions boundary does not cover {action}. Add it to the boundary or take the boundary off, wait a minute, and try again."
        ),
        (DeniedBy::NoAllow, Some(DeniedBy::ServiceControlPolicy)) => format!(
            "No service control policy of your AWS organization covers {action}. Ask its administrators to add it for this account."
        ),
        (DeniedBy::NoAllow, Some(DeniedBy::ResourcePolicy)) => {
            format!("The policy of {resource} itself does not cover {action}. Add it there, and try again.")
        }
        (DeniedBy::NoAllow, Some(DeniedBy::OtherPolicy)) => format!(
            "A policy that is not the user's own, such as one of your AWS organization or of a VPC endpoint, does not cover {action}. Ask your administrators to add it."
        ),
        (DeniedBy::NoAllow, _) => format!(
            "Allow {action} on {resource} in a policy of the user, wait a minute, and try again. If a policy already does, its Condition does not hold for this key: look for MFA, an address, a Region, ses:ApiVersion, ses:FromAddress or recipients in it."
        ),
        (DeniedBy::ServiceControlPolicy, _) => format!(
            "A service control policy of your AWS organization denies {action}. Ask its administrators for an exception for this user."
        ),
        (DeniedBy::PermissionsBoundary, _) => format!(
            "The user's permissions boundary denies {action}. Take the Deny out of it or take the boundary off, and try again."
        ),
        (DeniedBy::ResourcePolicy, _) => {
            format!("A policy of {resource} itself denies {action}. Take the Deny statement out of it, and try again.")
        }
        (DeniedBy::IdentityPolicy, _) => format!(
            "A Deny statement of an identity-based policy (of the user itself or of one of its groups) covers {action}, and nothing outweighs it. Take {action} out of it or detach that policy, wait a minute, and try again. A Deny that asks for MFA (aws:MultiFactorAuthPresent) denies every access key: except this user from it."
        ),
        (DeniedBy::OtherPolicy, _) => format!(
            "A Deny statement covers {action}, and nothing outweighs it; AWS does not say in which kind of policy it is. Look through the policies of the user, its groups, its permissions boundary and your AWS organization, take {action} out of it, and try again."
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::failure::{EXPLICIT, NO_ALLOW, ORGANIZATION, denied};

    fn remedy(tail: &str) -> String {
        let failure = denied("iam:GetUser", "user u", tail);
        let Kind::Denied(denial) = &failure.kind else { panic!("{failure:?}") };
        let remedy = permission_remedy("iam:GetUser", "its own user", denial);
        assert!(crate::page::Words::of(crate::page::Language::German).knows_remedy(&remedy), "{remedy}");
        remedy
    }

    /// Case A13: allowing more never helps against a Deny.
    #[test]
    fn an_explicit_deny_is_named_by_its_kind_and_its_remedy_is_never_to_allow() {
        for (tail, kind) in [
            (EXPLICIT, "identity-based policy"),
            (ORGANIZATION, "service control policy"),
            ("with an explicit deny in a permissions boundary", "permissions boundary"),
            ("with an explicit deny in a resource-based policy", "policy of its own user"),
            ("with an explicit deny", "AWS does not say"),
            ("with an explicit deny in a VPC endpoint policy", "AWS does not say"),
        ] {
            let remedy = remedy(tail);
            assert!(remedy.contains(kind), "{tail}: {remedy}");
            assert!(!remedy.to_lowercase().contains("allow"), "{tail}: {remedy}");
        }
    }

    #[test]
    fn an_implicit_deny_says_which_kind_of_policy_lacks_it() {
        for (tail, kind) in [
            (NO_ALLOW, "Allow iam:GetUser on its own user in a policy of the user"),
            ("", "Allow iam:GetUser"),
            ("because no permissions boundary allows the action", "permissions boundary does not cover"),
            ("because no service control policy allows the action", "No service control policy"),
            ("because no resource-based policy allows the action", "The policy of its own user itself"),
            ("because no VPC endpoint policy allows the action", "not the user's own"),
        ] {
            assert!(remedy(tail).contains(kind), "{tail}: {}", remedy(tail));
        }
    }

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
