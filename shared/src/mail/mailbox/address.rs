//! The bare address: a local part in ASCII, an at sign and a domain name.

use idna::uts46::{AsciiDenyList, DnsLength, Hyphens, Uts46};

use super::{MailboxError, unquote};

/// The longest local part and address (RFC 5321, section 4.5.3.1, and its erratum 1690 for the address).
const MAX_LOCAL_PART_CHARS: usize = 64;
const MAX_ADDRESS_CHARS: usize = 254;

/// The longest label of a domain name (RFC 1035, section 2.3.4).
const MAX_LABEL_CHARS: usize = 63;

/// The address as SES accepts it: an international domain in Punycode (SES v2 API, `SendEmail`, `FromEmailAddress`). The
/// case of an ASCII domain stays as it is.
pub(super) fn parse(text: &str) -> Result<String, MailboxError> {
    let (local, domain) = split(text)?;
    if local.is_empty() {
        return Err(MailboxError::MissingLocalPart);
    }
    if domain.is_empty() {
        return Err(MailboxError::MissingDomain);
    }
    if local.contains(char::is_whitespace) || domain.contains(char::is_whitespace) {
        return Err(MailboxError::Blank);
    }
    check_local_part(&local)?;
    let domain = parse_domain(domain)?;
    let address = format!("{local}@{domain}");
    if address.len() > MAX_ADDRESS_CHARS {
        return Err(MailboxError::AddressTooLong);
    }
    Ok(address)
}

/// The parts before and after the at sign.
///
/// A quoted local part that needs no quotes means the same without them, and senders should write it so (RFC 5321, section
/// 4.1.2). SES reads others in its own way: in `"francois@"@example.com` it misses the domain (brave/accounts#35).
fn split(text: &str) -> Result<(String, &str), MailboxError> {
    if text.is_empty() {
        return Err(MailboxError::Empty);
    }
    if let Some(rest) = text.strip_prefix('"') {
        let (quoted, domain) = rest.rsplit_once("\"@").ok_or(MailboxError::QuotedLocalPart)?;
        let local = unquote(quoted).filter(|local| is_dot_atom(local)).ok_or(MailboxError::QuotedLocalPart)?;
        return Ok((local, domain));
    }
    let (local, domain) = text.split_once('@').ok_or(MailboxError::MissingAt)?;
    if domain.contains('@') {
        return Err(MailboxError::SeveralAts);
    }
    Ok((local.to_owned(), domain))
}

/// SES supports no SMTPUTF8 (SES v2 API, `SendEmail`, `FromEmailAddress`: the local part must be 7-bit ASCII).
fn check_local_part(local: &str) -> Result<(), MailboxError> {
    if !local.is_ascii() {
        return Err(MailboxError::LocalPartNotAscii);
    }
    if local.len() > MAX_LOCAL_PART_CHARS {
        return Err(MailboxError::LocalPartTooLong);
    }
    if local.split('.').any(str::is_empty) {
        return Err(MailboxError::LocalPartDots);
    }
    if !is_dot_atom(local) {
        return Err(MailboxError::LocalPartCharacter);
    }
    // All its characters are allowed here, and still there are readers that decode it and find another address.
    if local.contains("=?") {
        return Err(MailboxError::EncodedLocalPart);
    }
    Ok(())
}

/// The domain in ASCII. An ASCII domain that claims to be Punycode is not decoded: whether it exists is DNS's affair.
fn parse_domain(text: &str) -> Result<String, MailboxError> {
    if text.starts_with('[') {
        return Err(MailboxError::AddressLiteral);
    }
    // UTS 46, non-transitional, with STD3's letters, digits and hyphens only: a mapped character must not become a separator.
    let domain = if text.is_ascii() {
        text.to_owned()
    } else {
        let ascii =
            Uts46::new().to_ascii(text.as_bytes(), AsciiDenyList::STD3, Hyphens::CheckFirstLast, DnsLength::Ignore);
        ascii.map_err(|_| MailboxError::InternationalDomain)?.into_owned()
    };
    if domain.starts_with('.') {
        return Err(MailboxError::DomainStartsWithDot);
    }
    if domain.ends_with('.') {
        return Err(MailboxError::DomainEndsWithDot);
    }
    for label in domain.split('.') {
        check_label(label)?;
    }
    match domain.rsplit_once('.') {
        None => Err(MailboxError::DomainWithoutDot),
        // No top-level domain is a number, so that an IPv4 address cannot be taken for a name (RFC 1123, section 2.1).
        Some((_, last)) if last.bytes().all(|b| b.is_ascii_digit()) => Err(MailboxError::AddressLiteral),
        Some(_) => Ok(domain),
    }
}

fn check_label(label: &str) -> Result<(), MailboxError> {
    if label.is_empty() {
        return Err(MailboxError::DomainDotDot);
    }
    if !label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        return Err(MailboxError::DomainCharacter);
    }
    if label.starts_with('-') || label.ends_with('-') {
        return Err(MailboxError::DomainHyphen);
    }
    if label.len() > MAX_LABEL_CHARS {
        return Err(MailboxError::LabelTooLong);
    }
    Ok(())
}

fn is_dot_atom(text: &str) -> bool {
    text.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext))
}

/// The characters of atoms (RFC 5322, section 3.2.3).
pub(super) fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}
