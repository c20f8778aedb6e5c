//! Conditions: what a statement asks of the request context.
//!
//! AWS: IAM user guide, "IAM JSON policy elements: Condition operators", "Conditions with multiple context keys or
//! values", "Single-valued vs. multivalued context keys".

mod binary;
mod date;
mod network;
mod number;
mod operator;

use std::collections::BTreeSet;

pub(crate) use self::date::Instant;
pub use self::operator::{Operator, Qualifier};

use self::binary::decode_base64;
use self::network::Network;
use self::number::Decimal;
use self::operator::Comparison;
use crate::arn::condition_glob;
use crate::budget::Budget;
use crate::context::{Context, Known};
use crate::glob::{Glob, Token};
use crate::problem::{Class, Level};
use crate::truth::Truth;
use crate::variable::{Filled, Piece, Template};

/// One operator applied to one key: `"StringEquals": {"aws:username": ["a", "b"]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    operator: Operator,
    key: String,
    values: Vec<(String, Template)>,
}

/// Equal for conditions that ask the same: keys are compared without case, and values are a set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Fingerprint {
    operator: Operator,
    key: String,
    values: BTreeSet<String>,
    variables: bool,
}

impl Condition {
    pub(crate) const fn new(operator: Operator, key: String, values: Vec<(String, Template)>) -> Self {
        Self { operator, key, values }
    }

