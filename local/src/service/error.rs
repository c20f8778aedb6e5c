//! Errors of AWS that are found before a service has seen the request, in each service's own words.

use axum::http::StatusCode;
use fakecloud_core::protocol::AwsProtocol;

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ServiceError {
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
    Denied(AccessDenied),
    /// The account has not subscribed to the service.
    NotSubscribed,
    /// Too many requests.
    Throttled,
    /// The service failed.
    Internal,
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
pub(crate) struct AccessDenied {
    /// The caller's ARN.
    pub(crate) principal: String,
    /// `service:Action`.
    pub(crate) action: String,
    /// The ARN that was not allowed, or `*`.
    pub(crate) resource: String,
    /// What refused.
    pub(crate) reason: DenialReason,
}

/// Which kind of policy refused, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenialReason {
    /// Nothing allows it.
    Implicit,
    /// No resource policy allows it, and the identity's own policy does not count.
    ImplicitResource,
    /// A Deny in the identity's policies.
    ExplicitIdentity,
    /// A Deny in a service control policy, or its silence, which reads alike (IAM user guide, "Troubleshoot access denied
    /// error messages").
    ServiceControlPolicy,
    /// A Deny in the permissions boundary.
    ExplicitBoundary,
    /// The permissions boundary does not allow it.
    ImplicitBoundary,
    /// A Deny in the resource's policy.
    ExplicitResource,
    /// A Deny in the session's policy, or its silence.
    Session,
    /// The operation is not known here, so nothing can allow it.
    Unmapped,
}

impl ServiceError {
    /// Status, code and message as a service says them over `protocol`.
    ///
    /// The query services (IAM, STS, SES v1) and the JSON services have different codes for the same thing:
    /// <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>,
    /// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/CommonErrors.html>.
    pub(super) fn describe(&self, wording: &ErrorWording, protocol: AwsProtocol) -> (StatusCode, &'static str, String) {
        // S3 and EC2 speak as the query services do, with some words of their own.
        let query = matches!(protocol, AwsProtocol::Query | AwsProtocol::Ec2Query | AwsProtocol::Rest);
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
            Self::UnknownKey => match wording.unknown_key {
                UnknownKeyWording::Code(code) => {
                    let code = if query { "InvalidClientTokenId" } else { code };
                    (status, code, "The security token included in the request is invalid.".to_owned())
                }
                UnknownKeyWording::Whole(error) => error.describe(),
            },
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
                let code = match protocol {
                    AwsProtocol::Ec2Query => "UnauthorizedOperation",
                    _ if query => "AccessDenied",
                    _ => "AccessDeniedException",
                };
                (status, code, (wording.denial)(denial))
            }
            Self::NotSubscribed => wording.not_subscribed.describe(),
            Self::Throttled => wording.throttled.describe(),
            Self::Internal => wording.internal.describe(),
            Self::Other { status, code, message } => (*status, code, message.clone()),
        }
    }
}

impl std::fmt::Display for ServiceError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, code, message) = self.describe(&ErrorWording::DEFAULT, AwsProtocol::Json);
        write!(f, "{code}: {message}")
    }
}

impl AccessDenied {
    /// The sentence, as the IAM user guide's page on access denied messages has it.
    pub(crate) fn sentence(&self) -> String {
        let Self { principal, action, resource, reason } = self;
        let reason = match reason {
            DenialReason::Implicit => format!("because no identity-based policy allows the {action} action"),
            DenialReason::ImplicitResource => format!("because no resource-based policy allows the {action} action"),
            DenialReason::ExplicitIdentity => "with an explicit deny in an identity-based policy".to_owned(),
            DenialReason::ServiceControlPolicy => "with an explicit deny in a service control policy".to_owned(),
            DenialReason::ExplicitBoundary => "with an explicit deny in a permissions boundary".to_owned(),
            DenialReason::ImplicitBoundary => format!("because no permissions boundary allows the {action} action"),
            DenialReason::ExplicitResource => "with an explicit deny in a resource-based policy".to_owned(),
            DenialReason::Session => format!("because no session policy allows the {action} action"),
            DenialReason::Unmapped => format!("because `local` does not know how AWS authorizes the {action} action"),
        };
        let resource = if resource.is_empty() { String::new() } else { format!(" on resource: {resource}") };
        format!("User: {principal} is not authorized to perform: {action}{resource} {reason}")
    }

    /// The sentence of a service that names no resource where the action has none.
    pub(crate) fn sentence_without_resource(&self) -> String {
        Self { resource: String::new(), ..self.clone() }.sentence()
    }
}

/// A service's own words for errors.
#[derive(Clone, Copy)]
pub(crate) struct ErrorWording {
    /// Too many requests.
    pub(crate) throttled: FixedError,
    /// The service failed.
    pub(crate) internal: FixedError,
    /// A key that is unknown, deleted or inactive.
    pub(crate) unknown_key: UnknownKeyWording,
    /// The account has not subscribed to the service.
    pub(crate) not_subscribed: FixedError,
    /// The sentence for a request that policies refuse.
    pub(crate) denial: fn(&AccessDenied) -> String,
}

/// How a service says that it does not know a key.
#[derive(Clone, Copy)]
pub(crate) enum UnknownKeyWording {
    /// With this code and the usual text; the query services all have a code of their own.
    Code(&'static str),
    /// With words of its own.
    Whole(FixedError),
}

/// An error that a service always words alike.
#[derive(Clone, Copy)]
pub(crate) struct FixedError {
    status: StatusCode,
    code: &'static str,
    message: &'static str,
}

impl FixedError {
    /// An error of this status, code and message.
    pub(crate) const fn new(status: StatusCode, code: &'static str, message: &'static str) -> Self {
        Self { status, code, message }
    }

    fn describe(self) -> (StatusCode, &'static str, String) {
        (self.status, self.code, self.message.to_owned())
    }
}

impl ErrorWording {
    /// The words of a service that has none of its own. "Common errors" of its API reference has them.
    pub(crate) const DEFAULT: Self = Self {
        throttled: FixedError::new(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded"),
        internal: FixedError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalFailure",
            "The request processing has failed because of an unknown error.",
        ),
        unknown_key: UnknownKeyWording::Code("UnrecognizedClientException"),
        not_subscribed: FixedError::new(
            StatusCode::FORBIDDEN,
            "SubscriptionRequiredException",
            "The AWS Access Key Id needs a subscription for the service",
        ),
        denial: AccessDenied::sentence,
    };
}

fn signature_code(query: bool) -> &'static str {
    if query { "SignatureDoesNotMatch" } else { "InvalidSignatureException" }
}
