//! The joint subset construction: reads all patterns at once, and visits every set of patterns that some text matches,
//! the shortest text first.
//!
//! Each pattern is a nondeterministic automaton with one state per token. A joint state is the set of all their states
//! as a row of bits, so a step for one character takes a handful of operations per 64 tokens.

use std::collections::{HashSet, VecDeque};
use std::ops::{ControlFlow, Range};

use crate::budget::{Budget, Exhausted};
use crate::glob::{Glob, Token};

/// Patterns read together.
pub(super) struct Automaton {
    words: usize,
    /// The bits of each pattern's tokens in the row; the last is its accepting bit.
    spans: Vec<Range<usize>>,
    letters: Vec<char>,
    /// For each letter, the tokens that take it.
    takes: Vec<Box<[u64]>>,
    repeats: Box<[u64]>,
    start: Box<[u64]>,
}

/// What happens at each state. It charges its own work and may end the search.
pub(super) type Visitor<'v> = dyn FnMut(&Visit<'_>, &Budget) -> Result<ControlFlow<()>, Exhausted> + 'v;

/// A reachable state, and the text that leads to it.
pub(super) struct Visit<'v> {
    automaton: &'v Automaton,
    state: &'v [u64],
    trail: &'v [(usize, char)],
    at: usize,
}

impl Visit<'_> {
    /// Whether the pattern with this index matches the text.
    pub(super) fn accepts(&self, pattern: usize) -> bool {
        bit(self.state, self.automaton.spans[pattern].end - 1)
    }

    /// Whether the text is empty.
    pub(super) const fn is_start(&self) -> bool {
        self.at == 0
    }

    /// The text itself.
    pub(super) fn text(&self) -> String {
        let mut letters = Vec::new();
        let mut at = self.at;
        while at != 0 {
            let (before, letter) = self.trail[at];
            letters.push(letter);
            at = before;
        }
        letters.iter().rev().collect()
    }
}

impl Automaton {
    /// Joins the globs. Witnesses prefer the letters of `preferred` where any letter will do.
    ///
    /// # Errors
    /// The budget does not suffice for so many patterns and letters.
    pub(super) fn new(globs: &[&Glob], preferred: &str, budget: &Budget) -> Result<Self, Exhausted> {
        budget.spend(globs.iter().map(|glob| 20 + 30 * glob.tokens().len()).sum())?;
        let mut spans = Vec::with_capacity(globs.len());
        let mut end = 0;
        for glob in globs {
            spans.push(end..end + glob.tokens().len() + 1);
            end += glob.tokens().len() + 1;
        }
        let words = end.div_ceil(64);
        let letters = alphabet(globs, preferred);
        budget.spend(2 * letters.len() * end)?;
        budget.keep(letters.len() * words)?;
        let row = || vec![0_u64; words].into_boxed_slice();
        let (mut repeats, mut start) = (row(), row());
        let mut takes: Vec<Box<[u64]>> = letters.iter().map(|_| row()).collect();
        for (glob, span) in globs.iter().zip(&spans) {
            set(&mut start, span.start);
            for (at, token) in span.clone().zip(glob.tokens()) {
                if token.repeats() {
                    set(&mut repeats, at);
                }
                for (_, takes) in letters.iter().zip(&mut takes).filter(|(letter, _)| token.takes(**letter)) {
                    set(takes, at);
                }
            }
        }
        pass_stars(&mut start, &repeats);
        Ok(Self { words, spans, letters, takes, repeats, start })
    }

    /// Visits each reachable state once, in the order of the length of its text, until `visit` breaks.
    ///
    /// Skips a state and everything after it once no pattern of some group in `needed` can match any more.
    pub(super) fn explore(
        &self,
        needed: &[&[usize]],
        budget: &Budget,
        visit: &mut Visitor<'_>,
    ) -> Result<(), Exhausted> {
        let alive = |state: &[u64]| {
            needed.iter().all(|group| group.iter().any(|pattern| any_bit(state, &self.spans[*pattern])))
        };
        let mut known: HashSet<Box<[u64]>> = HashSet::from([self.start.clone()]);
        let mut next = self.start.clone();
        let mut trail = vec![(0, ' ')];
        let mut queue = VecDeque::from([(self.start.clone(), 0)]);
        while let Some((state, at)) = queue.pop_front() {
            if visit(&Visit { automaton: self, state: &state, trail: &trail, at }, budget)?.is_break() {
                return Ok(());
            }
            for (letter, takes) in self.letters.iter().zip(&self.takes) {
                // Measured: a step costs about 50 ns for few words, most of it for the look-up, and 10 ns for each
                // further word.
                budget.spend(50 + 10 * self.words)?;
                self.step(&state, takes, &mut next);
                if alive(&next) && !known.contains(&*next) {
                    // A state costs two rows and its entries in set, queue and trail.
                    budget.keep(2 * self.words + 12)?;
                    known.insert(next.clone());
                    queue.push_back((next.clone(), trail.len()));
                    trail.push((at, *letter));
                }
            }
        }
        Ok(())
    }

