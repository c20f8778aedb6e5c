//! Texts that a person pasted.

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

/// Removes what copying from consoles, CSV files, shells and URLs leaves around a value. Neither an access key id nor a
/// secret contains `%`, so a percent sign can only come from URL encoding. The value may be a secret, so it is zeroized.
pub(crate) fn unwrap_pasted(text: &str) -> Zeroizing<String> {
    let outer = text.trim_matches(is_wrapping);
    let decoded = Zeroizing::new(percent_decode_str(outer).collect::<Vec<u8>>());
    let decoded = std::str::from_utf8(&decoded).unwrap_or_default();
    Zeroizing::new(decoded.trim_matches(is_wrapping).to_owned())
}

fn is_wrapping(c: char) -> bool {
    c.is_whitespace()
        || c.is_control()
        || matches!(
            c,
            '"' | '\'' | '`' | '\u{2018}'..='\u{201f}' | '\u{ab}' | '\u{bb}' | '\u{200b}'..='\u{200d}' | '\u{2060}' | '\u{feff}'
        )
}
