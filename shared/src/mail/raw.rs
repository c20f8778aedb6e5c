//! A mail that is handed over as MIME: what is looked at is its header, because it speaks for the sender.

use crate::http::FieldError;
use crate::mail::Mailbox;
use crate::mail::attachment;
use crate::mail::header;

/// Fields that a mail in MIME has itself, and SES or a field of the message otherwise.
const OWN: [&str; 8] = ["cc", "date", "from", "message-id", "mime-version", "reply-to", "subject", "to"];

/// The longest line, with its end (SES v2 API, `RawMessage`: "The length of any single line of text in the message can't exceed
/// 1,000 characters").
const MAX_LINE_BYTES: usize = 1000;

/// A mail in MIME. It is content, so it has no `Debug`.
pub struct RawContent {
    /// The message as SES gets it.
    pub data: Vec<u8>,
}

/// A field of a message's header.
struct RawField<'a> {
    name: &'a str,
    value: String,
}

/// The content, and its From. `from` is the mail's, which has to be the same.
pub(super) fn parse(base64: &str, from: &Mailbox) -> Result<(RawContent, Mailbox), FieldError> {
    let error = |problem: &str| FieldError::new("raw", problem);
    let data = attachment::decode(base64).map_err(FieldError::from_display("raw"))?;
    check_lines(&data).map_err(error)?;
    let (head, body) = split(&data).ok_or_else(|| error("has no empty line between header and body"))?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Err(error("has no body"));
    }
    let fields = read_fields(head).map_err(|problem| error(&problem))?;
    check_fields(&fields)?;
    let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case("from")) else {
        return Err(error("has no field From"));
    };
    let own = Mailbox::parse(&field.value)
        .map_err(|problem| error(&format!("has a field From that is not one mailbox: {problem}")))?;
    let is_same_name = from.name().is_none() || from.name() == own.name();
    if own.canonical_address() != from.canonical_address() || !is_same_name {
        return Err(error("has a field From that is not the mail's `from`"));
    }
    Ok((RawContent { data }, own))
}

fn check_lines(data: &[u8]) -> Result<(), &'static str> {
    if data.contains(&0) {
        return Err("has a NUL");
    }
    if data.split_inclusive(|b| *b == b'\n').any(|line| line.len() > MAX_LINE_BYTES) {
        return Err("has a line of more than 1,000 bytes");
    }
    // Readers differ in whether it ends a line.
    let is_bare = |at: usize| data[at] == b'\r' && data.get(at + 1) != Some(&b'\n');
    if (0..data.len()).any(is_bare) { Err("has a carriage return that no line feed follows") } else { Ok(()) }
}

/// Header and body. Lines may end in a line feed alone, and then every reader takes it for an end that takes any.
fn split(data: &[u8]) -> Option<(&str, &[u8])> {
    let mut at = 0;
    for line in data.split_inclusive(|b| *b == b'\n') {
        if matches!(line, b"\n" | b"\r\n") {
            return Some((std::str::from_utf8(&data[..at]).ok()?, &data[at + line.len()..]));
        }
        at += line.len();
    }
    None
}

fn read_fields(head: &str) -> Result<Vec<RawField<'_>>, String> {
    let mut fields: Vec<RawField<'_>> = Vec::new();
    for line in head.lines() {
        if !line.bytes().all(|b| b == b'\t' || (b' '..=b'~').contains(&b)) {
            return Err("has a field that is not printable ASCII".to_owned());
        }
        match (line.starts_with([' ', '\t']), fields.last_mut()) {
            (true, Some(field)) => {
                field.value.push(' ');
                field.value.push_str(line.trim());
            }
            (true, None) => return Err("begins with a blank".to_owned()),
            (false, _) => {
                let (name, value) = line.split_once(':').ok_or("has a line in its header that is no field")?;
                fields.push(RawField { name, value: value.trim().to_owned() });
            }
        }
    }
    Ok(fields)
}

