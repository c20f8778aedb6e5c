//! The `Condition` element: operators, keys, values.

use super::elements::{DocumentParser, Parsed};
use crate::condition::{Condition, ConditionOperator, list_problem, value_problem};
use crate::document::pointer::JsonPointer;
use crate::json::{JsonValue, Member};
use crate::problem::{ProblemClass, ProblemLevel};
use crate::variable::PolicyString;

impl DocumentParser<'_> {
    pub(super) fn conditions(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<Vec<Condition>> {
        let operators = self.object(node, pointer, "Condition")?;
        self.check_duplicates(operators, pointer, str::to_owned);
        let mut conditions = Vec::new();
        for member in operators {
            let pointer = pointer.key(&member.name);
            let Some(keys) = self.object(member.node, &pointer, "A condition operator's value") else {
                conditions.push(None);
                continue;
            };
            // IAM accepts an operator without keys, whatever its name; it requires nothing (recorded in moto's test
            // vectors).
            if keys.is_empty() {
                continue;
            }
            match ConditionOperator::parse(&member.name) {
                Ok(operator) => {
                    if operator.is_qualified_null() {
                        let message = format!("{operator} is always {}.", operator.is_always_true());
                        let diagnosis =
                            (ProblemClass::InvalidOperator, message.as_str(), "Write \"Null\" without qualifier.");
                        self.note(member.node, &pointer, ProblemLevel::Suggestion, diagnosis);
                    }
                    self.check_duplicates(keys, &pointer, str::to_ascii_lowercase);
                    conditions.extend(keys.iter().map(|key| self.condition(operator, key, &pointer.key(&key.name))));
                }
                Err(remedy) => {
                    let message = format!("There is no condition operator {:?}.", member.name);
                    conditions.push(self.fail(
                        member.node,
                        &pointer,
                        (ProblemClass::InvalidOperator, &message, &remedy),
                    ));
                }
            }
        }
        conditions.into_iter().collect()
    }

    fn condition(&mut self, operator: ConditionOperator, key: &Member, pointer: &JsonPointer<'_>) -> Parsed<Condition> {
        let values: Vec<Parsed<(String, PolicyString)>> = match self.tree.value(key.node) {
            JsonValue::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.condition_value(operator, *item, &pointer.index(index)))
                .collect(),
            _ => vec![self.condition_value(operator, key.node, pointer)],
        };
        if let Some((level, diagnosis)) = list_problem(operator, values.len()) {
            self.note(key.node, pointer, level, diagnosis);
        }
        Some(Condition::new(operator, key.name.clone(), values.into_iter().collect::<Option<_>>()?))
    }

    /// A string; quotation marks around numbers and booleans are optional.
    fn condition_value(
        &mut self,
        operator: ConditionOperator,
        node: usize,
        pointer: &JsonPointer<'_>,
    ) -> Parsed<(String, PolicyString)> {
        let raw = match self.tree.value(node) {
            JsonValue::String(text) => text.clone(),
            JsonValue::Number(range) => self.tree.slice(range).to_owned(),
            JsonValue::Bool(value) => value.to_string(),
            other => {
                let message = format!("A condition value is {}.", other.type_name());
                return self.fail(
                    node,
                    pointer,
                    (ProblemClass::DataType, &message, "Write a string, or a list of strings."),
                );
            }
        };
        if let Some((message, remedy)) = value_problem(operator, &raw) {
            self.note(node, pointer, ProblemLevel::Warning, (ProblemClass::ConditionValue, &message, remedy));
        }
        let string = if operator.takes_variables() {
            self.policy_string(&raw, node, pointer)?
        } else {
            PolicyString::parse_plain(&raw)
        };
        Some((raw, string))
    }
}
