//! One line a step, with the time since the start.

use std::io::{Write as _, stdout};
use std::time::Instant;

/// Tells steps on standard output.
pub(super) struct Narrator {
    started: Instant,
}

impl Narrator {
    /// A story that began at `started`.
    pub(super) fn new(started: Instant) -> Self {
        Self { started }
    }

    /// Tells a step.
    pub(super) fn line(&self, step: &str, what: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        // Nobody is left to tell if standard output is closed.
        let _ = writeln!(stdout(), "{seconds:6.2} s  {step:<8} {what}");
    }

    /// Tells how it ended.
    pub(super) fn end(&self, summary: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        let _ = writeln!(
            stdout(),
            "\nDone in {seconds:.1} s: {summary}.\nNext: `cargo run` keeps the stack up and says what to type."
        );
    }
}
