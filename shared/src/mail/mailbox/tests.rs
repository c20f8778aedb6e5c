//! Which texts are one mailbox, what SES gets of it, and what is said of the others.

use mail_parser::{Addr, MessageParser};
use proptest::prelude::*;

use super::*;
use crate::mail::encoded_word::EncodedWordError;

/// The mailboxes that a parser which is not ours reads in a header field: name and address of each.
fn read_by_another(header: &str) -> Vec<(Option<String>, Option<String>)> {
    let message = format!("From: {header}\r\n\r\n");
    let message = MessageParser::default().parse(message.as_bytes()).unwrap();
    assert_eq!(message.headers().len(), 1, "{header}");
    let read = |addr: &Addr<'_>| (addr.name().map(str::to_owned), addr.address().map(str::to_owned));
    message.from().unwrap().iter().map(read).collect()
}

fn header_of(text: &str) -> Result<String, MailboxError> {
    Mailbox::parse(text).map(|mailbox| mailbox.header())
}

#[test]
fn a_mailbox_is_written_as_ses_reads_it() {
    let cases = [
        ("a@example.com", "a@example.com"),
        (" a@example.com ", "a@example.com"),
        ("<a@example.com>", "a@example.com"),
        ("\"\" <a@example.com>", "a@example.com"),
        ("\" \" <a@example.com>", "a@example.com"),
        ("A.b@Example.COM", "A.b@Example.COM"),
        ("Jane Doe <jane@example.com>", "Jane Doe <jane@example.com>"),
        ("Jane  Doe  <jane@example.com>", "Jane Doe <jane@example.com>"),
        ("\"Jane  Doe\" <jane@example.com>", "\"Jane  Doe\" <jane@example.com>"),
        ("Jane D. Doe <jane@example.com>", "\"Jane D. Doe\" <jane@example.com>"),
        ("\"Doe, Jane\" <jane@example.com>", "\"Doe, Jane\" <jane@example.com>"),
        ("\"DEBUG: Bob (Sales)\" <bob@example.com>", "\"DEBUG: Bob (Sales)\" <bob@example.com>"),
        ("\"jane@example.com\" <jane@example.com>", "\"jane@example.com\" <jane@example.com>"),
        ("\"a \\\" <b@x.y>, \\\\\" <jane@example.com>", "\"a \\\" <b@x.y>, \\\\\" <jane@example.com>"),
        ("O'Brien & Söhne <info@example.com>", "=?UTF-8?B?TydCcmllbiAmIFPDtmhuZQ==?= <info@example.com>"),
        ("Jörg <j@example.com>", "=?UTF-8?B?SsO2cmc=?= <j@example.com>"),
        ("😀 <j@example.com>", "=?UTF-8?B?8J+YgA==?= <j@example.com>"),
        ("a+b.c@sub.xn--bcher-kva.example", "a+b.c@sub.xn--bcher-kva.example"),
        ("a@r3---sn-4g5e.example.com", "a@r3---sn-4g5e.example.com"),
        ("\"jane.doe\"@example.com", "jane.doe@example.com"),
        ("Jane <\"jane\\.doe\"@example.com>", "Jane <jane.doe@example.com>"),
    ];
    for (text, written) in cases {
        assert_eq!(header_of(text).as_deref(), Ok(written), "{text}");
    }
}

#[test]
fn an_international_domain_is_written_in_punycode() {
    let cases = [
        ("ann@bücher.example", "ann@xn--bcher-kva.example"),
        ("ann@BÜCHER.example", "ann@xn--bcher-kva.example"),
        // The same letter as two code points.
        ("ann@bu\u{308}cher.example", "ann@xn--bcher-kva.example"),
        // Non-transitional: ß is no ss, as in IDNA 2008.
        ("Ann <ann@straße.example>", "Ann <ann@xn--strae-oqa.example>"),
        ("ann@例え。テスト", "ann@xn--r8jz45g.xn--zckzah"),
        ("ann@пример.испытание", "ann@xn--e1afmkfd.xn--80akhbyknj4f"),
        ("ann@ｅｘａｍｐｌｅ．com", "ann@example.com"),
    ];
    for (text, written) in cases {
        assert_eq!(header_of(text).as_deref(), Ok(written), "{text}");
    }
}

#[test]
fn a_name_that_is_an_encoded_word_is_decoded() {
    let cases = [
        ("=?UTF-8?B?SsO2cmcgTcO8bGxlcg==?= <info@example.com>", "Jörg Müller"),
        ("\"=?UTF-8?B?SsO2cmcgTcO8bGxlcg==?=\" <info@example.com>", "Jörg Müller"),
        ("=?utf-8?q?J=C3=B6rg?= =?utf-8?q?_M=C3=BCller?= <info@example.com>", "Jörg Müller"),
        ("=?iso-8859-1?q?J=F6rg?= Doe <info@example.com>", "Jörg Doe"),
        ("=?us-ascii?q?Doe=2C_Jane?= <info@example.com>", "Doe, Jane"),
        // A quoted name with other words beside is what it says.
        ("\"Re =?utf-8?q?a?=\" <info@example.com>", "Re =?utf-8?q?a?="),
        // Decoded once, not twice.
        ("=?utf-8?b?PT91dGYtOD9xP2E/PQ==?= <info@example.com>", "=?utf-8?q?a?="),
    ];
    for (text, name) in cases {
        let mailbox = Mailbox::parse(text).ok().unwrap();
        assert_eq!(mailbox.name(), Some(name), "{text}");
        let expected = (Some(name.to_owned()), Some("info@example.com".to_owned()));
        assert_eq!(read_by_another(&mailbox.header()), [expected], "{text}");
    }
}

