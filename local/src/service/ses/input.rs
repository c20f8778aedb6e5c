//! What SES refuses of a mail's addresses, tags and headers before it looks at anything else: BadRequestException.
//!
//! The sources of the wordings are those of `shared::tenant`'s `InputFault`: SES checks addresses with JavaMail's
//! `InternetAddress.checkAddress`.

use serde_json::Value;

use super::mailbox;

/// The longest address, with its name and as it is written (zulip/zulip#17558).
const MAX_ADDRESS_BYTES: usize = 320;

/// The longest name or value of a tag (SES API v2, MessageTag).
const MAX_TAG_CHARACTERS: usize = 255;

/// Tags that SES takes although their names have a colon (AWS What's New, June 11, 2024).
const FEEDBACK_TAGS: [&str; 2] = ["ses:feedback-id-a", "ses:feedback-id-b"];

/// Checks the mail that a SendEmail hands over.
///
/// # Errors
/// SES's text.
pub(super) fn check(mail: &Value) -> Result<(), String> {
    let reply_to = mail["ReplyToAddresses"].as_array().into_iter().flatten();
    let others = [&mail["FromEmailAddress"], &mail["FeedbackForwardingEmailAddress"]];
    let addresses = others.into_iter().chain(reply_to).filter_map(Value::as_str);
    for address in addresses.chain(mailbox::recipients(mail)) {
        check_address(address)?;
    }
    for tag in mail["EmailTags"].as_array().into_iter().flatten() {
        check_tag(tag["Name"].as_str().unwrap_or_default(), tag["Value"].as_str().unwrap_or_default())?;
    }
    let headers = mail["Content"]["Simple"]["Headers"].as_array().into_iter().flatten();
    for (index, header) in headers.enumerate() {
        for (field, path) in [("Name", "name"), ("Value", "value")] {
            if header[field].as_str().unwrap_or_default().is_empty() {
                return Err(format!(
                    "1 validation error detected: Value '' at 'content.simple.headers.{}.member.{path}' failed to satisfy \
                     constraint: Member must have length greater than or equal to 1",
                    index + 1
                ));
            }
        }
    }
    Ok(())
}

fn check_address(mailbox: &str) -> Result<(), String> {
    if mailbox.len() > MAX_ADDRESS_BYTES {
        return Err(format!("Address length is more than {MAX_ADDRESS_BYTES} bytes long: '{mailbox}'"));
    }
    let bare = mailbox::bare(mailbox);
    let Some((local, domain)) = bare.rsplit_once('@') else { return Err("Missing final '@domain'".to_owned()) };
    let quoted = local.len() > 1 && local.starts_with('"') && local.ends_with('"');
    let is_blank = |character: char| character.is_control() || character.is_whitespace();
    let illegal_in_local = |character: char| !character.is_ascii() || "()<>,;:\\\"[]@".contains(character);
    let illegal_in_domain =
        |character: char| !character.is_ascii_alphanumeric() && character != '-' && character != '.';
    let faults = [
        (local.is_empty(), "Missing local name"),
        (domain.is_empty(), "Missing domain"),
        (!quoted && local.starts_with('.'), "Local address starts with dot"),
        (!quoted && local.contains(".."), "Local address contains dot-dot"),
        (!quoted && local.contains(is_blank), "Local address contains control or whitespace"),
        (!quoted && local.contains(illegal_in_local), "Local address contains illegal character"),
        (domain.starts_with('.'), "Domain starts with dot"),
        (domain.contains(".."), "Domain contains dot-dot"),
        (domain.contains(is_blank), "Domain contains control or whitespace"),
        (domain.contains(illegal_in_domain), "Domain contains illegal character"),
        (domain.ends_with('.'), "Domain ends with dot"),
    ];
    match faults.into_iter().find(|(is_there, _)| *is_there) {
        Some((_, text)) => Err(text.to_owned()),
        None => Ok(()),
    }
}

fn check_tag(name: &str, value: &str) -> Result<(), String> {
    let plain = |character: char| character.is_ascii_alphanumeric() || character == '_' || character == '-';
    let in_value = |character: char| plain(character) || character == '.' || character == '@';
    if name.is_empty() {
        return Err("The tag name must be specified.".to_owned());
    }
    if value.is_empty() {
        return Err("The tag value must be specified.".to_owned());
    }
    if name.chars().count() > MAX_TAG_CHARACTERS {
        return Err(format!("Tag name cannot exceed {MAX_TAG_CHARACTERS} characters."));
    }
    if value.chars().count() > MAX_TAG_CHARACTERS {
        return Err(format!("Tag value cannot exceed {MAX_TAG_CHARACTERS} characters."));
    }
    if !name.chars().all(plain) && !FEEDBACK_TAGS.contains(&name) {
        return Err(format!("Invalid tag name <{name}>: only alphanumeric ASCII characters, '_',  '-' are allowed."));
    }
    if !value.chars().all(in_value) {
        return Err(format!(
            "Invalid tag value <{value}>: only alphanumeric ASCII characters, '_',  '-' , '.', '@' are allowed."
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_address_is_refused_in_the_words_of_ses() {
        let long = format!("{} <a@example.com>", "x".repeat(310));
        for (address, text) in [
            ("nobody", "Missing final '@domain'"),
            ("a b@example.com", "Local address contains control or whitespace"),
            ("jürgen@example.com", "Local address contains illegal character"),
            ("a..b@example.com", "Local address contains dot-dot"),
            ("a@.example.com", "Domain starts with dot"),
            ("a@bücher.example", "Domain contains illegal character"),
            ("Name <a@exa mple.com>", "Domain contains control or whitespace"),
            ("@example.com", "Missing local name"),
            ("a@", "Missing domain"),
            (long.as_str(), "Address length is more than 320 bytes long: '"),
        ] {
            let refused = check(&json!({"Destination": {"ToAddresses": [address]}})).unwrap_err();
            assert!(refused.starts_with(text), "{address}: {refused}");
        }
        for address in ["a@example.com", "Jane <a+b@xn--bcher-kva.example>", "\"a b\"@example.com", "invalid@invalid"] {
            assert_eq!(check(&json!({"FromEmailAddress": address})), Ok(()), "{address}");
        }
    }

    #[test]
    fn tags_and_headers_are_refused_in_the_words_of_ses() {
        let tag = |name: &str, value: &str| check(&json!({"EmailTags": [{"Name": name, "Value": value}]}));
        assert_eq!(tag("ses:feedback-id-a", "campaign"), Ok(()));
        assert!(tag("ses:other", "x").unwrap_err().starts_with("Invalid tag name <ses:other>: only alphanumeric"));
        assert!(tag("a", "b c").unwrap_err().starts_with("Invalid tag value <b c>"));
        assert!(tag("a", "").unwrap_err().starts_with("The tag value must be specified"));
        let mail =
            json!({"Content": {"Simple": {"Headers": [{"Name": "X-A", "Value": "1"}, {"Name": "X-B", "Value": ""}]}}});
        let refused = check(&mail).unwrap_err();
        assert!(refused.contains("Value '' at 'content.simple.headers.2.member.value'"), "{refused}");
    }
}
