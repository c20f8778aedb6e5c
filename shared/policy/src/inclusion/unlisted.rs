//! Actions that are not listed: future ones of whole services, all others of the rest, and services that are not known.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use super::automaton::{Automaton, Visit};
use super::budget::Budget;
use super::resource::{Answer, Selected};
use super::{Comparison, ExcessKind, STEPS_EACH};
use crate::catalogue::{CATALOGUE, Coverage};
use crate::glob::Glob;
use crate::severity::{Severity, rate};

/// Services and names that AWS does not have, to stand for those that it may have one day.
const UNLISTED_SERVICE: &str = "unlisted";
const UNLISTED_NAME: &str = "Unlisted";

/// What the reading of action patterns has found.
pub(super) struct Names {
    found: Vec<(Vec<usize>, String)>,
    complete: bool,
}

impl Comparison<'_> {
    /// Whether `rule` allows any resource that the reference does not, given the statements that cover an unlisted action.
    fn ask(&mut self, rule: usize, selected: &[usize], universe: &[usize]) -> Answer {
        let latest = match self.latest.take() {
            Some((key, latest)) if key == selected => (key, latest),
            _ => (selected.to_vec(), Selected::new(&self.rules, selected)),
        };
        let answer = self.put(rule, &latest.1, universe, None);
        self.latest = Some(latest);
        answer
    }

    /// Actions that are not listed: future ones of whole services, all others of the rest, and services that are not known.
    pub(super) fn unknown_actions(&mut self) {
        let everything = [self.rules.glob(Glob::anything())];
        let candidates: Vec<usize> = (0..self.rules.rules.len())
            .filter(|rule| self.rules.rules[*rule].candidate && self.rules.rules[*rule].allows)
            .collect();
        for rule in candidates {
            let patterns: Vec<usize> = if self.rules.rules[rule].statement.excludes_actions() {
                vec![usize::MAX]
            } else {
                self.rules.rules[rule].patterns.clone()
            };
            for pattern in patterns {
                for service in self.services_of(pattern) {
                    if self.is_done() {
                        return;
                    }
                    if self.counts.contains_key(&(rule, pattern)) {
                        break;
                    }
                    self.unknown_names(rule, pattern, &service, &everything);
                }
            }
        }
    }

    /// The services in which a pattern's unlisted names are looked for: its own, or all that are mentioned and one that does not exist.
    fn services_of(&self, pattern: usize) -> Vec<String> {
        if let Some(service) = self.rules.actions.get(pattern).and_then(|pattern| pattern.service()) {
            return vec![service.to_owned()];
        }
        let mentioned: BTreeSet<&str> = self.rules.actions.iter().filter_map(|pattern| pattern.service()).collect();
        mentioned.into_iter().chain([UNLISTED_SERVICE]).map(str::to_owned).collect()
    }

    fn unknown_names(&mut self, rule: usize, pattern: usize, service: &str, everything: &[usize]) {
        let own = self.rules.actions.get(pattern).map_or_else(Glob::anything, |pattern| pattern.name().clone());
        let written = self.rules.actions.get(pattern).map_or_else(Glob::anything, |pattern| {
            Glob::parse(pattern.raw().split_once(':').map_or("*", |(_, name)| name))
        });
        let literal = own.literal();
        if literal.as_deref().is_some_and(|name| CATALOGUE.find(service, name).is_some()) {
            return;
        }
        let coverage = CATALOGUE.coverage(service);
        let matches_known = CATALOGUE
            .services()
            .filter(|(prefix, _)| *prefix == service)
            .any(|(_, service)| service.actions.iter().any(|action| own.matches(&action.lower)));
        let kind = match coverage {
            Coverage::None => ExcessKind::UnknownService,
            Coverage::Part => ExcessKind::Unlisted,
            Coverage::Whole if matches_known => ExcessKind::Latent,
            Coverage::Whole => ExcessKind::NoSuchAction,
        };
        let relevant = self.relevant_rules(service);
        if self.is_plainly_settled(pattern, &relevant) {
            return;
        }
        let mut seen = HashSet::new();
        for star in [UNLISTED_NAME, ""] {
            let name = written.example(star, 'x');
            match self.try_name(rule, &relevant, &name, everything, &mut seen) {
                Some(Answer::Included) | None => {}
                Some(answer) => return self.record_unknown(rule, pattern, service, &name, kind, &answer),
            }
        }
        if literal.is_some() {
            return;
        }
        let names = self.names(pattern, service, &relevant);
        for (selected, name) in &names.found {
            if selected.contains(&rule) && seen.insert(selected.clone()) {
                match self.ask(rule, selected, everything) {
                    Answer::Included => {}
                    answer => return self.record_unknown(rule, pattern, service, name, kind, &answer),
                }
            }
        }
        if !names.complete {
            self.record_unknown(
                rule,
                pattern,
                service,
                &written.example(UNLISTED_NAME, 'x'),
                ExcessKind::Undecided,
                &Answer::Undecided,
            );
        }
    }

    /// Whether one statement settles all names of the pattern: the reference allows them all and denies nothing, or the candidate denies them.
    fn is_plainly_settled(&self, pattern: usize, relevant: &[(usize, Vec<usize>)]) -> bool {
        let covers = |number: usize| {
            let rule = &self.rules.rules[number];
            rule.is_total(&self.rules.globs)
                && !rule.statement.excludes_actions()
                && rule.patterns.iter().any(|wide| {
                    let wide = self.rules.actions[*wide];
                    self.rules.actions.get(pattern).map_or_else(
                        || wide.service().is_none() && *wide.name() == Glob::anything(),
                        |own| wide.plainly_covers(own),
                    )
                })
        };
        let reference_denies =
            relevant.iter().any(|(rule, _)| !self.rules.rules[*rule].candidate && !self.rules.rules[*rule].allows);
        relevant.iter().any(|(number, _)| {
            let rule = &self.rules.rules[*number];
            (rule.candidate != rule.allows) && (rule.candidate || !reference_denies) && covers(*number)
        })
    }

    /// Asks about one name that is not listed; `None` if the same statements were asked before, or the rule does not cover it.
    fn try_name(
        &mut self,
        rule: usize,
        relevant: &[(usize, Vec<usize>)],
        name: &str,
        everything: &[usize],
        seen: &mut HashSet<Vec<usize>>,
    ) -> Option<Answer> {
        let name = name.to_ascii_lowercase();
        let covers =
            |patterns: &[usize]| patterns.iter().any(|pattern| self.rules.actions[*pattern].name().matches(&name));
        let selected = relevant
            .iter()
            .filter(|(rule, patterns)| covers(patterns) != self.rules.rules[*rule].statement.excludes_actions());
        let selected: Vec<usize> = selected.map(|(rule, _)| *rule).collect();
        (selected.contains(&rule) && seen.insert(selected.clone())).then(|| self.ask(rule, &selected, everything))
    }

    /// All sets of statements that some unlisted name matching a pattern can have, by reading the action patterns together.
    fn names(&mut self, pattern: usize, service: &str, relevant: &[(usize, Vec<usize>)]) -> Rc<Names> {
        let key = (service.to_owned(), pattern);
        if let Some(names) = self.names.get(&key) {
            return Rc::clone(names);
        }
        let numbers: BTreeSet<usize> = relevant.iter().flat_map(|(_, patterns)| patterns.iter().copied()).collect();
        let numbers: Vec<usize> = numbers.into_iter().collect();
        let globs: Vec<&Glob> = numbers.iter().map(|number| self.rules.actions[*number].name()).collect();
        let own: Vec<usize> = numbers.iter().position(|number| *number == pattern).into_iter().collect();
        let listed: Vec<usize> =
            (0..numbers.len()).filter(|index| self.is_listed_literal(service, numbers[*index])).collect();
        let needed: Vec<&[usize]> = if own.is_empty() { Vec::new() } else { vec![&own] };
        let mut found: Vec<(Vec<usize>, String)> = Vec::new();
        let mut seen: HashSet<Vec<usize>> = HashSet::new();
        let given = self.budget.part(STEPS_EACH);
        let mut part = given.clone();
        let mut visit = |visit: &Visit<'_>, budget: &mut Budget| {
            let is_own = pattern == usize::MAX || own.iter().any(|own| visit.accepts(*own));
            if is_own && !visit.is_start() && !listed.iter().any(|index| visit.accepts(*index)) {
                budget.spend(relevant.len() * 10)?;
                let accepted: Vec<usize> = numbers
                    .iter()
                    .enumerate()
                    .filter(|(index, _)| visit.accepts(*index))
                    .map(|(_, number)| *number)
                    .collect();
                let covered =
                    |patterns: &[usize]| patterns.iter().any(|pattern| accepted.binary_search(pattern).is_ok());
                let selected = relevant.iter().filter(|(rule, patterns)| {
                    covered(patterns) != self.rules.rules[*rule].statement.excludes_actions()
                });
                let selected: Vec<usize> = selected.map(|(rule, _)| *rule).collect();
                if seen.insert(selected.clone()) {
                    found.push((selected, visit.text()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        let complete = Automaton::new(&globs, "xyzabcdefghijklmnopqrstuvw0123456789")
            .explore(&needed, &mut part, &mut visit)
            .is_ok();
        self.budget.settle(&given, &part);
        let names = Rc::new(Names { found, complete });
        self.names.insert(key, Rc::clone(&names));
        names
    }

    /// A pattern without wildcards that names a listed action: the only name that it matches is not unlisted.
    fn is_listed_literal(&self, service: &str, pattern: usize) -> bool {
        self.rules.actions[pattern].name().literal().is_some_and(|name| CATALOGUE.find(service, &name).is_some())
    }

    fn record_unknown(
        &mut self,
        rule: usize,
        pattern: usize,
        service: &str,
        name: &str,
        kind: ExcessKind,
        answer: &Answer,
    ) {
        let severity = match kind {
            ExcessKind::Latent | ExcessKind::NoSuchAction | ExcessKind::UnknownService => Severity::Low,
            _ => rate(service, &name.to_ascii_lowercase(), None),
        };
        // A pattern without wildcards is best shown as it was written.
        let written = self.rules.rules[rule]
            .statement
            .actions()
            .find(|raw| raw.eq_ignore_ascii_case(&format!("{service}:{name}")));
        let action = written.map_or_else(|| format!("{service}:{name}"), str::to_owned);
        let answer = self.confirm(&action, answer.clone());
        self.record(rule, pattern, &action, severity, kind, &answer);
    }
}
