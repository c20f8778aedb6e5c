//! Condition operators: qualifier, comparison, `IfExists`.

use std::cmp::Ordering;
use std::fmt;

/// A condition operator, such as `ForAnyValue:StringLikeIfExists`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Operator {
    pub(crate) qualifier: Option<Qualifier>,
    pub(crate) test: Test,
    pub(crate) if_exists: bool,
}

/// How the values of a multivalued key are taken together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qualifier {
    /// Every value of the request must fit; true if there is none.
    ForAllValues,
    /// At least one value of the request must fit; false if there is none.
    ForAnyValue,
}

/// An entry of the table of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Test {
    pub(crate) name: &'static str,
    pub(crate) comparison: Comparison,
    pub(crate) negated: bool,
}

/// What is compared, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Comparison {
    StringEquals,
    StringEqualsIgnoreCase,
    StringLike,
    Numeric(Order),
    Date(Order),
    Bool,
    Binary,
    IpAddress,
    /// `ArnEquals` and `ArnLike` behave identically.
    Arn,
    Null,
}

/// Which orders of request value and policy value fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Order {
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

const fn test(name: &'static str, comparison: Comparison) -> Test {
    Test { name, comparison, negated: false }
}

const fn negated(name: &'static str, comparison: Comparison) -> Test {
    Test { name, comparison, negated: true }
}

const TESTS: [Test; 27] = [
    test("StringEquals", Comparison::StringEquals),
    negated("StringNotEquals", Comparison::StringEquals),
    test("StringEqualsIgnoreCase", Comparison::StringEqualsIgnoreCase),
    negated("StringNotEqualsIgnoreCase", Comparison::StringEqualsIgnoreCase),
    test("StringLike", Comparison::StringLike),
    negated("StringNotLike", Comparison::StringLike),
    test("NumericEquals", Comparison::Numeric(Order::Equal)),
    negated("NumericNotEquals", Comparison::Numeric(Order::Equal)),
    test("NumericLessThan", Comparison::Numeric(Order::Less)),
    test("NumericLessThanEquals", Comparison::Numeric(Order::LessOrEqual)),
    test("NumericGreaterThan", Comparison::Numeric(Order::Greater)),
    test("NumericGreaterThanEquals", Comparison::Numeric(Order::GreaterOrEqual)),
    test("DateEquals", Comparison::Date(Order::Equal)),
    negated("DateNotEquals", Comparison::Date(Order::Equal)),
    test("DateLessThan", Comparison::Date(Order::Less)),
    test("DateLessThanEquals", Comparison::Date(Order::LessOrEqual)),
    test("DateGreaterThan", Comparison::Date(Order::Greater)),
    test("DateGreaterThanEquals", Comparison::Date(Order::GreaterOrEqual)),
    test("Bool", Comparison::Bool),
    test("BinaryEquals", Comparison::Binary),
    test("IpAddress", Comparison::IpAddress),
    negated("NotIpAddress", Comparison::IpAddress),
    test("ArnEquals", Comparison::Arn),
    test("ArnLike", Comparison::Arn),
    negated("ArnNotEquals", Comparison::Arn),
    negated("ArnNotLike", Comparison::Arn),
    test("Null", Comparison::Null),
];

impl Operator {
    /// Reads an operator as written in a policy.
    ///
    /// # Errors
    /// A sentence with what to write instead, if one comes to mind.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (qualifier, rest) = match text.split_once(':') {
            None => (None, text),
            Some(("ForAllValues", rest)) => (Some(Qualifier::ForAllValues), rest),
            Some(("ForAnyValue", rest)) => (Some(Qualifier::ForAnyValue), rest),
            Some(_) => return Err("A qualifier is \"ForAllValues:\" or \"ForAnyValue:\".".to_owned()),
        };
        let (name, if_exists) = rest.strip_suffix("IfExists").map_or((rest, false), |name| (name, true));
        let Some(test) = TESTS.iter().find(|test| test.name == name) else {
            return Err(match TESTS.iter().find(|test| test.name.eq_ignore_ascii_case(name)) {
                Some(test) => format!("Write it as {:?}.", test.name),
                None => "Use one of AWS's condition operators, such as \"StringEquals\" or \"IpAddress\".".to_owned(),
            });
        };
        if test.comparison == Comparison::Null && if_exists {
            return Err("\"Null\" already asks whether the key exists: write it alone.".to_owned());
        }
        Ok(Self { qualifier, test: *test, if_exists })
    }

    /// Whether it is `Null` with a qualifier: IAM takes it, and its value does not matter.
    pub(crate) fn is_qualified_null(self) -> bool {
        self.test.comparison == Comparison::Null && self.qualifier.is_some()
    }

    /// What a qualified `Null` always is (AWS: "Access Analyzer policy check reference", "Null with qualifier").
    pub(crate) fn is_always_true(self) -> bool {
        self.qualifier == Some(Qualifier::ForAllValues)
    }

    /// Whether `${…}` in its values is a variable (AWS: IAM user guide, "Policy variables": string and ARN operators).
    pub(crate) const fn takes_variables(self) -> bool {
        use Comparison as C;
        matches!(self.test.comparison, C::StringEquals | C::StringEqualsIgnoreCase | C::StringLike | C::Arn)
    }
}

impl fmt::Display for Operator {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.qualifier {
            Some(Qualifier::ForAllValues) => out.write_str("ForAllValues:")?,
            Some(Qualifier::ForAnyValue) => out.write_str("ForAnyValue:")?,
            None => {}
        }
        out.write_str(self.test.name)?;
        if self.if_exists { out.write_str("IfExists") } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operator_reads_what_it_prints() {
        for test in TESTS {
            for prefix in ["", "ForAllValues:", "ForAnyValue:"] {
                for suffix in ["", "IfExists"] {
                    let text = format!("{prefix}{}{suffix}", test.name);
                    match Operator::parse(&text) {
                        Ok(operator) => assert_eq!(operator.to_string(), text),
                        Err(_) => assert!(test.name == "Null" && !suffix.is_empty(), "{text}"),
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
            assert!(Operator::parse(text).is_err(), "{text}");
        }
    }
}
