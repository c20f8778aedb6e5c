//! Conditions: what a statement requires of the request context.
//!
//! AWS: IAM user guide, "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or
//! values", "Single-valued vs. multivalued context keys".

mod binary;
mod boolean;
mod date;
mod network;
mod number;
mod operator;
mod validation;

use std::collections::BTreeSet;

pub(crate) use self::date::Instant;
pub use self::operator::{ConditionOperator, Qualifier};
pub(crate) use self::validation::{list_problem, value_problem};

use self::binary::decode_base64;
use self::boolean::is_boolean;
use self::network::Network;
use self::number::Decimal;
use self::operator::ComparisonKind;
use crate::budget::Budget;
use crate::context::{ContextLookup, RequestContext};
use crate::glob::{Glob, Token};
use crate::resource::condition_glob;
use crate::truth::Truth;
use crate::variable::{Piece, PolicyString, ResolvedString};

/// One operator applied to one key: `"StringEquals": {"aws:username": ["a", "b"]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    operator: ConditionOperator,
    key: String,
    values: Vec<(String, PolicyString)>,
}

/// Equal for conditions that require the same: keys are compared without case, and values are a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConditionFingerprint {
    operator: ConditionOperator,
    key: String,
    values: BTreeSet<String>,
    has_variables: bool,
}

impl Condition {
    pub(crate) const fn new(operator: ConditionOperator, key: String, values: Vec<(String, PolicyString)>) -> Self {
        Self { operator, key, values }
    }

    /// The operator with its qualifier and suffix.
    pub const fn operator(&self) -> ConditionOperator {
        self.operator
    }

    /// The context key as written; keys are compared without case.
    pub fn key(&self) -> &str {
        &self.key
    }

    /// The values as written; a number or boolean is its text.
    pub fn values(&self) -> impl Iterator<Item = &str> {
        self.values.iter().map(|(raw, _)| raw.as_str())
    }

    /// What the condition requires; `has_variables` says whether its document has policy variables.
    pub(crate) fn fingerprint(&self, has_variables: bool) -> ConditionFingerprint {
        ConditionFingerprint {
            operator: self.operator,
            key: self.key.to_ascii_lowercase(),
            values: self.values().map(str::to_owned).collect(),
            has_variables,
        }
    }

    /// Whether the condition holds in this context.
    pub(crate) fn holds(&self, context: &RequestContext, budget: &Budget) -> Truth {
        budget.charge(100);
        let known = context.look_up(&self.key);
        if self.operator.spec.comparison == ComparisonKind::Null {
            return self.holds_null(&known);
        }
        if self.values.is_empty() && !self.is_decided_without_values(&known) {
            return Truth::Unknown;
        }
        let values = match &known {
            ContextLookup::Unknown => return Truth::Unknown,
            ContextLookup::Absent => return self.holds_when_absent().into(),
            ContextLookup::One(value) => std::slice::from_ref(value),
            ContextLookup::Many(values) => values.as_slice(),
        };
        // AWS: "a null data set, such as an empty string" counts as no values.
        let is_null = values.iter().all(String::is_empty);
        let fits = values.iter().map(|value| self.accepts(value, context, budget));
        match self.operator.qualifier {
            Some(Qualifier::ForAllValues) if is_null => Truth::True,
            Some(Qualifier::ForAnyValue) if is_null => Truth::False,
            Some(Qualifier::ForAllValues) => Truth::all(fits),
            Some(Qualifier::ForAnyValue) => Truth::any(fits),
            None => match values.len() {
                0 => self.operator.spec.negated.into(),
                1 => Truth::any(fits),
                // A multivalued key needs a qualifier. AWS does not document what happens without one.
                _ => {
                    let fits: Vec<Truth> = fits.collect();
                    if fits.iter().all(|fit| *fit == fits[0]) { fits[0] } else { Truth::Unknown }
                }
            },
        }
    }

    /// Whether the documentation decides the condition although it has no values. It does so only where the values do
    /// not matter: the key is missing or a null data set, and the operator has a qualifier or `IfExists`. About an empty
    /// list otherwise, AWS says both that the condition is true and that the statement permits nothing.
    fn is_decided_without_values(&self, known: &ContextLookup) -> bool {
        let is_null = match known {
            ContextLookup::Absent => return self.operator.if_exists || self.operator.qualifier.is_some(),
            ContextLookup::One(value) => value.is_empty(),
            ContextLookup::Many(values) => values.iter().all(String::is_empty),
            ContextLookup::Unknown => false,
        };
        is_null && self.operator.qualifier.is_some()
    }

    const fn holds_when_absent(&self) -> bool {
        if self.operator.if_exists {
            return true;
        }
        match self.operator.qualifier {
            Some(Qualifier::ForAllValues) => true,
            Some(Qualifier::ForAnyValue) => false,
            None => self.operator.spec.negated,
        }
    }

