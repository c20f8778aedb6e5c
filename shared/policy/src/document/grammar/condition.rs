//! The `Condition` element: operators, keys, values.

use super::{Place, Read, Reader};
use crate::condition::{Condition, Operator, list_fault, value_fault};
use crate::json::{Member, Value};
use crate::problem::{Class, Level};
use crate::variable::Template;

impl Reader<'_> {
    pub(super) fn conditions(&mut self, node: usize, place: &Place<'_>) -> Read<Vec<Condition>> {
        let operators = self.object(node, place, "Condition")?;
        self.check_duplicates(operators, place, str::to_owned);
        let mut conditions = Vec::new();
        for member in operators {
            let place = place.key(&member.name);
            let Some(keys) = self.object(member.node, &place, "A condition operator's value") else {
                conditions.push(None);
                continue;
            };
            // IAM takes an operator without keys, whatever its name, and it asks for nothing (recorded in moto's test
            // vectors).
            if keys.is_empty() {
                continue;
            }
            match Operator::parse(&member.name) {
                Ok(operator) => {
                    if operator.is_qualified_null() {
                        let message = format!("{operator} is always {}.", operator.is_always_true());
                        let fault = (Class::InvalidOperator, message.as_str(), "Write \"Null\" without qualifier.");
                        self.note(member.node, &place, Level::Suggestion, fault);
                    }
                    self.check_duplicates(keys, &place, str::to_ascii_lowercase);
                    conditions.extend(keys.iter().map(|key| self.condition(operator, key, &place.key(&key.name))));
                }
                Err(remedy) => {
                    let message = format!("There is no condition operator {:?}.", member.name);
                    conditions.push(self.fail(member.node, &place, (Class::InvalidOperator, &message, &remedy)));
                }
            }
        }
        conditions.into_iter().collect()
    }

    fn condition(&mut self, operator: Operator, key: &Member, place: &Place<'_>) -> Read<Condition> {
        let values: Vec<Read<(String, Template)>> = match self.tree.value(key.node) {
            Value::Array(items) => items
                .iter()
                .enumerate()
                .map(|(index, item)| self.condition_value(operator, *item, &place.index(index)))
                .collect(),
            _ => vec![self.condition_value(operator, key.node, place)],
        };
        if let Some((level, fault)) = list_fault(operator, values.len()) {
            self.note(key.node, place, level, fault);
        }
        Some(Condition::new(operator, key.name.clone(), values.into_iter().collect::<Option<_>>()?))
    }

    /// A string; quotation marks around numbers and booleans are optional.
    fn condition_value(&mut self, operator: Operator, node: usize, place: &Place<'_>) -> Read<(String, Template)> {
        let raw = match self.tree.value(node) {
            Value::String(text) => text.clone(),
            Value::Number(range) => self.tree.slice(range).to_owned(),
            Value::Bool(value) => value.to_string(),
            other => {
                let message = format!("A condition value is {}.", other.type_name());
                return self.fail(node, place, (Class::DataType, &message, "Write a string, or a list of strings."));
            }
        };
        if let Some((message, remedy)) = value_fault(operator, &raw) {
            self.note(node, place, Level::Warning, (Class::ConditionValue, &message, remedy));
        }
        let template =
            if operator.takes_variables() { self.template(&raw, node, place)? } else { Template::parse_plain(&raw) };
        Some((raw, template))
    }
}