#[test]
fn what_is_not_exactly_one_mailbox_is_refused_with_a_sentence_of_its_own() {
    use MailboxError as E;
    let local_65 = format!("{}@example.com", "a".repeat(65));
    let label_64 = format!("a@{}.com", "a".repeat(64));
    let international_label = format!("a@{}.com", "ü".repeat(60));
    let too_long = format!("{}@{}.com", "a".repeat(64), vec!["a".repeat(60); 4].join("."));
    let cases = [
        ("", E::Empty),
        ("  ", E::Empty),
        ("Jane <>", E::Empty),
        ("a", E::MissingAt),
        ("Jane Doe", E::MissingAt),
        ("Jane <jane>", E::MissingAt),
        ("@example.com", E::MissingLocalPart),
        ("a@", E::MissingDomain),
        ("a@b@example.com", E::SeveralAts),
        ("a@@example.com", E::SeveralAts),
        ("a@example", E::DomainWithoutDot),
        ("a@-example.com", E::DomainHyphen),
        ("a@example-.com", E::DomainHyphen),
        ("a@.example.com", E::DomainStartsWithDot),
        ("a@example.com.", E::DomainEndsWithDot),
        ("a@bücher.example.", E::DomainEndsWithDot),
        ("a@bücher.example。", E::DomainEndsWithDot),
        ("a@example..com", E::DomainDotDot),
        ("a@bücher。.example", E::DomainDotDot),
        ("a@exam_ple.com", E::DomainCharacter),
        ("a@example.com/b", E::DomainCharacter),
        ("a@bü_cher.example", E::InternationalDomain),
        ("a@bücher.example＠example.com", E::InternationalDomain),
        ("a@\u{202e}example.com", E::InternationalDomain),
        ("a@bü‐cher.\u{fffd}", E::InternationalDomain),
        ("a@[127.0.0.1]", E::AddressLiteral),
        ("a@[IPv6:::1]", E::AddressLiteral),
        ("a@127.0.0.1", E::AddressLiteral),
        (&label_64, E::LabelTooLong),
        (&international_label, E::LabelTooLong),
        (&local_65, E::LocalPartTooLong),
        (&too_long, E::AddressTooLong),
        ("a..b@example.com", E::LocalPartDots),
        (".a@example.com", E::LocalPartDots),
        ("a.@example.com", E::LocalPartDots),
        ("mailto:a@example.com", E::LocalPartCharacter),
        ("a\\b@example.com", E::LocalPartCharacter),
        ("=?utf-8?q?b=40example.org=2C?=a@example.com", E::EncodedLocalPart),
        ("\"=?utf-8?q?b?=\"@example.com", E::EncodedLocalPart),
        ("jörg@example.com", E::LocalPartNotAscii),
        ("\"a b\"@example.com", E::QuotedLocalPart),
        ("\"a@b\"@example.com", E::QuotedLocalPart),
        ("\"a..b\"@example.com", E::QuotedLocalPart),
        ("\"\"@example.com", E::QuotedLocalPart),
        ("a b@example.com", E::Blank),
        ("a@exam ple.com", E::Blank),
        ("Jane a@example.com", E::Blank),
        ("a\u{a0}b@example.com", E::Blank),
        ("a@example.com,b@example.com", E::List),
        ("a@example.com; b@example.com", E::List),
        ("a@example.com b@example.com", E::List),
        ("a@example.com, b@example.com <c@example.com>", E::List),
        ("Jane <a@example.com>, Joe <b@example.com>", E::List),
        ("Team: a@example.com;", E::Group),
        ("undisclosed-recipients:;", E::Group),
        ("Jane <a@example.com> <b@example.com>", E::Brackets),
        ("Jane <a@example.com", E::Brackets),
        ("Jane a@example.com>", E::Brackets),
        ("<a@example.com> Jane", E::Brackets),
        ("Jane (Sales) <a@example.com>", E::Comment),
        ("a@example.com (Jane)", E::Comment),
        ("a(x)@example.com", E::Comment),
        ("Doe, Jane <a@example.com>", E::UnquotedName),
        ("DEBUG: Bob <a@example.com>", E::UnquotedName),
        ("a@example.com <a@example.com>", E::UnquotedName),
        ("[x] Jane <a@example.com>", E::UnquotedName),
        ("\"Jane\" x <a@example.com>", E::PartlyQuotedName),
        ("x \"Jane\" <a@example.com>", E::PartlyQuotedName),
        ("\"Jane\" \"Doe\" <a@example.com>", E::PartlyQuotedName),
        ("\"Jane\\\" <a@example.com>", E::UnclosedQuote),
        ("\"Jane <a@example.com>", E::UnclosedQuote),
        ("Jane\r\nBcc: b@example.com <a@example.com>", E::ControlCharacter),
        ("a@example.com\r\nBcc: b@example.com", E::ControlCharacter),
        ("a\0@example.com", E::ControlCharacter),
        ("Jane\u{2028}x <a@example.com>", E::ControlCharacter),
        ("=?utf-8?q?Jane=0D=0ABcc=3A_b=40x.example?= <a@example.com>", E::EncodedControlCharacter),
        ("\"=?utf-8?q?Jane=00?=\" <a@example.com>", E::EncodedControlCharacter),
        ("=?iso-8859-1?q?=85?= <a@example.com>", E::EncodedControlCharacter),
        ("=?koi8-r?b?8NLJ18XU?= <a@example.com>", E::EncodedName(EncodedWordError::Charset)),
        ("=?utf-8?b?*?= <a@example.com>", E::EncodedName(EncodedWordError::Malformed)),
    ];
    for (text, expected) in cases {
        assert_eq!(header_of(text), Err(expected), "{text}");
    }
}

