//! The header fields that callers may add.

use crate::http::FieldError;

/// The most fields of one mail (SES v2 API, `Message`, `Headers`).
const MAX_HEADERS: usize = 15;

/// Longest name, value, and both together, in characters (SES v2 API, `MessageHeader`).
const MAX_NAME_CHARS: usize = 126;
const MAX_VALUE_CHARS: usize = 995;
const MAX_CHARS: usize = 996;

/// Fields about sender, recipients, content and route of a mail. SES sets them, or the mail has a field of its own for
/// them; a second one would let a caller's data speak for the sender.
const RESERVED: [&str; 22] = [
    "authentication-results",
    "bcc",
    "cc",
    "date",
    "delivered-to",
    "dkim-signature",
    "domainkey-signature",
    "errors-to",
    "from",
    "message-id",
    "mime-version",
    "received",
    "received-spf",
    "reply-to",
    "return-path",
    "return-receipt-to",
    "sender",
    "subject",
    "thread-index",
    "thread-topic",
    "to",
    "disposition-notification-to",
];

/// Prefixes of such fields. `X-SES-` holds configuration sets, tags and the ARNs of foreign identities.
const RESERVED_PREFIXES: [&str; 4] = ["arc-", "content-", "resent-", "x-ses-"];

/// Whether a character must not stand in a header field: it ends a line, or some reader takes it for the end of one.
pub(crate) fn is_line_breaking(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Checks all of a mail's own header fields.
///
/// # Errors
/// Names `headers`, or `headers.<name>` if the name itself is valid; never a value.
pub(crate) fn check(headers: &[(String, String)]) -> Result<(), FieldError> {
    if headers.len() > MAX_HEADERS {
        return Err(FieldError::new("headers", format!("must be at most {MAX_HEADERS} fields")));
    }
    for (index, (name, value)) in headers.iter().enumerate() {
        if !is_name(name) {
            return Err(FieldError::new("headers", "has a name that is not letters, digits, `-` and `_`"));
        }
        let field = || format!("headers.{name}");
        if is_reserved(name) {
            return Err(FieldError::new(field(), "is set by SES or by a field of the mail; remove it"));
        }
        if headers.iter().take(index).any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(FieldError::new(field(), "is given twice"));
        }
        if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
            return Err(FieldError::new(field(), "must be printable ASCII on one line"));
        }
        // SES v2 API, `MessageHeader`: a value has at least one character.
        if value.trim().is_empty() {
            return Err(FieldError::new(field(), "is empty; leave the field out"));
        }
        if value.len() > MAX_VALUE_CHARS || name.len() + value.len() > MAX_CHARS {
            return Err(FieldError::new(field(), format!("must be at most {MAX_CHARS} characters with its name")));
        }
    }
    Ok(())
}

/// Stricter than RFC 5322, which allows any printable character: a name is shown to operators.
pub(crate) fn is_name(name: &str) -> bool {
    (1..=MAX_NAME_CHARS).contains(&name.len())
        && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
}

/// Whether SES sets the field, or the mail has a field of its own for it.
pub(crate) fn is_reserved(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    RESERVED.contains(&name.as_str()) || RESERVED_PREFIXES.iter().any(|prefix| name.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field_of(headers: &[(&str, &str)]) -> Option<String> {
        let headers: Vec<_> = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        check(&headers).err().map(|error| error.field)
    }

    #[test]
    fn own_fields_pass() {
        assert_eq!(field_of(&[("X-Campaign", "spring"), ("List-Unsubscribe", "<https://example.com/u?x=1>")]), None);
        assert_eq!(field_of(&[("In-Reply-To", "<a@b.example>"), ("References", "<a@b.example>")]), None);
    }

    #[test]
    fn reserved_fields_are_refused_in_any_case() {
        for name in ["From", "TO", "cc", "Bcc", "subject", "Date", "Message-ID", "MIME-Version", "Content-Type"] {
            assert_eq!(field_of(&[(name, "x")]), Some(format!("headers.{name}")), "{name}");
        }
        for name in ["Content-Anything", "Return-Path", "Sender", "Reply-To", "DKIM-Signature", "X-SES-Source-ARN"] {
            assert_eq!(field_of(&[(name, "x")]), Some(format!("headers.{name}")), "{name}");
        }
    }

    #[test]
    fn an_empty_value_is_refused() {
        for value in ["", " ", "   "] {
            assert_eq!(field_of(&[("X-Campaign", value)]).as_deref(), Some("headers.X-Campaign"), "{value:?}");
        }
        assert_eq!(field_of(&[("X-Campaign", " a")]), None);
    }

    #[test]
    fn nothing_can_be_injected() {
        assert_eq!(field_of(&[("X-A", "a\r\nBcc: b@example.com")]).as_deref(), Some("headers.X-A"));
        assert_eq!(field_of(&[("X-A", "a\nb")]).as_deref(), Some("headers.X-A"));
        assert_eq!(field_of(&[("X-A", "ä")]).as_deref(), Some("headers.X-A"));
        assert_eq!(field_of(&[("X-A\r\nBcc", "b@example.com")]).as_deref(), Some("headers"));
        assert_eq!(field_of(&[("X-A: b", "c")]).as_deref(), Some("headers"));
        assert_eq!(field_of(&[("X-A", "a\0b")]).as_deref(), Some("headers.X-A"));
        assert_eq!(field_of(&[("", "c")]).as_deref(), Some("headers"));
        assert_eq!(field_of(&[("X-A", "1"), ("x-a", "2")]).as_deref(), Some("headers.x-a"));
        assert_eq!(field_of(&[("X-A", &"a".repeat(994))]).as_deref(), Some("headers.X-A"));
        assert_eq!(field_of(&[("X-A", "a"); 16]).as_deref(), Some("headers"));
    }
}
