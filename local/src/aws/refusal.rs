//! How AWS says no before a service has seen the request, in each service's own words.

use axum::http::StatusCode;
use fakecloud_core::protocol::AwsProtocol;

/// Why a request is turned away.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Refusal {
    /// No signature at all.
    Unsigned,
    /// A signature that cannot be read.
    Malformed,
    /// The access key id is unknown, deleted or inactive.
    UnknownKey,
    /// A session's key past its time.
    ExpiredKey,
    /// Another secret signed this, or something changed on the way.
    WrongSignature,
    /// Signed too long ago, or in the future: the signing time and ours, as SigV4 writes them.
    Stale {
        /// When the request says it was signed.
        signed: String,
        /// What our clock says.
        now: String,
    },
    /// Policies do not let the caller do it.
    Denied(Denial),
    /// Anything else, with the service's own code.
    Other {
        /// The HTTP status.
        status: StatusCode,
        /// The error code.
        code: &'static str,
        /// The message.
        message: String,
    },
}

/// A request that policies refuse.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Denial {
    /// The caller's ARN.
    pub(crate) principal: String,
    /// `service:Action`.
    pub(crate) action: String,
    /// The ARN that was not allowed, or `*`.
    pub(crate) resource: String,
    /// What refused.
    pub(crate) reason: Reason,
}

/// Which kind of policy refused, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Nothing allows it.
    Implicit,
    /// No resource policy allows it, and the identity's own policy does not count.
    ImplicitResource,
    /// A Deny in the identity's policies.
    ExplicitIdentity,
    /// A Deny in the resource's policy.
    ExplicitResource,
    /// A Deny in the session's policy, or its silence.
    Session,
    /// The operation is not known here, so nothing can allow it.
    Unmapped,
}

impl Refusal {
    /// Too many requests, as SES says it of mails and the query services of calls.
    pub(crate) fn throttled(service: &str) -> Self {
        let (status, code, message) = match service {
            "ses" => (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", "Maximum sending rate exceeded."),
            _ => (StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded"),
        };
        Self::Other { status, code, message: message.to_owned() }
    }

    /// Status, code and message as `service` says them over `protocol`.
    ///
    /// The query services (IAM, STS, SES v1) and the JSON services have different codes for the same thing:
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html>.
    pub(crate) fn wording(&self, service: &str, protocol: AwsProtocol) -> (StatusCode, &'static str, String) {
        let query = protocol == AwsProtocol::Query;
        // The awsJson services answer authentication and authorization errors with 400, the others with 403.
        let status = if protocol == AwsProtocol::Json { StatusCode::BAD_REQUEST } else { StatusCode::FORBIDDEN };
        match self {
            Self::Unsigned if query => {
                (status, "MissingAuthenticationToken", "Request is missing Authentication Token".to_owned())
            }
            Self::Unsigned => {
                (status, "MissingAuthenticationTokenException", "Missing Authentication Token".to_owned())
            }
            Self::Malformed if query => {
                (status, "IncompleteSignature", "The request signature does not conform to AWS standards.".to_owned())
            }
            Self::Malformed => (
                status,
                "IncompleteSignatureException",
                "The request signature does not conform to AWS standards.".to_owned(),
            ),
            Self::UnknownKey => {
                let code =
                    if query || service == "sqs" { "InvalidClientTokenId" } else { "UnrecognizedClientException" };
                (status, code, "The security token included in the request is invalid.".to_owned())
            }
            Self::ExpiredKey => {
                let code = if query { "ExpiredToken" } else { "ExpiredTokenException" };
                (status, code, "The security token included in the request is expired".to_owned())
            }
            Self::WrongSignature => {
                let message = "The request signature we calculated does not match the signature you provided. Check your \
                               AWS Secret Access Key and signing method. Consult the service documentation for details.";
                (status, signature_code(query), message.to_owned())
            }
            Self::Stale { signed, now } => {
                let message = if signed > now {
                    format!("Signature not yet current: {signed} is still later than {now} (15 min.)")
                } else {
                    format!("Signature expired: {signed} is now earlier than {now} (15 min.)")
                };
                (status, signature_code(query), message)
            }
            Self::Denied(denial) => {
                let code = if query { "AccessDenied" } else { "AccessDeniedException" };
                (status, code, denial.wording())
            }
            Self::Other { status, code, message } => (*status, code, message.clone()),
        }
    }
}

impl Denial {
    /// The sentence, as the IAM user guide's page on access denied messages has it.
    pub(crate) fn wording(&self) -> String {
        let Self { principal, action, resource, reason } = self;
        // SES's sending actions have kept an older sentence, without a reason.
        if action.starts_with("ses:Send") && *reason == Reason::Implicit {
            return format!("User `{principal}' is not authorized to perform `{action}' on resource `{resource}'");
        }
        // IAM names a user as `user NAME` where the others name an ARN.
        let resource = match resource.split_once(":user/") {
            Some((_, name)) if action.starts_with("iam:") => {
                format!("user {}", name.rsplit('/').next().unwrap_or(name))
            }
            _ => resource.clone(),
        };
        let reason = match reason {
            Reason::Implicit => format!("because no identity-based policy allows the {action} action"),
            Reason::ImplicitResource => format!("because no resource-based policy allows the {action} action"),
            Reason::ExplicitIdentity => "with an explicit deny in an identity-based policy".to_owned(),
            Reason::ExplicitResource => "with an explicit deny in a resource-based policy".to_owned(),
            Reason::Session => format!("because no session policy allows the {action} action"),
            Reason::Unmapped => format!("because `local` does not know how AWS authorizes the {action} action"),
        };
        format!("User: {principal} is not authorized to perform: {action} on resource: {resource} {reason}")
    }
}

fn signature_code(query: bool) -> &'static str {
    if query { "SignatureDoesNotMatch" } else { "InvalidSignatureException" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denial(action: &str, resource: &str, reason: Reason) -> String {
        Denial {
            principal: "arn:aws:iam::123456789012:user/team/mailer".to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            reason,
        }
        .wording()
    }

    #[test]
    fn denials_read_as_aws_words_them() {
        assert_eq!(
            denial("iam:DeleteAccessKey", "arn:aws:iam::123456789012:user/team/mailer", Reason::ExplicitIdentity),
            "User: arn:aws:iam::123456789012:user/team/mailer is not authorized to perform: iam:DeleteAccessKey on \
             resource: user mailer with an explicit deny in an identity-based policy"
        );
        assert_eq!(
            denial("ses:GetAccount", "*", Reason::Implicit),
            "User: arn:aws:iam::123456789012:user/team/mailer is not authorized to perform: ses:GetAccount on resource: \
             * because no identity-based policy allows the ses:GetAccount action"
        );
        assert_eq!(
            denial("ses:SendRawEmail", "arn:aws:ses:us-east-1:123456789012:identity/example.com", Reason::Implicit),
            "User `arn:aws:iam::123456789012:user/team/mailer' is not authorized to perform `ses:SendRawEmail' on \
             resource `arn:aws:ses:us-east-1:123456789012:identity/example.com'"
        );
    }

    #[test]
    fn an_unknown_key_has_another_code_in_each_family() {
        for (service, protocol, expected) in [
            ("iam", AwsProtocol::Query, "InvalidClientTokenId"),
            ("sts", AwsProtocol::Query, "InvalidClientTokenId"),
            ("ses", AwsProtocol::RestJson, "UnrecognizedClientException"),
            ("dynamodb", AwsProtocol::Json, "UnrecognizedClientException"),
        ] {
            assert_eq!(Refusal::UnknownKey.wording(service, protocol).1, expected, "{service}");
        }
    }
}