#[test]
fn a_name_is_measured_as_it_is_written() {
    let parse = |name: &str| header_of(&format!("{name} <info@example.com>"));
    // " <info@example.com>" has 19 bytes.
    assert_eq!(parse(&"a".repeat(301)).unwrap().len(), 320);
    assert_eq!(parse(&"a".repeat(302)), Err(MailboxError::NameTooLong));
    assert_eq!(parse(&format!("\"{}\"", ",".repeat(299))).unwrap().len(), 320);
    assert_eq!(parse(&format!("\"{}\"", ",".repeat(300))), Err(MailboxError::NameTooLong));
    assert!(parse(&"é".repeat(88)).is_ok_and(|header| header.len() <= 320));
    assert_eq!(parse(&"é".repeat(100)), Err(MailboxError::NameTooLong));
}

#[test]
fn every_spelling_of_a_domain_is_the_same_mailbox() {
    let canonical = |text: &str| Mailbox::parse(text).ok().unwrap().canonical_address();
    for text in ["Ann@bücher.example", "Ann@BÜCHER.Example", "Ann@xn--bcher-kva.example", "Ann@XN--BCHER-KVA.EXAMPLE"]
    {
        assert_eq!(canonical(text), "Ann@xn--bcher-kva.example", "{text}");
    }
    assert_ne!(canonical("ann@example.com"), canonical("Ann@example.com"));
}

/// Texts of what addresses are made of, and of what they must not have in them.
fn hostile_text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("a@example.com"),
        Just("b@bücher.example"),
        Just("=?utf-8?q?a=2C?="),
        Just("=?utf-8?b?DQpCY2M6IHg=?="),
        Just("=?"),
        Just("?="),
        Just(" <"),
        Just(">"),
        Just("\""),
        Just("\\"),
        Just("@"),
        Just(","),
        Just(";"),
        Just(":"),
        Just("("),
        Just(")"),
        Just("["),
        Just("."),
        Just(" "),
        Just("\r\nBcc: "),
        Just("\0"),
        Just("ü"),
        Just("＠"),
        Just("，"),
        Just("😀"),
        Just("Jane"),
    ];
    proptest::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// Names that are handed over in quotes.
fn quoted_name() -> impl Strategy<Value = String> {
    proptest::string::string_regex("[ -~äß€😀。]{0,40}").unwrap()
}

fn assert_read_alike(mailbox: &Mailbox) {
    let header = mailbox.header();
    assert!(header.bytes().all(|b| (b' '..=b'~').contains(&b)), "{header:?}");
    assert!(header.len() <= MAX_MAILBOX_BYTES, "{header:?}");
    let expected = (mailbox.name().map(str::to_owned), Some(mailbox.address().to_owned()));
    assert_eq!(read_by_another(&header), [expected], "{header:?}");
    let again = Mailbox::parse(&header).unwrap_or_else(|error| panic!("{header:?}: {error}"));
    assert!(again == *mailbox, "{header:?}");
}

proptest! {
    #[test]
    fn what_is_accepted_is_read_by_others_as_the_same_single_mailbox(text in hostile_text()) {
        if let Ok(mailbox) = Mailbox::parse(&text) {
            assert_read_alike(&mailbox);
        }
    }

    #[test]
    fn every_quoted_name_arrives(name in quoted_name()) {
        let quoted = name.replace('\\', "\\\\").replace('"', "\\\"");
        let mailbox = Mailbox::parse(&format!("\"{quoted}\" <a@example.com>")).ok().unwrap();
        if !encoded_word::is_encoded(&name) {
            prop_assert_eq!(mailbox.name().unwrap_or_default(), name.trim());
        }
        assert_read_alike(&mailbox);
    }

    #[test]
    fn no_sentence_repeats_the_text(text in "[a-z]{12}[ -~]{0,20}") {
        if let Err(error) = Mailbox::parse(&text) {
            prop_assert!(!error.to_string().contains(&text[..12]));
        }
    }
}
