//! Words, numbers and strings: the values without members (RFC 8259, sections 3, 6 and 7).

use std::ops::Range;

use super::parser::JsonParser;
use super::tree::JsonValue;
use crate::problem::DocumentProblem;

impl JsonParser<'_> {
    pub(super) fn read_word(&mut self, word: &str, value: JsonValue) -> Result<JsonValue, DocumentProblem> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err(self.syntax(self.at, "Expected a value."))
        }
    }

    /// RFC 8259, section 6: no leading zeros, digits on both sides of a point.
    pub(super) fn read_number(&mut self) -> Result<Range<usize>, DocumentProblem> {
        let start = self.at;
        if self.bytes[self.at] == b'-' {
            self.at += 1;
        }
        let leading = self.at;
        let whole = self.skip_digits();
        let mut is_valid = whole > 0 && (whole == 1 || self.bytes[leading] != b'0');
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            is_valid &= self.skip_digits() > 0;
        }
        if matches!(self.bytes.get(self.at), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.bytes.get(self.at), Some(b'+' | b'-')) {
                self.at += 1;
            }
            is_valid &= self.skip_digits() > 0;
        }
        if is_valid { Ok(start..self.at) } else { Err(self.syntax(start, "This is not a JSON number.")) }
    }

    fn skip_digits(&mut self) -> usize {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        self.at - start
    }

    pub(super) fn read_string(&mut self) -> Result<String, DocumentProblem> {
        let start = self.at;
        self.at += 1;
        let mut out = String::new();
        loop {
            let run = self.at;
            while self.bytes.get(self.at).is_some_and(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
                self.at += 1;
            }
            // Quotes, backslashes and control characters are ASCII, so both ends are character boundaries.
            out.push_str(&self.text[run..self.at]);
            match self.bytes.get(self.at) {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(out);
                }
                Some(b'\\') => out.push(self.read_escape()?),
                Some(_) => return Err(self.syntax(self.at, "A string contains a control character.")),
                None => return Err(self.syntax(start, "A string is not closed.")),
            }
        }
    }

    fn read_escape(&mut self) -> Result<char, DocumentProblem> {
        let start = self.at;
        let escaped = self.bytes.get(self.at + 1).copied();
        self.at += 2;
        Ok(match escaped {
            Some(plain @ (b'"' | b'\\' | b'/')) => char::from(plain),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let mut unit = self.read_hex(start)?;
                if (0xd800..0xdc00).contains(&unit) && self.bytes[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    let low = self.read_hex(start)?;
                    if !(0xdc00..0xe000).contains(&low) {
                        return Err(self.syntax(start, "An escape is half of a character."));
                    }
                    unit = 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
                }
                char::from_u32(unit).ok_or_else(|| self.syntax(start, "An escape is half of a character."))?
            }
            _ => return Err(self.syntax(start, "JSON has no such escape.")),
        })
    }

    fn read_hex(&mut self, start: usize) -> Result<u32, DocumentProblem> {
        let digits = self.bytes.get(self.at..self.at + 4).filter(|digits| digits.iter().all(u8::is_ascii_hexdigit));
        let unit = digits
            .and_then(|digits| str::from_utf8(digits).ok())
            .and_then(|digits| u32::from_str_radix(digits, 16).ok());
        self.at += 4;
        unit.ok_or_else(|| self.syntax(start, "\\u needs four hexadecimal digits."))
    }
}
