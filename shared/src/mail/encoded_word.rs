//! Encoded words (RFC 2047): how header fields carry text outside ASCII.

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig, STANDARD};
use thiserror::Error;

/// The most bytes of UTF-8 in an encoded word: 60 characters of base64, and 75 for the whole word (RFC 2047, section 2).
const MAX_ENCODED_WORD_BYTES: usize = 45;

/// Some programs leave the padding out.
const UNPADDED: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// Why an encoded word cannot be read. The texts never have the word in them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(crate) enum EncodedWordError {
    /// Its character set is not one that is decoded here.
    #[error(
        "has an encoded word (`=?…?=`) in a character set other than UTF-8, ISO-8859-1 and US-ASCII; write it as plain text"
    )]
    Charset,
    /// Its encoding is neither B nor Q, or its text is not what the encoding or the character set allows.
    #[error("has an encoded word (`=?…?=`) that cannot be decoded; write it as plain text")]
    Malformed,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

/// The bytes of an encoded word, or of neighbours in the same character set.
struct EncodedRun {
    charset: Charset,
    bytes: Vec<u8>,
}

/// The text with its encoded words decoded. Blanks between two encoded words are no part of the text (RFC 2047, section
/// 6.2). Neighbours in the same character set are decoded together, because some programs split a character between them.
///
/// # Errors
/// A word has the form of an encoded word and cannot be decoded: mail programs would show it each in its own way.
pub(crate) fn decode(text: &str) -> Result<String, EncodedWordError> {
    let mut decoded = String::with_capacity(text.len());
    let mut blanks = String::new();
    let mut run: Option<EncodedRun> = None;
    for (index, word) in text.split(' ').enumerate() {
        if index > 0 {
            blanks.push(' ');
        }
        if word.is_empty() {
            continue;
        }
        match (decode_word(word)?, &mut run) {
            (Some(next), Some(run)) if run.charset == next.charset => run.bytes.extend(next.bytes),
            (Some(next), Some(last)) => decoded.push_str(&std::mem::replace(last, next).decode()?),
            (Some(next), None) => {
                decoded.push_str(&blanks);
                run = Some(next);
            }
            (None, last) => {
                if let Some(last) = last.take() {
                    decoded.push_str(&last.decode()?);
                }
                decoded.push_str(&blanks);
                decoded.push_str(word);
            }
        }
        blanks.clear();
    }
    if let Some(last) = run {
        decoded.push_str(&last.decode()?);
    }
    decoded.push_str(&blanks);
    Ok(decoded)
}

/// The text as encoded words of at most 75 characters, with a blank between them.
pub(crate) fn encode(text: &str) -> String {
    let mut words = vec![String::new()];
    for c in text.chars() {
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

/// Whether the text consists of words of the form `=?…?…?…?=` and nothing else.
pub(crate) fn is_encoded(text: &str) -> bool {
    let mut words = text.split(' ').filter(|word| !word.is_empty()).peekable();
    words.peek().is_some() && words.all(|word| parts(word).is_some())
}

/// Whether a mail program might find an encoded word in the text: some look for one in the middle of a word too.
pub(crate) fn may_be_decoded(text: &str) -> bool {
    text.split_whitespace().any(|word| {
        word.split_once("=?").and_then(|(_, rest)| rest.rsplit_once("?=")).is_some_and(|(parts, _)| parts.contains('?'))
    })
}

/// `=?charset?encoding?text?=`, which has no blanks in it (RFC 2047, section 2).
fn parts(word: &str) -> Option<(&str, &str, &str)> {
    let mut parts = word.strip_prefix("=?")?.strip_suffix("?=")?.splitn(3, '?');
    Some((parts.next()?, parts.next()?, parts.next()?))
}

fn decode_word(word: &str) -> Result<Option<EncodedRun>, EncodedWordError> {
    let Some((charset, encoding, text)) = parts(word) else { return Ok(None) };
    // A language may follow the character set (RFC 2231, section 5).
    let charset = charset.split_once('*').map_or(charset, |(charset, _)| charset);
    let charset = match charset.to_ascii_lowercase().as_str() {
        "utf-8" | "utf8" => Charset::Utf8,
        "iso-8859-1" | "latin1" => Charset::Latin1,
        "us-ascii" | "ascii" => Charset::Ascii,
        _ => return Err(EncodedWordError::Charset),
    };
    let bytes = match encoding {
        "B" | "b" => UNPADDED.decode(text).map_err(|_| EncodedWordError::Malformed)?,
        "Q" | "q" => decode_q(text).ok_or(EncodedWordError::Malformed)?,
        _ => return Err(EncodedWordError::Malformed),
    };
    Ok(Some(EncodedRun { charset, bytes }))
}

/// The Q encoding (RFC 2047, section 4.2): `_` is a blank, `=C3` a byte.
fn decode_q(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'_' => b' ',
            b'=' => {
                let digits = [bytes.next()?, bytes.next()?];
                if !digits.iter().all(u8::is_ascii_hexdigit) {
                    return None;
                }
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            b'?' => return None,
            byte if byte.is_ascii_graphic() => byte,
            _ => return None,
        });
    }
    Some(decoded)
}

