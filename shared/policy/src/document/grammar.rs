//! From JSON to statements: the grammar, element by element, with the place of everything that is wrong.

mod condition;

use std::collections::BTreeSet;

use super::place::Place;
use super::{Document, Effect, Selection, Statement, Version};
use crate::action::ActionPattern;
use crate::arn::{self, ResourcePattern};
use crate::json::{Member, Tree, Value, line_and_column};
use crate::problem::{Class, Level, ParseError, Problem};
use crate::variable::Template;

/// Problems reported for one document; more would help nobody.
const MAX_PROBLEMS: usize = 50;

const DOCUMENT_ELEMENTS: [&str; 3] = ["Version", "Id", "Statement"];
const STATEMENT_ELEMENTS: [&str; 7] = ["Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"];

pub(super) fn read_document(tree: &Tree<'_>) -> Result<Document, ParseError> {
    let mut reader = Reader { tree, problems: Vec::new(), version: Version::Absent };
    let document = reader.document();
    let mut problems = reader.problems;
    match (document, problems.iter().position(|problem| problem.level == Level::Error)) {
        (Some(document), None) => Ok(Document { warnings: problems, ..document }),
        (_, Some(first)) => {
            let first = problems.remove(first);
            Err(ParseError::new(first, problems))
        }
        // Whatever cannot be built has left an error behind; this is the answer if that were ever wrong.
        (None, None) => Err(ParseError::new(
            Problem::at_start(Class::DataType, "The document is not a policy.", "Compare it with AWS's grammar."),
            problems,
        )),
    }
}

struct Reader<'t> {
    tree: &'t Tree<'t>,
    problems: Vec<Problem>,
    version: Version,
}

/// The outcome of reading an element: `None` has left a problem behind.
type Read<T> = Option<T>;

/// What is wrong, why, and what to do.
type Fault<'f> = (Class, &'f str, &'f str);

impl<'t> Reader<'t> {
    fn document(&mut self) -> Read<Document> {
        let place = Place::ROOT;
        let root = self.tree.root();
        let members = self.object(root, &place, "A policy")?;
        self.check_names(members, &place, &DOCUMENT_ELEMENTS);
        if let Some(version) = find(members, "Version") {
            self.version = self.version(version, &place.key("Version"))?;
        }
        let id = match find(members, "Id") {
            Some(id) => Some(self.string(id, &place.key("Id"), "Id")?.to_owned()),
            None => None,
        };
        let Some(node) = find(members, "Statement") else {
            return self.fail(
                root,
                &place,
                (Class::MissingStatement, "The policy has no Statement.", "Add \"Statement\": [ … ]."),
            );
        };
        let statements = self.statements(node, &place.key("Statement"))?;
        Some(Document { version: self.version, id, statements, warnings: Vec::new() })
    }

    fn version(&mut self, node: usize, place: &Place<'_>) -> Read<Version> {
        match self.string(node, place, "Version")? {
            "2008-10-17" => Some(Version::V2008),
            "2012-10-17" => Some(Version::V2012),
            other => self.fail(
                node,
                place,
                (Class::InvalidVersion, &format!("There is no Version {other:?}."), "Write \"2012-10-17\"."),
            ),
        }
    }

    fn statements(&mut self, node: usize, place: &Place<'_>) -> Read<Vec<Statement>> {
        let single = [node];
        let (nodes, listed) = match self.tree.value(node) {
            Value::Array(items) if items.is_empty() => {
                return self.fail(
                    node,
                    place,
                    (Class::MissingStatement, "The list of statements is empty.", "Add a statement."),
                );
            }
            Value::Array(items) => (items.as_slice(), true),
            _ => (single.as_slice(), false),
        };
        let mut statements = Vec::with_capacity(nodes.len());
        let mut sids = BTreeSet::new();
        for (index, node) in nodes.iter().enumerate() {
            let place = if listed { place.index(index) } else { *place };
            let statement = self.statement(*node, &place);
            if let Some(sid) = statement.as_ref().and_then(Statement::sid)
                && !sids.insert(sid.to_owned())
            {
                let message = format!("The Sid {sid:?} is used twice.");
                self.note(
                    *node,
                    &place.key("Sid"),
                    Level::Error,
                    (Class::SidNotUnique, &message, "Give each statement its own Sid, or none."),
                );
            }
            statements.push(statement);
        }
        statements.into_iter().collect()
    }

