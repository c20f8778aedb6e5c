//! The progress of a demo: one line for each step, with the time since the start.

use std::time::Instant;

use super::print;

/// Prints the steps of a demo.
pub(crate) struct Progress {
    started: Instant,
}

impl Progress {
    /// The progress of a demo that began at `started`.
    pub(crate) fn new(started: Instant) -> Self {
        Self { started }
    }

    /// Prints a step that was just completed.
    pub(crate) fn step(&self, label: &str, text: &str) {
        print(&format!("{:6.2} s  {label:<8} {text}\n", self.started.elapsed().as_secs_f64()));
    }

    /// Prints the summary at the end, and what to do next.
    pub(crate) fn finish(&self, summary: &str, next: &str) {
        let seconds = self.started.elapsed().as_secs_f64();
        print(&format!("\nDone in {seconds:.1} s: {summary}.\nNext: {next}.\n"));
    }
}