    /// The operator with its qualifier and suffix.
    pub const fn operator(&self) -> Operator {
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

    /// What the condition asks; `variables` is whether its document has any.
    pub(crate) fn fingerprint(&self, variables: bool) -> Fingerprint {
        Fingerprint {
            operator: self.operator,
            key: self.key.to_ascii_lowercase(),
            values: self.values().map(str::to_owned).collect(),
            variables,
        }
    }

    /// Whether the condition holds in this context.
    pub(crate) fn holds(&self, context: &Context, budget: &Budget) -> Truth {
        budget.charge(100);
        let known = context.look_up(&self.key);
        if self.operator.test.comparison == Comparison::Null {
            return self.holds_null(&known);
        }
        let values = match &known {
            Known::Unknown => return Truth::Unknown,
            Known::Absent => return self.holds_when_absent().into(),
            Known::One(value) => std::slice::from_ref(value),
            Known::Many(values) => values.as_slice(),
        };
        // "A null data set, such as an empty string": the same as no values.
        let is_null = values.iter().all(String::is_empty);
        let fits = values.iter().map(|value| self.accepts(value, context, budget));
        match self.operator.qualifier {
            Some(Qualifier::ForAllValues) if is_null => Truth::True,
            Some(Qualifier::ForAnyValue) if is_null => Truth::False,
            Some(Qualifier::ForAllValues) => Truth::all(fits),
            Some(Qualifier::ForAnyValue) => Truth::any(fits),
            // AWS says of an empty list both that the condition is true and that the statement permits nothing.
            None if self.values.is_empty() && !self.operator.if_exists => Truth::Unknown,
            None => match values.len() {
                0 => self.operator.test.negated.into(),
                1 => Truth::any(fits),
                // A multivalued key needs a qualifier; what happens without one is not documented.
                _ => {
                    let fits: Vec<Truth> = fits.collect();
                    if fits.iter().all(|fit| *fit == fits[0]) { fits[0] } else { Truth::Unknown }
                }
            },
        }
    }

    const fn holds_when_absent(&self) -> bool {
        if self.operator.if_exists {
            return true;
        }
        match self.operator.qualifier {
            Some(Qualifier::ForAllValues) => true,
            Some(Qualifier::ForAnyValue) => false,
            None => self.operator.test.negated,
        }
    }

    /// `Null: true` asks that the key is absent; an empty set counts as absent ("the key exists and its value is not
    /// null").
    fn holds_null(&self, known: &Known) -> Truth {
        if self.operator.is_qualified_null() {
            return self.operator.is_always_true().into();
        }
        let absent = match known {
            Known::Unknown => return Truth::Unknown,
            Known::Absent => true,
            Known::Many(values) => values.is_empty(),
            Known::One(_) => false,
        };
        Truth::any(self.values().map(|value| value.eq_ignore_ascii_case(if absent { "true" } else { "false" }).into()))
    }

    /// Whether one value of the request fits: one of ours, or with a negated operator none of them.
    fn accepts(&self, value: &str, context: &Context, budget: &Budget) -> Truth {
        let compare = |(raw, template): &(String, Template)| {
            budget.charge(50 + 20 * template.size());
            self.compare(raw, template, value, context, budget)
        };
        let any = Truth::any(self.values.iter().map(compare));
        if self.operator.test.negated { any.not() } else { any }
    }

    /// Compares one value of the policy with one of the request, without the negation.
    fn compare(&self, raw: &str, template: &Template, value: &str, context: &Context, budget: &Budget) -> Truth {
        match self.operator.test.comparison {
            Comparison::StringEquals => {
                compare_filled(&template.fill(context), |pieces| budget.matches(&to_text(pieces), value))
            }
            Comparison::StringEqualsIgnoreCase => compare_filled(&template.fill(context), |pieces| {
                let pieces: Vec<Piece> = pieces.iter().flat_map(|piece| lower(*piece)).collect();
                budget.matches(&to_text(&pieces), &value.chars().flat_map(char::to_lowercase).collect::<String>())
            }),
            Comparison::StringLike => {
                compare_filled(&template.fill(context), |pieces| budget.matches(&to_pattern(pieces), value))
            }
            Comparison::Arn => {
                compare_filled(&template.fill(context), |pieces| budget.matches(&condition_glob(pieces), value))
            }
            Comparison::Numeric(order) => {
                compare_parsed(Decimal::parse(value), Decimal::parse(raw), |left, right| order.holds(left.cmp(right)))
            }
            Comparison::Date(order) => {
                compare_parsed(Instant::parse(value), Instant::parse(raw), |left, right| order.holds(left.cmp(right)))
            }
            Comparison::Bool => (is_bool(raw) && raw.eq_ignore_ascii_case(value)).into(),
            Comparison::Binary => compare_parsed(decode_base64(value), decode_base64(raw), |left, right| left == right),
            Comparison::IpAddress => {
                compare_parsed(value.parse().ok(), Network::parse(raw), |address, network| network.contains(*address))
            }
            Comparison::Null => Truth::False,
        }
    }
}

/// Why a value can never match, and what to write; `None` if it can.
pub(crate) fn value_fault(operator: Operator, raw: &str) -> Option<(String, &'static str)> {
    let wrong = |what: &str, remedy| Some((format!("{raw:?} is not {what}, so {operator} never matches it."), remedy));
    match operator.test.comparison {
        Comparison::Numeric(_) if Decimal::parse(raw).is_none() => {
            wrong("a number", "Write an integer or a decimal number.")
        }
        Comparison::Date(_) if Instant::parse(raw).is_none() => {
            wrong("a date", "Write 2026-11-23T00:00:00Z, or seconds since 1970.")
        }
        Comparison::Bool | Comparison::Null if !is_bool(raw) => wrong("a boolean", "Write \"true\" or \"false\"."),
        Comparison::Binary if decode_base64(raw).is_none() => wrong("base64", "Encode the bytes in base64."),
        Comparison::IpAddress if Network::parse(raw).is_none() => {
            wrong("an address or network", "Write 203.0.113.0/24 or 2001:db8::/32.")
        }
        _ => None,
    }
}

/// What is wrong with how many values a condition has: class, message, remedy.
pub(crate) fn list_fault(operator: Operator, count: usize) -> Option<(Level, (Class, &'static str, &'static str))> {
    let boolean = matches!(operator.test.comparison, Comparison::Bool | Comparison::Null);
    match count {
        0 => Some((
            Level::Suggestion,
            (Class::EmptyArray, "The condition has no values.", "Name at least one, or remove the condition."),
        )),
        2.. if boolean => Some((
            Level::Warning,
            (Class::ConditionValue, "A boolean condition has several values.", "Write \"true\" or \"false\"."),
        )),
        _ => None,
    }
}

fn is_bool(text: &str) -> bool {
    text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false")
}

fn compare_filled(filled: &Filled, fits: impl Fn(&[Piece]) -> bool) -> Truth {
    match filled {
        Filled::Exact(pieces) => fits(pieces).into(),
        Filled::Loose(_) => Truth::Unknown,
        Filled::Nothing => Truth::False,
    }
}

fn compare_parsed<L, R>(left: Option<L>, right: Option<R>, fits: impl Fn(&L, &R) -> bool) -> Truth {
    match (left, right) {
        (Some(left), Some(right)) => fits(&left, &right).into(),
        _ => Truth::False,
    }
}

/// Without wildcards: a star is a star.
fn to_text(pieces: &[Piece]) -> Glob {
    Glob::new(pieces.iter().map(|piece| match piece {
        Piece::Text(character) | Piece::Value(character) => Token::Literal(*character),
        Piece::One => Token::Literal('?'),
        Piece::Many => Token::Literal('*'),
    }))
}

fn to_pattern(pieces: &[Piece]) -> Glob {
    Glob::new(pieces.iter().map(|piece| match piece {
        Piece::Text(character) | Piece::Value(character) => Token::Literal(*character),
        Piece::One => Token::One,
        Piece::Many => Token::Many,
    }))
}

fn lower(piece: Piece) -> Vec<Piece> {
    match piece {
        Piece::Text(character) | Piece::Value(character) => character.to_lowercase().map(Piece::Value).collect(),
        wildcard => vec![wildcard],
    }
}
