//! Does one set of policies allow anything that another does not?
//!
//! Actions and resources are compared as languages, exactly for `*` and `?`. Conditions are opaque, and equal only if
//! they are written alike. What is not known counts against the candidate: its allows are taken at their widest and its
//! denies at their narrowest, those of the reference the other way round.
//!
//! For every group of actions that the same statements cover, all resource patterns involved are read together (a
//! subset construction), and each set of patterns that some resource matches is decided once. Cheap proofs come first:
//! one covering pattern, or one concrete resource that proves the excess, settles most groups.

mod automaton;
mod check;
mod covering;
mod example;
mod excess;
mod listed;
mod question;
mod statement;
mod unlisted;

pub(crate) use self::example::examples_of_glob;
pub(crate) use self::excess::{Excess, ExcessKind, InclusionResult};

use self::check::InclusionCheck;
use self::excess::unfinished;
use self::statement::{ComparedStatements, preparation_cost};
use crate::budget::Budget;
use crate::document::PolicyDocument;
use crate::evaluate::all_statements;
use crate::principal::ResolvedPrincipal;

/// Compares two sets of policies. With `first` it stops at the first excess of any kind.
pub(crate) fn compare(
    candidate: &[PolicyDocument],
    reference: &[PolicyDocument],
    principal: &ResolvedPrincipal,
    first: bool,
    budget: &Budget,
) -> InclusionResult {
    let cost: usize = [candidate, reference]
        .into_iter()
        .flat_map(all_statements)
        .map(|located| preparation_cost(located.statement))
        .sum();
    if budget.spend(cost).is_err() {
        return InclusionResult { found: unfinished(candidate).into_iter().collect(), omitted: 0 };
    }
    let statements = ComparedStatements::new(candidate, reference, &principal.context);
    if statements.is_plainly_included() {
        return InclusionResult::default();
    }
    let mut check = InclusionCheck::new(statements, principal, first, budget);
    let is_finished = check.check_listed_actions().and_then(|()| check.check_unlisted_actions()).is_ok();
    let mut result = check.into_result();
    if !is_finished {
        result.found.extend(unfinished(candidate));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Principal;
    use crate::bounds::{OwnPolicyReads, ceiling};
    use crate::finding::MAX_FINDINGS;

    const STEPS: u64 = 1 << 40;

    /// A policy that allows an action on each of so many roles.
    fn roles(action: &str, count: usize) -> Vec<PolicyDocument> {
        let allow = |number: usize| {
            format!(r#"{{"Effect":"Allow","Action":"{action}","Resource":"arn:aws:iam::*:role/r{number}"}}"#)
        };
        let statements: Vec<String> = (0..count).map(allow).collect();
        let text = format!(r#"{{"Version":"2012-10-17","Statement":[{}]}}"#, statements.join(","));
        vec![PolicyDocument::parse_with_limit(text, usize::MAX).unwrap()]
    }

    fn compare_within(documents: &[PolicyDocument], steps: u64) -> (InclusionResult, u64) {
        let (principal, budget) = (Principal::default().resolve(documents), Budget::new(steps, 1 << 20));
        let result = compare(documents, ceiling(OwnPolicyReads::Partial), &principal, false, &budget);
        (result, budget.spent_of(steps))
    }

    #[test]
    fn the_cost_of_looking_at_findings_grows_with_their_number_and_not_faster() {
        for action in ["sts:AssumeRole", "iam:GetRole", "iam:*Role", "sts:*e"] {
            let [(few, cheap), (many, dear)] = [100, 1_000].map(|count| compare_within(&roles(action, count), STEPS));
            assert_eq!((few.omitted, many.omitted), (0, 1_000 - MAX_FINDINGS), "{action}");
            assert!(dear < 25 * cheap, "{action}: {cheap} and {dear}");
        }
    }

    #[test]
    fn what_is_not_looked_at_is_in_doubt() {
        let documents = roles("iam:*Role", 100);
        let (all, needed) = compare_within(&documents, STEPS);
        assert!(all.found.iter().all(|excess| excess.kind == ExcessKind::Listed));
        for part in 0..8 {
            let (some, _) = compare_within(&documents, needed * part / 8);
            assert_eq!(some.found.last().map(|excess| excess.kind), Some(ExcessKind::Unfinished), "{part} of 8");
            assert!(some.found.len() <= all.found.len());
        }
    }
}
