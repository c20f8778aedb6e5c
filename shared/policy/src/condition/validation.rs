//! Values that a condition operator can never match, and lists of the wrong length.

use super::binary::decode_base64;
use super::boolean::is_boolean;
use super::date::Instant;
use super::network::Network;
use super::number::Decimal;
use super::operator::{ComparisonKind, ConditionOperator};
use crate::problem::{ProblemClass, ProblemLevel};

/// Why a value can never match, and what to write instead; `None` if it can match.
pub(crate) fn value_problem(operator: ConditionOperator, raw: &str) -> Option<(String, &'static str)> {
    let wrong = |what: &str, remedy| Some((format!("{raw:?} is not {what}, so {operator} never matches it."), remedy));
    match operator.spec.comparison {
        ComparisonKind::Numeric(_) if Decimal::parse(raw).is_none() => {
            wrong("a number", "Write an integer or a decimal number.")
        }
        ComparisonKind::Date(_) if Instant::parse(raw).is_none() => {
            wrong("a date", "Write 2026-11-23T00:00:00Z, or seconds since 1970.")
        }
        ComparisonKind::Bool | ComparisonKind::Null if !is_boolean(raw) => {
            wrong("a boolean", "Write \"true\" or \"false\".")
        }
        ComparisonKind::Binary if decode_base64(raw).is_none() => wrong("base64", "Encode the bytes in base64."),
        ComparisonKind::IpAddress if Network::parse(raw).is_none() => {
            wrong("an address or network", "Write 203.0.113.0/24 or 2001:db8::/32.")
        }
        _ => None,
    }
}

/// What is wrong with the number of values of a condition: class, message, remedy.
pub(crate) fn list_problem(
    operator: ConditionOperator,
    count: usize,
) -> Option<(ProblemLevel, (ProblemClass, &'static str, &'static str))> {
    let boolean = matches!(operator.spec.comparison, ComparisonKind::Bool | ComparisonKind::Null);
    match count {
        0 => Some((
            ProblemLevel::Suggestion,
            (ProblemClass::EmptyArray, "The condition has no values.", "Name at least one, or remove the condition."),
        )),
        2.. if boolean => Some((
            ProblemLevel::Warning,
            (ProblemClass::ConditionValue, "A boolean condition has several values.", "Write \"true\" or \"false\"."),
        )),
        _ => None,
    }
}
