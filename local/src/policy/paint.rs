//! Colour, where a person looks at a terminal.

use std::env;
use std::fmt::Display;
use std::io::{self, IsTerminal};

/// Whether to colour, decided once.
#[derive(Clone, Copy)]
pub(super) struct Paint {
    on: bool,
}

/// What a text stands for.
#[derive(Clone, Copy)]
pub(super) enum Tone {
    Good,
    Bad,
    Doubtful,
    Quiet,
    Strong,
}

impl Paint {
    /// Colours on a terminal, unless `NO_COLOR` is set (no-color.org).
    pub(super) fn new() -> Self {
        Self { on: io::stdout().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) }
    }

    /// The text as it may stand on a terminal, in the tone's colour.
    pub(super) fn paint(self, tone: Tone, text: &str) -> String {
        let text = printable(text);
        if !self.on {
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

/// Policies come from strangers: what could steer a terminal, begin a line of its own, or turn the direction of
/// writing, is shown by its number instead.
pub(super) fn printable(text: impl Display) -> String {
    let steers = |character: char| {
        character.is_control()
            || matches!(character, '\u{200e}' | '\u{200f}' | '\u{061c}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut out = String::new();
    for character in text.to_string().chars() {
        if steers(character) {
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
    fn a_policy_cannot_steer_the_terminal() {
        assert_eq!(printable("a\u{1b}[2Jb\u{202e}c\rd"), "a\\u{1b}[2Jb\\u{202e}c\\u{d}d");
        assert_eq!(printable("user/Zoë"), "user/Zoë");
    }

    #[test]
    fn a_policy_cannot_write_a_line_of_the_report() {
        for separator in ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'] {
            let forged = printable(format_args!("x{separator}minimal: exactly what is needed"));
            assert!(forged.starts_with("x\\u{") && !forged.contains(separator), "{forged}");
        }
    }

    #[test]
    fn a_policy_cannot_turn_the_direction_of_writing() {
        for mark in ['\u{200e}', '\u{200f}', '\u{61c}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}'] {
            assert!(!printable(mark).contains(mark), "{mark:?}");
        }
    }
}
