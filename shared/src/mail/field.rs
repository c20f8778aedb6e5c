//! The fields of a message, and how much of a field's name may be shown.

use crate::http::is_identifier;

/// The fields of a mail. A field's name in a message is the caller's text; only these names are always shown.
pub(crate) const MAIL_FIELDS: [&str; 30] = [
    "version",
    "tenant_id",
    "provider_id",
    "provider_ids",
    "patience_s",
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
    "raw",
    "template",
    "attachments",
    "headers",
    "list_unsubscribe",
    "list_management",
    "tags",
    "configuration_set",
    "tenant_name",
    "endpoint_id",
    "return_path",
    "on_doubt",
    "priority",
    "not_before",
    "expires_at",
];

/// The fields of these, by the name of what has them.
const OWN_FIELDS: [(&str, &[&str]); 4] = [
    ("attachments", &["name", "content_type", "content_id", "content", "s3", "s3.key", "s3.version"]),
    ("template", &["name", "arn", "data"]),
    ("list_unsubscribe", &["url", "mailto"]),
    ("list_management", &["contact_list", "topic"]),
];

/// The part of a field's path that says nothing about people: a key that a caller invented may be an address.
pub(crate) fn showable(path: &str) -> String {
    // A secret access key has 40 characters, and people paste it into the wrong place.
    let is_header = |text: &str| {
        (1..40).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let (head, tail) = path.split_once('.').map_or((path, None), |(head, tail)| (head, Some(tail)));
    let (name, index) = head.split_at(head.find('[').unwrap_or(head.len()));
    let is_plain = is_identifier(name) && index.bytes().all(|b| b.is_ascii_digit() || b == b'[' || b == b']');
    match tail {
        Some(tail) if name == "headers" && is_header(tail) => path.to_owned(),
        Some(tail) if is_plain && OWN_FIELDS.iter().any(|(own, fields)| *own == name && fields.contains(&tail)) => {
            path.to_owned()
        }
        None if is_plain => head.to_owned(),
        Some(_) if is_plain && MAIL_FIELDS.contains(&name) => head.to_owned(),
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
            ("attachments[3].s3.key", "attachments[3].s3.key"),
            ("attachments[3].Jane", "attachments[3]"),
            ("template.data.jane@example.com", "template"),
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
}
