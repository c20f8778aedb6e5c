//! Why a mail will never be sent.

use std::fmt;

use shared::http::FieldError;
use shared::mail::MailIds;

/// Why a mail will never be sent. README.md ("Operate") lists these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RejectionReason {
    /// The message is no mail.
    Malformed,
    /// A field of the mail is not what it should be.
    Invalid,
    /// There is no such provider.
    ProviderUnknown,
    /// The provider belongs to another tenant.
    TenantMismatch,
    /// A mail with other content already has the id.
    MailIdConflict,
    /// Every attempt to process the message failed.
    GivenUp,
    /// The provider was stopped for good.
    ProviderRevoked,
    /// SES has not verified the sender's identity.
    IdentityNotVerified,
    /// The account is in the sandbox, and SES has not verified a recipient.
    SandboxRecipient,
    /// SES refused the content.
    MessageRejected,
    /// The custom MAIL FROM domain is not set up.
    MailFromNotVerified,
    /// The tenant's policy does not allow something that this mail names.
    PermissionMissing,
    /// Something that the mail names does not exist in the tenant's SES.
    NotFound,
    /// SES refused the request as malformed.
    BadRequest,
    /// A file that the mail names is not in the bucket, or is another one.
    FileMissing,
    /// The mail's files are more than SES takes.
    FileTooLarge,
}

/// A reason and, after a colon, what is at fault, as events and ledger rows have it: `invalid:to[2]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RejectionCode(String);

/// What is wrong with a message that goes to the dead-letter queue, in words that may be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Rejection {
    /// Why.
    pub(crate) reason: RejectionReason,
    /// The field at fault.
    pub(crate) field: String,
    /// What is wrong with the field. Never its value.
    pub(crate) problem: String,
}

/// A message that is no valid mail, with the ids that could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RejectedMessage {
    /// Why.
    pub(crate) rejection: Rejection,
    /// Which mail it says it is.
    pub(crate) ids: MailIds,
}

impl RejectionReason {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 16] = [
        Self::Malformed,
        Self::Invalid,
        Self::ProviderUnknown,
        Self::TenantMismatch,
        Self::MailIdConflict,
        Self::GivenUp,
        Self::ProviderRevoked,
        Self::IdentityNotVerified,
        Self::SandboxRecipient,
        Self::MessageRejected,
        Self::MailFromNotVerified,
        Self::PermissionMissing,
        Self::NotFound,
        Self::BadRequest,
        Self::FileMissing,
        Self::FileTooLarge,
    ];

    /// The word in events, ledger rows and the dead-letter queue.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Invalid => "invalid",
            Self::ProviderUnknown => "provider_unknown",
            Self::TenantMismatch => "tenant_mismatch",
            Self::MailIdConflict => "mail_id_conflict",
            Self::GivenUp => "given_up",
            Self::ProviderRevoked => "provider_revoked",
            Self::IdentityNotVerified => "identity_not_verified",
            Self::SandboxRecipient => "sandbox_recipient",
            Self::MessageRejected => "message_rejected",
            Self::MailFromNotVerified => "mail_from_not_verified",
            Self::PermissionMissing => "permission_missing",
            Self::NotFound => "not_found",
            Self::BadRequest => "bad_request",
            Self::FileMissing => "file_missing",
            Self::FileTooLarge => "file_too_large",
        }
    }
}

impl RejectedMessage {
    /// A message that is no valid mail, for this reason.
    pub(crate) fn new(error: FieldError, body: &str) -> Self {
        Self { rejection: Rejection::from_field_error(error), ids: MailIds::from_body(body) }
    }
}

impl RejectionCode {
    /// A reason and what is at fault.
    pub(crate) fn new(reason: RejectionReason, subject: &str) -> Self {
        Self(format!("{}:{subject}", reason.as_str()))
    }
}

impl From<RejectionReason> for RejectionCode {
    fn from(reason: RejectionReason) -> Self {
        Self(reason.as_str().to_owned())
    }
}

impl From<RejectionCode> for String {
    fn from(code: RejectionCode) -> Self {
        code.0
    }
}

impl fmt::Display for RejectionCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Rejection {
    fn new(reason: RejectionReason, field: &str, problem: &str) -> Self {
        Self { reason, field: field.to_owned(), problem: problem.to_owned() }
    }

    /// The message is no mail, or a field of it is not what it should be.
    pub(crate) fn from_field_error(error: FieldError) -> Self {
        let FieldError { field, problem, .. } = error;
        let reason = if field == "body" { RejectionReason::Malformed } else { RejectionReason::Invalid };
        Self { reason, field, problem }
    }

    /// There is no such provider.
    pub(crate) fn provider_unknown() -> Self {
        Self::new(RejectionReason::ProviderUnknown, "provider_id", "names no provider")
    }

    /// The provider belongs to another tenant.
    pub(crate) fn tenant_mismatch() -> Self {
        Self::new(RejectionReason::TenantMismatch, "tenant_id", "is not the provider's tenant")
    }

    /// A mail with other content already has this id.
    pub(crate) fn mail_id_conflict() -> Self {
        Self::new(RejectionReason::MailIdConflict, "mail_id", "was used for a mail with other content")
    }

    /// Every attempt to process the message failed.
    pub(crate) fn given_up() -> Self {
        Self::new(RejectionReason::GivenUp, "body", "could not be processed")
    }

    /// Reason and field.
    pub(crate) fn code(&self) -> RejectionCode {
        RejectionCode::new(self.reason, &self.field)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn readme_and_sample_event_name_the_rejection_reasons() {
        let readme = include_str!("../../../README.md");
        for reason in RejectionReason::ALL.map(RejectionReason::as_str) {
            let named = ["`", ":"].iter().any(|end| readme.contains(&format!("`{reason}{end}")));
            assert!(named, "README.md does not list `{reason}`");
        }
        let event: Value = serde_json::from_str(include_str!("../../../events/send-mail-rejected.json")).unwrap();
        let word = event["detail"]["reason"].as_str().unwrap().split(':').next().unwrap();
        assert!(RejectionReason::ALL.iter().any(|reason| reason.as_str() == word), "{word}");
    }
}
