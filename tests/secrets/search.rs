//! Searching for a secret in any writing.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

/// A secret that must not turn up. Its `Display` is a name and not the secret: a test's output is kept, too.
#[derive(Clone)]
pub(super) struct Marker {
    name: &'static str,
    forms: Vec<String>,
}

impl Marker {
    /// The secret, to be called by this name.
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
        // Base64 of a longer text has a secret in one of three writings, by where in it the secret begins.
        for (before, unsure) in [(0, 0), (1, 2), (2, 3)] {
            let text = [&b"::"[..before], secret.as_bytes()].concat();
            for engine in [&STANDARD, &URL_SAFE] {
                let encoded = engine.encode(&text);
                forms.push(encoded[unsure..encoded.len() - 4].to_owned());
            }
        }
        forms.sort_by(|one, other| (other.len(), other).cmp(&(one.len(), one)));
        forms.dedup();
        Self { name, forms }
    }

    /// Whether it is in a text, in any writing.
    pub(super) fn is_in(&self, text: &str) -> bool {
        self.forms.iter().any(|form| text.contains(form))
    }

    /// A text without it.
    pub(super) fn cut_out_of(&self, text: &str) -> String {
        // The longest writing first, because one may begin with another.
        self.forms.iter().fold(text.to_owned(), |text, form| text.replace(form, "…"))
    }

    /// All writings.
    pub(super) fn forms(&self) -> impl Iterator<Item = &str> {
        self.forms.iter().map(String::as_str)
    }
}

impl fmt::Display for Marker {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the secret of `{}`", self.name)
    }
}
