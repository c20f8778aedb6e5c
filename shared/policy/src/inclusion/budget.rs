//! What a comparison may cost. Beyond it the answer is "not decided", which counts as over-privileged.

/// Steps and memory left to a comparison.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    steps: u64,
    words: u64,
}

/// The budget is spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Exhausted;

impl Budget {
    /// `steps` are about a nanosecond each in a release build, `words` are 8 bytes each.
    pub(super) const fn new(steps: u64, words: u64) -> Self {
        Self { steps, words }
    }

    /// Pays for work.
    pub(super) fn spend(&mut self, steps: usize) -> Result<(), Exhausted> {
        take(&mut self.steps, steps)
    }

    /// Pays for memory that is kept until the construction ends.
    pub(super) fn keep(&mut self, words: usize) -> Result<(), Exhausted> {
        take(&mut self.words, words)
    }

    /// A part of the budget, for one construction: its memory is given back afterwards, its steps are not.
    pub(super) const fn part(&self, steps: u64) -> Self {
        Self { steps: if self.steps < steps { self.steps } else { steps }, words: self.words }
    }

    /// Takes off what a part has used.
    pub(super) fn settle(&mut self, given: &Self, left: &Self) {
        self.steps = self.steps.saturating_sub(given.steps - left.steps);
    }
}

fn take(left: &mut u64, amount: usize) -> Result<(), Exhausted> {
    *left = left.checked_sub(amount as u64).ok_or(Exhausted)?;
    Ok(())
}
