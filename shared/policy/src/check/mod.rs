//! Do a key's policies allow enough, and do they allow too much?

mod blocking;
mod findings;
mod gaps;
mod notice;
mod output;
mod report;
mod verdict;

pub use self::blocking::{BlockingCondition, ConditionTopic};
pub use self::gaps::{Gap, GapCause};
pub use self::output::{CheckOutput, LocatedProblem, MAX_PROBLEMS};
pub use self::report::{PolicyReport, Question};
pub use self::verdict::Verdict;

use self::findings::to_findings;
use self::gaps::{gap, gaps};
use self::notice::notices;
use crate::bounds::{OWN_USER_READS, OwnPolicyReads, ceiling, floor};
use crate::budget::Budget;
use crate::document::PolicyDocument;
use crate::evaluate::{AuthorizationRequest, SplitRequest, may_allow, may_allow_within};
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
    let (own_reads, gaps, notices) = budget.part(STEPS_FOR_REQUESTS, |part| {
        let own_reads = own_reads(documents, &principal, part);
        (own_reads, gaps(documents, &principal, part), notices(documents, &principal, part))
    });
    let mut missing: Vec<String> = Vec::new();
    for gap in &gaps {
        if !missing.contains(&gap.action) {
            missing.push(gap.action.clone());
        }
    }
    let questions = questions(&principal);
    let result = compare(documents, ceiling(own_reads), &principal, false, &budget);
    let (findings, findings_omitted) = to_findings(documents, &result);
    let verdict = if findings.iter().any(Finding::is_excess) {
        Verdict::Overprivileged
    } else if !missing.is_empty() {
        Verdict::Insufficient
    } else if findings.is_empty() && is_minimal(documents, own_reads, &principal) {
        Verdict::Minimal
    } else {
        Verdict::Sufficient
    };
    PolicyReport { verdict, missing, gaps, findings, findings_omitted, notices, questions, principal }
}

/// Whether the policies allow nothing that a key does not need.
fn is_minimal(documents: &[PolicyDocument], own_reads: OwnPolicyReads, principal: &ResolvedPrincipal) -> bool {
    let budget = Budget::new(STEPS_FOR_FLOOR, WORDS);
    let floor = floor(own_reads, principal.partition, &principal.user_name);
    compare(documents, &floor, principal, true, &budget).found.is_empty()
}

/// What the caller should say to get a better answer.
fn questions(principal: &ResolvedPrincipal) -> Vec<Question> {
    if principal.other_regions.is_empty() {
        return Vec::new();
    }
    let choices: Vec<String> = principal.regions().map(str::to_owned).collect();
    let message = format!(
        "The policies name several Regions ({}). What is missing in one of them is reported as missing; say with `region` in which mail is sent.",
        choices.join(", ")
    );
    vec![Question { field: "region", choices, message }]
}

/// Why these policies do not allow a request of the product for certain: the statement that denies it, or the conditions
/// and resources that keep statements from allowing it. `None` if they allow it.
pub fn explain_missing(
    documents: &[PolicyDocument],
    principal: &Principal,
    action: &str,
    resource: &str,
) -> Option<Gap> {
    let principal = principal.resolve(documents);
    let region = (!action.starts_with("iam:") && !action.starts_with("sts:")).then(|| principal.region.clone());
    let context = principal.context_of(action, &principal.region);
    let request = AuthorizationRequest { action, resource, context: &context };
    gap(documents, &request, region.as_deref(), &Budget::new(STEPS_FOR_REQUESTS, WORDS))
}

/// What `candidate` allows and `reference` does not, for any two sets of policies: the most severe
/// [`MAX_FINDINGS`](crate::MAX_FINDINGS). If no finding is excess, `candidate` is included in `reference`;
/// [latent](crate::FindingKind::Latent) findings are returned as well.
pub fn excess_over(candidate: &[PolicyDocument], reference: &[PolicyDocument], principal: &Principal) -> Vec<Finding> {
    let principal = principal.resolve(candidate);
    let result = compare(candidate, reference, &principal, false, &Budget::new(STEPS, WORDS));
    to_findings(candidate, &result).0
}

/// Whether one action on one resource is too much: allowed under some condition, and neither allowed by the classic
/// policy nor part of reading the own policies.
pub fn is_excess(documents: &[PolicyDocument], principal: &Principal, action: &str, resource: &str) -> bool {
    let principal = principal.resolve(documents);
    let request = AuthorizationRequest { action, resource, context: &principal.context };
    let own_reads = own_reads(documents, &principal, &Budget::unlimited());
    may_allow(documents, &request) && !may_allow(ceiling(own_reads), &request)
}

/// Whether the key may read all policies of its own user. Undecided is no.
fn own_reads(documents: &[PolicyDocument], principal: &ResolvedPrincipal, budget: &Budget) -> OwnPolicyReads {
    let is_allowed = |action: &&str| {
        let request = AuthorizationRequest { action, resource: &principal.user_arn, context: &principal.context };
        may_allow_within(documents, &SplitRequest::new(&request), budget) && !budget.is_spent()
    };
    if OWN_USER_READS.iter().all(is_allowed) { OwnPolicyReads::Whole } else { OwnPolicyReads::Partial }
}