    /// `Null: true` requires that the key is absent. An empty set counts as absent (AWS: "the key exists and its value
    /// is not null").
    fn holds_null(&self, known: &ContextLookup) -> Truth {
        if self.operator.is_qualified_null() {
            return self.operator.is_always_true().into();
        }
        let absent = match known {
            _ if self.values.is_empty() => return Truth::Unknown,
            ContextLookup::Unknown => return Truth::Unknown,
            ContextLookup::Absent => true,
            ContextLookup::Many(values) => values.is_empty(),
            ContextLookup::One(_) => false,
        };
        Truth::any(self.values().map(|value| value.eq_ignore_ascii_case(if absent { "true" } else { "false" }).into()))
    }

    /// Whether one value of the request fits: it matches one value of the policy or, with a negated operator, none.
    fn accepts(&self, value: &str, context: &RequestContext, budget: &Budget) -> Truth {
        let compare = |(raw, string): &(String, PolicyString)| {
            budget.charge(50 + 20 * string.size());
            self.compare(raw, string, value, context, budget)
        };
        let any = Truth::any(self.values.iter().map(compare));
        if self.operator.spec.negated { any.not() } else { any }
    }

    /// Compares one value of the policy with one value of the request, before any negation.
    fn compare(
        &self,
        raw: &str,
        string: &PolicyString,
        value: &str,
        context: &RequestContext,
        budget: &Budget,
    ) -> Truth {
        match self.operator.spec.comparison {
            ComparisonKind::StringEquals => {
                compare_resolved(&string.resolve(context), |pieces| budget.matches(&to_literal_glob(pieces), value))
            }
            ComparisonKind::StringEqualsIgnoreCase => compare_resolved(&string.resolve(context), |pieces| {
                let pieces: Vec<Piece> = pieces.iter().flat_map(|piece| to_lowercase(*piece)).collect();
                budget
                    .matches(&to_literal_glob(&pieces), &value.chars().flat_map(char::to_lowercase).collect::<String>())
            }),
            ComparisonKind::StringLike => {
                compare_resolved(&string.resolve(context), |pieces| budget.matches(&to_glob(pieces), value))
            }
            ComparisonKind::Arn => {
                // A value of fewer than six segments is no ARN; see `compare_parsed`.
                if self.operator.spec.negated && raw != "*" && raw.matches(':').count() < 5 {
                    return Truth::Unknown;
                }
                compare_resolved(&string.resolve(context), |pieces| budget.matches(&condition_glob(pieces), value))
            }
            ComparisonKind::Numeric(order) => {
                self.compare_parsed(Decimal::parse(value), Decimal::parse(raw), |left, right| {
                    order.holds(left.cmp(right))
                })
            }
            ComparisonKind::Date(order) => {
                self.compare_parsed(Instant::parse(value), Instant::parse(raw), |left, right| {
                    order.holds(left.cmp(right))
                })
            }
            ComparisonKind::Bool => (is_boolean(raw) && raw.eq_ignore_ascii_case(value)).into(),
            ComparisonKind::Binary => {
                self.compare_parsed(decode_base64(value), decode_base64(raw), |left, right| left == right)
            }
            ComparisonKind::IpAddress => {
                self.compare_parsed(value.parse().ok(), Network::parse(raw), |address, network| {
                    network.contains(*address)
                })
            }
            ComparisonKind::Null => Truth::False,
        }
    }

    /// Compares two values that must have a format. One that does not have it never matches. With a negated operator
    /// that would make the condition true for every request, which nobody can have meant, and AWS documents it nowhere:
    /// it must neither prove a permission nor rule out a deny.
    fn compare_parsed<L, R>(&self, left: Option<L>, right: Option<R>, fits: impl Fn(&L, &R) -> bool) -> Truth {
        match (left, right) {
            (Some(left), Some(right)) => fits(&left, &right).into(),
            _ if self.operator.spec.negated => Truth::Unknown,
            _ => Truth::False,
        }
    }
}

fn compare_resolved(string: &ResolvedString, fits: impl Fn(&[Piece]) -> bool) -> Truth {
    match string {
        ResolvedString::Exact(pieces) => fits(pieces).into(),
        ResolvedString::Loose(_) => Truth::Unknown,
        ResolvedString::Nothing => Truth::False,
    }
}

/// A glob in which `*` and `?` are ordinary characters.
fn to_literal_glob(pieces: &[Piece]) -> Glob {
    Glob::new(pieces.iter().map(|piece| match piece {
        Piece::Text(character) | Piece::Value(character) => Token::Literal(*character),
        Piece::One => Token::Literal('?'),
        Piece::Many => Token::Literal('*'),
        Piece::Unknown => Token::Many,
    }))
}

/// A glob in which `*` and `?` are wildcards.
fn to_glob(pieces: &[Piece]) -> Glob {
    Glob::new(pieces.iter().map(|piece| match piece {
        Piece::Text(character) | Piece::Value(character) => Token::Literal(*character),
        Piece::One => Token::One,
        Piece::Many | Piece::Unknown => Token::Many,
    }))
}

fn to_lowercase(piece: Piece) -> Vec<Piece> {
    match piece {
        Piece::Text(character) | Piece::Value(character) => character.to_lowercase().map(Piece::Value).collect(),
        wildcard => vec![wildcard],
    }
}
