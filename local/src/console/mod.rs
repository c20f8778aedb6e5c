//! What the commands write to the terminal. Log lines of the stack itself go through `tracing` instead.

mod progress;
mod style;

use std::fmt::Display;
use std::io::{self, Write as _};

pub(crate) use self::progress::Progress;
pub(crate) use self::style::{TextStyle, Tone, escape_controls};

/// Writes a text to standard output at once.
pub(crate) fn print(text: &str) {
    let mut out = io::stdout().lock();
    // If standard output is closed, nobody reads what would be reported about it.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

/// Writes a line to standard error. Text of a policy file in it cannot control the terminal.
///
/// # Errors
/// Standard error is closed.
pub(crate) fn print_error_line(line: impl Display) -> io::Result<()> {
    writeln!(io::stderr(), "{}", escape_controls(line))
}
