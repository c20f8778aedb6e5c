//! Why a mail will never be sent.

use std::fmt;

use serde_json::Value;
use shared::http::{FieldError, is_identifier};
use shared::id::{MailId, ProviderId, TenantId};

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

/// The ids in a message, each if it could be read and is valid.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct MailIds {
    /// The tenant.
    pub(crate) tenant_id: Option<TenantId>,
    /// The provider.
    pub(crate) provider_id: Option<ProviderId>,
    /// The caller's idempotency key.
    pub(crate) mail_id: Option<MailId>,
}

/// The fields of a mail. A field's name in a message is the caller's text; only these names are always shown.
pub(crate) const MAIL_FIELDS: [&str; 18] = [
    "version",
    "tenant_id",
    "provider_id",
    "mail_id",
    "first_seen",
    "from",
    "to",
    "cc",
    "bcc",
    "reply_to",
    "subject",
    "text",
    "html",
    "headers",
    "tags",
    "configuration_set",
    "on_doubt",
    "expires_at",
];

impl RejectionReason {
    #[cfg(test)]
    pub(crate) const ALL: [Self; 14] = [
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
        }
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
        let field = showable(&error.field);
        let reason = if field == "body" { RejectionReason::Malformed } else { RejectionReason::Invalid };
        Self { reason, field, problem: error.problem }
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

impl MailIds {
    /// Reads the ids that can be read.
    pub(crate) fn from_body(body: &str) -> Self {
        let Ok(body) = serde_json::from_str::<Value>(body) else { return Self::default() };
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        Self {
            tenant_id: text("tenant_id").and_then(|id| TenantId::parse(id).ok()),
            provider_id: text("provider_id").and_then(|id| ProviderId::parse(id).ok()),
            mail_id: text("mail_id").and_then(|id| MailId::parse(id).ok()),
        }
    }
}

/// The part of a field's path that says nothing about people: a key that a caller invented may be an address.
fn showable(path: &str) -> String {
    // A secret access key has 40 characters, and people paste it into the wrong place.
    let is_header = |text: &str| {
        (1..40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let (head, tail) = path.split_once('.').map_or((path, None), |(head, tail)| (head, Some(tail)));
    let (name, index) = head.split_at(head.find('[').unwrap_or(head.len()));
    let is_plain = is_identifier(name) && index.bytes().all(|b| b.is_ascii_digit() || b == b'[' || b == b']');
    match tail {
        Some(tail) if name == "headers" && is_header(tail) => path.to_owned(),
        None if is_plain => head.to_owned(),
        Some(_) if is_plain && MAIL_FIELDS.contains(&name) => head.to_owned(),
        _ => "body".to_owned(),
    }
}

#[cfg(test)]
mod tests {
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

    #[test]
    fn a_field_is_named_only_as_far_as_its_name_is_ours() {
        let cases = [
            ("to[2]", "to[2]"),
            ("body", "body"),
            ("attachments", "attachments"),
            ("replyTo", "replyTo"),
            ("wJalrXUtnFEMIIK7MDENGIbPxRfiCYEXAMPLEKEY", "body"),
            ("Jane", "body"),
            ("headers.X-Campaign", "headers.X-Campaign"),
            ("headers.a\r\nBcc: jane@example.com", "headers"),
            ("headers.wJalrXUtnFEMIIK7MDENGIbPxRfiCYEXAMPLEKEY", "headers"),
            ("tags.jane@example.com", "tags"),
            ("jane@example.com", "body"),
            ("jane@example.com.x", "body"),
            ("", "body"),
        ];
        for (path, shown) in cases {
            assert_eq!(showable(path), shown, "{path}");
        }
    }

    #[test]
    fn ids_are_read_out_of_a_message_that_is_no_mail() {
        let ids =
            MailIds::from_body(r#"{"provider_id":"prv_01ARZ3NDEKTSV4RRFFQ69G5FAV","mail_id":"m","tenant_id":7,"x":1}"#);
        assert_eq!(ids.provider_id.map(String::from).as_deref(), Some("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert_eq!(ids.mail_id.map(String::from).as_deref(), Some("m"));
        assert_eq!(ids.tenant_id, None);
        assert_eq!(MailIds::from_body("{"), MailIds::default());
    }
}
