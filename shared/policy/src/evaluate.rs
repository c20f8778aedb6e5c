//! Does a set of policies allow a request, and which statement decides?
//!
//! AWS: IAM user guide, "Policy evaluation logic": an explicit deny wins, then an allow, otherwise the request is
//! denied implicitly.

use std::fmt;

use serde::Serialize;

use crate::action::split_action;
use crate::arn::{Reach, ResourcePattern};
use crate::budget::Budget;
use crate::condition::Condition;
use crate::context::Context;
use crate::document::{Document, Effect, Statement};
use crate::truth::Truth;

/// What somebody asks of AWS.
#[derive(Clone, Debug)]
pub struct Request<'r> {
    /// Service and action, `ses:SendEmail`, in any case.
    pub action: &'r str,
    /// The ARN it is about; `*` for actions without resource.
    pub resource: &'r str,
    /// The context keys of the request.
    pub context: &'r Context,
}

/// The answer, and who gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// What AWS would answer.
    pub outcome: Outcome,
    /// The statement that decided; none for an implicit deny.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<StatementRef>,
    /// What each statement had to say, in order.
    pub considered: Vec<Considered>,
}

/// Allowed or denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Outcome {
    /// A statement allows it and none denies it.
    Allow,
    /// No statement allows it.
    ImplicitDeny,
    /// A statement denies it.
    ExplicitDeny,
}

impl Outcome {
    /// The name used in case files and by IAM's policy simulator.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ImplicitDeny => "implicitDeny",
            Self::ExplicitDeny => "explicitDeny",
        }
    }
}

/// A statement, by its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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

impl StatementRef {
    pub(crate) fn new(document: usize, statement: usize, text: &Statement) -> Self {
        Self { document, statement, sid: text.sid().map(str::to_owned), line: text.line() }
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

/// One statement's part in a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Considered {
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
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on context keys that are not known.
    Unknown,
}

/// Decides a request as IAM would for a principal with these identity policies (and no boundary, session or
/// organization policy).
///
/// In a [partial](Context::partial) context the answer is the lower bound: an allow that cannot be proven is none, a
/// deny that cannot be excluded counts.
pub fn evaluate(documents: &[Document], request: &Request<'_>) -> Decision {
    let (asked, budget) = (Asked::new(request), Budget::unlimited());
    let mut considered = Vec::new();
    for (document, statement, text) in all_statements(documents) {
        let (truth, reason) = explain(text, &asked, &budget);
        considered.push(Considered {
            statement: StatementRef::new(document, statement, text),
            effect: if text.effect() == Effect::Allow { "Allow" } else { "Deny" },
            applies: match truth {
                Truth::True => Applies::Yes,
                Truth::Unknown => Applies::Unknown,
                Truth::False => Applies::No,
            },
            reason,
        });
    }
    let (outcome, by) = decide(documents, &asked, &budget);
    let by = by.map(|(document, statement, text)| StatementRef::new(document, statement, text));
    Decision { outcome, by, considered }
}

/// The upper bound: whether the policies allow the request in some context that agrees with `request.context`, taking
/// every condition of an allow as met and every condition of a deny as not met.
///
/// Only here does a conditional deny never count. [`check`](crate::check()) lets one count against an allow under the
/// same conditions.
pub fn may_allow(documents: &[Document], request: &Request<'_>) -> bool {
    may_allow_within(documents, &Asked::new(request), &Budget::unlimited())
}

/// [`may_allow`] within a budget.
pub(crate) fn may_allow_within(documents: &[Document], asked: &Asked<'_>, budget: &Budget) -> bool {
    let statements = || all_statements(documents).map(|(_, _, statement)| statement);
    statements().any(|statement| may_grant(statement, asked, budget))
        && !statements().any(|statement| surely_refuses(statement, asked, budget))
}

/// Whether the statement allows the request, if its conditions hold.
pub(crate) fn may_grant(statement: &Statement, asked: &Asked<'_>, budget: &Budget) -> bool {
    statement.effect() == Effect::Allow
        && matches_action(statement, asked, budget)
        && matches_resource(statement, asked, budget) != Truth::False
}

/// Whether the statement denies the request whatever holds.
pub(crate) fn surely_refuses(statement: &Statement, asked: &Asked<'_>, budget: &Budget) -> bool {
    statement.effect() == Effect::Deny
        && statement.conditions().is_empty()
        && matches_action(statement, asked, budget)
        && matches_resource(statement, asked, budget) == Truth::True
}

/// A statement and the indices of its document and of itself.
pub(crate) type Found<'d> = (usize, usize, &'d Statement);

