//! How IAM, STS, SES and DynamoDB refuse a call, and what it means.
//!
//! The SDKs model few of these errors, so the error's code and text decide, and either alone is enough: services word the
//! same refusal differently, and stand-ins and later versions differ again. Codes are compared whole; of texts, a part is
//! looked for and the rest is ignored.

use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_types::request_id::RequestId;

use super::write_tracker::WriteTracker;
use super::{Denial, InputFault};

/// A failed call into a tenant's account. It does not keep AWS's text: SES repeats addresses there, and since 2026 the
/// texts of denials end with policy ARNs and authorization ids.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What it means.
    pub kind: FailureKind,
    /// AWS's error code, if there was a response.
    pub code: Option<String>,
    /// The HTTP status, if there was a response.
    pub status: Option<u16>,
    /// AWS's request id, if there was a response.
    pub request_id: Option<String>,
}

/// What a failure means.
#[derive(Clone, PartialEq, Eq)]
pub enum FailureKind {
    /// The key is unknown, deleted or inactive; AWS does not say which.
    KeyRefused,
    /// The signature does not match the secret. One refusal proves nothing: after two calls within about 5 s with one id
    /// and different secrets, AWS can refuse the right secret.
    SignatureRefused,
    /// Our clock is wrong. This says nothing about the key.
    Clock,
    /// Not authorized.
    Denied(Denial),
    /// The tenant of SES that the mail names does not have the identity, the configuration set or the template that it uses.
    TenantNotAssociated,
    /// Something that the call names does not exist (IAM's NoSuchEntity, SES's NotFoundException).
    NotFound,
    /// Too many requests at the moment.
    Throttled,
    /// The account's rolling 24-hour quota is used up.
    DailyQuota,
    /// Sending is paused for the account.
    SendingPaused,
    /// Sending is paused for the mail's configuration set, and the account is not paused.
    ConfigurationSetPaused,
    /// AWS has suspended the account's sending.
    AccountSuspended,
    /// SES has not verified these identities: the sender's, or in the sandbox a recipient's.
    NotVerified(UnverifiedIdentities),
    /// SES refused the content.
    MessageRejected,
    /// The custom MAIL FROM domain is not set up.
    MailFromNotVerified,
    /// The service refused the request as malformed, or with another 4xx that is not classified here.
    BadRequest,
    /// SES refused a part of the mail as malformed, and its text says which.
    RejectedInput(InputFault),
    /// The service refused the caller (401, 403) for a reason that is not classified here: the key may still be good.
    Forbidden,
    /// No response, and the request was never written: the service cannot have acted on it.
    NotWritten,
    /// No response that says what happened: a timeout, a reset after writing, a 5xx. The service may have acted.
    Unknown,
}

/// What SES says first about identities that it has not verified (SES developer guide, "Amazon SES email sending errors").
const NOT_VERIFIED: &str = "Email address is not verified";

/// The identities that SES names as not verified. They may be addresses, so `FailureKind`'s `Debug` does not show them.
#[derive(Clone, PartialEq, Eq)]
pub struct UnverifiedIdentities(Vec<String>);

impl UnverifiedIdentities {
    /// Whether `address` or its domain is among them.
    pub fn contains(&self, address: &str) -> bool {
        let domain = address.rsplit_once('@').map_or("", |(_, domain)| domain);
        self.0.iter().any(|identity| {
            identity.eq_ignore_ascii_case(address) || (!domain.is_empty() && identity.eq_ignore_ascii_case(domain))
        })
    }
}

impl Failure {
    /// Classifies the SDK's error. `tracker` tells whether the request can have been written.
    pub(super) fn from_sdk_error<E>(error: &SdkError<E, HttpResponse>, tracker: &WriteTracker) -> Self
    where
        E: ProvideErrorMetadata,
    {
        let status = error.raw_response().map(|response| response.status().as_u16());
        let request_id = error.raw_response().and_then(|response| response.headers().request_id()).map(str::to_owned);
        match error {
            SdkError::ServiceError(service) => {
                let code = service.err().code();
                let text = service.err().message().unwrap_or_default();
                Self {
                    kind: FailureKind::from_answer(code.unwrap_or_default(), text, status.unwrap_or_default()),
                    code: code.map(shorten),
                    status,
                    request_id,
                }
            }
            SdkError::ConstructionFailure(_) => Self { kind: FailureKind::NotWritten, code: None, status, request_id },
            _ if tracker.may_be_written() => Self { kind: FailureKind::Unknown, code: None, status, request_id },
            _ => Self { kind: FailureKind::NotWritten, code: None, status, request_id },
        }
    }

