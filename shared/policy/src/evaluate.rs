//! Decides whether a set of policies allows a request, and names the statement that decides.
//!
//! AWS: IAM user guide, "Policy evaluation logic": an explicit deny wins, then an allow, otherwise the request is
//! denied implicitly.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::action::split_action;
use crate::budget::Budget;
use crate::condition::Condition;
use crate::context::RequestContext;
use crate::document::{Effect, PolicyDocument, Statement};
use crate::resource::{Reach, ResourcePattern};
use crate::truth::Truth;

/// A request that AWS authorizes.
#[derive(Clone, Debug)]
pub struct AuthorizationRequest<'r> {
    /// Service and action, `ses:SendEmail`, in any case.
    pub action: &'r str,
    /// The ARN of the resource; `*` for actions without resource.
    pub resource: &'r str,
    /// The request context.
    pub context: &'r RequestContext,
}

/// The decision on a request, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evaluation {
    /// What AWS would decide.
    #[serde(rename = "outcome")]
    pub decision: Decision,
    /// The statement that decided; none for an implicit deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<StatementRef>,
    /// Whether each statement applies, and why, in order.
    pub considered: Vec<ConsideredStatement>,
}

/// Allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Decision {
    /// A statement allows the request and none denies it.
    #[serde(rename = "allow")]
    Allowed,
    /// No statement allows the request.
    ImplicitDeny,
    /// A statement denies the request.
    ExplicitDeny,
}

impl Decision {
    /// The name used in case files and by IAM's policy simulator.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "allow",
            Self::ImplicitDeny => "implicitDeny",
            Self::ExplicitDeny => "explicitDeny",
        }
    }
}

/// Names a statement by its position.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StatementRef {
    /// Index of the document, counted from 0.
    pub document: usize,
    /// Index of the statement in it, counted from 0.
    pub statement: usize,
    /// Its `Sid`, if it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<String>,
    /// The line on which it begins.
    pub line: usize,
}

impl From<LocatedStatement<'_>> for StatementRef {
    fn from(located: LocatedStatement<'_>) -> Self {
        let LocatedStatement { document, index, statement } = located;
        Self { document, statement: index, sid: statement.sid().map(str::to_owned), line: statement.line() }
    }
}

impl fmt::Display for StatementRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "document {}, statement {}", self.document + 1, self.statement + 1)?;
        match &self.sid {
            Some(sid) => write!(out, " \"{sid}\" (line {})", self.line),
            None => write!(out, " (line {})", self.line),
        }
    }
}

/// How one statement bears on the decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ConsideredStatement {
    /// Which statement.
    pub statement: StatementRef,
    /// Whether it allows or denies.
    pub effect: &'static str,
    /// Whether it applies to the request.
    pub applies: Applies,
    /// Why, in a sentence.
    pub reason: String,
}

/// Whether a statement applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// It applies.
    Yes,
    /// It does not apply.
    No,
    /// That depends on context keys that are not known.
    Unknown,
}

impl From<Truth> for Applies {
    fn from(truth: Truth) -> Self {
        match truth {
            Truth::True => Self::Yes,
            Truth::Unknown => Self::Unknown,
            Truth::False => Self::No,
        }
    }
}

/// Decides a request as IAM would for a principal with these identity policies (and no permissions boundary, session
/// policy or organization policy).
///
/// In a [partial](RequestContext::partial) context the decision is the lower bound: an allow that cannot be proven does
/// not count, and a deny that cannot be ruled out counts.
pub fn evaluate(documents: &[PolicyDocument], request: &AuthorizationRequest<'_>) -> Evaluation {
    let (request, budget) = (SplitRequest::new(request), Budget::unlimited());
    let mut considered = Vec::new();
    for located in all_statements(documents) {
        let (truth, reason) = explain(located.statement, &request, &budget);
        considered.push(ConsideredStatement {
            statement: located.into(),
            effect: located.statement.effect().as_str(),
            applies: truth.into(),
            reason,
        });
    }
    let (decision, by) = decide(documents, &request, &budget);
    Evaluation { decision, by: by.map(StatementRef::from), considered }
}