pub(crate) fn all_statements(documents: &[Document]) -> impl Iterator<Item = Found<'_>> {
    documents.iter().enumerate().flat_map(|(document, text)| {
        text.statements().iter().enumerate().map(move |(index, statement)| (document, index, statement))
    })
}

/// A request with its action split, once for all statements.
pub(crate) struct Asked<'r> {
    request: &'r Request<'r>,
    service: String,
    name: String,
}

impl<'r> Asked<'r> {
    pub(crate) fn new(request: &'r Request<'r>) -> Self {
        let (service, name) = split_action(request.action);
        Self { request, service, name }
    }
}

/// What [`evaluate`] decides, and the statement that decides it.
pub(crate) fn decide<'d>(
    documents: &'d [Document],
    asked: &Asked<'_>,
    budget: &Budget,
) -> (Outcome, Option<Found<'d>>) {
    let mut allow = None;
    for found in all_statements(documents) {
        match (found.2.effect(), applies(found.2, asked, budget)) {
            (Effect::Deny, Truth::True | Truth::Unknown) => return (Outcome::ExplicitDeny, Some(found)),
            (Effect::Allow, Truth::True) => allow = allow.or(Some(found)),
            _ => {}
        }
    }
    (if allow.is_some() { Outcome::Allow } else { Outcome::ImplicitDeny }, allow)
}

/// Whether the statement applies to the request.
pub(crate) fn applies(statement: &Statement, asked: &Asked<'_>, budget: &Budget) -> Truth {
    if !matches_action(statement, asked, budget) {
        return Truth::False;
    }
    let resource = matches_resource(statement, asked, budget);
    statement.conditions().iter().fold(resource, |truth, condition| {
        if truth == Truth::False { truth } else { truth.and(condition.holds(asked.request.context, budget)) }
    })
}

/// Whether the action is selected by the statement's `Action` or `NotAction`.
fn matches_action(statement: &Statement, asked: &Asked<'_>, budget: &Budget) -> bool {
    let patterns = &statement.actions.patterns;
    budget.charge(10 + 20 * patterns.len());
    !budget.is_spent()
        && patterns.iter().any(|pattern| pattern.matches(&asked.service, &asked.name)) != statement.actions.inverted
}

fn matches_resource(statement: &Statement, asked: &Asked<'_>, budget: &Budget) -> Truth {
    let matches = |pattern: &ResourcePattern| {
        budget.charge(pattern.effort());
        if budget.is_spent() {
            return Truth::Unknown;
        }
        pattern.scope(asked.request.context, Reach::Documented).matches(asked.request.resource, budget)
    };
    let any = Truth::any(statement.resources.patterns.iter().map(matches));
    if statement.resources.inverted { any.not() } else { any }
}

/// Whether the statement applies, and the sentence that says why.
pub(crate) fn explain(statement: &Statement, asked: &Asked<'_>, budget: &Budget) -> (Truth, String) {
    let Request { action, resource: on, context } = asked.request;
    let misses = |inverted, name: &str, what: &str| {
        if inverted { format!("its Not{name} excepts {what}") } else { format!("its {name} does not cover {what}") }
    };
    if !matches_action(statement, asked, budget) {
        return (Truth::False, misses(statement.actions.inverted, "Action", action));
    }
    let resource = matches_resource(statement, asked, budget);
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
