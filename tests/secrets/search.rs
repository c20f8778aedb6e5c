//! Searches for a secret in any encoding.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A secret that must not be found. Its `Display` is a name and not the secret, because the output of a test is stored too.
#[derive(Clone)]
pub(super) struct Marker {
    name: &'static str,
    forms: Vec<String>,
}

impl Marker {
    /// A marker for this secret, which messages call by this name.
    pub(super) fn new(name: &'static str, secret: &str) -> Self {
        let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
        let percent = utf8_percent_encode(secret, NON_ALPHANUMERIC).to_string();
        let bytes: Vec<String> = secret.bytes().map(|byte| byte.to_string()).collect();
        let mut forms = vec![
            secret.to_owned(),
            secret.chars().rev().collect(),
            secret.replace('/', "\\/"),
            percent.to_lowercase(),
            percent,
            hex.to_uppercase(),
            hex,
            bytes.join(", "),
            bytes.join(","),
        ];
        // In the base64 of a longer text, a secret has one of three encodings, depending on where in the text it begins.
        for (before, shared) in [(0, 0), (1, 2), (2, 3)] {
            let text = [&b"::"[..before], secret.as_bytes()].concat();
            for engine in [&STANDARD, &URL_SAFE] {
                let encoded = engine.encode(&text);
                forms.push(encoded[shared..encoded.len() - 4].to_owned());
            }
        }
        forms.sort_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
        forms.dedup();
        Self { name, forms }
    }

    /// Whether a text contains the secret in any encoding.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form))
    }

    /// The text without the secret.
    pub(super) fn redact(&self, text: &str) -> String {
        // The longest encoding comes first, because one may begin with another.
        self.forms.iter().fold(text.to_owned(), |text, form| text.replace(form, "…"))
    }

    /// The secret in all encodings.
    pub(super) fn forms(&self) -> impl Iterator<Item = &str> {
        self.forms.iter().map(String::as_str)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the secret of `{}`", self.name)
    }
}