    /// Whether it says nothing about the key or its permissions.
    pub fn is_unknown(&self) -> bool {
        matches!(
            self.kind,
            FailureKind::Throttled
                | FailureKind::Clock
                | FailureKind::Forbidden
                | FailureKind::NotWritten
                | FailureKind::Unknown
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.code, self.status) {
            (Some(code), Some(status)) => write!(formatter, "{code} ({status})"),
            (None, Some(status)) => write!(formatter, "HTTP {status}"),
            _ => write!(formatter, "{}", self.kind.as_str()),
        }
    }
}

impl FailureKind {
    /// Classifies a refusal by its error code, text and HTTP status.
    pub fn from_answer(code: &str, text: &str, status: u16) -> Self {
        // Some protocols qualify the code: `com.amazonaws.sesv2#NotFoundException`, `NotFoundException:http://…`.
        let code = code.rsplit_once('#').map_or(code, |(_, code)| code);
        let code = code.split_once(':').map_or(code, |(code, _)| code);
        let says = |part: &str| text.contains(part);
        match code {
            // SES repeats the names of senders there, which could read like any of the texts below.
            _ if text.starts_with(NOT_VERIFIED) => Self::NotVerified(unverified_identities(text)),
            "ConfigurationSetSendingPausedException" => Self::ConfigurationSetPaused,
            "AccountSuspendedException" => Self::AccountSuspended,
            // One code stands for several of these, so their texts are checked first.
            _ if says("Daily message quota exceeded") => Self::DailyQuota,
            _ if says("Signature expired") || says("Signature not yet current") => Self::Clock,
            // A pause comes as MessageRejected too: the texts are those of public reports (AWS
            // re:Post, "Sending paused for this account"), because the code does not tell.
            _ if says("Sending paused for") || says("Sending suspended") => match says("onfiguration set") {
                true => Self::ConfigurationSetPaused,
                false => Self::SendingPaused,
            },
            _ if says(NOT_VERIFIED) => Self::NotVerified(unverified_identities(text)),
            "InvalidClientTokenId" | "UnrecognizedClientException" => Self::KeyRefused,
            "RequestExpired" | "RequestTimeTooSkewed" => Self::Clock,
            "SignatureDoesNotMatch" | "InvalidSignatureException" => Self::SignatureRefused,
            // No policy denies it, though SES says AccessDeniedException (PostHog/posthog#75863, floci-io/floci#2815).
            _ if text.starts_with("Tenant not associated with resources") => Self::TenantNotAssociated,
            "AccessDenied" | "AccessDeniedException" => Self::Denied(Denial::parse(text)),
            // The last two are v1's code for what v2 calls NotFoundException (SES API reference, `SendTemplatedEmail`).
            "NoSuchEntity"
            | "NoSuchEntityException"
            | "NotFoundException"
            | "TemplateDoesNotExist"
            | "TemplateDoesNotExistException" => Self::NotFound,
            "Throttling"
            | "ThrottlingException"
            | "ThrottledException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "TooManyRequestsException"
            | "SlowDown" => Self::Throttled,
            "LimitExceededException" => Self::DailyQuota,
            "SendingPausedException" if says("onfiguration set") => Self::ConfigurationSetPaused,
            "SendingPausedException" | "AccountSendingPausedException" => Self::SendingPaused,
            "MailFromDomainNotVerifiedException" => Self::MailFromNotVerified,
            "MessageRejected" | "MessageRejectedException" if says("not verified") => {
                Self::NotVerified(unverified_identities(text))
            }
            "MessageRejected" | "MessageRejectedException" => Self::MessageRejected,
            "BadRequestException" | "InvalidParameterValue" => {
                InputFault::from_text(text).map_or(Self::BadRequest, Self::RejectedInput)
            }
            "ValidationError" | "ValidationException" => Self::BadRequest,
            "IncompleteSignature" => Self::Forbidden,
            _ if says("The security token included in the request is invalid") => Self::KeyRefused,
            _ if says("The request signature we calculated does not match") => Self::SignatureRefused,
            _ if says("is not authorized to perform") => Self::Denied(Denial::parse(text)),
            _ if says("Maximum sending rate exceeded") || status == 429 => Self::Throttled,
            _ if matches!(status, 401 | 403) => Self::Forbidden,
            _ if (400..500).contains(&status) && status != 408 => Self::BadRequest,
            _ => Self::Unknown,
        }
    }