impl EncodedRun {
    fn decode(self) -> Result<String, EncodedWordError> {
        match self.charset {
            Charset::Latin1 => Ok(self.bytes.into_iter().map(char::from).collect()),
            Charset::Ascii if !self.bytes.is_ascii() => Err(EncodedWordError::Malformed),
            Charset::Ascii | Charset::Utf8 => String::from_utf8(self.bytes).map_err(|_| EncodedWordError::Malformed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encoded_words_are_decoded_wherever_they_stand() {
        let cases = [
            ("=?UTF-8?B?SsO2cmcgTcO8bGxlcg==?=", "Jörg Müller"),
            ("=?utf-8?b?SsO2cmcgTcO8bGxlcg?=", "Jörg Müller"),
            ("=?utf-8?Q?J=C3=B6rg_M=c3=bcller?=", "Jörg Müller"),
            ("=?ISO-8859-1?Q?J=F6rg?=", "Jörg"),
            ("=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
            ("=?utf-8?q?a?= =?utf-8?q?b?=", "ab"),
            ("=?utf-8?q?a?=   =?iso-8859-1?q?b?= c", "ab c"),
            ("a  =?utf-8?q?b?= c ", "a  b c "),
            // One character, split between two words.
            ("=?utf-8?q?J=C3?= =?utf-8?q?=B6rg?=", "Jörg"),
            ("=?utf-8?q??=", ""),
            // What is no encoded word stays.
            ("what =? that", "what =? that"),
            ("x=?utf-8?q?a?=", "x=?utf-8?q?a?="),
            ("Is 2+2=? Yes?=", "Is 2+2=? Yes?="),
            ("=?=", "=?="),
            ("=??=", "=??="),
            ("", ""),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_mail_programs_would_read_each_in_its_own_way_is_refused() {
        let cases = [
            ("=?koi8-r?B?8NLJ18XU?=", EncodedWordError::Charset),
            ("=?windows-1252?Q?=80?=", EncodedWordError::Charset),
            ("=??Q?a?=", EncodedWordError::Charset),
            ("=?utf-8?X?a?=", EncodedWordError::Malformed),
            ("=?utf-8?B?*?=", EncodedWordError::Malformed),
            ("=?utf-8?B?/w==?=", EncodedWordError::Malformed),
            ("=?utf-8?Q?=F6?=", EncodedWordError::Malformed),
            ("=?utf-8?Q?=C?=", EncodedWordError::Malformed),
            ("=?utf-8?Q?=+1?=", EncodedWordError::Malformed),
            ("=?utf-8?Q?a?b?=", EncodedWordError::Malformed),
            ("=?us-ascii?Q?=F6?=", EncodedWordError::Malformed),
            ("=?utf-8?Q?ö?=", EncodedWordError::Malformed),
        ];
        for (text, expected) in cases {
            assert_eq!(decode(text), Err(expected), "{text}");
            assert!(may_be_decoded(text), "{text}");
        }
    }

    #[test]
    fn a_long_text_becomes_words_of_at_most_75_characters() {
        let text = "ß€😀".repeat(20);
        let encoded = encode(&text);
        assert!(encoded.split(' ').all(|word| word.len() <= 75), "{encoded}");
        assert_eq!(decode(&encoded).as_deref(), Ok(text.as_str()));
    }
}
