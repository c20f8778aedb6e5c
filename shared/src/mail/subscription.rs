//! How a recipient unsubscribes: by header fields of the sender (RFC 2369, RFC 8058), or by a contact list of SES.

use serde::Deserialize;

use crate::http::FieldError;
use crate::mail::Mailbox;

/// The fields that `list_unsubscribe` makes.
const FIELDS: [&str; 2] = ["List-Unsubscribe", "List-Unsubscribe-Post"];

/// The value that makes it one click (RFC 8058, section 3.1).
const ONE_CLICK: &str = "List-Unsubscribe=One-Click";

/// The longest URL, so that both fit into one field (SES v2 API, `MessageHeader`: 995 characters).
const MAX_URL_CHARS: usize = 600;

/// The longest name of a list or topic here; SES states no limit.
const MAX_NAME_CHARS: usize = 128;

/// The contact list, and the topic in it, that a recipient unsubscribes from.
#[derive(Clone, PartialEq, Eq)]
pub struct ListManagement {
    /// The contact list's name.
    pub contact_list: String,
    /// The topic's name.
    pub topic: Option<String>,
}

/// `list_unsubscribe` as a message has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListUnsubscribeDocument {
    url: Option<String>,
    mailto: Option<String>,
}

/// `list_management` as a message has it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListManagementDocument {
    contact_list: String,
    topic: Option<String>,
}

/// Adds the header fields of `list_unsubscribe`. The URL is tried first by readers that know both: RFC 8058 asks for a POST to it.
pub(super) fn add_header_fields(
    document: Option<ListUnsubscribeDocument>,
    headers: &mut Vec<(String, String)>,
) -> Result<(), FieldError> {
    let Some(ListUnsubscribeDocument { url, mailto }) = document else { return Ok(()) };
    let error = |field: &str, problem: &str| Err(FieldError::new(format!("list_unsubscribe.{field}"), problem));
    if let Some((name, _)) =
        headers.iter().find(|(name, _)| FIELDS.iter().any(|field| field.eq_ignore_ascii_case(name)))
    {
        return Err(FieldError::new(format!("headers.{name}"), "is made of `list_unsubscribe`; remove one of them"));
    }
    let mut targets = Vec::new();
    if let Some(url) = &url {
        if !is_https_url(url) {
            return error("url", "must be an https URL in printable ASCII, without `<`, `>`, commas and blanks");
        }
        targets.push(format!("<{url}>"));
    }
    if let Some(mailto) = &mailto {
        match Mailbox::parse(mailto) {
            Ok(mailbox) if mailbox.name().is_none() => {
                targets.push(format!("<mailto:{}>", percent_encoded(mailbox.address())))
            }
            Ok(_) => return error("mailto", "must be an address without a name"),
            Err(problem) => return error("mailto", &problem.to_string()),
        }
    }
    if targets.is_empty() {
        return error("url", "is missing, and so is `mailto`");
    }
    headers.push((FIELDS[0].to_owned(), targets.join(", ")));
    if url.is_some() {
        headers.push((FIELDS[1].to_owned(), ONE_CLICK.to_owned()));
    }
    Ok(())
}

/// The contact list.
pub(super) fn parse_list(document: ListManagementDocument) -> Result<ListManagement, FieldError> {
    let ListManagementDocument { contact_list, topic } = document;
    let is_list_name = |name: &str| {
        (1..=MAX_NAME_CHARS).contains(&name.len())
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    };
    let problem = || format!("must be 1 to {MAX_NAME_CHARS} letters, digits, `-` and `_`");
    if !is_list_name(&contact_list) {
        return Err(FieldError::new("list_management.contact_list", problem()));
    }
    if !topic.as_deref().is_none_or(is_list_name) {
        return Err(FieldError::new("list_management.topic", problem()));
    }
    Ok(ListManagement { contact_list, topic })
}

fn is_https_url(url: &str) -> bool {
    let host = url.strip_prefix("https://").and_then(|rest| rest.split(['/', '?', '#']).next());
    url.len() <= MAX_URL_CHARS
        && host.is_some_and(|host| {
            !host.is_empty() && host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.:[]".contains(&b))
        })
        && url.bytes().all(|b| (b'!'..=b'~').contains(&b) && !b"<>,\"\\".contains(&b))
}

/// What a local part may have and a URL may not (RFC 6068, section 2).
fn percent_encoded(address: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~!$'*+@".contains(&b);
    address.bytes().map(|b| if is_plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(url: Option<&str>, mailto: Option<&str>) -> Result<Vec<(String, String)>, FieldError> {
        let mut headers = vec![("X-A".to_owned(), "1".to_owned())];
        let document = ListUnsubscribeDocument { url: url.map(str::to_owned), mailto: mailto.map(str::to_owned) };
        add_header_fields(Some(document), &mut headers)?;
        Ok(headers.split_off(1))
    }

    #[test]
    fn one_click_needs_the_url() {
        let field = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let both = fields(Some("https://example.com/u?x=1&y=%2F"), Some("u+1%x@example.com")).ok().unwrap();
        assert_eq!(
            both,
            [
                field("List-Unsubscribe", "<https://example.com/u?x=1&y=%2F>, <mailto:u+1%25x@example.com>"),
                field("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"),
            ]
        );
        let mailto = fields(None, Some("u@example.com")).ok().unwrap();
        assert_eq!(mailto, [field("List-Unsubscribe", "<mailto:u@example.com>")]);
    }

    #[test]
    fn only_an_https_url_and_a_plain_address_pass() {
        let long = format!("https://example.com/{}", "a".repeat(600));
        for url in
            ["http://example.com/u", "https://", "https:///u", "https://a@example.com", "https://a.example/>,<x", &long]
        {
            assert_eq!(fields(Some(url), None).err().map(|error| error.field).as_deref(), Some("list_unsubscribe.url"));
        }
        for mailto in ["Jane <u@example.com>", "u", "u@example.com?subject=x"] {
            let field = fields(None, Some(mailto)).err().map(|error| error.field);
            assert_eq!(field.as_deref(), Some("list_unsubscribe.mailto"), "{mailto}");
        }
        assert_eq!(fields(None, None).err().map(|error| error.field).as_deref(), Some("list_unsubscribe.url"));
    }

    #[test]
    fn the_same_field_in_headers_is_named() {
        let mut headers = vec![("list-unsubscribe".to_owned(), "<https://example.com>".to_owned())];
        let document = ListUnsubscribeDocument { url: Some("https://example.com/u".to_owned()), mailto: None };
        let error = add_header_fields(Some(document), &mut headers).unwrap_err();
        assert_eq!(error.field, "headers.list-unsubscribe");
    }
}