    /// A stable word for logs and reports.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::KeyRefused => "key_refused",
            Self::SignatureRefused => "signature_refused",
            Self::Clock => "clock",
            Self::Denied(_) => "denied",
            Self::TenantNotAssociated => "tenant_not_associated",
            Self::NotFound => "not_found",
            Self::Throttled => "throttled",
            Self::DailyQuota => "daily_quota",
            Self::SendingPaused => "sending_paused",
            Self::ConfigurationSetPaused => "configuration_set_paused",
            Self::AccountSuspended => "account_suspended",
            Self::NotVerified(_) => "not_verified",
            Self::MessageRejected => "message_rejected",
            Self::MailFromNotVerified => "mail_from_not_verified",
            Self::BadRequest | Self::RejectedInput(_) => "bad_request",
            Self::Forbidden => "forbidden",
            Self::NotWritten => "not_written",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Debug for FailureKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// The list behind "The following identities failed the check in region R: a, b". An entry is a domain, an address, or a
/// mailbox as the mail wrote it, `Name <a@b>`, and a name may contain commas and colons.
fn unverified_identities(text: &str) -> UnverifiedIdentities {
    let list = text.split_once("in region ").and_then(|(_, rest)| rest.split_once(": ")).map_or("", |(_, list)| list);
    UnverifiedIdentities(split_mailboxes(list).map(|entry| address_of(entry).to_owned()).collect())
}

/// The entries of a list, whose commas inside quotes and angle brackets do not separate.
fn split_mailboxes(list: &str) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped, mut is_bracketed) = (false, false, false);
    list.split(move |c| {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => is_bracketed = true,
            '>' if !is_quoted => is_bracketed = false,
            ',' => return !is_quoted && !is_bracketed,
            _ => {}
        }
        false
    })
}

/// The address of `Name <address>`, or the entry itself.
fn address_of(entry: &str) -> &str {
    let entry = entry.trim().trim_end_matches('.');
    match entry.rsplit_once('<') {
        Some((_, address)) => address.trim_end_matches('>').trim(),
        None => entry,
    }
}

