//! Addresses: parsed strictly, and written so that SES reads exactly one mailbox in each.

mod address;
mod error;
#[cfg(test)]
mod tests;

use address::is_atext;
pub(crate) use error::MailboxError;

use crate::mail::encoded_word;
use crate::mail::header::is_line_breaking;

/// An address, with the display name if there is one. It is personal data, so the type has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    name: Option<String>,
    address: String,
}

/// The longest mailbox that SES accepts, in bytes, with its name and as it is written: "Address length is more than 320
/// bytes long" counts encoded words (zulip/zulip#17558, openedx/openedx-platform#12171).
const MAX_MAILBOX_BYTES: usize = 320;

impl Mailbox {
    /// Parses `a@example.com`, `Jane Doe <a@example.com>` or `"Doe, Jane" <a@example.com>`.
    ///
    /// Everything else that RFC 5322 allows (lists, groups, comments, domain literals) is refused: two parsers might see
    /// different numbers of recipients in it. SES's reader is one more parser: it takes the colon of an unquoted
    /// `DEBUG: Bob <…>` for a part of the address (boto/botocore#1774).
    ///
    /// # Errors
    /// What is wrong, without the address.
    pub(crate) fn parse(text: &str) -> Result<Self, MailboxError> {
        if text.chars().any(is_line_breaking) {
            return Err(MailboxError::ControlCharacter);
        }
        let text = text.trim();
        let separators = separators(text)?;
        let count = |wanted: char| separators.iter().filter(|(_, separator)| *separator == wanted).count();
        if count('(') + count(')') > 0 {
            return Err(MailboxError::Comment);
        }
        if text.ends_with(';') && count(':') > 0 {
            return Err(MailboxError::Group);
        }
        let has_list_separator = count(',') + count(';') > 0 || (count('<') == 0 && text.contains(char::is_whitespace));
        if count('@') > 1 && has_list_separator {
            return Err(MailboxError::List);
        }
        let mailbox = match separators.iter().find(|(_, separator)| *separator == '<') {
            None if count('>') > 0 => return Err(MailboxError::Brackets),
            None => Self { name: None, address: address::parse(text)? },
            Some((opening, _)) => {
                let (name, bracketed) = text.split_at(*opening);
                let address = bracketed.strip_prefix('<').and_then(|rest| rest.strip_suffix('>'));
                let address = address.filter(|_| count('<') == 1 && count('>') == 1).ok_or(MailboxError::Brackets)?;
                Self { name: parse_name(name.trim())?, address: address::parse(address)? }
            }
        };
        if mailbox.header().len() > MAX_MAILBOX_BYTES {
            return Err(MailboxError::NameTooLong);
        }
        Ok(mailbox)
    }

    /// The bare address, as SES gets it.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The bare address, the same for every spelling of its domain. The case of the local part is its domain's affair.
    pub fn canonical_address(&self) -> String {
        match self.address.rsplit_once('@') {
            Some((local, domain)) => format!("{local}@{}", domain.to_ascii_lowercase()),
            None => self.address.clone(),
        }
    }

    /// The display name.
    pub fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The mailbox as SES accepts it: SES requires a name that is not ASCII as encoded words (SES v2 API, `SendEmail`,
    /// `FromEmailAddress`), and a name with punctuation has to be quoted (RFC 5322, section 3.2.4). A name that still looks
    /// like an encoded word is encoded, so that people see it and not what it would decode to.
    pub fn header(&self) -> String {
        match &self.name {
            None => self.address.clone(),
            Some(name) if !name.is_ascii() || name.contains("=?") => {
                format!("{} <{}>", encoded_word::encode(name), self.address)
            }
            Some(name) if name.split(' ').all(|word| !word.is_empty() && word.chars().all(is_atext)) => {
                format!("{name} <{}>", self.address)
            }
            Some(name) => {
                let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{quoted}\" <{}>", self.address)
            }
        }
    }
}

/// The characters outside quoted strings that separate the parts of addresses and addresses from each other, and where
/// they are.
fn separators(text: &str) -> Result<Vec<(usize, char)>, MailboxError> {
    let mut separators = Vec::new();
    let mut is_quoted = false;
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => drop(chars.next()),
            '<' | '>' | '(' | ')' | ',' | ';' | ':' | '@' if !is_quoted => separators.push((at, c)),
            _ => {}
        }
    }
    if is_quoted { Err(MailboxError::UnclosedQuote) } else { Ok(separators) }
}

/// The name without its quotes and with its encoded words decoded. An unquoted name must not contain what separates
/// mailboxes from each other.
///
/// An encoded word inside a quoted string is none by RFC 2047, section 5, but programs write it so and mean the decoded
/// name. Only where the quoted name is nothing else is it taken for one.
fn parse_name(text: &str) -> Result<Option<String>, MailboxError> {
    let name = match text.strip_prefix('"') {
        Some(rest) => {
            let quoted = rest.strip_suffix('"').and_then(unquote).ok_or(MailboxError::PartlyQuotedName)?;
            if encoded_word::is_encoded(&quoted) { encoded_word::decode(&quoted)? } else { quoted }
        }
        None if text.contains('"') => return Err(MailboxError::PartlyQuotedName),
        None if text.contains(['>', '@', ',', ';', ':', '\\', '[', ']']) => return Err(MailboxError::UnquotedName),
        None => {
            // Between the words of an unquoted name, one blank means the same as several.
            let words: Vec<&str> = text.split(' ').filter(|word| !word.is_empty()).collect();
            encoded_word::decode(&words.join(" "))?
        }
    };
    if name.chars().any(is_line_breaking) {
        return Err(MailboxError::EncodedControlCharacter);
    }
    let name = name.trim();
    Ok((!name.is_empty()).then(|| name.to_owned()))
}

/// The content of a quoted string; `None` if it ends early or in the middle of an escape.
fn unquote(text: &str) -> Option<String> {
    let mut content = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => content.push(chars.next()?),
            c => content.push(c),
        }
    }
    Some(content)
}