    fn step(&self, state: &[u64], takes: &[u64], next: &mut [u64]) {
        let mut carry = 0;
        for word in 0..self.words {
            let taken = state[word] & takes[word];
            let moved = taken & !self.repeats[word];
            next[word] = (taken & self.repeats[word]) | (moved << 1) | carry;
            carry = moved >> 63;
        }
        pass_stars(next, &self.repeats);
    }
}

/// A star may match nothing, so a state before a star is also behind it. No two stars are adjacent, so one pass is
/// enough.
fn pass_stars(state: &mut [u64], repeats: &[u64]) {
    let mut carry = 0;
    for (word, repeats) in state.iter_mut().zip(repeats) {
        let stars = *word & repeats;
        *word |= (stars << 1) | carry;
        carry = stars >> 63;
    }
}

/// The letters of the patterns, the colon, and one letter that stands for all others: the first of `preferred` that no
/// pattern contains.
fn alphabet(globs: &[&Glob], preferred: &str) -> Vec<char> {
    let mut letters: Vec<char> = globs
        .iter()
        .flat_map(|glob| glob.tokens())
        .filter_map(|token| if let Token::Literal(letter) = token { Some(*letter) } else { None })
        .chain([':'])
        .collect();
    letters.sort_unstable();
    letters.dedup();
    let other = preferred.chars().chain('\u{e000}'..='\u{f8ff}').find(|letter| letters.binary_search(letter).is_err());
    // First, so that witnesses are made of it where any letter will do.
    if let Some(other) = other {
        letters.insert(0, other);
    }
    letters
}

fn set(row: &mut [u64], bit: usize) {
    row[bit / 64] |= 1 << (bit % 64);
}

fn bit(row: &[u64], bit: usize) -> bool {
    row[bit / 64] & (1 << (bit % 64)) != 0
}

fn any_bit(row: &[u64], span: &Range<usize>) -> bool {
    let (first, last) = (span.start / 64, (span.end - 1) / 64);
    (first..=last).any(|word| {
        let mut mask = u64::MAX;
        if word == first {
            mask &= u64::MAX << (span.start % 64);
        }
        if word == last {
            mask &= u64::MAX >> (63 - (span.end - 1) % 64);
        }
        row[word] & mask != 0
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    /// All accept sets of some patterns with their witnesses, or `None` beyond the budget.
    fn accept_sets(patterns: &[&str], budget: u64) -> Option<HashMap<Vec<bool>, String>> {
        let globs: Vec<Glob> = patterns.iter().map(|pattern| Glob::parse(pattern)).collect();
        let globs: Vec<&Glob> = globs.iter().collect();
        let mut sets = HashMap::new();
        let mut visit = |visit: &Visit<'_>, _: &Budget| {
            let set: Vec<bool> = (0..patterns.len()).map(|pattern| visit.accepts(pattern)).collect();
            sets.entry(set).or_insert_with(|| visit.text());
            Ok(ControlFlow::Continue(()))
        };
        let budget = Budget::new(64 * budget, budget);
        Automaton::new(&globs, "x", &budget).ok()?.explore(&[], &budget, &mut visit).ok()?;
        Some(sets)
    }

    #[test]
    fn every_accept_set_has_a_witness_that_matches_just_so() {
        let patterns = ["*a*b*", "*b*a*", "?a*", "ab", "*:*"];
        let sets = accept_sets(&patterns, 1 << 22).unwrap();
        for (set, witness) in &sets {
            let expected: Vec<bool> = patterns.iter().map(|pattern| Glob::parse(pattern).matches(witness)).collect();
            assert_eq!(*set, expected, "{witness}");
        }
        assert!(sets.contains_key(&vec![true, false, false, true, false]));
        assert!(sets.contains_key(&vec![false; 5]));
        assert!(!sets.contains_key(&vec![false, false, false, true, false]), "ab always has an a before a b");
    }

    #[test]
    fn rows_longer_than_a_word_carry_over() {
        let long = "a".repeat(70);
        let sets = accept_sets(&[&format!("{long}*b"), &format!("{long}cb")], 1 << 22).unwrap();
        assert_eq!(sets.get(&vec![true, true]).map(String::as_str), Some(format!("{long}cb").as_str()));
        assert!(!sets.contains_key(&vec![false, true]));
    }

    #[test]
    fn a_star_at_the_edge_of_a_word_may_match_nothing() {
        for length in 60..=68 {
            let literal = "a".repeat(length);
            let sets = accept_sets(&[&format!("{literal}*b*")], 1 << 22).unwrap();
            assert_eq!(sets.get(&vec![true]), Some(&format!("{literal}b")), "{length}");
        }
    }

    #[test]
    fn an_exponential_pattern_runs_out_of_budget_instead_of_time() {
        assert!(accept_sets(&[&format!("*a{}", "?".repeat(40))], 1 << 16).is_none());
    }
}