/// AWS's codes are shorten words; anything longer is cut.
fn shorten(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_graphic()).take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_refusal_is_classified_by_its_code_or_text() {
        let implicit = "User: arn:aws:iam::1:user/u is not authorized to perform: ses:SendEmail on resource: arn:aws:ses:us-east-1:1:identity/a because no identity-based policy allows the ses:SendEmail action";
        let cases: &[(&str, &str, u16, &str)] = &[
            ("InvalidClientTokenId", "The security token included in the request is invalid.", 403, "key_refused"),
            (
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
                403,
                "key_refused",
            ),
            ("Whatever", "The security token included in the request is invalid", 403, "key_refused"),
            ("SignatureDoesNotMatch", "The request signature we calculated does not match", 403, "signature_refused"),
            (
                "InvalidSignatureException",
                "The request signature we calculated does not match",
                403,
                "signature_refused",
            ),
            (
                "SomethingNew",
                "The request signature we calculated does not match the signature",
                403,
                "signature_refused",
            ),
            ("SignatureDoesNotMatch", "Signature expired: 20261123T000000Z is now earlier than", 403, "clock"),
            ("InvalidSignatureException", "Signature not yet current: 20261123T000000Z is still later", 403, "clock"),
            ("SomethingNew", "Signature expired: 20261123T000000Z is now earlier than", 403, "clock"),
            ("RequestExpired", "Request has expired.", 400, "clock"),
            ("AccessDenied", implicit, 403, "denied"),
            ("AccessDeniedException", implicit, 403, "denied"),
            ("SomethingNew", implicit, 403, "denied"),
            ("NoSuchEntity", "The Access Key with id X cannot be found.", 404, "not_found"),
            ("NotFoundException", "Configuration set <x> does not exist.", 404, "not_found"),
            ("TemplateDoesNotExistException", "Template x does not exist", 400, "not_found"),
            (
                "AccessDeniedException",
                "Tenant not associated with resources [arn:aws:ses:us-east-1:1:identity/a].",
                403,
                "tenant_not_associated",
            ),
            ("com.amazonaws.sesv2#NotFoundException", "", 404, "not_found"),
            ("Throttling", "Rate exceeded", 400, "throttled"),
            ("RequestLimitExceeded", "", 400, "throttled"),
            ("TooManyRequestsException", "Maximum sending rate exceeded.", 429, "throttled"),
            ("ThrottlingException", "Maximum sending rate exceeded.", 400, "throttled"),
            ("Other", "", 429, "throttled"),
            ("LimitExceededException", "Daily message quota exceeded.", 400, "daily_quota"),
            ("LimitExceededException", "", 400, "daily_quota"),
            ("ThrottlingException", "Daily message quota exceeded.", 400, "daily_quota"),
            ("SendingPausedException", "Sending is paused", 400, "sending_paused"),
            // Case C1.
            (
                "MessageRejected",
                "Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.",
                400,
                "sending_paused",
            ),
            ("MessageRejected", "Sending suspended for this account.", 400, "sending_paused"),
            (
                "SendingPausedException",
                "Sending is paused for the configuration set mail-cs",
                400,
                "configuration_set_paused",
            ),
            ("ConfigurationSetSendingPausedException", "", 400, "configuration_set_paused"),
            (
                "ConfigurationSetSendingPausedException",
                "Sending suspended for this account.",
                400,
                "configuration_set_paused",
            ),
            ("MessageRejected", "Sending paused for configuration set mail-cs.", 400, "configuration_set_paused"),
            ("MessageRejected", "Sending suspended for configuration set mail-cs.", 400, "configuration_set_paused"),
            // The names of senders are theirs to choose.
            (
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region EU-WEST-1: Sending suspended <a@b.c>",
                400,
                "not_verified",
            ),
            (
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region EU-WEST-1: \"Daily message quota exceeded\" <a@b.c>",
                400,
                "not_verified",
            ),
            ("AccountSuspendedException", "Sending suspended for this account.", 400, "account_suspended"),
            ("AccountSendingPausedException", "", 400, "sending_paused"),
            ("AccountSuspendedException", "", 400, "account_suspended"),
            (
                "MessageRejected",
                "Email address is not verified. The following identities failed the check in region US-EAST-1: a@b.c",
                400,
                "not_verified",
            ),
            ("MessageRejected", "The sender is not verified", 400, "not_verified"),
            ("BadRequestException", "Email address is not verified. The following identities", 400, "not_verified"),
            ("MessageRejected", "Message contains a virus", 400, "message_rejected"),
            ("MailFromDomainNotVerifiedException", "", 400, "mail_from_not_verified"),
            ("BadRequestException", "Invalid parameter", 400, "bad_request"),
            ("BadRequestException", "Missing final '@domain'", 400, "bad_request"),
            ("SomethingNew", "", 418, "bad_request"),
            ("", "", 400, "bad_request"),
            ("", "", 401, "forbidden"),
            ("", "", 403, "forbidden"),
            ("OptInRequired", "The AWS Access Key Id needs a subscription for the service", 403, "forbidden"),
            ("MissingAuthenticationToken", "Missing Authentication Token", 403, "forbidden"),
            ("IncompleteSignature", "The request signature does not conform to AWS standards.", 400, "forbidden"),
            ("InternalFailure", "", 500, "unknown"),
            ("ServiceUnavailable", "", 503, "unknown"),
            ("", "", 408, "unknown"),
        ];
        for (code, text, status, expected) in cases {
            assert_eq!(FailureKind::from_answer(code, text, *status).as_str(), *expected, "{code} {text}");
        }
    }

    #[test]
    fn unverified_identities_are_known_by_address_and_by_domain() {
        let text = "Email address is not verified. The following identities failed the check in region EU-WEST-1: a@one.example, two.example";
        let FailureKind::NotVerified(identities) = FailureKind::from_answer("MessageRejected", text, 400) else {
            panic!("not the kind");
        };
        assert!(identities.contains("A@one.example"));
        assert!(!identities.contains("b@one.example"));
        assert!(identities.contains("anybody@two.example"));
    }

    #[test]
    fn identities_are_read_as_ses_prints_them() {
        let contains = |list: &str, address: &str| {
            let text = format!(
                "Email address is not verified. The following identities failed the check in region EU-WEST-1: {list}"
            );
            let FailureKind::NotVerified(identities) = FailureKind::from_answer("MessageRejected", &text, 400) else {
                panic!("{text}");
            };
            identities.contains(address)
        };
        for list in [
            "Jane <jane@one.example>",
            "\"Doe, Jane\" <jane@one.example>",
            "\"a, \\\"b\\\", c: d\" <jane@one.example>, other@two.example",
            "other@two.example, Jane: Sales <jane@one.example>.",
            "Doe, Jane <jane@one.example>",
        ] {
            assert!(contains(list, "jane@one.example"), "{list}");
            assert!(!contains(list, "ann@three.example"), "{list}");
        }
    }

    #[test]
    fn a_failure_shows_codes_and_no_texts() {
        let failure = Failure {
            kind: FailureKind::from_answer("MessageRejected", "is not verified: region X: secret@example.com", 400),
            code: Some("MessageRejected".to_owned()),
            status: Some(400),
            request_id: None,
        };
        let shown = format!("{failure} {failure:?}");
        assert!(!shown.contains("example.com"), "{shown}");
    }
}
