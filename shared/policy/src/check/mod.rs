//! Do a key's policies allow enough, and do they allow too much?

mod findings;
mod gaps;
mod notice;
mod output;
mod report;
mod verdict;

pub use self::gaps::Gap;
pub use self::output::{CheckOutput, LocatedProblem, MAX_PROBLEMS};
pub use self::report::PolicyReport;
pub use self::verdict::Verdict;

use self::findings::to_findings;
use self::gaps::gaps;
use self::notice::notices;
use crate::bounds::{ceiling, floor};
use crate::budget::Budget;
use crate::document::PolicyDocument;
use crate::evaluate::{AuthorizationRequest, may_allow};
use crate::finding::Finding;
use crate::inclusion::compare;
use crate::principal::{Principal, ResolvedPrincipal};

/// Steps of one check, about a nanosecond each in a release build.
const STEPS: u64 = 24_000_000;

/// How many of these steps gaps and notices may take.
const STEPS_FOR_REQUESTS: u64 = 8_000_000;

/// Further steps, to tell a minimal key from a merely sufficient one. They are a budget of their own: only a key that
/// is not overprivileged gets this far, and what was spent on finding that out must not decide the answer.
const STEPS_FOR_FLOOR: u64 = 12_000_000;

/// 8-byte words that a comparison may hold: 8 MiB.
const WORDS: u64 = 1 << 20;

/// Checks the identity policies of a user against what a key needs (at least) and what the classic policy allows (at
/// most).
///
/// A required permission counts only if it is allowed for certain; an excess permission counts if any condition may
/// allow it. Time and memory are bounded whatever the documents contain. Beyond the bounds, a required permission is
/// missing, and what is allowed is a finding of kind [`FindingKind::Undecided`](crate::FindingKind::Undecided).
pub fn check(documents: &[PolicyDocument], principal: &Principal) -> PolicyReport {
    let principal = principal.resolve(documents);
    let budget = Budget::new(STEPS, WORDS);
    let (gaps, notices) = budget
        .part(STEPS_FOR_REQUESTS, |part| (gaps(documents, &principal, part), notices(documents, &principal, part)));
    let mut missing: Vec<String> = gaps.iter().map(|gap| gap.action.clone()).collect();
    missing.dedup();
    let result = compare(documents, ceiling(), &principal, false, &budget);
    let (findings, findings_omitted) = to_findings(documents, &result);
    let verdict = if findings.iter().any(Finding::is_excess) {
        Verdict::Overprivileged
    } else if !missing.is_empty() {
        Verdict::Insufficient
    } else if findings.is_empty() && is_minimal(documents, &principal) {
        Verdict::Minimal
    } else {
        Verdict::Sufficient
    };
    PolicyReport { verdict, missing, gaps, findings, findings_omitted, notices, principal }
}

/// Whether the policies allow nothing that a key does not need.
fn is_minimal(documents: &[PolicyDocument], principal: &ResolvedPrincipal) -> bool {
    let budget = Budget::new(STEPS_FOR_FLOOR, WORDS);
    let floor = floor(principal.partition, &principal.user_name);
    compare(documents, &floor, principal, true, &budget).found.is_empty()
}

/// What `candidate` allows and `reference` does not, for any two sets of policies: the most severe
/// [`MAX_FINDINGS`](crate::MAX_FINDINGS). If no finding is excess, `candidate` is included in `reference`;
/// [latent](crate::FindingKind::Latent) findings are returned as well.
pub fn excess_over(candidate: &[PolicyDocument], reference: &[PolicyDocument], principal: &Principal) -> Vec<Finding> {
    let principal = principal.resolve(candidate);
    let result = compare(candidate, reference, &principal, false, &Budget::new(STEPS, WORDS));
    to_findings(candidate, &result).0
}

/// Whether one action on one resource is too much: allowed under some condition, and not allowed by the classic policy.
pub fn is_excess(documents: &[PolicyDocument], principal: &Principal, action: &str, resource: &str) -> bool {
    let principal = principal.resolve(documents);
    let request = AuthorizationRequest { action, resource, context: &principal.context };
    may_allow(documents, &request) && !may_allow(ceiling(), &request)
}
