//! Addresses: parsed strictly, and written so that SES reads exactly one mailbox in each.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

/// An address, with the display name if there is one. It is personal data, so the type has no `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Mailbox {
    name: Option<String>,
    address: String,
}

/// The longest display name, in bytes. Longer texts are no names, and SES accepts 320 characters for the whole mailbox.
const MAX_NAME_BYTES: usize = 200;

/// The most bytes of UTF-8 in an encoded word: 60 characters of base64, and 75 for the whole word (RFC 2047, section 2).
const MAX_ENCODED_WORD_BYTES: usize = 45;

impl Mailbox {
    /// Parses `a@example.com`, `Jane Doe <a@example.com>` or `"Doe, Jane" <a@example.com>`.
    ///
    /// Everything else that RFC 5322 allows (lists, groups, comments, domain literals) is refused: two parsers might see
    /// different numbers of recipients in it.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if text.chars().any(char::is_control) {
            return None;
        }
        let text = text.trim();
        let Some(before) = text.strip_suffix('>') else {
            return is_address(text).then(|| Self { name: None, address: text.to_owned() });
        };
        let (name, address) = before.rsplit_once('<')?;
        if !is_address(address) {
            return None;
        }
        let name = display_name(name.trim())?;
        Some(Self { name: (!name.is_empty()).then_some(name), address: address.to_owned() })
    }

    /// The bare address.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// The display name.
    pub(crate) fn name(&self) -> Option<&str> {
        self.name.as_deref()
    }

    /// The mailbox as SES accepts it: SES requires a name that is not ASCII as encoded words (SES v2 API, `SendEmail`,
    /// `FromEmailAddress`), and a name with punctuation has to be quoted (RFC 5322, section 3.2.4). A name that looks like
    /// an encoded word is encoded, so that people see it as it was handed over and not what it would decode to.
    pub(crate) fn header(&self) -> String {
        match &self.name {
            None => self.address.clone(),
            Some(name) if !name.is_ascii() || name.contains("=?") => {
                format!("{} <{}>", encoded_words(name), self.address)
            }
            Some(name) if name.chars().all(|c| c == ' ' || is_atext(c)) => format!("{name} <{}>", self.address),
            Some(name) => {
                let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
                format!("\"{quoted}\" <{}>", self.address)
            }
        }
    }
}

/// The name without its quotes. An unquoted name must not contain what separates mailboxes from each other.
fn display_name(text: &str) -> Option<String> {
    let name = match text.strip_prefix('"') {
        Some(rest) => unquoted(rest.strip_suffix('"')?)?,
        None if text.contains(['<', '>', '@', ',', ';', ':', '"', '\\', '[', ']', '(', ')']) => return None,
        None => text.to_owned(),
    };
    (name.len() <= MAX_NAME_BYTES).then_some(name)
}

/// The content of a quoted string; `None` if it ends early or in the middle of an escape.
fn unquoted(text: &str) -> Option<String> {
    let mut name = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => return None,
            '\\' => name.push(chars.next()?),
            c => name.push(c),
        }
    }
    Some(name)
}

/// A dot-atom, an at sign and a domain name of at least two labels, all ASCII: SES accepts no other local part, and
/// international domains only in Punycode.
fn is_address(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else { return false };
    let is_local = local.len() <= 64 && local.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext));
    let is_label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    is_local && text.len() <= 254 && domain.contains('.') && domain.split('.').all(is_label)
}

fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c)
}

fn encoded_words(name: &str) -> String {
    let mut words = vec![String::new()];
    for c in name.chars() {
        let full = words.last().is_none_or(|word| word.len() + c.len_utf8() > MAX_ENCODED_WORD_BYTES);
        if full {
            words.push(String::new());
        }
        if let Some(word) = words.last_mut() {
            word.push(c);
        }
    }
    let words: Vec<String> = words.iter().map(|word| format!("=?UTF-8?B?{}?=", STANDARD.encode(word))).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mailbox_is_written_as_ses_reads_it() {
        let cases = [
            ("a@example.com", "a@example.com"),
            (" a@example.com ", "a@example.com"),
            ("<a@example.com>", "a@example.com"),
            ("Jane Doe <jane@example.com>", "Jane Doe <jane@example.com>"),
            ("Jane D. Doe <jane@example.com>", "\"Jane D. Doe\" <jane@example.com>"),
            ("\"Doe, Jane\" <jane@example.com>", "\"Doe, Jane\" <jane@example.com>"),
            ("\"a \\\" <b@x.y>, \\\\\" <jane@example.com>", "\"a \\\" <b@x.y>, \\\\\" <jane@example.com>"),
            ("Jörg <j@example.com>", "=?UTF-8?B?SsO2cmc=?= <j@example.com>"),
            ("a+b.c@sub.xn--bcher-kva.example", "a+b.c@sub.xn--bcher-kva.example"),
        ];
        for (text, written) in cases {
            assert_eq!(Mailbox::parse(text).map(|mailbox| mailbox.header()).as_deref(), Some(written), "{text}");
        }
    }

    #[test]
    fn what_is_not_exactly_one_mailbox_is_refused() {
        let long = format!("{}@example.com", "a".repeat(65));
        for text in [
            "",
            "a",
            "@example.com",
            "a@",
            "a@example",
            "a@-example.com",
            "a@example..com",
            "a@[127.0.0.1]",
            "a..b@example.com",
            ".a@example.com",
            "a b@example.com",
            "jörg@example.com",
            "a@exämple.com",
            "a@example.com,b@example.com",
            "a@example.com, b@example.com <c@example.com>",
            "Team: a@example.com;",
            "Jane <a@example.com> <b@example.com>",
            "Jane (Sales) <a@example.com>",
            "\"Jane\" x <a@example.com>",
            "\"Jane\\\" <a@example.com>",
            "Jane <a@example.com",
            "Jane\r\nBcc: b@example.com <a@example.com>",
            "a@example.com\r\nBcc: b@example.com",
            &long,
        ] {
            assert!(Mailbox::parse(text).is_none(), "{text}");
        }
    }

    #[test]
    fn a_name_that_looks_like_an_encoded_word_arrives_as_it_is() {
        let word = "=?utf-8?q?Jane=0D=0ABcc=3A_b=40x.example?=";
        for text in [format!("{word} <jane@example.com>"), format!("\"{word}\" <jane@example.com>")] {
            let header = Mailbox::parse(&text).map(|mailbox| mailbox.header()).unwrap();
            assert_eq!(header, format!("=?UTF-8?B?{}?= <jane@example.com>", STANDARD.encode(word)), "{text}");
        }
    }

    #[test]
    fn a_long_name_becomes_words_of_at_most_75_characters() {
        let name = "ß€😀".repeat(20);
        let mailbox = Mailbox::parse(&format!("{name} <a@example.com>")).unwrap();
        let header = mailbox.header();
        let words: Vec<&str> = header.strip_suffix(" <a@example.com>").unwrap().split(' ').collect();
        assert!(words.iter().all(|word| word.len() <= 75), "{header}");
        let decoded: String = words
            .iter()
            .map(|word| word.strip_prefix("=?UTF-8?B?").unwrap().strip_suffix("?=").unwrap())
            .map(|word| String::from_utf8(STANDARD.decode(word).unwrap()).unwrap())
            .collect();
        assert_eq!(decoded, name);
    }
}
