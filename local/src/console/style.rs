//! Colour on a terminal, and text from strangers that cannot control it.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal};

/// Whether text is coloured, decided once for a command.
#[derive(Clone, Copy)]
pub(crate) struct TextStyle {
    is_coloured: bool,
}

/// What a text means to the reader.
#[derive(Clone, Copy)]
pub(crate) enum Tone {
    Good,
    Bad,
    Doubtful,
    Quiet,
    Strong,
}

impl TextStyle {
    /// Colours text if standard output is a terminal and `NO_COLOR` is not set (no-color.org).
    pub(crate) fn from_environment() -> Self {
        let is_coloured = io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        Self { is_coloured }
    }

    /// The text in the colour of the tone, with control characters escaped.
    pub(crate) fn apply(self, tone: Tone, text: &str) -> String {
        let text = escape_controls(text);
        if !self.is_coloured {
            return text;
        }
        let code = match tone {
            Tone::Good => "32",
            Tone::Bad => "31",
            Tone::Doubtful => "33",
            Tone::Quiet => "2",
            Tone::Strong => "1",
        };
        format!("\u{1b}[{code}m{text}\u{1b}[0m")
    }
}

/// The text with every character escaped that could control a terminal, start a line of its own or change the direction
/// of writing. Policies come from strangers.
pub(crate) fn escape_controls(text: impl Display) -> String {
    let is_control = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::new();
    for character in text.to_string().chars() {
        if is_control(character) {
            out.extend(character.escape_unicode());
        } else {
            out.push(character);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_cannot_control_the_terminal() {
        assert_eq!(escape_controls("a\u{1b}[2Jb\u{202e}c\rd"), "a\\u{1b}[2Jb\\u{202e}c\\u{d}d");
        assert_eq!(escape_controls("user/Zoë"), "user/Zoë");
    }

    #[test]
    fn a_policy_cannot_start_a_line_of_the_report() {
        for separator in ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'] {
            let forged = escape_controls(format_args!("x{separator}minimal: exactly what is needed"));
            assert!(forged.starts_with("x\\u{") && !forged.contains(separator), "{forged}");
        }
    }

    #[test]
    fn a_policy_cannot_change_the_direction_of_writing() {
        for mark in ['\u{200e}', '\u{200f}', '\u{61c}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            assert!(!escape_controls(mark).contains(mark), "{mark:?}");
        }
    }
}
