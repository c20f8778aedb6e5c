//! Reads elements with the type that the grammar requires, and keeps the problems of those that have another.

use std::collections::BTreeSet;

use super::DocumentRules;
use crate::document::Version;
use crate::document::pointer::JsonPointer;
use crate::json::{JsonTree, JsonValue, Member, line_and_column};
use crate::problem::{DocumentProblem, ProblemClass, ProblemLevel};

/// The most problems reported for one document; more would help nobody.
const MAX_PROBLEMS_OF_DOCUMENT: usize = 50;

/// Reads one document. The grammar is in the neighbouring modules.
pub(super) struct DocumentParser<'t> {
    pub(super) tree: &'t JsonTree<'t>,
    pub(super) version: Version,
    pub(super) rules: DocumentRules,
    problems: Vec<DocumentProblem>,
}

/// An element; `None` has left a problem behind.
pub(super) type Parsed<T> = Option<T>;

/// What is wrong: class, message, remedy.
pub(super) type Diagnosis<'f> = (ProblemClass, &'f str, &'f str);

impl<'t> DocumentParser<'t> {
    pub(super) const fn new(tree: &'t JsonTree<'t>, rules: DocumentRules) -> Self {
        Self { tree, version: Version::Absent, rules, problems: Vec::new() }
    }

    /// The problems in the order in which they were found.
    pub(super) fn into_problems(self) -> Vec<DocumentProblem> {
        self.problems
    }

    /// The line on which a node begins.
    pub(super) fn line(&self, node: usize) -> usize {
        line_and_column(self.tree.text(), self.tree.offset(node)).0
    }

    /// The members of an object; `what` begins the message if it is not one.
    pub(super) fn object(&mut self, node: usize, pointer: &JsonPointer<'_>, what: &str) -> Parsed<&'t [Member]> {
        match self.tree.value(node) {
            JsonValue::Object(members) => Some(members),
            other => self.fail(
                node,
                pointer,
                (
                    ProblemClass::DataType,
                    &format!("{what} is {}, not an object.", other.type_name()),
                    "Write { … } there.",
                ),
            ),
        }
    }

    pub(super) fn string(&mut self, node: usize, pointer: &JsonPointer<'_>, what: &str) -> Parsed<&'t str> {
        match self.tree.value(node) {
            JsonValue::String(text) => Some(text),
            other => self.fail(
                node,
                pointer,
                (
                    ProblemClass::DataType,
                    &format!("{what} is {}, not a string.", other.type_name()),
                    "Write a string in double quotes.",
                ),
            ),
        }
    }

    /// Reports members that the grammar does not have, and members that come twice.
    pub(super) fn check_names(&mut self, members: &[Member], pointer: &JsonPointer<'_>, known: &[&str]) {
        self.check_duplicates(members, pointer, str::to_owned);
        for member in members.iter().filter(|member| !known.contains(&member.name.as_str())) {
            let name = &member.name;
            let pointer = pointer.key(name);
            if name == "Principal" || name == "NotPrincipal" {
                let message = format!("An identity policy cannot have {name}.");
                let diagnosis = (
                    ProblemClass::PrincipalInIdentityPolicy,
                    message.as_str(),
                    "Remove it: the policy applies to the principal that it is attached to.",
                );
                self.push(member.offset, &pointer, ProblemLevel::Error, diagnosis);
                continue;
            }
            let remedy = match known.iter().find(|known| known.eq_ignore_ascii_case(name)) {
                Some(known) => format!("Write it as {known:?}."),
                None => format!("Remove it; the elements are {}.", known.join(", ")),
            };
            self.push(
                member.offset,
                &pointer,
                ProblemLevel::Error,
                (ProblemClass::UnknownElement, &format!("There is no element {name:?} here."), &remedy),
            );
        }
    }

    pub(super) fn check_duplicates(&mut self, members: &[Member], pointer: &JsonPointer<'_>, same: fn(&str) -> String) {
        let mut seen = BTreeSet::new();
        for member in members {
            if !seen.insert(same(&member.name)) {
                let message = format!("The key {:?} comes twice.", member.name);
                let diagnosis =
                    (ProblemClass::DuplicateKey, message.as_str(), "Keep one of them, or make one list of both.");
                self.push(member.offset, &pointer.key(&member.name), ProblemLevel::Error, diagnosis);
            }
        }
    }

    /// Leaves an error; there is no element.
    pub(super) fn fail<T>(&mut self, node: usize, pointer: &JsonPointer<'_>, diagnosis: Diagnosis<'_>) -> Parsed<T> {
        self.note(node, pointer, ProblemLevel::Error, diagnosis);
        None
    }

    /// Leaves a problem about a node.
    pub(super) fn note(
        &mut self,
        node: usize,
        pointer: &JsonPointer<'_>,
        level: ProblemLevel,
        diagnosis: Diagnosis<'_>,
    ) {
        self.push(self.tree.offset(node), pointer, level, diagnosis);
    }

    pub(super) fn push(
        &mut self,
        offset: usize,
        pointer: &JsonPointer<'_>,
        level: ProblemLevel,
        (class, message, remedy): Diagnosis<'_>,
    ) {
        // Warnings never displace the first error: it decides whether the document is usable.
        let full = self.problems.len() >= MAX_PROBLEMS_OF_DOCUMENT;
        if full
            && (level != ProblemLevel::Error
                || self.problems.iter().any(|problem| problem.level == ProblemLevel::Error))
        {
            return;
        }
        let position = line_and_column(self.tree.text(), offset);
        let problem = DocumentProblem::at(position, class, message, remedy);
        self.problems.push(DocumentProblem { level, pointer: pointer.to_string(), ..problem });
    }
}

/// The node of the member with this name.
pub(super) fn find(members: &[Member], name: &str) -> Option<usize> {
    members.iter().find(|member| member.name == name).map(|member| member.node)
}