/// The upper bound: whether the policies allow the request in some context that agrees with `request.context`. Every
/// condition of an allow counts as met, and every condition of a deny as not met.
///
/// Only here does a conditional deny never count. In [`check`](crate::check()) it counts against an allow that has the
/// same conditions.
pub fn may_allow(documents: &[PolicyDocument], request: &AuthorizationRequest<'_>) -> bool {
    may_allow_within(documents, &SplitRequest::new(request), &Budget::unlimited())
}

/// [`may_allow`] within a budget.
pub(crate) fn may_allow_within(documents: &[PolicyDocument], request: &SplitRequest<'_>, budget: &Budget) -> bool {
    let statements = || all_statements(documents).map(|located| located.statement);
    statements().any(|statement| statement_may_allow(statement, request, budget))
        && !statements().any(|statement| statement_surely_denies(statement, request, budget))
}

/// Whether the statement allows the request if its conditions hold.
pub(crate) fn statement_may_allow(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    statement.effect() == Effect::Allow
        && matches_action(statement, request, budget)
        && matches_resource(statement, request, Extent::Widest, budget) != Truth::False
}

/// Whether the statement denies the request in every context.
pub(crate) fn statement_surely_denies(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    statement.effect() == Effect::Deny
        && statement.conditions().is_empty()
        && matches_action(statement, request, budget)
        && matches_resource(statement, request, Extent::Narrowest, budget) == Truth::True
}

/// A statement with the index of its document, and its own index in that document.
#[derive(Clone, Copy)]
pub(crate) struct LocatedStatement<'d> {
    pub(crate) document: usize,
    pub(crate) index: usize,
    pub(crate) statement: &'d Statement,
}

/// The statements of all documents, in order.
pub(crate) fn all_statements(documents: &[PolicyDocument]) -> impl Iterator<Item = LocatedStatement<'_>> {
    documents.iter().enumerate().flat_map(|(document, policy)| {
        let statements = policy.statements().iter().enumerate();
        statements.map(move |(index, statement)| LocatedStatement { document, index, statement })
    })
}

/// A request with its action already split, so that this happens once for all statements.
pub(crate) struct SplitRequest<'r> {
    original: &'r AuthorizationRequest<'r>,
    service: String,
    name: String,
}

impl<'r> SplitRequest<'r> {
    pub(crate) fn new(original: &'r AuthorizationRequest<'r>) -> Self {
        let (service, name) = split_action(original.action);
        Self { original, service, name }
    }
}

/// The decision that [`evaluate`] reports, and the statement that decides.
pub(crate) fn decide<'d>(
    documents: &'d [PolicyDocument],
    request: &SplitRequest<'_>,
    budget: &Budget,
) -> (Decision, Option<LocatedStatement<'d>>) {
    let (mut allow, mut may_deny) = (None, None);
    for located in all_statements(documents) {
        match (located.statement.effect(), applies(located.statement, request, budget)) {
            (Effect::Deny, Truth::True) => return (Decision::ExplicitDeny, Some(located)),
            (Effect::Deny, Truth::Unknown) => may_deny = may_deny.or(Some(located)),
            (Effect::Allow, Truth::True) => allow = allow.or(Some(located)),
            _ => {}
        }
    }
    if may_deny.is_some() {
        return (Decision::ExplicitDeny, may_deny);
    }
    (if allow.is_some() { Decision::Allowed } else { Decision::ImplicitDeny }, allow)
}

