//! Bounds the time and memory of a check, whatever the documents contain.

use std::cell::Cell;

use crate::glob::Glob;

/// The steps and the memory that are left. Once the steps are spent, results mean nothing; [`Budget::check`] tells.
#[derive(Debug)]
pub(crate) struct Budget {
    steps: Cell<u64>,
    words: Cell<u64>,
}

/// The budget is spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

impl Budget {
    /// `steps` are about a nanosecond each in a release build, `words` are 8 bytes each.
    pub(crate) const fn new(steps: u64, words: u64) -> Self {
        Self { steps: Cell::new(steps), words: Cell::new(words) }
    }

    /// For work that takes no longer than reading the documents.
    pub(crate) const fn unlimited() -> Self {
        Self::new(u64::MAX, u64::MAX)
    }

    /// Charges the cost of work. The last charge may exceed what is left.
    pub(crate) fn charge(&self, steps: usize) {
        self.steps.set(self.steps.get().saturating_sub(steps as u64));
    }

    /// Whether no steps are left.
    pub(crate) fn is_spent(&self) -> bool {
        self.steps.get() == 0
    }

    /// Fails if the steps are spent, so that the results since the last check cannot be trusted.
    pub(crate) fn check(&self) -> Result<(), Exhausted> {
        if self.is_spent() { Err(Exhausted) } else { Ok(()) }
    }

    /// How many of the given steps are spent.
    #[cfg(test)]
    pub(crate) fn spent_of(&self, given: u64) -> u64 {
        given - self.steps.get()
    }

    /// Charges work before it is done; fails if the steps do not suffice.
    pub(crate) fn spend(&self, steps: usize) -> Result<(), Exhausted> {
        self.charge(steps);
        self.check()
    }

    /// Charges memory that is kept as long as the budget.
    pub(crate) fn keep(&self, words: usize) -> Result<(), Exhausted> {
        self.words.set(self.words.get().checked_sub(words as u64).ok_or(Exhausted)?);
        Ok(())
    }

    /// Whether the glob matches the whole text. Charges what that costs.
    pub(crate) fn matches(&self, glob: &Glob, text: &str) -> bool {
        let mut left = self.steps.get();
        let fits = glob.matches_within(text, &mut left);
        self.steps.set(left);
        fits
    }

    /// Does work with at most this many of the steps that are left. The memory that it charges is free again
    /// afterwards.
    pub(crate) fn part<T>(&self, steps: u64, work: impl FnOnce(&Self) -> T) -> T {
        let given = self.steps.get().min(steps);
        let part = Self::new(given, self.words.get());
        let done = work(&part);
        self.steps.set(self.steps.get() - (given - part.steps.get()));
        done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_part_spends_is_taken_off_the_whole_and_its_memory_is_not() {
        let budget = Budget::new(100, 10);
        assert_eq!(budget.part(60, |part| part.spend(50).and(part.keep(10))), Ok(()));
        assert_eq!(budget.part(60, |part| part.spend(50)), Err(Exhausted), "50 are left, and none after these");
        assert!(budget.is_spent());
        assert_eq!(budget.keep(10), Ok(()));
        assert_eq!(budget.keep(1), Err(Exhausted));
    }

    #[test]
    fn a_match_costs_what_it_takes() {
        let budget = Budget::new(1_000_000, 0);
        assert!(budget.matches(&Glob::parse("*a"), &"a".repeat(100)));
        let cheap = budget.spent_of(1_000_000);
        let hostile = Glob::parse(&format!("*{}b", "a".repeat(1_000)));
        assert!(!budget.matches(&hostile, &"a".repeat(2_000)));
        assert!(cheap < 2_000 && budget.is_spent(), "{cheap}");
    }
}
