//! The elements of a statement, except for `Condition`.

use super::elements::{DocumentParser, Parsed, find};
use crate::action::ActionPattern;
use crate::document::pointer::JsonPointer;
use crate::document::{Effect, PatternSelection, Statement};
use crate::json::JsonValue;
use crate::problem::{ProblemClass, ProblemLevel};
use crate::resource::{ResourcePattern, format_problem};
use crate::variable::PolicyString;

const STATEMENT_ELEMENTS: [&str; 7] = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];

impl DocumentParser<'_> {
    pub(super) fn statement(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<Statement> {
        let members = self.object(node, pointer, "A statement")?;
        self.check_names(members, pointer, &STATEMENT_ELEMENTS);
        let sid = find(members, "Sid").map(|sid| self.sid(sid, &pointer.key("Sid")));
        let effect = match find(members, "Effect") {
            Some(effect) => self.effect(effect, &pointer.key("Effect")),
            None => self.fail(
                node,
                pointer,
                (ProblemClass::MissingEffect, "The statement has no Effect.", "Add \"Effect\": \"Allow\" or \"Deny\"."),
            ),
        };
        let actions = self.selection(node, pointer, ["Action", "NotAction"], ProblemClass::MissingAction, Self::action);
        let resources =
            self.selection(node, pointer, ["Resource", "NotResource"], ProblemClass::MissingResource, Self::resource);
        let conditions = match find(members, "Condition") {
            Some(condition) => self.conditions(condition, &pointer.key("Condition")),
            None => Some(Vec::new()),
        };
        Some(Statement {
            sid: match sid {
                Some(sid) => Some(sid?),
                None => None,
            },
            effect: effect?,
            actions: actions?,
            resources: resources?,
            conditions: conditions?,
            line: self.line(node),
            has_variables: self.version.has_variables(),
        })
    }

    fn sid(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<String> {
        let sid = self.string(node, pointer, "Sid")?;
        if sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(sid.to_owned());
        }
        let message = format!("The Sid {sid:?} holds other characters than letters and digits.");
        self.fail(node, pointer, (ProblemClass::SidFormat, &message, "Use A-Z, a-z and 0-9 only."))
    }

    fn effect(&mut self, node: usize, pointer: &JsonPointer<'_>) -> Parsed<Effect> {
        match self.string(node, pointer, "Effect")? {
            "Allow" => Some(Effect::Allow),
            "Deny" => Some(Effect::Deny),
            other => self.fail(
                node,
                pointer,
                (
                    ProblemClass::InvalidEffect,
                    &format!("There is no Effect {other:?}."),
                    "Write \"Allow\" or \"Deny\", in this case.",
                ),
            ),
        }
    }

    /// Reads an element or its `Not` form: a string or a list of strings.
    fn selection<P>(
        &mut self,
        statement: usize,
        pointer: &JsonPointer<'_>,
        [plain, inverted]: [&'static str; 2],
        missing: ProblemClass,
        read: impl Fn(&mut Self, usize, &JsonPointer<'_>, &'static str) -> Parsed<P>,
    ) -> Parsed<PatternSelection<P>> {
        let members = self.object(statement, pointer, "A statement")?;
        let (name, node) = match (find(members, plain), find(members, inverted)) {
            (Some(node), None) => (plain, node),
            (None, Some(node)) => (inverted, node),
            (Some(own), Some(node)) => {
                let message = format!("The statement has both {plain} and {inverted}.");
                self.note(
                    node,
                    &pointer.key(inverted),
                    ProblemLevel::Error,
                    (ProblemClass::ElementCombination, &message, "Keep one of them; two statements can say both."),
                );
                // What is wrong within them is reported as well.
                self.patterns(own, &pointer.key(plain), plain, &read);
                self.patterns(node, &pointer.key(inverted), inverted, &read);
                return None;
            }
            (None, None) => {
                let message = format!("The statement has neither {plain} nor {inverted}.");
                return self.fail(statement, pointer, (missing, &message, &format!("Add \"{plain}\".")));
            }
        };
        let patterns = self.patterns(node, &pointer.key(name), name, &read)?;
        Some(PatternSelection { inverted: name == inverted, patterns })
    }

    /// Reads a pattern or a list of patterns.
    fn patterns<P>(
        &mut self,
        node: usize,
        pointer: &JsonPointer<'_>,
        name: &'static str,
        read: &impl Fn(&mut Self, usize, &JsonPointer<'_>, &'static str) -> Parsed<P>,
    ) -> Parsed<Vec<P>> {
        let patterns: Vec<Parsed<P>> = match self.tree.value(node) {
            JsonValue::Array(items) if items.is_empty() => {
                let message = format!("The list of {name} is empty.");
                return self.fail(
                    node,
                    pointer,
                    (ProblemClass::EmptyArray, &message, "Name at least one, or remove the statement."),
                );
            }
            JsonValue::Array(items) => {
                items.iter().enumerate().map(|(index, item)| read(self, *item, &pointer.index(index), name)).collect()
            }
            _ => vec![read(self, node, pointer, name)],
        };
        patterns.into_iter().collect()
    }

    fn action(&mut self, node: usize, pointer: &JsonPointer<'_>, name: &'static str) -> Parsed<ActionPattern> {
        let raw = self.string(node, pointer, name)?;
        if raw.contains("${") {
            let remedy = "Variables work in resources and conditions only: write the action out.";
            return self.fail(
                node,
                pointer,
                (ProblemClass::VariableInAction, &format!("{name} holds a policy variable."), remedy),
            );
        }
        match ActionPattern::parse(raw) {
            Ok(pattern) => Some(pattern),
            Err((message, remedy)) => self.fail(node, pointer, (ProblemClass::ActionFormat, &message, &remedy)),
        }
    }

    fn resource(&mut self, node: usize, pointer: &JsonPointer<'_>, name: &'static str) -> Parsed<ResourcePattern> {
        let raw = self.string(node, pointer, name)?;
        let string = self.policy_string(raw, node, pointer)?;
        if let Some((level, message, remedy)) = format_problem(raw, &string) {
            self.note(node, pointer, level, (ProblemClass::ResourceFormat, &message, &remedy));
            if level == ProblemLevel::Error {
                return None;
            }
        }
        Some(ResourcePattern::new(raw, string))
    }

    /// A string that may contain policy variables, if the document's version has them.
    pub(super) fn policy_string(&mut self, raw: &str, node: usize, pointer: &JsonPointer<'_>) -> Parsed<PolicyString> {
        if !self.version.has_variables() {
            if raw.contains("${") {
                let message = "Without Version 2012-10-17, a policy variable is plain text.";
                self.note(
                    node,
                    pointer,
                    ProblemLevel::Warning,
                    (ProblemClass::VariableIn2008, message, "Set \"Version\": \"2012-10-17\"."),
                );
            }
            return Some(PolicyString::parse_plain(raw));
        }
        match PolicyString::parse(raw) {
            Ok(template) => Some(template),
            Err(error) => {
                let (message, remedy) = error.explain();
                self.fail(node, pointer, (ProblemClass::VariableSyntax, message, remedy))
            }
        }
    }
}