/// Whether the statement applies to the request.
fn applies(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> Truth {
    applies_within(statement, request, Extent::Documented, budget)
}

/// Whether the statement applies under every reading of the documentation.
pub(crate) fn surely_applies(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    applies_within(statement, request, Extent::Narrowest, budget) == Truth::True
}

/// Whether the statement applies under no reading of the documentation.
pub(crate) fn surely_applies_not(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    applies_within(statement, request, Extent::Widest, budget) == Truth::False
}

fn applies_within(statement: &Statement, request: &SplitRequest<'_>, extent: Extent, budget: &Budget) -> Truth {
    if !matches_action(statement, request, budget) {
        return Truth::False;
    }
    let resource = matches_resource(statement, request, extent, budget);
    statement.conditions().iter().fold(resource, |truth, condition| {
        if truth == Truth::False { truth } else { truth.and(condition.holds(request.original.context, budget)) }
    })
}

/// Whether the statement covers the action, on whatever resource.
pub(crate) fn covers_action(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    matches_action(statement, request, budget)
}

/// Whether the statement covers action and resource, whatever its conditions are.
pub(crate) fn covers_request(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    matches_action(statement, request, budget)
        && matches_resource(statement, request, Extent::Documented, budget) != Truth::False
}

/// Whether the action is selected by the statement's `Action` or `NotAction`.
fn matches_action(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> bool {
    let patterns = &statement.actions.patterns;
    budget.charge(10 + 20 * patterns.len());
    !budget.is_spent()
        && patterns.iter().any(|pattern| pattern.matches(&request.service, &request.name)) != statement.actions.inverted
}

/// Which resources a statement selects where the documentation leaves it open how far a star reaches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// As AWS documents it.
    Documented,
    /// Those that any reading selects: what an allow may cover.
    Widest,
    /// Those that every reading selects: what a deny covers for certain.
    Narrowest,
}

fn matches_resource(statement: &Statement, request: &SplitRequest<'_>, extent: Extent, budget: &Budget) -> Truth {
    // A `NotResource` selects the more, the less its patterns match.
    let reach = match (extent, statement.resources.inverted) {
        (Extent::Documented, _) | (Extent::Widest, false) | (Extent::Narrowest, true) => Reach::Documented,
        (Extent::Widest, true) | (Extent::Narrowest, false) => Reach::Segments,
    };
    let matches = |pattern: &ResourcePattern| {
        budget.charge(pattern.effort());
        if budget.is_spent() {
            return Truth::Unknown;
        }
        pattern.resolve(request.original.context, reach).matches(request.original.resource, budget)
    };
    let any = Truth::any(statement.resources.patterns.iter().map(matches));
    if statement.resources.inverted { any.not() } else { any }
}

/// Whether the statement applies, and the sentence that says why.
fn explain(statement: &Statement, request: &SplitRequest<'_>, budget: &Budget) -> (Truth, String) {
    let AuthorizationRequest { action, resource: on, context } = request.original;
    let misses = |inverted, name: &str, what: &str| {
        if inverted { format!("its Not{name} covers {what}") } else { format!("its {name} does not cover {what}") }
    };
    if !matches_action(statement, request, budget) {
        return (Truth::False, misses(statement.actions.inverted, "Action", action));
    }
    let resource = matches_resource(statement, request, Extent::Documented, budget);
    if resource == Truth::False {
        return (Truth::False, misses(statement.resources.inverted, "Resource", on));
    }
    let mut truth = resource;
    let mut open: Option<&Condition> = None;
    for condition in statement.conditions() {
        let holds = condition.holds(context, budget);
        if holds == Truth::False {
            return (
                Truth::False,
                format!("its condition {} on {} does not hold", condition.operator(), condition.key()),
            );
        }
        if holds == Truth::Unknown {
            open = open.or(Some(condition));
        }
        truth = truth.and(holds);
    }
    let reason = match (truth, open) {
        (_, Some(condition)) => {
            format!("whether its condition {} on {} holds is not known", condition.operator(), condition.key())
        }
        (Truth::True, None) if statement.conditions().is_empty() => "action and resource match".to_owned(),
        (Truth::True, None) => "action and resource match and its conditions hold".to_owned(),
        _ => "a variable in its resource is not known".to_owned(),
    };
    (truth, reason)
}