/// The rules of `headers`, but for the fields that only such a mail has.
fn check_fields(fields: &[RawField<'_>]) -> Result<(), FieldError> {
    for (index, RawField { name, .. }) in fields.iter().enumerate() {
        if !header::is_name(name) {
            return Err(FieldError::new("raw", "has a field whose name is not letters, digits, `-` and `_`"));
        }
        // A secret access key has 40 characters, and people paste it into the wrong place.
        let shown = if name.len() < 40 { name } else { "with a long name" };
        let error = |problem: &str| FieldError::new("raw", format!("has a field {shown}, which {problem}"));
        let lower = name.to_ascii_lowercase();
        if lower == "bcc" {
            return Err(error("all recipients would see; name them in `bcc` of the mail"));
        }
        if header::is_reserved(name) && !OWN.contains(&lower.as_str()) && !lower.starts_with("content-") {
            return Err(error("is set by SES or by a field of the mail; remove it"));
        }
        if fields.iter().take(index).any(|other| other.name.eq_ignore_ascii_case(name)) {
            return Err(error("is given twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;

    use super::*;

    const FROM: &str = "Jane <jane@example.com>";

    fn problem(message: &str) -> Option<String> {
        let from = Mailbox::parse(FROM).unwrap();
        parse(&STANDARD.encode(message), &from).err().map(|error| {
            assert_eq!(error.field, "raw");
            error.problem
        })
    }

    fn with(fields: &str) -> String {
        format!("From: {FROM}\r\nTo: a@example.org\r\nSubject: Hi\r\n{fields}\r\nbody\r\n")
    }

    #[test]
    fn a_message_passes_with_its_own_fields_and_folded_ones() {
        for fields in [
            "",
            "MIME-Version: 1.0\r\nContent-Type: multipart/signed; protocol=\"application/pkcs7-signature\";\r\n\tboundary=x\r\n",
            "Message-ID: <a@example.com>\r\nDate: Mon, 23 Nov 2026 10:00:00 +0000\r\nX-Campaign: spring\r\n",
        ] {
            assert_eq!(problem(&with(fields)), None, "{fields}");
        }
        assert_eq!(problem(&with("").replace("\r\n", "\n")), None);
    }

    #[test]
    fn from_is_that_of_the_mail_and_its_own_spelling_is_kept() {
        let from = Mailbox::parse("jane@EXAMPLE.com").unwrap();
        let (_, own) = parse(&STANDARD.encode(with("")), &from).ok().unwrap();
        assert_eq!(own.header(), FROM);
        for other in ["Jane <joan@example.com>", "Joan <jane@example.com>", "jane@example.com, x@example.com", ""] {
            let message = with("").replacen(FROM, other, 1);
            assert!(problem(&message).unwrap().contains("field From"), "{other}");
        }
        assert_eq!(problem("Subject: Hi\r\n\r\nx").as_deref(), Some("has no field From"));
    }

    #[test]
    fn no_field_speaks_for_others_or_is_given_twice() {
        let cases = [
            ("Bcc: x@example.org\r\n", "all recipients would see"),
            ("bcc:\r\n", "all recipients would see"),
            ("Sender: x@example.org\r\n", "is set by SES"),
            ("Return-Path: <x@example.org>\r\n", "is set by SES"),
            ("X-SES-CONFIGURATION-SET: x\r\n", "is set by SES"),
            ("DKIM-Signature: v=1\r\n", "is set by SES"),
            ("Resent-From: x@example.org\r\n", "is set by SES"),
            ("from: x@example.org\r\n", "is given twice"),
            ("SUBJECT: x\r\n", "is given twice"),
            ("X-A: 1\r\nx-a: 2\r\n", "is given twice"),
            ("X A: 1\r\n", "whose name is not"),
            ("Bcc : x@example.org\r\n", "whose name is not"),
            ("no field\r\n", "that is no field"),
            ("X-A: ü\r\n", "not printable ASCII"),
            ("X-A: a\rBcc: x@example.org\r\n", "carriage return"),
            ("X-A: a\0\r\n", "NUL"),
        ];
        for (fields, expected) in cases {
            let problem = problem(&with(fields));
            assert!(problem.as_deref().is_some_and(|problem| problem.contains(expected)), "{fields}: {problem:?}");
        }
        let secret = "wJalrXUtnFEMIIK7MDENGIbPxRfiCYEXAMPLEKEY";
        let problem = problem(&with(&format!("{secret}: {secret}\r\n{secret}: {secret}\r\n"))).unwrap();
        assert!(problem.contains("is given twice") && !problem.contains(secret), "{problem}");
    }

    #[test]
    fn what_is_no_message_is_refused() {
        assert!(problem(" From: x\r\n\r\nx").unwrap().contains("begins with a blank"));
        assert!(problem(&format!("From: {FROM}\r\nSubject: Hi\r\n")).unwrap().contains("no empty line"));
        assert!(problem(&format!("From: {FROM}\r\n\r\n \r\n")).unwrap().contains("no body"));
        assert!(problem(&with(&format!("X-A: {}\r\n", "a".repeat(1000)))).unwrap().contains("1,000 bytes"));
        let from = Mailbox::parse(FROM).unwrap();
        for base64 in ["", "!", "RnJvbTo=\r\n", "RnJvbTo"] {
            assert!(parse(base64, &from).is_err(), "{base64}");
        }
    }
}
