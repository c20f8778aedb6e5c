//! The statements that cover an action.

use super::statement::ComparedStatements;

/// The numbers of the statements that cover an action, sorted by side and effect.
#[derive(Debug)]
pub(super) struct CoveringStatements {
    pub(super) candidate_denies: Vec<usize>,
    pub(super) reference_allows: Vec<usize>,
    pub(super) reference_denies: Vec<usize>,
    /// Whether the candidate denies everything.
    pub(super) denies_everything: bool,
    /// Globs of resources that are certainly no excess, because the candidate denies them or the reference allows them.
    /// Sorted.
    pub(super) settled: Vec<usize>,
    /// The same under conditions: the statement and the glob.
    pub(super) settled_conditionally: Vec<(usize, usize)>,
    /// The number of these statements plus that of their resource patterns.
    pub(super) size: usize,
}

impl CoveringStatements {
    pub(super) fn new(statements: &ComparedStatements<'_>, covering: &[usize]) -> Self {
        let of = |candidate: bool, allows: bool| -> Vec<usize> {
            covering
                .iter()
                .copied()
                .filter(|statement| {
                    statements[*statement].candidate == candidate && statements[*statement].allows == allows
                })
                .collect()
        };
        let (candidate_denies, reference_allows) = (of(true, false), of(false, true));
        let mut reference_denies = of(false, false);
        // A deny of the reference does not matter where the candidate denies the same.
        reference_denies
            .retain(|other| !candidate_denies.iter().any(|deny| statements[*deny].is_like(&statements[*other])));
        let (mut settled, mut settled_conditionally) = (Vec::new(), Vec::new());
        let settling = candidate_denies.iter().chain(reference_allows.iter().filter(|_| reference_denies.is_empty()));
        for (number, statement) in settling
            .map(|number| (*number, &statements[*number]))
            .filter(|(_, statement)| !statement.excludes_resources())
        {
            let certain = statement.bounds.iter().filter_map(|bound| bound.lower);
            if statement.is_conditional() {
                settled_conditionally.extend(certain.map(|glob| (number, glob)));
            } else {
                settled.extend(certain);
            }
        }
        settled.sort_unstable();
        settled.dedup();
        let all = candidate_denies.iter().chain(&reference_allows).chain(&reference_denies);
        Self {
            size: all.map(|statement| 1 + statements[*statement].bounds.len()).sum(),
            denies_everything: candidate_denies.iter().any(|deny| statements[*deny].is_total(&statements.globs)),
            candidate_denies,
            reference_allows,
            reference_denies,
            settled,
            settled_conditionally,
        }
    }

    /// The numbers of all of them.
    pub(super) fn all(&self) -> impl Iterator<Item = usize> {
        self.candidate_denies.iter().chain(&self.reference_allows).chain(&self.reference_denies).copied()
    }
}
