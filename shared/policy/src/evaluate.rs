//! Does a set of policies allow a request, and which statement decides?
//!
//! AWS: IAM user guide, "Policy evaluation logic": an explicit deny wins, then an allow, otherwise the request is denied implicitly.

use std::fmt;

use serde::Serialize;

use crate::action::split_action;
use crate::arn::Reach;
use crate::condition::Condition;
use crate::context::Context;
use crate::document::{Document, Effect, Statement};
use crate::truth::Truth;

/// What somebody asks of AWS.
#[derive(Debug, Clone)]
pub struct Request<'r> {
    /// Service and action, `ses:SendEmail`, in any case.
    pub action: &'r str,
    /// The ARN it is about; `*` for actions without resource.
    pub resource: &'r str,
    /// The context keys of the request.
    pub context: &'r Context,
}

/// The answer, and who gave it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::ImplicitDeny => "implicitDeny",
            Self::ExplicitDeny => "explicitDeny",
        }
    }
}

/// A statement, by its place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Applies {
    /// It does.
    Yes,
    /// It does not.
    No,
    /// It depends on context keys that are not known.
    Unknown,
}

/// Decides a request as IAM would for a principal with these identity policies (and no boundary, session or organization policy).
///
/// In a [partial](Context::partial) context the answer is the lower bound: an allow that cannot be proven is none, a deny that cannot be
/// excluded counts.
#[must_use]
pub fn evaluate(documents: &[Document], request: &Request<'_>) -> Decision {
    let (service, name) = split_action(request.action);
    let mut considered = Vec::new();
    let (mut allow, mut deny) = (None, None);
    for (document, statement, text) in all_statements(documents) {
        let (truth, reason) = explain(text, &service, &name, request);
        let reference = StatementRef::new(document, statement, text);
        match text.effect() {
            Effect::Allow if truth == Truth::True => allow = allow.or_else(|| Some(reference.clone())),
            Effect::Deny if truth != Truth::False => deny = deny.or_else(|| Some(reference.clone())),
            _ => {}
        }
        considered.push(Considered {
            statement: reference,
            effect: if text.effect() == Effect::Allow { "Allow" } else { "Deny" },
            applies: match truth {
                Truth::True => Applies::Yes,
                Truth::Unknown => Applies::Unknown,
                Truth::False => Applies::No,
            },
            reason,
        });
    }
    let (outcome, by) = match (deny, allow) {
        (Some(deny), _) => (Outcome::ExplicitDeny, Some(deny)),
        (None, Some(allow)) => (Outcome::Allow, Some(allow)),
        (None, None) => (Outcome::ImplicitDeny, None),
    };
    Decision { outcome, by, considered }
}

/// The upper bound: whether the policies allow the request in some context that agrees with `request.context`, taking every condition
/// of an allow as met and every condition of a deny as not met.
///
/// This is what [findings](crate::Finding) are made of, and how their witnesses are confirmed.
#[must_use]
pub fn may_allow(documents: &[Document], request: &Request<'_>) -> bool {
    let (service, name) = split_action(request.action);
    let applies = |statement: &Statement, at_least: Truth| {
        let resource = || matches_resource(statement, request.resource, request.context);
        matches_action(statement, &service, &name)
            && matches!((resource(), at_least), (Truth::True, _) | (Truth::Unknown, Truth::Unknown))
    };
    let of = |effect: Effect| {
        all_statements(documents)
            .map(|(_, _, statement)| statement)
            .filter(move |statement| statement.effect() == effect)
    };
    of(Effect::Allow).any(|statement| applies(statement, Truth::Unknown))
        && !of(Effect::Deny).any(|statement| statement.conditions().is_empty() && applies(statement, Truth::True))
}

pub(crate) fn all_statements(documents: &[Document]) -> impl Iterator<Item = (usize, usize, &Statement)> {
    documents.iter().enumerate().flat_map(|(document, text)| {
        text.statements().iter().enumerate().map(move |(index, statement)| (document, index, statement))
    })
}

/// Whether the lower-case action is selected by the statement's `Action` or `NotAction`.
pub(crate) fn matches_action(statement: &Statement, service: &str, name: &str) -> bool {
    statement.actions.patterns.iter().any(|pattern| pattern.matches(service, name)) != statement.actions.inverted
}

fn matches_resource(statement: &Statement, resource: &str, context: &Context) -> Truth {
    let patterns = &statement.resources.patterns;
    let any = Truth::any(patterns.iter().map(|pattern| pattern.scope(context, Reach::Documented).matches(resource)));
    if statement.resources.inverted { any.not() } else { any }
}

/// What [`evaluate`] decides, without the reasons.
pub(crate) fn is_allowed(documents: &[Document], request: &Request<'_>) -> bool {
    let mut allowed = false;
    for (_, _, statement) in all_statements(documents) {
        match (statement.effect(), applies(statement, request)) {
            (Effect::Allow, Truth::True) => allowed = true,
            (Effect::Deny, Truth::True | Truth::Unknown) => return false,
            _ => {}
        }
    }
    allowed
}

/// Whether the statement applies to the request.
pub(crate) fn applies(statement: &Statement, request: &Request<'_>) -> Truth {
    let (service, name) = split_action(request.action);
    if !matches_action(statement, &service, &name) {
        return Truth::False;
    }
    let resource = matches_resource(statement, request.resource, request.context);
    statement.conditions().iter().fold(resource, |truth, condition| {
        if truth == Truth::False { truth } else { truth.and(condition.holds(request.context)) }
    })
}

/// Whether the statement applies, and the sentence that says why.
fn explain(statement: &Statement, service: &str, name: &str, request: &Request<'_>) -> (Truth, String) {
    let misses = |inverted, name: &str, what: &str| {
        if inverted { format!("its Not{name} excepts {what}") } else { format!("its {name} does not cover {what}") }
    };
    if !matches_action(statement, service, name) {
        return (Truth::False, misses(statement.actions.inverted, "Action", request.action));
    }
    let resource = matches_resource(statement, request.resource, request.context);
    if resource == Truth::False {
        return (Truth::False, misses(statement.resources.inverted, "Resource", request.resource));
    }
    let mut truth = resource;
    let mut open: Option<&Condition> = None;
    for condition in statement.conditions() {
        let holds = condition.holds(request.context);
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
