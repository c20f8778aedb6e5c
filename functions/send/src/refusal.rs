//! Why a message can never be sent.

use serde_json::Value;
use shared::http::{FieldError, is_identifier};
use shared::id::{MailId, ProviderId, TenantId};

/// What is wrong with a message, in words that may be shown: a code, the field's name, what would be right.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// A stable word.
    pub(crate) reason: &'static str,
    /// The field at fault.
    pub(crate) field: String,
    /// What is wrong with it. Never its value.
    pub(crate) problem: String,
}

/// A message that was refused, with as much of it as could be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    /// Why.
    pub(crate) refusal: Refusal,
    /// What it was about.
    pub(crate) ids: Ids,
}

/// The ids in a message, each where it could be read and is one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    /// The tenant.
    pub(crate) tenant_id: Option<TenantId>,
    /// The provider.
    pub(crate) provider_id: Option<ProviderId>,
    /// The caller's idempotency key.
    pub(crate) mail_id: Option<MailId>,
}

/// Fields of a mail. A field's name in a message is the caller's text; only these are repeated whatever they are.
const FIELDS: [&str; 18] = [
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

impl Refusal {
    /// The message is not a mail, or a field of it is not what it should be.
    pub(crate) fn of_field(error: FieldError) -> Self {
        let field = showable(&error.field);
        let reason = if field == "body" { "malformed" } else { "invalid" };
        Self { reason, field, problem: error.problem }
    }

    /// There is no such provider.
    pub(crate) fn provider_unknown() -> Self {
        Self { reason: "provider_unknown", field: "provider_id".to_owned(), problem: "names no provider".to_owned() }
    }

    /// The provider is another tenant's.
    pub(crate) fn tenant_mismatch() -> Self {
        Self {
            reason: "tenant_mismatch",
            field: "tenant_id".to_owned(),
            problem: "is not the provider's tenant".to_owned(),
        }
    }

    /// Another mail has this id already.
    pub(crate) fn mail_id_conflict() -> Self {
        Self {
            reason: "mail_id_conflict",
            field: "mail_id".to_owned(),
            problem: "was used for a mail with other content".to_owned(),
        }
    }

    /// Whatever we did about it failed, time and again.
    pub(crate) fn given_up() -> Self {
        Self { reason: "given_up", field: "body".to_owned(), problem: "could not be dealt with".to_owned() }
    }

    /// Code and field, as events and ledger rows have it: `invalid:to[2]`.
    pub(crate) fn code(&self) -> String {
        format!("{}:{}", self.reason, self.field)
    }
}

impl Ids {
    /// Reads what can be read.
    pub(crate) fn of_body(body: &str) -> Self {
        let Ok(body) = serde_json::from_str::<Value>(body) else { return Self::default() };
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        Self {
            tenant_id: text("tenant_id").and_then(|id| TenantId::parse(id).ok()),
            provider_id: text("provider_id").and_then(|id| ProviderId::parse(id).ok()),
            mail_id: text("mail_id").and_then(|id| MailId::parse(id).ok()),
        }
    }
}

/// A field's path as far as it says nothing about people: a key that a caller invented may be an address.
fn showable(path: &str) -> String {
    // A secret access key has 40 characters, and people paste it into the wrong place.
    let header = |text: &str| {
        (1..40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let (head, tail) = path.split_once('.').map_or((path, None), |(head, tail)| (head, Some(tail)));
    let (name, index) = head.split_at(head.find('[').unwrap_or(head.len()));
    let plain = is_identifier(name) && index.bytes().all(|b| b.is_ascii_digit() || b == b'[' || b == b']');
    match tail {
        Some(tail) if name == "headers" && header(tail) => path.to_owned(),
        None if plain => head.to_owned(),
        Some(_) if plain && FIELDS.contains(&name) => head.to_owned(),
        _ => "body".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let ids = Ids::of_body(r#"{"provider_id":"prv_01ARZ3NDEKTSV4RRFFQ69G5FAV","mail_id":"m","tenant_id":7,"x":1}"#);
        assert_eq!(ids.provider_id.map(String::from).as_deref(), Some("prv_01ARZ3NDEKTSV4RRFFQ69G5FAV"));
        assert_eq!(ids.mail_id.map(String::from).as_deref(), Some("m"));
        assert_eq!(ids.tenant_id, None);
        assert_eq!(Ids::of_body("{"), Ids::default());
    }
}
