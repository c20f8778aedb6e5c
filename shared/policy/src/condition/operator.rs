//! Condition operators: qualifier, comparison, `IfExists`.

use std::cmp::Ordering;
use std::fmt;

/// A condition operator, such as `ForAnyValue:StringLikeIfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConditionOperator {
    pub(crate) qualifier: Option<Qualifier>,
    pub(crate) spec: OperatorSpec,
    pub(crate) if_exists: bool,
}

/// How the values of a multivalued key are combined.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qualifier {
    /// Every value of the request must fit; true if there is none.
    ForAllValues,
    /// At least one value of the request must fit; false if there is none.
    ForAnyValue,
}

/// What an operator does, without qualifier and suffix. Its name is `family` and `relation` joined: `Numeric` and
/// `LessThanEquals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct OperatorSpec {
    family: &'static str,
    relation: &'static str,
    pub(crate) comparison: ComparisonKind,
    pub(crate) negated: bool,
}

/// What is compared, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum ComparisonKind {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Relation),
    Date(Relation),
    Bool,
    Binary,
    IpAddress,
    /// `ArnEquals` and `ArnLike` behave identically.
    Arn,
    Null,
}

/// How the value of the request must compare with the value of the policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Relation {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Relation {
    pub(crate) const fn holds(self, ordering: Ordering) -> bool {
        match self {
            Self::Equal => ordering.is_eq(),
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
        }
    }
}

const fn spec(family: &'static str, relation: &'static str, comparison: ComparisonKind) -> OperatorSpec {
    OperatorSpec { family, relation, comparison, negated: false }
}

const fn negated(family: &'static str, relation: &'static str, comparison: ComparisonKind) -> OperatorSpec {
    OperatorSpec { family, relation, comparison, negated: true }
}

/// All operators except those on numbers and dates.
const OPERATORS: [OperatorSpec; 15] = [
    spec("String", "Equals", ComparisonKind::StringEquals),
    negated("String", "NotEquals", ComparisonKind::StringEquals),
    spec("String", "EqualsIgnoreCase", ComparisonKind::StringEqualsIgnoreCase),
    negated("String", "NotEqualsIgnoreCase", ComparisonKind::StringEqualsIgnoreCase),
    spec("String", "Like", ComparisonKind::StringLike),
    negated("String", "NotLike", ComparisonKind::StringLike),
    spec("Arn", "Equals", ComparisonKind::Arn),
    negated("Arn", "NotEquals", ComparisonKind::Arn),
    spec("Arn", "Like", ComparisonKind::Arn),
    negated("Arn", "NotLike", ComparisonKind::Arn),
    spec("Bool", "", ComparisonKind::Bool),
    spec("Binary", "Equals", ComparisonKind::Binary),
    spec("IpAddress", "", ComparisonKind::IpAddress),
    negated("NotIpAddress", "", ComparisonKind::IpAddress),
    spec("Null", "", ComparisonKind::Null),
];

/// The operators on ordered values: `NumericEquals` to `NumericGreaterThanEquals`, `DateEquals` to
/// `DateGreaterThanEquals`.
fn ordered(family: &'static str, comparison: fn(Relation) -> ComparisonKind) -> [OperatorSpec; 6] {
    [
        spec(family, "Equals", comparison(Relation::Equal)),
        negated(family, "NotEquals", comparison(Relation::Equal)),
        spec(family, "LessThan", comparison(Relation::Less)),
        spec(family, "LessThanEquals", comparison(Relation::LessOrEqual)),
        spec(family, "GreaterThan", comparison(Relation::Greater)),
        spec(family, "GreaterThanEquals", comparison(Relation::GreaterOrEqual)),
    ]
}

fn all_operators() -> impl Iterator<Item = OperatorSpec> {
    let (numeric, date) = (ordered("Numeric", ComparisonKind::Numeric), ordered("Date", ComparisonKind::Date));
    OPERATORS.into_iter().chain(numeric).chain(date)
}

impl OperatorSpec {
    fn is_named(&self, name: &str) -> bool {
        name.strip_prefix(self.family) == Some(self.relation)
    }
}

impl fmt::Display for OperatorSpec {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}{}", self.family, self.relation)
    }
}

impl ConditionOperator {
    /// Parses an operator as written in a policy.
    ///
    /// # Errors
    /// A sentence that says what to write instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (qualifier, rest) = match text.split_once(':') {
            None => (None, text),
            Some(("ForAllValues", rest)) => (Some(Qualifier::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(Qualifier::ForAnyValue), rest),
            Some(_) => return Err("A qualifier is \"ForAllValues:\" or \"ForAnyValue:\".".to_owned()),
        };
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let Some(spec) = all_operators().find(|spec| spec.is_named(name)) else {
            let written = all_operators().map(|spec| spec.to_string()).find(|own| own.eq_ignore_ascii_case(name));
            return Err(match written {
                Some(written) => format!("Write it as {written:?}."),
                None => "Use one of AWS's condition operators, such as \"StringEquals\" or \"IpAddress\".".to_owned(),
            });
        };
        if spec.comparison == ComparisonKind::Null && if_exists {
            return Err("\"Null\" already tests whether the key exists: write it alone.".to_owned());
        }
        Ok(Self { qualifier, spec, if_exists })
    }

    /// Whether it is `Null` with a qualifier. IAM accepts that, and ignores the value.
    pub(crate) fn is_qualified_null(self) -> bool {
        self.spec.comparison == ComparisonKind::Null && self.qualifier.is_some()
    }

    /// Whether a qualified `Null` always holds; if not, it never does (AWS: "Access Analyzer policy check reference",
    /// "Null with qualifier").
    pub(crate) fn is_always_true(self) -> bool {
        self.qualifier == Some(Qualifier::ForAllValues)
    }

    /// Whether it holds for values that match none of its own.
    pub(crate) const fn is_negated(self) -> bool {
        self.spec.negated
    }

    /// Whether `${…}` in its values is a variable (AWS: IAM user guide, "Policy variables": string and ARN operators).
    pub(crate) const fn takes_variables(self) -> bool {
        use ComparisonKind as C;
        matches!(self.spec.comparison, C::StringEquals | C::StringEqualsIgnoreCase | C::StringLike | C::Arn)
    }
}

impl fmt::Display for ConditionOperator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.qualifier {
            Some(Qualifier::ForAllValues) => out.write_str("ForAllValues:")?,
            Some(Qualifier::ForAnyValue) => out.write_str("ForAnyValue:")?,
            None => {}
        }
        write!(out, "{}", self.spec)?;
        if self.if_exists { out.write_str("IfExists") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_reads_what_it_prints() {
        for spec in all_operators() {
            let name = spec.to_string();
            for prefix in ["", "ForAllValues:", "ForAnyValue:"] {
                for suffix in ["", "IfExists"] {
                    let text = format!("{prefix}{name}{suffix}");
                    match ConditionOperator::parse(&text) {
                        Ok(operator) => assert_eq!(operator.to_string(), text),
                        Err(_) => assert!(name == "Null" && !suffix.is_empty(), "{text}"),
                    }
                }
            }
        }
    }

    #[test]
    fn an_operator_that_does_not_exist_is_refused() {
        for text in [
            "",
            "StringLikes",
            "stringEquals",
            "ForAnyValue::StringEquals",
            "IfExists",
            "forAnyValue:StringEquals",
            "BinaryNotEquals",
            "BoolIfExistsIfExists",
        ] {
            assert!(ConditionOperator::parse(text).is_err(), "{text}");
        }
    }
}