    fn statement(&mut self, node: usize, place: &Place<'_>) -> Read<Statement> {
        let members = self.object(node, place, "A statement")?;
        self.check_names(members, place, &STATEMENT_ELEMENTS);
        let sid = find(members, "Sid").map(|sid| self.sid(sid, &place.key("Sid")));
        let effect = match find(members, "Effect") {
            Some(effect) => self.effect(effect, &place.key("Effect")),
            None => self.fail(
                node,
                place,
                (Class::MissingEffect, "The statement has no Effect.", "Add \"Effect\": \"Allow\" or \"Deny\"."),
            ),
        };
        let actions = self.selection(node, place, ["Action", "NotAction"], Class::MissingAction, Self::action);
        let resources =
            self.selection(node, place, ["Resource", "NotResource"], Class::MissingResource, Self::resource);
        let conditions = match find(members, "Condition") {
            Some(condition) => self.conditions(condition, &place.key("Condition")),
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
            line: line_and_column(self.tree.text(), self.tree.offset(node)).0,
            variables: self.version.has_variables(),
        })
    }

    fn sid(&mut self, node: usize, place: &Place<'_>) -> Read<String> {
        let sid = self.string(node, place, "Sid")?;
        if sid.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            return Some(sid.to_owned());
        }
        let message = format!("The Sid {sid:?} holds other characters than letters and digits.");
        self.fail(node, place, (Class::SidFormat, &message, "Use A-Z, a-z and 0-9 only."))
    }

    fn effect(&mut self, node: usize, place: &Place<'_>) -> Read<Effect> {
        match self.string(node, place, "Effect")? {
            "Allow" => Some(Effect::Allow),
            "Deny" => Some(Effect::Deny),
            other => self.fail(
                node,
                place,
                (
                    Class::InvalidEffect,
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
        place: &Place<'_>,
        [plain, inverted]: [&'static str; 2],
        missing: Class,
        read: impl Fn(&mut Self, usize, &Place<'_>, &'static str) -> Read<P>,
    ) -> Read<Selection<P>> {
        let members = self.object(statement, place, "A statement")?;
        let (name, node) = match (find(members, plain), find(members, inverted)) {
            (Some(node), None) => (plain, node),
            (None, Some(node)) => (inverted, node),
            (Some(_), Some(node)) => {
                let message = format!("The statement has both {plain} and {inverted}.");
                return self.fail(
                    node,
                    &place.key(inverted),
                    (Class::ElementCombination, &message, "Keep one of them; two statements can say both."),
                );
            }
            (None, None) => {
                let message = format!("The statement has neither {plain} nor {inverted}.");
                return self.fail(statement, place, (missing, &message, &format!("Add \"{plain}\".")));
            }
        };
        let place = place.key(name);
        let patterns = match self.tree.value(node) {
            Value::Array(items) if items.is_empty() => {
                let message = format!("The list of {name} is empty.");
                return self.fail(
                    node,
                    &place,
                    (Class::EmptyArray, &message, "Name at least one, or remove the statement."),
                );
            }
            Value::Array(items) => {
                items.iter().enumerate().map(|(index, item)| read(self, *item, &place.index(index), name)).collect()
            }
            _ => vec![read(self, node, &place, name)],
        };
        Some(Selection { inverted: name == inverted, patterns: patterns.into_iter().collect::<Option<_>>()? })
    }

    fn action(&mut self, node: usize, place: &Place<'_>, name: &'static str) -> Read<ActionPattern> {
        let raw = self.string(node, place, name)?;
        if raw.contains("${") {
            let remedy = "Variables work in resources and conditions only: write the action out.";
            return self.fail(
                node,
                place,
                (Class::VariableInAction, &format!("{name} holds a policy variable."), remedy),
            );
        }
        match ActionPattern::parse(raw) {
            Ok(pattern) => Some(pattern),
            Err((message, remedy)) => self.fail(node, place, (Class::ActionFormat, &message, &remedy)),
        }
    }

    fn resource(&mut self, node: usize, place: &Place<'_>, name: &'static str) -> Read<ResourcePattern> {
        let raw = self.string(node, place, name)?;
        let template = self.template(raw, node, place)?;
        if let Some((level, message, remedy)) = arn::fault(raw, &template) {
            self.note(node, place, level, (Class::ResourceFormat, &message, &remedy));
            if level == Level::Error {
                return None;
            }
        }
        Some(ResourcePattern::new(raw, template))
    }

    fn template(&mut self, raw: &str, node: usize, place: &Place<'_>) -> Read<Template> {
        if !self.version.has_variables() {
            if raw.contains("${") {
                let message = "Without Version 2012-10-17, a policy variable is plain text.";
                self.note(
                    node,
                    place,
                    Level::Warning,
                    (Class::VariableIn2008, message, "Set \"Version\": \"2012-10-17\"."),
                );
            }
            return Some(Template::parse_plain(raw));
        }
        match Template::parse(raw) {
            Ok(template) => Some(template),
            Err(fault) => {
                let (message, remedy) = fault.explain();
                self.fail(node, place, (Class::VariableSyntax, message, remedy))
            }
        }
    }

    fn object(&mut self, node: usize, place: &Place<'_>, what: &str) -> Read<&'t [Member]> {
        match self.tree.value(node) {
            Value::Object(members) => Some(members),
            other => self.fail(
                node,
                place,
                (Class::DataType, &format!("{what} is {}, not an object.", other.type_name()), "Write { … } there."),
            ),
        }
    }

    fn string(&mut self, node: usize, place: &Place<'_>, what: &str) -> Read<&'t str> {
        match self.tree.value(node) {
            Value::String(text) => Some(text),
            other => self.fail(
                node,
                place,
                (
                    Class::DataType,
                    &format!("{what} is {}, not a string.", other.type_name()),
                    "Write a string in double quotes.",
                ),
            ),
        }
    }

    fn check_names(&mut self, members: &[Member], place: &Place<'_>, known: &[&str]) {
        self.check_duplicates(members, place, str::to_owned);
        for member in members.iter().filter(|member| !known.contains(&member.name.as_str())) {
            let name = &member.name;
            let place = place.key(name);
            if name == "Principal" || name == "NotPrincipal" {
                let message = format!("An identity policy cannot have {name}.");
                let fault = (
                    Class::PrincipalInIdentityPolicy,
                    message.as_str(),
                    "Remove it: the policy is for whom it is attached to.",
                );
                self.push(member.offset, &place, Level::Error, fault);
                continue;
            }
            let remedy = match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                Some(known) => format!("Write it as {known:?}."),
                None => format!("Remove it; the elements are {}.", known.join(", ")),
            };
            self.push(
                member.offset,
                &place,
                Level::Error,
                (Class::UnknownElement, &format!("There is no element {name:?} here."), &remedy),
            );
        }
    }

    fn check_duplicates(&mut self, members: &[Member], place: &Place<'_>, same: fn(&str) -> String) {
        let mut seen = BTreeSet::new();
        for member in members {
            if !seen.insert(same(&member.name)) {
                let message = format!("The key {:?} comes twice.", member.name);
                let fault = (Class::DuplicateKey, message.as_str(), "Keep one of them, or make one list of both.");
                self.push(member.offset, &place.key(&member.name), Level::Error, fault);
            }
        }
    }

    fn fail<T>(&mut self, node: usize, place: &Place<'_>, fault: Fault<'_>) -> Read<T> {
        self.note(node, place, Level::Error, fault);
        None
    }

    fn note(&mut self, node: usize, place: &Place<'_>, level: Level, fault: Fault<'_>) {
        self.push(self.tree.offset(node), place, level, fault);
    }

    fn push(&mut self, offset: usize, place: &Place<'_>, level: Level, (class, message, remedy): Fault<'_>) {
        // The first error is never dropped for warnings: it decides whether the document is usable.
        let full = self.problems.len() >= MAX_PROBLEMS;
        if full && (level != Level::Error || self.problems.iter().any(|problem| problem.level == Level::Error)) {
            return;
        }
        let (line, column) = line_and_column(self.tree.text(), offset);
        let pointer = place.to_string();
        self.problems.push(Problem {
            class,
            level,
            pointer,
            line,
            column,
            message: message.to_owned(),
            remedy: remedy.to_owned(),
        });
    }
}

fn find(members: &[Member], name: &str) -> Option<usize> {
    members.iter().find(|member| member.name == name).map(|member| member.node)
}
